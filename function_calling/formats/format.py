"""What a tool-call format is: how one model family writes tools, calls and results, as data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from function_calling.messages import Alternative, JsonSlot


@dataclass(frozen=True, slots=True)
class Format:
    """One family's spelling.

    A call is literals and slots: `call_open`, `before_name`, NAME, `before_arguments`, ARGUMENTS,
    `call_close`. The literals are written by us and never sampled; NAME is an offered tool and
    ARGUMENTS obeys its schema.

    Attributes:
        name: Its name in `FORMATS`.
        template_marks: Texts of which one stands in the chat template of a model of this family.
        template_faults: Texts by which a template is known to write this format wrongly.
        tools_prompt: What tells the model of its tools; `{tools}` stands for their JSON.
        tools_turn: The role whose first turn carries `tools_prompt`.
        tools_indent: Indentation of a tool's JSON; None puts each on one line.
        call_separator: Between the calls of one turn.
        call_starts: Regular expressions for every spelling that begins a call, however models
            vary it; `\\L<names>` stands for the offered names, the group `name` for a name read.
        result: How a tool's result is written; `{content}` stands for it.
        result_role: The role whose turn carries results.
        calls_apart: Whether a turn holds one call, so that several become a turn each.
    """

    name: str
    template_marks: tuple[str, ...]
    template_faults: tuple[str, ...]
    tools_prompt: str
    tools_turn: Literal["system", "user"]
    tools_indent: int | None
    call_open: str
    before_name: str
    before_arguments: str
    call_close: str
    call_separator: str
    call_starts: tuple[str, ...]
    result: str
    result_role: str
    calls_apart: bool

    def calls(self, calls: Sequence[tuple[str, str]]) -> str:
        """The text of one turn's calls, each a name and its arguments as JSON."""
        return self.call_separator.join(
            f"{self.call_head((name,))} {arguments}{self.call_close}" for name, arguments in calls
        )

    def before_call(self, written: str, calls: int) -> str:
        """What parts a call from the text, or the calls, that the turn already holds."""
        if calls:
            return self.call_separator
        return "\n" if written else ""

    def call_head(self, names: Sequence[str]) -> str:
        """The literal with which every call of one of `names` begins."""
        head = self.call_open + self.before_name
        return head + names[0] + self.before_arguments if len(names) == 1 else head

    def call_rest(self, name: str, schema: dict[str, Any], names: Sequence[str]) -> Alternative:
        """What follows `call_head(names)` when the tool `name` is called."""
        rest: Alternative = (JsonSlot(schema), self.call_close)
        return rest if len(names) == 1 else (name + self.before_arguments, *rest)

    def read_call(self, text: str, names: Sequence[str]) -> tuple[str, str]:
        """Name and arguments of the call whose text behind `call_head(names)` is `text`."""
        name = names[0]
        if len(names) > 1:
            name, _, text = text.partition(self.before_arguments)
        return name, text.removesuffix(self.call_close).strip()

    def native(self, template: str) -> bool:
        """Whether the chat template itself writes tools and calls in this format, rightly."""
        return any(mark in template for mark in self.template_marks) and not any(
            fault in template for fault in self.template_faults
        )
