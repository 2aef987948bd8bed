"""A scripted model server on a port of its own, for programs that run as processes."""

import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scripted_server import Turn

MODEL = "scripted-1"
PATIENCE = 300


class ScriptedHttp(ThreadingHTTPServer):
    """Plays turns in order; a request more than there are turns is refused with 500.

    Attributes:
        turns: What is still to be played.
        requests: The bodies of the requests so far.
        keys: The keys that came with them.
        left: Set once a client went away from a stream that hangs.
    """

    daemon_threads = True

    def __init__(self, *turns: Turn) -> None:
        self.turns = list(turns)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.left = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Its base URL, as OpenAI's clients want it."""
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def scripted_http(*turns: Turn) -> Iterator[ScriptedHttp]:
    """Such a server, running."""
    with ScriptedHttp(*turns) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedHttp

    def do_GET(self) -> None:
        """`/v1/models`, and anything else alike."""
        self._send(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        """Play the next turn."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(body)
        self.server.keys.append(self.headers["authorization"])
        if not self.server.turns:
            self._send(500, {"error": {"message": "the script is over"}})
            return
        turn = self.server.turns.pop(0)
        if turn.status != 200:
            self._send(turn.status, turn.body)
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

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
