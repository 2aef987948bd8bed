"""Assistant and `Llama` on hosts of their own, joined by settings; several `Llama` balanced."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from hosts import PATH, ROOT, Host, host, listening

pytestmark = [pytest.mark.serve, pytest.mark.timeout(600)]

ANSWER = "The converted amount of 42 US dollars to Canadian dollars is 131.95."
MODEL_HOSTS = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
BALANCER = "127.0.0.14"
ASSISTANT = "127.0.0.15"
SCRIPTED, EXCHANGE = "scripted_llama:Llama", "service:ExchangeAssistant"
HAPROXY = shutil.which("haproxy", path=PATH)

needs_haproxy = pytest.mark.skipif(
    HAPROXY is None, reason="HAProxy is not installed: apt-get install haproxy"
)

READ_AHEAD = 1
"""The request with which an assistant has its prompt read before it is ready."""


def test_two_hosts_are_joined_by_one_setting(tmp_path: Path) -> None:
    """`LLAMA_URL` names the model's host; neither listens anywhere but on its own address."""
    with ExitStack() as stack:
        llama = stack.enter_context(host(tmp_path, SCRIPTED, MODEL_HOSTS[0]))
        assistant = stack.enter_context(host(tmp_path, EXCHANGE, ASSISTANT, LLAMA_URL=llama.url))
        for each in (llama, assistant):
            each.wait_ready()
            with socket.socket() as elsewhere:
                assert elsewhere.connect_ex(("127.0.0.1", each.port))
        response = assistant.exchange()
        assert (response.status_code, response.text) == (200, ANSWER)
        assert requests_served(llama) == READ_AHEAD + 2
        llama.kill()
        response = assistant.exchange()
        assert response.status_code == 503
        assert "can't be reached" in response.json()["error"]["message"]


@dataclass(frozen=True)
class Cluster:
    """Three model servers behind a balancer, and an assistant in front of it."""

    models: list[Host]
    assistant: Host
    balancer: str

    def answer(self, _: int) -> httpx2.Response:
        """What a client gets that asks once more when it is told to try later."""
        response = self.assistant.exchange()
        if response.status_code in (502, 503):
            response = self.assistant.exchange()
        return response


@contextmanager
def balanced(
    folder: Path, models: list[Host], file: Path = ROOT / "deploy/haproxy.cfg"
) -> Iterator[str]:
    """HAProxy as `file` has it, in front of `models`; its URL."""
    assert HAPROXY is not None
    servers = {f"LLAMA_{n}": f"{each.address}:{each.port}" for n, each in enumerate(models, 1)}
    bind = f"{BALANCER}:{{port}}"
    command = [HAPROXY, "-f", str(file)]
    with listening(folder, command, BALANCER, LLAMA_BIND=bind, **servers) as balancer:
        yield balancer.url


def ready_models(stack: ExitStack, folder: Path, addresses: tuple[str, ...]) -> list[Host]:
    """A scripted model server on each of the addresses."""
    models = [stack.enter_context(host(folder, SCRIPTED, each)) for each in addresses]
    for each in models:
        each.wait_ready()
    return models


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """All of it, ready."""
    with ExitStack() as stack:
        models = ready_models(stack, tmp_path, MODEL_HOSTS)
        balancer = stack.enter_context(balanced(tmp_path, models))
        assistant = stack.enter_context(host(tmp_path, EXCHANGE, ASSISTANT, LLAMA_URL=balancer))
        assistant.wait_ready()
        yield Cluster(models, assistant, balancer)


@needs_haproxy
def test_three_model_servers_share_the_load(cluster: Cluster) -> None:
    """Each gets its part of the requests."""
    with ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(cluster.answer, range(18)))
    assert [each.text for each in responses] == [ANSWER] * 18
    served = [requests_served(each) for each in cluster.models]
    assert sum(served) == READ_AHEAD + 36
    assert min(served) >= 6


@needs_haproxy
def test_a_model_server_that_dies_costs_no_answer(cluster: Cluster, tmp_path: Path) -> None:
    """Under load; and when none is left, that is said, until one is back."""
    with ThreadPoolExecutor(6) as pool:
        asked: list[Future[httpx2.Response]] = [
            pool.submit(cluster.answer, number) for number in range(30)
        ]
        next(as_completed(asked))
        victim = busy_one(cluster.models)
        victim.kill()
        responses = [each.result() for each in asked]
    assert [(each.status_code, each.text) for each in responses] == [(200, ANSWER)] * 30

    for each in cluster.models:
        each.kill()
    models = httpx2.get(f"{cluster.balancer}/v1/models", timeout=60)
    assert models.status_code == 503
    assert models.json()["error"]["type"] == "server_error"
    response = cluster.assistant.exchange()
    assert response.status_code == 503
    assert response.json()["error"]["message"]

    with host(tmp_path, SCRIPTED, victim.address, victim.port) as back:
        back.wait_ready()
        until = time.monotonic() + 30
        while (response := cluster.assistant.exchange()).status_code == 503:
            assert time.monotonic() < until
            time.sleep(0.2)
        assert response.text == ANSWER


CONNECTIONS = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 300s
    timeout server 300s
listen models
    bind "${LLAMA_BIND}"
    balance roundrobin
    server one "${LLAMA_1}"
    server two "${LLAMA_2}"
"""


@needs_haproxy
def test_a_balancer_of_connections_shares_the_load_too(tmp_path: Path) -> None:
    """As a Service of Kubernetes is, which never looks into a connection."""
    file = tmp_path / "haproxy.cfg"
    file.write_text(CONNECTIONS)
    with ExitStack() as stack:
        models = ready_models(stack, tmp_path, MODEL_HOSTS[:2])
        balancer = stack.enter_context(balanced(tmp_path, models, file))
        settings = {"LLAMA_URL": balancer, "LLAMA_MODEL": "scripted"}
        assistant = stack.enter_context(host(tmp_path, EXCHANGE, ASSISTANT, **settings))
        assistant.wait_ready()
        for _ in range(4):
            assert assistant.exchange().text == ANSWER
        assert min(requests_served(each) for each in models) >= 2


@needs_haproxy
def test_the_balancers_file_is_right() -> None:
    """HAProxy says so itself, without a warning."""
    addresses = {f"LLAMA_{n}": f"127.0.0.1:{3000 + n}" for n in (1, 2, 3)}
    checked = subprocess.run(
        [str(HAPROXY), "-c", "-f", str(ROOT / "deploy/haproxy.cfg")],
        env={"LLAMA_BIND": "127.0.0.1:3001"} | addresses,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def requests_served(model: Host) -> int:
    """How many completions a server has answered."""
    return int(metric(model, "bentoml_service_request_total"))


def busy_one(models: list[Host]) -> Host:
    """A server that is at a completion now."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for each in models:
            if metric(each, "bentoml_service_request_in_progress"):
                return each
    pytest.fail("no model server gets a request")


def metric(model: Host, name: str) -> float:
    """One of BentoML's numbers for /v1/chat/completions, whatever the status."""
    lines = httpx2.get(f"{model.url}/metrics").text.splitlines()
    endpoint = 'endpoint="/v1/chat/completions"'
    wanted = (line for line in lines if line.startswith(f"{name}{{") and endpoint in line)
    return sum(float(line.split()[-1]) for line in wanted)
