"""Conversions held against the question that they answer: invented, wrong, or still to be made?

A small model fills in what a question leaves out, takes the value that was corrected, and makes
one conversion where three were asked for. What the question states tells.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from function_calling.currencies import CHIEFS, SUBUNITS, Currency, find_currency
from function_calling.currency_names import split_words
from function_calling.dates import days, without_days
from function_calling.errors import ToolError
from function_calling.numerals import numbers
from function_calling.stated import Codes, Stated, correction, stated


def in_context(question: str, earlier: Iterable[str]) -> str:
    """The question with what it leaves out, as "and 50?" does, taken from the messages before it.

    A question that states amounts takes no earlier ones, and one that names a day no earlier day.
    """
    context = ""
    for text in (*earlier, question):
        asked = stated(text)
        amounts = asked.amounts or asked.in_words
        if not (amounts and _several(asked)):
            text = f"{_less_stated(context, amounts=bool(amounts), day=bool(days(text)))} {text}"
        context = text.strip()
    return context


def _less_stated(text: str, *, amounts: bool, day: bool) -> str:
    """The text without its amounts, or without the days that it names."""
    kept = "" if day else " ".join(str(each) for meant in days(text) for each in sorted(meant))
    if not (amounts or day):
        return text
    text = without_days(text)
    for number in numbers(text) if amounts else ():
        text = text.replace(number.text, "", 1)
    return f"{text} {kept}"


def ask_back(question: str, source: Currency, target: Currency, amount: Decimal) -> str:
    """What to ask back before the conversion can be made; empty where the question asks for it.

    Raises:
        ToolError: The question asks for another conversion; says for which.
    """
    if asked_back := left_out(question, source, target):
        return asked_back
    check_stated(question, source, target, amount)
    return ""


def left_out(question: str, source: Currency, target: Currency) -> str:
    """What to ask back because the question leaves it out; empty where it leaves nothing out."""
    asked = stated(question)
    for currency, other, word in ((source, target, "from"), (target, source, "to")):
        if currency.code not in asked.possible and all(other.code in each for each in asked.named):
            known = f" besides {other.units()}" if other.code in asked.possible else ""
            return (
                f"I can't tell which currency to convert {word}: your question names none that I "
                f"know{known}. Which currency do you mean?"
            )
    if not asked.amounts and not asked.in_words:
        return f"How much do you want to convert from {source.units()} to {target.units()}?"
    return ""


def check_stated(question: str, source: Currency, target: Currency, amount: Decimal) -> None:
    """Accept the conversion if the question may ask for it.

    Raises:
        ToolError: It states another amount or currency, or corrects one; says what it states.
    """
    corrected = correction(question)
    if not corrected:
        _check_named(stated(question), source, target)
    asked = corrected if corrected and corrected.amounts else stated(question)
    if asked.amounts and not asked.has_amount(amount):
        told = _either(value for each in asked.amounts for value in each.values)
        raise ToolError(f"The user does not say {amount:f}: the amount is {told}.")
    spelled_before = stated(question).spells(amount)
    if corrected and corrected.in_words and spelled_before and not corrected.spells(amount):
        raise ToolError(f"The user corrected the amount {amount:f}: take the later one.")
    used = {source.code, target.code}
    if corrected and corrected.named and not any(named & used for named in corrected.named):
        told = " and ".join(_chief(named) for named in corrected.named)
        raise ToolError(f"The user corrected the currency to {told}.")
    if SUBUNITS.intersection(split_words(question)) and amount in range(1, 100):
        raise ToolError(
            f"The user means {amount:f} cents: the amount in {source.units()} is {amount / 100}."
        )


def check_day(question: str, on: date | None) -> None:
    """Accept the day whose rate is wanted if the question may mean it; None is the newest.

    A day in words or without a month is not read: of it, only the year must be there.

    Raises:
        ToolError: The question names another day, or none; says which.
    """
    asked = days(question)
    if asked and not any(on in each for each in asked):
        told = " or ".join(str(day) for each in asked for day in sorted(each))
        raise ToolError(f"The user wants the rate of {told}: give that day as `on`.")
    if on and not asked and not any(on.year in each.values for each in numbers(question)):
        raise ToolError(f"The user does not say {on}: leave `on` out for the newest rate.")


def _check_named(asked: Stated, source: Currency, target: Currency) -> None:
    """A currency that the question names was taken for another one, or left out."""
    used = {source.code, target.code}
    unnamed = used - asked.possible
    left = [_chief(named) for named in asked.named if not named & used]
    if left and (unnamed or source == target):
        raise ToolError(f"The user names {' and '.join(dict.fromkeys(left))} too: convert that.")


def first_call(question: str) -> str:
    """`convert_currency` where the question states an amount and two currencies, whatever else."""
    asked = stated(question)
    whole = _several(asked) and any(each.units for each in asked.amounts)
    return "convert_currency" if whole else ""


def next_call(question: str, made: Sequence[Mapping[str, Any]]) -> str:
    """`convert_currency` while something is `unconverted`; before the first call, `first_call`."""
    if not made:
        return first_call(question)
    return "convert_currency" if unconverted(question, made) else ""


def missing(question: str, made: Sequence[Mapping[str, Any]]) -> str:
    """What is `unconverted`, as a sentence for a model that goes in circles; "" for nothing."""
    left = ", ".join(unconverted(question, made))
    return f"The user names more than that: {left}. Make the call for it." if left else ""


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
    sources = {find_currency(each["from_currency"]).code for each in made}
    used = sources | {find_currency(each["to_currency"]).code for each in made}
    amounts = [Decimal(each["amount"]) for each in made]
    asked = stated(question)
    unused = [named for named in asked.named if not named & used]
    left = [find_currency(_chief(named)).units() for named in unused]
    for amount in asked.amounts:
        converted = any(map(amount.may_be, amounts))
        # A lone "1 dollar is …" states a rate more often than it asks for one.
        if not converted and 1 not in amount.values and amount.units & sources.union(*unused):
            left.append(_either(amount.values))
    used_days = {str(each["on"]) for each in made if each.get("on")}
    for meant in days(question):
        if used_days and used_days.isdisjoint(map(str, meant)):
            left.append(" or ".join(map(str, sorted(meant))))
    return list(dict.fromkeys(left))


def _several(asked: Stated) -> bool:
    """Whether two different currencies are named."""
    return any(not one & other for one in asked.named for other in asked.named)


def _either(values: Iterable[Decimal]) -> str:
    return " or ".join(f"{value:f}" for value in sorted(set(values)))


def _chief(codes: Codes) -> str:
    return min(codes, key=lambda code: (code not in CHIEFS, code))
