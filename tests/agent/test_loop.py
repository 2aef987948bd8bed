"""The loop between model and tools: every clause of its contract, with a scripted model."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from bureau import (
    QUERY,
    TO_CAD,
    TO_EUR,
    TO_XYZ,
    TOLD_CAD,
    TOLD_EUR,
    Bureau,
    agent,
    answered,
    results,
    told,
    user,
)
from scripted_server import (
    ScriptedServer,
    Turn,
    calls,
    says,
    streams,
    unreachable,
)

from function_calling.agent.assistant import Assistant
from function_calling.agent.events import ToolResultEvent
from function_calling.agent.grounding import SAME_AGAIN
from function_calling.errors import ToolError
from function_calling.settings import Settings
from function_calling.toolbox.toolbox import (
    Approve,
    FinalAnswer,
    Toolbox,
    changes_something,
    needs_approval,
)
from tools import TOOL_SETS


def choices(server: ScriptedServer) -> list[str]:
    """The `tool_choice` of each request."""
    return [request["tool_choice"] for request in server.requests]


async def test_the_model_is_asked_greedily_with_tools_and_as_a_stream() -> None:
    """The same query gets the same answer, and a cancelled one can stop the model.

    System messages are one, as many templates know no second.
    """
    server = ScriptedServer(says("Hello."))
    host = agent(server, first_choice="auto", settings=Settings(max_reply_tokens=99))
    await host.answer([{"role": "system", "content": "Be brief."}, user(QUERY)])
    (request,) = server.requests
    assert [tool["function"]["name"] for tool in request.pop("tools")] == ["convert", "decline"]
    assert request == {
        "model": "scripted",
        "messages": [{"role": "system", "content": "Convert money.\n\nBe brief."}, user(QUERY)],
        "max_tokens": 99,
        "temperature": 0,
        "seed": 0,
        "tool_choice": "auto",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_what_stands_before_a_question_can_be_read_ahead() -> None:
    """The server keeps it for the first question, which begins with the same prompt and tools."""
    server = ScriptedServer(says("?"), says("Hello."))
    host = agent(server, first_choice="auto")
    await host.read_ahead()
    await host.answer([user(QUERY)])
    ahead, asked = server.requests
    assert (ahead["max_tokens"], ahead["tools"]) == (1, asked["tools"])
    assert ahead["messages"][0] == asked["messages"][0]


@pytest.mark.parametrize("turn", [says("?"), unreachable()])
async def test_reading_ahead_ends_whatever_the_server_does(turn: Turn) -> None:
    """The assistant is not ready before; the model's name is asked for first."""
    server = ScriptedServer(turn)
    await Assistant(Settings(), server.client(), TOOL_SETS).read_ahead()
    (ahead,) = server.requests
    assert (ahead["model"], ahead["tool_choice"]) == ("scripted", "auto")


async def test_results_go_back_with_their_ids_after_the_call_itself() -> None:
    """The history is OpenAI's: the assistant's calls, then one tool message each, in order.

    The ids are ours, as a server may name the same again.
    """
    server = ScriptedServer(calls(TO_EUR, TO_CAD), says(f"{TOLD_CAD} {TOLD_EUR}"))
    await agent(server).answer([user(QUERY)])
    assistant, *tools = server.requests[1]["messages"][2:]
    ids = [call["id"] for call in assistant["tool_calls"]]
    assert len({*ids, "a0", "a1"}) == 4
    function = {"name": "convert", "arguments": json.dumps(TO_EUR[1])}
    assert assistant["tool_calls"][0]["function"] == function
    assert {each["role"] for each in tools} == {"tool"}
    for tool, id, result in zip(tools, ids, ("38.64", "131.95"), strict=True):
        assert tool["tool_call_id"] == id
        assert result in tool["content"]


async def test_calls_of_one_reply_run_side_by_side() -> None:
    """Each tool waits for the other to begin, so one after the other would never end."""
    meeting = asyncio.Barrier(2)

    async def meet(n: int) -> str:
        """Meet the other call."""
        await meeting.wait()
        return f"met {n}"

    server = ScriptedServer(calls(("meet", {"n": 1}), ("meet", {"n": 2})), says("Done."))
    await agent(server, meet).answer([user("Meet 1 and 2")])
    assert results(server) == ["met 1", "met 2"]


async def test_without_tools_none_are_offered() -> None:
    """OpenAI refuses an empty list; words without numbers need no ground."""
    server = ScriptedServer(says("Hello."))
    host = agent(server, toolbox=Toolbox([]), first_choice="auto")
    text, done = await host.answer([user("Hi")])
    assert (text, done.grounding) == ("Hello.", "none")
    assert server.requests[0].keys().isdisjoint({"tools", "tool_choice"})


async def test_a_wrong_call_comes_back_as_its_result_and_can_be_corrected() -> None:
    """The model reads what was wrong and what would be right, then does it right."""
    server = ScriptedServer(calls(TO_XYZ), calls(TO_CAD, ids="b"), says(TOLD_CAD))
    text, done = await agent(server).answer([user(QUERY)])
    assert "XYZ is no currency. Give CAD or EUR." in results(server)[0]
    assert (text, done.grounding) == (TOLD_CAD, "ok")
    # A failed call must be put right, not talked about.
    assert choices(server) == ["required", "required", "auto"]


async def test_a_tool_that_failed_three_times_is_not_called_any_more() -> None:
    """Two retries; then the model must answer without it, and people read nothing of that."""
    wrong = [calls(("convert", {"amount": n, "to": "XYZ"}), ids=str(n)) for n in range(4)]
    server, bureau = ScriptedServer(*wrong, says("I could not convert that.")), Bureau()
    events = await told(agent(server, bureau.convert))
    assert bureau.amounts == [0, 1, 2]
    refusal = "convert has failed too often and is not called any more. Answer without it"
    assert [refusal in result for result in results(server)] == [False, False, True, True]
    assert ["tools" in request for request in server.requests] == [True, True, True, False, False]
    assert [each.content for each in events if isinstance(each, ToolResultEvent)] == [
        *["XYZ is no currency."] * 3,
        "convert has failed too often and is not called any more.",
    ]


class Shelf:
    """Tools of which one changes what the other reads."""

    def __init__(self) -> None:
        self.books: list[str] = []

    @changes_something
    async def put(self, book: str) -> str:
        """Put a book on the shelf."""
        await asyncio.sleep(0)
        self.books.append(book)
        return "Done."

    def look(self) -> str:
        """Tell the books on the shelf."""
        return " and ".join(self.books) or "nothing"


async def test_what_was_read_before_a_change_is_read_again() -> None:
    """The change itself is not made again."""
    look, put = calls(("look", {})), calls(("put", {"book": "Emma"}))
    shelf, server = Shelf(), ScriptedServer(look, put, look, put, says("It is done."))
    await agent(server, shelf.put, shelf.look).answer([user("Put it there.")])
    assert results(server) == ["nothing", "Done.", "Emma", f"{SAME_AGAIN}Done."]
    assert shelf.books == ["Emma"]


async def test_a_call_made_again_is_answered_from_memory() -> None:
    """However it is spelled; the model reads that it is an earlier result, told once."""
    again = ("convert", '{ "to":"CAD", "amount":42 }')
    server, bureau = ScriptedServer(calls(TO_CAD, again), calls(TO_EUR, again), says("")), Bureau()
    text, done = await agent(server, bureau.convert).answer([user(QUERY)])
    assert bureau.amounts == [42, 42]
    first, same, _, last = results(server)
    assert same == last == SAME_AGAIN + first
    assert (text, done.tool_calls) == (f"{TOLD_CAD} {TOLD_EUR}", 2)
    assert choices(server) == ["required", "auto", "auto"]


@needs_approval
def sell(n: int) -> str:
    """Sell things."""
    return f"sold {n}"


async def sold(server: ScriptedServer, approve: Approve) -> str:
    """What comes of a question for which things may be sold."""
    text, _ = await agent(server, sell, approve=approve).answer([user("Sell 2, or 3.")])
    return text


async def test_a_no_is_asked_for_once_and_forces_nothing() -> None:
    """A model that makes the call again must answer; another call is another question."""
    asked: list[int] = []

    async def refuse(_name: str, arguments: Mapping[str, Any]) -> bool:
        asked.append(arguments["n"])
        return False

    wanted = (calls(("sell", {"n": n})) for n in (2, 3, 2))
    server = ScriptedServer(*wanted, says("As you like."))
    assert (await sold(server, refuse), asked) == ("As you like.", [2, 3])
    assert choices(server) == ["required", "auto", "auto", "none"]


async def test_thinking_it_over_is_not_the_questions_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes; the question's time goes on behind it."""
    loop = asyncio.get_running_loop()
    clock, thought = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: clock() + sum(thought))

    async def think(_name: str, _arguments: Mapping[str, Any]) -> bool:
        thought.append(86_400)
        return True

    server = ScriptedServer(calls(("sell", {"n": 2})), says("Well."))
    assert await sold(server, think) == "Well."


WRONG = says("It is 1319.5 CAD.")


@pytest.mark.parametrize(
    ("turns", "problem"),
    [
        ([says("About a hundred."), calls(TO_CAD)], "It was made from memory: call a tool first."),
        ([calls(TO_CAD), WRONG], "The answer says 1319.5, which neither"),
    ],
    ids=["from memory", "a number retyped wrongly"],
)
async def test_what_is_wrong_with_an_answer_is_pointed_out_once(
    turns: list[Turn], problem: str
) -> None:
    """The model reads it behind its own answer, with the tools still there."""
    server = ScriptedServer(*turns, says(TOLD_CAD))
    text, done = await agent(server).answer([user(QUERY)])
    assert (text, done.rounds, done.grounding) == (TOLD_CAD, 3, "asked-again")
    ((answer, again),) = (
        each["messages"][-2:]
        for each in server.requests
        if "not right" in each["messages"][-1]["content"]
    )
    assert (answer["role"], again["role"]) == ("assistant", "user")
    assert problem in again["content"]
    assert choices(server)[-1] == "auto"


MEMORY = says("It is 58 CAD.")
XYZ_THRICE = calls(*(("convert", {"amount": n, "to": "XYZ"}) for n in range(3)))
DECLINES = calls(("decline", {}))
UNABLE = "I can't answer that. XYZ is no currency."
TOOLS = (
    "I can't answer that with the tools I have: convert (Convert US dollars); decline (Decline)."
)
ENDS: dict[str, tuple[list[Turn], str, str]] = {
    "words from memory": ([says("A lot."), says("A lot more.")], "A lot more.", "asked-again"),
    "a number from memory": ([MEMORY, MEMORY], TOOLS, "fell-back"),
    "a number after a failure": ([calls(TO_XYZ), MEMORY, MEMORY], UNABLE, "fell-back"),
    "no words": ([calls(TO_CAD), says("  ")], TOLD_CAD, "fell-back"),
    "a wrong number": (
        [calls(TO_CAD, TO_EUR, TO_CAD), WRONG, WRONG],
        *(f"{TOLD_CAD} {TOLD_EUR}", "fell-back"),
    ),
    "three wrong calls use up one try": (
        [XYZ_THRICE, calls(TO_CAD), says(TOLD_CAD)],
        TOLD_CAD,
        "ok",
    ),
    "turned away": ([DECLINES], "I only convert money.", "none"),
    "turned away after a failure": ([calls(TO_XYZ), DECLINES], UNABLE, "none"),
}


@pytest.mark.parametrize(("turns", "answer", "grounding"), ENDS.values(), ids=ENDS)
async def test_what_a_model_does_not_say_rightly_the_tools_say(
    turns: list[Turn], answer: str, grounding: str
) -> None:
    """What was found first, then why nothing was, and last what the tools are for."""
    text, done = await answered(*turns)
    assert (text, done.grounding) == (answer, grounding)


# What a tool has settled, beside others


@changes_something
def order(n: int) -> FinalAnswer:
    """Order things."""
    return FinalAnswer(f"Order {n} is placed.")


@pytest.mark.parametrize(
    ("made", "answer"),
    [
        ([("order", {"n": 7}), ("order", {"n": 8})], "Order 7 is placed.\n\nOrder 8 is placed."),
        ([TO_CAD, ("order", {"n": 7})], f"{TOLD_CAD} Order 7 is placed."),
        (
            [("order", {"n": 7}), TO_XYZ],
            "Order 7 is placed. I can't answer that. XYZ is no currency.",
        ),
    ],
    ids=["another", "a result", "a failure"],
)
async def test_what_was_done_is_told_beside_all_else(made: Any, answer: str) -> None:
    """A final answer ends the question, and what was done by it is not lost."""
    told, _ = await answered(
        calls(*made), says("Done."), says("Done."), tools=[Bureau().convert, order]
    )
    assert told == answer


@changes_something
def pay(n: int) -> str:
    """Pay an invoice."""
    raise ToolError(f"Invoice {n} is locked.", advice="Try another one.")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("It is paid.", "It is paid. Invoice 7 is locked."),
        ("Sorry, invoice 7 is locked, so it isn't paid.", ""),
    ],
)
async def test_a_change_that_failed_is_not_told_as_done(answer: str, told: str) -> None:
    """Why it failed is told behind it, once; and who says so is not asked again."""
    turns = calls(("pay", {"n": 7})), says(answer)
    text, done = await answered(*turns, query="Pay invoice 7", tools=[pay])
    assert (text, done.grounding) == (told or answer, "ok")


# Calls as other servers number them


@pytest.mark.parametrize(
    ("deltas", "made"),
    [
        ([(0, "a", "order", '{"n": 1}'), (0, "b", "order", '{"n": 2}')], [1, 2]),
        ([(0, "a", "order", '{"n"'), (0, "b", None, ": 1}")], [1]),
        ([(0, "a", "order", '{"n"'), (0, "a", "order", ": 1}")], [1]),
    ],
    ids=["all 0", "an id for each fragment", "the name again"],
)
async def test_calls_are_parted_however_they_are_numbered(deltas: Any, made: list[int]) -> None:
    """By their ids and names."""
    fragments = [
        {"index": index, "id": identity, "function": {"name": name, "arguments": arguments}}
        for index, identity, name, arguments in deltas
    ]
    told, _ = await answered(streams(*fragments), tools=[order])
    assert told == "\n\n".join(f"Order {n} is placed." for n in made)
