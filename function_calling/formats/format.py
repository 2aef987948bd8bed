"""What a tool-call format is: how one model family writes tools, calls and results, as data."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from function_calling.errors import naming
from function_calling.formats.arguments import JsonArguments, Schema
from function_calling.formats.template import EXAMPLE_CALL, EXAMPLE_TEXTS, ChatTemplate
from function_calling.model.words import Alternative, Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One family's spelling.

    A call is literals and slots: `call_open`, NAME, `before_arguments`, ARGUMENTS, `call_close`.
    The literals are written by us and never sampled; NAME is an offered tool and ARGUMENTS obeys
    its schema.

    Attributes:
        name: Its name in `FORMATS`.
        template_marks: Texts of which one stands in the chat template of a model of this family.
        template_faults: Texts by which a template is known to write this format wrongly.
        tools_prompt: What tells the model of its tools; `{tools}` stands for their JSON, `{names}`
            for their names.
        tools_turn: The turn that carries `tools_prompt`: a system turn has it behind its text, a
            user's before.
        tool_text: Whether a tool is told as OpenAI's object, or as the function in it.
        tools_listed: Whether the tools' JSON is one list; else each begins a line of its own.
        tools_indent: Indentation of that JSON; None writes no line breaks in it.
        calls_open: Before the first call of a turn.
        call_open: Before each call's name.
        before_arguments: Between the name and the arguments.
        arguments: How the arguments are spelled.
        call_close: Behind the arguments.
        call_separator: Between the calls of one turn.
        calls_close: Behind the last call of a turn.
        calls_end: What a model may write behind that instead of ending its turn.
        no_calls: What a model writes in place of calls where no tool fits, if the format has a
            word for that.
        call_starts: Regular expressions for every spelling that begins a call, however models
            vary it; `\\L<names>` stands for the offered names, the group `name` for a name read.
        steps: Whether text and calls follow the scheme of thought, action and observation.
        result: How a tool's result is written; `{content}` stands for it.
        result_role: The role whose turn carries results; the assistant's own goes on behind them.
        after_results: What is said behind the last results where the model may answer or call.
        calls_apart: Whether a turn holds one call, so that several become a turn each.
        special_tokens: The texts of the model's special tokens that calls are written with.
        answer_tool: The tool whose call is the answer, for a client that doesn't offer it itself.
    """

    name: str
    template_marks: tuple[str, ...]
    template_faults: tuple[str, ...] = ()
    tools_prompt: str
    tools_turn: Literal["system", "first user", "last user"] = "system"
    tool_text: Literal["object", "function"] = "object"
    tools_listed: bool = False
    tools_indent: int | None = None
    calls_open: str = ""
    call_open: str = ""
    before_arguments: str
    arguments: JsonArguments = field(default_factory=JsonArguments)
    call_close: str
    call_separator: str = "\n"
    calls_close: str = ""
    calls_end: str = ""
    no_calls: str = ""
    call_starts: tuple[str, ...]
    steps: bool = False
    result: str = "{content}"
    result_role: str
    after_results: str = ""
    calls_apart: bool = False
    special_tokens: tuple[str, ...] = ()
    answer_tool: Tool | None = None

    def calls(self, calls: Sequence[tuple[str, str]], before: str = "") -> str:
        """The text of one turn's calls, each a name and its arguments as JSON.

        `before` is what the turn already holds.
        """
        space = " " if self.before_arguments.endswith(":") else ""
        written = (
            self.call_head((name,)) + space + self.arguments.write(told) + self.call_close
            for name, told in calls
        )
        return self.before_call(before) + self.call_separator.join(written) + self.calls_close

    def before_call(self, written: str) -> str:
        """What parts the first call from the text that the turn already holds."""
        return ("\n" if written and not written.endswith("\n") else "") + self.calls_open

    def call_head(self, names: Sequence[str]) -> str:
        """The literal with which a call begins, if it is of one of `names`."""
        return self.call_open + (names[0] + self.before_arguments if len(names) == 1 else "")

    def call_rest(self, name: str, schema: Schema, names: Sequence[str]) -> Alternative:
        """What follows `call_head(names)` when the tool `name` is called.

        Raises:
            RequestError: The schema allows nothing that this format can spell.
        """
        thing = f"Tool {name}"
        with naming(thing, thing):
            rest = (*self.arguments.slots(schema, thing), self.call_close)
        return rest if len(names) == 1 else (name + self.before_arguments, *rest)

    def with_answer_tool(self, tools: Sequence[Tool]) -> list[Tool]:
        """The tools that the model is told of: those offered, and the answer's."""
        names = {tool.name for tool in tools}
        extra = self.answer_tool
        return [*tools, extra] if extra and tools and extra.name not in names else list(tools)

    def answer(self, arguments: dict[str, Any], thought: str) -> str:
        """What a call of `answer_tool` says; one that gives up says why."""
        return str(arguments.get("final_answer") or thought or arguments.get("return_type", ""))

    def native(self, template: ChatTemplate) -> bool:
        """Whether the template itself writes tools, calls and results in this format, rightly.

        White space and the order of JSON's keys are its own, and it may tell the call's id.
        """
        if not self.speaks(template.source):
            return False
        if any(fault in template.source for fault in self.template_faults):
            return False
        name, arguments = EXAMPLE_CALL
        opening, _, before_name = (self.calls_open + self.call_open).partition("{")
        parts = (
            opening,
            before_name + name,
            self.before_arguments.lstrip('",') + self.arguments.write(arguments),
            *EXAMPLE_TEXTS,
        )
        written = "".join(template.example.split())
        return all("".join(part.split()) in written for part in parts)

    def speaks(self, template: str) -> bool:
        """Whether the chat template is of a model of this family."""
        return any(mark in template for mark in self.template_marks)
