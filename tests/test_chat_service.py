"""`POST /chat` over HTTP, with a scripted model: what comes back, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest
from scripted_server import ScriptedServer, Turn, calls, says, unreachable
from starlette.testclient import TestClient

import service
from function_calling.chat_events import ChatEvent, TextEvent, read_event
from function_calling.errors import RequestError
from function_calling.history import MOST_MESSAGES, read_messages

USER = {"role": "user", "content": "42 USD in CAD?"}
ARGUMENTS = {"from_currency": "USD", "to_currency": "CAD", "amount": 42}
RIGHT = calls(("convert_currency", ARGUMENTS))
ANSWER = "So 42 US dollars are 131.95 Canadian dollars."
CALL = {"id": "a", "type": "function", "function": {"name": "convert", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "131.95"}


def post(monkeypatch: pytest.MonkeyPatch, path: str, body: Any, *turns: Turn) -> Any:
    """One request to the assistant, whose model takes `turns`."""
    known = {"llama_url": "http://model", "llama_model": "scripted", "max_query_length": 50}
    monkeypatch.setattr(service, "settings", replace(service.settings, **known))
    scripted = ScriptedServer(*turns).client()
    monkeypatch.setattr(service, "llama_client", lambda *_: scripted)
    monkeypatch.setattr(service.ExchangeAssistant.inner, "llm", None)
    with TestClient(service.ExchangeAssistant.to_asgi()) as client:
        return client.post(path, json=body)


def events(response: Any) -> list[ChatEvent]:
    """The events of a stream, each of which is one frame."""
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    *frames, rest = response.text.split("\n\n")
    assert rest == ""
    return [read_event(frame.removeprefix("data: ")) for frame in frames]


def test_a_chat_is_answered_as_a_query_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same loop, its text in parts or joined."""
    chat = events(post(monkeypatch, "/chat", {"messages": [USER]}, RIGHT, says(ANSWER)))
    kinds = [event.type for event in chat]
    assert kinds[:2] == ["tool_call", "tool_result"]
    assert set(kinds[2:-1]) == {"text"}
    assert kinds[-1] == "done"
    text = "".join(event.text for event in chat if isinstance(event, TextEvent))
    query = post(monkeypatch, "/exchange", {"query": USER["content"]}, RIGHT, says(ANSWER))
    assert text == query.text == ANSWER


def test_a_model_that_is_away_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream has begun."""
    (event,) = events(post(monkeypatch, "/chat", {"messages": [USER]}, *[unreachable()] * 2))
    assert event.type == "error"
    assert event.error.type == "server_error"


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "messages"), ({"messages": "Hi"}, "messages"), ({"messages": [{}]}, "messages[0].role")],
)
def test_what_is_no_conversation_is_refused_before_the_stream(
    monkeypatch: pytest.MonkeyPatch, body: Any, param: str
) -> None:
    """In OpenAI's error shape."""
    response = post(monkeypatch, "/chat", body)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert response.json()["error"]["param"] == param


def read(*messages: Any) -> list[dict[str, Any]]:
    """The messages, within small bounds."""
    return read_messages(list(messages), most_asked=50, most_in_all=400)


def test_a_conversation_is_read_as_people_keep_it() -> None:
    """Parts become text, a developer's message a system's, and broken arguments none."""
    parts = [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]
    half = CALL | {"function": {"name": "convert", "arguments": '{"amo'}}
    turns = [CALLED | {"tool_calls": [half]}, RESULT, {"role": "assistant", "content": "Done."}]
    developer = {"role": "developer", "content": parts, "name": "me"}
    assert read(developer, USER, *turns, USER) == [
        {"role": "system", "content": "Be brief."},
        *(USER, CALLED, *turns[1:], USER),
    ]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "messages is []; wanted a list of messages."),
        (["Hi"], 'messages[0] is "Hi"; wanted an object with role and content.'),
        ([USER | {"role": "bot"}], 'messages[0].role is "bot"; wanted one of system, developer,'),
        ([USER | {"role": []}], "messages[0].role is []; wanted one of system, developer,"),
        ([USER | {"content": None}], "messages[0].content is null; wanted text."),
        ([USER | {"content": [{"type": "image_url"}]}], "messages[0].content is [{"),
        ([USER | {"content": " "}], "messages[0].content is empty; wanted a question."),
        ([USER | {"content": "x" * 51}], "messages[0].content has 51 characters; wanted 50"),
        ([USER, USER | {"role": "assistant"}], 'messages[1].role is "assistant"; wanted user,'),
        ([USER, USER | {"role": "system"}, USER], 'messages[1].role is "system"; wanted user,'),
        ([RESULT, USER], 'messages[0].tool_call_id is "a"; wanted the id of a call before it.'),
        ([CALLED, USER], 'messages[1].role is "user"; wanted tool, with the result of a.'),
        ([CALLED | {"tool_calls": 1}], "messages[0].tool_calls is 1; wanted a list"),
        ([CALLED | {"tool_calls": [1]}], "messages[0].tool_calls[0] is 1; wanted id,"),
        ([USER] * 20, "messages has"),
        ([USER] * (MOST_MESSAGES + 1), "messages has 201 messages; wanted 200 at most."),
    ],
)
def test_what_is_wrong_with_a_conversation_is_named(messages: list[Any], message: str) -> None:
    """The place, the value, and what was wanted."""
    with pytest.raises(RequestError) as caught:
        read(*messages)
    assert caught.value.message.startswith(message)
    assert caught.value.param is not None
    assert message.startswith(caught.value.param)
