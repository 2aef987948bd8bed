"""A model server on a real socket of this machine: it says what a test wrote down for it."""

import json
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, BinaryIO

from scripted_server import Turn, fails

MODEL = "scripted-1"
OVER = fails(500, "the script is over")
SECONDS = 60
"""After which a connection is given up, whatever the client does."""
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


@dataclass(frozen=True)
class Drips(Turn):
    """One that goes on for ever, and sends nothing but comments."""


class WireServer:
    """Plays turns in order, a connection each.

    A turn that is unreachable closes its connection without a byte, and one that hangs without an
    event before sends none either; one that breaks off ends in the middle of its body.

    Attributes:
        turns: What is still to be played; then a request is a 500.
        requests: The bodies of the requests so far.
        keys: The keys that came with them.
        hanging: Set once a reply hangs.
        let_go: Set once the client has closed a connection that hung.
    """

    def __init__(self, *turns: Turn) -> None:
        self._address = ("127.0.0.1", 0)
        self.turns = list(turns)
        self.keys: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.hanging, self.let_go = Event(), Event()
        self.listen()

    def play(self, *turns: Turn) -> None:
        """Begin anew with these."""
        self.turns = list(turns)
        self.requests.clear()
        self.hanging.clear()
        self.let_go.clear()

    def listen(self) -> None:
        """Begin to take connections, at the port that it had before."""
        self._listener = socket.create_server(self._address)
        self._address = self._listener.getsockname()
        Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take none any more."""
        # Closing it alone would leave the thread that waits in it.
        with suppress(OSError):  # it may be closed
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._address
        return f"http://{host}:{port}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        with connection, connection.makefile("rwb") as stream:
            try:
                line, head = stream.readline(), _head(stream)
                body = stream.read(int(head.get("content-length", 0)))
                if line.startswith(b"GET /livez"):
                    connection.sendall(_response(404, {}))
                elif line.startswith(b"GET /v1/models"):
                    connection.sendall(_response(200, {"object": "list", "data": [{"id": MODEL}]}))
                elif body:
                    self.requests.append(json.loads(body))
                    self.keys.append(head.get("authorization", ""))
                    self._play(self.turns.pop(0) if self.turns else OVER, connection)
                else:
                    self.let_go.set()
            except OSError:
                self.let_go.set()

    def _play(self, turn: Turn, connection: socket.socket) -> None:
        if turn.unreachable:
            return
        if turn.status != 200:
            connection.sendall(_response(turn.status, turn.body, turn.headers))
            return
        if turn.events or not turn.hangs:
            connection.sendall(HEAD)
        for event in turn.events:
            text = event if isinstance(event, str) else json.dumps(event)
            connection.sendall(_chunk(f"data: {text}\n\n".encode()))
        if turn.hangs or isinstance(turn, Drips):
            self._hang(connection, drips=not turn.hangs)
        elif not turn.breaks:
            connection.sendall(_chunk(b""))

    def _hang(self, connection: socket.socket, *, drips: bool) -> None:
        self.hanging.set()
        while drips:
            connection.sendall(_chunk(b": still here\n\n"))
            time.sleep(0.01)
        if not connection.recv(1):
            self.let_go.set()


def _response(status: int, content: Any, headers: Mapping[str, str] | None = None) -> bytes:
    body = json.dumps(content)
    head = f"HTTP/1.1 {status} So\r\ncontent-type: application/json\r\nconnection: close\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


def _head(stream: BinaryIO) -> dict[str, str]:
    """The headers of a request."""
    head = {}
    while line := stream.readline().decode().strip():
        name, _, value = line.partition(":")
        head[name.lower()] = value.strip()
    return head


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
