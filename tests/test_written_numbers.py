"""Numbers in words are put into digits where they count money."""

import pytest

from function_calling.written_numbers import in_digits


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("eleven thousand and thirty Swiss francs", "11030 Swiss francs"),
        ("Nineteen hundred Aussie dollars", "1900 Aussie dollars"),
        ("two point five million dollars", "2500000 dollars"),
        ("three quarters of a million yen", "750000 yen"),
        ("half a grand in pounds", "500 in pounds"),
        ("one and a half thousand US dollars", "1500 US dollars"),
        ("one crore Indian rupees", "10000000 Indian rupees"),
        (
            "10k rupiah, € 3 bn, USD 1.5m, 30 k yen",
            "10000 rupiah, € 3000000000, USD 1500000, 30000 yen",
        ),
        ("four and a quarter million kroner", "4250000 kroner"),
        ("2 and a half euros", "2.5 euros"),
        ("nine hundred and four pounds sixty", "904.60 pounds"),
        ("twenty pounds, sixty euros", "20 pounds, 60 euros"),
        ("US$.85", "US$0.85"),
        ("a couple hundred dollars", "200 dollars"),
        ("a dozen euros", "12 euros"),
        ("3 grand in pounds", "3000 in pounds"),
        ("thirty-seven euros and five cents", "37.05 euros"),
        ("20 dollars 5 cents", "20.05 dollars"),
        ("ninety-nine cents", "99 cents"),
        ("fünfhundert Pfund in Yen", "500 Pfund in Yen"),
        ("quatre-vingt-dix euros", "90 euros"),
        ("doscientos cincuenta mil pesos", "250000 pesos"),
    ],
)
def test_a_number_that_counts_money_is_put_into_digits(text: str, digits: str) -> None:
    """In several languages, with fractions, cents, and words that multiply."""
    assert in_digits(text) == digits


@pytest.mark.parametrize(
    "text",
    [
        "forty, sorry, 14 pounds",
        "5m long, 12k steps, 30 km for 80 dollars",
        "once 50 euros",
        "a euro is 1.08 dollars",
        "how many dollars is one euro?",
        "50 euros en dollars, to dollars",
        "two friends and 5 dollars",
        "first 10 USD to CAD, second 20 USD",
        "3 nights and a half board for 80 euros",
    ],
)
def test_other_words_stay(text: str) -> None:
    """Also those that are numbers in some other language."""
    assert in_digits(text) == text
