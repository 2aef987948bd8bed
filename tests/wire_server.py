"""A model server on a real socket of this machine: it says what a test wrote down for it."""

import json
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from scripted_server import Turn, fails

MODEL = "scripted-1"
OVER = fails(500, "the script is over")
SECONDS = 60
"""After which a connection is given up, whatever the client does."""


class WireServer(ThreadingHTTPServer):
    """Plays turns in order, a connection each.

    A turn that is unreachable closes its connection without a byte, and one that hangs without an
    event before sends none either; one that breaks off ends in the middle of its body.

    Attributes:
        turns: What is still to be played; then a request is a 500.
        requests: The bodies of the requests so far.
        keys: The keys that came with them.
        let_go: Set once the client has closed a connection that hung.
        url: Where it listens.
    """

    def __init__(self, *turns: Turn) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.turns = list(turns)
        self.keys: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.let_go = Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Take no connections any more."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    timeout = SECONDS
    server: WireServer

    def do_GET(self) -> None:
        """List the one model."""
        known = self.path == "/v1/models"
        self._answer(200 if known else 404, {"object": "list", "data": [{"id": MODEL}]})

    def do_POST(self) -> None:
        """Play the next turn."""
        owner = self.server
        owner.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        owner.keys.append(self.headers.get("authorization", ""))
        turn = owner.turns.pop(0) if owner.turns else OVER
        with suppress(OSError):
            self._play(turn)
            if turn.hangs and self.connection.recv(1):
                return
        if turn.hangs:
            owner.let_go.set()

    def _play(self, turn: Turn) -> None:
        if turn.unreachable:
            return
        if turn.status != 200:
            self._answer(turn.status, turn.body, **turn.headers)
            return
        if turn.events or not turn.hangs:
            self.protocol_version = "HTTP/1.1"
            self._head(200, content_type="text/event-stream", transfer_encoding="chunked")
        for event in turn.events:
            text = event if isinstance(event, str) else json.dumps(event)
            self._chunk(f"data: {text}\n\n".encode())
        if not (turn.hangs or turn.breaks):
            self._chunk(b"")

    def _answer(self, status: int, content: Any, **headers: str) -> None:
        body = json.dumps(content).encode()
        self._head(status, content_type="application/json", **headers)
        self.wfile.write(body)

    def _head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "connection": "close"}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""
