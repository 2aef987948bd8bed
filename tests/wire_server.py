"""A model server on a real socket of this machine: it says what a test wrote down for it."""

import json
import socket
import time
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, BinaryIO, NoReturn

from scripted_server import Turn

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
        requests: The bodies of the requests so far.
        let_go: Set once the client has closed a connection that hung.
        lives: What `/livez` says: yes, that there is no such route, or (None) nothing at all.
    """

    def __init__(self) -> None:
        self._address = ("127.0.0.1", 0)
        self._turns: list[Turn] = []
        self.requests: list[dict[str, Any]] = []
        self.let_go = Event()
        self.lives: bool | None = False
        self.listen()

    def play(self, *turns: Turn) -> None:
        """Begin anew with these."""
        self._turns = list(turns)
        self.requests.clear()
        self.let_go.clear()

    def listen(self) -> None:
        """Begin to take connections, at the port that it had before."""
        self._listener = socket.create_server(self._address)
        self._address = self._listener.getsockname()
        Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take none any more."""
        # Closing it alone would leave the thread that waits in it.
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
                line = stream.readline()
                body = _body(stream)
                if line.startswith(b"GET /livez"):
                    self._say_that_it_lives(connection)
                elif body:
                    self.requests.append(json.loads(body))
                    self._play(self._turns.pop(0), connection)
                else:
                    self.let_go.set()
            except OSError:
                self.let_go.set()

    def _say_that_it_lives(self, connection: socket.socket) -> None:
        if self.lives is None:
            connection.recv(1)
        else:
            status = b"200 OK" if self.lives else b"404 No"
            connection.sendall(b"HTTP/1.1 %s\r\ncontent-length: 0\r\n\r\n" % status)

    def _play(self, turn: Turn, connection: socket.socket) -> None:
        if turn.unreachable:
            return
        if turn.status != 200:
            connection.sendall(_refusal(turn))
            return
        if turn.events or not turn.hangs:
            connection.sendall(HEAD)
        for event in turn.events:
            text = event if isinstance(event, str) else json.dumps(event)
            connection.sendall(_chunk(f"data: {text}\n\n".encode()))
        if isinstance(turn, Drips):
            _drip(connection)
        elif turn.hangs:
            self._hang(connection)
        elif not turn.breaks:
            connection.sendall(_chunk(b""))

    def _hang(self, connection: socket.socket) -> None:
        if not connection.recv(1):
            self.let_go.set()


def _drip(connection: socket.socket) -> NoReturn:
    while True:
        connection.sendall(_chunk(b": still here\n\n"))
        time.sleep(0.05)


def _refusal(turn: Turn) -> bytes:
    body = json.dumps(turn.body)
    head = f"HTTP/1.1 {turn.status} No\r\ncontent-type: application/json\r\nconnection: close\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in turn.headers.items())
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


def _body(stream: BinaryIO) -> bytes:
    """The request's body, behind its head."""
    size = 0
    while line := stream.readline().strip().lower():
        name, _, value = line.partition(b":")
        if name == b"content-length":
            size = int(value)
    return stream.read(size)


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
