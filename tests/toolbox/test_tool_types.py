"""A function's types as a schema for the model, and what a model writes as values of the types."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from function_calling.toolbox.schema import FunctionSchema, Said
from function_calling.toolbox.toolbox import Toolbox


class Color(Enum):
    """A color."""

    RED = "red"
    BLUE = "blue"


class Odd(Enum):
    """What no number of JSON is to the last digit, or JSON has no kind for."""

    LOW = 0.1
    FIRST = date(2026, 1, 1)


class Strict(BaseModel):
    """As strict as JSON can be."""

    model_config = ConfigDict(strict=True)
    days: set[date]


@dataclass
class Point:
    """A place."""

    x: int
    y: Decimal = Decimal("0.5")


class Leg(BaseModel):
    """A part of a way."""

    km: Decimal
    when: date | None = None
    next: "Leg | None" = None


def tool(hint: Any) -> Callable[..., Any]:
    """A tool with one argument of this type, which it returns."""

    def give(v: Any) -> Any:
        """Give it back."""
        return v

    give.__annotations__ = {"v": hint}
    return give


def test_a_function_is_offered_by_its_name_docstring_and_types() -> None:
    """Of the docstring the model reads the first paragraph and the entries of `Args:`."""

    def convert(amount: Decimal, copy: Annotated[Decimal, Field(gt=0)] = Decimal("0.5")) -> None:
        """Convert an amount
        of US dollars.

        More words, which are for people.

        Args:
            As in school.
            amount (list(Decimal)): How much: it
                is in dollars.

        Note:
            copy: A name that pydantic keeps for itself, and not described here.
        """

    (offered,) = Toolbox([convert]).schemas
    assert (offered["type"], offered["function"]["name"]) == ("function", "convert")
    assert offered["function"]["description"] == "Convert an amount of US dollars."
    assert offered["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "amount": {"type": "number", "description": "How much: it is in dollars."},
            "copy": {"type": "number", "exclusiveMinimum": 0, "default": 0.5},
        },
        "required": ["amount"],
        "additionalProperties": False,
    }

    def now() -> None:
        """Do it now."""

    assert FunctionSchema(now).parameters == {"type": "object", "properties": {}}


POINT = {
    "type": "object",
    "description": "A place.",
    "properties": {"x": {"type": "integer"}, "y": {"type": "number", "default": 0.5}},
    "required": ["x"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        (datetime | None, {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}),
        (Annotated[int, Said()], {"type": "integer"}),
        (list[Point], {"items": POINT, "type": "array"}),
    ],
)
def test_types_are_written_out_without_titles_or_references(hint: Any, shown: Any) -> None:
    """And a mark is not for the model."""
    assert FunctionSchema(tool(hint)).parameters["properties"] == {"v": shown}


@pytest.mark.parametrize(
    ("hint", "written", "value"),
    [
        (int, '"5"', 5),
        (bool | int, "true", True),
        (Decimal, "0.1000000000000000000000000001", Decimal("0.1000000000000000000000000001")),
        ("Color", '"red"', Color.RED),
        (Odd, "0.1", Odd.LOW),
        (Odd, '"2026-01-01"', Odd.FIRST),
        (Strict, '{"days": ["2026-01-01"]}', Strict(days={date(2026, 1, 1)})),
        (datetime, '"2026-01-31T18:30:00Z"', datetime(2026, 1, 31, 18, 30, tzinfo=UTC)),
        (Point, '{"x": 1, "y": 0.10}', Point(1, Decimal("0.10"))),
        (Leg | Point, '{"x": 1}', Point(1)),
    ],
)
def test_what_a_model_writes_arrives_as_the_type(hint: Any, written: str, value: Any) -> None:
    """Numbers in quotes are numbers, no digit is lost, and what the schema offers is taken."""
    given = FunctionSchema(tool(hint)).arguments(f'{{"v": {written}}}')
    assert given == {"v": value}
    assert type(given["v"]) is type(value)


def fails(value: Any) -> Any:
    """A validator with a fault of its own."""
    raise KeyError(value)


@pytest.mark.parametrize(
    ("hint", "written", "problem"),
    [
        (int | None, "true", "v=true is wrong: wanted a number"),
        (dict[int, tuple[bool, Decimal]], '{"1": [true, true]}', "v.1.1=true is wrong"),
        (Leg, '{"km": 1, "next": {"km": 2, "when": 0}}', "v.next.when=0 is wrong: wanted a date"),
        (date, "20260131", "v=20260131 is wrong: wanted a date like 2026-01-31"),
        (timedelta, "60", "v=60 is wrong: wanted a duration like PT1H30M"),
        (time, '"3pm"', 'v="3pm" is wrong: input should be in a valid time format'),
        (int | str, "5.5", "v=5.5 is wrong: input should be a valid integer"),
        (Point, '{"x": 1, "z": 2}', "v.z=2 is no argument"),
        (Point, "{}", "v.x is missing"),
        (Annotated[str, BeforeValidator(fails)], "5", "Their check failed with KeyError: 5"),
        (int, f'"{"x" * 500}"', f'v="{"x" * 79}… is wrong: input should be a valid integer'),
    ],
)
async def test_what_is_of_another_type_is_told_with_what_was_wanted(
    hint: Any, written: str, problem: str
) -> None:
    """Also where Python would take it: true is no 1, and 0 is no day in 1970."""
    result = await Toolbox([tool(hint)]).call("give", f'{{"v": {written}}}')
    assert not result.ok
    assert problem in result.content


def untyped(thing) -> None:  # type: ignore[no-untyped-def]
    """Lack a type."""


def misdocumented(thing: int) -> None:
    """Document what isn't there.

    Args:
        think: A typo.
    """


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (untyped, "untyped(thing): wanted a type hint"),
        (print, "print(*args): wanted an argument with a name"),
        (misdocumented, "documents ['think']"),
        (tool(Annotated[str, Field(pattern="(")]), "give: Error building"),
        (tool(Callable), "give: Cannot generate a JsonSchema"),
        (type("Nameless", (), {"__call__": lambda self: None})(), "wanted a function with a name"),
    ],
)
def test_what_cannot_be_a_tool_is_named(function: Any, problem: str) -> None:
    """Its developer reads what is missing at start, before any model does."""
    with pytest.raises(TypeError) as caught:
        Toolbox([function])
    assert problem in str(caught.value)


def test_a_field_of_pydantics_may_stand_as_the_default() -> None:
    """With its bounds, and its own default or none; the argument keeps its name."""
    fresh: Any = Field(default_factory=list)

    def bounded(n: int = Field(ge=1, alias="from"), to: list[int] = fresh) -> None:
        """Spell bounds as FastAPI does.

        Args:
            n: How many.
        """

    given = FunctionSchema(bounded)
    assert given.parameters["properties"] == {
        "n": {"type": "integer", "minimum": 1, "description": "How many."},
        "to": {"type": "array", "items": {"type": "integer"}},
    }
    assert given.parameters["required"] == ["n"]
    assert given.arguments('{"n": 1}') == {"n": 1, "to": []}
