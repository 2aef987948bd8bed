"""The command line where no model is needed: what it refuses, and what it says then."""

import json
import re
import socket
import time
from functools import partial
from typing import Any

import httpx2
import psutil
import pytest
from command_line import Command, Done, commands
from hosts import until

from benchmarks.servers import free_port
from function_calling.cli import serve
from function_calling.cli.watchdog import Watchdog
from function_calling.formats import FORMATS

command = pytest.fixture(commands)
HOST = "127.0.0.1"


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test in which a server would start."""

    def start(*_: object) -> None:
        pytest.fail("a server was started")

    monkeypatch.setattr(serve.Processes, "start", start)


def refused(done: Done) -> str:
    """The line that a command which fails leaves on stderr, after what was chosen to run."""
    assert (done.status, done.out) == (1, "")
    *chosen, error = done.err.splitlines()
    assert not chosen or "runs on this machine's CPU" in "".join(chosen)
    return error


@pytest.mark.parametrize(
    ("arguments", "above"), [(["serve"], 0), (["ask"], 1), (["chat", "hello"], 1)]
)
def test_a_taken_port_is_named(
    arguments: list[str], above: int, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The assistant's or the model's: the sentence says which and what to set, which holds."""
    port = free_port()
    monkeypatch.setenv("PORT", str(port))
    with socket.socket() as taken:
        taken.bind((HOST, port + above))
        said = refused(command(*arguments))
    assert f"{HOST}:{port + above}" in said
    assert "set PORT to another number" in said
    for none in (-above, 99999):
        assert "PORT" in refused(command(*arguments, "--port", none))


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("THREADS", "'many'", "wanted a whole number"),
        ("MODEL_PATH", "/nowhere/none.gguf", "wanted a GGUF file"),
        ("ENGINE", "lmdeploy", "Set ENGINE=llamacpp"),
        ("MCP_SERVERS", "'/nowhere/mcp.json'", "it can't be read as JSON"),
        ("TOOLS", "mcp", "wanted MCP_SERVERS to name a file of servers"),
    ],
)
def test_a_wrong_setting_is_named(
    variable: str, value: str, told: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variable, value and what was wanted, before anything starts."""
    monkeypatch.setenv("PATH", "/bin:/usr/bin")  # no GPU is visible
    monkeypatch.setenv(variable, value.strip("'"))
    said = refused(command("serve", "--port", free_port()))
    assert f"{variable}={value}" in said
    assert told in said


def replies(monkeypatch: pytest.MonkeyPatch, status: int, text: str, ready: int = 200) -> list[str]:
    """Let a running assistant reply so, wherever it is looked for; the queries that it gets."""
    asked: list[str] = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        if request.url.path in ("/livez", "/readyz"):
            return httpx2.Response(ready if request.url.path == "/readyz" else 200)
        asked.append(json.loads(request.content)["query"])
        return httpx2.Response(status, text=text)

    client = httpx2.Client(transport=httpx2.MockTransport(reply))

    def send(method: str, url: str, *, json: Any = None, **how: Any) -> httpx2.Response:
        assert not how["trust_env"], "a proxy would be asked for this machine"
        return client.request(method, url, json=json)

    for name in ("get", "post"):
        monkeypatch.setattr(httpx2, name, partial(send, name))
    return asked


def test_ask_prints_the_answer_of_the_running_server(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks the documented example where no query is given; what it sends is always text."""
    asked = replies(monkeypatch, 200, "131.95 加元")
    for arguments in (["ask", "how much caf\udce9?"], ["ask"]):
        assert command(*arguments) == Done(0, "131.95 加元\n", "")
    assert asked == ["how much caf??", "I want to exchange 42 US dollars to Canadian dollars"]


def test_ask_tells_what_went_wrong(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error's own sentence, or what else came back."""
    replies(monkeypatch, 400, '{"error": {"message": "query is empty."}}')
    assert refused(command("ask")) == "query is empty."
    replies(monkeypatch, 502, "Bad Gateway")
    assert refused(command("ask")).endswith("answered 502: Bad Gateway")


def test_a_model_elsewhere_is_not_waited_for(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The assistant, which is not ready without it, says what is wrong; so does the start."""
    monkeypatch.setenv("LLAMA_URL", "http://model-host:3001")
    monkeypatch.setenv("LLAMA_MODELS", "any")

    def start(*_: object) -> None:
        replies(monkeypatch, 503, '{"error": {"message": "The model is away."}}', ready=503)

    monkeypatch.setattr(serve.Processes, "start", start)
    done = command("ask", "--port", free_port())
    asked, *_, said = done.err.splitlines()
    assert (done.status, said) == (1, "The model is away.")
    assert asked == "LLAMA_MODELS is no setting: is LLAMA_MODEL meant?"


def test_a_server_that_loads_is_waited_for(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another `serve` has just been typed: its port is no reason to give up."""
    monkeypatch.setattr(time, "sleep", lambda _: replies(monkeypatch, 200, "131.95"))
    replies(monkeypatch, 503, "loading", ready=503)
    waiting = "Waiting for the server at http://127.0.0.1:3000.\n"
    assert command("ask") == Done(0, "131.95\n", waiting)


def test_workers_end_also_where_their_supervisor_was_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They have sessions of their own, so nothing else would end them."""
    monkeypatch.setattr(Watchdog, "_answers", lambda _: True)
    watchdog = Watchdog("", psutil.Popen(["sh", "-c", "sleep 60 & wait"]))
    until(watchdog.process.children)
    (worker,) = watchdog.process.children()
    watchdog.look()
    watchdog.process.kill()
    watchdog.process.wait()
    watchdog.end(5)
    until(lambda: not worker.is_running(), 5)


def test_the_help_tells_of_every_command_and_format(command: Command) -> None:
    """On stdout, with exit status 0; a wrong format lists them too, as a usage error."""
    told = command("--help")
    assert told.status == 0
    names = ("serve", "ask", "chat", "render", "parse", "samples")
    assert all(re.search(rf"(?m)^    {it} ", told.out) for it in names)
    wrong = command("samples", "--format", "esperanto")
    assert wrong.status == 2
    assert {"esperanto", *FORMATS} <= set(re.findall(r"\w+", wrong.err))
