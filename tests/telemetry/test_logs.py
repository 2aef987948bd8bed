"""What is logged tells its request, and nothing of what was asked, or of a key."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
from scripted_engine import Fails
from scripted_server import ScriptedServer, calls, fails, says
from served import Served
from starlette.testclient import TestClient
from v1_client import CHAT, CONVERT, Serve, serving

from function_calling.door.request_id import RequestId
from function_calling.errors import EngineError
from function_calling.telemetry.logs import configure
from openai_endpoints import openai_api_app

v1 = pytest.fixture(serving)
MARK, KEY = "zanzibar", "sk-quagga"
ASKED = [{"role": "user", "content": f"What are 42 {MARK} dollars in euros?"}]
HEADERS = {"authorization": f"Bearer {KEY}", "x-request-id": "abc-1"}
Read = Callable[[], str]


@pytest.fixture(params=["text", "json"])
def logged(request: pytest.FixtureRequest) -> Iterator[tuple[str, Read]]:
    """The format, and all that is logged in it from the default level up."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(), logging.getLogger("bentoml")]
    for each in loggers:
        each.addHandler(handler)
    before = logging.getLogger("bentoml").level
    logging.getLogger("bentoml").setLevel(logging.INFO)
    configure(request.param)
    yield request.param, stream.getvalue
    logging.getLogger("bentoml").setLevel(before)
    for each in loggers:
        each.removeHandler(handler)


def test_neither_prompt_nor_key_is_logged(
    app: Served, v1: Serve, logged: tuple[str, Read], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through both doors: answers, refusals, and what fails unforeseen, in streams too.

    A path that is told ends no line.
    """
    form, read = logged
    turns = [calls(("convert_currency", {"amount": MARK})), says(f"{MARK} is 7.")]
    server = ScriptedServer(*turns, *turns, says(""), says(""), fails(500, "no"), fails(401, KEY))
    http = app.use(monkeypatch, server.client())
    for query in (ASKED[0]["content"], MARK * 1000, 7):
        http.post(f"/exchange?key={KEY}", json={"query": query}, headers=HEADERS)
    http.post("/chat", json={"messages": ASKED}, headers=HEADERS)
    http.get("/%0Aforged", headers=HEADERS)
    v1("Hello", "Hello", Fails(EngineError(MARK)), Fails(RuntimeError("broke"), "He"))
    model = TestClient(RequestId(openai_api_app), raise_server_exceptions=False)
    for stream in (False, True):
        for more in ({}, {"tools": [CONVERT]}, {"temperature": MARK}):
            body = {"messages": ASKED, "stream": stream, **more}
            model.post(f"{CHAT}?key={KEY}", json=body, headers=HEADERS)
    told = read()
    assert "/exchange" in told
    assert "failed" in told
    assert "\\nforged" in told
    assert "\nforged" not in told
    assert MARK not in told
    assert KEY not in told
    if form == "json":
        lines = [json.loads(line) for line in told.splitlines()]
        assert {each["request_id"] for each in lines} == {"abc-1"}
        assert {"time", "level", "logger", "message"} <= lines[0].keys()
        assert [each for each in lines if "RuntimeError: broke" in each.get("exception", "")]
