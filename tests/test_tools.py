"""Money is converted exactly, tasks are kept; each tool tells what it did and what it can't do."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from function_calling.conversion import LARGEST_AMOUNT
from function_calling.engines.grammar import grammar
from function_calling.errors import ToolError
from function_calling.function_schema import Question
from function_calling.messages import JsonSlot
from function_calling.rates import FixedRates, Rate
from function_calling.schemas import enforceable
from function_calling.settings import Settings
from function_calling.todo_tools import MOST_LISTED, TodoTools, todo_tools
from function_calling.todos import TodoStore
from function_calling.toolbox import FinalAnswer, Toolbox
from tools import MISREAD, OUT_OF_SCOPE, CurrencyTools, DatedCurrencyTools, currency_tools


def convert(amount: str, source: str = "USD", target: str = "CAD", rate: str = "3.14159"):
    """The result for numbers in the spelling given."""
    tools = CurrencyTools(FixedRates(Decimal(rate)))
    return tools.convert_currency(source, target, Decimal(amount))


def test_a_conversion_tells_all_about_itself() -> None:
    """The result is complete, exact, and JSON as it is."""
    result = convert("42")
    assert json.loads(json.dumps(result)) == {
        "converted_amount": "131.95",
        "rate": "3.14159",
        "summary": "The converted amount of 42 US dollars to Canadian dollars is 131.95.",
    }


def test_names_are_understood_in_place_of_codes() -> None:
    """A model that copies the user's words is served as well as one that knows the codes."""
    assert convert("42", "dollars", "canadiens") == convert("42")


@pytest.mark.parametrize(
    ("amount", "shown", "converted"),
    [
        ("42.00", "42", "131.95"),
        ("4.2E+1", "42", "131.95"),
        ("1E+6", "1000000", "3141590.00"),
        ("0.50", "0.5", "1.57"),
        ("0", "0", "0.00"),
        ("-0.0", "0", "0.00"),
        ("42.00000000000000000000000000", "42", "131.95"),
        ("500000", "500000", "1570795.00"),
        ("1000000000000000", "1000000000000000", "3141590000000000.00"),
        ("999999999999999.123456789012", "999999999999999.123456789012", "3141589999999997.25"),
    ],
)
def test_numbers_are_plain_and_exact(amount: str, shown: str, converted: str) -> None:
    """Amounts come without exponents and idle zeros, results with two decimals."""
    result = convert(amount)
    unit = "US dollar" if shown == "1" else "US dollars"
    assert result["converted_amount"] == converted
    assert f" {shown} {unit} " in result["summary"]


@pytest.mark.parametrize(("amount", "converted"), [("0.005", "0.01"), ("2.675", "2.68")])
def test_halves_are_rounded_up(amount: str, converted: str) -> None:
    """Half a cent is a cent, as on paper."""
    assert convert(amount, rate="1")["converted_amount"] == converted


def test_one_unit_is_singular() -> None:
    """The sentence reads well for an amount of one."""
    expected = "The converted amount of 1 US dollar to Canadian dollars is 3.14."
    assert convert("1.00")["summary"] == expected


def test_a_currency_converts_to_itself_unchanged() -> None:
    """The fictitious rate is not applied where nothing is exchanged."""
    assert convert("42", "USD", "dollars")["converted_amount"] == "42.00"


@pytest.mark.parametrize(
    "amount", ["-1", "-0.01", "NaN", "sNaN", "Infinity", "-Infinity", "1E+16", "1E+999999"]
)
def test_an_amount_that_no_money_has_is_refused(amount: str) -> None:
    """The model learns which amount it gave and which would be right."""
    with pytest.raises(ToolError) as caught:
        convert(amount)
    assert str(caught.value) == f"The amount is {amount}: give a number from 0 to 1000000000000000."


@pytest.mark.parametrize("amount", ["0.0000000000001", "1E-999999"])
def test_an_amount_with_too_many_decimals_is_refused(amount: str) -> None:
    """No answer is a million digits long."""
    with pytest.raises(ToolError, match="give a number with at most 12 decimals"):
        convert(amount)


def test_a_code_that_is_none_is_told_what_the_question_names() -> None:
    """A small model knows a currency's name, but not its code."""
    tools = CurrencyTools(FixedRates())
    question = Question("9.75 New Zealand dollars in Fijian dollars")
    with pytest.raises(ToolError, match=r"currency 'FJY'.* The user names NZD and FJD\."):
        tools.convert_currency("NZD", "FJY", Decimal("9.75"), question)
    with pytest.raises(ToolError, match=r"such as USD\.$"):
        tools.convert_currency("galleons", "USD", Decimal(50), Question("50 galleons to USD"))


@pytest.mark.parametrize("source", ["USD", "ES"])
def test_a_question_that_is_not_about_money_is_turned_away(source: str) -> None:
    """Even if a model calls the tool for it, with codes that are none."""
    question = Question("What is the capital of France?")
    tools = CurrencyTools(FixedRates())
    assert tools.convert_currency(source, "EUR", Decimal(1), question) == FinalAnswer(OUT_OF_SCOPE)


def test_an_unknown_currency_is_refused_by_name() -> None:
    """The error of the search reaches the model unchanged."""
    with pytest.raises(ToolError, match="Unknown currency 'bitcoin'"):
        convert("42", "bitcoin")


@given(st.decimals(min_value=0, max_value=LARGEST_AMOUNT, places=4))
def test_every_conversion_is_off_by_half_a_cent_at_most(amount: Decimal) -> None:
    """Rounding happens once, at the end."""
    result = convert(str(amount))
    error = Decimal(result["converted_amount"]) - amount * Decimal("3.14159")
    assert abs(error) <= Decimal("0.005")


SEEN: dict[str, Any] = {
    "additionalProperties": False,
    "properties": {
        "from_currency": {
            "description": "ISO 4217 code of the currency the user has",
            "type": "string",
        },
        "to_currency": {
            "description": "ISO 4217 code of the currency the user wants",
            "type": "string",
        },
        "amount": {"description": "Amount of money in from_currency", "type": "number"},
    },
    "required": ["from_currency", "to_currency", "amount"],
    "type": "object",
}
"""The arguments that a model sees where rates know no days."""


@dataclass(frozen=True)
class OneRate:
    """The same rate for every pair."""

    value: Rate

    def rate(self, _source: str, _target: str) -> Rate:
        """It."""
        return self.value


class DayRates:
    """One rate of each day, half of the day's number; without a day it is of 2024-01-20."""

    def rate(self, _source: str, _target: str, on: date | None = None) -> Rate:
        """Told with its day."""
        day = on or date(2024, 1, 20)
        return Rate(Decimal(day.day), day=day, per=Decimal(2), told=f"at the rate of {day}")


def function_seen(function: Callable[..., Any]) -> dict[str, Any]:
    """The tool as a model sees it."""
    (tool,) = Toolbox([function]).schemas
    seen: dict[str, Any] = tool["function"]
    return seen


def test_with_the_fixed_rate_no_day_can_be_asked_for() -> None:
    """The model sees three arguments."""
    seen = function_seen(*currency_tools(Settings()).functions)
    assert json.dumps(seen["parameters"], sort_keys=True) == json.dumps(SEEN, sort_keys=True)


def test_a_day_is_one_more_argument_where_rates_know_days() -> None:
    """Optional; all else is the same, and an engine can enforce it."""
    dated = function_seen(DatedCurrencyTools(DayRates()).convert_currency)
    plain = function_seen(CurrencyTools(FixedRates()).convert_currency)
    constraint, ignored = enforceable(dated["parameters"], 99)
    assert grammar([(JsonSlot(constraint),)])
    assert not ignored
    assert dated == plain | {"parameters": dated["parameters"]}
    assert dated["parameters"] == SEEN | {
        "properties": {
            **SEEN["properties"],
            "on": {
                "anyOf": [{"format": "date", "type": "string"}, {"type": "null"}],
                "default": None,
                "description": "Day whose rate is wanted, only if the user names one",
            },
        }
    }


@pytest.mark.parametrize(
    ("question", "on", "answer"),
    [
        ("3 USD in EUR", {}, "30.00, at the rate of 2024-01-20."),
        ("3 USD in EUR", {"on": None}, "30.00, at the rate of 2024-01-20."),
        ("3 USD in EUR on 5 May 2024", {"on": "2024-05-05"}, "7.50, at the rate of 2024-05-05."),
    ],
)
async def test_the_rate_is_of_the_day_that_is_asked_for(
    question: str, on: dict[str, str], answer: str
) -> None:
    """The result has the day, and its sentence too."""
    toolbox = Toolbox([DatedCurrencyTools(DayRates()).convert_currency])
    arguments = {"from_currency": "USD", "to_currency": "EUR", "amount": 3, **on}
    outcome = await toolbox.call(
        "convert_currency", json.dumps(arguments), context=[Question(question)]
    )
    assert outcome.summary == f"The converted amount of 3 US dollars to euros is {answer}"
    assert outcome.value["rate_date"] in answer


async def test_what_is_said_to_the_model_alone_is_not_told_to_people() -> None:
    """They read that it was not understood."""
    toolbox = Toolbox([CurrencyTools(FixedRates()).convert_currency])
    arguments = {"from_currency": "EUR", "to_currency": "USD", "amount": 3}
    outcome = await toolbox.call(
        "convert_currency", json.dumps(arguments), context=[Question("3 USD in EUR")]
    )
    assert outcome.content.endswith("3 US dollars to euros (USD to EUR): convert that.")
    assert outcome.told == MISREAD


@pytest.mark.parametrize("on", ["2024-13-01", "yesterday", "2024-05-06"])
async def test_a_wrong_day_is_told_so(on: str) -> None:
    """What is no day, and what the question doesn't say."""
    toolbox = Toolbox([DatedCurrencyTools(DayRates()).convert_currency])
    arguments = {"from_currency": "USD", "to_currency": "EUR", "amount": 3, "on": on}
    outcome = await toolbox.call(
        "convert_currency",
        json.dumps(arguments),
        context=[Question("3 USD in EUR on 2024-05-05")],
    )
    assert not outcome.ok
    assert on in outcome.content or "2024-05-05" in outcome.content


@example(Decimal("0.015"))
@given(st.decimals(min_value=0, max_value=LARGEST_AMOUNT, places=12))
def test_a_quotient_is_rounded_once(amount: Decimal) -> None:
    """Half a cent is found where dividing first would lose it: 0.015 at a third is 0.005."""
    rate = Rate(Decimal(1), per=Decimal(3))
    result = CurrencyTools(OneRate(rate)).convert_currency("USD", "CAD", amount)
    assert isinstance(result, dict)
    exact = Fraction(amount) / 3 * 100
    assert int(Fraction(result["converted_amount"]) * 100) == floor(exact + Fraction(1, 2))


@pytest.fixture
def todo() -> Iterator[TodoTools]:
    """The to-do tools with a list of two tasks."""
    store = TodoStore()
    tools = TodoTools(store)
    tools.create_task("Buy milk")
    tools.create_task("Call Bob")
    yield tools
    store.close()


def test_a_new_task_tells_its_id_and_a_sentence(todo: TodoTools) -> None:
    """The id is for the model, which may go on; the sentence is for people."""
    result = todo.create_task("  Pay\nrent ")
    assert json.loads(json.dumps(result)) == {
        "id": 3,
        "title": "Pay rent",
        "done": False,
        "summary": 'Added "Pay rent" to the to-do list.',
    }


def test_the_list_tells_ids_and_a_sentence(todo: TodoTools) -> None:
    """What is still to do comes first."""
    todo.update_task(1, done=True)
    assert todo.list_tasks() == {
        "tasks": [
            {"id": 2, "title": "Call Bob", "done": False},
            {"id": 1, "title": "Buy milk", "done": True},
        ],
        "summary": 'To do: "Call Bob". Done: "Buy milk".',
    }


@pytest.mark.parametrize(
    ("status", "search", "ids"),
    [("all", "", [2, 1]), ("open", "", [2]), ("done", "", [1]), ("all", "milk", [1])],
)
def test_the_list_can_be_narrowed(
    todo: TodoTools, status: Any, search: str, ids: list[int]
) -> None:
    """By what is done, and by a word."""
    todo.update_task(1, done=True)
    assert [task["id"] for task in todo.list_tasks(status, search)["tasks"]] == ids


def test_an_empty_list_says_so(todo: TodoTools) -> None:
    """Nothing found is a result."""
    empty = {"tasks": [], "summary": "There are no such tasks on the to-do list."}
    assert todo.list_tasks("done") == todo.list_tasks(search="bread") == empty


def test_a_long_list_is_told_in_part(todo: TodoTools) -> None:
    """A small model's context holds no more; it reads how many are missing."""
    for n in range(MOST_LISTED):
        todo.create_task(f"task {n}")
    result = todo.list_tasks()
    assert len(result["tasks"]) == MOST_LISTED
    assert result["summary"].endswith(". 2 more are not listed.")


def test_a_task_is_changed_in_what_is_given(todo: TodoTools) -> None:
    """Small models fill in every argument: an empty title means the old one."""
    assert todo.update_task(1, "", True)["summary"] == 'Marked "Buy milk" as done.'
    assert todo.update_task(1, "Buy oats")["done"]
    assert todo.update_task(1, done=False)["summary"] == 'Marked "Buy oats" as not done.'


@pytest.mark.parametrize("title", ["", "  "])
def test_a_change_of_nothing_is_refused(todo: TodoTools, title: str) -> None:
    """The model reads what it may give."""
    with pytest.raises(ToolError, match="Nothing would change: give a title, or done as true"):
        todo.update_task(1, title)


def test_a_deleted_task_is_told_and_gone(todo: TodoTools) -> None:
    """The second time there is no such task."""
    assert todo.delete_task(2)["summary"] == 'Deleted "Call Bob" from the to-do list.'
    with pytest.raises(ToolError, match=r"^There is no task 2: the tasks are: 1 \(Buy milk\)\.$"):
        todo.delete_task(2)


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("create_task", '{"title": ""}', "The title is empty"),
        ("create_task", "{}", "title is missing"),
        ("delete_task", '{"id": "milk"}', 'id="milk" is wrong'),
        ("delete_task", '{"id": 1.5}', "id=1.5 is wrong"),
        ("delete_task", '{"id": 99999999999999999999}', "There is no task 99999999999999999999"),
        ("update_task", '{"id": 1, "done": "perhaps"}', "done="),
        ("list_tasks", '{"status": "late"}', "status="),
    ],
)
async def test_what_a_model_writes_wrongly_comes_back_to_it(
    name: str, arguments: str, problem: str
) -> None:
    """As the result of its call."""
    store = TodoStore()
    outcome = await Toolbox(todo_tools(store).functions).call(name, arguments)
    assert not outcome.ok
    assert problem in outcome.content
    store.close()
