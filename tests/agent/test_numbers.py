"""Numbers are read in any spelling, and every value that a text states is known."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function_calling.agent.numbers import numbers, said, spelled_plainly

SPACES = (" ", "\u00a0", "\u202f", "\u2009")


def plain(values: frozenset[Decimal]) -> set[str]:
    """Values without idle zeros and exponents."""
    return {f"{value.normalize():f}" for value in values}


def values(text: str) -> list[set[str]]:
    """What each number in `text` may be."""
    return [plain(each.values) for each in numbers(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no number", []),
        ("12,34,567.89", [{"1234567.89"}]),
        ("1{,}234.56 or 1\\,234.56", [{"1234.56"}, {"1234.56"}]),
        ("١٬٢٣٤٫٥", [{"1234.5"}]),
        ("1.234 or 1,234", [{"1234", "1.234"}, {"1234", "1.234"}]),
        ("US$.85 and .5, but v1..5", [{"0.85"}, {"0.5"}, {"1"}, {"5"}]),
        ("रु.500, ரூ.1500, රු.12", [{"500"}, {"1500"}, {"12"}]),
        ("(.5), '.75', ≤.25, ±.125", [{"0.5"}, {"0.75"}, {"0.25"}, {"0.125"}]),
        ("2024-05-01 at 12:30", [{"2024"}, {"5"}, {"1"}, {"12"}, {"30"}]),
        ("14:30, 00:15, 24:00", [{"14", "2"}, {"30"}, {"0", "12"}, {"15"}, {"24"}, {"0"}]),
        ("May 1, 2024 100 USD", [{"1"}, {"2024"}, {"100"}]),
        ("192.168.0.1", [{"192", "168", "0", "1"}]),
        ("6.02e23, 1E-7, 42E1", [{"602000000000000000000000"}, {"0.0000001"}, {"420"}]),
        ("1e3x, 1e5.2, 550e8400", [{"1"}, {"3"}, {"1"}, {"5.2"}, {"550"}, {"8400"}]),
        ("2 ½ and 5½", [{"2.5"}, {"5.5"}]),
        ("5 100-dollar bills", [{"5100", "5", "100"}]),
        ("5 1/2 and 3/4", [{"5.5", "5", "0.5", "1", "2"}, {"0.75", "3", "4"}]),
        ("5€50, 5€5", [{"5.5", "5", "50"}, {"5"}, {"5"}]),
    ],
)
def test_digits_are_read_as_they_are_written(text: str, expected: list[set[str]]) -> None:
    """Any separators, any script's digits, and every value where the spelling leaves several."""
    assert values(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 ½ million", [{"2500000"}]),
        ("2bn, 4 bln", [{"2000000000", "2000000000000"}, {"4000000000", "4000000000000"}]),
        ("2m, 3 mln, 4 mrd", [{"2000000"}, {"3000000"}, {"4000000000"}]),
        ("1.80 m tall, 3 t, 5 k", [{"1.8", "1800000"}, {"3", "3000000000000"}, {"5", "5000"}]),
        ("5 metres, 5m2, 5 T-shirts", [{"5"}, {"5"}, {"2"}, {"5", "5000000000000"}]),
        ("2,5 Tausend, 3 Mrd. Euro", [{"2500"}, {"3000000000"}]),
        ("5 mil millones, 20 thousand million", [{"5000000000"}, {"20000000000"}]),
        ("1 millón y medio", [{"1000000"}]),
        ("132万日元，3亿，3百万", [{"1320000"}, {"300000000"}, {"3000000"}]),
        ("7 조지아 라리", [{"7", "7000000000000"}]),
        ("3万5000", [{"35000", "30000", "5000"}]),
        ("1 million 200 thousand", [{"1200000", "1000000", "200000"}]),
        ("5-10k, 2 – 3 million", [{"5", "5000"}, {"10000"}, {"2", "2000000"}, {"3000000"}]),
        ("5k-10, 5, 10k", [{"5000"}, {"10"}, {"5"}, {"10000"}]),
        ("1 million\n200 of them", [{"1000000"}, {"200"}]),
    ],
)
def test_a_word_behind_a_number_multiplies_it(text: str, expected: list[set[str]]) -> None:
    """In any language, by exactly what it says; what may be several numbers is read as both."""
    assert values(text) == expected


def test_a_letter_may_be_a_unit() -> None:
    """In what a tool returns; a longer word or an ideograph multiplies there, too."""
    text = "PT45M, 8 T, 5 million, 3万"
    found = [plain(each.values) for each in numbers(text, units=True)]
    assert found == [{"45", "45000000"}, {"8", "8000000000000"}, {"5000000"}, {"30000"}]
    assert values("PT45M") == [{"45000000"}]


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("Convert 42 dollars, or twenty-five", {"42", "25"}),
        ("five point three three thousand euros", {"5330", "5.33", "1000"}),
        ("5 hundred, or the twenty-first", {"5", "500", "21"}),
        ("2 million five hundred thousand", {"2000000", "500000", "2500000"}),
        ("a fifty-dollar bill, twenty-five", {"50", "25"}),
        ("der Fünfzig-Euro-Schein", {"50"}),
        ("mille cent euros", {"1100", "1000", "100"}),
        ("三万五千日元", {"35000", "30000", "5000"}),
        ("两百美元", {"200"}),
        ("once, or un billón", {"11", "1000000000000", "1000000000"}),
        ("no number here", set()),
        ("一亿二千万", {"120000000", "100000000", "20000000"}),
    ],
)
def test_number_words_are_said_too(text: str, stated: set[str]) -> None:
    """Where a word multiplies, its parts and the whole are values."""
    assert plain(said(text)) == stated


@given(
    st.decimals(min_value=0, max_value=10**12, places=2),
    st.sampled_from(
        [(",", "."), (".", ","), ("'", "."), ("", "."), ("", ","), ("，", "．")]
        + [(space, ",") for space in SPACES]
    ),
    st.sampled_from(["0123456789", "０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९"]),
    st.sampled_from(["{}", "It is {} CAD.", "({}).", "共{}元", "€{},"]),
)
def test_any_amount_is_read_back_from_any_convention(
    amount: Decimal, separators: tuple[str, str], digits: str, sentence: str
) -> None:
    """Grouping, decimal separator, script and surroundings do not matter."""
    marks = {",": separators[0], ".": separators[1]}
    spelled = "".join(
        marks.get(character) or (digits[int(character)] if character.isdigit() else "")
        for character in f"{amount:,.2f}"
    )
    (number,) = numbers(sentence.format(spelled))
    assert amount in number.values
    assert number.text == spelled


@given(st.text() | st.text("0123456789 .,/½€k百万三m-"))
def test_no_text_is_too_odd_to_read(text: str) -> None:
    """Numbers are found where they stand, their values are said, and reading never fails."""
    found = numbers(text)
    assert all(number.text in text and number.values for number in found)
    assert said(text) >= {value for number in found for value in number.values}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1.234,56 and 1.234,56", "1.234,56 is 1234.56"),
        ("12,50 or ١٢٥", "12,50 is 12.50; ١٢٥ is 125"),
        ("42, .5, 1,234.56, 12,34,567 and 1000000", ""),
        ("1.234 of 0.125", "1.234 is 1234 or 1.234"),
        ("1,234, 2 499, 3 bn, 5万, 2-3 k and 1/2", ""),
        ("192.168.0.1 on 2024-05-01", ""),
    ],
)
def test_odd_numbers_are_spelled_plainly(text: str, told: str) -> None:
    """Unless they are plain, or may mean several things."""
    assert spelled_plainly(text) == told
