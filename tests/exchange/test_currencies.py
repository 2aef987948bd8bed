"""Currencies are found by whatever people call them, in many languages and by many rules."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function_calling.currencies import CHIEFS, Currency, find_currency
from function_calling.currency_names import active_codes
from function_calling.errors import ToolError
from function_calling.everyday_names import EVERYDAY_NAMES

SPELLINGS = {
    "USD": "usd|USD.|'usd'|$|US$|$US|dollars|Dollar|US Dollars|dollars US|U.S. dollars|us-dollar|"
    "American dollars|United States dollars|US dollars (USD)|USD $|bucks|dólares|dollari|dolarów|"
    "доллары|долларов|долларах|долар|달러|미국 달러|ドル|米ドル|美元|دولار|डॉलर|ดอลลาร์|ABD doları",
    "CAD": "CAD|C$|CA$|$CA|CAN$|Canadian|Canadian $|CAD $|Canadian dollars|CANADIAN DOLLAR|loonies|"
    "dollars canadiens|dollars canadien|dólar canadiense|dólar canadiano|dollari canadesi|"
    "kanadische Dollar|kanadischen Dollar|Canadese dollar|dolar kanadyjski|канадские доллары|"
    "канадских долларах|канадський долар|加元|加拿大元|加幣|カナダ ドル|カナダドル|캐나다 달러|"
    "Kanada doları|دولار كندي|कनाडाई डॉलर|kanadensiska dollar|kanadský dolar",
    "EUR": "€|euro|Euros|EURO|евро|євро|欧元|歐元|ユーロ|유로|يورو|यूरो|ευρώ",
    "GBP": "£|pounds|pounds sterling|quid|British pound|UK pounds|livres sterling|Pfund|libra|"
    "фунтов|英镑|英鎊|funt szterling|İngiliz sterlini",
    "JPY": "¥|￥|yen|yens|Japanese yen|日元|日圓|円|日本円|엔|иены",
    "CNY": "CN¥|yuan|renminbi|RMB|元|人民币|人民幣|人民元|юани|위안",
    "INR": "₹|Rs|rupees|भारतीय रुपया|рупий|卢比",
    "CHF": "francs|Swiss francs|Schweizer Franken|sfr|瑞士法郎|法郎",
    "KRW": "₩|won|韩元|원|вон",
    "RUB": "₽|rubles|roubles|рубли|рублей|Rubel|卢布",
    "MXN": "pesos|pesos mexicanos|MX$|比索|ペソ",
    "BRL": "R$|real|reais|reais brasileiros",
    "SEK": "krona|kronor|svenska kronor|Swedish crowns",
    "NOK": "norske kroner|Norwegian krone",
    "AUD": "A$|AU$|Aussie dollars|澳元",
    "PLN": "zł|zloty|złotych",
    "CZK": "Kč|koruna|korun českých",
    "UAH": "₴|гривень|hryvnia",
    "TRY": "₺|TL|lira|Türk lirası",
    "HKD": "HK$|港币|港元|Hong Kong dollars",
    "TWD": "NT$|新台币",
    "SGD": "S$|新元",
    "THB": "฿|baht|บาทไทย",
    "ILS": "₪|shekels",
    "ZAR": "rand|ランド",
}


def error_of(text: str) -> str:
    """What the model reads when `text` finds no currency."""
    with pytest.raises(ToolError) as caught:
        find_currency(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [(text, code) for code, texts in SPELLINGS.items() for text in texts.split("|")],
)
def test_a_spelling_names_its_currency(text: str, code: str) -> None:
    """Codes, symbols, slang and names with their endings are understood in many languages."""
    assert find_currency(text).code == code


@given(st.sampled_from(sorted(active_codes())), st.sampled_from([str.lower, str.upper, str.title]))
def test_every_code_and_english_name_finds_its_own_currency(code: str, change) -> None:
    """What we call a currency is always understood, in any case and number."""
    currency = Currency(code)
    for text in (code, currency.name, currency.units(), currency.units(Decimal(1))):
        assert find_currency(f" {change(text)}, ") == currency


@settings(max_examples=25)
@given(st.text())
def test_any_text_gives_a_currency_in_use_or_a_tool_error(text: str) -> None:
    """Nothing that a model writes breaks the search, and nothing else comes out of it."""
    try:
        found = find_currency(text).code in active_codes()
    except ToolError as error:
        found = repr(text) in str(error)
    assert found


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("kr", ["DKK", "NOK", "SEK", "ISK"]),
        ("kroner", ["DKK", "NOK"]),
        ("couronnes", ["DKK", "NOK", "SEK"]),
        ("crowns", ["DKK", "NOK", "SEK", "CZK"]),
        ("dinars", ["BHD", "DZD"]),
        ("riyals", ["QAR", "SAR"]),
    ],
)
def test_a_name_of_several_currencies_offers_them(text: str, codes: list[str]) -> None:
    """Where no chief settles it, the model is told whom it may have meant."""
    error = error_of(text)
    assert error.startswith(f"{text!r} names several currencies: {codes[0]} (")
    assert all(f"{code} ({Currency(code).name})" in error for code in codes)


def test_an_unknown_name_offers_near_ones() -> None:
    """A typing error is not guessed at, but answered with what looks alike."""
    assert error_of("Canadain dolars") == (
        "Unknown currency 'Canadain dolars': did you mean CAD (Canadian Dollar)? "
        "Give an ISO 4217 code, such as USD."
    )


@pytest.mark.parametrize("text", ["bitcoin", "BTC", "tether", "doge", "wonder", "", " ", "42", "?"])
def test_what_is_no_money_is_unknown(text: str) -> None:
    """Crypto-currencies have no ISO 4217 code, and nothing near is made up."""
    assert error_of(text) == f"Unknown currency {text!r}. Give an ISO 4217 code, such as USD."


@pytest.mark.parametrize("text", ["USDT", "USDC"])
def test_a_code_has_no_endings(text: str) -> None:
    """A stablecoin is not the dollar that it is named after."""
    assert error_of(text).startswith(f"Unknown currency {text!r}")


@pytest.mark.parametrize(
    ("text", "code"),
    [("German mark", "DEM"), ("DEM", "DEM"), ("gold", "XAU"), ("xau", "XAU"), ("XTS", "XTS")],
)
def test_what_is_no_tender_is_refused_by_its_code(text: str, code: str) -> None:
    """Old currencies, metals and test codes are known, and not converted."""
    assert error_of(text) == (
        f"{text!r} ({code}) is no currency in use today. Give the ISO 4217 code of one that is."
    )


@pytest.mark.parametrize("text", ["cents", "US cents", "¢", "pence"])
def test_a_subunit_is_answered_with_how_to_write_the_amount(text: str) -> None:
    """Cents are no currency: the amount would be wrong by a factor of 100."""
    assert error_of(text) == (
        f"{text!r} is a part of a currency: give the ISO 4217 code of the currency and the amount "
        "in its main unit, e.g. 0.99 USD for 99 cents."
    )


@pytest.mark.parametrize(
    ("code", "amount", "units"),
    [
        ("USD", "42", "US dollars"),
        ("USD", "1", "US dollar"),
        ("USD", "0.5", "US dollars"),
        ("CAD", "0", "Canadian dollars"),
        ("JPY", "5", "Japanese yen"),
    ],
)
def test_a_currency_has_a_name_for_a_sentence(code: str, amount: str, units: str) -> None:
    """The English name agrees with the amount in front of it."""
    assert Currency(code).units(Decimal(amount)) == units


def test_our_own_tables_hold_currencies_in_use() -> None:
    """A currency that goes out of use must leave the tables kept by hand."""
    assert active_codes() >= CHIEFS | EVERYDAY_NAMES.keys()
