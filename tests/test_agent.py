"""The loop between model and tools: every clause of its contract, against a scripted server."""

import asyncio
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from scripted_server import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    ScriptedServer,
    Turn,
    breaks_off,
    calls,
    fails,
    hangs,
    says,
    unreachable,
)

from function_calling.agent import Agent
from function_calling.conversation import SAME_AGAIN
from function_calling.errors import EngineError, RequestError, ToolError
from function_calling.events import Answer, AskedAgain, ModelCalled, ToolCalled, ToolReturned
from function_calling.messages import Usage
from function_calling.steering import Steering
from function_calling.toolbox import FinalAnswer, Made, Toolbox, changes_something

QUERY = "42 USD in CAD?"
TO_CAD = ("convert", {"amount": 42, "to": "CAD"})
TO_EUR = ("convert", {"amount": 42, "to": "EUR"})
RATES = {"CAD": Decimal("3.14159"), "EUR": Decimal("0.92")}
TOLD_CAD, TOLD_EUR = "42 USD is 131.95 CAD.", "42 USD is 38.64 EUR."


class Bureau:
    """Tools that count what they do."""

    def __init__(self) -> None:
        self.amounts: list[Decimal] = []

    async def convert(self, amount: Decimal, to: str) -> dict[str, Any]:
        """Convert US dollars.

        Args:
            amount: How much.
            to: The currency wanted.
        """
        self.amounts.append(amount)
        if to not in RATES:
            raise ToolError(f"{to} is no currency; wanted CAD or EUR.")
        converted = round(amount * RATES[to], 2)
        return {"converted": converted, "summary": f"{amount} USD is {converted} {to}."}

    async def wait(self) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()


def agent(server: ScriptedServer, bureau: Bureau | None = None, **settings: Any) -> Agent:
    """An agent whose model is `server`."""
    bureau = bureau or Bureau()
    toolbox = Toolbox([bureau.convert, bureau.wait])
    return Agent(server.client(), "scripted", toolbox, "Convert money.", **settings)


async def answered(*turns: Turn, query: str = QUERY, **settings: Any) -> Answer:
    """The answer to `query` where the model takes `turns`."""
    return await agent(ScriptedServer(*turns), **settings).answer(query)


def results(server: ScriptedServer) -> list[str]:
    """The tool results that the model read in the last request."""
    messages = server.requests[-1]["messages"]
    return [message["content"] for message in messages if message["role"] == "tool"]


async def test_a_query_is_answered_through_a_tool() -> None:
    """The model calls, reads the result and tells it; everything is counted."""
    answer = await answered(calls(TO_CAD), says(TOLD_CAD))
    usage = Usage(2 * PROMPT_TOKENS, 2 * COMPLETION_TOKENS)
    assert answer == Answer(TOLD_CAD, usage, rounds=2, tool_calls=1, grounding="ok")


async def test_events_tell_each_step_in_order() -> None:
    """A consumer sees what is asked, called and returned, and the answer last."""
    events = [
        event
        async for event in agent(
            ScriptedServer(calls(TO_CAD, TO_EUR), says("131.95 CAD or 38.64 EUR"))
        ).run(QUERY)
    ]
    kinds = [type(event) for event in events]
    assert kinds == [ModelCalled, *[ToolCalled] * 2, *[ToolReturned] * 2, ModelCalled, Answer]
    assert events[0] == ModelCalled(1, "auto")
    assert events[2] == ToolCalled("a1", "convert", json.dumps(TO_EUR[1]))
    returned = events[4]
    assert isinstance(returned, ToolReturned)
    assert (returned.id, returned.outcome.summary) == ("a1", TOLD_EUR)


async def test_the_model_is_asked_greedily_with_tools_and_as_a_stream() -> None:
    """The same query gets the same answer, and a cancelled one can stop the model."""
    server = ScriptedServer(says("Hello."))
    await agent(server, max_tokens=99).answer(QUERY)
    (request,) = server.requests
    assert [tool["function"]["name"] for tool in request.pop("tools")] == ["convert", "wait"]
    assert request == {
        "model": "scripted",
        "messages": [
            {"role": "system", "content": "Convert money."},
            {"role": "user", "content": QUERY},
        ],
        "max_tokens": 99,
        "temperature": 0,
        "seed": 0,
        "tool_choice": "auto",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_results_go_back_with_their_ids_after_the_call_itself() -> None:
    """The history is OpenAI's: the assistant's calls, then one tool message each, in order."""
    server = ScriptedServer(calls(TO_EUR, TO_CAD), says(f"{TOLD_CAD} {TOLD_EUR}"))
    await agent(server).answer(QUERY)
    assistant, *told = server.requests[1]["messages"][2:]
    assert [call["id"] for call in assistant["tool_calls"]] == ["a0", "a1"]
    assert assistant["tool_calls"][0]["function"] == {
        "name": "convert",
        "arguments": json.dumps(TO_EUR[1]),
    }
    assert [(each["role"], each["tool_call_id"]) for each in told] == [
        ("tool", "a0"),
        ("tool", "a1"),
    ]
    assert "38.64" in told[0]["content"]
    assert "131.95" in told[1]["content"]


async def test_a_call_without_an_id_gets_one() -> None:
    """A result must be able to refer to its call."""
    server = ScriptedServer(calls(TO_CAD, ids=None), says(TOLD_CAD))
    await agent(server).answer(QUERY)
    assert server.requests[1]["messages"][-1]["tool_call_id"] == "call_0"


async def test_calls_of_one_round_run_side_by_side() -> None:
    """Each tool waits for the other to begin, so one after the other would never end."""
    meeting = asyncio.Barrier(2)

    async def meet(n: int) -> str:
        """Meet the other call."""
        await meeting.wait()
        return f"met {n}"

    server = ScriptedServer(calls(("meet", {"n": 1}), ("meet", {"n": 2})), says("Done."))
    host = Agent(server.client(), "scripted", Toolbox([meet]), "Meet.", query_timeout=5)
    assert (await host.answer("Meet 1 and 2")).text == "Done."
    assert results(server) == ["met 1", "met 2"]


async def test_the_first_choice_is_for_the_first_round() -> None:
    """Forced once, the model is free to answer afterwards."""
    server = ScriptedServer(calls(TO_CAD), says(TOLD_CAD))
    await agent(server, steering=Steering(first_choice="required")).answer(QUERY)
    assert [request["tool_choice"] for request in server.requests] == ["required", "auto"]


async def test_without_tools_none_are_offered() -> None:
    """OpenAI refuses an empty list."""
    server = ScriptedServer(says("Hello."))
    answer = await Agent(server.client(), "scripted", Toolbox([]), "Talk.").answer("Hi")
    assert answer.text == "Hello."
    assert server.requests[0].keys().isdisjoint({"tools", "tool_choice"})


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (("convert", '{"amount": 42,'), "the arguments are not a JSON object"),
        (("exchange", {}), 'There is no tool "exchange". The tools are: convert, wait.'),
        (("convert", {"amount": 42}), "to is missing, wanted"),
        (("convert", {"amount": 42, "to": "XYZ"}), "XYZ is no currency; wanted CAD or EUR."),
    ],
)
async def test_a_wrong_call_comes_back_as_its_result_and_can_be_corrected(
    wrong: tuple[str, Any], named: str
) -> None:
    """The model reads what was wrong and what would be right, then does it right."""
    server = ScriptedServer(calls(wrong), calls(TO_CAD, ids="b"), says(TOLD_CAD))
    answer = await agent(server).answer(QUERY)
    assert named in results(server)[0]
    assert (answer.text, answer.grounding) == (TOLD_CAD, "ok")


async def test_broken_arguments_are_not_sent_back_in_the_history() -> None:
    """Servers that parse the history would refuse it; the result quotes what was written."""
    server = ScriptedServer(calls(("convert", "[1]"), ("convert", "{,")), says("Sorry."))
    await agent(server).answer(QUERY)
    sent = server.requests[1]["messages"][2]["tool_calls"]
    assert [call["function"]["arguments"] for call in sent] == ["{}", "{}"]
    assert "{," in results(server)[1]


async def test_a_tool_that_failed_three_times_is_not_called_any_more() -> None:
    """Two retries; then the model is told to answer without it, and if it insists, it must."""
    wrong = [calls(("convert", {"amount": n, "to": "XYZ"}), ids=str(n)) for n in range(4)]
    server, bureau = ScriptedServer(*wrong, says("I could not convert that.")), Bureau()
    answer = await agent(server, bureau).answer(QUERY)
    assert bureau.amounts == [0, 1, 2]
    refusal = "convert failed 3 times and is not called any more: answer without it"
    assert [refusal in result for result in results(server)] == [False, False, True, True]
    assert server.requests[-1]["tool_choice"] == "none"
    assert answer.text == "I could not convert that."


async def test_an_answer_invented_after_failures_becomes_an_honest_one() -> None:
    """No number stands in for a tool that did not work."""
    wrong = [calls(("convert", {"amount": n, "to": "XYZ"})) for n in range(4)]
    answer = await answered(*wrong, says("It is 58 CAD."))
    assert answer.text == "I can't answer that. XYZ is no currency; wanted CAD or EUR."
    assert answer.grounding == "fell-back"


async def test_wrong_calls_side_by_side_use_up_one_try() -> None:
    """Three wrong calls in one round still leave two retries."""
    wrong = calls(*(("convert", {"amount": n, "to": "XYZ"}) for n in range(3)))
    server = ScriptedServer(wrong, calls(TO_CAD), says(TOLD_CAD))
    assert (await agent(server).answer(QUERY)).text == TOLD_CAD


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


async def shelved(*turns: Turn) -> tuple[Shelf, list[str]]:
    """The shelf in the end, and the results that the model read."""
    shelf, server = Shelf(), ScriptedServer(*turns, says("It is done."))
    toolbox = Toolbox([shelf.put, shelf.look])
    await Agent(server.client(), "scripted", toolbox, "Keep books.").answer("Put it there.")
    return shelf, results(server)


async def test_what_was_read_before_a_change_is_read_again() -> None:
    """The change itself is not made again, and without a change nothing is read anew."""
    look, put = calls(("look", {})), calls(("put", {"book": "Emma"}))
    shelf, told = await shelved(look, put, look, look, put)
    assert told[:3] == ["nothing", "Done.", "Emma"]
    assert told[3].startswith("This call was made before with the same arguments")
    assert told[3].endswith(": Emma")
    assert told[4].startswith("This call was made before")
    assert shelf.books == ["Emma"]


async def test_calls_of_a_round_that_changes_something_are_made_in_order() -> None:
    """So that what is read after a change holds it."""
    books = [("put", {"book": book}) for book in ("Emma", "Ulysses")]
    _, told = await shelved(calls(*books, ("look", {})))
    assert told == ["Done.", "Done.", "Emma and Ulysses"]


async def test_the_same_call_is_not_made_twice() -> None:
    """The model reads the earlier result, and that it is an earlier one."""
    again = ("convert", '{ "to":"CAD", "amount":42 }')
    server = ScriptedServer(calls(TO_CAD, again), calls(again), says(TOLD_CAD))
    bureau = Bureau()
    answer = await agent(server, bureau).answer(QUERY)
    assert bureau.amounts == [42]
    first, *others = results(server)
    assert others == [SAME_AGAIN + first] * 2
    assert (answer.text, answer.tool_calls) == (TOLD_CAD, 3)


async def test_a_failed_call_may_be_repeated_as_it_is() -> None:
    """What failed for a moment may work the next time."""
    tries = []

    async def ask() -> str:
        """Ask someone else."""
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("away")
        return "here"

    server = ScriptedServer(calls(("ask", "")), calls(("ask", "")), says("They are here."))
    answer = await Agent(server.client(), "scripted", Toolbox([ask]), "Ask.").answer("Who?")
    assert results(server) == ["Tool ask failed: ConnectionError: away", "here"]
    assert answer.text == "They are here."


async def test_a_tool_over_its_time_limit_fails_alone() -> None:
    """Its neighbour's result is told as usual."""
    server = ScriptedServer(calls(("wait", {}), TO_CAD), says(TOLD_CAD))
    answer = await agent(server, tool_timeout=0.5).answer(QUERY)
    assert [result[:19] for result in results(server)] == [
        "Tool wait took long",
        '{"converted": 131.9',
    ]
    assert answer.grounding == "ok"


async def test_a_cancelled_query_lets_go_of_the_model() -> None:
    """Nobody waits for it any more."""
    server = ScriptedServer(hangs())
    task = asyncio.create_task(agent(server).answer(QUERY))
    await server.hanging.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.closed == 1


async def test_a_reply_that_is_cut_is_asked_for_again_with_more_room() -> None:
    """Its usage counts, its half a call does not."""
    half = calls(("convert", '{"amo'), finish_reason="length")
    server, bureau = ScriptedServer(half, calls(TO_CAD), says(TOLD_CAD)), Bureau()
    answer = await agent(server, bureau, max_tokens=100).answer(QUERY)
    assert [request["max_tokens"] for request in server.requests] == [100, 200, 100]
    assert (answer.rounds, answer.tool_calls) == (2, 1)
    assert bureau.amounts == [42]
    assert answer.usage.completion_tokens == 3 * COMPLETION_TOKENS


@pytest.mark.parametrize("slow", [unreachable, breaks_off])
async def test_a_server_that_is_too_slow_for_the_client_is_not_asked_again(slow: Any) -> None:
    """The client's own limits are below the query's; what else a server may do is in
    `test_robust_loop.py`.
    """
    with pytest.raises(EngineError) as caught:
        await answered(slow(httpx2.ReadTimeout("slow")))
    assert caught.value.status == 504
    assert caught.value.message == "The model server took too long to reply."


async def test_a_request_that_the_model_server_refuses_is_the_callers() -> None:
    """Its words, status and code pass through."""
    refusal = fails(400, "The context holds 4096 tokens.", "context_length_exceeded")
    with pytest.raises(RequestError) as caught:
        await answered(refusal)
    assert caught.value.status == 400
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.message == "The context holds 4096 tokens."


async def test_words_without_numbers_and_tools_need_no_ground() -> None:
    """A question back, or small talk."""
    answer = await answered(says("Which currency do you want?"))
    assert (answer.text, answer.grounding) == ("Which currency do you want?", "none")


async def test_a_number_retyped_wrongly_is_pointed_out_once() -> None:
    """The model reads its own answer and what is wrong with it, with the tools still there."""
    server = ScriptedServer(calls(TO_CAD), says("It is 1319.5 CAD."), says(TOLD_CAD))
    events = [event async for event in agent(server).run(QUERY)]
    assistant, user = server.requests[-1]["messages"][-2:]
    assert assistant == {"role": "assistant", "content": "It is 1319.5 CAD."}
    assert user["role"] == "user"
    assert "The answer says 1319.5, which neither" in user["content"]
    assert server.requests[-1]["tool_choice"] == "auto"
    (asked,) = (event for event in events if isinstance(event, AskedAgain))
    assert (asked.answer, len(asked.problems)) == ("It is 1319.5 CAD.", 2)
    assert isinstance(events[-1], Answer)
    assert (events[-1].text, events[-1].grounding) == (TOLD_CAD, "asked-again")


async def test_asked_again_the_model_may_call_what_it_left_out() -> None:
    """An answer from memory becomes one from a tool."""
    answer = await answered(says("About 58 CAD."), calls(TO_CAD), says(TOLD_CAD))
    assert (answer.text, answer.rounds, answer.grounding) == (TOLD_CAD, 3, "asked-again")


async def test_wrong_twice_the_answer_is_made_from_the_results() -> None:
    """All of them, in the order of the calls, each once."""
    wrong = says("It is 1319.5 CAD.")
    answer = await answered(calls(TO_CAD, TO_EUR, TO_CAD), wrong, wrong)
    assert (answer.text, answer.grounding) == (f"{TOLD_CAD} {TOLD_EUR}", "fell-back")


async def test_a_number_without_any_tool_ends_as_an_honest_refusal() -> None:
    """It says which tools there are, and what for."""
    wrong = says("It is 58 CAD.")
    assert (await answered(wrong, wrong)).text == (
        "I can't answer that with the tools I have: "
        "convert (Convert US dollars); wait (Wait for ever)."
    )


async def test_no_words_after_a_result_are_replaced_by_the_result() -> None:
    """The model has done the work and forgot to tell."""
    answer = await answered(calls(TO_CAD), says("  "))
    assert (answer.text, answer.rounds, answer.grounding) == (TOLD_CAD, 2, "fell-back")


async def test_a_result_without_a_summary_is_told_as_it_is() -> None:
    """A text that a tool returned is its own summary."""

    async def count() -> str:
        """Count the things."""
        return "7 things"

    server = ScriptedServer(calls(("count", "")), says(""))
    assert (await Agent(server.client(), "m", Toolbox([count]), "").answer("?")).text == "7 things"


async def test_the_choice_stays_forced_until_a_tool_has_found_something() -> None:
    """A failed call must be put right, not talked about."""
    wrong = calls(("convert", {"amount": 42, "to": "XYZ"}))
    server = ScriptedServer(wrong, calls(TO_CAD), says(TOLD_CAD))
    answer = await agent(server, steering=Steering(first_choice="required")).answer(QUERY)
    assert [request["tool_choice"] for request in server.requests] == ["required"] * 2 + ["auto"]
    assert answer.text == TOLD_CAD


async def test_calls_that_the_question_still_needs_are_forced() -> None:
    """What is missing is decided by what was made; then the model may only answer."""

    def needs_euros(query: str, made: Any) -> str:
        return "convert" if [arguments["to"] for _, arguments in made] == ["CAD"] else ""

    server = ScriptedServer(calls(TO_CAD), calls(TO_EUR), says(f"{TOLD_CAD} {TOLD_EUR}"))
    answer = await agent(server, steering=Steering(next_call=needs_euros)).answer(QUERY)
    named = {"type": "function", "function": {"name": "convert"}}
    assert [request["tool_choice"] for request in server.requests] == ["auto", named, "none"]
    assert answer.grounding == "ok"


async def test_a_model_that_repeats_itself_is_forced_on_once() -> None:
    """What it can't think of then it can't be made to say."""
    server = ScriptedServer(calls(TO_CAD), calls(TO_CAD), calls(TO_CAD), says(TOLD_CAD))
    steering = Steering(next_call=lambda query, made: "convert")
    answer = await agent(server, steering=steering).answer(QUERY)
    first, *others = results(server)
    assert others == [f"{SAME_AGAIN}{first}"] * 2
    forced = [request["tool_choice"] not in ("auto", "none") for request in server.requests]
    assert forced == [True, True, True, False]
    assert answer.text == TOLD_CAD


@pytest.mark.parametrize("vain", [("convert", {"amount": 42, "to": "XYZ"}), TO_CAD])
async def test_the_call_that_is_due_is_made_where_the_model_makes_another(
    vain: tuple[str, dict[str, Any]],
) -> None:
    """One that fails, or one that has its result; the model reads its own call put right."""

    def due(query: str, made: Sequence[Made], tried: Sequence[Made]) -> Made | None:
        assert list(tried) in ([], [vain])
        return TO_EUR if [each["to"] for _, each in made] == ["CAD"] else None

    server = ScriptedServer(calls(TO_CAD), calls(vain), says(f"{TOLD_CAD} {TOLD_EUR}"))
    steering = Steering(next_call=lambda query, made: "convert" if len(made) < 2 else "", due=due)
    answer = await agent(server, steering=steering).answer(QUERY)
    assert answer.text == f"{TOLD_CAD} {TOLD_EUR}"
    assert "38.64" in results(server)[-1]
    asked = server.requests[-1]["messages"][-2]["tool_calls"]
    assert [json.loads(each["function"]["arguments"]) for each in asked] == [TO_EUR[1]]


def decline() -> FinalAnswer:
    """Decline."""
    return FinalAnswer("I only convert money.")


async def test_a_final_answer_ends_the_query() -> None:
    """The model isn't asked to repeat it."""
    server = ScriptedServer(calls(("decline", {})))
    host = Agent(server.client(), "scripted", Toolbox([decline]), "Convert money.")
    answer = await host.answer("Who are you?")
    assert (answer.text, answer.rounds) == ("I only convert money.", 1)


async def test_a_final_answer_after_a_failure_tells_the_failure() -> None:
    """Why it could not be done is worth more than that it was not."""
    wrong = calls(("convert", {"amount": 42, "to": "XYZ"}))
    server = ScriptedServer(wrong, calls(("decline", {})))
    host = Agent(server.client(), "scripted", Toolbox([Bureau().convert, decline]), "Convert.")
    assert "XYZ is no currency" in (await host.answer(QUERY)).text


async def test_a_final_answer_does_not_hide_what_was_found() -> None:
    """After a result the model must tell the result."""
    server = ScriptedServer(calls(TO_CAD), calls(("decline", {})), says(TOLD_CAD))
    host = Agent(server.client(), "scripted", Toolbox([Bureau().convert, decline]), "Convert.")
    assert (await host.answer(QUERY)).text == TOLD_CAD
