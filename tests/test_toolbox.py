"""Functions become tools, and what a model sends them is checked, called and told."""

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from function_calling.errors import ToolError
from function_calling.function_schema import Question
from function_calling.toolbox import Toolbox, ToolOutcome


class Side(Enum):
    """Which side of a trade."""

    BUY = "buy"
    SELL = "sell"


class Leg(BaseModel):
    """One part of a trade."""

    title: str
    amount: Decimal


class Folder(BaseModel):
    """A folder may hold folders."""

    name: str
    inside: list["Folder"] = []


@dataclass
class Receipt:
    """What a trade returns."""

    paid: Decimal
    sides: tuple[Side, ...]


def convert(amount: Decimal, to: str = "CAD") -> Any:
    """Convert an amount of US dollars.

    More words, which are for people.

    Args:
        amount: How much,
            in dollars.
        to (str): The currency wanted.

    Returns:
        The amount, in a list.
    """
    return [amount, to]


def trade(
    side: Side,
    legs: list[Leg],
    pace: Literal["fast", "slow"],
    fee: Annotated[Decimal, Field(gt=0, description="In percent.")] = Decimal("0.5"),
    at: datetime | None = None,
) -> Receipt:
    """Trade things."""
    return Receipt(sum((leg.amount for leg in legs), fee), (side,))


def now() -> None:
    """Do it now."""


CONVERT = Toolbox([convert])


def schema(function: Any) -> Any:
    """What a model is sent for the arguments of `function`."""
    return Toolbox([function]).schemas[0]["function"]["parameters"]


async def content(function: Any, arguments: Any) -> str:
    """What a model reads after a call."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return (await Toolbox([function]).call(function.__name__, text)).content


def test_a_function_is_offered_by_its_name_summary_types_and_argument_docs() -> None:
    """Everything in the schema comes from the function; a Decimal is a plain number."""
    assert Toolbox([convert]).schemas == [
        {
            "type": "function",
            "function": {
                "name": "convert",
                "description": "Convert an amount of US dollars.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "amount": {"type": "number", "description": "How much, in dollars."},
                        "to": {
                            "type": "string",
                            "default": "CAD",
                            "description": "The currency wanted.",
                        },
                    },
                    "required": ["amount"],
                    "additionalProperties": False,
                },
            },
        }
    ]


def test_only_entries_of_the_args_section_describe_arguments() -> None:
    """What stands before the first entry, or in other sections, is for people."""

    def count(n: int, m: int) -> None:
        """Count.

        Args:
            As in school.
            n (int): The first: it
                is counted.

        Note:
            m: Not described here.
        """

    described = {"type": "integer", "description": "The first: it is counted."}
    assert schema(count)["properties"] == {"n": described, "m": {"type": "integer"}}


def test_rich_types_are_written_out_without_titles_or_references() -> None:
    """Enums, literals, lists, nested models, limits and dates are spelled where they are used."""
    assert schema(trade)["properties"] == {
        "side": {
            "enum": ["buy", "sell"],
            "type": "string",
            "description": "Which side of a trade.",
        },
        "legs": {
            "type": "array",
            "items": {
                "type": "object",
                "description": "One part of a trade.",
                "properties": {"title": {"type": "string"}, "amount": {"type": "number"}},
                "required": ["title", "amount"],
            },
        },
        "pace": {"enum": ["fast", "slow"], "type": "string"},
        "fee": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 0.5,
            "description": "In percent.",
        },
        "at": {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
            "default": None,
        },
    }


def test_a_type_that_contains_itself_keeps_its_definition() -> None:
    """Written out, it would never end."""

    def file(folder: Folder) -> None:
        """File it."""

    parameters = schema(file)
    inner = parameters["properties"]["folder"]["properties"]["inside"]["items"]
    assert inner == {"$ref": "#/$defs/Folder"}
    assert "Folder" in parameters["$defs"]


def test_a_function_without_arguments_has_an_empty_object_as_schema() -> None:
    """No required list, no noise."""
    assert schema(now) == {"type": "object", "properties": {}}


@pytest.mark.parametrize("arguments", ["", " ", "{}"])
async def test_a_function_without_arguments_can_be_called_with_no_text(arguments: str) -> None:
    """Many models send nothing at all."""
    assert await content(now, arguments) == "Done."


def test_arguments_may_have_names_that_pydantic_keeps_for_itself() -> None:
    """`copy`, `schema` and `_x` are ordinary names in a function."""

    def odd(copy: int, schema: int, model_config: int, _x: int) -> None:
        """Be odd."""

    assert list(schema(odd)["properties"]) == ["copy", "schema", "model_config", "_x"]


def untyped(thing) -> None:  # type: ignore[no-untyped-def]
    """Lack a type."""


def several(*things: int) -> None:
    """Take any number."""


def undocumented(thing: int) -> None:  # noqa: D103 - that is the point
    pass


def misdocumented(thing: int) -> None:
    """Document what isn't there.

    Args:
        think: A typo.
    """


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (untyped, "untyped(thing): wanted a type hint"),
        (several, "several(*things: int): wanted an argument with a name"),
        (undocumented, "undocumented has no docstring"),
        (misdocumented, "documents ['think']"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused_at_start(function: Any, named: str) -> None:
    """Its developer reads what is missing, before any model does."""
    with pytest.raises(TypeError) as caught:
        Toolbox([function])
    assert named in str(caught.value)


def test_two_tools_of_one_name_are_refused() -> None:
    """One would hide the other."""
    with pytest.raises(ValueError, match="Two tools are called convert"):
        Toolbox([convert, convert])


@pytest.mark.parametrize(
    "number", ["0.1", "131.945", "1570795.00", "12345678901234567890.123456789"]
)
async def test_numbers_come_in_and_go_out_digit_by_digit(number: str) -> None:
    """No float stands between the model's text and the tool, or on the way back."""
    outcome = await Toolbox([convert]).call("convert", f'{{"amount": {number}}}')
    assert outcome.value == [Decimal(number), "CAD"]
    assert outcome.content == f'[{number}, "CAD"]'


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**30))
async def test_any_decimal_survives_the_round_trip(amount: Decimal) -> None:
    """What the model writes is what the tool gets and what the model reads."""
    outcome = await CONVERT.call("convert", f'{{"amount": {amount:f}}}')
    assert outcome.value[0] == amount
    assert outcome.content == f'[{amount:f}, "CAD"]'


async def test_arguments_arrive_as_the_types_of_the_signature() -> None:
    """Enums, models, dates and defaults are real values inside the function."""
    seen: dict[str, Any] = {}

    def look(
        side: Side,
        legs: list[Leg],
        day: date,
        n: int,
        share: float,
        fee: Annotated[Decimal, Field(ge=0)] = Decimal(1),
    ) -> str:
        """Look at the arguments."""
        seen.update(side=side, leg=legs[0].amount, day=day, n=n, share=share, fee=fee)
        return "seen"

    sent = '{"side": "buy", "legs": [{"title": "a", "amount": 1.10}], "day": "2026-05-01"'
    assert await content(look, sent + ', "n": 5.0, "share": 0.5}') == "seen"
    assert seen == {
        "side": Side.BUY,
        "leg": Decimal("1.10"),
        "day": date(2026, 5, 1),
        "n": 5,
        "share": 0.5,
        "fee": Decimal(1),
    }


async def test_bound_and_async_methods_are_tools_too() -> None:
    """A tool may own its store, and may wait."""

    class Counter:
        def __init__(self) -> None:
            self.total = 0

        async def add(self, n: int) -> str:
            """Add to the total."""
            self.total += n
            return f"total {self.total}"

    toolbox = Toolbox([Counter().add])
    await toolbox.call("add", '{"n": 2}')
    assert (await toolbox.call("add", '{"n": 3}')).content == "total 5"


async def test_an_unknown_tool_is_answered_with_the_tools_there_are() -> None:
    """The model can choose again."""
    outcome = await Toolbox([convert, now]).call("exchange", "{}")
    assert outcome == ToolOutcome(
        'There is no tool "exchange". The tools are: convert, now.', ok=False
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ('{"amount": 1,, "to"', 'at character 13, near \'{"amount": 1,, "to"\''),
        ('{"amount": NaN}', "NaN is no JSON number"),
        ('"42"', '"42" is no object'),
        ("[" * 100_000, "recursion"),
        ('{"amount": ' + "1" * 5000 + "}", "limit"),
    ],
)
async def test_broken_json_is_answered_with_the_place_and_the_schema(
    arguments: str, named: str
) -> None:
    """The model reads where it broke and what was wanted."""
    told = await content(convert, arguments)
    assert named in told
    assert told.startswith("convert was not called: the arguments are not a JSON object")
    assert told.endswith(json.dumps(schema(convert)))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            {},
            'amount is missing, wanted {"description": "How much, in dollars.", "type": "number"}',
        ),
        ({"amount": "a lot"}, 'amount="a lot" is wrong: input should be a valid decimal'),
        (
            {"amount": 1, "from": "USD"},
            'from="USD" is no argument, the arguments are: amount, to',
        ),
        (
            {"amount": [1.5], "to": 7},
            "amount=[1.5] is wrong: decimal input should be an integer, float, string or Decimal "
            "object; to=7 is wrong: input should be a valid string",
        ),
    ],
)
async def test_wrong_arguments_are_named_with_value_and_want(arguments: Any, told: str) -> None:
    """One line, all problems at once, no addresses of documentation."""
    assert await content(convert, arguments) == f"convert was not called: {told}."


async def test_wrong_values_inside_of_arguments_are_named_by_their_path() -> None:
    """Steps into lists and objects are joined by dots; long values are cut."""
    legs = [{"title": "x" * 200}, {"title": "b", "amount": -1, "zz": 1}, {"amount": "?"}]
    told = await content(trade, {"side": "hold", "legs": legs, "pace": "fast"})
    assert "side=\"hold\" is wrong: input should be 'buy' or 'sell'" in told
    assert "legs.0.amount is missing;" in told
    assert 'legs.2.amount="?" is wrong' in told
    assert "xxx" not in told


async def test_long_wrong_values_are_cut() -> None:
    """A model need not read again all that it wrote."""
    told = await content(convert, {"amount": "x" * 500})
    assert told == f'convert was not called: amount="{"x" * 79}… is wrong: ' + (
        "input should be a valid decimal."
    )


async def test_a_tool_error_is_told_in_its_own_words() -> None:
    """Such a text was written for the model."""

    def refuse() -> None:
        """Refuse."""
        raise ToolError("XYZ is no currency; wanted an ISO 4217 code.")

    assert await content(refuse, "{}") == "XYZ is no currency; wanted an ISO 4217 code."


async def test_any_other_error_is_told_without_its_trace_and_logged_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The model reads type and message, the operator everything."""

    def crash() -> None:
        """Crash."""
        raise KeyError("rates")

    with caplog.at_level(logging.ERROR):
        assert await content(crash, "{}") == "Tool crash failed: KeyError: 'rates'"
    assert caplog.records[0].exc_info


async def test_a_tools_own_timeout_is_an_error_like_any_other() -> None:
    """Only our limit speaks of our limit."""

    async def ask() -> None:
        """Ask someone else."""
        raise TimeoutError("no reply")

    assert await content(ask, "{}") == "Tool ask failed: TimeoutError: no reply"


async def test_an_async_tool_that_overruns_is_cancelled() -> None:
    """The model reads after how many seconds."""
    cancelled = asyncio.Event()

    async def wait() -> None:
        """Wait for ever."""
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    outcome = await Toolbox([wait]).call("wait", "{}", time_limit=0.01)
    assert not outcome.ok
    assert outcome.content.startswith("Tool wait took longer than 0.01 seconds")
    assert cancelled.is_set()


async def test_a_plain_tool_runs_beside_the_event_loop_and_is_given_up_in_time() -> None:
    """A thread can't be stopped, but nobody waits for it."""

    def block() -> None:
        """Block a thread."""
        time.sleep(0.05)

    outcome = await Toolbox([block]).call("block", "{}", time_limit=0.01)
    assert "took longer than 0.01 seconds" in outcome.content


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "Done."),
        (
            {"a": Decimal("131.90"), 1: [True, 2.5, "加元"]},
            '{"a": 131.90, "1": [true, 2.5, "加元"]}',
        ),
        (Receipt(Decimal("1.10"), (Side.BUY,)), '{"paid": 1.10, "sides": ["buy"]}'),
        (Leg(title="a", amount=Decimal("1E+3")), '{"title": "a", "amount": 1000}'),
        ({date(2026, 5, 1): Decimal("NaN")}, '{"2026-05-01": "NaN"}'),
        ("half a pair \ud83d", "half a pair ?"),
    ],
)
async def test_results_are_told_as_text_or_json(value: Any, text: str) -> None:
    """Decimals are numbers with every digit; no text is left that can't be sent."""

    def give() -> Any:
        """Give it."""
        return value

    assert await content(give, "{}") == text


async def test_a_result_without_json_form_is_told_as_a_failure() -> None:
    """The model must not wait for what can't be said."""

    def give() -> Any:
        """Give an object."""
        return object()

    told = "give was called, but its result (object) has no JSON form."
    assert await content(give, "{}") == told


async def test_a_result_over_the_byte_limit_is_cut_between_characters_and_says_so() -> None:
    """The model knows that there was more."""

    def recite() -> str:
        """Recite."""
        return "元" * 10

    outcome = await Toolbox([recite], byte_limit=10).call("recite", "{}")
    assert outcome.content == "元元元\n[Cut: these are the first 10 of 30 bytes.]"
    assert outcome.value == "元" * 10


@pytest.mark.parametrize(
    ("value", "summary"),
    [({"n": 1, "summary": "It is 1."}, "It is 1."), ({"summary": 1}, None), ("It is 1.", None)],
)
async def test_a_summary_is_the_text_under_that_key(value: Any, summary: str | None) -> None:
    """It tells the result to a person."""

    def give() -> Any:
        """Give it."""
        return value

    assert (await Toolbox([give]).call("give", "{}")).summary == summary


def echo(text: str, question: Question) -> str:
    """Repeat a text.

    Args:
        text: What to repeat.
    """
    return f"{question}: {text}"


async def test_a_tool_is_given_the_question_without_the_model_knowing() -> None:
    """It is neither in the schema nor accepted from the model."""
    toolbox = Toolbox([echo])
    parameters = toolbox.schemas[0]["function"]["parameters"]
    assert list(parameters["properties"]) == ["text"]
    outcome = await toolbox.call("echo", '{"text": "hi"}', context=[Question("What?")])
    assert outcome.content == "What?: hi"
    forged = '{"text": "hi", "question": "Mine"}'
    assert not (await toolbox.call("echo", forged, context=[Question("What?")])).ok
