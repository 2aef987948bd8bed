"""Real servers with the default model, through both doors, as a user starts and asks them."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import psutil
import pytest
import readme
from command_line import PYTHON_M
from conftest import SERVERS_ENVIRONMENT
from hosts import QUERY, Host, listening, until

from function_calling.agent.events import read_event
from function_calling.cli.watchdog import is_ready

pytestmark = [pytest.mark.serve, pytest.mark.timeout(900)]
Servers = tuple[Host, Host]


@pytest.fixture(scope="module")
def answer(default_servers: Servers) -> str:
    """The answer to the documented query."""
    response = default_servers[0].exchange()
    assert response.status_code == 200
    return response.text


def test_serve_answers_the_documented_query_in_one_sentence(
    default_servers: Servers, answer: str
) -> None:
    """As the README's curl asks it; the terminal shows what runs, and a curl for each door."""
    assistant, model = default_servers
    # It greets a moment after it is ready.
    until(lambda: f"{model.url}/v1/chat/completions" in assistant.log.read_text())
    shown = assistant.log.read_text()
    assert f"{assistant.url}/exchange" in shown
    assert shown.startswith("The embedded model Qwen2.5-Coder-1.5B runs on this machine's CPU.")
    assert "131.95" in answer
    assert "Canadian dollar" in answer
    assert len(answer.strip().splitlines()) == 1


def test_the_readmes_clients_work(default_servers: Servers, answer: str) -> None:
    """As they stand, but for the ports: BentoML's gets the same answer, OpenAI's calls its tool."""

    def run(code: str) -> str:
        for shown, server in zip(("3000", "3001"), default_servers, strict=True):
            code = code.replace(f"http://127.0.0.1:{shown}", server.url)
        command = [sys.executable, "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    bentoml, openai = map(run, readme.blocks("python")[:2])
    assert bentoml.strip() == answer
    assert "get_weather" in openai


def test_closing_a_chat_stops_the_loop_and_the_engine(default_servers: Servers) -> None:
    """While the model writes: its slot is free again, and no tool is asked for any more."""
    assistant, model = default_servers

    def running() -> float:
        metrics = httpx2.get(f"{model.url}/metrics").text
        (number,) = re.findall(r"^llama_num_requests_running (\S+)", metrics, re.MULTILINE)
        return float(number)

    body = {"messages": [{"role": "user", "content": QUERY}]}
    with httpx2.stream("POST", f"{assistant.url}/chat", json=body, timeout=300) as response:
        frames = response.iter_lines()
        assert read_event(next(frames).removeprefix("data: ")).type == "tool_call"
        until(lambda: running() > 0)
    until(lambda: running() == 0)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_a_signal_ends_servers_that_are_still_starting(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    """Impatience leaves nothing behind either, not even that of a `kill -9`."""
    command = [*PYTHON_M, "serve", "--port", "{port}"]
    with listening(tmp_path, command, "127.0.0.1") as server:
        while len(family := server.process.children(recursive=True)) < 2:
            time.sleep(0.02)
        server.process.send_signal(number)
        assert server.process.wait(30) == status
        psutil.wait_procs(family, timeout=15)
        assert not [each for each in family if each.is_running()]


def test_the_command_line_serves_for_one_question(tmp_path: Path) -> None:
    """Where no server runs, one is started for the answer and ended after it.

    A GPU without LMDeploy is no obstacle: the embedded model answers, and a line says what more
    there could be.
    """
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 12288\n")
    driver.chmod(0o755)
    path = f"{tmp_path}:{SERVERS_ENVIRONMENT['PATH']}"
    command = [*PYTHON_M, "ask", QUERY, "--port", "{port}"]
    with listening(tmp_path, command, "127.0.0.1", PATH=path) as server:
        assert server.process.wait(300) == 0
        shown = server.log.read_text()
        assert "It could run Llama 3.1 8B: `make gpu` installs LMDeploy." in shown
        assert "131.95" in shown
        assert not is_ready(server.url)
