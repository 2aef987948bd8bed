"""What a question states: amounts in digits or words, and currencies in many languages."""

from decimal import Decimal

import pytest

from function_calling.named_currencies import chief
from function_calling.stated import correction, stated


@pytest.mark.parametrize(
    ("question", "amounts"),
    [
        ("42 US dollars to euros", ["42"]),
        ("My flight LH455 leaves at 10:35 and I have 180 dollars", ["180"]),
        ("In 2019 my 3 brothers saved 760 Canadian dollars", ["760"]),
        ("$5 to €, £6 to €", ["5", "6"]),
        ("$2M in euros", ["2000000"]),
        ("2k USD in EUR; 3k USD in CHF", ["2000", "3000"]),
        ("1 120 kr in euros", ["1120"]),
        ("5, 10 and 20 dollars in yen", ["5", "10", "20"]),
        ("19 pounds in yen? n 29?", ["19", "29"]),
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


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("all of my euros, on top of that yen", ["EUR", "JPY"]),
        ("50 USD to try", ["USD", "TRY"]),
        ("100 USD to TRY and PEN", ["USD", "TRY", "PEN"]),
        ("5 all in usd", ["ALL", "USD"]),
        ("Mark has won 50 dollars", ["USD"]),
        ("yen and won", ["JPY", "KRW"]),
        ("the British in India, the United States and South Korea", []),
        ("La realité en France, really", []),
        ("Combien font 25 euros pour des amis", ["EUR"]),
        ("115 švýcarských franků v korunách českých", ["CHF", "CZK"]),
        ("36 000 forint euróra", ["HUF", "EUR"]),
        ("Ruotsin kruunuina", ["SEK"]),
        ("2,750 บาทเป็นเงินเยน", ["THB", "JPY"]),
        ("von Dollar in Euro", ["USD", "EUR"]),
        ("680 đô la Úc, đổi ra tiền Việt", ["AUD", "VND"]),
        ("手元に420シンガポールドル", ["SGD"]),
        ("dola ngapi za shilingi za Kenya", ["USD", "KES"]),
        ("8,600엔을 한국 돈으로", ["JPY", "KRW"]),
        ("كم يساوي ١٢٥ دولارًا أمريكيًا باليورو؟", ["USD", "EUR"]),
        ("۲۶۰ درهم امارات چند یورو می‌شود؟ سلام", ["AED", "EUR"]),
        ("일본에서 5000원을 쓰면 몇 엔인가요", ["KRW", "JPY"]),
    ],
)
def test_currencies_are_named_by_their_units_and_codes(text: str, named: list[str]) -> None:
    """Not by where they are used, nor by words that only look like them."""
    assert [chief(codes) for codes in stated(text).named] == named


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
    assert correction("67 usd to sgd\n*76 usd, sry") == "76 usd, sry"
    assert correction("50 dollars to yen, sorry") == ""
