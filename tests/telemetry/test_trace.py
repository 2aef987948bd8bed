"""A query is one trace, from the assistant's door to the model's replies, without its words."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from collector import collecting, depth
from hosts import QUERY, host, until

from function_calling.errors import SettingsError
from function_calling.telemetry.tracing import export

NESTED = [
    (0, "ExchangeAssistant", "POST /exchange"),
    (1, "ExchangeAssistant", "invoke_agent ExchangeAssistant"),
    (2, "ExchangeAssistant", "chat scripted"),
    (3, "Llama", "POST /v1/chat/completions"),
    (4, "Llama", "chat scripted"),
    (2, "ExchangeAssistant", "execute_tool convert_currency"),
    (2, "ExchangeAssistant", "chat scripted"),
    (3, "Llama", "POST /v1/chat/completions"),
    (4, "Llama", "chat scripted"),
]


@pytest.mark.serve
@pytest.mark.timeout(600)
def test_a_query_is_one_trace_over_both_services(tmp_path: Path) -> None:
    """Its spans nest as the work does, and tell of models, tools and tokens, not what was said."""
    with ExitStack() as stack:
        collector = stack.enter_context(collecting())
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        llama = stack.enter_context(host(tmp_path, "scripted_llama:Llama", "127.0.0.1", **told))
        told["LLAMA_URL"] = llama.url
        assistant = stack.enter_context(
            host(tmp_path, "service:ExchangeAssistant", "127.0.0.1", **told)
        )
        for each in (llama, assistant):
            each.wait_ready()
        assert assistant.exchange().status_code == 200
        # Each service exports on its own.
        names = {name for *_, name in NESTED}
        until(lambda: names <= {each.name for each in collector.spans}, 20)
        until(lambda: len(collector.traced(NESTED[1][2])) >= len(NESTED), 20)
    trace = collector.traced(NESTED[1][2])
    assert [(depth(each, trace), each.service, each.name) for each in trace] == NESTED
    # A stream of many events has two more spans, for its begin and its end.
    sent = [each for each in collector.spans if each.name == f"{NESTED[3][2]} http send"]
    assert len([each for each in sent if each.trace == trace[0].trace]) == 4
    agent, first, tool = trace[1], trace[2], trace[5]
    assert agent.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert first.attributes["gen_ai.request.model"] == "scripted"
    assert first.attributes["gen_ai.usage.output_tokens"] > 0
    assert trace[4].attributes["gen_ai.provider.name"] == "function-calling"
    assert tool.attributes["gen_ai.tool.name"] == "convert_currency"
    assert tool.attributes["gen_ai.tool.call.id"]
    assert QUERY.encode() not in b"".join(collector.bodies)


def test_where_spans_go_is_opentelemetrys_to_say() -> None:
    """Nowhere by default; a share that is none is refused at start."""
    assert export({}) == {}
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    assert export(where)["sample_rate"] == 1
    assert export(where | {"OTEL_TRACES_SAMPLER_ARG": "0.1"})["sample_rate"] == 0.1
    for wrong in ("all", "2", "nan"):
        with pytest.raises(SettingsError, match=f"OTEL_TRACES_SAMPLER_ARG='{wrong}': wanted a num"):
            export(where | {"OTEL_TRACES_SAMPLER_ARG": wrong})
