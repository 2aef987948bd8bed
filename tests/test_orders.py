"""Which conversions a question orders."""

from decimal import Decimal

import pytest

from function_calling.currencies import find_currency
from function_calling.errors import ToolError
from function_calling.orders import orders
from function_calling.questions import check_stated
from function_calling.unconverted import unconverted


def made(source: str, target: str, amount: str) -> dict[str, object]:
    """The arguments of a call."""
    return {"from_currency": source, "to_currency": target, "amount": amount}


@pytest.mark.parametrize(
    ("question", "complete", "told"),
    [
        ("5 GBP to yen and 6 CHF to euros", True, ["5 GBP JPY", "6 CHF EUR"]),
        ("How many yen and won do I get for 80 euros?", True, ["80 EUR JPY", "80 EUR KRW"]),
        ("20 euros and 30 francs in dollars", True, ["20 EUR USD", "30 CHF USD"]),
        ("First 10 USD to CAD, finally 30 CAD to USD.", True, ["10 USD CAD", "30 CAD USD"]),
        ("tell me 1000 baht in usd and 300 zloty in usd", True, ["1000 THB USD", "300 PLN USD"]),
        ("Combien font 25 euros en dollars et en livres ?", True, ["25 EUR USD", "25 EUR GBP"]),
        ("50 Euro in Dollar und 80 Euro in Pfund", True, ["50 EUR USD", "80 EUR GBP"]),
        ("把100美元换成人民币，再把200欧元换成日元", True, ["100 USD CNY", "200 EUR JPY"]),
        ("GBP 20 -> JPY", True, ["20 GBP JPY"]),
        ("C$15 in £, €7 in $", True, ["15 CAD GBP", "7 EUR USD"]),
        ("HK$ 780 / SGD?", True, ["780 HKD SGD"]),
        ("usd to gbp, 64", True, ["64 USD GBP"]),
        ("To yen, each of these: 12 pounds, 34 francs.", True, ["12 GBP JPY", "34 CHF JPY"]),
        ("in euros: 20 yen. in dollars: 5 pounds", True, ["20 JPY EUR", "5 GBP USD"]),
        ("yuan for 13 dollars, or dollars for 13 yuan?", True, ["13 USD CNY", "13 CNY USD"]),
        ("19 pounds in yen? n 29? n 39?", True, ["19 GBP JPY", "29 GBP JPY", "39 GBP JPY"]),
        ("A 50 euro note and a 5 pound note: how many yen?", True, ["50 EUR JPY", "5 GBP JPY"]),
        ("All in yen please:\n- 18 euros\n- 94 pounds", True, ["18 EUR JPY", "94 GBP JPY"]),
        ("Ann has 4 dollars, Ben 7 francs. Yen for each?", True, ["4 USD JPY", "7 CHF JPY"]),
        ("3 baht and 1 euro, the one in dollars, the other in yen", False, []),
        ("3 baht, 1 euro, both in $ and €", True, ["3 THB USD", "3 THB EUR", "1 EUR USD"]),
        ("Last year 90 dollars, now 64 euros. Just the new price, in yen?", True, ["64 EUR JPY"]),
        (
            "Rows: 6 euros, 8 euros. Columns: $. Please fill all cells",
            True,
            ["6 EUR USD", "8 EUR USD"],
        ),
        ("In yen: €20, £30", True, ["20 EUR JPY", "30 GBP JPY"]),
        ("An American in Japan has 50 euros: how many pounds?", True, ["50 EUR GBP"]),
        ("The boots were 120 euros, now 84 euros. In pounds?", False, ["84 EUR GBP"]),
        ("I have yen. 20 euros to dollars, 5 pounds to francs", False, []),
        ("3 grand in pounds to francs", True, ["3000 GBP CHF"]),
        ("500달러를 원화로 바꾸면 얼마인가요?", True, ["500 USD KRW"]),
        ("3000엔은 몇 원인가요?", True, ["3000 JPY KRW"]),
        ("EUR to USD 100", False, []),
        ("convert 50 to USD from EUR", False, []),
        ("42USD2CAD", False, []),
        ("The museum costs 18 euros; what are 40 USD in EUR?", False, ["40 USD EUR"]),
        ("What is the weather in 5 days?", False, []),
        ("Convert dollars to euros", False, []),
        ("كم يساوي ١٢٥ دولارًا أمريكيًا باليورو؟", False, []),
    ],
)
def test_orders_are_read_where_their_words_stand_in_order(
    question: str, complete: bool, told: list[str]
) -> None:
    """And a question that says more than they do is not taken for complete."""
    asked = orders(question)
    assert asked.complete == complete
    wanted = [each.split() for each in told]
    assert len(asked.each) == len(wanted)
    for order, (amount, source, target) in zip(asked.each, wanted, strict=True):
        assert order.is_met(source, target, Decimal(amount))


def test_an_amount_is_not_converted_from_the_currency_of_another() -> None:
    """Each currency and each amount is in the question, but not so."""
    question = "60 dollars to euros and 40 pounds to pesos"
    with pytest.raises(
        ToolError, match=r"40 British pounds to Mexican pesos \(GBP to MXN\): convert"
    ):
        check_stated(question, find_currency("EUR"), find_currency("MXN"), Decimal(40))
    check_stated(question, find_currency("GBP"), find_currency("MXN"), Decimal(40))


def test_orders_left_are_told_in_words() -> None:
    """All of them, and nothing where none is left."""
    question = "First 10 USD to CAD, then 20 CAD to AUD, finally 30 AUD to USD."
    first, second = made("USD", "CAD", "10"), made("CAD", "AUD", "20")
    last = "30 Australian dollars to US dollars (AUD to USD)"
    assert unconverted(question, [first, second]) == [last]


def test_what_is_no_currency_any_more_is_not_looked_for() -> None:
    """BAD was Bosnia's dinar."""
    done = [made("EUR", "USD", "20"), made("CHF", "USD", "30")]
    assert unconverted("how bad are 20 euros and 30 francs in dollars", done) == []
