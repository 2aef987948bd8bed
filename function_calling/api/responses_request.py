"""OpenAI's request for a response, checked, with its `input` as chat messages.

https://platform.openai.com/docs/api-reference/responses/create. Nothing is stored, so what needs
an earlier response is refused by name. A reply is several items there: thoughts, a message, each
call. In the `input` they are one turn of the assistant again. Functions may come in namespaces, as
Codex sends those of MCP servers; the model calls them by one name, and the client reads two.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from function_calling.api.messages import conversation, text_of
from function_calling.api.request import MOST_MESSAGES, ApiRequest, content_format
from function_calling.api.tools import offered, other_kind, placed, tool_choice
from function_calling.errors import wrong
from function_calling.model.words import Message, Sampling, Tool

_LOGPROBS = "message.output_text.logprobs"
_ECHOED = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_TOOL = ("name", "description", "parameters", "strict")
_ROLES = ("system", "developer", "user", "assistant")
_NAMESPACE = "namespace"
_ITEMS = ("message", "reasoning", "function_call", "function_call_output")


class ResponsesRequest(ApiRequest):
    """A request for a response; what is null in it is not there."""

    unsupported: ClassVar = {
        **dict.fromkeys(("conversation", "moderation", "previous_response_id", "prompt"), ()),
        **{"background": (False,), "n": (1,)},
    }
    parts: ClassVar = {**ApiRequest.parts, "reasoning": "effort", "text": "format"}

    input: str | Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_MESSAGES)]
    instructions: str | None = None
    tools: Sequence[dict[str, Any]] = ()
    tool_choice: str | dict[str, Any] = "auto"
    parallel_tool_calls: bool = True
    text: dict[str, Any] = Field(default_factory=dict)
    reasoning: dict[str, Any] = Field(default_factory=dict)
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] = 0
    include: Sequence[str] = ()
    metadata: dict[str, str] = Field(default_factory=dict)
    tool_format: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value is not None}

    @property
    def ignored(self) -> list[str]:
        """The parameters that had no effect, and what had none within one."""
        effort = () if self.reasoning.get("effort") in (None, "none") else ("reasoning.effort",)
        included = (f"include: {name}" for name in self.include if name != _LOGPROBS)
        return [*super().ignored, *effort, *included]

    @property
    def ignored_tools(self) -> list[str]:
        """The tools that are no functions."""
        return list(filter(None, (other_kind(tool) for _, tool, _ in _unpacked(self.tools))))

    @property
    def namespaced(self) -> dict[str, tuple[str, str]]:
        """The namespace of a function, and its name there, by the name that the model calls."""
        return {
            _full_name(space, tool["name"]): (space, tool["name"])
            for _, tool, space in _unpacked(self.tools)
            if space and not other_kind(tool)
        }

    @property
    def logprobs(self) -> bool:
        """Whether text carries its tokens' probabilities."""
        return bool(self.top_logprobs) or _LOGPROBS in self.include

    def _functions(self) -> list[Tool]:
        functions = [
            (place, {**tool, "name": _full_name(space, tool.get("name"))} if space else tool)
            for place, tool, space in _unpacked(self.tools)
            if not other_kind(tool)
        ]
        return offered(functions, "tools")

    def prompt(self) -> dict[str, Any]:
        """See `ChatRequest.prompt`."""
        tools = self._functions()
        told = self.text.get("format")
        no_effort = self.reasoning.get("effort") == "none"
        return {
            "messages": conversation(self._messages()),
            "tools": tools,
            "choice": tool_choice(self.tool_choice, self.parallel_tool_calls, tools),
            "content": None if told is None else content_format(told, "text.format"),
            "tool_format": self.tool_format,
            "template_options": {"enable_thinking": False} if no_effort else {},
        }

    def _messages(self) -> list[Message]:
        """The chat messages that `instructions` and `input` stand for."""
        told = self.input
        messages = [{"role": "system", "content": self.instructions}] if self.instructions else []
        items = [{"role": "user", "content": told}] if isinstance(told, str) else told
        for index, item in enumerate(items):
            _add(messages, item, f"input[{index}]")
        return messages

    def samplings(self) -> list[Sampling]:
        """How the reply is to be generated."""
        most = self.max_output_tokens or self.max_tokens
        return self.alike(most, self.top_logprobs if self.logprobs else None)

    def echo(self) -> dict[str, Any]:
        """What a response repeats of its request, defaults too."""
        (sampling,) = self.samplings()
        effort = self.reasoning.get("effort")
        functions = [each for each in self._functions() if each.name not in self.namespaced]
        spaces = [each for each in self.tools if each.get("type") == _NAMESPACE]
        return {
            "instructions": self.instructions,
            "max_output_tokens": sampling.max_tokens,
            "metadata": self.metadata,
            "parallel_tool_calls": self.parallel_tool_calls,
            "reasoning": {"effort": "none" if effort == "none" else None, "summary": None},
            "text": {"format": self.text.get("format") or {"type": "text"}},
            "tool_choice": self.tool_choice,
            "tools": [*({"type": "function", **_parts(it, _TOOL)} for it in functions), *spaces],
            "top_logprobs": self.top_logprobs,
            **_parts(sampling, _ECHOED),
        }


def _parts(whole: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(whole, name) for name in names}


def _unpacked(tools: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Each tool behind its place, those of a namespace one by one; and what namespace that is."""
    for place, tool in placed(tools, "tools"):
        if tool.get("type") != _NAMESPACE:
            yield place, tool, ""
            continue
        space, inner = tool.get("name"), tool.get("tools")
        if not isinstance(space, str) or not space:
            raise wrong(f"{place}.name", space, "the name of a namespace")
        if not isinstance(inner, list) or not all(isinstance(each, dict) for each in inner):
            raise wrong(f"{place}.tools", inner, "a list of tools")
        yield from ((inside, each, space) for inside, each in placed(inner, f"{place}.tools"))


def _full_name(space: Any, name: Any) -> Any:
    """By which the model knows a function; one name alone may stand in several namespaces."""
    return f"{space}__{name}" if space and isinstance(name, str) else name


def _add(messages: list[Message], item: Mapping[str, Any], place: str) -> None:
    """Add an item, as a message or to the turn that the last message is."""
    match item.get("type") or "message":
        case "message" if item.get("role") not in _ROLES:
            raise wrong(f"{place}.role", item.get("role"), f"one of {', '.join(_ROLES)}")
        case "message":
            message = _message(messages, item["role"])
            message["content"] = text_of(item.get("content"), f"{place}.content")
        case "reasoning":
            # Where both are empty, the thoughts of another model are told encrypted alone.
            key = "content" if item.get("content") else "summary"
            if thoughts := text_of(item.get(key), f"{place}.{key}"):
                turn = _message(messages, "assistant")
                turn["reasoning_content"] = turn.get("reasoning_content", "") + thoughts
        case "function_call" if not isinstance(item.get("name"), str):
            raise wrong(f"{place}.name", item.get("name"), "a function's name")
        case "function_call":
            turn = _message(messages, "assistant", goes_on=True)
            name = _full_name(item.get("namespace"), item["name"])
            function = {"name": name, "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "function": function}
            turn.setdefault("tool_calls", []).append(call)
        case "function_call_output":
            output = _output(item.get("output"), f"{place}.output")
            result = {"role": "tool", "tool_call_id": item.get("call_id"), "content": output}
            messages.append(result)
        case kind:
            whole = "each whole, as clients send them with store=false"
            raise wrong(f"{place}.type", kind, f"one of {', '.join(_ITEMS)}, {whole}")


def _output(output: Any, place: str) -> Any:
    return text_of(output, place, of_a_tool=True) if isinstance(output, list) else output


def _message(messages: list[Message], role: str, *, goes_on: bool = False) -> Message:
    """A new message; or the last, if it is a turn of the assistant's that may go on so."""
    last = messages[-1] if role == "assistant" and messages else {}
    begun = not goes_on and last.keys() & {"content", "tool_calls"}
    if last.get("role") != role or begun:
        messages.append({"role": role})
    return messages[-1]
