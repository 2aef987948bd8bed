"""One reply under way: what has been written, what must follow, and what it cost.

The engine writes freely until a tool call begins. From there on the call's literals are written by
us, and the engine fills the slots under the tool's schema; then it goes on.
"""

import json
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from function_calling.engines import Engine
from function_calling.errors import EngineError
from function_calling.formats import Format
from function_calling.formats.detection import CallDetector, CallStart
from function_calling.messages import (
    Alternative,
    Event,
    Finished,
    FinishReason,
    JsonSlot,
    Piece,
    Sampling,
    TextDelta,
    TokenLogprob,
    ToolCall,
    ToolChoice,
    Usage,
)

Schema = Mapping[str, Any]

MOST_CALLS = 32
"""Calls of one reply; a model that goes on is taken to be stuck."""


@dataclass(slots=True)
class Turn:
    """The assistant's turn behind a prompt.

    Attributes:
        engine: Writes it.
        form: The format in which it calls tools.
        prompt: What stands before it.
        schemas: For each tool that may be called, what its arguments are held to.
        choice: Which calls it may or must make.
        sampling: How its text is generated.
        content_schema: What its text is held to, if it is to be JSON.
        answered: Name and arguments of each call whose result the model has before it.
        reminded: The prompt for when it says nothing, or makes one of these calls again.
    """

    engine: Engine
    form: Format
    prompt: str
    schemas: dict[str, Schema]
    choice: ToolChoice
    sampling: Sampling
    content_schema: Schema | None = None
    answered: Sequence[tuple[str, Any]] = ()
    reminded: str | None = None
    _written: str = ""
    _thought: str = ""
    _calls: int = 0
    _usage: Usage = field(default_factory=Usage)
    _due: tuple[str, ...] = ()
    _reason: FinishReason | None = None
    _tokens: list[TokenLogprob] = field(default_factory=list)

    async def events(self) -> AsyncGenerator[Event, None]:
        """Text and calls in turn, until the model ends or a limit is met."""
        if self.choice.mode == "required":
            self._due = self.choice.names
        while self._reason is None:
            if self._due:
                event = await self._call(self._due)
                if event is not None:
                    self.reminded = None
                    yield event
            else:
                async with aclosing(self._text()) as text:
                    async for delta in text:
                        self.reminded = None
                        yield delta
                if self._reason == "stop":
                    self._begin_again()
        yield Finished(self._reason, self._usage)

    def _begin_again(self) -> bool:
        """Forget the reply, of which nothing was told, and remind the model of the results."""
        if self.reminded in (None, self.prompt):
            return False
        self.prompt, self.reminded = self.reminded, None
        self._written, self._reason = "", None
        self._tokens.clear()
        return True

    async def _text(self) -> AsyncGenerator[TextDelta, None]:
        """Free text, until it ends or a call begins."""
        detector = CallDetector(self.form, tuple(self.schemas), behind_call=self._calls > 0)
        generated = ""
        async with aclosing(self._generate(self._free())) as pieces:
            async for piece in pieces:
                generated += piece.text
                self._tokens += piece.logprobs
                content, start = detector.feed(piece.text)
                if piece.finish_reason and start is None:
                    content += detector.rest()
                    self._reason = "tool_calls" if self._calls else piece.finish_reason
                if detector.over:
                    self._reason = "tool_calls" if self._calls else "stop"
                if start is not None:
                    content = self._begin_call(start, content)
                    if not self._calls:
                        begun = start.space + detector.from_start()
                        self._written += generated.removesuffix(begun)
                if content:
                    yield TextDelta(content, self._logprobs(content))
                if start is not None or detector.over:
                    return

    def _begin_call(self, start: CallStart, content: str) -> str:
        """Make the call due; what of the content before it is told."""
        self._due = (start.name,) if start.name else tuple(self.schemas)
        if not self._is_answer(start.name):
            return content
        self._thought = content
        return ""

    def _free(self) -> Sampling:
        """How text is generated: free, or as JSON with the offered calls beside it."""
        sampling = self.sampling.but(special_tokens=self.form.special_tokens)
        if self.content_schema is None or self._calls:
            return sampling
        before = ("Final Answer: ",) if self.form.steps else ()
        alternatives: list[Alternative] = [(*before, JsonSlot(dict(self.content_schema)))]
        for name, schema in self.schemas.items():
            head = self.form.before_call("", 0) + self.form.call_head((name,))
            alternatives.append((head, *self.form.call_rest(name, schema, (name,))))
        return sampling.but(constraint=tuple(alternatives))

    def _is_answer(self, name: str | None) -> bool:
        """Whether this is the format's own tool, which no client offered."""
        return name is not None and name not in self.choice.names

    async def _call(self, names: tuple[str, ...]) -> ToolCall | TextDelta | None:
        """One call of one of `names`; None when the tokens ran out before it was complete."""
        self._due = ()
        self._written += self.form.before_call(self._written, self._calls)
        self._written += self.form.call_head(names, self._calls)
        alternatives = tuple(self.form.call_rest(each, self.schemas[each], names) for each in names)
        text, reason = "", None
        sampling = self.sampling.but(stop=(), constraint=alternatives, logprobs=None)
        async with aclosing(self._generate(sampling)) as pieces:
            async for piece in pieces:
                text += piece.text
                reason = piece.finish_reason
        if reason == "length":
            self._reason = "length"
            return None
        self._written += text
        name, arguments = self._read(text, names)
        if self._is_answer(name):
            self._reason = "stop"
            return TextDelta(self.form.answer(json.loads(arguments), self._thought))
        if (name, json.loads(arguments)) in self.answered and self._begin_again():
            return None
        self._calls += 1
        if not self.choice.parallel or self._calls == MOST_CALLS:
            self._reason = "tool_calls"
        return ToolCall(id=f"call_{secrets.token_hex(12)}", name=name, arguments=arguments)

    def _read(self, text: str, names: tuple[str, ...]) -> tuple[str, str]:
        """The call's name and arguments, once it is seen to be what the constraint promised."""
        try:
            name, arguments = self.form.read_call(text, names, self.schemas)
        except ValueError:
            name, arguments = "", text
        if name not in names:
            raise EngineError(f"The engine broke the constraint on {names}: {arguments[:200]!r}")
        return name, arguments

    async def _generate(self, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """Go on from what is written, within the tokens that are left; counts what it costs."""
        spent = self._usage.completion_tokens
        if sampling.max_tokens is not None:
            left = sampling.max_tokens - spent
            if left <= 0:
                yield Piece("", finish_reason="length")
                return
            sampling = sampling.but(max_tokens=left)
        sampling = sampling.but(begun=self._usage != Usage())
        async with aclosing(self.engine.generate(self.prompt + self._written, sampling)) as pieces:
            async for piece in pieces:
                self._usage = Usage(
                    self._usage.prompt_tokens or piece.prompt_tokens,
                    spent + piece.completion_tokens,
                )
                yield piece

    def _logprobs(self, content: str) -> tuple[TokenLogprob, ...]:
        """The tokens that this content is made of; those before it were no content."""
        if not self._tokens:
            return ()
        texts = [each.token for each in self._tokens]
        begins = max("".join(texts).find(content), 0)
        place, told, used = 0, [], 0
        for index, text in enumerate(texts):
            if place >= begins + len(content):
                break
            used = index + 1
            place += len(text)
            if place > begins:
                told.append(self._tokens[index])
        del self._tokens[:used]
        return tuple(told)
