"""Bodies of requests: each wrong one is a 400 that says what is wrong, in OpenAI's shape."""

from collections.abc import Iterator
from typing import Any

import bentoml
import pytest
from scripted_server import ScriptedServer, calls, says
from served import Served, assistant_app

QUERY = "I want to exchange 42 US dollars to Canadian dollars"
USER = {"role": "user", "content": QUERY}
ANSWER = "That is 131.95 Canadian dollars."
ARGUMENTS = {"from_currency": "USD", "to_currency": "CAD", "amount": 42}
RIGHT = calls(("convert_currency", ARGUMENTS)), says(ANSWER)


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    """The service."""
    with assistant_app() as app:
        yield app


@pytest.mark.parametrize(
    ("path", "body", "param", "message"),
    [
        ("/exchange", '{"qury": "42"}', "query", 'query is missing. The body has "qury".'),
        ("/exchange", "{}", "query", "query is missing."),
        ("/exchange", "", None, 'The body is no JSON; wanted an object: {"query": …}.'),
        ("/exchange", '{"query"', None, "The body is no JSON"),
        ("/exchange", "[" * 100_000, None, "The body is no JSON"),
        ("/exchange", b"\xff", None, "The body is no JSON"),
        ("/exchange", "[]", None, "The body is []; wanted an object"),
        ("/exchange", '"Hi"', None, 'The body is "Hi"; wanted an object'),
        ("/exchange", '{"query": 42}', "query", "query is 42; wanted text."),
        ("/exchange", '{"query": null}', "query", "query is null; wanted text."),
        ("/exchange", '{"query": " "}', "query", "query is empty; wanted a question."),
        ("/exchange", '{"query": "42", "n": 1}', "n", '"n" is no field of the body'),
        ("/chat", "{}", "messages", "messages is missing."),
        ("/chat", '{"message": []}', "messages", 'messages is missing. The body has "message".'),
        ("/chat", '{"messages": "Hi"}', "messages", 'messages is "Hi"; wanted a list'),
        ("/chat", '{"messages": []}', "messages", "messages is []; wanted a list of messages."),
        ("/chat", '{"messages": [{}]}', "messages[0].role", "messages[0].role is null"),
        ("/chat", '{"messages": [], "stream": true}', "stream", '"stream" is no field'),
    ],
)
def test_a_wrong_body_is_refused(
    *, app: Served, path: str, body: Any, param: str | None, message: str
) -> None:
    """The text names the field, what is there, and what was wanted."""
    for kind in ("application/json", "multipart/form-data; boundary=x"):
        response = app.http.post(path, content=body, headers={"content-type": kind})
        assert response.status_code == 400, response.text
        error = response.json()["error"]
        assert error["message"].startswith(message)
        assert (error["type"], error["param"], error["code"]) == (
            *("invalid_request_error", param, None),
        )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (f'{{"query": "{QUERY}"}}'.encode(), "application/json; charset=utf-8"),
        (f'{{"query": "{QUERY}"}}'.encode(), "application/x-www-form-urlencoded"),
        (f'{{"query": "{QUERY}"}}'.encode("utf-16"), "application/json"),
        (f'{{"query": "{QUERY} \\ud83d"}}'.encode(), "application/json"),
    ],
)
def test_a_right_body_is_answered(
    app: Served, monkeypatch: pytest.MonkeyPatch, body: bytes, kind: str
) -> None:
    """Whatever it says that it is, in any encoding of JSON, and with half a character in it."""
    http = app.use(monkeypatch, ScriptedServer(*RIGHT).client())
    response = http.post("/exchange", content=body, headers={"content-type": kind})
    assert (response.status_code, response.text) == (200, ANSWER)


def test_bentomls_own_client_is_answered(app: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """On both routes, with what it sends."""
    http = app.use(monkeypatch, ScriptedServer(*RIGHT, *RIGHT).client())
    monkeypatch.setattr(bentoml.SyncHTTPClient, "client", http, raising=False)
    client = bentoml.SyncHTTPClient("http://testserver", server_ready_timeout=0)
    assert client.exchange(query=QUERY) == ANSWER
    assert '"type":"done"' in "".join(client.chat(messages=[USER]))


def test_other_paths_and_methods_are_not_looked_at(app: Served) -> None:
    """They are BentoML's."""
    assert app.http.get("/livez").status_code == 200
    assert app.http.get("/exchange").status_code == 405
