"""Whatever is sent to either service, none of its routes fails, hangs or tells of the code."""

import asyncio
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
RIGHTS: Mapping[str, tuple[type[ApiRequest], list[Any]]] = {
    "/chat/completions": (ChatRequest, CHATS),
    "/completions": (CompletionRequest, COMPLETIONS),
    "/responses": (ResponsesRequest, RESPONSES),
    "/responses/input_tokens": (ResponsesRequest, RESPONSES),
    "/messages": (MessagesRequest, MESSAGES),
    "/messages/count_tokens": (CountRequest, MESSAGES),
}
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
    ("/chat", bodies(TURNS, ["approvals"]), {}),
    ("/exchange", bodies(QUERIES) | QUESTIONS, {}),
    ("/mcp", bodies(RPC), {"host": "localhost", **MCP_HEADERS}),
]


@pytest.fixture(scope="module", autouse=True)
def _model() -> Iterator[None]:
    """A model that says odd things, behind `/v1`."""
    openai_api_app.state.chat_model = odd_model()
    yield
    openai_api_app.state.chat_model = None


@pytest.fixture(scope="module")
def assistant(_model: None) -> Iterator[TestClient]:
    """The assistant, which asks that model."""
    with assistant_app(max_rounds=3, tools="currency,todo") as served:
        served.assistant.client = model_client()
        yield served.http


def model_client() -> AsyncOpenAI:
    """The client of `/v1` in this process."""
    return AsyncOpenAI(
        base_url="http://llama", api_key="x", max_retries=0, http_client=http(), timeout=SECONDS
    )


def is_sound(response: httpx2.Response, *, ours: bool = True) -> None:
    """Whether it is no failure, tells nothing of the code, and is an error of ours only in JSON."""
    assert response.status_code < 500, response.text
    assert "Traceback" not in response.text
    assert "its log says why" not in response.text  # what is told of an error in mid-stream
    assert all(map(str.isascii, response.headers.values()))
    if ours and response.status_code in (400, 413, 422):
        json.loads(response.text)


@pytest.mark.parametrize("path", RIGHTS)
@cases(2)
@given(data=st.data(), headers=HEADERS)
async def test_v1_answers_any_body(path: str, data: st.DataObject, headers: Any) -> None:
    """With a reply, or with a refusal."""
    wanted, rights = RIGHTS[path]
    await is_sound_on_v1("POST", path, data.draw(bodies(rights, wanted.model_fields)), headers)


@cases()
@given(method=METHODS, path=PATHS, body=bodies(CHATS), headers=HEADERS)
async def test_v1_answers_on_any_path(method: str, path: str, body: bytes, headers: Any) -> None:
    """Also where there is none."""
    await is_sound_on_v1(method, path, body, headers)


async def is_sound_on_v1(method: str, path: str, body: bytes, headers: Any) -> None:
    """Whether the answer is, and comes in time."""
    async with http() as client, asyncio.timeout(SECONDS):
        is_sound(await client.request(method, path, content=body, headers=headers))


@pytest.mark.parametrize(("path", "body", "headers"), ASKED)
@cases(2)
@given(data=st.data(), more=HEADERS)
def test_the_assistant_answers_any_body(
    assistant: TestClient, path: str, body: Any, headers: Any, data: st.DataObject, more: Any
) -> None:
    """A text, events, JSON-RPC, or a refusal."""
    response = assistant.post(path, content=data.draw(body), headers=headers | more)
    # Of headers that are wrong, MCP's own package tells in plain text.
    is_sound(response, ours=path != "/mcp")


@cases()
@given(method=METHODS, path=PATHS, body=bodies(QUERIES), headers=HEADERS)
def test_the_assistant_answers_on_any_path(
    assistant: TestClient, method: str, path: str, body: bytes, headers: Any
) -> None:
    """Also where there is none."""
    is_sound(assistant.request(method, path, content=body, headers=headers))
