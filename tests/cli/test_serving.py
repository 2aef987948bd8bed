"""Real servers with the default model, through both doors, as a user starts and asks them."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import psutil
import pytest
import readme
from command_line import PYTHON_M
from conftest import SERVERS_ENVIRONMENT
from hosts import QUERY, Host, listening

from benchmarks.run_eval import free_port
from function_calling.agent.events import read_event
from function_calling.cli.serve import is_ready

pytestmark = [pytest.mark.serve, pytest.mark.timeout(900)]


class Server(Host):
    """Both services: the assistant at its port, and the model at the next one."""

    @property
    def v1(self) -> str:
        """The model's base URL."""
        return f"http://{self.address}:{self.port + 1}"

    def wait_both_ready(self) -> None:
        """Wait until both answer, as `wait_ready` does."""
        replace(self, port=self.port + 1).wait_ready()
        self.wait_ready()


@contextmanager
def started(command: list[str], folder: Path, **settings: str) -> Iterator[Server]:
    """Start a server on free ports; end it at the end."""
    command = [*command, "--port", "{port}"]
    with listening(folder, command, "127.0.0.1", free_port(), **settings) as host:
        yield Server(host.address, host.port, host.process, host.log)


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    ending = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ending
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Both services, as `make serve` starts them."""
    with started([*PYTHON_M, "serve"], tmp_path_factory.mktemp("serve")) as server:
        server.wait_both_ready()
        yield server


def test_serve_answers_the_documented_query_in_one_sentence(server: Server) -> None:
    """As the README's curl asks it; the terminal shows what runs, and a curl for each door."""
    # It greets a moment after it is ready.
    until(lambda: f"{server.v1}/v1/chat/completions" in server.log.read_text())
    shown = server.log.read_text()
    assert f"{server.url}/exchange" in shown
    assert shown.startswith("The embedded model Qwen2.5-Coder-1.5B runs on this machine's CPU.")
    response = server.exchange(QUERY)
    assert response.status_code == 200
    assert "131.95" in response.text
    assert "Canadian dollar" in response.text
    assert len(response.text.strip().splitlines()) == 1


def test_each_server_counts_its_own_requests(server: Server) -> None:
    """BentoML's numbers of both are there, each at its own door."""
    assert server.exchange(QUERY).is_success
    for url, name, route in (
        (server.url, "ExchangeAssistant", "/exchange"),
        (server.v1, "Llama", "/v1/chat/completions"),
    ):
        metrics = httpx2.get(f"{url}/metrics").text
        assert set(re.findall(r'runner_name="(\w+)"', metrics)) == {name}
        assert f'bentoml_service_request_total{{endpoint="{route}"' in metrics


def test_the_readmes_clients_work(server: Server) -> None:
    """As they stand, but for the ports: BentoML's gets the same answer, OpenAI's calls its tool."""
    bentoml, openai = (run_client(server, code) for code in readme.blocks("python")[:2])
    assert bentoml.strip() == server.exchange(QUERY).text
    assert "get_weather" in openai


def test_the_command_line_asks_the_running_server(server: Server) -> None:
    """It prints the answer and nothing else."""
    command = [*PYTHON_M, "ask", "--port", str(server.port), QUERY]
    asked = subprocess.run(command, env=SERVERS_ENVIRONMENT, capture_output=True, text=True)
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout == server.exchange(QUERY).text + "\n"


def run_client(server: Server, code: str) -> str:
    """Run code written for the README's ports as a script of its own; returns what it printed."""
    for shown, port in (("3000", server.port), ("3001", server.port + 1)):
        code = code.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{port}")
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_closing_a_chat_stops_the_loop_and_the_engine(server: Server) -> None:
    """While the model writes: its slot is free again, and no tool is asked for any more."""
    body = {"messages": [{"role": "user", "content": QUERY}]}
    with httpx2.stream("POST", f"{server.url}/chat", json=body, timeout=300) as response:
        frames = response.iter_lines()
        assert read_event(next(frames).removeprefix("data: ")).type == "tool_call"
        until(lambda: slots_busy(server) > 0)
    until(lambda: slots_busy(server) == 0)


def slots_busy(server: Server) -> float:
    """The gauge among the model's metrics."""
    metrics = httpx2.get(f"{server.v1}/metrics").text
    (line,) = [
        line for line in metrics.splitlines() if line.startswith("llama_num_requests_running ")
    ]
    return float(line.split()[1])


def test_a_signal_ends_every_process(tmp_path: Path) -> None:
    """However often it comes, nothing is left running, and the ports are free again."""
    with started([*PYTHON_M, "serve"], tmp_path) as server:
        server.wait_both_ready()
        family = server.process.children(recursive=True)
        assert len(family) >= 4
        for _ in range(20):
            server.process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        assert server.process.wait(30) == 130
        assert not [each for each in family if each.is_running()]
        assert not is_ready(server.url)
        assert not is_ready(server.v1)


def test_a_signal_ends_servers_that_are_still_starting(tmp_path: Path) -> None:
    """Impatience leaves nothing behind either."""
    with started([*PYTHON_M, "serve"], tmp_path) as server:
        while len(family := server.process.children(recursive=True)) < 2:
            time.sleep(0.02)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 130
        psutil.wait_procs(family, timeout=5)
        assert not [each for each in family if each.is_running()]


def test_plain_bentoml_serve_answers_too(tmp_path: Path) -> None:
    """One command; the services talk over a Unix socket, and the first door alone is open."""
    command = [sys.executable, "-m", "bentoml", "serve", "service:ExchangeAssistant"]
    with started([*command, "--host", "127.0.0.1"], tmp_path) as server:
        server.wait_ready()
        assert "131.95" in server.exchange(QUERY).text
        assert httpx2.get(f"{server.url}/v1/models").status_code == 404


def test_the_command_line_serves_for_one_question(tmp_path: Path) -> None:
    """Where no server runs, one is started for the answer and ended after it.

    A GPU without LMDeploy is no obstacle: the embedded model answers, and a line says what more
    there could be.
    """
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 12288\n")
    driver.chmod(0o755)
    path = f"{tmp_path}:{SERVERS_ENVIRONMENT['PATH']}"
    with started([*PYTHON_M, "ask", QUERY], tmp_path, PATH=path) as server:
        assert server.process.wait(300) == 0
        shown = server.log.read_text()
        assert "The GPU here (12 GB) could run Llama 3.1 8B: `make gpu` installs LMDeploy." in shown
        assert "131.95" in shown
        assert not is_ready(server.url)
