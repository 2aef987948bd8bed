"""A yes that is asked for within a question: a no is an answer, and thinking takes its time."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from bureau import agent, user
from scripted_server import ScriptedServer, Turn, calls, says

from function_calling.toolbox.schema import Said
from function_calling.toolbox.toolbox import Approve, Toolbox, needs_approval


@needs_approval
async def sell(n: Annotated[int, Said()]) -> str:
    """Sell things."""
    return f"sold {n}"


def selling(n: int) -> Turn:
    """The model wants to sell as many."""
    return calls(("sell", {"n": n}))


def saying(answer: bool, asked: list[int]) -> Approve:
    """Somebody who always says this."""

    async def approve(_name: str, arguments: Mapping[str, Any]) -> bool:
        asked.append(arguments["n"])
        return answer

    return approve


async def answer(server: ScriptedServer, approve: Approve) -> str:
    """What comes of a question."""
    text, _ = await agent(server, sell, approve=approve).answer([user("Sell 2, or 3, or 4.")])
    return text


@pytest.mark.parametrize("yes", [True, False])
async def test_a_person_is_asked_before_a_tool_that_needs_a_yes(yes: bool) -> None:
    """With the arguments as the tool would get them, and never about a call that can't be made."""
    asked: list[int] = []
    toolbox, approve = Toolbox([sell]), saying(yes, asked)
    assert not (await toolbox.call("sell", '{"n": "many"}', approve=approve)).ok
    result = await toolbox.call("sell", '{"n": 2.0}', approve=approve)
    assert (asked, result.ok, result.refused) == ([2], yes, not yes)
    assert result.content == ("sold 2" if yes else "sell was not called: the user said no.")


async def test_where_nobody_can_be_asked_the_operator_has_decided() -> None:
    """A yes by default."""
    given, refused = Toolbox([sell]), Toolbox([sell], approval="refused")
    assert (await given.call("sell", '{"n": 1}')).content == "sold 1"
    told_no = "sell was not called: nobody can say the yes it needs."
    assert (await refused.call("sell", '{"n": 1}')).content == told_no


async def test_a_no_is_asked_for_once_and_forces_nothing() -> None:
    """A model that makes the call again must answer; another call is another question."""
    server = ScriptedServer(selling(2), selling(3), selling(2), says("As you like."))
    asked: list[int] = []
    assert await answer(server, saying(False, asked)) == "As you like."
    assert asked == [2, 3]
    choices = [each["tool_choice"] for each in server.requests]
    assert choices == ["required", "auto", "auto", "none"]


@pytest.mark.parametrize("said", [True, False])
async def test_thinking_it_over_is_not_the_questions_time(
    said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes; the question's time goes on behind it."""
    loop = asyncio.get_running_loop()
    clock, thought = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: clock() + sum(thought))

    async def think(_name: str, _arguments: Mapping[str, Any]) -> bool:
        thought.append(86_400)
        return said

    server = ScriptedServer(selling(2), says("Well."))
    assert await answer(server, think) == "Well."
