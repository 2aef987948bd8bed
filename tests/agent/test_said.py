"""Arguments that must come from the conversation: what happens to a value that a model made up."""

from typing import Annotated, Any

import pytest
from bureau import agent, results, text, told, user
from scripted_server import ScriptedServer, Turn, calls, says

from function_calling.agent.events import ToolResultEvent
from function_calling.exchange.rates import FixedRates
from function_calling.todo.store import TodoStore
from function_calling.todo.tools import todo_tools
from function_calling.toolbox.schema import Said
from function_calling.toolbox.toolbox import changes_something
from tools import CurrencyTools, calculate

CONVERT = CurrencyTools(FixedRates()).convert_currency
PAID: list[tuple[str, int]] = []


@changes_something
def pay(invoice: Annotated[str, Said()], copies: Annotated[int, Said()] = 1) -> str:
    """Pay an invoice."""
    PAID.append((invoice, copies))
    return "Paid."


def find(invoices: Annotated[list[str], Said()]) -> str:
    """Find invoices."""
    return f"Found {', '.join(invoices)}."


def to_euros(amount: Any, source: str = "USD", target: str = "EUR") -> tuple[str, dict[str, Any]]:
    """A call of the real conversion."""
    named = {"from_currency": source, "to_currency": target, "amount": amount}
    return "convert_currency", named


async def asked(query: Any, *turns: Turn) -> tuple[list[str], str]:
    """The last results that the model read, and the answer, with all tools that need no list."""
    PAID.clear()
    server = ScriptedServer(*turns)
    host = agent(server, CONVERT, calculate, pay, find)
    answer, _ = await host.answer(query if isinstance(query, list) else [user(query)])
    return results(server), answer


async def test_a_value_that_was_made_up_comes_back_with_those_that_occur() -> None:
    """The model puts it right, and nobody hears of it."""
    said = "That is 131.95 euros."
    read, answer = await asked(
        "42 dollars in euros, I have 7", calls(to_euros(4200)), calls(to_euros(42)), says(said)
    )
    assert read[0] == (
        "Which amount do you mean? 4200 is not in your message. convert_currency was not called: "
        "amount=4200, which the user did not write. The user wrote: 42, 7. If it is to be computed "
        "from that, call calculate. If none of that is meant, make the same call again."
    )
    assert '"131.95"' in read[1]
    assert answer == said


@pytest.mark.parametrize(
    ("query", "offered"),
    [
        ("1 Milliarde Dollar in Euro", "1 Milliarde (1000000000)."),
        ("2.500 pesos en dólares, 7", "2.500 (2500 or 2.500), 7."),
        ("mille cent dollars en euros", "1100, 1000."),
    ],
)
async def test_the_model_is_told_what_the_numbers_mean(query: str, offered: str) -> None:
    """Scales and separators as they can be read; of words, small ones may be anything."""
    read, _ = await asked(query, calls(to_euros(58)), *[says("Which?")] * 2)
    assert f"The user wrote: {offered} If it is to be computed" in read[0]


async def test_the_question_says_what_odd_numbers_mean() -> None:
    """Where a tool takes numbers that must have been written; other tools read it as it is."""
    query = "1.234,56 € in dollars, no. 2,500"
    for tools, asked in (
        ((CONVERT,), f"{query}\n(1.234,56 is 1234.56)"),
        ((find, calculate), query),
    ):
        server = ScriptedServer(*[says("Which?")] * 3)
        await agent(server, *tools).answer([user(query)])
        assert server.requests[0]["messages"][-1]["content"] == asked


@pytest.mark.parametrize(
    ("query", "amount", "said"),
    [
        ("37 dollars and five cents in euros", "37.05", "That is 116.40 euros."),
        ("ninety-nine cents in euros", "0.99", "That is 3.11 euros."),
    ],
)
async def test_units_and_hundredths_are_one_amount(query: str, amount: str, said: str) -> None:
    """The call is made at once, and nothing of it is said to be assumed."""
    _, answer = await asked(query, calls(to_euros(amount)), says(said))
    assert answer == said


async def test_where_nothing_occurs_the_model_must_not_guess() -> None:
    """It is told so."""
    ask = *(calls(to_euros(1)), calls(("pay", {"invoice": "A-7"}))), *[says("Which?")] * 2
    read, _ = await asked("Dollars in euros?", *ask)
    assert "The user wrote no digits: ask which is meant; if words state it" in read[0]
    assert "Use what the user wrote, and do not guess" in read[1]


async def test_a_tool_that_reads_is_called_where_the_model_insists() -> None:
    """The answer says what was assumed, behind an open end in a paragraph."""
    twice = [calls(to_euros(58))] * 2
    for words, seam in (("That is 182.21 euros.", " "), ("**€182.21**", "\n\n")):
        read, answer = await asked("42 dollars in euros", *twice, says(words))
        assert "182.21" in read[-1]
        assert answer == f"{words}{seam}I took 58 as the amount."


async def test_a_tool_that_changes_something_is_never_called_with_it() -> None:
    """However often the model insists; the answer says which value could not be traced."""
    insists = [calls(("pay", {"invoice": "A-7"}))] * 3
    read, answer = await asked("Pay (A-1), please", *insists, *[says("It is paid.")] * 2)
    assert PAID == []
    assert "invoice=A-7, which the user did not write. The user wrote: A-1." in read[0]
    assert answer == "It is paid. Which invoice do you mean? A-7 is not in your message."


async def test_what_was_put_right_is_not_told() -> None:
    """The tool was called after all; a default need not occur, another value must."""
    wrong, right = calls(("pay", {"invoice": "A-7"})), calls(("pay", {"invoice": "a-1"}))
    _, answer = await asked("Pay A-1", wrong, right, says("It is paid."))
    assert (answer, PAID) == ("It is paid.", [("a-1", 1)])
    copies = calls(("pay", {"invoice": "A-1", "copies": 3}))
    _, answer = await asked("Pay A-1", copies, says("It is paid."), says("It is paid."))
    assert PAID == []
    assert answer.endswith("Which copies do you mean? 3 is not in your message.")


async def test_each_value_of_a_list_must_occur_as_a_whole_word() -> None:
    """In what anybody wrote before, too, but not in our own answers."""
    before = [user("I have A-1."), {"role": "assistant", "content": "And A-22."}]
    query = [*before, user("Find it, and A-22b")]
    found = "Found A-1, A-22b."
    read, answer = await asked(
        query,
        calls(("find", {"invoices": ["A-1", "A-22"]})),
        calls(("find", {"invoices": ["A-1", "A-22b"]})),
        says(found),
    )
    assert read[0].startswith("Which invoices do you mean? A-22 is not in your message.")
    assert (read[1], answer) == (found, found)


async def test_what_computes_is_offered_once_a_call_lacks_a_number() -> None:
    """The call is put off, and the question asked again behind what was computed."""
    query = "Half of 500 dollars in euros"
    half, made = ("calculate", {"expression": "500 / 2"}), to_euros(250)
    said = "That is 785.40 euros."
    server = ScriptedServer(calls(made), calls(half), calls(made), says(said))
    answer, _ = await agent(server, CONVERT, calculate).answer([user(query)])
    offered = [[each["function"]["name"] for each in it["tools"]] for it in server.requests]
    only = ["convert_currency"]
    assert offered == [only, [*only, "calculate"], only, only]
    roles = [each["role"] for each in server.requests[2]["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "user"]
    assert server.requests[2]["messages"][-1] == user(query)
    assert answer == said


async def test_what_computes_is_offered_once_an_answer_lacks_a_number() -> None:
    """It says that tools should give each number."""
    said = "That is 131.95 euros, and half of it 65.975."
    server = ScriptedServer(
        calls(to_euros(42)),
        says(said),
        calls(("calculate", {"expression": "131.95 / 2"})),
        says(said),
    )
    query = "42 dollars in euros, and half of that"
    answer, _ = await agent(server, CONVERT, calculate).answer([user(query)])
    assert [len(each["tools"]) for each in server.requests] == [1, 1, 2, 1]
    assert answer == said


async def test_where_nobody_stated_a_number_the_model_may_ask() -> None:
    """It need not call on, and can't compute one from nothing, which then counts as returned."""
    made_up = calls(("calculate", {"expression": "100"}))
    server = ScriptedServer(calls(to_euros(100)), made_up, says("How many dollars?"))
    answer, _ = await agent(server, CONVERT, calculate).answer([user("Dollars in euros")])
    assert server.requests[1]["tool_choice"] == "auto"
    refused = "Which expression do you mean? 100 is not in your message."
    assert results(server)[1].startswith(refused)
    assert answer == "How many dollars?"


@pytest.mark.parametrize(
    ("query", "expression", "computed"),
    [
        ("19 % VAT on 80 euros", "80 * 1.19", True),
        ("80 less ٧٫٥٪", "80 * 0.925", True),
        ("80 euros, 10 dollars, %", "80 * 0.9", False),
        ("8% of 80 euros", "80 * 1.18", False),
    ],
)
async def test_a_percentage_may_be_written_as_a_factor(
    query: str, expression: str, computed: bool
) -> None:
    """One that the person wrote with its sign; else any amount would permit a rate."""
    turns = calls(to_euros(81)), calls(("calculate", {"expression": expression}))
    read, _ = await asked(query, *turns, *[says("Which?")] * 2)
    assert ("was not called" not in read[-1]) is computed


async def test_what_could_not_be_computed_is_told_to_nobody() -> None:
    """The person asked for the conversion, which is there."""
    made_up = ("calculate", {"expression": "131.95 * 0.125"})
    turns = calls(to_euros(42)), calls(made_up), *[says("That is 0.125.")] * 2
    _, answer = await asked("42 dollars in euros", *turns)
    assert answer == "The converted amount of 42 US dollars to euros is 131.95."
    _, answer = await asked("42 dollars", calls(made_up, ("fly", {})), says(""))
    assert answer == 'I can\'t answer that. There is no tool "fly".'


SHOW, DELETE = calls(("list_tasks", {})), calls(("delete_task", {"id": 2}))


async def test_an_id_must_come_from_a_list_that_the_model_has_read(store: TodoStore) -> None:
    """Neither from the question nor from a list in the same reply, whose ids it can't know."""
    both = calls(("list_tasks", {}), ("delete_task", {"id": 2}))
    server = ScriptedServer(both, DELETE, says("Deleted."), says("Deleted."))
    events = await told(agent(server, *todo_tools(store).functions), user("delete task 2"))
    heard = [each for each in events if isinstance(each, ToolResultEvent)]
    assert [each.ok for each in heard] == [True, False, True]
    assert heard[1].content == "Which id do you mean? No list shows 2."
    assert [task.title for task in store.tasks()] == ["Buy milk"]
    assert "Which id" not in text(events)


async def test_a_call_that_was_put_off_is_forgotten_once_there_is_a_list(store: TodoStore) -> None:
    """The model reads no more of the id that it made up, and is asked the question again."""
    wrong, right = (("update_task", {"id": id, "done": True}) for id in (1, 2))
    show, answer = ("list_tasks", {"search": "bob"}), 'Marked "Call Bob" as done.'
    server = ScriptedServer(calls(wrong), calls(wrong, show), calls(right), says(answer))
    question = user("Call Bob is settled, number 1 is not")
    host = agent(server, *todo_tools(store).functions)
    assert (await host.answer([question]))[0] == answer
    assert len(results(server)) == 2
    first, second, third, _ = server.requests
    assert "id=1, but no tool has returned it yet" in second["messages"][-1]["content"]
    assert third["messages"][1] == third["messages"][-1] == first["messages"][-1]
    assert "id=1" not in str(third["messages"])
    assert "list_tasks" not in [each["function"]["name"] for each in third["tools"]]
    assert [task.title for task in store.tasks() if not task.done] == ["Buy milk"]


async def test_what_a_list_showed_in_an_earlier_turn_may_be_used(store: TodoStore) -> None:
    """A client that keeps the results need not list again."""
    call = {"id": "a", "type": "function", "function": {"name": "list_tasks", "arguments": "{}"}}
    before = [
        user("What is there?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": '{"tasks": [{"id": 2}]}'},
        {"role": "assistant", "content": "Call Bob."},
    ]
    host = agent(ScriptedServer(DELETE, says("Deleted.")), *todo_tools(store).functions)
    await host.answer([*before, user("delete it")])
    assert [task.title for task in store.tasks()] == ["Buy milk"]
