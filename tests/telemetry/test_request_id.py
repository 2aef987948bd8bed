"""Each request has an id: taken or made, told in the response, and passed on (test_bounds.py)."""

import pytest
from served import Served
from starlette.testclient import TestClient
from v1_client import CHAT, USER, Serve, serving

import service
from function_calling.door.request_id import RequestId
from openai_endpoints import openai_api_app

v1 = pytest.fixture(serving)


@pytest.mark.parametrize("given", ["x" * 128, "!~", "x" * 129, "a b", b"caf\xe9", None])
def test_an_id_is_taken_or_made(app: Served, given: str | bytes | None) -> None:
    """Taken if it is printable ASCII, up to 128 characters; else each one is another."""
    headers = {} if given is None else {"x-request-id": given}
    told = [app.http.get("/livez", headers=headers).headers["x-request-id"] for _ in range(2)]
    if given in ("x" * 128, "!~"):
        assert told == [given] * 2
    else:
        assert all(len(each) == 32 and each.isalnum() for each in told)
        assert told[0] != told[1]


def test_every_response_of_the_assistant_tells_it(app: Served) -> None:
    """Whoever answers: BentoML, the page, MCP, or our own check of a body."""
    for method, path, status in (
        ("POST", "/exchange", 400),
        ("GET", "/nowhere", 404),
        ("GET", "/ui", 200),
        ("POST", "/mcp", 400),
    ):
        response = app.http.request(method, path, headers={"x-request-id": "abc"})
        told = response.headers.get_list("x-request-id")
        assert (told, response.status_code) == (["abc"], status)


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
