"""Calculations are exact; what can't be calculated is said."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function_calling.errors import ToolError
from function_calling.exchange.arithmetic import LARGEST, LONGEST, calculate


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("(1 + 2) * 3 + 2 * 3", "15"),
        ("-3 × -(2 + .5) ÷ 8 − 1", "-0.0625"),
        ("20 * 5.00", "100"),
        ("1 / 3", "0.333333333333"),
        ("-0", "0"),
        ("80 / 50%", "160"),
        ("(10 + 5)%", "0.15"),
        ("200 - 15% - 10%", "153"),
        ("200 + 10% * 50", "205"),
        ("100 + (5% + 3%)", "108"),
        ("-" * 198 + "1", "1"),
    ],
)
def test_an_expression_has_its_value(expression: str, result: str) -> None:
    """Without idle zeros and without an exponent; "%" is per cent, as on a pocket calculator."""
    assert str(calculate(expression)) == result


@given(
    st.lists(st.decimals(min_value=-(10**9), max_value=10**9, places=4), min_size=2, max_size=9),
    st.lists(st.sampled_from("+-*"), min_size=8, max_size=8),
)
def test_results_are_exact(numbers: list[Decimal], signs: list[str]) -> None:
    """As fractions would have them, to the twelfth decimal."""
    terms = [f"({number:f})" for number in numbers]
    expression = terms[0] + "".join(map(str.__add__, signs, terms[1:]))
    fractions = [f"Fraction('{number}')" for number in numbers]
    exact = eval(fractions[0] + "".join(map(str.__add__, signs, fractions[1:])))
    if abs(exact) <= LARGEST:
        assert abs(Fraction(calculate(expression)) - exact) <= Fraction(1, 2 * 10**12)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 / (2 - 2)", "it divides by 0"),
        ("15% of 80", "'o' has no place in it"),
        ("2 ** 3", "'**' has no place in it"),
        ("10 % 3", "a number, a sign or a bracket is missing"),
        ("2(3)", "a number, a sign or a bracket is missing"),
        ("()", "a number, a sign or a bracket is missing"),
        ("9" * 31, "its result is too large"),
    ],
)
def test_what_can_not_be_calculated_is_said(expression: str, reason: str) -> None:
    """The person reads what is wrong, the model also how to write it."""
    with pytest.raises(ToolError) as caught:
        calculate(expression)
    assert caught.value.problem == f"{expression!r} can't be calculated: {reason}."
    assert "Write numbers such as 1234.5" in str(caught.value)
    with pytest.raises(ToolError, match="at most 200 characters, not 201"):
        calculate("1" * (LONGEST + 1))
