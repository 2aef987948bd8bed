"""What happens while a query is answered, as values, for whoever wants to watch or log it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from function_calling.messages import Usage
from function_calling.outcomes import ToolOutcome

Grounding: TypeAlias = Literal["ok", "asked-again", "fell-back", "none"]
"""How an answer came to be trusted: `ok`, the model's first one says what the tools returned;
`asked-again`, its second does; `fell-back`, the text or its end is ours, made from the tool
results; `none`, it holds no number and no tool was called, so there was nothing to check."""


@dataclass(frozen=True, slots=True)
class ModelCalled:
    """The model is asked; `round` counts from 1."""

    round: int
    tool_choice: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model wants a tool; `arguments` are as it wrote them."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """The call `id` has a result, which the model will read."""

    id: str
    outcome: ToolOutcome


@dataclass(frozen=True, slots=True)
class TextTold:
    """The next part of the answer's text, already checked; only a chat tells its text in parts."""

    text: str


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """The model's answer was not grounded, and it is told why."""

    answer: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The end.

    Attributes:
        text: What the person who asked reads.
        usage: Tokens of all rounds together.
        rounds: How often the model was asked.
        tool_calls: How many calls it made, wrong and repeated ones included.
        grounding: How the text came to be trusted.
    """

    text: str
    usage: Usage
    rounds: int
    tool_calls: int
    grounding: Grounding


Event: TypeAlias = ModelCalled | ToolCalled | ToolReturned | TextTold | AskedAgain | Answer
