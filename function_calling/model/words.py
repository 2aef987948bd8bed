"""The words of the model half: what is asked of a model, and what comes back.

Plain frozen values, so that formats, engines and `ChatModel` can share them without knowing
each other. JSON Schemas and chat messages stay the dictionaries of OpenAI's protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeAlias

Message: TypeAlias = dict[str, Any]
"""One chat message as in OpenAI's `messages`, with `arguments` of tool calls still JSON text."""

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call; `parameters` is a JSON Schema of type object.

    `strict` refuses a schema of which a keyword can't be enforced. `param` is where that stands in
    the request, as errors name it.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    strict: bool = False
    param: str = field(default="tools", compare=False)


@dataclass(frozen=True, slots=True)
class ContentFormat:
    """The JSON Schema of a reply's text (OpenAI's `response_format`).

    `strict` refuses a schema of which a keyword can't be enforced. `param` is where it came from,
    as errors name it.
    """

    schema: Mapping[str, Any]
    strict: bool = False
    param: str = "response_format"


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Which calls a reply may or must make (OpenAI's `tool_choice` and `parallel_tool_calls`).

    Attributes:
        mode: "none" and "auto" as in OpenAI's API; "required" also stands for a named tool.
        names: The tools that may be called.
        parallel: Whether one reply may make several calls.
    """

    mode: Literal["none", "auto", "required"] = "none"
    names: tuple[str, ...] = ()
    parallel: bool = True


@dataclass(frozen=True, slots=True)
class JsonSlot:
    """A place in a constraint where the model writes JSON that obeys `schema`.

    `thing` is whose schema that is, as an error names it.
    """

    schema: dict[str, Any]
    thing: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class TextSlot:
    """A place where the model writes any text of `shortest` to `longest` characters, then `end`.

    The text ends where `end` first stands; `end` is generated too.
    """

    end: str
    shortest: int
    longest: int


@dataclass(frozen=True, slots=True)
class OneOf:
    """A place where one of several alternatives is written; an empty one makes it optional."""

    alternatives: tuple["Alternative", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A place where `part` is written again and again: not at all, or up to `most` times."""

    part: "Alternative"
    most: int


Part: TypeAlias = str | JsonSlot | TextSlot | OneOf | Repeat
Alternative: TypeAlias = tuple[Part, ...]
"""Literals and slots in the order in which they must be generated."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to generate.

    Attributes:
        max_tokens: Tokens at most; None means whatever the context still holds.
        temperature: 0 is greedy; OpenAI's default is 1.
        top_p: Nucleus sampling, 0 < top_p <= 1.
        frequency_penalty: Taken from a token's logit for each time that it has come before.
        presence_penalty: Taken once from the logit of each token that has come before.
        repetition_penalty: What divides the logits of those; 1 changes nothing.
        top_k: How many of the likeliest tokens to sample from; 0 means all.
        min_p: The least probability, as a share of the likeliest token's.
        seed: The same seed, prompt and settings give the same text; None means random.
        stop: Texts that end the generation and are not part of it.
        special_tokens: Special tokens that are told as text like any other; the rest are not.
        constraint: The text must be one of these alternatives, whole; empty means free text.
        logprobs: How many likeliest tokens to tell at each place; None tells nothing.
        logit_bias: What to add to the logits of some token ids.
        begun: It goes on with a reply that has begun, so it isn't turned away when many wait.
        kept: The prompt is kept beyond the process, where the engine can, for who sends it next.
    """

    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    special_tokens: tuple[str, ...] = ()
    constraint: tuple[Alternative, ...] = ()
    logprobs: int | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    begun: bool = False
    kept: bool = False

    def but(self, **changes: Any) -> Self:
        """The same sampling with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token and the natural logarithm of its probability; `top` are the likeliest there."""

    token: str
    logprob: float
    top: tuple["TokenLogprob", ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A bit of generated text.

    Token counts are totals so far; `finish_reason` is set on the last piece alone, and so is the
    stop string that ended the text; `logprobs` are of the tokens that this text is made of, where
    they were asked for; `cached_tokens` are those of the prompt that were not read anew.
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    stop: str | None = None
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as a user counts them: the prompt once, each sampled token once.

    `reasoning_tokens` are those of the `completion_tokens` that reasoning took, `cached_tokens`
    those of the `prompt_tokens` that were in the engine's cache.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of what the model thinks before it replies."""

    text: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the reply's `content`, with the tokens it ends, where they were asked for."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a call's arguments, as JSON text; the first of a call has none, and opens it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A complete call: an offered tool, and arguments as JSON text that its schema allows.

    It follows its deltas, whose arguments joined are its own.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The reply is complete; `stop` is the stop string that ended it, if one did."""

    reason: FinishReason
    usage: Usage
    stop: str | None = None


Event: TypeAlias = ReasoningDelta | TextDelta | ToolCallDelta | ToolCall | Finished
"""What a reply is made of, in the order in which it is generated; `Finished` is the last."""
