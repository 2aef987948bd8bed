"""What a question states: amounts in digits or words, and currencies in many languages."""

from decimal import Decimal

import pytest

from function_calling.stated import correction, stated


@pytest.mark.parametrize(
    ("question", "amounts"),
    [
        ("42 US dollars to euros", ["42"]),
        ("My flight LH455 leaves at 10:35 and I have 180 dollars", ["180"]),
        ("In 2019 my 3 brothers saved 760 Canadian dollars", ["760"]),
        ("$5 to €, £6 to €", ["5", "6"]),
        ("$2M in euros", ["2"]),
        ("2k USD in EUR; 3k USD in CHF", ["2", "3"]),
        ("把20美元和30英镑都换成欧元", ["20", "30"]),
        ("exchange 75", ["75"]),
        ("Convert dollars to euros", []),
    ],
)
def test_amounts_are_the_numbers_beside_a_currency(question: str, amounts: list[str]) -> None:
    """Dates, flights and ages are no money; without a currency beside, every number may be."""
    assert [min(each.values) for each in stated(question).amounts] == list(map(Decimal, amounts))


@pytest.mark.parametrize(
    ("question", "amount", "so"),
    [
        ("1.5k dollars", "1500", True),
        ("3 grand in pounds", "3000", True),
        ("1.250,50 Euro in Franken", "1250.50", True),
        ("1.250,50 Euro in Franken", "1.2505", False),
        ("99 cents in euros", "0.99", True),
        ("42 dollars", "24", False),
        ("half a million euros", "500000", True),
        ("zweihundert Pfund in Yen", "200", True),
        ("一百五十美元换成人民币", "150", True),
        ("a dollar in yen", "1", True),
        ("Convert dollars to euros", "1", False),
        ("Ich möchte Euro in Dollar umtauschen", "100", False),
    ],
)
def test_an_amount_is_stated_in_digits_or_in_words(question: str, amount: str, so: bool) -> None:
    """Words are only known to be numbers, not which, so any amount may be in them."""
    assert stated(question).has_amount(Decimal(amount)) is so


@pytest.mark.parametrize(
    ("question", "codes"),
    [
        ("50 USD to both EUR and GBP", {"USD", "EUR", "GBP"}),
        ("Combien valent 65 livres sterling en dollars américains ?", {"GBP", "USD"}),
        ("500달러를 원화로 바꾸면 얼마인가요?", {"USD", "KRW"}),
        ("２５０ユーロを円に換算してください", {"EUR", "JPY"}),
        ("كم يساوي ١٢٥ دولارًا أمريكيًا باليورو؟", {"USD", "EUR"}),
        ("Сколько будет 200 долларов США в евро?", {"USD", "EUR"}),
        ("C$15 in £", {"CAD", "GBP"}),
    ],
)
def test_currencies_are_found_in_running_text(question: str, codes: set[str]) -> None:
    """Whatever a right call would name, the question is seen to name."""
    assert codes <= stated(question).possible


@pytest.mark.parametrize("question", ["50 galleons", "20 Zorkmids", "80 QQX", "bottle caps"])
def test_what_is_no_currency_names_none(question: str) -> None:
    """Words that only look like currencies stand for nothing."""
    assert stated(question).possible == frozenset()


def test_a_name_of_several_words_is_one_currency() -> None:
    """ "Canadian dollars" is not also Canadian and dollars."""
    assert stated("Canadian dollars to Swiss francs").named == ({"CAD"}, {"CHF"})


def test_only_what_follows_a_correction_counts() -> None:
    """The last correction wins; without one there is nothing."""
    corrected = stated(correction("convert 50, sorry, 55, no wait, 60 dollars to yen"))
    assert [set(each.values) for each in corrected.amounts] == [{Decimal(60)}]
    dropped = stated(correction("₪60+VAT is out, just ₪75 in €"))
    assert [set(each.values) for each in dropped.amounts] == [{Decimal(75)}]
    assert correction("convert 50 dollars to yen") == ""
