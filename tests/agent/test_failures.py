"""What can go wrong while a question is answered, and all that a person is told of it.

Each fault once, with a server of the model on a real socket: a sentence that says what could not
be done and why; where the model's server has failed, it is in OpenAI's error object.
"""

import asyncio
import gc
import re
from collections.abc import Callable, Iterator
from contextlib import aclosing
from threading import Thread
from types import AsyncGeneratorType
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from scripted_server import Turn, breaks_off, calls, fails, hangs, says, unreachable
from served import Served
from wire_server import Drips, WireServer

from function_calling.agent import model_call
from function_calling.agent.events import (
    DoneEvent,
    ErrorEvent,
    TextEvent,
    ToolCallEvent,
    ToolResultEvent,
    read_event,
)
from function_calling.agent.model_call import complete, llama_client
from function_calling.errors import EngineError, ToolError
from function_calling.settings import Settings
from function_calling.toolbox.tool_sets import ToolSet
from function_calling.toolbox.toolbox import changes_something

QUERY = "What is on the table?"
PATIENCE = 60.0
"""Seconds after which what hangs is given up by the test."""
LATER = 40.0
"""By which time jumps: more than a tool may take, and less than the client's own limit."""
MEGABYTES = "word " * 1_000_000
CUT = "[Cut: these are the first 8192 of 5000000 bytes.]"
ADVICE = "Say table in place of chair."
BOTH_ROUTES = pytest.mark.parametrize("route", ["/exchange", "/chat"], indirect=True)


async def set_clock() -> None:
    """Give the running loop a clock that can jump."""
    loop: Any = asyncio.get_running_loop()
    clock, loop.ahead = loop.time, 0.0
    loop.time = lambda: clock() + loop.ahead


async def jump() -> None:
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
        await jump()
        await asyncio.Event().wait()

    def recite(self) -> dict[str, str]:
        """Return megabytes, for people too."""
        return {"summary": MEGABYTES}


@pytest.fixture(scope="module")
def model() -> Iterator[WireServer]:
    """The model's server."""
    server = WireServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def later(app: Served) -> Callable[[], None]:
    """Lets time pass for the service, from any other thread."""
    portal = app.http.portal
    assert portal is not None
    portal.call(set_clock)
    return lambda: portal.call(jump)


@pytest.fixture
def table(later: Callable[[], None]) -> Table:
    """The tools, whose time can pass."""
    return Table()


@pytest.fixture
def route(request: pytest.FixtureRequest) -> str:
    """The way to ask."""
    return str(getattr(request, "param", "/chat"))


Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(
    route: str, model: WireServer, app: Served, table: Table, monkeypatch: pytest.MonkeyPatch
) -> Ask:
    """Asks, where the model takes the turns given; the status, and all that the person reads."""

    def ask(*turns: Turn, **bounds: Any) -> tuple[int, str]:
        model.play(*turns)
        functions = [getattr(table, name) for name in vars(Table) if not name.startswith("_")]
        tools = ToolSet(functions=functions, first_choice="auto")
        client = llama_client(model.url, Settings())
        http = app.use(monkeypatch, client, {"currency": lambda _: tools}, **bounds)
        body = {"messages": [{"role": "user", "content": QUERY}]}
        response = http.post(route, json=body if route == "/chat" else {"query": QUERY})
        assert not re.search(f'secret detail|Traceback|File "|{ADVICE}', response.text)
        return read(response)

    return ask


def read(response: Any) -> tuple[int, str]:
    """What came: an error has OpenAI's shape, a chat one end, and each of its calls a result."""
    if response.status_code != 200:
        error = response.json()["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        return response.status_code, error["message"]
    if response.headers["content-type"].startswith("text/plain"):
        return 200, response.text
    frames = response.text.split("\n\n")[:-1]
    *events, last = [read_event(frame.removeprefix("data: ")) for frame in frames]
    called = [event.id for event in events if isinstance(event, ToolCallEvent)]
    assert called == [event.id for event in events if isinstance(event, ToolResultEvent)]
    assert not any(isinstance(event, DoneEvent | ErrorEvent) for event in events)
    if isinstance(last, ErrorEvent):
        return 500 if last.error.type == "server_error" else 400, last.error.message
    assert isinstance(last, DoneEvent)
    text = "".join(event.text for event in events if isinstance(event, TextEvent))
    assert last.grounding == "fell-back" or "I had to stop" not in text
    return 200, text


def failed(route: str, status: int, message: str) -> tuple[int, str]:
    """How an error with this status is told: an event of a chat has none but its type."""
    return status if route == "/exchange" else 400 if status < 500 else 500, message


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
        (
            ("carry", {}),
            1,
            f"Tool carry {GIVEN_UP}",
        ),
    ],
)
def test_a_call_that_fails(
    ask: Ask, table: Table, wanted: tuple[str, Any], tries: int, sentence: str
) -> None:
    """No advice for a model is told; a change that may have been made is not made again.

    However often the model asks for it; TOOL_TIMEOUT bounds each try.
    """
    assert ask(*[calls(wanted)] * 30) == (200, f"I can't answer that. {sentence}")
    assert table.calls == [wanted[0]] * tries


def test_tools_that_hang_until_the_query_ends(ask: Ask, table: Table) -> None:
    """QUERY_TIMEOUT bounds them; what is done, may be done and is not done are told apart."""
    status, told = ask(calls(PUT, ("carry", {}), ("drop", {})), query_timeout=20)
    assert status == 200
    assert re.fullmatch(
        r"I had to stop after 20 seconds, before I was done\. Tool carry took longer than [\d.]+ "
        r"seconds and was given up; whether it did anything is unknown\. drop was not called: the "
        rf"time was over\. Until then: {IS_PUT}",
        told,
    )
    assert table.calls == ["put", "carry"]


def test_megabytes(ask: Ask) -> None:
    """TOOL_RESULT_BYTES bounds what is read of them, by the model and by people."""
    status, told = ask(calls(("recite", {})), says(""))
    assert status == 200
    assert told.endswith(CUT)
    assert len(told) < 8192 + 2 * len(CUT)


TOO_LONG = fails(400, "The prompt has 5000 tokens.", "context_length_exceeded")


def test_a_conversation_that_the_model_cannot_read(ask: Ask) -> None:
    """The fault of whoever asked, but where results have made it too long."""
    assert ask(TOO_LONG) == (400, "The prompt has 5000 tokens.")
    assert ask(calls(LOOK), TOO_LONG) == (200, f"{STOPPED} The prompt has 5000 tokens.{UNTIL}")


def test_calls_for_ever(ask: Ask, model: WireServer) -> None:
    """MAX_ROUNDS bounds them, and all that was found is told."""
    turns = [calls(("look", {"at": n})) for n in range(30)]
    assert ask(*turns, max_rounds=2) == (200, "There are 0 cups. There are 1 cups.")
    assert [request["tool_choice"] for request in model.requests] == ["auto", "auto", "none"]


HALF_A_CALL = calls(("look", '{"at": '), finish_reason="length")


@pytest.mark.parametrize("endless", [says("word ", "length"), HALF_A_CALL])
def test_a_reply_without_an_end(ask: Ask, model: WireServer, endless: Turn) -> None:
    """MAX_REPLY_TOKENS bounds it."""
    status, told = ask(calls(LOOK), endless, max_reply_tokens=16)
    assert (status, told) == (200, f"{STOPPED} The model's reply is longer than 16 tokens.{UNTIL}")
    assert model.requests[-1]["max_tokens"] == 16


@pytest.mark.parametrize(
    "slow",
    [Turn(hangs=True), hangs(), Drips(), Turn(events=calls(PUT).events[:3], hangs=True)],
    ids=["without a byte", "in its text", "with comments", "within a call"],
)
def test_a_server_that_is_slow(
    *, ask: Ask, table: Table, model: WireServer, later: Callable[[], None], slow: Turn
) -> None:
    """QUERY_TIMEOUT bounds it, and its connection is let go of, which stops the model."""
    model.hanging.clear()
    Thread(target=lambda: model.hanging.wait(PATIENCE) and later()).start()
    status, told = ask(calls(LOOK), slow, query_timeout=20)
    assert status == 200
    assert told.endswith(f"I had to stop after 20 seconds, before I was done.{UNTIL}")
    assert model.let_go.wait(PATIENCE)
    assert table.calls == ["look"]


CUT_BEHIND_CALL = Turn(events=calls(PUT).events[:-3], breaks=OSError())
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
def test_a_server_that_breaks_off(ask: Ask, table: Table, lost: Turn, message: str) -> None:
    """It is asked once more; no call is made of what it had said, and what was done is told."""
    assert ask(calls(LOOK), lost, lost) == (500, message + UNTIL)
    assert table.calls == ["look"]
    status, told = ask(lost, calls(PUT), lost, says(IS_PUT))
    assert (status, told.endswith(IS_PUT)) == (200, True)
    assert table.calls == ["look", "put"]


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


@pytest.mark.parametrize("lost", [CUT_BEHIND_CALL, None])
async def test_what_read_a_reply_is_closed(
    model: WireServer, unclosed: Any, lost: Turn | None
) -> None:
    """At once and in its own thread, even while its error is still at hand, or nobody waits."""
    model.play(*([lost] * 2 if lost else [says("There is a cup on the table.")]))
    request = {"model": "scripted", "messages": [], "max_tokens": 16}
    async with aclosing(complete(llama_client(model.url, Settings()), request)) as parts:
        if lost:
            with pytest.raises(EngineError, match=BROKEN) as caught:
                [each async for each in parts]
            assert caught.value.status == 502
        else:
            assert await anext(parts) == "There i"
    for _ in range(100):  # asyncio closes what was let go of in tasks of its own
        await asyncio.sleep(0)
    assert unclosed() == []


@BOTH_ROUTES
@pytest.mark.parametrize(
    ("refusal", "status", "message"),
    [
        (Turn(events=({"error": {"message": "no memory"}},)), 502, "failed: no memory"),
        (fails(503, "loading"), 503, "failed: loading"),
        (fails(401, "wrong key"), 502, "failed: wrong key"),
        (fails(429, "slow down"), 503, "is busy: slow down"),
    ],
)
def test_a_server_that_fails(
    *, ask: Ask, route: str, model: WireServer, refusal: Turn, status: int, message: str
) -> None:
    """It is not asked again."""
    assert ask(refusal) == failed(route, status, f"The model server {message}")
    assert len(model.requests) == 1


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


@BOTH_ROUTES
def test_an_error_that_nobody_foresaw(
    ask: Ask, route: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log alone has its details."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("function_calling.agent.loop.complete", broken)
    assert ask() == failed(route, 500, "The assistant failed; its log says why.")
    assert "secret detail" in caplog.text
