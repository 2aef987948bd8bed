"""Calls are held against the question: nothing invented, nothing forgotten."""

from datetime import date
from decimal import Decimal

import pytest

from benchmarks.exchange_cases import QUERIES, load_cases
from function_calling.currencies import Currency
from function_calling.dates import days
from function_calling.errors import ToolError
from function_calling.questions import (
    ask_back,
    check_day,
    check_stated,
    in_context,
    left_out,
)
from function_calling.stated import stated
from function_calling.unconverted import due_call, next_call

USD, EUR, GBP, JPY = map(Currency, ("USD", "EUR", "GBP", "JPY"))


def made(source: str, target: str, amount: str) -> dict[str, object]:
    """The arguments of one conversion, as a model writes them."""
    return {"from_currency": source, "to_currency": target, "amount": Decimal(amount)}


def dated(on: str | None) -> dict[str, object]:
    """The arguments of a conversion at the rate of a day."""
    return made("USD", "EUR", "5") | {"on": on}


@pytest.mark.parametrize(
    ("question", "source", "target", "asked"),
    [
        ("Convert dollars to euros", USD, EUR, "How much do you want to convert from US dollars"),
        ("How much is 100 euros?", EUR, USD, "which currency to convert to"),
        ("50 galleons to USD", EUR, USD, "which currency to convert from"),
        ("200", USD, EUR, "which currency to convert from: your question names none that I know."),
    ],
)
def test_what_is_left_out_is_asked_back(
    question: str, source: Currency, target: Currency, asked: str
) -> None:
    """A model that fills the gap by itself is not believed."""
    assert asked in left_out(question, source, target)


@pytest.mark.parametrize(
    ("question", "due"),
    [
        ("Don't use any tool: what is 100 USD in EUR?", True),
        ("Convert dollars to euros", False),
        ("What are 100 euros?", False),
        ("What is the capital of France?", False),
    ],
)
def test_a_complete_conversion_is_called_at_once(question: str, due: bool) -> None:
    """Whatever the user says about tools; everything else is the model's choice."""
    assert bool(next_call(question, [])) is due


def test_a_complete_question_is_not_asked_back() -> None:
    """All three parts are there."""
    assert left_out("I am 34 and need 95 pounds in euros.", USD, EUR) == ""
    assert left_out("I want to exchange 42 US dollars to euros", USD, EUR) == ""


@pytest.mark.parametrize(
    ("question", "source", "amount", "told"),
    [
        ("1.250,50 dollars in yen", USD, "1.2505", "the amount is 1250.50"),
        ("2.500 dollars in yen", USD, "2.5", "the amount is 2500"),
        ("half a million dollars in yen", USD, "50000", "the amount is 500000"),
        ("55 euros in yen", USD, "55", "but for 55 euros to Japanese yen"),
        ("55 dollars in yen", JPY, "55", "dollars to Japanese yen .USD to JPY.: convert"),
        ("convert 50, no wait, 60 dollars to yen", USD, "50", "the amount is 60"),
        ("forty, sorry, fourteen pounds in euros", GBP, "40", "the amount is 14"),
        ("сорок, извините, четырнадцать фунтов в евро", GBP, "40", "corrected the amount 40"),
        ("200 dollars, sorry, I meant pounds, in yen", USD, "200", "corrected the currency to"),
        ("ninety-nine cents in yen", USD, "99", "the amount in US dollars is 0.99"),
        ("room 3, 8 yen in Norwegian kroner or pounds", GBP, "8", "convert from JPY"),
        ("On day 3 I had 250 yen; in euros?", EUR, "250", "has 250 Japanese yen: convert from JPY"),
        ("36 dollars to Canadian, actually no, to yen", EUR, "36", "for 36 US dollars to Japanese"),
        ("200 yen, oh no, 200 dollars, in yen", EUR, "200", "200 US dollars to Japanese yen"),
        ("From yen to dollars, 75. Or rather: from dollars to yen, 75.", EUR, "75", "75 US dol"),
    ],
)
def test_a_call_that_says_otherwise_is_told_so(
    question: str, source: Currency, amount: str, told: str
) -> None:
    """The model reads what would be right."""
    target = EUR if "pounds" in question or "евро" in question else JPY
    with pytest.raises(ToolError, match=told):
        check_stated(question, source, target, Decimal(amount))


def test_the_right_call_is_accepted_in_a_script_where_words_grow_together() -> None:
    """What is named inside of them is not sure."""
    check_stated("كم يساوي ١٢٥ دولارًا أمريكيًا باليورو؟", USD, EUR, Decimal(125))


@pytest.mark.parametrize("name", ["exchange_queries.jsonl", "more_queries.jsonl"])
def test_every_conversion_that_the_evaluation_expects_is_accepted(name: str) -> None:
    """No right call is refused, in whatever words it was asked for."""
    for case in load_cases(QUERIES.with_name(name)):
        for each in case.conversions:
            asked = case.query, Currency(each.source), Currency(each.target), each.amount
            assert ask_back(*asked) == "", case.id


def test_a_unit_of_several_currencies_is_the_one_that_is_named() -> None:
    """Unless another one is hinted at: "to Canadian"."""
    room, dkk, cad = "room 3: 8 dollars in Norwegian kroner", Currency("DKK"), Currency("CAD")
    with pytest.raises(ToolError, match="names USD and NOK: convert these"):
        check_stated(room, USD, dkk, Decimal(8))
    check_stated("room 3: 8 dollars in euros and Canadian", USD, cad, Decimal(8))


@pytest.mark.parametrize(
    ("question", "source", "amount"),
    [
        ("convert 50, no wait, 60 dollars to yen", USD, "60"),
        ("200 dollars, sorry, I meant pounds, in yen", GBP, "200"),
        ("forty, sorry, fourteen pounds in yen", GBP, "14"),
        ("fifty, sorry, fifty-five euros in yen", EUR, "55"),
        ("fifty dollars, sorry, I meant pounds, in yen", GBP, "50"),
        ("fifty euros and fifty cents in yen", EUR, "50.50"),
        ("On day 3 I had 250 euros; in yen?", EUR, "250"),
        ("36 euros to dollars, actually no, to yen", EUR, "36"),
        ("36 dollars to yen, actually no, 63", USD, "63"),
        ("200 yen, oh no, 200 dollars, in yen", USD, "200"),
        ("From yen to dollars, 75. Or rather: from dollars to yen, 75.", USD, "75"),
    ],
)
def test_a_call_that_says_the_same_is_accepted(
    question: str, source: Currency, amount: str
) -> None:
    """Nothing is raised."""
    check_stated(question, source, JPY, Decimal(amount))


FIVE_IN_YEN = made("USD", "JPY", "5")


@pytest.mark.parametrize(
    ("question", "made_before", "tried", "due"),
    [
        ("9.75 dollars in euros", [], made("USD", "XYZ", "9.75"), made("USD", "EUR", "9.75")),
        (
            "50 USD to EUR and GBP",
            [made("USD", "EUR", "50")],
            made("USD", "EUR", "50"),
            made("USD", "GBP", "50"),
        ),
        (
            "200 yen, oh no, 200 pounds, in euros",
            [],
            made("JPY", "EUR", "200"),
            made("GBP", "EUR", "200"),
        ),
        ("5 USD in EUR on 2024-01-02", [], made("EUR", "USD", "5"), dated("2024-01-02")),
        ("5 USD in EUR on 1/2/2024", [], made("EUR", "USD", "5"), None),
        ("5 USD in EUR", [], made("USD", "EUR", "5"), None),
        ("5 USD in EUR", [made("USD", "EUR", "5")], made("USD", "EUR", "5"), None),
        ("5 tusen dollar in EUR", [], made("EUR", "USD", "5"), None),
        ("The museum costs 18 euros; what are 40 USD in GBP?", [], made("EUR", "USD", "18"), None),
        ("5 USD to Canadian, no, wait, to yen", [], made("JPY", "CAD", "5"), FIVE_IN_YEN),
        ("5 USD in kroner", [], made("USD", "XYZ", "5"), None),
        ("Convert dollars to euros", [], made("EUR", "USD", "1"), None),
    ],
)
def test_the_call_that_is_due_is_known_where_the_question_leaves_no_choice(
    question: str,
    made_before: list[dict[str, object]],
    tried: dict[str, object],
    due: dict[str, object] | None,
) -> None:
    """Not where the right call was tried, nor where something of the question is unread."""
    assert due_call(question, made_before, [tried], dated=True) == due


@pytest.mark.parametrize(
    ("question", "calls", "more"),
    [
        ("50 USD to both EUR and GBP", [made("USD", "EUR", "50")], True),
        ("50 USD to both EUR and GBP", [made("USD", "EUR", "50"), made("USD", "GBP", "50")], False),
        ("11 dollars and 12 dollars in euros", [made("usd", "euro", "11")], True),
        ("42 US dollars to Canadian dollars", [made("USD", "CAD", "42")], False),
        ("The museum costs 18 euros; what are 40 USD in EUR?", [made("USD", "EUR", "40")], False),
        (
            "They were 120 euros, now 84: what is 84 euros in yen?",
            [made("EUR", "JPY", "84")],
            False,
        ),
        ("dollars to yen 34, yen to dollars 4600", [made("USD", "JPY", "34")], True),
        ("I've 12 euros. My son has 8 euros. Both in yen?", [made("EUR", "JPY", "8")], True),
        ("say 1 USD = 2 EUR; how much is 50 USD in EUR?", [made("USD", "EUR", "50")], False),
        ("90 dollars in euros, sorry, in pounds", [made("USD", "GBP", "90")], False),
        ("5 USD in EUR on 2024-01-02 and 2024-01-03", [dated("2024-01-02")], True),
        ("5 USD in EUR on 2024-01-02", [dated("2024-01-02")], False),
        ("5 USD in EUR on 1/2/2024", [dated("2024-02-01")], False),
        ("On 2024-01-02, USD 5 in EUR", [made("USD", "EUR", "5")], False),
        ("5 USD in EUR", [dated(None)], False),
    ],
)
def test_conversions_go_on_until_all_that_is_named_is_made(
    question: str, calls: list[dict[str, object]], more: bool
) -> None:
    """A list is worked off; rates, asides and what was corrected are no orders."""
    assert next_call(question, calls) == ("convert_currency" if more else "")


@pytest.mark.parametrize(
    ("question", "on"),
    [
        ("100 USD in EUR", None),
        ("100 USD in EUR on 2024-01-02", "2024-01-02"),
        ("100 USD in EUR on 1/2/2024", "2024-01-02"),
        ("100 USD in EUR on 1/2/2024", "2024-02-01"),
        ("100 USD in EUR on Jan 2, 2024", "2024-01-02"),
        ("100 USD in EUR on 2024-01-02 and 2024-01-03", "2024-01-03"),
        ("100 USD in EUR on the second of January, 2024", "2024-01-02"),
        ("100 USD in EUR yesterday", None),
    ],
)
def test_a_day_that_the_question_may_mean_is_accepted(question: str, on: str | None) -> None:
    """Nothing is raised."""
    check_day(question, on and date.fromisoformat(on))


@pytest.mark.parametrize(
    ("question", "on", "told"),
    [
        ("100 USD in EUR", "2024-01-02", "does not say 2024-01-02: leave `on` out"),
        ("100 USD in EUR yesterday", "2023-10-05", "does not say 2023-10-05"),
        ("100 USD in EUR on 2024-01-02", None, "wants the rate of 2024-01-02: give that day"),
        ("100 USD in EUR on 2 Jan 2024", "2024-02-01", "wants the rate of 2024-01-02"),
        ("100 USD in EUR on 1/2/2024", None, "wants the rate of 2024-01-02 or 2024-02-01"),
    ],
)
def test_an_invented_day_is_told_so(question: str, on: str | None, told: str) -> None:
    """And a day left out is told."""
    with pytest.raises(ToolError, match=told):
        check_day(question, on and date.fromisoformat(on))


@pytest.mark.parametrize(
    "question",
    [
        "What were 100 USD in EUR on 2024-01-02?",
        "On 2024-01-02, USD 100 in EUR?",
        "100 dollars to euros as of 2.1.2024",
        "2 January 2024: 100 dollars in EUR",
        "100 USD to EUR on 2024-01-02, no wait, on 2024-01-03",
    ],
)
def test_the_numbers_of_a_day_are_no_amounts(question: str) -> None:
    """Only the hundred is."""
    assert left_out(question, USD, EUR) == ""
    check_stated(question, USD, EUR, Decimal(100))
    for wrong in (2, 2024):
        with pytest.raises(ToolError, match="the amount is 100"):
            check_stated(question, USD, EUR, Decimal(wrong))


def test_a_day_alone_states_no_amount() -> None:
    """How much is asked back."""
    question = "USD to EUR on 2024-01-02"
    assert left_out(question, USD, EUR).startswith("How much")


@pytest.mark.parametrize(
    ("earlier", "question", "amounts", "day"),
    [
        (["42 USD in CAD?"], "and 50?", {50}, ""),
        (["42 USD in CAD?"], "and in euros?", {42}, ""),
        (["42 USD in CAD?", "and 50?"], "and in euros?", {50}, ""),
        (["42 USD in CAD?"], "70 GBP in euros", {70}, ""),
        (["42 USD in CAD on 2024-01-02?"], "and 50?", {50}, "2024-01-02"),
        (["42 USD in CAD on 2024-01-02?"], "and on 2024-03-15?", {42}, "2024-03-15"),
        ([], "and 50?", {50}, ""),
    ],
)
def test_a_question_takes_what_it_leaves_out_from_those_before_it(
    earlier: list[str], question: str, amounts: set[int], day: str
) -> None:
    """The last amount and the last day that were said."""
    asked = in_context(question, earlier)
    assert {value for each in stated(asked).amounts for value in each.values} == amounts
    assert [str(day) for each in days(asked) for day in each] == [day] * bool(day)
