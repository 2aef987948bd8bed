"""`/v1` in this process, with a scripted model behind it, and the clients that speak to it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
from openai import AsyncOpenAI, OpenAI
from scripted_engine import ScriptedEngine, chatml_model
from starlette.testclient import TestClient

from openai_endpoints import openai_api_app

Serve = Callable[..., ScriptedEngine]
CHAT = "/chat/completions"
USER = {"role": "user", "content": "42 USD?"}
AMOUNT = {
    "type": "object",
    "properties": {"amount": {"type": "integer", "minimum": 42}},
    "required": ["amount"],
}
CONVERT = {"type": "function", "function": {"name": "convert", "parameters": AMOUNT}}
TODAY = {"type": "function", "function": {"name": "today"}}


def serving() -> Iterator[Serve]:
    """A fixture that puts a scripted model behind `/v1` and gives its engine."""
    before = getattr(openai_api_app.state, "chat_model", None)

    def put(*turns: Any, make: Any = chatml_model, piece_length: int = 3) -> ScriptedEngine:
        engine = ScriptedEngine(*turns, piece_length=piece_length)
        openai_api_app.state.chat_model = make(engine)
        return engine

    yield put
    openai_api_app.state.chat_model = before


def http() -> httpx2.AsyncClient:
    """A plain client of the app in this process; its paths may begin with `/v1`."""
    transport = httpx2.ASGITransport(openai_api_app, raise_app_exceptions=False, root_path="/v1")
    return httpx2.AsyncClient(transport=transport, base_url="http://llama")


def client() -> AsyncOpenAI:
    """OpenAI's client of the app in this process."""
    return AsyncOpenAI(base_url="http://llama", api_key="none", max_retries=0, http_client=http())


def sync_client() -> OpenAI:
    """The same, as programs without `async` use it."""
    app = TestClient(openai_api_app, base_url="http://llama")
    return OpenAI(base_url="http://llama", api_key="none", max_retries=0, http_client=app)


async def post(body: Any, path: str = CHAT) -> httpx2.Response:
    """The response to a body, JSON or not."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with http() as plain:
        return await plain.post(path, content=content)


async def error_of(body: Any, path: str = CHAT) -> tuple[int, dict[str, Any]]:
    """Status and error object of a refusal."""
    response = await post(body, path)
    assert set(response.json()) == {"error"}
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return response.status_code, error


async def is_refused(body: Any, param: str | None, told: str, path: str = CHAT) -> None:
    """Whether it is a 400 that names the parameter, its value and what was wanted."""
    status, error = await error_of(body, path)
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert error["param"] == param
    assert told in error["message"]


async def choice_of(body: dict[str, Any], path: str = CHAT) -> dict[str, Any]:
    """The one choice of a whole reply."""
    response = await post(body, path)
    assert response.status_code == 200, response.text
    (choice,) = response.json()["choices"]
    return dict(choice)


async def streamed_choices(body: dict[str, Any], path: str = CHAT) -> list[dict[str, Any]]:
    """The choice of each chunk of a stream."""
    return [dict(event["choices"][0]) for event in await events_of(body, path)]


async def events_of(body: dict[str, Any], path: str = CHAT) -> list[Any]:
    """The events of a stream, which must end as OpenAI's do."""
    response = await post({**body, "stream": True}, path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    *events, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


async def named_events(body: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """The events of a stream that tells each one's name before it."""
    response = await post({**body, "stream": True}, path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    *frames, rest = response.text.split("\n\n")
    assert rest == ""
    events = []
    for frame in frames:
        name, data = frame.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def without_head(events: list[Any]) -> list[Any]:
    """Chunks without the id and the time that all of them share."""
    assert len({(event["id"], event["created"]) for event in events}) == 1
    return [{k: v for k, v in event.items() if k not in {"id", "created"}} for event in events]


def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    """A chat chunk as it must be, but for its head."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
    return {"object": "chat.completion.chunk", "model": "scripted", "choices": [choice]}
