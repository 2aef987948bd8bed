"""The tool-call loop: a query goes in, the model and the tools take turns, an answer comes out.

`answer` and `run` take one query and give the answer whole; `chat` takes a conversation and gives
the text in parts. The loop is one.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from openai import AsyncOpenAI

from function_calling.completion import Reply, Restarted, complete
from function_calling.conversation import Conversation
from function_calling.errors import ApiError
from function_calling.events import (
    Answer,
    AskedAgain,
    Event,
    ModelCalled,
    TextTold,
    ToolCalled,
    ToolReturned,
)
from function_calling.steering import Steering
from function_calling.stopping import stopped
from function_calling.telling import InParts, Telling, Whole
from function_calling.time_limit import TimeLimit
from function_calling.toolbox import Approve, Toolbox

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
        steering: Which calls are forced and put right.
        approve: Asks a person before a tool runs that needs a yes; the query's time stands still
            meanwhile. Without it nobody is asked, and the toolbox decides.
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
    steering: Steering = field(default_factory=Steering)
    approve: Approve | None = None

    async def answer(self, query: str) -> Answer:
        """The answer to `query`; raises what `run` raises."""
        *_, last = [event async for event in self.run(query)]
        assert isinstance(last, Answer)
        return last

    async def run(self, query: str) -> AsyncGenerator[Event, None]:
        """What happens on the way to the answer, which comes last.

        A query that takes too long, or grows too long, ends with an answer too, which says so.

        Raises:
            EngineError: The model's server is away, too slow or broken.
            RequestError: The server refuses the request, as when a query is too long for it.
        """
        talk = self._talk([{"role": "user", "content": query}])
        async with aclosing(self._until_answered(talk, Whole(talk))) as events:
            async for event in events:
                yield event

    async def chat(self, messages: Sequence[dict[str, Any]]) -> AsyncGenerator[Event, None]:
        """What happens on the way to the answer to a conversation, with its text in parts.

        The parts joined are the text of the `Answer`, which comes last.

        Args:
            messages: As `read_messages` gives them; the last one is the person's.

        Raises:
            EngineError: The model's server is away, too slow or broken.
            RequestError: The server refuses the request, as when it is too long for it.
        """
        talk = self._talk(messages)
        told = 0
        async with aclosing(self._until_answered(talk, InParts(talk))) as events:
            async for event in events:
                if isinstance(event, TextTold):
                    told += len(event.text)
                elif isinstance(event, Answer) and (rest := event.text[told:]):
                    yield TextTold(rest)
                yield event

    def _talk(self, messages: Sequence[dict[str, Any]]) -> Conversation:
        return Conversation(self.system_prompt, messages, self.toolbox, self.tool_timeout)

    async def _until_answered(
        self, talk: Conversation, telling: Telling
    ) -> AsyncGenerator[Event, None]:
        """The rounds, and where they can't be ended, an answer that says so."""
        try:
            async with aclosing(self._rounds(talk, telling)) as events:
                async for event in events:
                    yield event
        except (TimeoutError, ApiError) as error:
            text = stopped(talk, telling.told, error, self.query_timeout)
            yield telling.say(text, "fell-back")

    async def _rounds(self, talk: Conversation, telling: Telling) -> AsyncGenerator[Event, None]:
        """Ask, call, ask again; a TimeoutError ends it when the query's time is over."""
        # Only what is awaited is under the limit, not what a consumer does with an event.
        limit = TimeLimit(self.query_timeout)
        asked_again = False
        while True:
            last = talk.rounds >= self.max_rounds or talk.exhausted
            choice = "none" if last else self.steering.choice(talk)
            forced = choice not in ("none", "auto")
            yield ModelCalled(talk.rounds + 1, choice)
            telling.begin(aloud=not forced)
            async with aclosing(self._reply(talk, telling, choice, limit)) as told:
                async for event in told:
                    yield event
            reply = talk.reply
            if reply.calls and choice != "none":
                async with aclosing(self._carried_out(talk, reply, limit)) as steps:
                    async for event in steps:
                        yield event
                if talk.settled:
                    yield telling.say(talk.settled, "none")
                    return
                continue
            problems = telling.problems(reply, forced=forced and not asked_again)
            if not problems or not reply.text.strip() or asked_again or last:
                yield telling.conclude(reply.text.strip(), problems, asked_again=asked_again)
                return
            talk.ask_again(reply.text, problems)
            telling.restart()
            asked_again = True
            yield AskedAgain(reply.text, tuple(problems))

    async def _reply(
        self, talk: Conversation, telling: Telling, choice: str, limit: TimeLimit
    ) -> AsyncGenerator[Event, None]:
        """Ask the model once; what of its text can be told, and in the end it is `talk.reply`."""
        async with aclosing(complete(self.client, self._request(talk, choice))) as parts:
            while True:
                async with limit.running():
                    part = await anext(parts)
                if isinstance(part, Reply):
                    talk.count(part)
                    return
                if isinstance(part, Restarted):
                    telling.restart()
                elif text := telling.hear(part):
                    yield TextTold(text)

    async def _carried_out(
        self, talk: Conversation, reply: Reply, limit: TimeLimit
    ) -> AsyncGenerator[Event, None]:
        """Make the calls, and where they bring nothing new, the one that they should have been."""
        made, replies = len(talk.made), [reply]
        for each in replies:
            for call in each.calls:
                yield ToolCalled(call.id, call.name, call.arguments)
            outcomes = await talk.carry_out(each, limit, approve=self.approve)
            for call, outcome in zip(each.calls, outcomes, strict=True):
                yield ToolReturned(call.id, outcome)
            in_vain = each is reply and len(talk.made) == made
            if in_vain and (right := self.steering.put_right(talk)):
                replies.append(right)

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
