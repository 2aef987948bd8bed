"""Whatever is sent to either service, none of its routes fails, hangs or tells of the code."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest
from fuzzing import HEADERS, METHODS, PATHS, SECONDS, TEXT, bodies, cases, odd_model
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI
from served import assistant_app
from starlette.testclient import TestClient
from v1_client import CONVERT, USER, http

from function_calling.api.anthropic import CountRequest, MessagesRequest
from function_calling.api.completions import ChatRequest, CompletionRequest
from function_calling.api.request import ApiRequest
from function_calling.api.responses import ResponsesRequest
from function_calling.formats import FORMATS
from openai_endpoints import openai_api_app

pytestmark = pytest.mark.timeout(3600)

CALL = {"id": "a", "type": "function", "function": {"name": "convert", "arguments": "{}"}}
CALLED: list[Any] = [
    USER,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "a", "content": "131.95"},
]
PARAMETERS = CONVERT["function"]["parameters"]  # type: ignore[index]
JSON_OBJECT = {"type": "json_schema", "json_schema": {"name": "x", "schema": PARAMETERS}}
CHATS: list[Any] = [
    {"messages": [USER], "stream": True, "stream_options": {"include_usage": True}, "n": 2},
    {"messages": [USER], "tools": [CONVERT], "tool_choice": "required", "seed": 1, "stop": ["x"]},
    {"messages": CALLED, "tools": [CONVERT], "stream": True, "logprobs": True, "top_logprobs": 2},
    {"messages": [USER], "response_format": JSON_OBJECT, "logit_bias": {"5": 1}, "max_tokens": 9},
    {"messages": [USER], "functions": [CONVERT["function"]], "function_call": "auto"},
    *({"messages": CALLED, "tools": [CONVERT], "tool_format": name} for name in FORMATS),
]
FLAT = {"type": "function", "name": "convert", "parameters": PARAMETERS}
RESPONSES: list[Any] = [
    {"input": "42 USD?", "stream": True, "reasoning": {"effort": "none"}, "include": []},
    {"input": [USER], "tools": [FLAT], "tool_choice": "required", "stream": True},
    {
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "42 USD?"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "function_call", "call_id": "a", "name": "convert", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "131.95"},
        ],
        "text": {"format": {"type": "json_schema", "name": "x", "schema": PARAMETERS}},
    },
]
OWN = {"name": "convert", "input_schema": PARAMETERS}
USED = {"type": "tool_use", "id": "a", "name": "convert", "input": {}}
TOLD = {"type": "tool_result", "tool_use_id": "a", "content": "131.95"}
RESULT = [USER, {"role": "assistant", "content": [USED]}, {"role": "user", "content": [TOLD]}]
SYSTEM = [{"type": "text", "text": "x"}]
MESSAGES: list[Any] = [
    {"messages": [USER], "max_tokens": 20, "stream": True, "system": SYSTEM},
    {"messages": [USER], "max_tokens": 20, "tools": [OWN], "tool_choice": {"type": "any"}},
    {"messages": RESULT, "max_tokens": 20, "tools": [OWN], "thinking": {"type": "disabled"}},
]
COMPLETIONS = [{"prompt": "Once", "n": 2}, {"prompt": ["a", "b"], "stream": True, "logprobs": 1}]
RIGHTS: list[tuple[str, type[ApiRequest], list[Any]]] = [
    ("/chat/completions", ChatRequest, CHATS),
    ("/completions", CompletionRequest, COMPLETIONS),
    ("/responses", ResponsesRequest, RESPONSES),
    ("/responses/input_tokens", ResponsesRequest, RESPONSES),
    ("/messages", MessagesRequest, MESSAGES),
    ("/messages/count_tokens", CountRequest, MESSAGES),
]
TURNS = [
    {"messages": [USER]},
    {"messages": CALLED[:2], "approvals": {"a": True}},
    {"messages": [{"role": "system", "content": "Be brief."}, *CALLED, USER]},
]
QUERIES = [{"query": "42 USD in CAD?"}, {"query": "½ pound in yen, 3万5000円 in euros"}]
QUESTIONS = TEXT.filter(str.strip).map(lambda text: json.dumps({"query": text}).encode())
CLIENT = {"clientInfo": {"name": "x", "version": "1"}, "capabilities": {}}
METHOD_PARAMS = {
    "tools/list": {},
    "initialize": {"protocolVersion": "2025-06-18", **CLIENT},
    "tools/call": {"name": "calculate", "arguments": {"expression": "6*7"}},
}
RPC = [
    {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    for method, params in METHOD_PARAMS.items()
]
MCP_HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
ASKED = [
    *(("model", path, bodies(rights, kind.model_fields), {}) for path, kind, rights in RIGHTS),
    ("assistant", "/chat", bodies(TURNS, ["approvals"]), {}),
    ("assistant", "/exchange", bodies(QUERIES) | QUESTIONS, {}),
    ("assistant", "/mcp", bodies(RPC), {"host": "localhost", **MCP_HEADERS}),
]


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[str, TestClient]]:
    """`/v1`, whose model says odd things, and the assistant, which asks that model."""
    openai_api_app.state.chat_model = odd_model()
    with assistant_app(max_rounds=3, tools="currency,todo") as served:
        served.assistant.client = AsyncOpenAI(
            base_url="http://llama", api_key="x", max_retries=0, http_client=http(), timeout=SECONDS
        )
        model = TestClient(openai_api_app, raise_server_exceptions=False)
        yield {"model": model, "assistant": served.http}
    openai_api_app.state.chat_model = None


def is_sound(response: httpx2.Response, *, ours: bool = True) -> None:
    """Whether it is no failure, tells nothing of the code, and is an error of ours only in JSON."""
    assert response.status_code < 500, response.text
    assert "Traceback" not in response.text
    assert "its log says why" not in response.text  # what is told of an error in mid-stream
    assert all(map(str.isascii, response.headers.values()))
    if ours and response.status_code in (400, 413, 422):
        json.loads(response.text)


@pytest.mark.parametrize(("service", "path", "body", "headers"), ASKED)
@cases(2)
@given(data=st.data(), more=HEADERS)
def test_any_body_is_answered(
    clients: Mapping[str, TestClient],
    service: str,
    path: str,
    body: Any,
    headers: Any,
    data: st.DataObject,
    more: Any,
) -> None:
    """With a reply, a text, events, JSON-RPC, or a refusal."""
    response = clients[service].post(path, content=data.draw(body), headers=headers | more)
    # Of headers that are wrong, MCP's own package tells in plain text.
    is_sound(response, ours=path != "/mcp")


@pytest.mark.parametrize("service", ["model", "assistant"])
@cases()
@given(method=METHODS, path=PATHS, body=bodies(CHATS + QUERIES), headers=HEADERS)
def test_any_path_is_answered(
    clients: Mapping[str, TestClient],
    service: str,
    method: str,
    path: str,
    body: bytes,
    headers: Any,
) -> None:
    """Also where there is none."""
    is_sound(clients[service].request(method, path, content=body, headers=headers))
