"""What can go wrong while a question is answered, and all that a person is told of it.

Each fault once: a sentence that says what could not be done and why; where the model's server has
failed, it is an error.
"""

import asyncio
import gc
import re
from collections.abc import Callable, Iterator
from contextlib import aclosing
from types import AsyncGeneratorType
from typing import Any

import httpx2
import pytest
from bureau import agent, done, text, told, user
from openai import AsyncOpenAI
from scripted_server import ScriptedServer, Turn, breaks_off, calls, fails, hangs, says, unreachable
from wire_server import WireServer

from function_calling.agent import model_call
from function_calling.agent.events import ErrorEvent, ToolCallEvent, ToolResultEvent
from function_calling.agent.model_call import complete, llama_client
from function_calling.errors import EngineError, ToolError
from function_calling.settings import Settings
from function_calling.toolbox.toolbox import changes_something

LATER = 40.0
"""Seconds by which time jumps: more than a tool may take."""
MEGABYTES = "word " * 1_000_000
CUT = "[Cut: these are the first 8192 of 5000000 bytes.]"
ADVICE = "Say table in place of chair."


def jump() -> None:
    """Let time pass for the running loop, at once."""
    loop: Any = asyncio.get_running_loop()
    loop.ahead += LATER


class Table:
    """Tools that do what tools should not, and note that they were called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def look(self, at: int) -> str:
        """Look at the table."""
        self.calls.append("look")
        return f"There are {at} cups."

    @changes_something
    def put(self, what: str) -> str:
        """Put something on the table."""
        self.calls.append("put")
        return f"There is a {what} now."

    def refuse(self) -> None:
        """Refuse."""
        self.calls.append("refuse")
        raise ToolError("There is no chair.", advice=ADVICE)

    def fall(self) -> None:
        """Fall."""
        self.calls.append("fall")
        raise RuntimeError("secret detail")

    @changes_something
    def drop(self) -> None:
        """Drop something."""
        self.calls.append("drop")
        raise ConnectionError("secret detail")

    @changes_something
    async def carry(self) -> None:
        """Carry something for ever."""
        self.calls.append("carry")
        jump()
        await asyncio.Event().wait()

    def recite(self) -> dict[str, str]:
        """Return megabytes, for people too."""
        return {"summary": MEGABYTES}


class Asked:
    """A question, where the model takes these turns, and time passes once its server hangs."""

    def __init__(self, *turns: Turn, **settings: Any) -> None:
        self.server, self.table = ScriptedServer(*turns), Table()
        functions = [getattr(self.table, name) for name in vars(Table) if name[0] != "_"]
        known = Settings(**settings)
        self._host = agent(self.server, *functions, first_choice="auto", settings=known)

    async def answer(self) -> str:
        """All that the person reads, of an error with its type."""
        loop: Any = asyncio.get_running_loop()
        clock, loop.ahead = loop.time, 0.0
        loop.time = lambda: clock() + loop.ahead
        passing = asyncio.create_task(self.server.hanging.wait())
        passing.add_done_callback(lambda _: jump())
        events = await told(self._host, user("What is on the table?"))
        passing.cancel()
        assert not re.search(f'secret detail|Traceback|File "|{ADVICE}', str(events))
        called = [event.id for event in events if isinstance(event, ToolCallEvent)]
        assert called == [event.id for event in events if isinstance(event, ToolResultEvent)]
        if isinstance(events[-1], ErrorEvent):
            return f"{events[-1].error.type}: {events[-1].error.message}"
        assert done(events).grounding == "fell-back" or "I had to stop" not in text(events)
        return text(events)


async def ask(*turns: Turn, **settings: Any) -> str:
    """What the person reads where the model takes these turns."""
    return await Asked(*turns, **settings).answer()


LOOK, PUT = ("look", {"at": 1}), ("put", {"what": "cup"})
LOOKED, IS_PUT = "There are 1 cups.", "There is a cup now."
UNTIL = f" Until then: {LOOKED}"
STOPPED = "I had to stop before I was done:"
GIVEN_UP = "took longer than 30 seconds and was given up; whether it did anything is unknown."


@pytest.mark.parametrize(
    ("wanted", "tries", "sentence"),
    [
        (("fly", {}), 0, 'There is no tool "fly".'),
        (("look", {"at": "sea"}), 0, "look was not called: its arguments are wrong."),
        (("refuse", {}), 3, "There is no chair."),
        (("fall", {}), 3, "Tool fall failed; the log says why."),
        (("drop", {}), 1, "Tool drop failed; the log says why."),
        (("carry", {}), 1, f"Tool carry {GIVEN_UP}"),
    ],
)
async def test_a_call_that_fails(wanted: tuple[str, Any], tries: int, sentence: str) -> None:
    """No advice for a model is told; a change that may have been made is not made again.

    However often the model asks for it; TOOL_TIMEOUT bounds each try.
    """
    asked = Asked(*[calls(wanted)] * 30)
    assert await asked.answer() == f"I can't answer that. {sentence}"
    assert asked.table.calls == [wanted[0]] * tries


async def test_tools_that_hang_until_the_query_ends() -> None:
    """QUERY_TIMEOUT bounds them; what is done, may be done and is not done are told apart."""
    wanted = calls(PUT, ("carry", {}), ("drop", {}))
    asked = Asked(wanted, Turn(hangs=True), query_timeout=20)
    assert re.fullmatch(
        r"I had to stop after 20 seconds, before I was done\. Tool carry took longer than [\d.]+ "
        r"seconds and was given up; whether it did anything is unknown\. drop was not called: the "
        rf"time was over\. Until then: {IS_PUT}",
        await asked.answer(),
    )
    assert asked.table.calls == ["put", "carry"]


async def test_megabytes() -> None:
    """TOOL_RESULT_BYTES bounds what is read of them, by the model and by people."""
    told = await ask(calls(("recite", {})), says(""))
    assert told.endswith(CUT)
    assert len(told) < 8192 + 2 * len(CUT)


TOO_LONG = fails(400, "The prompt has 5000 tokens.", "context_length_exceeded")


async def test_a_conversation_that_the_model_cannot_read() -> None:
    """The fault of whoever asked, but where results have made it too long."""
    assert await ask(TOO_LONG) == "invalid_request_error: The prompt has 5000 tokens."
    assert await ask(calls(LOOK), TOO_LONG) == f"{STOPPED} The prompt has 5000 tokens.{UNTIL}"


async def test_calls_for_ever() -> None:
    """MAX_ROUNDS bounds them, and all that was found is told."""
    asked = Asked(*(calls(("look", {"at": n})) for n in range(30)), max_rounds=2)
    assert await asked.answer() == "There are 0 cups. There are 1 cups."
    choices = [request["tool_choice"] for request in asked.server.requests]
    assert choices == ["auto", "auto", "none"]


HALF_A_CALL = calls(("look", '{"at": '), finish_reason="length")


@pytest.mark.parametrize("endless", [says("word ", "length"), HALF_A_CALL])
async def test_a_reply_without_an_end(endless: Turn) -> None:
    """MAX_REPLY_TOKENS bounds it."""
    told = await ask(calls(LOOK), endless, max_reply_tokens=16)
    assert told == f"{STOPPED} The model's reply is longer than 16 tokens.{UNTIL}"


@pytest.mark.parametrize(
    "slow",
    [Turn(hangs=True), hangs(), Turn(events=calls(PUT).events[:3], hangs=True)],
    ids=["without a byte", "in its text", "within a call"],
)
async def test_a_server_that_is_slow(slow: Turn) -> None:
    """QUERY_TIMEOUT bounds it, and its connection is let go of, which stops the model."""
    asked = Asked(calls(LOOK), slow, query_timeout=20)
    told = await asked.answer()
    assert told.endswith(f"I had to stop after 20 seconds, before I was done.{UNTIL}")
    assert (asked.server.closed, asked.table.calls) == (1, ["look"])


CUT_BEHIND_CALL = Turn(events=calls(PUT).events[:-3], breaks=httpx2.ReadError("cut"))
AWAY, BROKEN = "The model server can't be reached.", "The model server broke off its reply."


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        pytest.param(unreachable(), AWAY, id="before a byte"),
        pytest.param(breaks_off(), BROKEN, id="without a reason"),
        pytest.param(CUT_BEHIND_CALL, BROKEN, id="behind a call"),
        pytest.param(Turn(events=("{no JSON",)), BROKEN, id="no JSON"),
        pytest.param(Turn(events=({"choices": None},)), BROKEN, id="no choices"),
    ],
)
async def test_a_server_that_breaks_off(lost: Turn, message: str) -> None:
    """It is asked once more; no call is made of what it had said, and what was done is told."""
    asked = Asked(calls(LOOK), lost, lost)
    assert await asked.answer() == f"server_error: {message}{UNTIL}"
    assert asked.table.calls == ["look"]
    asked = Asked(lost, calls(PUT), lost, says(IS_PUT))
    assert (await asked.answer()).endswith(IS_PUT)
    assert asked.table.calls == ["put"]


@pytest.fixture
def unclosed() -> Iterator[Callable[[], list[str]]]:
    """Tells which generators that a test began are not closed; no garbage is collected."""

    def open_now() -> set[AsyncGeneratorType[Any, Any]]:
        generators = (each for each in gc.get_objects() if isinstance(each, AsyncGeneratorType))
        return {each for each in generators if each.ag_frame}

    gc.collect()
    gc.disable()
    before = open_now()
    yield lambda: [each.__qualname__ for each in open_now() - before]
    gc.enable()


@pytest.mark.parametrize("lost", [unreachable(), CUT_BEHIND_CALL, None])
async def test_what_read_a_reply_is_closed(unclosed: Any, lost: Turn | None) -> None:
    """At once and in its own thread, even while its error is still at hand, or nobody waits."""
    server = WireServer(*([lost] * 2 if lost else [says("There is a cup on the table.")]))
    request = {"model": "scripted", "messages": [], "max_tokens": 16}
    async with aclosing(complete(llama_client(server.url, Settings()), request)) as parts:
        if lost:
            with pytest.raises(EngineError) as caught:
                [each async for each in parts]
            assert caught.value.message in (AWAY, BROKEN)
        else:
            assert await anext(parts) == "There i"
    for _ in range(100):  # asyncio closes what was let go of in tasks of its own
        await asyncio.sleep(0)
    server.close()
    assert unclosed() == []


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (Turn(events=({"error": {"message": "no memory"}},)), "failed: no memory"),
        (fails(503, "loading"), "failed: loading"),
        (fails(401, "wrong key"), "failed: wrong key"),
        (fails(429, "slow down"), "is busy: slow down"),
    ],
)
async def test_a_server_that_fails(refusal: Turn, message: str) -> None:
    """It is not asked again."""
    asked = Asked(refusal)
    assert await asked.answer() == f"server_error: The model server {message}"
    assert len(asked.server.requests) == 1


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (httpx2.Response(200, html="<p>Log in!</p>"), "lists no model."),
        (httpx2.Response(401, json={}), "can't be reached: Error code: 401"),
        (None, "can't be reached: it took longer than 0.2 seconds."),
    ],
)
async def test_a_server_that_names_no_model(
    listed: httpx2.Response | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where LLAMA_MODEL names none, the first one that is listed would be taken.

    A password in its address is not told.
    """

    async def reply(_request: httpx2.Request) -> httpx2.Response:
        return listed or await asyncio.Event().wait()

    monkeypatch.setattr(model_call, "CONNECT_SECONDS", 0.2)
    http_client = httpx2.AsyncClient(transport=httpx2.MockTransport(reply))
    client = AsyncOpenAI(
        base_url="http://me:word@model/v1", api_key="none", max_retries=0, http_client=http_client
    )
    with pytest.raises(EngineError, match="at http://model/v1/ ") as caught:
        await model_call.first_model(client)
    assert (caught.value.status, caught.value.message.endswith(message)) == (503, True)


async def test_an_error_that_nobody_foresaw(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log alone has its details."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("function_calling.agent.loop.complete", broken)
    assert await ask() == "server_error: The assistant failed; its log says why."
    assert "secret detail" in caplog.text
