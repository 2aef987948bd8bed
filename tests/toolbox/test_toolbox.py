"""A model's call is checked, traced, carried out within its bounds, and told."""

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import Field

from function_calling.toolbox.schema import Said
from function_calling.toolbox.toolbox import FinalAnswer, Toolbox, needs_approval


def convert(amount: Decimal, to: str = "CAD") -> Any:
    """Convert an amount of US dollars.

    Args:
        amount: How much, in dollars.
        to: The currency wanted.
    """
    return [amount, to]


CONVERT = Toolbox([convert])


def giving(value: Any) -> Callable[[], Any]:
    """A tool that returns this, or raises it."""

    def give() -> Any:
        """Give it."""
        if isinstance(value, BaseException):
            raise value
        return value

    return give


WRONG = "convert was not called: its arguments are wrong."


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ('{"amount": 1,, "to"', "line 1 column 14 (char 13)"),
        ('{"amount": NaN}', "NaN is out of range"),
        ('"42"', '"42" is no object'),
        ('{"amount": ' + "[" * 900 + "]" * 900 + "}", "recursion"),
    ],
)
async def test_broken_json_is_answered_with_the_place_and_the_schema(
    arguments: str, named: str
) -> None:
    """The model reads where it broke and what was wanted."""
    result = await CONVERT.call("convert", arguments)
    assert named in result.content
    assert result.content.startswith(f"{WRONG} The arguments are not a JSON object")
    assert result.content.endswith(json.dumps(CONVERT.schemas[0]["function"]["parameters"]))
    assert result.told == WRONG


async def test_wrong_arguments_are_named_with_value_and_want() -> None:
    """All at once, to the model alone; people read that the call was wrong."""
    result = await CONVERT.call("convert", '{"to": 7, "from": "USD"}')
    assert result.content == (
        f'{WRONG} amount is missing, wanted {{"description": "How much, in dollars.", "type": '
        '"number"}; to=7 is wrong: input should be a valid string; from="USD" is no argument, '
        "the arguments are: amount, to."
    )
    assert result.told == WRONG


class Unprintable(Exception):
    """An error that can't even be told."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit("bye"), "SystemExit: bye"),
        (StopIteration(), "RuntimeError: coroutine raised StopIteration"),
        (
            ExceptionGroup("", [ExceptionGroup("", [TimeoutError("no reply")])]),
            "TimeoutError: no reply",
        ),
        (Unprintable(), "test_toolbox.Unprintable: <exception str() failed>"),
    ],
)
async def test_whatever_a_tool_raises_is_told(
    error: BaseException, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The model reads type and message, the operator the trace."""
    with caplog.at_level(logging.ERROR):
        result = await Toolbox([giving(error)]).call("give", "{}")
    assert result.content == f"Tool give failed: {text}"
    assert result.told == "Tool give failed; the log says why."
    assert caplog.records[0].exc_info


async def test_a_tool_that_overruns_is_given_up() -> None:
    """It is cancelled; one that insists goes on alone, as a thread does."""
    cancelled, enough = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        """Wait for ever."""
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def insist() -> None:
        """Insist."""
        while not enough.is_set():
            with suppress(asyncio.CancelledError):
                await enough.wait()

    toolbox = Toolbox([wait, insist])
    for name in ("wait", "insist"):
        result = await toolbox.call(name, "{}", time_limit=0.01)
        took = "took longer than 0.01 seconds and was given up"
        assert result.content == f"Tool {name} {took}; whether it did anything is unknown."
        assert not result.ok
    assert cancelled.is_set()
    enough.set()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "Done."),
        ({"a": Decimal("131.90"), "summary": 1}, '{"a": 131.90, "summary": 1}'),
        ({"n": 1, "summary": "It is 1."}, '{"n": 1, "summary": "It is 1."}'),
        ("half a pair \ud83d", "half a pair ?"),
        (FinalAnswer("Closed."), "Closed."),
        (object(), "give was called, but its result (object) has no JSON form."),
        (iter([1]), "give was called, but its result (list_iterator) has no JSON form."),
        ("元" * 20, "元" * 16 + "\n[Cut: these are the first 50 of 60 bytes.]"),
    ],
)
async def test_results_are_told_as_text_or_json(value: Any, text: str) -> None:
    """What can't be sent, or is too long, is said; people read a summary; no arguments are none."""
    limit = 50 if value == "元" * 20 else 8192
    result = await Toolbox([giving(value)], byte_limit=limit).call("give", " ")
    assert result.content == text
    assert result.ok == ("no JSON form" not in text)
    assert result.final == isinstance(value, FinalAnswer)
    assert result.told == ("It is 1." if "It is" in text else text)


async def test_what_is_no_number_is_traced_as_the_model_wrote_it() -> None:
    """As a person says it; a null says nothing, and a default nothing that is looked for."""

    def pick(
        day: Annotated[date, Said()],
        count: Annotated[int | None, Said()] = 1,
        place: Annotated[str, Said()] | None = Field(default="here"),
    ) -> str:
        """Pick."""
        return f"{day} {count} {place}"

    written = '{"day": "2026-01-31", "count": null, "place": "here"}'
    assert Toolbox([pick]).marked("pick", written) == {"day": (Said(), "2026-01-31")}


class Till:
    """A marked function that a class holds."""

    @needs_approval
    @staticmethod
    def empty() -> str:
        """Empty the till."""
        return "empty"


async def test_a_mark_holds_for_functions_of_a_class() -> None:
    """Whichever decorator stands above the other."""
    toolbox = Toolbox([Till.empty], approval="refused")
    assert (await toolbox.call("empty", "{}")).refused
    assert toolbox.changes("empty")
