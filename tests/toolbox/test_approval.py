"""A yes that is asked for within a query: a no is an answer, and thinking takes its time."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from scripted_server import ScriptedServer, calls, says

from function_calling.agent import Agent
from function_calling.approval import checked_by, needs_approval
from function_calling.errors import ToolError
from function_calling.events import Answer, ToolReturned
from function_calling.function_schema import Question, Told
from function_calling.steering import Steering
from function_calling.todo_tools import todo_tools
from function_calling.todos import TodoStore
from function_calling.toolbox import Approve, Toolbox

SELL = ("sell", {"n": 2})
SAID_NO = "sell was not called: the user said no."


@needs_approval
async def sell(n: int) -> str:
    """Sell things."""
    return f"sold {n}"


def saying(answer: bool, asked: list[str], after: float = 0) -> Approve:
    """Somebody who always says this."""

    async def approve(name: str, arguments: Mapping[str, Any]) -> bool:
        asked.append(f"{name} {dict(arguments)}")
        await asyncio.sleep(after)
        return answer

    return approve


async def answer(server: ScriptedServer, approve: Approve, **bounds: Any) -> Answer:
    """What comes of a query."""
    toolbox = Toolbox([sell])
    host = Agent(server.client(), "scripted", toolbox, "Sell.", approve=approve, **bounds)
    return await host.answer("Sell 2")


async def test_after_a_no_nothing_is_forced() -> None:
    """Neither by the first choice nor by what the tools would have called next."""
    forced = Steering(first_choice="required"), Steering(next_call=lambda _query, _made: "sell")
    for steering in forced:
        server = ScriptedServer(calls(SELL), says("As you like."))
        asked: list[str] = []
        told = await answer(server, saying(False, asked), steering=steering)
        assert told.text == "As you like."
        assert server.requests[-1]["messages"][-1]["content"] == SAID_NO
        assert [each["tool_choice"] for each in server.requests[1:]] == ["auto"]
        assert asked == ["sell {'n': 2}"]


async def test_a_no_is_asked_for_once() -> None:
    """A model that makes the call again must answer; another call is another question."""
    other = calls(("sell", {"n": 3}))
    server = ScriptedServer(calls(SELL), other, calls(SELL), says("As you like."))
    asked: list[str] = []
    assert (await answer(server, saying(False, asked))).text == "As you like."
    assert asked == ["sell {'n': 2}", "sell {'n': 3}"]
    assert server.requests[-1]["tool_choice"] == "none"


async def test_many_noes_are_no_failure_of_the_tool() -> None:
    """The model is not told that the tool failed, and a yes still runs it."""
    four = [calls(("sell", {"n": n})) for n in range(4)]
    server = ScriptedServer(*four, says("As you like."))
    asked: list[str] = []
    await answer(server, saying(False, asked))
    assert len(asked) == 4
    results = [
        each["content"] for each in server.requests[-1]["messages"] if each["role"] == "tool"
    ]
    assert results == [SAID_NO] * 4


@pytest.mark.slow
@pytest.mark.parametrize("said", [True, False])
async def test_thinking_it_over_is_not_the_querys_time(said: bool) -> None:
    """However long it takes; the query's time goes on behind it."""
    server = ScriptedServer(calls(SELL), says("Well."))
    told = await answer(server, saying(said, [], after=1.5), query_timeout=1.0)
    assert told.text == "Well."


async def test_the_query_can_be_stopped_while_a_person_thinks() -> None:
    """Nothing is sold, and nothing is left behind."""
    server = ScriptedServer(calls(SELL))
    asked = asyncio.Event()

    async def think(_name: str, _arguments: Mapping[str, Any]) -> bool:
        asked.set()
        await asyncio.Event().wait()
        return True

    task = asyncio.create_task(answer(server, think))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(server.requests) == 1


async def test_what_a_call_is_held_against_comes_before_the_question() -> None:
    """Nobody is asked about a call that can't be meant; the check sees what it wants to see."""
    seen: list[tuple[int, str]] = []

    def few(n: int, question: Question) -> None:
        """See that these are few."""
        seen.append((n, question))
        if n > 9:
            raise ToolError("Too many.")

    @needs_approval
    @checked_by(few)
    def give(n: int, to: str) -> str:
        """Give things away."""
        return f"gave {n} to {to}"

    asked: list[str] = []
    toolbox = Toolbox([give])
    for n, content in ((10, "Too many."), (9, "gave 9 to Bob")):
        arguments = f'{{"n": {n}, "to": "Bob"}}'
        context = [Question("all to Bob")]
        told = await toolbox.call("give", arguments, context=context, approve=saying(True, asked))
        assert told.content == content
    assert seen == [(10, "all to Bob"), (9, "all to Bob")]
    assert asked == ["give {'n': 9, 'to': 'Bob'}"]
    assert [each["function"]["name"] for each in toolbox.schemas] == ["give"]


TITLES = ("Buy milk", "Fix the bug", "Water the plants", "Renew the passport")
WHICH = "Which task does the user mean? The tasks are: 1 (Buy milk), 2 (Fix the bug), "


@pytest.mark.parametrize(
    ("question", "id", "earlier", "told", "problem"),
    [
        ("The bug is fixed", 2, (), "", ""),
        ("The bug is fixed", 1, (), "", 'The user means task 2 ("Fix the bug"), not task 1.'),
        ("The bug is fixed", 3, (), "", 'The user means task 2 ("Fix the bug"), not task 3.'),
        ("delete task 1, the bug", 1, (), "", ""),
        ("mark milk and passport as done", 1, (), "", ""),
        ("mark milk and passport as done", 4, (), "", ""),
        ("mark milk and passport as done", 3, (), "", "The user means task 4"),
        ("mark it as done", 2, ("hello", "note: fix the bug"), "", ""),
        (
            "mark it as done",
            1,
            ("note: buy milk", "note: fix the bug"),
            "",
            "The user means task 2",
        ),
        ("delete it", 1, (), "", WHICH),
        ("delete it", 1, (), '{"tasks": [{"id": 1}]}', ""),
        ("the bug", 1, (), 'The user means task 2 ("Fix the bug"), not task 1.', ""),
    ],
)
async def test_a_tasks_id_is_held_against_the_question(
    question: str, id: int, earlier: tuple[str, ...], told: str, problem: str
) -> None:
    """One that a model made up is sent back, with the one that is meant; it may insist."""
    store = TodoStore()
    for title in TITLES:
        store.create(title)
    toolbox = Toolbox(todo_tools(store).functions)
    context = [Question.behind(earlier, question), Told(told)]
    for name, arguments in (("update_task", '"done": true'), ("delete_task", "")):
        written = f'{{"id": {id}{arguments and ", "}{arguments}}}'
        outcome = await toolbox.call(name, written, context=context)
        assert outcome.ok == (not problem)
        assert outcome.content.startswith(problem) or not problem
    assert len(store.tasks()) == len(TITLES) - (not problem)
    store.close()


async def test_the_only_task_is_the_one_that_is_meant() -> None:
    """Whatever the question says."""
    store = TodoStore()
    store.create("Buy milk")
    toolbox = Toolbox(todo_tools(store).functions)
    context = [Question("get rid of it"), Told()]
    assert (await toolbox.call("delete_task", '{"id": 1}', context=context)).ok
    store.close()


async def test_a_model_reads_which_task_is_meant() -> None:
    """And what it read counts in the same query."""
    store = TodoStore()
    for title in TITLES:
        store.create(title)
    script = [calls(("delete_task", {"id": 1}))] * 2
    server = ScriptedServer(*script, says("Gone."))
    toolbox = Toolbox(todo_tools(store).functions)
    host = Agent(server.client(), "scripted", toolbox, "")
    events = [event async for event in host.run("delete it")]
    first, second = (event.outcome for event in events if isinstance(event, ToolReturned))
    assert (first.ok, second.ok) == (False, True)
    assert first.content.startswith(WHICH)
    assert [task.id for task in store.tasks()] == [2, 3, 4]
    store.close()
