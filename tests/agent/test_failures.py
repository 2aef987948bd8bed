"""What can go wrong in the loop, one failure a test, and how it ends at `/exchange` and `/chat`.

Each ends within the setting that bounds it, with a sentence that says what could not be done and
why; where the model's server has failed, that sentence is in OpenAI's error object.
"""

import asyncio
import gc
import re
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from threading import Event
from types import AsyncGeneratorType
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from scripted_server import Turn, breaks_off, calls, fails, hangs, says, unreachable
from starlette.testclient import TestClient
from wire_server import Drips, WireServer

import service
from function_calling import llama_client
from function_calling.assistant import Assistant
from function_calling.chat_events import (
    DoneEvent,
    ErrorEvent,
    TextEvent,
    ToolCallEvent,
    ToolResultEvent,
    read_event,
)
from function_calling.completion import complete
from function_calling.errors import EngineError, ToolError
from function_calling.tool_sets import ToolSet
from function_calling.toolbox import FinalAnswer, changes_something

QUERY = "What is on the table?"
SLACK = 60.0
"""Seconds that a busy machine may add to a bound."""
MEGABYTES = "word " * 1_000_000
CUT = "[Cut: these are the first 8192 of 5000000 bytes.]"


class Table:
    """Tools that do what tools should not, and note that they were called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.enough = Event()

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
        raise ToolError("There is no chair; wanted a table.")

    def fall(self) -> None:
        """Fall."""
        self.calls.append("fall")
        raise RuntimeError("secret detail")

    def leave(self) -> None:
        """End the process."""
        self.calls.append("leave")
        raise SystemExit("secret detail")

    @changes_something
    def drop(self) -> None:
        """Drop something."""
        self.calls.append("drop")
        raise ConnectionError("secret detail")

    def sleep(self) -> None:
        """Hang in a thread."""
        self.calls.append("sleep")
        self.enough.wait(SLACK)

    async def wait(self) -> None:
        """Hang on the event loop."""
        self.calls.append("wait")
        await asyncio.Event().wait()

    @changes_something
    async def carry(self) -> None:
        """Carry something for ever."""
        self.calls.append("carry")
        await asyncio.Event().wait()

    def recite(self) -> str:
        """Return megabytes."""
        return MEGABYTES

    def summarise(self) -> dict[str, str]:
        """Return megabytes for people."""
        return {"summary": MEGABYTES}

    def settle(self) -> FinalAnswer:
        """Return megabytes as the answer."""
        return FinalAnswer(MEGABYTES)

    def complain(self) -> None:
        """Fail with megabytes."""
        raise ToolError(MEGABYTES)


@dataclass(frozen=True)
class Told:
    """How a query ended.

    Attributes:
        status: The HTTP status; of an `error` event, that of its type.
        text: All that the person reads; of an error, its message.
    """

    status: int
    text: str


@pytest.fixture(scope="module")
def model() -> Iterator[WireServer]:
    """The model's server."""
    server = WireServer()
    yield server
    server.close()


TABLE = Table()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(model: WireServer) -> Iterator[tuple[TestClient, Assistant]]:
    """The service, which reaches its model over a socket, and the assistant in it."""
    made: list[Assistant] = []

    def make(*parts: Any) -> Assistant:
        made.append(Assistant(*parts))
        return made[0]

    names = [name for name in vars(Table) if not name.startswith("_")]
    tools = ToolSet(functions=[getattr(TABLE, name) for name in names], first_choice="auto")
    known = replace(service.settings, llama_url=model.url, llama_model="scripted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "settings", known)
        patch.setattr(service, "Assistant", make)
        patch.setattr(service, "TOOL_SETS", {"currency": lambda _: tools})
        patch.setattr(service.ExchangeAssistant.inner, "llm", None)
        app = service.ExchangeAssistant.to_asgi()
        with TestClient(app, raise_server_exceptions=False) as client:
            yield client, made[0]


@pytest.fixture
def table() -> Iterator[Table]:
    """The tools; what hangs is let go at the end."""
    TABLE.calls.clear()
    TABLE.enough.clear()
    yield TABLE
    TABLE.enough.set()


@pytest.fixture(params=["/exchange", "/chat"])
def route(request: pytest.FixtureRequest) -> str:
    """Each way to ask."""
    return str(request.param)


Ask = Callable[..., Told]


@pytest.fixture
def ask(
    route: str,
    model: WireServer,
    served: tuple[TestClient, Assistant],
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> Ask:
    """Asks, where the model takes the turns given, under the settings given."""

    def ask(*turns: Turn, within: float = 0, **bounds: Any) -> Told:
        model.play(*turns)
        client, assistant = served
        monkeypatch.setattr(assistant, "settings", replace(assistant.settings, **bounds))
        body = {"messages": [{"role": "user", "content": QUERY}]}
        body = body if route == "/chat" else {"query": QUERY}
        started = time.monotonic()
        response = client.post(route, json=body)
        assert time.monotonic() - started < within + SLACK
        assert not re.search('secret detail|Traceback|File "', response.text)
        return read(response)

    return ask


def read(response: httpx2.Response) -> Told:
    """What came: an error has OpenAI's shape, a chat one end, and each of its calls a result."""
    if response.status_code != 200:
        error = response.json()["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        return Told(response.status_code, error["message"])
    if response.headers["content-type"].startswith("text/plain"):
        return Told(200, response.text)
    frames = response.text.split("\n\n")[:-1]
    *events, last = [read_event(frame.removeprefix("data: ")) for frame in frames]
    called = [event.id for event in events if isinstance(event, ToolCallEvent)]
    assert called == [event.id for event in events if isinstance(event, ToolResultEvent)]
    if isinstance(last, ErrorEvent):
        return Told(500 if last.error.type == "server_error" else 400, last.error.message)
    assert isinstance(last, DoneEvent)
    assert not any(isinstance(event, DoneEvent | ErrorEvent) for event in events)
    return Told(200, "".join(event.text for event in events if isinstance(event, TextEvent)))


def failed(route: str, status: int, message: str) -> Told:
    """How an error with this status is told: an event of a chat has none but its type."""
    return Told(status if route == "/exchange" else 400 if status < 500 else 500, message)


def for_ever(*wanted: tuple[str, Any]) -> list[Turn]:
    """A model that insists on these calls."""
    return [calls(*wanted)] * 30


LOOK, PUT = ("look", {"at": 1}), ("put", {"what": "cup"})
LOOKED, IS_PUT = "There are 1 cups.", "There is a cup now."
UNTIL = f" Until then: {LOOKED}"
NO_JSON = "look was not called: the arguments are not a JSON object"


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (("fly", {}), 'There is no tool "fly". The tools are: look, put,'),
        (("", {}), 'There is no tool "". The tools are: look, put,'),
        (("look", {}), "look was not called: "),
        (("look", {"at": "sea"}), "look was not called: "),
        (("look", {"at": 1, "of": 2}), "look was not called: "),
        (("look", '{"at": 1'), NO_JSON),
        (("look", "[1]"), NO_JSON),
        (("look", "word " * 100), NO_JSON),
        (("refuse", {}), "There is no chair; wanted a table."),
        (("fall", {}), "Tool fall failed; the log says why."),
        (("leave", {}), "Tool leave failed; the log says why."),
    ],
)
def test_a_call_that_fails(ask: Ask, table: Table, wanted: Any, sentence: str) -> None:
    """An unknown tool, arguments that it does not take or that are no JSON, and what it raises."""
    told = ask(*for_ever(wanted))
    assert told.status == 200
    assert told.text.startswith(f"I can't answer that. {sentence}")
    assert len(table.calls) in (0, 3)


@pytest.mark.parametrize("name", ["sleep", "wait"])
def test_a_tool_that_hangs(ask: Ask, table: Table, name: str) -> None:
    """In a thread or on the event loop; TOOL_TIMEOUT bounds each of three tries."""
    told = ask(*for_ever((name, {})), tool_timeout=0.2, within=3 * 0.2)
    assert told == Told(
        200,
        f"I can't answer that. Tool {name} took longer than 0.2 seconds and was given up; "
        "whether it did anything is unknown.",
    )
    assert table.calls == [name] * 3


@pytest.mark.parametrize("name", ["sleep", "wait"])
def test_a_tool_that_hangs_until_the_query_ends(ask: Ask, name: str) -> None:
    """QUERY_TIMEOUT bounds it, too, and what a call beside it has found is told."""
    told = ask(calls((name, {}), LOOK), query_timeout=2, within=2)
    assert told == Told(200, f"I had to stop after 2 seconds, before I was done.{UNTIL}")


def test_a_change_that_hangs_until_the_query_ends(ask: Ask, table: Table) -> None:
    """What is done, what may be done and what is not done are told apart."""
    told = ask(calls(PUT, ("carry", {}), ("drop", {})), query_timeout=2, within=2)
    assert told.status == 200
    assert re.fullmatch(
        r"I had to stop after 2 seconds, before I was done\. Tool carry took longer than [\d.]+ "
        r"seconds and was given up; whether it did anything is unknown\. drop was not called: the "
        rf"time was over\. Until then: {IS_PUT}",
        told.text,
    )
    assert table.calls == ["put", "carry"]


@pytest.mark.parametrize("name", ["recite", "summarise", "settle"])
def test_a_tool_that_returns_megabytes(ask: Ask, name: str) -> None:
    """TOOL_RESULT_BYTES bounds what is read of it, by the model and by people."""
    told = ask(calls((name, {})), *[says("")] * 2)
    assert told.status == 200
    assert told.text.endswith(CUT)
    assert len(told.text) < 8192 + 2 * len(CUT)


def test_a_tool_that_fails_with_megabytes(ask: Ask) -> None:
    """The same."""
    told = ask(*for_ever(("complain", {})))
    assert told.text.startswith("I can't answer that. word word")
    assert told.text.endswith(CUT)


TOO_LONG = fails(400, "The prompt has 5000 tokens.", "context_length_exceeded")


def test_results_that_the_model_cannot_read(ask: Ask) -> None:
    """They are not the fault of whoever asked."""
    told = ask(calls(LOOK), TOO_LONG)
    sentence = f"I had to stop before I was done: The prompt has 5000 tokens.{UNTIL}"
    assert told == Told(200, sentence)


def test_a_query_that_the_model_cannot_read(ask: Ask, route: str) -> None:
    """It is."""
    assert ask(TOO_LONG) == failed(route, 400, "The prompt has 5000 tokens.")


def test_the_same_call_for_ever(ask: Ask, table: Table, model: WireServer) -> None:
    """MAX_ROUNDS bounds it, and the call is made once."""
    assert ask(*for_ever(LOOK), max_rounds=4) == Told(200, LOOKED)
    assert table.calls == ["look"]
    assert len(model.requests) == 4 + 1


def test_another_call_for_ever(ask: Ask, model: WireServer) -> None:
    """MAX_ROUNDS bounds it, and all that was found is told."""
    turns = [calls(("look", {"at": n})) for n in range(30)]
    assert ask(*turns, max_rounds=2) == Told(200, "There are 0 cups. There are 1 cups.")
    assert [request["tool_choice"] for request in model.requests] == ["auto", "auto", "none"]


def test_another_wrong_call_for_ever(ask: Ask, model: WireServer) -> None:
    """MAX_ROUNDS bounds it."""
    told = ask(*(calls((f"fly{n}", {})) for n in range(30)), max_rounds=5)
    assert told.text.startswith('I can\'t answer that. There is no tool "fly0".')
    assert len(model.requests) == 5 + 1


HALF_A_CALL = calls(("look", '{"at": '), finish_reason="length")


@pytest.mark.parametrize("endless", [says("word ", "length"), HALF_A_CALL])
@pytest.mark.parametrize(("before", "until"), [([], ""), ([calls(LOOK)], UNTIL)])
def test_a_reply_without_an_end(
    ask: Ask, model: WireServer, endless: Turn, before: list[Turn], until: str
) -> None:
    """MAX_REPLY_TOKENS bounds it, and once double of that."""
    told = ask(*before, endless, endless, max_reply_tokens=16)
    problem = "I had to stop before I was done: The model's reply is longer than 32 tokens."
    assert told.status == 200
    assert told.text.endswith(problem + until)
    assert [request["max_tokens"] for request in model.requests[-2:]] == [16, 32]


@pytest.mark.parametrize(
    "slow",
    [
        Turn(hangs=True),
        Turn(events=says("").events[:1], hangs=True),
        hangs(),
        Drips(),
        Turn(events=calls(PUT).events[:3], hangs=True),
    ],
    ids=["without a byte", "before its text", "in its text", "with comments", "within a call"],
)
def test_a_server_that_is_slow(ask: Ask, table: Table, model: WireServer, slow: Turn) -> None:
    """QUERY_TIMEOUT bounds it, and its connection is let go of, which stops the model."""
    told = ask(slow, query_timeout=0.5, within=0.5)
    assert told.status == 200
    assert told.text.endswith("I had to stop after 0.5 seconds, before I was done.")
    assert model.let_go.wait(SLACK)
    assert table.calls == []


CUT_IN_CALL = Turn(events=calls(PUT).events[:3], breaks=OSError())
CUT_BEHIND_CALL = Turn(events=calls(PUT).events[:-3], breaks=OSError())
AWAY, BROKEN = "The model server can't be reached.", "The model server broke off its reply."
LOST = [
    pytest.param(unreachable(), AWAY, 503, id="before a byte"),
    pytest.param(Turn(breaks=OSError()), BROKEN, 502, id="before its text"),
    pytest.param(breaks_off(OSError()), BROKEN, 502, id="in its text"),
    pytest.param(breaks_off(), BROKEN, 502, id="without a reason"),
    pytest.param(CUT_IN_CALL, BROKEN, 502, id="within a call"),
    pytest.param(CUT_BEHIND_CALL, BROKEN, 502, id="behind a call"),
    pytest.param(Turn(events=("{no JSON",)), BROKEN, 502, id="no JSON"),
    pytest.param(Turn(events=({"choices": None},)), BROKEN, 502, id="no choices"),
    pytest.param(Turn(events=("[]",)), BROKEN, 502, id="no object"),
]


@pytest.mark.parametrize(("lost", "message", "status"), LOST)
def test_a_server_that_breaks_off(
    ask: Ask, route: str, table: Table, lost: Turn, message: str, status: int
) -> None:
    """It is asked once more; no call is made of what it had said, and what was done is told."""
    assert ask(lost, lost) == failed(route, status, message)
    assert table.calls == []
    assert ask(calls(LOOK), lost, lost) == failed(route, status, message + UNTIL)


@pytest.mark.parametrize(("lost", "message", "status"), LOST)
def test_a_server_that_breaks_off_once(
    ask: Ask, table: Table, lost: Turn, message: str, status: int
) -> None:
    """A completion changes nothing, so it may be repeated; a call is made once all the same."""
    told = ask(lost, calls(PUT), lost, says(IS_PUT))
    assert told.status == 200
    assert told.text.endswith(IS_PUT)
    assert table.calls == ["put"]


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


REQUEST = {"model": "scripted", "messages": [], "max_tokens": 16}


async def closed_soon() -> None:
    """Let what was let go of close itself, as asyncio has it do in tasks of its own."""
    for _ in range(100):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("lost", "message", "status"), LOST)
async def test_a_broken_reply_closes_what_read_it(
    model: WireServer, unclosed: Callable[[], list[str]], lost: Turn, message: str, status: int
) -> None:
    """At once and in its own thread, even while its error is still at hand."""
    model.play(lost, lost)
    replies = complete(llama_client.llama_client(model.url, service.settings), REQUEST)
    with pytest.raises(EngineError) as caught:
        async for _ in replies:
            pass
    assert (caught.value.message, caught.value.status) == (message, status)
    await closed_soon()
    assert unclosed() == []


async def test_a_reply_that_nobody_waits_for_closes_what_read_it(
    model: WireServer, unclosed: Callable[[], list[str]]
) -> None:
    """The same."""
    model.play(says("There is a cup on the table."))
    client = llama_client.llama_client(model.url, service.settings)
    async with aclosing(complete(client, REQUEST)) as parts:
        assert await anext(parts) == "There i"
    await closed_soon()
    assert unclosed() == []


def test_no_server(ask: Ask, route: str, model: WireServer) -> None:
    """Nothing listens."""
    model.close()
    try:
        assert ask() == failed(route, 503, AWAY)
    finally:
        model.listen()


@pytest.mark.parametrize(
    ("refusal", "status", "message"),
    [
        (Turn(events=({"error": {"message": "no memory"}},)), 502, "failed: no memory"),
        (fails(500, "boom"), 502, "failed: boom"),
        (fails(503, "loading"), 503, "failed: loading"),
        (fails(504, "too late"), 504, "failed: too late"),
        (fails(401, "wrong key"), 502, "failed: wrong key"),
        (fails(404, "no model"), 502, "failed: no model"),
        (fails(429, "slow down"), 503, "is busy: slow down"),
    ],
)
def test_a_server_that_fails(
    ask: Ask, route: str, model: WireServer, refusal: Turn, status: int, message: str
) -> None:
    """It is not asked again."""
    assert ask(refusal) == failed(route, status, f"The model server {message}")
    assert len(model.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("after", "told"), [("5", "5"), ("Sat, 21 Nov 2026 22:00:00 GMT", None), ("-1", None)]
)
def test_a_busy_server_says_when_to_come_again(
    served: tuple[TestClient, Assistant],
    model: WireServer,
    status: int,
    after: str,
    told: str | None,
) -> None:
    """So does the assistant, where it is said in seconds."""
    model.play(fails(status, "busy", retry_after=after))
    response = served[0].post("/exchange", json={"query": QUERY})
    assert response.status_code == 503
    assert response.headers.get("retry-after") == told


@pytest.mark.parametrize("name", ["drop", "carry"])
def test_a_change_that_may_have_been_made_is_not_made_again(
    ask: Ask, table: Table, model: WireServer, name: str
) -> None:
    """However often the model asks for it; a tool that changes nothing is tried again."""
    told = ask(*for_ever((name, {})), tool_timeout=0.3, within=0.3)
    assert table.calls == [name]
    assert told.text.startswith(f"I can't answer that. Tool {name} ")
    assert "This call was made before" in model.requests[-1]["messages"][-1]["content"]


def test_a_call_in_a_reply_that_is_cut_is_made_once(ask: Ask, table: Table) -> None:
    """The cut one may have been whole."""
    whole = calls(PUT, finish_reason="length")
    assert ask(whole, calls(PUT), says(IS_PUT)) == Told(200, IS_PUT)
    assert table.calls == ["put"]


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (httpx2.Response(200, json={"data": []}), "lists no model."),
        (httpx2.Response(200, json={"data": None}), "lists no model."),
        (httpx2.Response(200, json=[]), "lists no model."),
        (httpx2.Response(200, html="<p>Log in!</p>"), "lists no model."),
        (httpx2.Response(401, json={}), "can't be reached: Error code: 401"),
        (None, "can't be reached: it took longer than 0.2 seconds."),
    ],
)
async def test_a_server_that_names_no_model(
    listed: httpx2.Response | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where LLAMA_MODEL names none, the first one that is listed would be taken."""

    async def reply(_request: httpx2.Request) -> httpx2.Response:
        return listed or await asyncio.Event().wait()

    monkeypatch.setattr(llama_client, "CONNECT_SECONDS", 0.2)
    http_client = httpx2.AsyncClient(transport=httpx2.MockTransport(reply))
    client = AsyncOpenAI(
        base_url="http://model/v1", api_key="none", max_retries=0, http_client=http_client
    )
    with pytest.raises(EngineError) as caught:
        await llama_client.first_model(client)
    assert caught.value.status == 503
    assert caught.value.message.endswith(message)


def test_an_error_that_nobody_foresaw(
    ask: Ask, route: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log alone has its details."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("function_calling.agent.complete", broken)
    assert ask() == failed(route, 500, "The assistant failed; its log says why.")
    assert "secret detail" in caplog.text
