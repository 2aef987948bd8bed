"""OpenAI's request for a response, checked, with its `input` as chat messages.

https://platform.openai.com/docs/api-reference/responses/create. Nothing is stored, so what needs
an earlier response is refused by name. A reply is several items there: thoughts, a message, each
call. In the `input` they are one turn of the assistant again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from function_calling.api.messages import conversation, text_of
from function_calling.api.request import MOST_MESSAGES, ApiRequest, content_format
from function_calling.api.tools import offered, other_kind, tool_choice
from function_calling.errors import wrong
from function_calling.model.words import Message, Sampling, Tool

_LOGPROBS = "message.output_text.logprobs"
_ECHOED = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_ROLES = ("system", "developer", "user", "assistant")
_ITEMS = ("message", "reasoning", "function_call", "function_call_output")


class ResponsesRequest(ApiRequest):
    """A request for a response; what is null in it is not there."""

    unsupported: ClassVar = {
        **dict.fromkeys(("conversation", "moderation", "previous_response_id", "prompt"), ()),
        **{"background": (False,), "n": (1,)},
    }
    parts: ClassVar = {"reasoning": "effort", "text": "format"}

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
        return list(filter(None, map(other_kind, self.tools)))

    @property
    def logprobs(self) -> bool:
        """Whether text carries its tokens' probabilities."""
        return bool(self.top_logprobs) or _LOGPROBS in self.include

    def _functions(self) -> list[Tool]:
        return offered([None if other_kind(each) else each for each in self.tools], "tools")

    def prompt(self) -> dict[str, Any]:
        """What `ChatModel.turn` makes a prompt of, by the names that it has there.

        Raises:
            RequestError: Names the place, its value and what was wanted.
        """
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
        return {
            "instructions": self.instructions,
            "max_output_tokens": sampling.max_tokens,
            "metadata": self.metadata,
            "parallel_tool_calls": self.parallel_tool_calls,
            "reasoning": {"effort": "none" if effort == "none" else None, "summary": None},
            "text": {"format": self.text.get("format") or {"type": "text"}},
            "tool_choice": self.tool_choice,
            "tools": [{"type": "function", **asdict(tool)} for tool in self._functions()],
            "top_logprobs": self.top_logprobs,
            **{name: getattr(sampling, name) for name in _ECHOED},
        }


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
            function = {"name": item["name"], "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "function": function}
            turn.setdefault("tool_calls", []).append(call)
        case "function_call_output":
            output = item.get("output")
            text = text_of(output, f"{place}.output") if isinstance(output, list) else output
            result = {"role": "tool", "tool_call_id": item.get("call_id"), "content": text}
            messages.append(result)
        case kind:
            raise wrong(f"{place}.type", kind, f"one of {', '.join(_ITEMS)}")


def _message(messages: list[Message], role: str, *, goes_on: bool = False) -> Message:
    """A new message; or the last, if it is a turn of the assistant's that may go on so."""
    last = messages[-1] if role == "assistant" and messages else {}
    begun = not goes_on and last.keys() & {"content", "tool_calls"}
    if last.get("role") != role or begun:
        messages.append({"role": role})
    return messages[-1]
