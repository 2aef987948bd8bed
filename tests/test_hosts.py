"""Several `Llama` behind a balancer, each on a host of its own."""

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import pytest
from hosts import PATH, QUERY, Host, host, listening, until
from served import assistant_app
from starlette.testclient import TestClient

HAPROXY = shutil.which("haproxy", path=PATH)
pytestmark = [
    pytest.mark.serve,
    pytest.mark.timeout(600),
    pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed: apt-get install haproxy"),
]

ANSWER = "The converted amount of 42 US dollars to Canadian dollars is 131.95."
MODEL_HOSTS = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
BALANCER = "127.0.0.14"
SCRIPTED = "scripted_llama:Llama"


@contextmanager
def balanced(folder: Path, models: list[Host]) -> Iterator[str]:
    """HAProxy as `deploy/haproxy.cfg` has it, in front of `models`; its URL."""
    assert HAPROXY is not None
    servers = {f"LLAMA_{n}": f"{each.address}:{each.port}" for n, each in enumerate(models, 1)}
    bind = f"{BALANCER}:{{port}}"
    command = [HAPROXY, "-f", "deploy/haproxy.cfg"]
    with listening(folder, command, BALANCER, LLAMA_BIND=bind, **servers) as balancer:
        yield balancer.url


@dataclass(frozen=True)
class Cluster:
    """Three model servers behind a balancer, and the assistant, in this process, before it."""

    models: list[Host]
    balancer: str
    http: TestClient

    def exchange(self) -> httpx2.Response:
        """The documented query's response."""
        return self.http.post("/exchange", json={"query": QUERY})

    def answer(self, _: int) -> httpx2.Response:
        """What a client gets that asks once more when it is told to try later."""
        response = self.exchange()
        return self.exchange() if response.status_code in (502, 503) else response


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """All of it, ready."""
    folder = tmp_path_factory.mktemp("hosts")
    with ExitStack() as stack:
        models = [stack.enter_context(host(folder, SCRIPTED, each)) for each in MODEL_HOSTS]
        for each in models:
            each.wait_ready()
        balancer = stack.enter_context(balanced(folder, models))
        app = stack.enter_context(assistant_app(llama_url=balancer))
        yield Cluster(models, balancer, app.http)


def test_three_model_servers_share_the_load(cluster: Cluster) -> None:
    """Each gets its part of the requests."""
    with ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(cluster.answer, range(18)))
    assert [each.text for each in responses] == [ANSWER] * 18
    served = [metric(each, "request_total") for each in cluster.models]
    assert sum(served) == 36
    assert min(served) >= 6


def test_a_model_server_that_dies_costs_no_answer(cluster: Cluster, tmp_path: Path) -> None:
    """Under load; and when none is left, that is said, until one is back."""
    with ThreadPoolExecutor(6) as pool:
        asked: list[Future[httpx2.Response]] = [
            pool.submit(cluster.answer, number) for number in range(30)
        ]
        next(as_completed(asked))
        busy: list[Host] = []
        working = partial(metric, name="request_in_progress")
        until(lambda: busy.extend(filter(working, cluster.models)) or busy, 30)
        victim = busy[0]
        victim.kill()
        responses = [each.result() for each in asked]
    assert [(each.status_code, each.text) for each in responses] == [(200, ANSWER)] * 30

    for each in cluster.models:
        each.kill()
    models = httpx2.get(f"{cluster.balancer}/v1/models", timeout=60)
    assert models.status_code == 503
    assert models.json()["error"]["type"] == "server_error"
    response = cluster.exchange()
    assert response.status_code == 503
    assert response.json()["error"]["message"]

    with host(tmp_path, SCRIPTED, victim.address, victim.port) as back:
        back.wait_ready()
        until(lambda: cluster.exchange().status_code != 503, 30)
        assert cluster.exchange().text == ANSWER


def metric(model: Host, name: str) -> float:
    """One of BentoML's numbers for /v1/chat/completions, whatever the status."""
    lines = httpx2.get(f"{model.url}/metrics").text.splitlines()
    endpoint = 'endpoint="/v1/chat/completions"'
    wanted = (
        line for line in lines if line.startswith(f"bentoml_service_{name}{{") and endpoint in line
    )
    return sum(float(line.split()[-1]) for line in wanted)
