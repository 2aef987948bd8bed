"""The tools of a request, and which of them the reply may or must call.

Two spellings of a tool are read: OpenAI's `{"type": "function", "function": {…}}`, and the flat
`{"name": …, "description": …, "parameters": {…}}` of ToolBench, of responses and of OpenAI's older
`functions`; in Anthropic's, the parameters are called `input_schema`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from function_calling.errors import RequestError, shown, wrong
from function_calling.model.words import Tool, ToolChoice

PlacedTool: TypeAlias = tuple[str, Mapping[str, Any]]
"""A tool as it came, behind the place where it stands in the request."""

MOST_TOOLS = 1024
"""Tools of a request at most."""
_FIELDS = (
    *("type", "function", "name", "description", "parameters", "input_schema", "strict"),
    "cache_control",
)
"""What is read of a function, and what asks for a cache, which there is in any case."""


def other_kind(tool: Mapping[str, Any]) -> str:
    """How a tool is called that is no function ("web_search", "custom: patch"); "" if it is one."""
    if not isinstance(tool.get("type"), str) or tool["type"] == "function":
        return ""
    return ": ".join(str(tool[key]) for key in ("type", "name", "server_label") if tool.get(key))


def unread(tools: Iterable[Mapping[str, Any]]) -> list[str]:
    """What functions say that has no effect, each once: "tools.defer_loading"."""
    told = [tool for tool in tools if not other_kind(tool)]
    told += [tool["function"] for tool in told if isinstance(tool.get("function"), dict)]
    fields = (key for each in told for key, value in each.items() if value and key not in _FIELDS)
    return [f"tools.{key}" for key in dict.fromkeys(fields)]


def placed(tools: Sequence[Mapping[str, Any]], param: str) -> list[PlacedTool]:
    """Each tool with its place, such as "tools[3]"."""
    return [(f"{param}[{index}]", tool) for index, tool in enumerate(tools)]


def offered(tools: Sequence[PlacedTool], param: str) -> list[Tool]:
    """The tools that the model is told of, in whichever spelling.

    Args:
        tools: As they came, without those that are left out.
        param: The parameter in which they came.

    Raises:
        RequestError: Names the tool, its value and what was wanted.
    """
    if len(tools) > MOST_TOOLS:
        raise RequestError(f"{param} holds {len(tools)}; wanted {MOST_TOOLS} at most.", param=param)
    result: dict[str, Tool] = {}
    for place, told in tools:
        tool = _tool(told, place)
        if tool.name in result:
            raise RequestError(f"{place}: {tool.name!r} is offered twice.", param=param)
        result[tool.name] = tool
    return list(result.values())


def _tool(tool: Mapping[str, Any], place: str) -> Tool:
    function = tool.get("function", tool)
    if not isinstance(function, dict) or other_kind(tool):
        wanted = '{"type": "function", "function": {…}}, or name and parameters beside the type'
        raise wrong(place, tool, wanted)
    place = place if function is tool else f"{place}.function"
    name, strict = function.get("name"), function.get("strict")
    if not isinstance(name, str) or not name or json.dumps(name, ensure_ascii=False) != f'"{name}"':
        raise wrong(f"{place}.name", name, "a name without quotes and controls")
    if not isinstance(strict, bool | None):
        raise wrong(f"{place}.strict", strict, "true or false")
    key = "input_schema" if "input_schema" in function else "parameters"
    place, parameters = f"{place}.{key}", function.get(key) or {"properties": {}}
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        raise wrong(place, parameters, "a JSON Schema of an object")
    # ToolBench's `optional` only repeats what `required` says by leaving a name out.
    schema = {"type": "object", **parameters}
    schema.pop("optional", None)
    return Tool(name, str(function.get("description") or ""), schema, bool(strict), place)


def tool_choice(
    choice: Any, parallel: bool, tools: Sequence[Tool], param: str = "tool_choice"
) -> ToolChoice:
    """OpenAI's `tool_choice` and `parallel_tool_calls`, its older `function_call`, or Anthropic's.

    A named function, or `allowed_tools` (a mode and some of the tools), may also be told flat, as
    for a response. A call that a named choice forces still ends with the reason "tool_calls".
    OpenAI says "stop" there; but agents take "tool_calls" as the sign that there is something to
    call, and none is known that needs "stop".

    Raises:
        RequestError: The choice is of no known kind, or names a tool that isn't offered.
    """
    offer = tuple(tool.name for tool in tools)
    mode, names, several = _asked(choice, offer)
    if mode is None or None in names:
        wanted = "'none', 'auto', 'required', Anthropic's type \"any\", or a tool's type and name"
        raise wrong(param, choice, wanted)
    for name in names:
        if name not in offer:
            listed = "functions" if param == "function_call" else "tools"
            told = f"{param} names {shown(name)}, which is not among the {listed}"
            raise RequestError(f"{told}: {', '.join(offer) or 'none are given'}.", param=param)
    if mode == "required" and not names:
        raise RequestError(f"{param}={shown(choice)} needs tools.", param=param)
    if mode == "none" or not names:
        return ToolChoice()
    return ToolChoice(mode, tuple(dict.fromkeys(names)), parallel and several)


def _asked(choice: Any, offer: tuple[str, ...]) -> tuple[Any, tuple[Any, ...], bool]:
    """The mode, the names, and whether there may be several calls; None for what is wrong."""
    match choice:
        case None | "auto" | "none" | "required":
            return choice or "auto", offer, True
        case {"type": "auto" | "none" | "any" as kind}:
            return "required" if kind == "any" else kind, offer, True
        case {"type": "allowed_tools"}:
            match choice.get("allowed_tools", choice):
                case {"mode": "auto" | "required" as mode, "tools": [_, *_] as tools}:
                    return mode, tuple(map(_named, tools)), True
            return None, (), True
    return "required", (_named(choice),), False


def _named(choice: Any) -> Any:
    """The name of a function that is chosen; None where it is no function."""
    match choice:
        case {"function": {"name": name}} | {"name": name}:
            return name if choice.get("type", "function") in ("function", "tool") else None
    return None
