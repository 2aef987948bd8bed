"""The command line where no model is needed: what it refuses, and what it says then."""

import json
import signal
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from benchmarks.run_eval import free_port
from function_calling.__main__ import main
from function_calling.cli import serve

HOST = "127.0.0.1"


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Give the signal back that the command line takes."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test in which a server would start."""

    def start(*_: object) -> None:
        pytest.fail("a server was started")

    monkeypatch.setattr(serve.Processes, "start", start)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The line that a command which fails leaves on stderr, after what was chosen to run."""
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    *chosen, error = captured.err.splitlines()
    assert not chosen or "runs on this machine's CPU" in "".join(chosen)
    return error


@pytest.mark.parametrize(
    ("command", "above"), [(["serve"], 0), (["ask"], 1), (["chat", "hello"], 1)]
)
def test_a_taken_port_is_named(
    command: list[str], above: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The assistant's or the model's: the sentence says which and what to set."""
    port = free_port()
    with socket.socket() as taken:
        taken.bind((HOST, port + above))
        said = refused([*command, "--port", str(port)], capsys)
    assert f"{HOST}:{port + above}" in said
    assert "set PORT to another number" in said
    assert "PORT: can't listen" in refused([*command, "--port", "99999"], capsys)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("THREADS", "'many'", "wanted a whole number"),
        ("MODEL_PATH", "/nowhere/none.gguf", "wanted a GGUF file"),
        ("ENGINE", "lmdeploy", "Set ENGINE=llamacpp"),
    ],
)
def test_a_wrong_setting_is_named(
    variable: str,
    value: str,
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Variable, value and what was wanted, before anything starts."""
    monkeypatch.setenv("PATH", "/bin:/usr/bin")  # no GPU is visible
    monkeypatch.setenv(variable, value.strip("'"))
    said = refused(["serve", "--port", str(free_port())], capsys)
    assert f"{variable}={value}" in said
    assert told in said


class Replies(BaseHTTPRequestHandler):
    """Says that it is ready, and answers every query with what the class holds."""

    status, text = 200, ""
    asked: list[str]

    def do_GET(self) -> None:
        """`/readyz`."""
        self.reply(200, "")

    def do_POST(self) -> None:
        """`/exchange`."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.asked.append(json.loads(body)["query"])
        self.reply(self.status, self.text)

    def reply(self, status: int, text: str) -> None:
        """Send it."""
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def stand_in() -> Iterator[tuple[type[Replies], str]]:
    """A server in place of the assistant, and its port."""

    class Own(Replies):
        asked: list[str] = []  # noqa: RUF012 - one class for each test

    with HTTPServer((HOST, 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Own, str(server.server_port)
        server.shutdown()
        thread.join()


def test_ask_prints_the_answer_of_the_running_server(
    stand_in: tuple[type[Replies], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """And asks the documented example where no query is given."""
    replies, port = stand_in
    replies.text = "131.95 加元"
    assert main(["ask", "--port", port, "how much?"]) == 0
    assert main(["ask", "--port", port]) == 0
    assert capsys.readouterr().out == "131.95 加元\n131.95 加元\n"
    assert replies.asked == ["how much?", "I want to exchange 42 US dollars to Canadian dollars"]


@pytest.mark.parametrize(
    ("status", "text", "told"),
    [
        (400, '{"error": {"message": "query is empty."}}', "query is empty."),
        (502, "Bad Gateway", "answered 502: Bad Gateway"),
    ],
)
def test_ask_tells_what_went_wrong(
    status: int,
    text: str,
    told: str,
    stand_in: tuple[type[Replies], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The error's own sentence, or what else came back."""
    replies, port = stand_in
    replies.status, replies.text = status, text
    assert refused(["ask", "--port", port], capsys).strip().endswith(told)
