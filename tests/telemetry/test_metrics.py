"""What happens is counted once, in any protocol, under the names that the dashboard asks for."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from scripted_engine import Fails
from scripted_server import ScriptedServer, calls, fails, says
from served import Served, chat
from v1_client import CHAT, USER, Serve, post, serving

from function_calling.errors import EngineError
from function_calling.telemetry import metrics

v1 = pytest.fixture(serving)
DASHBOARD = Path(__file__).resolve().parents[2] / "deploy/grafana/dashboard.json"
ANSWER = "The converted amount of 42 US dollars to Canadian dollars is 131.95."
QUERY = "I want to exchange 42 US dollars to Canadian dollars"
ARGUMENTS = {"from_currency": "USD", "to_currency": "CAD", "amount": 42}


class Counted:
    """How much samples have grown since this was made."""

    def __init__(self) -> None:
        self._before = dict(samples())

    def __getitem__(self, sample: str) -> float:
        return dict(samples()).get(sample, 0.0) - self._before.get(sample, 0.0)


def samples() -> Iterator[tuple[str, float]]:
    """Each sample of this process, named as in a query, and its value."""
    for family in REGISTRY.collect():
        for each in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in each.labels.items())
            yield f"{each.name}{{{labels}}}" if labels else each.name, each.value


@pytest.mark.parametrize(
    ("path", "body", "stream"),
    [
        (CHAT, {"messages": [USER]}, True),
        (CHAT, {"messages": [USER]}, False),
        ("/completions", {"prompt": "42 USD?"}, False),
        ("/messages", {"messages": [USER], "max_tokens": 50}, True),
        ("/responses", {"input": "42 USD?"}, True),
    ],
)
async def test_a_reply_is_counted_once(
    v1: Serve, path: str, body: dict[str, object], stream: bool
) -> None:
    """In every protocol, whole or streamed: its tokens, its times, and how it ended."""
    engine = v1("It is 131.95.")
    counted = Counted()
    assert (await post({"model": "scripted", "stream": stream, **body}, path)).status_code == 200
    assert counted["llama_prompt_tokens_total"] == len(engine.prompts[0].split())
    assert counted["llama_generation_tokens_total"] == 5
    assert counted['llama_request_success_total{finished_reason="stop"}'] == 1
    for each in ("time_to_first_token", "time_per_output_token", "e2e_request_latency"):
        assert counted[f"llama_{each}_seconds_count"] == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EngineError("full", code="engine_overloaded", status=503), "engine_overloaded"),
        (RuntimeError("broke"), "500"),
    ],
)
async def test_a_refusal_is_counted_by_its_reason(v1: Serve, error: Exception, reason: str) -> None:
    """Whole, or before a stream has begun, or in the middle of it."""
    for stream, said in ((False, ""), (True, ""), (True, "It is")):
        v1(Fails(error, said))
        counted = Counted()
        await post({"messages": [USER], "stream": stream})
        assert counted[f'llama_requests_refused_total{{reason="{reason}"}}'] == 1
        assert counted["llama_e2e_request_latency_seconds_count"] == 0


def test_a_query_is_counted(app: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rounds, its tools and how its answer came to be trusted; a made-up tool has no name."""
    right, wrong = ("convert_currency", ARGUMENTS), ("convert_currency", {"amount": 42})
    server = ScriptedServer(calls(wrong, ("zanzibar", {}), right), says(ANSWER), fails(400, "no"))
    http = app.use(monkeypatch, server.client())
    counted = Counted()
    chat(http, [{"role": "user", "content": QUERY}])
    assert http.post("/exchange", json={"query": QUERY}).status_code == 400
    assert counted["assistant_rounds_sum"] == 2
    assert counted['assistant_grounding_total{result="ok"}'] == 1
    assert counted['assistant_errors_total{status="400"}'] == 1
    name = "assistant_tool_calls_total"
    assert counted[f'{name}{{tool="convert_currency",outcome="ok"}}'] == 1
    assert counted[f'{name}{{tool="convert_currency",outcome="wrong_call"}}'] == 1
    assert counted[f'{name}{{tool="unknown",outcome="wrong_call"}}'] == 1


def test_the_dashboard_asks_for_what_is_there() -> None:
    """Every metric that a query names is registered, by us or by BentoML, or the engine's load."""
    known = {name.partition("{")[0] for name, _ in samples()}
    known |= {f"{family.name}_total" for family in REGISTRY.collect() if family.type == "counter"}
    load = dict(each.split() for each in metrics.load(3, 2).splitlines() if each[0] != "#")
    assert load == {"llama_num_requests_running": "3", "llama_num_requests_waiting": "2"}
    known |= load.keys()
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = set(re.findall(r"\b(?:llama|assistant)_\w+", " ".join(asked)))
    assert named
    assert named <= known
