"""Whatever a tool does, its call ends within its time and says what happened."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from function_calling.toolbox.toolbox import Toolbox, needs_approval

LIMIT = 0.2
PATIENCE = 60.0


async def told(function: Any, time_limit: float = PATIENCE) -> str:
    """What a model reads of a call without arguments."""
    toolbox = Toolbox([function], byte_limit=1000)
    result = await toolbox.call(function.__name__, "{}", time_limit=time_limit)
    assert len(result.content.encode()) < 1100
    return result.content


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
        (ValueError("x" * 10_000), "ValueError: xxxx"),
        (SystemExit("bye"), "SystemExit: bye"),
        (GeneratorExit(), "GeneratorExit"),
        (StopIteration(), "StopIteration"),
        (Odd("odd"), "test_tool_failures.Odd: odd"),
        (Unprintable(), "test_tool_failures.Unprintable: <exception str() failed>"),
    ],
)
async def test_whatever_a_tool_raises_is_told(
    error: BaseException, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Plain or async: neither the process nor the event loop ends; the operator reads the trace."""

    def plain() -> None:
        """Fail."""
        raise error

    async def waiting() -> None:
        """Fail."""
        await asyncio.sleep(0)
        raise error

    with caplog.at_level(logging.ERROR):
        assert (await told(plain)).startswith(f"Tool plain failed: {text}")
    assert caplog.records[0].exc_info
    if not isinstance(error, StopIteration):  # which Python turns into another error
        assert (await told(waiting)).startswith(f"Tool waiting failed: {text}")


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
                await asyncio.wait_for(enough.wait(), PATIENCE)
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
        enough.wait(PATIENCE)

    def quick() -> str:
        """Be quick."""
        assert threading.current_thread().daemon
        return "here"

    hanging = await asyncio.gather(*(told(hang, LIMIT) for _ in range(40)))
    assert all("took longer than 0.2 seconds" in each for each in hanging)
    assert await told(quick) == "here"
    enough.set()


async def test_the_event_loop_goes_on_while_a_long_result_is_written() -> None:
    """JSON of many numbers takes a second."""
    ticked = asyncio.Event()

    class Watched(list[Any]):
        """Notes whether the loop ran while it was written down."""

        def __iter__(self) -> Iterator[Any]:
            yield asyncio.run_coroutine_threadsafe(tick(), loop).result(PATIENCE)

    async def tick() -> int:
        ticked.set()
        return 1

    async def count() -> list[Any]:
        """Count."""
        return Watched([1])

    loop = asyncio.get_running_loop()
    assert await told(count) == "[1]"
    assert ticked.is_set()


def _ring() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize("value", [object(), iter([1]), _ring()])
async def test_a_result_may_have_no_json_form(value: Any) -> None:
    """An object, an iterator, which may have no end, and a list that holds itself."""

    def give() -> Any:
        """Give it."""
        return value

    kind = type(value).__name__
    assert await told(give) == f"give was called, but its result ({kind}) has no JSON form."


@needs_approval
async def sell(n: int, pace: str = "slow") -> str:
    """Sell things."""
    return f"sold {n}"


@pytest.mark.parametrize("yes", [True, False])
async def test_a_person_is_asked_before_a_tool_that_needs_a_yes(yes: bool) -> None:
    """With the arguments as the tool would get them, and never about a call that can't be made."""
    asked: list[tuple[str, Any]] = []

    async def approve(name: str, arguments: Any) -> bool:
        asked.append((name, arguments))
        await asyncio.sleep(2 * LIMIT)  # thinking it over is not the tool's time
        return yes

    toolbox = Toolbox([sell])
    assert not (await toolbox.call("sell", '{"n": "many"}', approve=approve)).ok
    result = await toolbox.call("sell", '{"n": 2.0}', time_limit=LIMIT, approve=approve)
    assert asked == [("sell", {"n": 2, "pace": "slow"})]
    assert result.ok is yes
    assert result.content == ("sold 2" if yes else "sell was not called: the user said no.")


async def test_where_nobody_can_be_asked_the_operator_has_decided() -> None:
    """A yes by default."""
    given, refused = Toolbox([sell]), Toolbox([sell], approval="refused")
    assert (await given.call("sell", '{"n": 1}')).content == "sold 1"
    told_no = "sell was not called: nobody can say the yes it needs."
    assert (await refused.call("sell", '{"n": 1}')).content == told_no
