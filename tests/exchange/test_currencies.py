"""Currencies are found by what a model writes for them: codes, symbols, and names of any locale."""

from datetime import date
from decimal import Decimal

import pytest
from babel.core import get_global
from babel.numbers import get_currency_name, get_territory_currencies

from function_calling.errors import ToolError
from function_calling.exchange.currencies import CHIEFS, EVERYDAY_NAMES, Currency, find_currency

TENDER = {
    code
    for territory in get_global("territory_currencies")
    for code in get_territory_currencies(territory, date.today(), date.today())
}

SPELLINGS = {
    "USD": "usd|'usd'|$US|dollars|U.S. dollars|dollars US|US dollars (USD)|달러|ドル|米ドル",
    "CAD": "C$|Canadian|CAD $|dollars canadiens|канадских долларов|加拿大元|カナダドル"
    "|دولار كندي|कनाडाई डॉलर",
    "EUR": "€|Euros|EURO|евро|欧元",
    "CNY": "CN¥|yuan|元|人民币",
    "CHF": "francs|Schweizer Franken",
    "MXN": "Mexican pesos|pesos mexicanos",
    "CZK": "Kč|korun českých",
}


def refusal(text: str, on: date | None = None) -> ToolError:
    """Why `text` is no currency."""
    with pytest.raises(ToolError) as caught:
        find_currency(text, on)
    return caught.value


@pytest.mark.parametrize(("code", "texts"), SPELLINGS.items(), ids=SPELLINGS)
def test_a_currency_is_found_by_its_spellings(code: str, texts: str) -> None:
    """In any script, whole or in the part that settles it."""
    assert {find_currency(text).code for text in texts.split("|")} == {code}


def test_every_code_and_english_name_finds_its_own_currency() -> None:
    """What we call a currency is always understood, in any case and number."""
    for currency in map(Currency, TENDER):
        one, many = currency.units(Decimal(1)), currency.units()
        name = get_currency_name(currency.code, locale="en")
        for text in (currency.code.lower(), name.upper(), one.title(), f" {many}, "):
            assert find_currency(text) == currency


def test_our_own_tables_hold_currencies_in_use() -> None:
    """A currency that goes out of use must leave them; each everyday name names its own."""
    assert CHIEFS | EVERYDAY_NAMES.keys() <= TENDER
    for code, names in EVERYDAY_NAMES.items():
        assert {find_currency(name).code for name in names.split(", ")} == {code}


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("kr", ["DKK", "ISK", "NOK", "SEK"]),
        ("ペソ", ["ARS", "CLP", "COP", "CUP", "DOP", "MXN", "PHP", "UYU"]),
    ],
)
def test_a_name_of_several_currencies_offers_them(text: str, codes: list[str]) -> None:
    """Where none is meant by everybody, both model and person learn which there are."""
    *others, last = (f"the {Currency(code).units(Decimal(1))} ({code})" for code in codes)
    error = refusal(text)
    assert error.problem == f"{text!r} may be {', '.join(others)} or {last}."
    assert str(error).endswith(" Give the ISO 4217 code of the one that is meant.")


@pytest.mark.parametrize("text", ["Canadain dolars", "канадские доллары"])
def test_an_unknown_name_offers_near_ones(text: str) -> None:
    """A typing error or an ending is not guessed at, but everybody learns what looks alike."""
    error = refusal(text)
    guess = "Did you mean the Canadian dollar (CAD)?"
    assert error.problem == f"I don't know a currency called {text!r}. {guess}"
    assert str(error) == f"{error.problem} Give an ISO 4217 code."


@pytest.mark.parametrize("text", ["USDT", "XXX", "C", "42", ""])
def test_what_is_no_money_is_unknown(text: str) -> None:
    """Nothing near is made up, and a stablecoin is not the dollar that it is named after."""
    assert str(refusal(text)) == (
        f"I don't know a currency called {text!r}. Give an ISO 4217 code."
    )


@pytest.mark.parametrize(
    ("text", "on", "told"),
    [
        ("Deutsche Mark", None, "The German mark (DEM) is not money today."),
        ("gold", None, "The troy ounce of gold (XAU) is not money today."),
        ("euros", date(1990, 1, 1), "The euro (EUR) was not money on 1990-01-01."),
    ],
)
def test_what_is_no_tender_is_said_to_be_none(text: str, on: date | None, told: str) -> None:
    """Old currencies and metals are known, and not converted."""
    error = refusal(text, on)
    assert (error.problem, str(error)) == (
        told,
        f"{told} Give the ISO 4217 code of one that is.",
    )


def test_a_currency_of_the_past_is_known_on_its_days() -> None:
    """Or wherever somebody has a rate for it."""
    assert find_currency("kuna", date(2020, 1, 3)).code == "HRK"
    assert find_currency("Croatian kuna", also={"HRK"}).code == "HRK"
