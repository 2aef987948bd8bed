"""The benchmark that times a chat's events: what it asks and what it prints."""

import json
import re
from typing import Any

import httpx2
import pytest

from benchmarks.chat_times import CONVERSATIONS, main
from function_calling.agent.events import (
    ChatEvent,
    DoneEvent,
    ErrorEvent,
    ErrorObject,
    TextEvent,
    Timings,
    ToolCallEvent,
    ToolResultEvent,
    Usage,
)

ARGUMENTS = '{"amount": 42}'
ANSWER: list[ChatEvent] = [
    ToolCallEvent(id="a", name="convert_currency", arguments=ARGUMENTS),
    ToolResultEvent(id="a", name="convert_currency", ok=True, content="{}", summary="It is 131.95"),
    TextEvent(text="You get"),
    TextEvent(text=" 131.95."),
    DoneEvent(
        usage=Usage(prompt_tokens=900, completion_tokens=40, total_tokens=940),
        rounds=2,
        tool_calls=1,
        timings=Timings(first_text=1.0, model=1.5, tools=0.5, total=2.0),
        grounding="ok",
    ),
]
BROKEN = ErrorEvent(error=ErrorObject(message="The model is away.", type="server_error"))
PRINTED = r"""What are 42 US dollars in Canadian dollars\?
 +\d\.\d\d s  tool_call    convert_currency {"amount": 42}
 +\d\.\d\d s  tool_result  It is 131\.95
 +\d\.\d\d s  text         'You get'
 +\d\.\d\d s  text         ' 131\.95\.'
 +\d\.\d\d s  done         2 rounds, 900 \+ 40 tokens, model 1\.50 s, tools 0\.50 s, grounding ok
The first words came after \d\.\d\d s; whole, the answer would have come after \d\.\d\d s\.

And 50\?
"""


class Assistant:
    """Sends the same events to each question, and keeps what was asked."""

    def __init__(self, events: list[ChatEvent]) -> None:
        self.events = events
        self.asked: list[Any] = []

    def transport(self) -> httpx2.MockTransport:
        """Reaches it alone."""
        return httpx2.MockTransport(self.reply)

    def reply(self, request: httpx2.Request) -> httpx2.Response:
        """The events as a server sends them."""
        self.asked.append(json.loads(request.content)["messages"])
        frames = "".join(f"data: {event.model_dump_json()}\n\n" for event in self.events)
        return httpx2.Response(200, text=frames)


def test_each_event_is_printed_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    """And what a whole answer would have cost in patience."""
    assistant = Assistant(ANSWER)
    assert main([], assistant.transport()) == 0
    assert re.match(PRINTED, capsys.readouterr().out)
    first, following = CONVERSATIONS[0]
    assert assistant.asked[1] == [
        {"role": "user", "content": first},
        {"role": "assistant", "content": "You get 131.95."},
        {"role": "user", "content": following},
    ]
    assert [asked[-1]["content"] for asked in assistant.asked] == [
        question for questions in CONVERSATIONS for question in questions
    ]


def test_an_answer_that_breaks_off_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """By the server's own words, and by the exit status."""
    assert main([], Assistant([BROKEN]).transport()) == 1
    assert re.search(
        r"s  error        The model is away\.\nNo words came;", capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (httpx2.Response(404), "HTTPStatusError: Client error '404 Not Found'"),
        (httpx2.Response(200, text="data: {}\n\n"), "ValidationError: 1 validation error"),
        (httpx2.Response(200, text=""), "ValueError: no event came"),
    ],
)
def test_a_server_that_is_none_of_ours_is_told(
    reply: httpx2.Response, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one sentence, without a trace."""
    assert main(["--url", "http://a"], httpx2.MockTransport(lambda request: reply)) == 2
    assert capsys.readouterr().err.startswith(f"http://a/chat could not be asked ({problem}")
