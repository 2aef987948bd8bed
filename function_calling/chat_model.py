"""A chat model: a format and an engine.

It renders the prompt, lets the engine write freely until a tool call begins, and from there on
writes the call's literals itself and has the engine fill the slots under the tool's schema. The
prompt cache makes each such hop cheap, and a call that is not valid can't be sampled, by any
model, in any mode.
"""

import json
import logging
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from string import whitespace

from function_calling.engines import LoadedModel, load_engine
from function_calling.errors import EngineError
from function_calling.formats import Format, choose_format
from function_calling.formats.detection import CallDetector
from function_calling.formats.rendering import render
from function_calling.formats.template import ChatTemplate
from function_calling.messages import (
    Event,
    Finished,
    FinishReason,
    Message,
    Piece,
    Sampling,
    TextDelta,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
)
from function_calling.schemas import Schema, enforceable
from function_calling.settings import Settings

_log = logging.getLogger(__name__)

MOST_CALLS = 32
"""Calls of one reply; a model that goes on is taken to be stuck."""


class ChatModel:
    """Replies to chat messages, with text and with tool calls.

    Args:
        model: The engine with its model, and the model's own chat template.
        form: The format in which this model calls tools.
    """

    def __init__(self, model: LoadedModel, form: Format) -> None:
        self.name = model.name
        self.engine = model.engine
        self.form = form
        self.template = ChatTemplate(model.chat_template, model.bos_token, model.eos_token)
        # As many characters as the context has tokens: about a quarter of it.
        self._longest_string = model.context_length

    def constraint(self, tool: Tool) -> Schema:
        """What the tool's arguments are held to; keywords that can't be enforced are logged."""
        schema, ignored = enforceable(tool.parameters, self._longest_string)
        if ignored:
            _log.warning("Tool %s: not enforced: %s", tool.name, ", ".join(ignored))
        return schema

    async def reply(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        choice: ToolChoice,
        sampling: Sampling,
    ) -> AsyncGenerator[Event, None]:
        """The reply, as it is generated; `Finished` comes last.

        A call leaves when it is complete, so no client ever sees half of one. A reply that calls
        ends with its last call: what a model writes behind is its guess at the result.

        Raises:
            RequestError: The messages or tools can't be used.
            EngineError: The engine failed.
        """
        turn = _Turn(self, messages, tools, choice, sampling)
        async with aclosing(turn.events()) as events:
            async for event in events:
                yield event


class _Turn:
    """One reply under way: what has been written, what must follow, what it cost."""

    def __init__(
        self,
        model: ChatModel,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        choice: ToolChoice,
        sampling: Sampling,
    ) -> None:
        self._model = model
        self._form = model.form
        self._choice = choice
        self._sampling = sampling
        self._schemas = {
            tool.name: model.constraint(tool) for tool in tools if tool.name in choice.names
        }
        self._prompt = render(model.form, model.template, messages, tools)
        self._written = ""
        self._calls = 0
        self._usage = Usage()
        # The tools of which one must be called next, and why the reply is over.
        self._due: tuple[str, ...] = choice.names if choice.mode == "required" else ()
        self._reason: FinishReason | None = None

    async def events(self) -> AsyncGenerator[Event, None]:
        """Text and calls in turn, until the model ends or a limit is met."""
        while self._reason is None:
            if self._due:
                call = await self._call(self._due)
                if call is not None:
                    yield call
            else:
                async with aclosing(self._text()) as text:
                    async for delta in text:
                        yield delta
        yield Finished(self._reason, self._usage)

    async def _text(self) -> AsyncGenerator[TextDelta, None]:
        """Free text, until it ends or a call begins."""
        detector = CallDetector(self._form, self._choice.names)
        async with aclosing(self._generate(self._sampling)) as pieces:
            async for piece in pieces:
                content, start = piece.text, None
                if self._choice.mode != "none":
                    content, start = detector.feed(piece.text)
                if piece.finish_reason and not start:
                    content += detector.rest()
                    self._reason = "tool_calls" if self._calls else piece.finish_reason
                if self._calls and content.strip(self._form.call_separator + whitespace):
                    self._reason = "tool_calls"
                    return
                if content and not self._calls:
                    self._written += content
                    yield TextDelta(content)
                if start:
                    self._due = (start.name,) if start.name else self._choice.names
                    return

    async def _call(self, names: tuple[str, ...]) -> ToolCall | None:
        """One call of one of `names`; None when the tokens ran out before it was complete."""
        self._written += self._form.before_call(self._written, self._calls)
        self._written += self._form.call_head(names)
        alternatives = tuple(
            self._form.call_rest(name, self._schemas[name], names) for name in names
        )
        sampling = self._sampling.but(stop=(), constraint=alternatives)
        text, reason = "", None
        async with aclosing(self._generate(sampling)) as pieces:
            async for piece in pieces:
                text += piece.text
                reason = piece.finish_reason
        self._due = ()
        if reason == "length":
            self._reason = "length"
            return None
        self._written += text
        self._calls += 1
        if not self._choice.parallel or self._calls == MOST_CALLS:
            self._reason = "tool_calls"
        name, arguments = self._form.read_call(text, names)
        return _tool_call(name, arguments, names)

    async def _generate(self, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """Go on from what is written, within the tokens that are left; counts what it costs."""
        spent = self._usage.completion_tokens
        if sampling.max_tokens is not None:
            left = sampling.max_tokens - spent
            if left <= 0:
                yield Piece("", finish_reason="length")
                return
            sampling = sampling.but(max_tokens=left)
        engine = self._model.engine
        async with aclosing(engine.generate(self._prompt + self._written, sampling)) as pieces:
            async for piece in pieces:
                self._usage = Usage(
                    self._usage.prompt_tokens or piece.prompt_tokens,
                    spent + piece.completion_tokens,
                )
                yield piece


def _tool_call(name: str, arguments: str, names: Sequence[str]) -> ToolCall:
    """The call, once it is seen to be what the constraint promised."""
    try:
        kept = name in names and isinstance(json.loads(arguments), dict)
    except ValueError:
        kept = False
    if not kept:
        raise EngineError(f"The engine broke the constraint on {name!r}: {arguments[:200]!r}")
    return ToolCall(id=f"call_{secrets.token_hex(12)}", name=name, arguments=arguments)


def load_chat_model(settings: Settings) -> ChatModel:
    """The model of the settings, loaded, with the format that it speaks.

    Raises:
        SettingsError: The engine can't run here.
        WeightsError: The model's file can't be had.
    """
    model = load_engine(settings)
    return ChatModel(model, choose_format(settings.tool_format, model.chat_template))
