"""Whatever a tool does, its call ends within its time and says what happened."""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from function_calling.bounded_call import GRACE
from function_calling.function_schema import Context
from function_calling.toolbox import Toolbox, needs_approval

LIMIT = 0.2
SLACK = 5.0
"""Seconds that a busy machine may add."""


async def told(function: Any, time_limit: float = SLACK, **given: Any) -> str:
    """What a model reads of a call without arguments."""
    toolbox = Toolbox([function], byte_limit=1000)
    started = time.monotonic()
    outcome = await toolbox.call(function.__name__, "{}", time_limit=time_limit, **given)
    assert time.monotonic() - started < time_limit + GRACE + SLACK
    assert len(outcome.content.encode()) < 1100
    return outcome.content


class Unprintable(Exception):
    """An error that can't even be told."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Odd(BaseException):
    """An error that is no Exception."""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (ValueError("x" * 10_000), "ValueError: xxxx"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (Odd("odd"), "test_tool_failures.Odd: odd"),
        (Unprintable(), "test_tool_failures.Unprintable: <exception str() failed>"),
        (MemoryError(), "MemoryError"),
    ],
)
async def test_whatever_a_tool_raises_is_told(error: BaseException, text: str) -> None:
    """Plain or async: neither the process nor the event loop ends."""

    def plain() -> None:
        """Fail."""
        raise error

    async def waiting() -> None:
        """Fail."""
        await asyncio.sleep(0)
        raise error

    assert (await told(plain)).startswith(f"Tool plain failed: {text}")
    assert (await told(waiting)).startswith(f"Tool waiting failed: {text}")


async def test_a_plain_tool_may_run_out_of_items() -> None:
    """A StopIteration means something to whoever awaits; it must not get there."""

    def first() -> Any:
        """Take the first of nothing."""
        return next(iter([]))

    assert await told(first) == "Tool first failed: StopIteration"


async def test_sys_exit_does_not_end_the_process() -> None:
    """Nor is it taken for success."""

    def leave() -> None:
        """Leave."""
        sys.exit("bye")

    assert await told(leave) == "Tool leave failed: SystemExit: bye"


async def test_what_a_tool_waits_for_may_be_cancelled() -> None:
    """That is its failure, and nobody's wish to end the query."""

    async def relay() -> None:
        """Wait for another."""
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel()
        await task

    assert await told(relay) == "Tool relay failed: what it waited for was cancelled."


async def test_a_cancelled_call_cancels_the_tool() -> None:
    """When a client leaves, nothing goes on for it."""
    started, cleaned = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        """Wait."""
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.set()

    call = asyncio.create_task(Toolbox([wait]).call("wait", "{}"))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert cleaned.is_set()


async def test_an_async_tool_that_ignores_cancellation_is_left_behind() -> None:
    """It is asked to stop, given a moment, and not waited for."""
    enough = asyncio.Event()

    async def insist() -> str:
        """Insist."""
        while not enough.is_set():
            try:
                await asyncio.wait_for(enough.wait(), 60)
            except asyncio.CancelledError:
                continue
        return "late"

    assert await told(insist, LIMIT) == (
        "Tool insist took longer than 0.2 seconds and was given up; whether it did anything is "
        "unknown."
    )
    enough.set()


async def test_tools_that_hang_leave_room_for_others() -> None:
    """Each has a thread of its own, which does not keep the process from ending."""
    enough = threading.Event()

    def hang() -> None:
        """Hang."""
        enough.wait(60)

    def quick() -> str:
        """Be quick."""
        assert threading.current_thread().daemon
        return "here"

    hanging = await asyncio.gather(*(told(hang, LIMIT) for _ in range(40)))
    assert all("took longer than 0.2 seconds" in each for each in hanging)
    assert await told(quick) == "here"
    enough.set()


@pytest.mark.parametrize("size", [2_000_000, 20_000_000])
async def test_megabytes_are_cut(size: int) -> None:
    """And counted."""

    async def recite() -> str:
        """Recite."""
        return "x" * size

    text = await told(recite)
    assert text.endswith(f"x\n[Cut: these are the first 1000 of {size} bytes.]")


async def test_the_event_loop_goes_on_while_a_long_result_is_written() -> None:
    """JSON of half a million numbers takes a second."""

    async def count() -> list[Decimal]:
        """Count."""
        return [Decimal(n) for n in range(300_000)]

    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    assert (await told(count, 60)).startswith("[0, 1, 2")
    ticking.cancel()
    assert ticks > 2


class Slow:
    """An object that takes its time to vanish."""

    gone = threading.Event()

    def __del__(self) -> None:
        time.sleep(0.05)
        self.gone.set()


async def test_a_result_without_json_form_vanishes_in_its_thread() -> None:
    """However slowly; the event loop holds no reference to it."""

    def make() -> Slow:
        """Make one."""
        return Slow()

    assert await told(make) == "make was called, but its result (Slow) has no JSON form."
    assert Slow.gone.wait(SLACK)


def _numbers() -> Iterator[int]:
    while True:
        yield 1


async def test_a_generator_is_no_result() -> None:
    """It may have no end."""

    def give() -> Iterator[int]:
        """Give numbers."""
        return _numbers()

    assert await told(give) == "give was called, but its result (generator) has no JSON form."


async def test_a_result_that_holds_itself_has_no_json_form() -> None:
    """It would never end either."""

    def give() -> list[Any]:
        """Give it."""
        ring: list[Any] = []
        ring.append(ring)
        return ring

    assert await told(give) == "give was called, but its result (list) has no JSON form."


async def test_a_plain_function_may_return_something_to_wait_for() -> None:
    """As one does that a decorator has wrapped."""

    async def later() -> str:
        return "later"

    def soon() -> Any:
        """Answer soon."""
        return later()

    assert await told(soon) == "later"


async def test_huge_exponents_are_neither_read_nor_written_out() -> None:
    """A billion zeros would fill the memory."""

    def double(n: int) -> int:
        """Double it."""
        return 2 * n

    outcome = await Toolbox([double]).call("double", '{"n": 1e999999999}')
    assert "1e999999999 is out of range" in outcome.content

    def huge() -> Decimal:
        """Give a huge one."""
        return Decimal("1E+999999999")

    assert await told(huge) == "1E+999999999"


class Visitor(Context):
    """Whom a tool works for."""

    def __init__(self, name: str) -> None:
        self.name = name


async def test_any_context_type_is_given_by_its_type() -> None:
    """And is hidden from the model."""

    def greet(word: str, visitor: Visitor) -> str:
        """Greet the visitor.

        Args:
            word: What to say.
            visitor: Who reads it.
        """
        return f"{word}, {visitor.name}!"

    toolbox = Toolbox([greet])
    assert list(toolbox.schemas[0]["function"]["parameters"]["properties"]) == ["word"]
    given = {"context": [Context(), Visitor("Ann"), Visitor("Bob")]}
    assert (await toolbox.call("greet", '{"word": "Hi"}', **given)).content == "Hi, Ann!"
    missing = await toolbox.call("greet", '{"word": "Hi"}')
    assert missing.content == (
        "Tool greet failed: TypeError: greet(visitor): no Visitor is given to tools here."
    )


class Person:
    """Says the same to whatever is asked."""

    def __init__(self, answer: bool = True) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.answer = answer

    async def approve(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Note what is asked."""
        self.asked.append((name, arguments))
        return self.answer


@needs_approval
async def sell(n: int, pace: str = "slow", visitor: Visitor = Visitor("")) -> str:  # noqa: B008
    """Sell things."""
    return f"sold {n}"


async def test_a_person_is_asked_before_a_tool_that_needs_a_yes() -> None:
    """With the arguments as the tool would get them, and nothing of the context."""
    person = Person()
    toolbox = Toolbox([sell])
    outcome = await toolbox.call("sell", '{"n": 2.0}', approve=person.approve)
    assert (outcome.ok, outcome.content) == (True, "sold 2")
    assert person.asked == [("sell", {"n": 2, "pace": "slow"})]
    assert toolbox.changes("sell")


async def test_a_refusal_is_told_and_the_tool_does_not_run() -> None:
    """The model, and whoever reads its excuse, knows who said so."""
    person = Person(False)
    outcome = await Toolbox([sell]).call("sell", '{"n": 2}', approve=person.approve)
    assert (outcome.ok, outcome.content) == (False, "sell was not called: the user said no.")


async def test_nobody_is_asked_about_a_call_that_cannot_be_made() -> None:
    """Nor about a tool that needs no yes."""

    def look() -> str:
        """Look."""
        return "seen"

    person = Person()
    toolbox = Toolbox([sell, look])
    assert not (await toolbox.call("sell", '{"n": "many"}', approve=person.approve)).ok
    assert (await toolbox.call("look", "", approve=person.approve)).ok
    assert person.asked == []


async def test_thinking_it_over_is_not_the_tools_time() -> None:
    """And what the asking raises is raised."""

    async def think(_name: str, _arguments: Mapping[str, Any]) -> bool:
        await asyncio.sleep(2 * LIMIT)
        return True

    async def hang_up(_name: str, _arguments: Mapping[str, Any]) -> bool:
        raise ConnectionError("gone")

    toolbox = Toolbox([sell])
    assert (await toolbox.call("sell", '{"n": 1}', time_limit=LIMIT, approve=think)).ok
    with pytest.raises(ConnectionError):
        await toolbox.call("sell", '{"n": 1}', approve=hang_up)


async def test_where_nobody_can_be_asked_the_operator_has_decided() -> None:
    """A yes by default."""
    given, refused = Toolbox([sell]), Toolbox([sell], approval="refused")
    assert (await given.call("sell", '{"n": 1}')).content == "sold 1"
    told_no = "sell was not called: nobody can say the yes it needs."
    assert (await refused.call("sell", '{"n": 1}')).content == told_no


async def test_a_failure_is_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    """The operator reads what the model doesn't."""

    def leave() -> None:
        """Leave."""
        raise SystemExit(1)

    with caplog.at_level(logging.ERROR):
        await told(leave)
    assert caplog.records[0].exc_info
