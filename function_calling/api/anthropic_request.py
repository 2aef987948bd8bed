"""Anthropic's requests, checked and put into the words of the model half.

https://docs.anthropic.com/en/api/messages, and `messages-count-tokens` beside it. The sampling
parameters of chat are taken too, and their ranges. What has no effect is told in headers, but for
`cache_control`, which never changes a reply.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from function_calling.api.messages import conversation, text_of
from function_calling.api.request import MOST_MESSAGES, ApiRequest
from function_calling.api.tools import offered, placed, tool_choice
from function_calling.errors import RequestError, wrong
from function_calling.model.words import ContentFormat, Message, Sampling, Tool, ToolChoice

MOST_STOPS = 64
"""Stop sequences of a request at most."""

_BLOCKS = {
    "user": ("text", "tool_result"),
    "assistant": ("text", "tool_use", "thinking", "redacted_thinking"),
    "system": ("text",),
}
"""The types of the blocks that a message of each role may hold."""
_HOSTED = re.compile(r"\w+_\d{8}")
"""The type of a tool that Anthropic defines: a name and a date."""
_FORMAT = "output_config.format"
_WANTED: dict[type, str] = {str: "text", dict: "an object"}

_Block = tuple[str, Mapping[str, Any]]
"""A block of a message behind its place in the request."""


class CountRequest(ApiRequest):
    """What makes a prompt: a request for the number of its tokens."""

    unsupported: ClassVar = {
        **dict.fromkeys(("compaction", "container", "output_format", "thread"), ()),
        **{"mcp_servers": ([],), "n": (1,), "stop": ([],)},
    }
    parts: ClassVar = {"thinking": "type", "output_config": "format"}

    messages: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_MESSAGES)]
    system: str | list[Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    cache_control: Any = None
    stop_sequences: Annotated[list[str], Field(max_length=MOST_STOPS)] | None = None

    @property
    def ignored_tools(self) -> list[str]:
        """The types of the tools that are left out."""
        return [tool["type"] for tool in self.tools or [] if _is_hosted(tool)]

    def prompt(self) -> dict[str, Any]:
        """See `ChatRequest.prompt`."""
        told: list[Message] = []
        if self.system:
            told.append({"role": "system", "content": _text(_blocks(self.system, "system"))})
        for index, message in enumerate(self.messages):
            told += _turn(message, f"messages[{index}]")
        if len(told) > MOST_MESSAGES:
            held = f"messages hold {len(told)} messages and results"
            raise RequestError(f"{held}; wanted {MOST_MESSAGES} at most.", param="messages")
        if told[-1]["role"] == "assistant":
            wanted = "the user's message last: what the model says can't be begun for it"
            raise wrong(f"messages[{len(self.messages) - 1}].role", "assistant", wanted)
        tools = [
            (place, _own(tool, place))
            for place, tool in placed(self.tools or [], "tools")
            if not _is_hosted(tool)
        ]
        callable_tools = offered(tools, "tools", "input_schema")
        thinks = (self.thinking or {}).get("type") != "disabled"
        return {
            "messages": conversation(told),
            "tools": callable_tools,
            "choice": self._choice(callable_tools),
            "content": self._content(),
            "template_options": {} if thinks else {"enable_thinking": False},
        }

    def samplings(self) -> list[Sampling]:
        """How the reply is to be generated."""
        stop = tuple(filter(None, self.stop_sequences or ()))
        return [each.but(stop=stop) for each in self.alike(self.max_tokens, None)]

    def _content(self) -> ContentFormat | None:
        """What the reply's text must be; None where it is free text."""
        match (self.output_config or {}).get("format"):
            case None:
                return None
            case {"type": "json_schema", "schema": dict() as schema}:
                return ContentFormat(schema, param=_FORMAT)
            case told:
                raise wrong(_FORMAT, told, '{"type": "json_schema", "schema": {…}}')

    def _choice(self, tools: Sequence[Tool]) -> ToolChoice:
        told = self.tool_choice or {"type": "auto"}
        choice: Any
        match told:
            case {"type": "auto" | "none" as choice}:
                pass
            case {"type": "any"} if tools:
                choice = "required"
            case {"type": "tool", "name": str() as name}:
                choice = {"type": "function", "function": {"name": name}}
            case _:
                wanted = 'type "auto" or "none", "any" with tools, or "tool" with a tool\'s name'
                raise wrong("tool_choice", told, wanted)
        return tool_choice(choice, not told.get("disable_parallel_tool_use"), tools)


class MessagesRequest(CountRequest):
    """A request for a message."""

    max_tokens: Annotated[int, Field(ge=1)]


def _is_hosted(tool: Mapping[str, Any]) -> bool:
    return _HOSTED.fullmatch(str(tool.get("type"))) is not None


def _own(tool: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A tool of the client's, as `offered` reads it."""
    if tool.get("type") not in (None, "custom"):
        wanted = '"custom", or a type that ends with a date, which is left out'
        raise wrong(f"{place}.type", tool["type"], wanted)
    _field((place, tool), "input_schema", dict)
    return {key: tool.get(key) for key in ("name", "description", "input_schema", "strict")}


def _turn(message: Mapping[str, Any], place: str) -> list[Message]:
    """A message as OpenAI has it: results are messages of their own, before the user's text."""
    role = message.get("role")
    if not isinstance(role, str) or role not in _BLOCKS:
        raise wrong(f"{place}.role", role, f"one of {', '.join(_BLOCKS)}")
    blocks = _blocks(message.get("content"), f"{place}.content", _BLOCKS[role])
    thoughts = "\n".join(_field(each, "thinking", str) for each in _of("thinking", blocks))
    turn: Message = {"role": role, "content": _text(blocks), "reasoning_content": thoughts}
    turn["tool_calls"] = [_call(each) for each in _of("tool_use", blocks)]
    results = [_result(each) for each in _of("tool_result", blocks)]
    return [*results, turn] if not results or _of("text", blocks) else results


def _call(block: _Block) -> dict[str, Any]:
    function = {"name": _field(block, "name", str), "arguments": _field(block, "input", dict)}
    return {"id": _field(block, "id", str), "function": function}


def _result(block: _Block) -> Message:
    """A tool's result; of an error the model reads that it is one."""
    place, told = block
    identity = _field(block, "tool_use_id", str)
    text = text_of(told.get("content"), f"{place}.content", of_a_tool=True)
    content = f"Error: {text}" if told.get("is_error") else text
    return {"role": "tool", "tool_call_id": identity, "content": content}


def _blocks(content: Any, place: str, kinds: Sequence[str] = ("text",)) -> list[_Block]:
    """The blocks of a content, which may also be a text.

    Places end with the type, as Anthropic's: by it, agents know which picture they must leave out.
    """
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise wrong(place, content, "text or a list of blocks")
    blocks: list[_Block] = []
    for index, block in enumerate(content):
        kind = block.get("type") if isinstance(block, dict) else None
        at = f"{place}[{index}]" + (f".{kind:.40}" if isinstance(kind, str) else "")
        if kind not in kinds:
            raise wrong(at, block, f"a block of type {' or '.join(kinds)}")
        blocks.append((at, block))
    return blocks


def _of(kind: str, blocks: Iterable[_Block]) -> list[_Block]:
    return [block for block in blocks if block[1]["type"] == kind]


def _text(blocks: Iterable[_Block]) -> str:
    return "\n".join(_field(block, "text", str) for block in _of("text", blocks))


def _field(block: _Block, name: str, kind: type) -> Any:
    """What a block, or a tool, must have under this name."""
    place, told = block
    if not isinstance(told.get(name), kind):
        raise wrong(f"{place}.{name}", told.get(name), _WANTED[kind])
    return told[name]
