"""Stand-in HTTP servers on ports of their own, for programs that run as processes."""

import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from scripted_server import Turn

MODEL = "scripted-1"
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


class ScriptedHttp(ThreadingHTTPServer):
    """A model server that plays turns; a request more than there are turns is refused with 500.

    Attributes:
        turns: What is still to be played.
        requests: The bodies of the requests so far.
        keys: The keys that came with them.
        left: Set once a client went away from a stream that hangs.
    """

    def __init__(self, *turns: Turn) -> None:
        self.turns = list(turns)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.left = threading.Event()
        super().__init__(("127.0.0.1", 0), _TurnHandler)

    @property
    def url(self) -> str:
        """Its base URL, as OpenAI's clients want it."""
        return f"http://127.0.0.1:{self.server_port}/v1"


def scripted_http(*turns: Turn) -> AbstractContextManager[ScriptedHttp]:
    """Such a server, running."""
    return serving(ScriptedHttp(*turns))


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


class _Handler(BaseHTTPRequestHandler):
    def send(self, status: int, content: bytes, length: int = 0, **headers: str) -> None:
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


class _FileHandler(_Handler):
    server: FileServer

    def do_GET(self) -> None:
        file = self.server
        file.requests.append(self.command)
        file.reached.set()
        file.gate.wait(PATIENCE)
        if self.path.endswith(f"/{file.name}"):
            self.send(file.status, file.content, file.length, **file.headers)
        else:
            self.send(404, b"")

    do_HEAD = do_GET


class _TurnHandler(_Handler):
    server: ScriptedHttp

    def do_GET(self) -> None:
        """`/v1/models`, and anything else alike."""
        self._say(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        """Play the next turn."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(body)
        self.server.keys.append(self.headers["authorization"])
        if not self.server.turns:
            self._say(500, {"error": {"message": "the script is over"}})
            return
        turn = self.server.turns.pop(0)
        if turn.status != 200:
            self._say(turn.status, turn.body)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event in turn.events:
            text = event if isinstance(event, str) else json.dumps(event)
            self.wfile.write(f"data: {text}\n\n".encode())
        if turn.hangs and self._left():
            self.server.left.set()

    def _left(self) -> bool:
        """Whether the client goes away before long."""
        readable, _, _ = select.select([self.connection], [], [], PATIENCE)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _say(self, status: int, body: dict[str, Any]) -> None:
        self.send(status, json.dumps(body).encode(), **{"Content-Type": "application/json"})
