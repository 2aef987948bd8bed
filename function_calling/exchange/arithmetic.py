"""Sums that a model would rather not do in its head: + - * / and per cent, exactly.

    sum = product (("+" | "-") product)*
    product = factor (("*" | "/") factor)*
    factor = ("-" | "+") factor | (number | "(" sum ")") "%"*

"%" is always per cent, never the remainder. Behind a + or - it is per cent of what stands before,
as on a pocket calculator: 200 + 15% is 230.
"""

import re
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow

from function_calling.errors import ToolError

LONGEST = 200
DEEPEST = 20
LARGEST = Decimal(10**30)
SMALLEST_STEP = Decimal("1e-12")
"""Characters, brackets and signs within each other, and the size of a result and of its steps."""

_EXACT = Context(prec=100, traps=[DivisionByZero, InvalidOperation, Overflow])
_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+|\S)")
_SIGNS = str.maketrans("×÷−", "*/-")
_ADVICE = "Write numbers such as 1234.5, + - * / %, and brackets, nothing else."


def calculate(expression: str) -> Decimal:
    """The value of `expression`, to twelve decimals at most, without idle zeros.

    Raises:
        ToolError: It is no such expression, too long or too deep, divides by 0, or has no result
            within `LARGEST`.
    """
    if len(expression) > LONGEST:
        raise ToolError(f"A calculation has at most {LONGEST} characters, not {len(expression)}.")
    reader = _Reader(_TOKEN.findall(expression.translate(_SIGNS)))
    try:
        value = reader.sum()
    except DivisionByZero:
        raise ToolError(f"{expression!r} divides by 0.") from None
    except InvalidOperation:  # 0 / 0
        raise ToolError(f"{expression!r} has no result.") from None
    if reader.next:
        raise reader.unreadable()
    if abs(value) > LARGEST:
        raise ToolError(f"The result of {expression!r} is too large.")
    value = value.quantize(SMALLEST_STEP, context=_EXACT)
    # Without an exponent, as in 100 in place of 1E+2; and there is no -0.
    return Decimal(f"{value.normalize(_EXACT):f}") + 0


class _Reader:
    """Reads tokens from left to right, and computes on the way."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def next(self) -> str:
        """The token to be read next; "" at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def sum(self) -> Decimal:
        """The value of a sum."""
        value, percent = self._product()
        while self.next in ("+", "-"):
            add = _EXACT.add if self._take() == "+" else _EXACT.subtract
            term, term_percent = self._product()
            if term_percent and not percent:
                term = _EXACT.multiply(value, term)
            value, percent = add(value, term), percent and term_percent
        return value

    def _product(self) -> tuple[Decimal, bool]:
        """The value of a product, and whether it is one number of per cent."""
        value, percent = self._factor()
        while self.next in ("*", "/"):
            times = _EXACT.multiply if self._take() == "*" else _EXACT.divide
            value, percent = times(value, self._factor()[0]), False
        return value, percent

    def _factor(self) -> tuple[Decimal, bool]:
        """The value of a factor, and whether it is per cent."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise ToolError(f"A calculation has at most {DEEPEST} brackets within each other.")
        if self.next in ("+", "-"):
            sign = Decimal(f"{self._take()}1")
            value, percent = self._factor()
            value = _EXACT.multiply(sign, value)
        else:
            value, percent = self._number(), False
            while self.next == "%":
                self._take()
                value, percent = _EXACT.divide(value, Decimal(100)), True
        self._depth -= 1
        return value, percent

    def _number(self) -> Decimal:
        """The value of a number, or of a sum in brackets."""
        if self.next == "(":
            self._take()
            value = self.sum()
            if self.next != ")":
                raise self.unreadable()
            self._take()
            return value
        if not self.next[-1:].isdecimal():
            raise self.unreadable()
        return Decimal(self._take())

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def unreadable(self) -> ToolError:
        """That the next token can't stand where it does."""
        what = f"{self.next!r} can't follow" if self.next else "Something is missing behind"
        before = " ".join(self._tokens[: self._at])
        place = repr(before) if before else "the beginning"
        return ToolError(f"This can't be calculated: {what} {place}.", advice=_ADVICE)
