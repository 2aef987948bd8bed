"""What the GPU's benchmark is made of: prompts, generations with their times, and replies."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from statistics import median
from string import ascii_lowercase
from typing import Any, Protocol

from function_calling.engines.lmdeploy import LMDeploy, generation_config
from function_calling.model.chat_model import ChatModel
from function_calling.model.words import (
    Finished,
    Message,
    Piece,
    Sampling,
    Tool,
    ToolCall,
    ToolChoice,
)

USER: list[Message] = [{"role": "user", "content": "What are 42 US dollars in Canadian dollars?"}]


class Source(Protocol):
    """What generates: our engine, or LMDeploy's own."""

    def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """The continuation of `prompt`, piece by piece."""
        ...


class WithoutLayer:
    """LMDeploy's own `AsyncEngine`, as its server uses it; the model is the one that we loaded.

    Our engine must have generated once in the same event loop, as that starts LMDeploy's loop.
    """

    def __init__(self, engine: LMDeploy) -> None:
        self._engine = engine._engine

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Source.generate`; `sampling` must have `max_tokens`, and no constraint."""
        assert sampling.max_tokens is not None
        request = await self._engine.preprocess(
            prompt,
            self._engine.session_mgr.get(),
            gen_config=generation_config(sampling, sampling.max_tokens),
            do_preprocess=False,
        )
        async with aclosing(self._engine.generate(request)) as outputs:
            async for output in outputs:
                counts = output.input_token_len, output.generate_token_len
                yield Piece(output.response, *counts, output.finish_reason)


class Prompts:
    """Texts of random words, so that no cache knows them; another seed draws others."""

    def __init__(self, tokenizer: Any, seed: int) -> None:
        self._tokenizer = tokenizer
        self._chance = Random(seed)

    def fresh(self, tokens: int) -> str:
        """A text of so many tokens, with the one that begins it."""
        words = ("".join(self._chance.choices(ascii_lowercase, k=3)) for _ in range(tokens))
        ids = self._tokenizer.encode(" ".join(words), add_special_tokens=False)
        text: str = self._tokenizer.decode(ids[: tokens - 1])
        return text


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured, and how much of it.

    Attributes:
        model: Our model half, with the engine.
        engine: Our engine alone.
        native: LMDeploy's own.
        prompts: Where prompts come from.
        batches: Generations at once.
        lengths: Tokens of the prompts whose first token is waited for.
        tokens: Tokens of a generation whose speed is measured.
        repeat: How often each thing is measured; what is told is the median.
        limit: Tokens a second at most, one generation at a time, by the memory's speed.
    """

    model: ChatModel
    engine: LMDeploy
    native: WithoutLayer
    prompts: Prompts
    batches: tuple[int, ...]
    lengths: tuple[int, ...]
    tokens: int
    repeat: int
    limit: float


@dataclass(frozen=True, slots=True)
class Timed:
    """A generation; times are of one clock, in seconds."""

    text: str
    last: Piece
    begun: float
    first: float
    ended: float

    @property
    def wait(self) -> float:
        """Seconds up to the first token."""
        return self.first - self.begun

    @property
    def seconds(self) -> float:
        """Seconds up to the end."""
        return self.ended - self.begun


async def timed(source: Source, prompt: str, sampling: Sampling) -> Timed:
    """Generate to the end."""
    begun, first, text, last = time.perf_counter(), 0.0, "", Piece("")
    async with aclosing(source.generate(prompt, sampling)) as pieces:
        async for last in pieces:
            first = first or time.perf_counter()
            text += last.text
    return Timed(text, last, begun, first, time.perf_counter())


async def timed_all(source: Source, prompts: Sequence[str], sampling: Sampling) -> list[Timed]:
    """Generate behind each prompt, all at once, each with a seed of its own."""
    each = (timed(source, prompt, sampling.but(seed=seed)) for seed, prompt in enumerate(prompts))
    return await asyncio.gather(*each)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of the model half; `seconds` are up to its end."""

    calls: list[ToolCall]
    end: Finished
    seconds: float

    @property
    def tokens(self) -> int:
        """Tokens that were sampled."""
        return self.end.usage.completion_tokens


async def replied(
    model: ChatModel, tools: Sequence[Tool], *, called: bool, sampling: Sampling
) -> Reply:
    """Reply to the question, with a call of one of the tools or in words, to the same prompt."""
    names = tuple(tool.name for tool in tools)
    choice = ToolChoice("required", names, parallel=False) if called else ToolChoice("none")
    begun = time.perf_counter()
    events = [event async for event in model.turn(USER, tools, choice, sampling).events()]
    seconds = time.perf_counter() - begun
    end = events[-1]
    assert isinstance(end, Finished)
    return Reply([event for event in events if isinstance(event, ToolCall)], end, seconds)


def middle(values: Sequence[float]) -> float:
    """The median, to six digits, which are more than any of this is known to."""
    return float(f"{median(values):.6g}")
