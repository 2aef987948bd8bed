"""A model's call is checked, traced, carried out within its bounds, and told."""

import asyncio
import json
import logging
from collections import ChainMap, deque
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, SecretStr
from typing_extensions import TypeAliasType

from function_calling.toolbox.schema import Said
from function_calling.toolbox.toolbox import FinalAnswer, Toolbox, needs_approval


def convert(amount: Decimal, to: str = "CAD") -> Any:
    """Convert an amount of US dollars.

    Args:
        amount: How much, in dollars.
    """
    return [amount, to]


def giving(value: Any) -> Callable[[], Any]:
    """A tool that returns this, or raises it."""

    def give() -> Any:
        """Give it."""
        if isinstance(value, BaseException):
            raise value
        return value

    return give


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ('{"amount": 1,, "to"', "The arguments are not a JSON object (Expecting property name"),
        ('{"amount": NaN}', "The arguments are not a JSON object (NaN is out of range). Wanted: "),
        ('"42"', 'The arguments are not a JSON object ("42" is no object). Wanted: an object '),
        ('{"amount": ' + "[" * 900 + "]" * 900 + "}", "The arguments are not a JSON object (max"),
        (
            '{"to": 7, "from": "USD"}',
            'amount is missing, wanted {"description": "How much, in dollars.", "type": "number"};'
            ' to=7 is wrong: input should be a valid string; from="USD" is no argument, '
            "the arguments are: amount, to.",
        ),
    ],
)
async def test_wrong_arguments_are_named_with_value_and_want(arguments: str, advice: str) -> None:
    """To the model alone; people read that the call was wrong."""
    toolbox = Toolbox([convert])
    result = await toolbox.call("convert", arguments)
    assert result.told == "convert was not called: its arguments are wrong."
    assert result.content.startswith(f"{result.told} {advice}")
    schema = json.dumps(toolbox.schemas[0]["function"]["parameters"])
    assert result.content.endswith(schema) == ("not a JSON object" in advice)


class Unprintable(Exception):
    """An error that can't even be told, and counts as false."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (SystemExit("bye"), "SystemExit: bye"),
        (ExceptionGroup("", [ExceptionGroup("", [ValueError("bad")])]), "ValueError: bad"),
        (StopIteration(), "RuntimeError: coroutine raised StopIteration"),
        (Unprintable(), "test_toolbox.Unprintable: <exception str() failed>"),
        (iter([1]), "TypeError: an iterator can't be told; wanted a list"),
    ],
)
async def test_whatever_a_tool_raises_is_told(
    value: Any, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The model reads type and message, the operator the trace."""
    with caplog.at_level(logging.ERROR):
        result = await Toolbox([giving(value)]).call("give", "{}")
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
    assert cancelled.is_set()
    enough.set()


class Bound(Enum):
    """A result that is a member of an enum."""

    MOST = 9


class Account(BaseModel):
    """A result with secrets."""

    parts: list[Decimal]
    key: SecretStr = SecretStr("xyz")
    pin: int = Field(default=1234, exclude=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("half a pair \ud83d", "half a pair ?"),
        (None, "Done."),
        ({"n": Decimal("1.90"), "summary": 1}, '{"n": 1.90, "summary": 1}'),
        ({"n": 1, "summary": "It is 1."}, '{"n": 1, "summary": "It is 1."}'),
        ((Decimal("1E+401"), Decimal("NaN")), '[1E+401, "NaN"]'),
        (deque([ChainMap({"a": Bound.MOST}).values()]), "[[9]]"),
        ({date(2026, 5, 1): "元", 1: True}, '{"2026-05-01": "元", "1": true}'),
        (Account(parts=[Decimal("1.10")]), '{"parts": [1.10], "key": "**********"}'),
        (FinalAnswer("Closed."), "Closed."),
        ("元" * 20, "元" * 16 + "\n[Cut: these are the first 50 of 60 bytes.]"),
    ],
)
async def test_results_are_told_as_text_or_json(value: Any, text: str) -> None:
    """Secrets stay out, digits stay; what can't be sent, or is too long, is said.

    People read a summary. No arguments at all are none.
    """
    result = await Toolbox([giving(value)], byte_limit=50).call("give", " ")
    assert (result.ok, result.content) == (True, text)
    assert result.told == ("It is 1." if "It is" in text else text)
    assert result.final == isinstance(value, FinalAnswer)


Place = TypeAliasType("Place", Annotated[str, Said()])


async def test_what_is_no_number_is_traced_as_the_model_wrote_it() -> None:
    """As a person says it; a null says nothing, and a default nothing that is looked for."""

    def pick(
        day: Annotated[date, Said()],
        count: Annotated[int | None, Said()] = 1,
        place: Place | None = "here",
        then: Place = "there",
    ) -> str:
        """Pick."""
        return f"{day} {count} {place} {then}"

    written = '{"day": "2026-01-31", "count": null, "place": "here", "then": "home"}'
    marked = {"day": (Said(), "2026-01-31"), "then": (Said(), "home")}
    assert Toolbox([pick]).marked("pick", written) == marked


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
