"""Each request has an id: taken or made, told in the response, logged, and passed on."""

import httpx2
import pytest
from served import Served
from starlette.testclient import TestClient
from v1_client import CHAT, USER, Serve, serving

import service
from function_calling.agent.model_call import llama_client
from function_calling.door.request_id import RequestId
from function_calling.settings import Settings
from function_calling.telemetry.logs import request_id
from openai_endpoints import openai_api_app

v1 = pytest.fixture(serving)
LONGEST = "x" * 128


@pytest.mark.parametrize("given", [LONGEST, "!~"])
def test_an_id_is_taken(app: Served, given: str) -> None:
    """If it is printable ASCII, up to 128 characters."""
    response = app.http.get("/livez", headers={"x-request-id": given})
    assert response.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", ["x" * 129, "a b", b"caf\xe9", None])
def test_an_id_is_made(app: Served, given: str | bytes | None) -> None:
    """Where there is none, or none that a log can hold; each is another one."""
    headers = {} if given is None else {"x-request-id": given}
    made = {app.http.get("/livez", headers=headers).headers["x-request-id"] for _ in range(2)}
    assert all(len(each) == 32 and each.isalnum() for each in made)
    assert len(made) == 2


def test_every_response_of_the_assistant_tells_it(app: Served) -> None:
    """Whoever answers: BentoML, the page, MCP, or our own check of a body."""
    for method, path, status in (
        ("POST", "/exchange", 400),
        ("GET", "/nowhere", 404),
        ("GET", "/ui", 200),
        ("POST", "/mcp", 400),
    ):
        response = app.http.request(method, path, headers={"x-request-id": "abc"})
        assert (response.headers["x-request-id"], response.status_code) == ("abc", status)


@pytest.mark.parametrize(("path", "stream"), [(CHAT, True), (CHAT, False), ("/nowhere", False)])
def test_every_response_of_the_model_tells_it(v1: Serve, path: str, stream: bool) -> None:
    """Whole or streamed, refused or not; the service has the middleware first."""
    assert service.Llama.middlewares[0] == (RequestId, {})
    v1("Hello", "Hello")
    body = {"messages": [USER], "max_tokens": 5, "stream": stream}
    http = TestClient(RequestId(openai_api_app))
    response = http.post(path, json=body, headers={"x-request-id": "abc"})
    assert response.headers["x-request-id"] == "abc"
    assert response.status_code == (404 if path == "/nowhere" else 200)


async def test_it_is_passed_on_to_the_model() -> None:
    """With the trace, by each request that the assistant's client makes."""
    async with llama_client("http://model", Settings()) as client:
        (hook,) = client._client.event_hooks["request"]
        request = httpx2.Request("GET", "http://model/v1/models")
        before = request_id.set("abc")
        await hook(request)
        request_id.reset(before)
    assert request.headers["x-request-id"] == "abc"
