"""What comes of a tool call, and the result that settles a whole question."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Made: TypeAlias = tuple[str, Mapping[str, Any]]
"""A call that succeeded: the tool's name, and its arguments."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What came of a call.

    Attributes:
        content: What the model reads: the result as text or JSON, or what went wrong.
        ok: Whether the tool did what it was asked.
        value: What the function returned; None where `ok` is false.
        summary: The result told to a person: the text under `summary` in a dict, if there is one.
        final: Whether `content` is the answer to the question, and the model need not go on.
        refused: Whether the tool did not run because the yes it needs was not given.
    """

    content: str
    ok: bool
    value: Any = None
    summary: str | None = None
    final: bool = False
    refused: bool = False


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What a tool returns that settles the whole question: `text` is the answer to it."""

    text: str
