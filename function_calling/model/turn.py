"""One reply under way: what has been written, what must follow, and what it cost.

A model that thinks does that first. Then the engine writes freely until a tool call begins; from
there on the reply is a list of calls, which the engine writes under one grammar. Where it says that
no tool fits, the reply is the one to the same prompt without tools.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from function_calling.engines import Engine
from function_calling.errors import EngineError, RequestError
from function_calling.formats import Format
from function_calling.formats.call_list import CallList
from function_calling.formats.detection import CallDetector, CallStart
from function_calling.model.reasoning import ReasoningMarks, ReasoningReader
from function_calling.model.words import (
    Alternative,
    Event,
    Finished,
    FinishReason,
    JsonSlot,
    Piece,
    ReasoningDelta,
    Sampling,
    TextDelta,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
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
        content: What its text is held to, if it is to be JSON.
        reasoning: Where what it thinks before it replies begins and ends, if it thinks at all.
        unenforced: The keywords of schemas to which nothing is held, each by its place.
        params: Where the schemas of tools stand in the request, by the names in errors.
        without_tools: Makes the prompt as it is without tools, for when the model says that none
            fits; None where it has no word for that.
    """

    engine: Engine
    form: Format
    prompt: str
    schemas: dict[str, Schema]
    choice: ToolChoice
    sampling: Sampling
    content: JsonSlot | None = None
    reasoning: ReasoningMarks | None = None
    unenforced: Sequence[str] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    without_tools: Callable[[], str] | None = None
    _written: str = ""
    _begun: tuple[str, ...] = ()
    _none_fits: bool = False
    _thought: str = ""
    _usage: Usage = field(default_factory=Usage)
    _reason: FinishReason = "stop"
    _stop: str | None = None
    _tokens: list[TokenLogprob] = field(default_factory=list)

    async def events(self) -> AsyncGenerator[Event, None]:
        """Reasoning, text, then calls, until the model ends or a limit is met; last `Finished`.

        A call's arguments leave as they are written, and the whole call once it is complete. A
        reply that calls ends with its last call: what a model writes behind is its guess at the
        result.

        Raises:
            RequestError: The prompt is too long, or a schema can't be enforced.
            EngineError: The engine failed.
        """
        try:
            for part in self._parts():
                async with aclosing(part) as events:
                    async for event in events:
                        yield event
        except RequestError as error:
            error.param = self.params.get(str(error.param), error.param)
            raise
        yield Finished(self._reason, self._usage, self._stop)

    async def count(self) -> int:
        """The tokens of the prompt, with the head of a call that is forced; more may be than fit.

        Raises:
            EngineError: The engine failed.
        """
        forced = self.choice.mode == "required" and not self._may_think()
        head = self._head(self.choice.names) if forced else ""
        return await self.engine.count(self.prompt + head)

    def _may_think(self) -> bool:
        return self.reasoning is not None and not self.reasoning.closed(self.prompt)

    def _head(self, names: tuple[str, ...]) -> str:
        """The literal that begins a call of one of `names`, behind what is written."""
        return self.form.before_call(self._written) + self.form.call_head(names)

    def _parts(self) -> Iterator[AsyncGenerator[Event, None]]:
        """The parts of the reply; how one ended tells what follows."""
        if self.reasoning and self._may_think():
            yield self._think(self.reasoning)
            if self._reason == "length":
                return
        if self.choice.mode == "required":
            self._begun = self.choice.names
        else:
            yield self._text()
        if self._begun:
            yield self._calls()
        elif self._none_fits and self.without_tools:
            self.prompt, self.schemas, self.without_tools = self.without_tools(), {}, None
            self._written, self._tokens = "", []
            yield from self._parts()

    async def _think(self, marks: ReasoningMarks) -> AsyncGenerator[Event, None]:
        """The thought with which the reply begins, if it does; else nothing has been written."""
        reader = ReasoningReader(marks, opened=marks.opened(self.prompt))
        before, generated = self._usage, ""
        sampling = self.sampling.but(
            stop=(), logprobs=None, special_tokens=(marks.start, marks.end)
        )
        async with aclosing(self._generate(sampling)) as pieces:
            async for piece in pieces:
                generated += piece.text
                told = reader.feed(piece.text)
                if piece.finish_reason and not reader.over:
                    told += reader.rest()
                    if reader.begun and piece.finish_reason == "length":
                        self._reason = "length"
                if told:
                    yield ReasoningDelta(told)
                if reader.over:
                    break
        tokens = self._usage.completion_tokens - before.completion_tokens
        if reader.begun:
            self._written = generated.partition(marks.end)[0] + marks.end
            spent = before.reasoning_tokens + tokens
            self._usage = replace(self._usage, reasoning_tokens=spent)
        else:
            # What was written is no thought, and is sampled again as what it is.
            self._usage = replace(self._usage, completion_tokens=before.completion_tokens)

    async def _text(self) -> AsyncGenerator[Event, None]:
        """Free text, until it ends or a call begins."""
        no_calls = self.form.no_calls if self.without_tools else ""
        detector = CallDetector(self.form, tuple(self.schemas), no_calls)
        generated, behind_thought = "", bool(self._written)
        async with aclosing(self._generate(self._free())) as pieces:
            async for piece in pieces:
                generated += piece.text
                self._tokens += piece.logprobs
                content, start = detector.feed(piece.text)
                if piece.finish_reason and start is None:
                    content += detector.rest()
                    self._reason, self._stop = piece.finish_reason, piece.stop
                    self._none_fits = detector.none_fits
                if detector.over:
                    self._reason = "stop"
                if behind_thought:
                    content = content.lstrip()
                    behind_thought = not content
                if start is not None:
                    content = self._begin_calls(start, content)
                    self._written += generated.removesuffix(start.text + start.behind)
                if content:
                    yield TextDelta(content, self._logprobs(content))
                if start is not None or detector.over:
                    return

    def _begin_calls(self, start: CallStart, content: str) -> str:
        """Make the calls due; what of the content before them is told."""
        self._begun = (start.name,) if start.name else tuple(self.schemas)
        if not self._is_answer(start.name):
            return content
        self._thought = content
        return ""

    def _free(self) -> Sampling:
        """How text is generated: free, or as JSON with the offered calls beside it."""
        sampling = self.sampling.but(special_tokens=self.form.special_tokens)
        if self.content is None:
            return sampling
        before = ("Final Answer: ",) if self.form.steps else ()
        alternatives: list[Alternative] = [(*before, self.content)]
        for name, schema in self.schemas.items():
            head = self.form.before_call("") + self.form.call_head((name,))
            alternatives.append((head, *self.form.call_rest(name, schema, (name,))))
        return sampling.but(constraint=tuple(alternatives))

    def _is_answer(self, name: str | None) -> bool:
        """Whether this is the format's own tool, which no client offered."""
        return name is not None and name not in self.choice.names

    async def _calls(self) -> AsyncGenerator[Event, None]:
        """The list of calls of which the first has begun."""
        most = MOST_CALLS if self.choice.parallel and self.choice.names else 1
        calls = CallList(self.form, self._begun, self.choice.names, self.schemas, most)
        self._written += self._head(self._begun)
        async with aclosing(self._read(calls)) as read:
            async for event in read:
                if not self._is_answer(event.name):
                    yield event
                elif isinstance(event, ToolCall):
                    self._reason = "stop"
                    yield TextDelta(self.form.answer(json.loads(event.arguments), self._thought))
                    return

    async def _read(self, calls: CallList) -> AsyncGenerator[ToolCallDelta | ToolCall, None]:
        """The calls as the engine writes them; sets how the list ended."""
        text, self._reason = "", "tool_calls"
        sampling = self.sampling.but(stop=(), constraint=calls.constraint(), logprobs=None)
        async with aclosing(self._generate(sampling)) as pieces:
            async for piece in pieces:
                text += piece.text
                for event in calls.feed(piece.text):
                    yield event
                if calls.full:
                    return
                if calls.broken:
                    break
                if piece.finish_reason and calls.complete:
                    return
                if piece.finish_reason == "length":
                    self._reason = "length"
                    return
        raise EngineError(f"The engine broke the constraint on {self._begun}: {text[:200]!r}")

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
                known = self._usage
                # What a later generation finds in the cache is what this reply has put there.
                first = known if known.prompt_tokens else piece
                self._usage = Usage(
                    first.prompt_tokens,
                    spent + piece.completion_tokens,
                    known.reasoning_tokens,
                    first.cached_tokens,
                )
                yield piece

    def _logprobs(self, content: str) -> tuple[TokenLogprob, ...]:
        """The tokens that this content is made of; those before it were no content."""
        if not self._tokens:
            return ()
        texts = [each.token for each in self._tokens]
        begins = max("".join(texts).find(content), 0)
        ends = list(accumulate(map(len, texts)))
        first, last = bisect_right(ends, begins), bisect_left(ends, begins + len(content))
        told = tuple(self._tokens[first : last + 1])
        del self._tokens[: last + 1]
        return told
