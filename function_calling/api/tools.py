"""The tools of a request, and which of them the reply may or must call.

Three spellings of a tool are read: OpenAI's `{"type": "function", "function": {…}}`, the flat
`{"name": …, "description": …, "parameters": {…}}` of ToolBench, and OpenAI's older `functions`,
which are flat too. `optional` in ToolBench's parameters only repeats what `required` says by
leaving a name out, so it is dropped.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from function_calling.errors import RequestError, shown, wrong
from function_calling.model.words import Tool, ToolChoice

PlacedTool: TypeAlias = tuple[str, Mapping[str, Any]]
"""A tool as it came, behind the place where it stands in the request."""

MOST_TOOLS = 1024
"""Tools of a request at most."""


def flat(tools: Sequence[Mapping[str, Any]]) -> bool:
    """Whether these are tools as ToolBench spells them."""
    return bool(tools) and all("function" not in tool for tool in tools)


def other_kind(tool: Mapping[str, Any]) -> str:
    """How a tool is called that is no function ("web_search", "custom: patch"); "" if it is one."""
    if not isinstance(tool.get("type"), str) or tool["type"] == "function":
        return ""
    return ": ".join(str(tool[key]) for key in ("type", "name", "server_label") if tool.get(key))


def placed(tools: Sequence[Mapping[str, Any]], param: str) -> list[PlacedTool]:
    """Each tool with its place, such as "tools[3]"."""
    return [(f"{param}[{index}]", tool) for index, tool in enumerate(tools)]


def offered(tools: Sequence[PlacedTool], param: str, schema: str = "parameters") -> list[Tool]:
    """The tools that the model is told of.

    Args:
        tools: As they came, without those that are left out.
        param: The parameter in which they came.
        schema: The field that holds a tool's JSON Schema.

    Raises:
        RequestError: Names the tool, its value and what was wanted.
    """
    if len(tools) > MOST_TOOLS:
        raise RequestError(f"{param} holds {len(tools)}; wanted {MOST_TOOLS} at most.", param=param)
    result: dict[str, Tool] = {}
    for place, told in tools:
        tool = _tool(told, place, schema)
        if tool.name in result:
            raise RequestError(f"{place}: {tool.name!r} is offered twice.", param=param)
        result[tool.name] = tool
    return list(result.values())


def _tool(tool: Mapping[str, Any], place: str, schema: str) -> Tool:
    wrapped = "function" in tool
    function = tool["function"] if wrapped else tool
    known = tool.get("type", "function") == "function" and ("name" in tool or wrapped)
    if not known or not isinstance(function, dict):
        wanted = '{"type": "function", "function": {…}}, or name and parameters beside the type'
        raise wrong(place, tool, wanted)
    place = f"{place}.function" if wrapped else place
    name, strict = function.get("name"), function.get("strict")
    if not isinstance(name, str) or not name or json.dumps(name, ensure_ascii=False) != f'"{name}"':
        raise wrong(f"{place}.name", name, "a name without quotes and controls")
    if not isinstance(strict, bool | None):
        raise wrong(f"{place}.strict", strict, "true or false")
    place = f"{place}.{schema}"
    parameters = _parameters(function.get(schema), place)
    return Tool(name, str(function.get("description") or ""), parameters, bool(strict), place)


def _parameters(parameters: Any, place: str) -> dict[str, Any]:
    parameters = parameters or {"properties": {}}
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        raise wrong(place, parameters, "a JSON Schema of an object")
    kept = {key: value for key, value in parameters.items() if key != "optional"}
    return {"type": "object", **kept}


def tool_choice(choice: Any, parallel: bool, tools: Sequence[Tool]) -> ToolChoice:
    """OpenAI's `tool_choice` and `parallel_tool_calls`.

    A call that a named choice forces still ends with the reason "tool_calls". OpenAI says "stop"
    there; but agents take "tool_calls" as the sign that there is something to call, and none is
    known that needs "stop".

    Raises:
        RequestError: The choice is of no known kind, or names a tool that isn't offered.
    """
    names = tuple(tool.name for tool in tools)
    choice = "auto" if choice is None else choice
    if isinstance(choice, dict):
        return _object_choice(choice, names, parallel)
    if choice not in {"none", "auto", "required"}:
        raise _wrong_choice(choice)
    if choice == "required" and not names:
        raise RequestError("tool_choice='required' needs tools.", param="tool_choice")
    if choice == "none" or not names:
        return ToolChoice()
    return ToolChoice("required" if choice == "required" else "auto", names, parallel)


def _object_choice(choice: Mapping[str, Any], names: Sequence[str], parallel: bool) -> ToolChoice:
    """A named function, or OpenAI's `allowed_tools`: a mode and some of the tools.

    For a response they are told flat: `{"type": "function", "name": …}`.
    """
    try:
        if choice["type"] == "allowed_tools":
            allowed = choice.get("allowed_tools", choice)
            mode = allowed["mode"]
            wanted = [_chosen(tool) for tool in allowed["tools"]]
        else:
            mode, parallel = "required", False
            wanted = [_chosen(choice)]
    except (KeyError, TypeError, AttributeError):
        raise _wrong_choice(choice) from None
    if mode not in ("auto", "required") or not wanted:
        raise _wrong_choice(choice)
    for name in wanted:
        _check_offered(name, names, "tool_choice", "tools")
    return ToolChoice(mode, tuple(dict.fromkeys(wanted)), parallel)


def _chosen(tool: Mapping[str, Any]) -> Any:
    """The name of a function that is chosen; a KeyError where it is no function."""
    if other_kind(tool):
        raise KeyError
    return tool.get("function", tool)["name"]


def function_choice(choice: Any, functions: Sequence[Tool]) -> ToolChoice:
    """OpenAI's older `function_call`: "none", "auto" or a name; a reply makes one call at most.

    Raises:
        RequestError: The choice is of no known kind, or names a function that isn't offered.
    """
    names = tuple(function.name for function in functions)
    if isinstance(choice, dict) and "name" in choice:
        _check_offered(choice["name"], names, "function_call", "functions")
        return ToolChoice("required", (choice["name"],), parallel=False)
    if choice not in (None, "none", "auto"):
        wanted = """'none', 'auto' or a function's name as {"name": …}"""
        raise wrong("function_call", choice, wanted)
    return tool_choice(choice, False, functions)


def _check_offered(name: Any, names: Sequence[str], param: str, offer: str) -> None:
    if name not in names:
        raise RequestError(
            f"{param} names {shown(name)}, which is not among the {offer}: "
            f"{', '.join(names) or 'none are given'}.",
            param=param,
        )


def _wrong_choice(choice: Any) -> RequestError:
    wanted = "'none', 'auto', 'required', or type \"function\" with a function's name"
    return wrong("tool_choice", choice, wanted)
