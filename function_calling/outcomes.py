"""What comes of tool calls, and what people are told of it without the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
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
        summary: What came of it in a sentence for people: the text under `summary` in a dict that
            the function returned, or a failure without what is the log's alone.
        final: Whether `content` is the answer to the question, and the model need not go on.
        unsure: Whether a tool that failed may have changed something all the same.
        refused: Whether the tool did not run because the yes it needs was not given.
    """

    content: str
    ok: bool
    value: Any = None
    summary: str | None = None
    final: bool = False
    unsure: bool = False
    refused: bool = False

    @property
    def told(self) -> str:
        """What a person reads of it."""
        return self.summary or self.content


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What a tool returns that settles the whole question: `text` is the answer to it."""

    text: str


def findings(outcomes: Sequence[ToolOutcome]) -> list[str]:
    """What the calls that succeeded have found, each thing once."""
    return list(dict.fromkeys(outcome.told for outcome in outcomes if outcome.ok))


def last_failures(outcomes: Sequence[ToolOutcome]) -> list[str]:
    """What the last calls did not do, or may have done."""
    last = [*takewhile(lambda outcome: not outcome.ok, reversed(outcomes))]
    return list(dict.fromkeys(outcome.told for outcome in reversed(last)))


def excuse(outcomes: Sequence[ToolOutcome], tools: Mapping[str, str]) -> str:
    """Why there is no answer; `tools` are the names of those there are, and what each does."""
    if failed := [outcome.told for outcome in outcomes if not outcome.ok]:
        return f"I can't answer that. {failed[0]}"
    told = "; ".join(f"{name} ({does.rstrip('.')})" for name, does in tools.items())
    return f"I can't answer that with the tools I have: {told or 'none'}."
