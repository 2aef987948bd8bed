"""Calls are held against the question: nothing invented, nothing forgotten."""

from decimal import Decimal

import pytest

from function_calling.currencies import Currency
from function_calling.errors import ToolError
from function_calling.questions import check_stated, left_out, next_call

USD, EUR, GBP, JPY = map(Currency, ("USD", "EUR", "GBP", "JPY"))


def made(source: str, target: str, amount: str) -> dict[str, object]:
    """The arguments of one conversion, as a model writes them."""
    return {"from_currency": source, "to_currency": target, "amount": Decimal(amount)}


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
        ("55 euros in yen", USD, "55", "names EUR"),
        ("55 dollars in yen", JPY, "55", "names USD"),
        ("convert 50, no wait, 60 dollars to yen", USD, "50", "the amount is 60"),
        ("forty, sorry, fourteen pounds in euros", GBP, "40", "corrected the amount 40"),
        ("200 dollars, sorry, I meant pounds, in yen", USD, "200", "corrected the currency to"),
        ("ninety-nine cents in yen", USD, "99", "the amount in US dollars is 0.99"),
    ],
)
def test_a_call_that_says_otherwise_is_told_so(
    question: str, source: Currency, amount: str, told: str
) -> None:
    """The model reads what would be right."""
    target = EUR if "pounds" in question else JPY
    with pytest.raises(ToolError, match=told):
        check_stated(question, source, target, Decimal(amount))


@pytest.mark.parametrize(
    ("question", "source", "amount"),
    [
        ("convert 50, no wait, 60 dollars to yen", USD, "60"),
        ("200 dollars, sorry, I meant pounds, in yen", GBP, "200"),
        ("forty, sorry, fourteen pounds in yen", GBP, "14"),
        ("fifty, sorry, fifty-five euros in yen", EUR, "55"),
        ("fifty dollars, sorry, I meant pounds, in yen", GBP, "50"),
        ("fifty euros and fifty cents in yen", EUR, "50.50"),
    ],
)
def test_a_call_that_says_the_same_is_accepted(
    question: str, source: Currency, amount: str
) -> None:
    """Nothing is raised."""
    check_stated(question, source, JPY, Decimal(amount))


@pytest.mark.parametrize(
    ("question", "calls", "more"),
    [
        ("50 USD to both EUR and GBP", [made("USD", "EUR", "50")], True),
        ("50 USD to both EUR and GBP", [made("USD", "EUR", "50"), made("USD", "GBP", "50")], False),
        ("11 dollars and 12 dollars in euros", [made("usd", "euro", "11")], True),
        ("42 US dollars to Canadian dollars", [made("USD", "CAD", "42")], False),
        ("The museum costs 18 euros; what are 40 USD in EUR?", [made("USD", "EUR", "40")], False),
        ("say 1 USD = 2 EUR; how much is 50 USD in EUR?", [made("USD", "EUR", "50")], False),
        ("90 dollars in euros, sorry, in pounds", [made("USD", "GBP", "90")], False),
    ],
)
def test_conversions_go_on_until_all_that_is_named_is_made(
    question: str, calls: list[dict[str, object]], more: bool
) -> None:
    """A list is worked off; rates, asides and what was corrected are no orders."""
    assert next_call(question, calls) == ("convert_currency" if more else "")
