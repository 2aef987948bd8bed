"""Stand-in HTTP servers on ports of their own, for programs that run as processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

from scripted_server import Turn
from wire_server import WireServer

PATIENCE = 300

Server = TypeVar("Server", bound=ThreadingHTTPServer)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server, running."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def scripted_http(*turns: Turn) -> Iterator[WireServer]:
    """A model server that plays turns."""
    server = WireServer(*turns)
    try:
        yield server
    finally:
        server.close()


class FileServer(ThreadingHTTPServer):
    """Gives one file, once its gate is open.

    Attributes:
        status, headers, content: The answer to each request for the file.
        length: What it says of the content's length, if that is a lie.
        requests: The methods of the requests so far.
        reached: Set once there was one.
    """

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _FileHandler)
        self.name, self.content = name, content
        self.status, self.length = 200, 0
        self.headers: dict[str, str] = {}
        self.requests: list[str] = []
        self.reached = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.root = f"http://127.0.0.1:{self.server_port}"
        self.url = f"{self.root}/{name}"


class _FileHandler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        file = self.server
        file.requests.append(self.command)
        file.reached.set()
        file.gate.wait(PATIENCE)
        if self.path.endswith(f"/{file.name}"):
            self._send(file.status, file.content, file.length, **file.headers)
        else:
            self._send(404, b"")

    do_HEAD = do_GET

    def _send(self, status: int, content: bytes, length: int = 0, **headers: str) -> None:
        """Answer, but for a HEAD without the content."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length or len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(ConnectionError):  # the client may have read enough
                self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
