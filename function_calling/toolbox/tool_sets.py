"""Sets of tools that an operator chooses from, each with what a model must know to use it.

`TOOLS` names them: a set of ours by its name, anybody's by `module:attribute`. Several are joined
into one, under one system prompt and with one way to turn a message away.
"""

import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pkgutil import resolve_name
from typing import Any, Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from function_calling.errors import SettingsError, one_line
from function_calling.toolbox.schema import FunctionSchema
from function_calling.toolbox.toolbox import FinalAnswer, Toolbox

CLOSING = (
    "When the tool has returned its results, tell the user each of them in a plain sentence with "
    "the same numbers."
)


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(arbitrary_types_allowed=True))
class ToolSet:
    """Tools that belong together.

    Attributes:
        functions: What a model may call.
        system_prompt: How it should use them.
        topic: What a message is about that they are for, as in "converting money"; "" means the
            tools' names.
        examples: Messages that they are for, which a person is offered as a start.
        first_choice: OpenAI's `tool_choice` until a tool has found something: `required` keeps a
            small model from answering from memory, `auto` lets it answer.
        reply_without_tool: What a model that must call calls for any other message; None: one
            that is made of the topic. In a joined set it is one of the functions, or None.
        close: Frees what the tools hold.
        guests: Finds the tools that are there now, where they come and go, as a set without
            guests; they are given none of the names that it is told.
        members: The sets that this one was joined from.
    """

    functions: Sequence[Callable[..., Any] | FunctionSchema]
    system_prompt: str = ""
    topic: str = ""
    examples: Sequence[str] = ()
    first_choice: Literal["required", "auto"] = "required"
    reply_without_tool: Callable[[], FinalAnswer] | None = None
    close: Callable[[], None] = lambda: None
    guests: Callable[[Collection[str]], Awaitable["ToolSet"]] | None = None
    members: Sequence["ToolSet"] = ()


def load_tool_sets(chosen: str, known: Mapping[str, Callable[[], ToolSet]]) -> ToolSet:
    """The tool sets that `chosen`, the setting `TOOLS`, names, joined into one.

    Of `known`, our own by name, only those are made.

    Raises:
        SettingsError: A name means no tool set, or its functions can't be tools.
    """
    wanted = f"wanted {', '.join(known)} or module:attribute, divided by commas"
    names = [name.strip() for name in chosen.split(",") if name.strip()]
    if not names:
        raise SettingsError(f"TOOLS={chosen!r}: {wanted}.")
    with ExitStack() as opened:
        sets = []
        for name in names:
            sets.append(known[name]() if name in known else _imported(name, wanted))
            opened.callback(sets[-1].close)
        try:
            joined = join(sets)
            Toolbox(joined.functions)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"TOOLS={chosen!r}: {one_line(str(error))}") from error
        opened.pop_all()
    return joined


def join(sets: Sequence[ToolSet]) -> ToolSet:
    """All tools as one set, ready for use: it can be told a message that none of them is for."""
    functions = [function for each in sets for function in each.functions]
    prompt = [each.system_prompt for each in sets if each.system_prompt]
    useful = [each for each in sets if each.functions]
    topics = " or ".join(_topic(each) for each in useful)
    must_call = any(each.first_choice == "required" for each in useful)
    turning_away = None
    if must_call:
        own = useful[0].reply_without_tool if len(useful) == 1 else None
        turning_away = own or _turning_away(topics)
        functions.append(turning_away)
        prompt.append(f"If the message is not about {topics}, call {turning_away.__name__}.")
    closing = ExitStack()
    for each in sets:
        closing.callback(each.close)
    return ToolSet(
        functions=functions,
        system_prompt=" ".join([*prompt, CLOSING]),
        topic=topics,
        examples=[example for each in sets for example in each.examples],
        first_choice="required" if must_call else "auto",
        reply_without_tool=turning_away,
        close=closing.close,
        guests=next((each.guests for each in sets if each.guests), None),
        members=sets,
    )


def _topic(tools: ToolSet) -> str:
    names = [
        each.name if isinstance(each, FunctionSchema) else getattr(each, "__name__", "")
        for each in tools.functions
    ]
    return tools.topic or " or ".join(name.replace("_", " ") for name in names)


def _turning_away(topics: str) -> Callable[[], FinalAnswer]:
    """A tool for what is not about the topics; a model that must call a tool needs one."""

    def reply_without_tool() -> FinalAnswer:
        return FinalAnswer(f"I can only help with {topics}.")

    reply_without_tool.__doc__ = f"Answer a message that is not about {topics}."
    return reply_without_tool


def _imported(name: str, wanted: str) -> ToolSet:
    """The tool set that somebody's module holds, found from the working directory."""
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)
    try:
        return _as_tool_set(resolve_name(name))
    except (Exception, SystemExit) as error:  # whatever the module does
        why = one_line(f"{type(error).__name__}: {error}")
        raise SettingsError(f"TOOLS names {name!r}: {wanted} ({why}).") from error


def _as_tool_set(value: Any) -> ToolSet:
    if isinstance(value, ToolSet):
        return value
    if inspect.isroutine(value):
        return ToolSet(functions=[value])
    kind = type(value)
    plain = inspect.isclass(value) or kind.__module__ == "builtins"
    names = [] if plain else [each for each in dir(kind) if each[0] != "_"]
    methods = [getattr(value, each) for each in names if inspect.isroutine(getattr(kind, each))]
    if not methods:
        raise TypeError("neither a function, nor an object with public methods, nor a ToolSet")
    return ToolSet(functions=methods)
