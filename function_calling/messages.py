"""The words of the model half: what is asked of a model, and what comes back.

Plain frozen values, so that formats, engines and `ChatModel` can share them without knowing
each other. JSON Schemas and chat messages stay the dictionaries of OpenAI's protocol.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, Self, TypeAlias

Message: TypeAlias = dict[str, Any]
"""One chat message as in OpenAI's `messages`, with `arguments` of tool calls still JSON text."""

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call; `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class JsonSlot:
    """A place in a constraint where the model writes JSON that obeys `schema`."""

    schema: dict[str, Any]


Alternative: TypeAlias = tuple["str | JsonSlot", ...]
"""Literals and JSON slots in the order in which they must be generated."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to generate.

    Attributes:
        max_tokens: Tokens at most; None means whatever the context still holds.
        temperature: 0 is greedy; OpenAI's default is 1.
        top_p: Nucleus sampling, 0 < top_p <= 1.
        seed: The same seed, prompt and settings give the same text; None means random.
        stop: Texts that end the generation and are not part of it.
        constraint: The text must be one of these alternatives, whole; empty means free text.
    """

    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    constraint: tuple[Alternative, ...] = ()

    def but(self, **changes: Any) -> Self:
        """The same sampling with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Piece:
    """A bit of generated text.

    Token counts are totals so far; `finish_reason` is set on the last piece alone.
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: Literal["stop", "length"] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as a user counts them: the prompt once, each sampled token once."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the reply's `content`."""

    text: str


@dataclass(frozen=True, slots=True)
class CallOpened:
    """A tool call begins; `index` counts the calls of one reply from 0."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ArgumentsDelta:
    """More of a call's `arguments`, as JSON text."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The reply is complete."""

    reason: FinishReason
    usage: Usage


Event: TypeAlias = TextDelta | CallOpened | ArgumentsDelta | Finished
"""What a reply is made of, in the order in which it is generated."""
