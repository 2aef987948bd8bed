"""The benchmark of forced calls: what it asks of `/v1`, and what it calls valid."""

import json
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient
from v1_client import Serve, serving
from walking_engine import walking_model

from benchmarks.forced_calls import main, requests
from function_calling.formats import FORMATS
from openai_endpoints import openai_api_app

serve = pytest.fixture(serving)


@pytest.mark.parametrize("api", [[], ["--responses"]], ids=["chat", "responses"])
def test_it_passes_where_all_calls_are_valid(
    serve: Serve, capsys: pytest.CaptureFixture[str], api: list[str]
) -> None:
    """On the real `/v1`, over random bytes; its table has a line for each format."""
    serve(make=lambda _: walking_model())
    app = TestClient(openai_api_app)

    def handle(request: httpx2.Request) -> httpx2.Response:
        response = app.post(request.url.path.removeprefix("/v1"), content=request.content)
        return httpx2.Response(response.status_code, content=response.content)

    arguments = ["--calls", "6", "--seed", "3", "--concurrency", "2", *api]
    assert main(arguments, httpx2.MockTransport(handle)) == 0
    report = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert [line.split()[:3] for line in report] == [
        ["format", "calls", "valid"],
        *([form, "6", "6"] for form in FORMATS),
    ]


def answer(request: httpx2.Request, **changes: Any) -> httpx2.Response:
    """A reply that calls the first tool without arguments, but for what is changed."""
    body = json.loads(request.content)
    function = {"name": body["tools"][0]["function"]["name"], "arguments": "{}"}
    message = {"tool_calls": [{"function": function | changes.get("function", {})}]}
    message["tool_calls"] *= changes.get("calls", 1)
    choice = {"message": message, "finish_reason": changes.get("reason", "tool_calls")}
    return httpx2.Response(changes.get("status", 200), json={"choices": [choice]})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"function": {"arguments": "[]"}}, "[] is not of type 'object'"),
        ({"function": {"arguments": "NaN"}}, "ValueError: expected value"),
        ({"function": {"name": "other"}}, "calls 'other'"),
        ({"calls": 2}, "2 calls, finish_reason tool_calls"),
        ({"status": 500}, "status 500"),
    ],
    ids=str,
)
def test_each_call_that_is_not_valid_is_told(
    changes: dict[str, Any], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the schemas and what came, so that it can be tried again."""
    server = httpx2.MockTransport(lambda request: answer(request, **changes))
    assert main(["--calls", "8", "--formats", "hermes"], server) == 1
    report = capsys.readouterr().out
    assert f": {problem}" in report
    assert '"schemas": {"' in report


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (httpx2.ReadError("reset"), 1, "hermes-1: ReadError: reset"),
        (httpx2.ConnectError("gone"), 2, "No server answers at http://127.0.0.1:3001 (gone).\n"),
    ],
)
def test_a_server_that_breaks_off_or_is_not_there_is_told(
    error: Exception, status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one is an invalid call, the other no run at all."""

    def handle(_: httpx2.Request) -> httpx2.Response:
        raise error

    arguments = ["--calls", "2", "--formats", "hermes"]
    assert main(arguments, httpx2.MockTransport(handle)) == status
    assert told in "".join(capsys.readouterr())


def test_each_tool_of_an_offer_is_called_or_may_be() -> None:
    """A named choice leaves one tool that may be called; no two are sampled alike."""
    asked = requests(["hermes"], calls=10, seed=5)
    may_be_called = [list(request.schemas) for request in asked]
    for every, *named in may_be_called[:4], may_be_called[4:8]:
        assert [[name] for name in every[1:]] == named
    assert [len(names) for names in may_be_called[8:]] == [4, 1]
    tools = [request.tools for request in asked]
    assert tools[0] == tools[3] != tools[4] == tools[7] != tools[8] == tools[9]
    assert len({request.seed for request in asked}) == 10
