"""The tool-call loop: a query goes in, the model and the tools take turns, an answer comes out."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import KW_ONLY, dataclass
from typing import Any

from openai import AsyncOpenAI

from function_calling.completion import complete
from function_calling.conversation import Conversation
from function_calling.events import (
    Answer,
    AskedAgain,
    Event,
    Grounding,
    ModelCalled,
    ToolCalled,
    ToolReturned,
)
from function_calling.numerals import numbers
from function_calling.toolbox import Toolbox

# Any constant will do: the same query shall get the same answer.
SEED = 0


@dataclass(frozen=True)
class Agent:
    """Answers queries by calling tools.

    Attributes:
        client: Knows the model's server; its time limits are those of one model call.
        model: The model's name there.
        toolbox: What the model may call.
        system_prompt: What the model is told before every query.
        max_rounds: Model calls with tools for one query at most; one without them may follow.
        tool_timeout: Seconds that one tool call may take.
        query_timeout: Seconds that a query may take.
        max_tokens: Tokens of one reply at most; one that is cut gets double, once.
        first_choice: OpenAI's `tool_choice` until a tool has found something: `auto` or
            `required`.
        next_call: Given the query and the calls that succeeded, as names and arguments, the tool
            that must be called next, `auto` where the model decides, "" where none need be called.
            Without it the model decides.
    """

    client: AsyncOpenAI
    model: str
    toolbox: Toolbox
    system_prompt: str
    _: KW_ONLY
    max_rounds: int = 10
    tool_timeout: float = 30.0
    query_timeout: float = 290.0
    max_tokens: int = 512
    first_choice: str = "auto"
    next_call: Callable[[str, Sequence[tuple[str, Mapping[str, Any]]]], str] | None = None

    async def answer(self, query: str) -> Answer:
        """The answer to `query`; raises what `run` raises."""
        *_, last = [event async for event in self.run(query)]
        assert isinstance(last, Answer)
        return last

    async def run(self, query: str) -> AsyncIterator[Event]:
        """What happens on the way to the answer, which comes last.

        A query that takes too long ends with an answer too, which says so.

        Raises:
            EngineError: The model's server is away, too slow or broken.
            RequestError: The server refuses the request, as when a query is too long for it.
        """
        talk = Conversation(self.system_prompt, query, self.toolbox, self.tool_timeout)
        try:
            async with aclosing(self._rounds(talk)) as events:
                async for event in events:
                    yield event
        except TimeoutError:
            until = f" Until then: {talk.found()}" if talk.found() else ""
            text = f"I had to stop after {self.query_timeout:g} seconds, before I was done.{until}"
            yield _answer(talk, text, "fell-back")

    async def _rounds(self, talk: Conversation) -> AsyncGenerator[Event, None]:
        """Ask, call, ask again; a TimeoutError ends it when the query's time is over."""
        # Only what is awaited here is under the limit, not what a consumer does with an event.
        deadline = asyncio.get_running_loop().time() + self.query_timeout
        asked_again = False
        while True:
            last = talk.rounds >= self.max_rounds or talk.exhausted
            choice = "none" if last else self._choice(talk)
            yield ModelCalled(talk.rounds + 1, choice)
            async with asyncio.timeout_at(deadline):
                reply = await complete(self.client, self._request(talk, choice))
            talk.count(reply)
            if reply.calls and choice != "none":
                for call in reply.calls:
                    yield ToolCalled(call.id, call.name, call.arguments)
                async with asyncio.timeout_at(deadline):
                    outcomes = await talk.carry_out(reply)
                for call, outcome in zip(reply.calls, outcomes, strict=True):
                    yield ToolReturned(call.id, outcome)
                if talk.settled:
                    yield _answer(talk, talk.settled, "none")
                    return
                continue
            problems = talk.problems(reply.text)
            if not problems or not reply.text.strip() or asked_again or last:
                yield _concluded(talk, reply.text.strip(), problems, asked_again)
                return
            talk.ask_again(reply.text, problems)
            asked_again = True
            yield AskedAgain(reply.text, tuple(problems))

    def _choice(self, talk: Conversation) -> str:
        """`none`, `auto`, `required`, or the name of the tool that must be called."""
        made = talk.made
        due = "" if self.next_call is None or talk.repeated else self.next_call(talk.query, made)
        if due:
            return due
        if not made:
            return self.first_choice
        return "auto" if self.next_call is None else "none"

    def _request(self, talk: Conversation, choice: str) -> dict[str, Any]:
        """The fields of a chat completion request; greedy, so that a query has one answer."""
        tools = self.toolbox.schemas
        tool_choice: str | dict[str, Any] = choice
        if choice not in ("none", "auto", "required"):
            tool_choice = {"type": "function", "function": {"name": choice}}
        return {
            "model": self.model,
            "messages": talk.messages,
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "seed": SEED,
            # OpenAI refuses an empty list of tools, and a choice where there is none.
            **({"tools": tools, "tool_choice": tool_choice} if tools else {}),
        }


def _concluded(talk: Conversation, text: str, problems: Sequence[str], asked_again: bool) -> Answer:
    """The model's words where they are grounded, else what the tools found, else an excuse."""
    if not text or problems:
        return _answer(talk, talk.found() or talk.excuse(), "fell-back")
    if asked_again:
        return _answer(talk, text, "asked-again")
    return _answer(talk, text, "ok" if talk.outcomes or numbers(text) else "none")


def _answer(talk: Conversation, text: str, grounding: Grounding) -> Answer:
    return Answer(text, talk.usage, talk.rounds, talk.calls, grounding)
