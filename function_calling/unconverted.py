"""Which conversions does a question still ask for, after those that were made?

A small model makes one conversion where three were asked for, and then the same one again.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from function_calling.currencies import Currency, find_currency
from function_calling.currency_names import active_codes
from function_calling.dates import days
from function_calling.enumerations import asks_for_each
from function_calling.errors import ToolError
from function_calling.named_currencies import chief
from function_calling.orders import ordered, orders
from function_calling.stated import correction, either, stated


def first_call(question: str) -> str:
    """`convert_currency` where the question states an amount and two currencies, whatever else."""
    asked = stated(question)
    whole = asked.several and any(each.units for each in asked.amounts)
    return "convert_currency" if whole else ""


def next_call(question: str, made: Sequence[Mapping[str, Any]]) -> str:
    """`convert_currency` while something is `unconverted`; before the first call, `first_call`."""
    if not made:
        return first_call(question)
    return "convert_currency" if unconverted(question, made) else ""


def due_call(
    question: str,
    made: Sequence[Mapping[str, Any]],
    tried: Sequence[Mapping[str, Any]],
    *,
    dated: bool = False,
) -> dict[str, Any] | None:
    """The arguments that a model should have called with; None where that isn't sure.

    Args:
        question: What was asked.
        made: The arguments of each conversion made so far.
        tried: Those of calls that brought nothing new. If one is as ordered, it failed for a
            reason that is not the model's.
        dated: Whether a day may be given, whose rate is wanted.
    """
    asked = ordered(question)
    meant = days(question) if dated else []
    if not asked.complete or len(meant) > 1 or any(len(each) > 1 for each in meant):
        return None
    done = [_conversion(each) for each in made]
    left = [each for each in asked.each if not any(each.is_met(*one) for one in done)]
    if not left or not left[0].leaves_no_choice:
        return None
    if any(left[0].is_met(*_conversion(one)) for one in tried):
        return None
    on = [{"on": str(day)} for each in meant for day in each]
    return left[0].arguments() | (on[0] if on else {})


def unconverted(question: str, made: Sequence[Mapping[str, Any]]) -> list[str]:
    """The currencies and amounts that the question names and no conversion has used.

    Also its days, where rates of other days alone have been used. What is corrected in a question
    is not looked for.

    Args:
        question: What was asked.
        made: The arguments of each conversion made so far.
    """
    if correction(question):
        return []
    done = [_conversion(each) for each in made]
    asked = orders(question)
    left = [each.told() for each in asked.each if not any(each.is_met(*one) for one in done)]
    if not left and not asked.complete:
        left = _unused(question, done)
    used_days = {str(each["on"]) for each in made if each.get("on")}
    for meant in days(question):
        if used_days and used_days.isdisjoint(map(str, meant)):
            left.append(" or ".join(map(str, sorted(meant))))
    return list(dict.fromkeys(left))


def _conversion(given: Mapping[str, Any]) -> tuple[str, str, Decimal]:
    """The ISO 4217 codes and the amount of a call; empty codes where it names no currency."""
    try:
        source = find_currency(given["from_currency"]).code
        target = find_currency(given["to_currency"]).code
        return source, target, Decimal(given["amount"])
    except (ToolError, KeyError, TypeError, ArithmeticError):
        return "", "", Decimal(0)


def _unused(question: str, done: Sequence[tuple[str, str, Decimal]]) -> list[str]:
    """What is named and no conversion has used, as for a list whose order says too little.

    Beside an amount that is ordered, others may be told only ("they cost 90 euros, now 60").
    """
    asked = stated(question)
    sources = {source for source, _, _ in done}
    used = sources | {target for _, target, _ in done}
    unused = [named for named in asked.named if named & active_codes() and not named & used]
    left = [Currency(chief(named)).units() for named in unused]
    told_only = orders(question).each and not asks_for_each(question)
    for amount in () if told_only else asked.amounts:
        converted = any(amount.may_be(one) for _, _, one in done)
        # A lone "1 dollar is …" states a rate more often than it asks for one.
        if not converted and 1 not in amount.values and amount.units & sources.union(*unused):
            left.append(either(amount.values))
    return left
