"""Conversions held against the question that they answer: is it asked for, or invented?

A small model fills in what a question leaves out, takes the value that was corrected, and pairs
one amount with the currency of another. What the question states tells.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from function_calling.currencies import SUBUNITS, Currency
from function_calling.dates import days
from function_calling.errors import ToolError
from function_calling.named_currencies import Codes, chief
from function_calling.numerals import numbers
from function_calling.orders import ordered
from function_calling.placed import unit_of
from function_calling.stated import Stated, correction, either, plain_text, stated
from function_calling.words import split_words


def in_context(question: str, earlier: Iterable[str]) -> str:
    """The question with what it leaves out, as "and 50?" does, taken from the messages before it.

    A question that states amounts takes no earlier ones, and one that names a day no earlier day.
    """
    context = ""
    for text in (*earlier, question):
        asked = stated(text)
        amounts = asked.amounts or asked.in_words
        if not (amounts and asked.several):
            text = f"{_less_stated(context, amounts=bool(amounts), day=bool(days(text)))} {text}"
        context = text.strip()
    return context


def _less_stated(text: str, *, amounts: bool, day: bool) -> str:
    """The text without its amounts, or without the days that it names."""
    kept = "" if day else " ".join(str(each) for meant in days(text) for each in sorted(meant))
    if not (amounts or day):
        return text
    text = plain_text(text)
    for number in numbers(text) if amounts else ():
        text = text.replace(number.text, "", 1)
    return f"{text} {kept}"


def currencies_named(question: str) -> str:
    """The currencies that the question names, for a model that knows no code for one.

    Empty where there are not two: then it may be the other one that is no currency.
    """
    asked = stated(question)
    return f"The user names {_told(asked.named)}." if asked.several else ""


def is_about_money(question: str) -> bool:
    """Whether the question states an amount or names a currency."""
    return stated(question).says_something


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
    behind = correction(question)
    corrected = stated(behind) if behind else None
    asked = corrected if corrected and corrected.amounts else stated(question)
    if asked.amounts and not asked.has_amount(amount):
        told = either(value for each in asked.amounts for value in each.values)
        raise ToolError(f"The user does not say {amount:f}: the amount is {told}.")
    spelled_before = stated(question).spells(amount)
    if corrected and corrected.in_words and spelled_before and not corrected.spells(amount):
        raise ToolError(f"The user corrected the amount {amount:f}: take the later one.")
    used = {source.code, target.code}
    if corrected and corrected.named and not any(named & used for named in corrected.named):
        raise ToolError(f"The user corrected the currency to {_told(corrected.named)}.")
    if SUBUNITS.intersection(split_words(question)) and amount in range(1, 100):
        raise ToolError(
            f"The user means {amount:f} cents: the amount in {source.units()} is {amount / 100}."
        )
    _check_ordered(question, source, target, amount)
    _check_unit(question, behind, source, amount)
    if not behind:
        _check_named(stated(question), source, target)


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


def _check_unit(question: str, behind: str, source: Currency, amount: Decimal) -> None:
    """The amount must be one of the currency beside it, if a correction doesn't name another."""
    corrected = stated(behind)
    if corrected.named and not corrected.amounts:
        return
    units = unit_of(behind if corrected.amounts else question, amount)
    if units and source.code not in units:
        unit = Currency(chief(units))
        raise ToolError(f"The user has {amount:f} {unit.units(amount)}: convert from {unit.code}.")


def _check_ordered(question: str, source: Currency, target: Currency, amount: Decimal) -> None:
    """Where all conversions that the question asks for are known, it must be one of them."""
    asked = ordered(question)
    if asked.complete and not any(
        each.is_met(source.code, target.code, amount) for each in asked.each
    ):
        told = " and ".join(each.told() for each in asked.each)
        raise ToolError(f"The user does not ask for that, but for {told}: convert that.")


def _check_named(asked: Stated, source: Currency, target: Currency) -> None:
    """A currency that the question names was taken for another one, or left out."""
    used = {source.code, target.code}
    # Where two are named, "kroner" behind "Norwegian" is no reason to think of Danish ones.
    known = asked.hinted.union(*asked.named) if asked.several else asked.possible
    unnamed = used - known
    left = any(not named & used for named in asked.named)
    if left and (unnamed or source == target):
        raise ToolError(f"The user names {_told(asked.named)}: convert these.")


def _told(named: Iterable[Codes]) -> str:
    return " and ".join(dict.fromkeys(chief(codes) for codes in named))
