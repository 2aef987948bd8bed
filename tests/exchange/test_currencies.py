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


ONE_MEANT = "Give the ISO 4217 code of the one that is meant."
ONE_OF_TODAY = "Give the ISO 4217 code of one that is."
ANY = "Give an ISO 4217 code."
CANADIAN = "Did you mean the Canadian dollar (CAD)?"


@pytest.mark.parametrize(
    ("text", "on", "problem", "advice"),
    [
        (
            *("kr", None),
            "'kr' may be the Danish krone (DKK), the Icelandic króna (ISK), the Norwegian krone "
            "(NOK) or the Swedish krona (SEK).",
            ONE_MEANT,
        ),
        (
            "канадские доллары",
            None,
            f"I don't know a currency called 'канадские доллары'. {CANADIAN}",
            ANY,
        ),
        (
            "Canadain dolars",
            None,
            f"I don't know a currency called 'Canadain dolars'. {CANADIAN}",
            ANY,
        ),
        # Nothing near is made up, and a stablecoin is not the dollar that it is named after.
        *(
            (text, None, f"I don't know a currency called {text!r}.", ANY)
            for text in ("USDT", "XXX", "C", "")
        ),
        ("Deutsche Mark", None, "The German mark (DEM) is not money today.", ONE_OF_TODAY),
        ("gold", None, "The troy ounce of gold (XAU) is not money today.", ONE_OF_TODAY),
        ("euros", date(1990, 1, 1), "The euro (EUR) was not money on 1990-01-01.", ONE_OF_TODAY),
    ],
)
def test_what_names_no_one_currency_is_said(
    text: str, on: date | None, problem: str, advice: str
) -> None:
    """Model and person learn what may be meant; nothing is guessed."""
    with pytest.raises(ToolError) as caught:
        find_currency(text, on)
    assert (caught.value.problem, str(caught.value)) == (problem, f"{problem} {advice}")


def test_a_currency_of_the_past_is_known_on_its_days() -> None:
    """Or wherever somebody has a rate for it."""
    assert find_currency("kuna", date(2020, 1, 3)).code == "HRK"
    assert find_currency("Croatian kuna", also={"HRK"}).code == "HRK"
