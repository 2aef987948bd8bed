"""A model's call is checked, traced, carried out within its bounds, and told."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from threading import Event
from typing import Annotated, Any

import pytest

from function_calling.toolbox.schema import Said
from function_calling.toolbox.toolbox import (
    FinalAnswer,
    Toolbox,
    ToolResult,
    changes_something,
    needs_approval,
)


def convert(amount: Decimal, to: str = "CAD") -> Any:
    """Convert an amount of US dollars.

    Args:
        amount: How much, in dollars.
        to: The currency wanted.
    """
    return [amount, to]


def now() -> None:
    """Do it now."""


CONVERT = Toolbox([convert])


def giving(value: Any) -> Callable[[], Any]:
    """A tool that returns this, or raises it."""

    def give() -> Any:
        """Give it."""
        if isinstance(value, BaseException):
            raise value
        return value

    return give


async def call(function: Callable[..., Any], **arguments: Any) -> ToolResult:
    """What comes of a call."""
    return await Toolbox([function]).call(function.__name__, json.dumps(arguments))


async def test_a_function_without_arguments_can_be_called_with_no_text() -> None:
    """Many models send nothing at all."""
    toolbox = Toolbox([now])
    assert toolbox.schemas[0]["function"]["parameters"] == {"type": "object", "properties": {}}
    for arguments in ("", " ", "{}"):
        assert (await toolbox.call("now", arguments)).content == "Done."


WRONG = "convert was not called: its arguments are wrong."


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ('{"amount": 1,, "to"', 'at character 13, near \'{"amount": 1,, "to"\''),
        ('{"amount": NaN}', "NaN is out of range"),
        ('{"amount": 1e401}', "1e401 is out of range"),
        ('"42"', '"42" is no object'),
        ("[" * 100_000, "recursion"),
        ('{"amount": ' + "[" * 900 + "]" * 900 + "}", "there are more than 100 levels in it"),
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


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (
            {},
            'amount is missing, wanted {"description": "How much, in dollars.", "type": "number"}',
        ),
        (
            {"amount": [1.5], "to": 7, "from": "USD"},
            "amount=[1.5] is wrong: decimal input should be an integer, float, string or Decimal "
            'object; to=7 is wrong: input should be a valid string; from="USD" is no argument, '
            "the arguments are: amount, to",
        ),
    ],
)
async def test_wrong_arguments_are_named_with_value_and_want(arguments: Any, advice: str) -> None:
    """All at once, to the model alone; people read that the call was wrong."""
    result = await call(convert, **arguments)
    assert (result.content, result.told) == (f"{WRONG} {advice}.", WRONG)


class Unprintable(Exception):
    """An error that can't even be told."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError("no reply"), "TimeoutError: no reply"),
        (SystemExit("bye"), "SystemExit: bye"),
        (GeneratorExit(), "GeneratorExit"),
        (Unprintable(), "test_toolbox.Unprintable: <exception str() failed>"),
    ],
)
async def test_whatever_a_tool_raises_is_told(
    error: BaseException, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Plain or async: the model reads type and message, the operator the trace."""

    async def wait() -> None:
        """Fail."""
        await asyncio.sleep(0)
        raise error

    with caplog.at_level(logging.ERROR):
        result = await call(giving(error))
    assert result.content == f"Tool give failed: {text}"
    assert result.told == "Tool give failed; the log says why."
    assert caplog.records[0].exc_info
    assert (await call(wait)).content == f"Tool wait failed: {text}"


async def test_a_tool_that_overruns_is_given_up() -> None:
    """An async one is cancelled; one that insists, or a thread, goes on alone."""
    cancelled, enough, over = asyncio.Event(), asyncio.Event(), Event()

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

    @changes_something
    def block() -> None:
        """Block a thread."""
        over.wait()

    toolbox = Toolbox([wait, insist, block])
    for name in ("wait", "insist", "block"):
        result = await toolbox.call(name, "{}", time_limit=0.01)
        took = "took longer than 0.01 seconds and was given up"
        assert result.content == f"Tool {name} {took}; whether it did anything is unknown."
        assert (result.ok, result.unsure) == (False, name == "block")
    assert cancelled.is_set()
    enough.set()
    over.set()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ({"a": Decimal("131.90"), "b": [True, 2.5]}, '{"a": 131.90, "b": [true, 2.5]}'),
        ("half a pair \ud83d", "half a pair ?"),
        (FinalAnswer("Closed."), "Closed."),
        (object(), "give was called, but its result (object) has no JSON form."),
        (iter([1]), "give was called, but its result (list_iterator) has no JSON form."),
        ("元" * 20, "元" * 16 + "\n[Cut: these are the first 50 of 60 bytes.]"),
    ],
)
async def test_results_are_told_as_text_or_json(value: Any, text: str) -> None:
    """What can't be sent, or is too long, is said."""
    limit = 50 if value == "元" * 20 else 8192
    result = await Toolbox([giving(value)], byte_limit=limit).call("give", "{}")
    assert result.content == text
    assert result.ok == ("no JSON form" not in text)
    assert result.final == isinstance(value, FinalAnswer)


async def test_a_person_is_told_the_summary_where_there_is_one() -> None:
    """It is the text under that key."""
    assert (await call(giving({"n": 1, "summary": "It is 1."}))).told == "It is 1."
    assert (await call(giving({"summary": 1}))).told == '{"summary": 1}'


Marked = Mapping[str, tuple[Said, Any]]


def pay(
    invoice: Annotated[int, Said(by="tool")],
    amount: Annotated[Decimal, Said()] = Decimal(1),
    note: str = "",
) -> str:
    """Pay an invoice."""
    return f"paid {amount} for {invoice}"


async def test_marked_arguments_are_traced_before_the_call() -> None:
    """As the values that the function would get, and without those that are its defaults."""
    traced: list[tuple[str, Marked]] = []

    def trace(name: str, marked: Marked) -> str:
        traced.append((name, marked))
        return "I took 7 as the invoice."

    toolbox = Toolbox([pay])
    result = await toolbox.call("pay", '{"invoice": "7", "amount": 1.0}', trace=trace)
    assert (result.content, result.assumed) == ("paid 1.0 for 7", "I took 7 as the invoice.")
    assert traced == [("pay", {"invoice": (Said(by="tool"), 7)})]
    assert toolbox.marked("pay", '{"invoice": 7, "amount": 2}') == {
        "invoice": (Said(by="tool"), 7),
        "amount": (Said(), Decimal(2)),
    }
    assert toolbox.marked("pay", "{}") == toolbox.marked("sell", "{}") == {}


@needs_approval
def sell(n: int) -> str:
    """Sell things."""
    return f"sold {n}"


@pytest.mark.parametrize("yes", [True, False])
async def test_a_person_is_asked_before_a_tool_that_needs_a_yes(yes: bool) -> None:
    """With the arguments as the tool would get them, and never about a call that can't be made."""
    asked: list[tuple[str, Any]] = []

    async def approve(name: str, arguments: Mapping[str, Any]) -> bool:
        asked.append((name, arguments))
        return yes

    toolbox = Toolbox([sell])
    assert not (await toolbox.call("sell", '{"n": "many"}', approve=approve)).ok
    result = await toolbox.call("sell", '{"n": 2.0}', approve=approve)
    assert (asked, result.ok, result.refused) == ([("sell", {"n": 2})], yes, not yes)
    assert result.content == ("sold 2" if yes else "sell was not called: the user said no.")


async def test_where_nobody_can_be_asked_the_operator_has_decided() -> None:
    """A yes by default."""
    given, refused = Toolbox([sell]), Toolbox([sell], approval="refused")
    assert (await given.call("sell", '{"n": 1}')).content == "sold 1"
    told_no = "sell was not called: nobody can say the yes it needs."
    assert (await refused.call("sell", '{"n": 1}')).content == told_no
