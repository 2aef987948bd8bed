"""Sums that a model would rather not do in its head: + - * / and per cent, exactly.

"%" is always per cent, never a remainder. Added or taken away it is per cent of what stands before,
as on a pocket calculator: 200 + 15% is 230.
"""

import ast
import operator
import re
from decimal import Decimal, DecimalException, localcontext

from function_calling.errors import ToolError

LONGEST = 200  # characters, which bound the numbers and the depth as well
LARGEST = Decimal(10**30)
SMALLEST_STEP = Decimal("1e-12")

# Python reads the expression, never runs it; its power, which binds as per cent does, is not ours.
_SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-", "%": "**p "})
_ODD = re.compile(r"[^0-9.+\-*/×÷−%() ]|\* *\*|/ */")
_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def calculate(expression: str) -> Decimal:
    """The value of `expression`, to twelve decimals at most, without idle zeros.

    Raises:
        ToolError: It is no such expression, too long, divides by 0, or comes to more than
            `LARGEST`.
    """
    if len(expression) > LONGEST:
        raise ToolError(f"A calculation has at most {LONGEST} characters, not {len(expression)}.")
    if odd := _ODD.search(expression):
        raise _unreadable(expression, f"{odd.group()!r} has no place in it")
    source = expression.translate(_SIGNS).strip()
    try:
        with localcontext(prec=100):
            value = _value(ast.parse(source, mode="eval").body, source)
            if abs(value) > LARGEST:
                raise _unreadable(expression, "its result is too large")
            # As text and back, 1E+2 becomes 100; and there is no -0.
            return Decimal(f"{value.quantize(SMALLEST_STEP).normalize():f}") + 0
    except SyntaxError:
        raise _unreadable(expression, "a number, a sign or a bracket is missing") from None
    except DecimalException:
        raise _unreadable(expression, "it divides by 0") from None


def _value(node: ast.expr, source: str) -> Decimal:
    match node:
        case ast.Constant():
            return Decimal(ast.get_source_segment(source, node) or "")
        case ast.UnaryOp(op=sign, operand=operand):
            value = _value(operand, source)
            return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Name()):
            return _value(left, source) / 100
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATIONS:
            before, behind = _value(left, source), _value(right, source)
            adds = isinstance(sign, ast.Add | ast.Sub)
            if adds and _is_percentage(right) and not _is_percentage(left):
                behind *= before
            result: Decimal = _OPERATIONS[type(sign)](before, behind)
            return result
    raise SyntaxError  # empty brackets, or a number before some


def _is_percentage(node: ast.expr) -> bool:
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            return _is_percentage(left) and _is_percentage(right)
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)


def _unreadable(expression: str, reason: str) -> ToolError:
    return ToolError(
        f"{expression!r} can't be calculated: {reason}.",
        advice="Write numbers such as 1234.5, + - * / % and brackets, nothing else.",
    )
