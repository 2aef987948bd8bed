"""`POST /exchange` and `POST /chat` over HTTP, with a scripted model behind the real client."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import bentoml
import pytest
from scripted_server import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    ScriptedServer,
    Turn,
    calls,
    fails,
    says,
)
from served import KNOWN, LEAKS, Served
from starlette.testclient import TestClient

import service
from function_calling.agent.messages import MOST_MESSAGES, read_messages
from function_calling.agent.model_call import llama_client
from function_calling.errors import SettingsError
from function_calling.settings import Settings

QUERY = "I want to exchange 42 US dollars to Canadian dollars"
ANSWER = "The converted amount of 42 US dollars to Canadian dollars is 131.95."
ARGUMENTS = {"from_currency": "USD", "to_currency": "CAD", "amount": 42}
RIGHT = calls(("convert_currency", ARGUMENTS))
USER = {"role": "user", "content": QUERY}

Serve = Callable[..., TestClient]


@pytest.fixture
def served(app: Served, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """The service, with a model that plays the turns given, under the settings given."""

    def serve(*turns: Turn, **settings: Any) -> TestClient:
        return app.use(monkeypatch, ScriptedServer(*turns).client(), **settings)

    return serve


def ask(client: TestClient, query: str = QUERY) -> Any:
    """Post a query; whatever comes back shows nothing of the code, nor what models are told."""
    response = client.post("/exchange", json={"query": query})
    assert not [leak for leak in LEAKS if leak in response.text]
    return response


@pytest.mark.parametrize(
    ("path", "kind"),
    [("embeddings", "invalid_request_error"), ("messages/batches", "not_found_error")],
)
def test_an_unknown_path_of_v1_is_an_error_in_the_protocols_shape(path: str, kind: str) -> None:
    """As BentoML serves it."""
    here: Any = {"base_url": "http://localhost", "client": ("127.0.0.1", 50000)}
    response = TestClient(service.Llama.to_asgi(), **here).post(f"/v1/{path}", json={})
    assert (response.status_code, response.json()["error"]["type"]) == (404, kind)


def test_a_query_is_answered_in_one_sentence(served: Serve) -> None:
    """The answer is plain text; what it took, and how it was checked, are headers."""
    response = ask(served(RIGHT, says(ANSWER)))
    assert (response.status_code, response.text) == (200, ANSWER)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    costs = ("x-rounds", "x-tool-calls", "x-prompt-tokens", "x-completion-tokens", "x-grounding")
    told = [response.headers[name] for name in costs]
    assert told == ["2", "1", str(2 * PROMPT_TOKENS), str(2 * COMPLETION_TOKENS), "ok"]


def test_a_model_that_is_away_is_503(
    app: Served, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    """Nothing listens where the model should be; `/readyz` says so too."""
    nowhere = llama_client(f"http://127.0.0.1:{unused_tcp_port}", Settings())
    client = app.use(monkeypatch, nowhere, llama_model="")
    response = ask(client)
    assert response.status_code == 503
    assert response.json()["error"]["type"] == "server_error"
    assert "can't be reached" in response.json()["error"]["message"]
    assert client.get("/readyz").status_code == 503


def test_a_model_server_that_is_busy_says_when_to_come_again(served: Serve) -> None:
    """Which is passed on."""
    busy = replace(fails(429, "slow down"), headers={"retry-after": "7"})
    response = ask(served(busy))
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")


def test_a_clock_that_jumps_changes_no_answer(
    served: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a day at each look at it, now back and now ahead: bounds go by one that can't jump."""
    clock, jumps = time.time, cycle((-86_400, 86_400))
    monkeypatch.setattr(time, "time", lambda: clock() + next(jumps))
    for _ in range(3):
        assert ask(served(RIGHT, says(ANSWER), query_timeout=5, tool_timeout=1)).text == ANSWER


@pytest.fixture
def ecb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings for real rates, without a network or anything kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return {"exchange_rates": "ecb", "rates_url": "off"}


def test_a_real_rate_is_told_with_its_day(served: Serve, ecb: dict[str, str]) -> None:
    """By the model, in any spelling, or else by the tool; no network is needed to know."""
    arguments = {"from_currency": "USD", "to_currency": "EUR", "amount": 100, "on": "2024-01-02"}
    call, query = calls(("convert_currency", arguments)), "What were 100 USD in EUR on 2024-01-02?"
    said = "On 2 January 2024, 100 US dollars were 91.27 euros."
    response = ask(served(call, says(said), **ecb), query)
    assert (response.text, response.headers["x-grounding"]) == (said, "ok")
    now = {"from_currency": "EUR", "to_currency": "USD", "amount": 5}
    turns = calls(("convert_currency", now)), *[says("You get dollars.")] * 2
    response = ask(served(*turns, **ecb), "What are 5 EUR in USD?")
    assert "at the European Central Bank's reference rate of 2026-10-30" in response.text
    assert response.headers["x-grounding"] == "fell-back"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (KNOWN | {"tools": "tood"}, "TOOLS names 'tood': wanted currency, todo, mcp or module"),
        ({"llama_url": ""}, "start `service:ExchangeAssistant` by BentoML"),
    ],
)
def test_the_assistant_does_not_start_with_wrong_settings(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], named: str
) -> None:
    """The operator reads what is wrong, and whoever makes one by hand, what to do."""
    monkeypatch.setattr(service, "settings", replace(service.settings, **settings))
    monkeypatch.setattr(service.ExchangeAssistant.inner, "llm", None)
    with pytest.raises(SettingsError, match=named):
        service.ExchangeAssistant()


def test_the_page_and_the_schema_show_the_query() -> None:
    """BentoML's clients and Swagger page get description and default from the signature."""
    assert isinstance(service.ExchangeAssistant, bentoml.Service)
    routes = {each["route"]: each["input"] for each in service.ExchangeAssistant.schema()["routes"]}
    assert routes.keys() == {"/exchange", "/chat"}
    assert routes["/chat"]["properties"]["messages"]["description"]
    assert routes["/chat"]["properties"]["approvals"]["type"] == "object"
    query = routes["/exchange"]["properties"]["query"]
    assert query["default"] == QUERY
    assert query["description"]


SHORT = {"role": "user", "content": "42 USD in CAD?"}
CALL = {"id": "a", "type": "function", "function": {"name": "convert", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "131.95"}


def test_a_conversation_is_read_as_people_keep_it() -> None:
    """Parts become text, a developer's message a system's; arguments may be no JSON."""
    parts = [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}]
    half = CALL | {"function": {"name": "convert", "arguments": '{"amo'}}
    turns = [CALLED | {"tool_calls": [half]}, RESULT, {"role": "assistant", "content": "Done."}]
    developer = {"role": "developer", "content": parts, "name": "me"}
    asked = [developer, SHORT, *turns, SHORT]
    read = read_messages(asked, Settings(max_query_length=len(SHORT["content"])))
    assert read == [{"role": "system", "content": "Be\nbrief."}, SHORT, *turns, SHORT]


BODIES = [
    ("/exchange", '{"qury": "42"}', 'query is missing. The body has "qury".'),
    ("/exchange", "", 'The body is no JSON; wanted an object: {"query": …}.'),
    ("/exchange", "[" * 100_000, "The body is no JSON"),
    ("/exchange", "[]", "The body is []; wanted an object"),
    ("/exchange", '{"query": 42}', "query is 42; wanted text."),
    ("/exchange", '{"query": " "}', "query is empty; wanted a question."),
    ("/exchange", json.dumps({"query": "x" * 51}), "query has 51 characters; wanted 50 at most."),
    ("/exchange", r'{"query": "42", "\ud83d": 1}', '"?" is no field of the body'),
    ("/chat", r'{"messages": "\ud83d"}', 'messages is "?"; wanted a list'),
    ("/chat", '{"messages": [], "n": 1}', '"n" is no field of the body; wanted messages or'),
    ("/chat", '{"messages": []}', "messages is []; wanted a list of messages."),
]
CONVERSATIONS = [
    (["Hi"], 'messages[0] is "Hi"; wanted an object with role and content.'),
    ([SHORT | {"role": "bot"}], 'messages[0].role is "bot"; wanted one of system, developer,'),
    ([SHORT | {"content": [{"type": "image_url"}]}], "messages[0].content is [{"),
    ([SHORT | {"content": " "}], "messages[0].content is empty; wanted a question."),
    ([SHORT, SHORT | {"role": "system"}, SHORT], 'messages[1].role is "system"; wanted user,'),
    ([RESULT, SHORT], 'messages[0].tool_call_id is "a"; wanted the id of a call before it.'),
    ([CALLED, SHORT], 'messages[1].role is "user"; wanted tool, with the result of a.'),
    ([CALLED | {"tool_calls": 1}], "messages[0].tool_calls is 1; wanted a list"),
    ([CALLED | {"tool_calls": [1]}], "messages[0].tool_calls[0] is 1; wanted id,"),
    ([CALLED | {"tool_calls": [CALL] * 2}], 'messages[0].tool_calls[1].id is "a"; wanted an id'),
    ([SHORT] * 20, "messages has"),
    ([SHORT] * (MOST_MESSAGES + 1), "messages has 201 messages; wanted 200 at most."),
    ([SHORT, CALLED], 'messages[1].role is "assistant"; wanted user, as the last one.'),
]
LACKING = "wanted true or false for calls that lack a result:"
APPROVALS: list[tuple[list[Any], Any, str]] = [
    ([SHORT], [], "approvals is []; wanted an object."),
    ([SHORT, CALLED, RESULT], {"a": True}, f'approvals is {{"a": true}}; {LACKING} none.'),
    ([SHORT, CALLED], {"a": "yes"}, f'approvals is {{"a": "yes"}}; {LACKING} a.'),
    ([CALLED], {}, 'messages[0].role is "assistant"; wanted user, before a call.'),
]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        *BODIES,
        *(("/chat", json.dumps({"messages": it}), told) for it, told in CONVERSATIONS),
        *(
            ("/chat", json.dumps({"messages": it, "approvals": said}), told)
            for it, said, told in APPROVALS
        ),
    ],
)
def test_a_wrong_body_is_refused(served: Serve, path: str, body: Any, message: str) -> None:
    """The text names the field first, which is `param` too, what is there, and what was wanted."""
    http = served(max_query_length=50, max_chat_length=400)
    param = None if message.startswith("The body") else message.split()[0].strip('"')
    response = http.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error.pop("message").startswith(message)
    assert error == {"type": "invalid_request_error", "param": param, "code": None}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (f'{{"query": "{QUERY}"}}'.encode(), "application/octet-stream"),
        (f'{{"query": "{QUERY}"}}'.encode("utf-16"), "application/json"),
        (f'{{"query": "{QUERY} \\ud83d"}}'.encode(), "application/json"),
    ],
)
def test_a_right_body_is_answered(served: Serve, body: bytes, kind: str) -> None:
    """Whatever it says that it is, in any encoding of JSON, and with half a character in it."""
    http = served(RIGHT, says(ANSWER))
    response = http.post("/exchange", content=body, headers={"content-type": kind})
    assert (response.status_code, response.text) == (200, ANSWER)


def test_bentomls_own_client_is_answered(served: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """On both routes, with what it sends."""
    http = served(*[RIGHT, says(ANSWER)] * 2)
    monkeypatch.setattr(bentoml.SyncHTTPClient, "client", http, raising=False)
    client = bentoml.SyncHTTPClient("http://localhost", server_ready_timeout=0)
    assert client.exchange(query=QUERY) == ANSWER
    assert '"type":"done"' in "".join(client.chat(messages=[USER]))
    client._temp_dir.cleanup()  # BentoML leaves it to the garbage collector, which complains
