"""What the model may call: signature and docstring of each method are all that it knows of it."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from function_calling.conversion import checked_amount, convert
from function_calling.currencies import find_currency
from function_calling.ecb_rates import ecb_rates
from function_calling.errors import ToolError
from function_calling.function_schema import Question
from function_calling.questions import ask_back, check_day, in_context
from function_calling.rates import DatedRates, FixedRates, Rate, Rates
from function_calling.settings import Settings
from function_calling.todos import Task, TodoStore
from function_calling.tool_sets import ToolSet
from function_calling.toolbox import FinalAnswer, changes_something, needs_approval
from function_calling.unconverted import missing, next_call

CURRENCY_PROMPT = """\
You convert money with convert_currency. If the user asks for several conversions, call it once \
for each. If the user corrects something ("50, no wait, 60 dollars" means 60 dollars), use only \
the corrected value.\
"""
"""How a model should use `CurrencyTools`."""

TODO_PROMPT = """\
You keep the user's to-do list. For a new task call create_task, once for each task. To show the \
list call list_tasks. To change, finish or delete a task, first call list_tasks to find its id, \
then call update_task or delete_task with that id.\
"""
"""How a model should use `TodoTools`."""

OUT_OF_SCOPE = (
    "I can only convert money from one currency to another. Tell me an amount and the two "
    "currencies, and I'll convert it."
)

# With titles of usual length, what a small model's context holds beside its tools.
MOST_LISTED = 25


class CurrencyTools:
    """Tools that convert money, at rates from whatever source they are given."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates

    def convert_currency(
        self,
        from_currency: str,
        to_currency: str,
        amount: Decimal,
        question: Question = Question(),  # noqa: B008 - a constant
    ) -> dict[str, str] | FinalAnswer:
        """Convert an amount of money from one currency to another.

        Args:
            from_currency: ISO 4217 code of the currency the user has
            to_currency: ISO 4217 code of the currency the user wants
            amount: Amount of money in from_currency

        Returns:
            The converted amount, rounded half up to two decimals, the rate, and a sentence that
            tells the conversion as `summary`; or what must be asked back, because the question
            leaves it out.
        """
        return _convert(from_currency, to_currency, amount, question, self._rates.rate)

    def reply_without_tool(self) -> FinalAnswer:
        """Answer a message that does not ask to convert money."""
        return FinalAnswer(OUT_OF_SCOPE)


class DatedCurrencyTools(CurrencyTools):
    """`CurrencyTools` at rates that are known for the past as well: a day may be asked for."""

    def __init__(self, rates: DatedRates) -> None:
        super().__init__(rates)
        self._dated = rates

    def convert_currency(
        self,
        from_currency: str,
        to_currency: str,
        amount: Decimal,
        question: Question = Question(),  # noqa: B008 - a constant
        on: date | None = None,
    ) -> dict[str, str] | FinalAnswer:
        """Convert an amount of money from one currency to another.

        Args:
            from_currency: ISO 4217 code of the currency the user has
            to_currency: ISO 4217 code of the currency the user wants
            amount: Amount of money in from_currency
            on: Day whose rate is wanted, only if the user names one

        Returns:
            What `CurrencyTools` returns, and the rate's day as `rate_date`.
        """
        if question:
            check_day(in_context(question, question.earlier), on)
        rate = partial(self._dated.rate, on=on)
        return _convert(from_currency, to_currency, amount, question, rate)


def _convert(
    from_currency: str,
    to_currency: str,
    amount: Decimal,
    question: Question,
    find_rate: Callable[[str, str], Rate],
) -> dict[str, str] | FinalAnswer:
    """The conversion told, or what must be asked back."""
    source, target = find_currency(from_currency), find_currency(to_currency)
    amount = checked_amount(amount)
    asked = in_context(question, question.earlier) if question else ""
    if asked and (asked_back := ask_back(asked, source, target, amount)):
        return FinalAnswer(asked_back)
    return convert(amount, source, target, find_rate(source.code, target.code))


def currency_tools(settings: Settings) -> ToolSet:
    """Conversions at the rates of `EXCHANGE_RATES`, steered by what the question states."""
    dated = settings.exchange_rates == "ecb"
    tools = DatedCurrencyTools(ecb_rates(settings)) if dated else CurrencyTools(FixedRates())
    return ToolSet(
        functions=[tools.convert_currency],
        system_prompt=CURRENCY_PROMPT,
        topic="converting money",
        next_call=lambda question, made: next_call(question, [given for _, given in made]),
        missing=lambda question, made: missing(question, [given for _, given in made]),
        reply_without_tool=tools.reply_without_tool,
    )


class TodoTools:
    """Tools that keep a to-do list."""

    def __init__(self, store: TodoStore) -> None:
        self._store = store

    @changes_something
    def create_task(self, title: str) -> dict[str, Any]:
        """Add a new task to the to-do list.

        Args:
            title: What is to be done, in the user's words
        """
        task = self._store.create(title)
        return _task(task, f'Added "{task.title}" to the to-do list.')

    def list_tasks(
        self, status: Literal["all", "open", "done"] = "all", search: str = ""
    ) -> dict[str, Any]:
        """List the tasks on the to-do list with their ids.

        Args:
            status: Which tasks to list
            search: A word in the title, to find one task; empty for all tasks
        """
        tasks = self._store.tasks(search)
        if status != "all":
            tasks = [task for task in tasks if task.done == (status == "done")]
        listed, left_out = tasks[:MOST_LISTED], len(tasks) - MOST_LISTED
        told = [
            f"{name}: {', '.join(titles)}."
            for name, done in (("To do", False), ("Done", True))
            if (titles := [f'"{task.title}"' for task in listed if task.done == done])
        ]
        if left_out > 0:
            told.append(f"{left_out} more are not listed.")
        return {
            "tasks": [_task(task) for task in listed],
            "summary": " ".join(told) or "There are no such tasks on the to-do list.",
        }

    @changes_something
    def update_task(self, id: int, title: str = "", done: bool | None = None) -> dict[str, Any]:
        """Mark a task as done or not done, or change its title.

        Args:
            id: Id of the task, from list_tasks
            title: The new title; empty to keep the title
            done: true if the task is done, false if it is not
        """
        if not title.strip() and done is None:
            raise ToolError("Nothing would change: give a title, or done as true or false.")
        task = self._store.update(id, title if title.strip() else None, done)
        state = " (done)" if task.done else ""
        return _task(task, f'On the to-do list now: "{task.title}"{state}.')

    @needs_approval
    def delete_task(self, id: int) -> dict[str, Any]:
        """Delete a task from the to-do list.

        Args:
            id: Id of the task, from list_tasks
        """
        task = self._store.delete(id)
        return _task(task, f'Deleted "{task.title}" from the to-do list.')


def todo_tools(store: TodoStore) -> ToolSet:
    """`TodoTools`, which close the store when they are closed."""
    tools = TodoTools(store)
    return ToolSet(
        functions=[tools.create_task, tools.list_tasks, tools.update_task, tools.delete_task],
        system_prompt=TODO_PROMPT,
        topic="to-do tasks",
        close=store.close,
    )


def _task(task: Task, summary: str = "") -> dict[str, Any]:
    """A task as the model reads it."""
    told = {"id": task.id, "title": task.title, "done": task.done}
    return told | ({"summary": summary} if summary else {})
