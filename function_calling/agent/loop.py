"""The agent loop: the model answers, or calls tools, reads their results and goes on.

The first reply must call, so that nothing is answered from memory; then the model is free. A call
that passes its checks is carried out as the model made it, and none is made in its name. It ends
within its bounds: `MAX_ROUNDS` model calls with tools and one without, `QUERY_TIMEOUT` seconds,
`TOOL_TIMEOUT` seconds for each tool. An answer that says what no tool returned is asked for once
more; then the tools speak for themselves.
"""

import logging
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from openai import AsyncOpenAI

from function_calling.agent.approvals import Approvals
from function_calling.agent.clock import Clock
from function_calling.agent.conversation import Conversation
from function_calling.agent.events import (
    ApprovalEvent,
    ChatEvent,
    DoneEvent,
    Grounding,
    TextEvent,
    ToolCallEvent,
    ToolResultEvent,
)
from function_calling.agent.messages import as_servers_take
from function_calling.agent.model_call import TOO_LONG, Reply, Restarted, complete
from function_calling.agent.numbers import numbers
from function_calling.agent.streaming import Streaming
from function_calling.errors import SCHEMA_REFUSED, ApiError, RequestError, one_line
from function_calling.settings import Settings
from function_calling.telemetry import metrics, tracing
from function_calling.toolbox.toolbox import Approve, Toolbox

AGENT = "ExchangeAssistant"
SEED = 0
FROM_MEMORY = "It was made from memory: call a tool first."

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Answers questions with the tools of a toolbox.

    Attributes:
        settings: Bound rounds, time and tokens.
        client: Knows the model's server.
        model: The model's name there.
        toolbox: What the model may call.
        system_prompt: How the model should use the tools.
        first_choice: OpenAI's `tool_choice` until a tool has found something.
        approve: Asks a person before a tool runs that needs a yes.
        approvals: Brings a yes with a later request; `approve` is not asked then.
        guests: Those of its tools, by name, whose schemas are a stranger's.
    """

    settings: Settings
    client: AsyncOpenAI
    model: str
    toolbox: Toolbox
    system_prompt: str
    first_choice: str = "required"
    approve: Approve | None = None
    approvals: Approvals | None = None
    guests: Collection[str] = ()

    async def answer(self, messages: Sequence[dict[str, Any]]) -> tuple[str, DoneEvent]:
        """The answer's text and how it came about; raises what `run` raises."""
        text = ""
        async with aclosing(self.run(messages, whole=True)) as events:
            async for event in events:
                if isinstance(event, TextEvent):
                    text += event.text
                elif isinstance(event, DoneEvent):
                    return text, event
        raise AssertionError("A turn ends with what ends it.")

    async def run(
        self, messages: Sequence[dict[str, Any]], *, whole: bool = False
    ) -> AsyncGenerator[ChatEvent, None]:
        """What happens on the way to the answer; `DoneEvent` comes last, or `ApprovalEvent`.

        The texts joined are the answer. A question that takes too long, or grows too long, ends
        with an answer too, which says so.

        Args:
            messages: As `read_messages` gives them.
            whole: Whether the answer comes as one text, checked before any of it is told.

        Raises:
            EngineError: The model's server is away, too slow or broken.
            RequestError: The server refuses the request, as when it is too long for it.
        """
        span = tracing.begin(
            "invoke_agent",
            AGENT,
            agent__name=AGENT,
            provider__name=tracing.PROVIDER,
            request__model=self.model,
        )
        turn = _Turn(self, messages, whole=whole)
        async with aclosing(tracing.spanned(span, turn.events())) as events:
            async for event in events:
                if isinstance(event, DoneEvent):
                    metrics.answered(event.grounding, event.rounds)
                if isinstance(event, DoneEvent | ApprovalEvent):
                    usage = event.usage
                    tracing.spent(span, usage.prompt_tokens, usage.completion_tokens)
                yield event

    async def read_ahead(self) -> None:
        """Have the model's server read what stands before any question, and keep it.

        Raises:
            APIError: The server is away, or can't.
        """
        request = _Turn(self, [{"role": "user", "content": "?"}], whole=True).request("auto")
        kept = {"max_tokens": 1, "prompt_cache_retention": "24h"}
        await self.client.chat.completions.create(**request | kept)


class _Turn:
    """One question on its way to an answer."""

    def __init__(self, agent: Agent, messages: Sequence[dict[str, Any]], *, whole: bool) -> None:
        self._agent = agent
        # Only what is awaited is under its limit, not what a consumer does with an event.
        self._clock = Clock(agent.settings.query_timeout)
        self._talk = Conversation(agent, messages, self._clock)
        self._ground = self._talk.ground
        self._streaming = Streaming(self._ground, whole=whole)
        self._asked_again = False
        self._left_out: set[str] = set()

    async def events(self) -> AsyncGenerator[ChatEvent, None]:
        """Ask, call, ask again, to an end of whatever kind; raises what `Agent.run` raises."""
        talk, choice, end = self._talk, "", list[ChatEvent]()
        try:
            while not end:
                if not talk.resumed:
                    choice = self._choice()
                    async with aclosing(self._reply(choice)) as told:
                        async for event in told:
                            yield event
                if talk.reply.calls:
                    for result in await self._carried_out():
                        yield result
                    end = self._settled()
                else:
                    end = self._answered(choice)
        except (TimeoutError, ApiError) as error:
            end = self._stopped(error)
        for event in end:
            yield event

    def _choice(self) -> str:
        """OpenAI's `tool_choice` for the next reply."""
        if self._talk.rounds >= self._agent.settings.max_rounds or self._talk.exhausted:
            return "none"
        # What the model wanted to do, and could not yet, is still to be done.
        undone = any(map(self._talk.offered, self._ground.untraced))
        free = self._talk.refused or self._ground.unstated or (self._talk.found and not undone)
        return "auto" if free else self._agent.first_choice

    def _stopped(self, error: TimeoutError | ApiError) -> list[ChatEvent]:
        """The end of a turn that could not go on to the model's answer.

        Time that is over, a reply without end and a conversation that has grown too long for the
        model are nobody's fault: the answer says so. A server that fails is an error. Either tells
        what was done until then, which a person must know before asking again.
        """
        found = self._ground.untold(self._streaming.told)
        done = [*self._ground.failures(), *([f"Until then: {' '.join(found)}"] if found else [])]
        if isinstance(error, TimeoutError):
            limit = self._agent.settings.query_timeout
            why = f"I had to stop after {limit:g} seconds, before I was done."
        elif error.code == TOO_LONG or (
            isinstance(error, RequestError) and (self._talk.rounds or self._ground.results)
        ):
            why = f"I had to stop before I was done: {error.message}"
        else:
            error.message = " ".join([error.message, *done])
            raise error
        return self._ended(self._streaming.close(" ".join([why, *done])), "fell-back")

    async def _reply(self, choice: str) -> AsyncGenerator[ChatEvent, None]:
        """Ask the model once: what of its text can be told, and then its calls."""
        self._streaming.begin(aloud=choice in ("none", "auto"))
        with self._clock.waiting_for("model"):
            async with aclosing(self._completed(choice)) as parts:
                while True:
                    async with self._clock.running():
                        part = await anext(parts)
                    if isinstance(part, Reply):
                        break
                    if isinstance(part, Restarted):
                        self._streaming.restart()
                    elif text := self._streaming.hear(part):
                        self._clock.note_text()
                        yield TextEvent(text=text)
        calls = () if choice == "none" else part.calls
        self._talk.count(replace(part, calls=calls))
        for call in calls:
            yield ToolCallEvent(id=call.id, name=call.name, arguments=call.arguments)

    async def _completed(self, choice: str) -> AsyncGenerator[str | Restarted | Reply, None]:
        """What `complete` gives, without guests whose schemas the model's server refuses."""
        while True:
            request = self.request(choice)
            try:
                async with aclosing(complete(self._agent.client, request)) as parts:
                    async for part in parts:
                        yield part
                return
            except ApiError as error:
                place = str(error.param).partition(".")[0]  # of "tools[3].function.parameters"
                tools = (each["function"]["name"] for each in request.get("tools", ()))
                refused = {name for at, name in enumerate(tools) if place == f"tools[{at}]"}
                if error.code != SCHEMA_REFUSED or not refused.intersection(self._agent.guests):
                    raise
                _log.warning("Tools left out: %s", one_line(error.message))
                self._left_out |= refused

    async def _carried_out(self) -> list[ToolResultEvent]:
        calls = self._talk.reply.calls
        with self._clock.waiting_for("tools"):
            results = await self._talk.carry_out()
        return [
            ToolResultEvent(
                id=call.id,
                name=call.name,
                ok=result.ok,
                content=result.content if result.ok else result.told,
                summary=result.summary,
            )
            for call, result in zip(calls, results, strict=False)
        ]

    def _settled(self) -> list[ChatEvent]:
        """The end, where a tool has given the answer, or a person must be asked first."""
        if call := self._talk.asking:
            # The request that goes on does not know what was assumed.
            text = self._streaming.close(" ".join(self._ground.assumptions()))
            asked = {"id": call.id, "name": call.name, "arguments": call.arguments}
            return self._end(text, ApprovalEvent, **asked, messages=self._talk.added)
        answer = self._talk.settled
        return self._ended(self._streaming.close(answer), "none") if answer else []

    def _answered(self, choice: str) -> list[ChatEvent]:
        """The end with the model's words; none where it is asked once more.

        Where these are not grounded, what the tools found is told, or why there is no answer.
        """
        text = self._talk.reply.text.strip()
        problems = self._ground.problems(text)
        explained = self._ground.failures() and not self._ground.untraced
        if choice == "required" and not (self._asked_again or explained):
            problems.append(FROM_MEMORY)
        once_more = choice != "none" and not self._asked_again and not self._streaming.told
        if text and problems and once_more:
            self._talk.ask_again(problems)
            self._asked_again = True
            return []
        rest = None if problems or not text else self._streaming.rest()
        if rest is None:
            found = [self._talk.excuse()]
            if self._talk.found:
                found = [*self._ground.untold(self._streaming.told), *self._ground.failures()]
            return self._ended(self._streaming.close(" ".join(found)), "fell-back")
        if self._asked_again:
            return self._ended(rest, "asked-again")
        return self._ended(rest, "ok" if self._ground.results or numbers(text) else "none")

    def _ended(self, text: str, grounding: Grounding) -> list[ChatEvent]:
        """The last text, with what was assumed or broke, and the end."""
        results, found = self._ground.results, self._talk.found
        broke = [each.told for each in results if each.unsure or (each.broke and not found)]
        failed = self._ground.failures()
        broke += [each.told for each in results if each.unchanged and each.told in failed]
        notes = dict.fromkeys(
            [*self._ground.assumptions(), *self._ground.untraced.values(), *broke]
        )
        said = (self._streaming.told + text).casefold()
        untold = [each for each in notes if each.rstrip(".").casefold() not in said]
        text += self._streaming.close(" ".join(untold))
        return self._end(text, DoneEvent, grounding=grounding)

    def _end(
        self, text: str, kind: type[DoneEvent] | type[ApprovalEvent], **own: Any
    ) -> list[ChatEvent]:
        """A last text, if there is any, and the end with what the request took."""
        if text:
            self._clock.note_text()
        end = kind(
            usage=self._talk.usage,
            rounds=self._talk.rounds,
            tool_calls=self._talk.calls,
            timings=self._clock.timings(),
            **own,
        )
        return [TextEvent(text=text), end] if text else [end]

    def request(self, choice: str) -> dict[str, Any]:
        """The fields of a chat completion request; greedy, so that a question has one answer."""
        tools = [
            each
            for each in self._agent.toolbox.schemas
            if self._talk.offered(name := each["function"]["name"]) and name not in self._left_out
        ]
        return {
            "model": self._agent.model,
            "messages": list(as_servers_take(self._talk.messages)),
            "max_tokens": self._agent.settings.max_reply_tokens,
            "temperature": 0,
            "seed": SEED,
            # OpenAI refuses an empty list of tools, and a choice where there is none.
            **({"tools": tools, "tool_choice": choice} if tools else {}),
        }
