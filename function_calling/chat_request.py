"""OpenAI's chat-completion request as the model half's own words.

https://platform.openai.com/docs/api-reference/chat/create. What is unknown is ignored, as OpenAI
does; what is known and not supported is refused by name, because a client that sends it counts on
it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json

from function_calling.errors import RequestError, shown
from function_calling.messages import Sampling, Tool, ToolChoice

# What each parameter that isn't supported may be, because it then asks for nothing.
_UNSUPPORTED: Mapping[str, Sequence[Any]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "function_call": ("none",),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "prediction": (),
    "presence_penalty": (0,),
    "reasoning_effort": (),
    "response_format": ({"type": "text"},),
    "top_logprobs": (0,),
    "verbosity": (),
    "web_search_options": (),
}


class StreamOptions(BaseModel):
    """How a stream is told."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """The parameters that are supported, checked; names and ranges are OpenAI's."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """The request in a body of JSON.

        Raises:
            RequestError: Names the parameter, its value and what was wanted.
        """
        try:
            # Unlike `json`, this refuses half surrogates and bottomless nesting as ValueErrors.
            values = from_json(body)
        except ValueError as error:
            raise RequestError(f"The body is not JSON: {error}.") from error
        if not isinstance(values, dict):
            raise RequestError(f"The body is {shown(values)}; wanted a JSON object.")
        for name, harmless in _UNSUPPORTED.items():
            if values.get(name) is not None and values[name] not in harmless:
                raise RequestError(
                    f"{name}={shown(values[name])}: this parameter is not supported.",
                    param=name,
                    code="unsupported_parameter",
                )
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise _invalid(error) from error

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk of its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def sampling(self) -> Sampling:
        """How the reply is to be generated; OpenAI's defaults where nothing is said."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Sampling(
            max_tokens=self.max_completion_tokens or self.max_tokens,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            seed=self.seed,
            stop=tuple(filter(None, stop)),
        )

    def offered_tools(self) -> list[Tool]:
        """The tools that the model is told of."""
        tools = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(self.tools or [])]
        names = [tool.name for tool in tools]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise RequestError(f"tools[{index}]: {name!r} is offered twice.", param="tools")
        return tools

    def choice(self, tools: Sequence[Tool]) -> ToolChoice:
        """Which calls the reply may or must make."""
        names = tuple(tool.name for tool in tools)
        parallel = self.parallel_tool_calls is not False
        choice = self.tool_choice if self.tool_choice is not None else "auto"
        if isinstance(choice, dict):
            return _object_choice(choice, names, parallel)
        if choice not in {"none", "auto", "required"}:
            raise _wrong_choice(choice)
        if choice == "required" and not names:
            raise RequestError("tool_choice='required' needs tools.", param="tool_choice")
        if choice == "none" or not names:
            return ToolChoice()
        return ToolChoice("required" if choice == "required" else "auto", names, parallel)


def _invalid(error: ValidationError) -> RequestError:
    """Pydantic's complaint about the first wrong parameter, in a sentence."""
    errors = error.errors(include_url=False)
    param = str(errors[0]["loc"][0])
    # Of several kinds that a value may be, the last is the one that holds most.
    told = [each for each in errors if each["loc"][0] == param][-1]
    if told["type"] == "missing":
        return RequestError(f"{param} is missing.", param=param)
    return RequestError(f"{param}={shown(told['input'])}: {told['msg']}.", param=param)


def _tool(tool: Mapping[str, Any], place: str) -> Tool:
    function = tool.get("function")
    if tool.get("type", "function") != "function" or not isinstance(function, dict):
        raise RequestError(
            f'{place}: {shown(tool)}: wanted {{"type": "function", "function": {{…}}}}.',
            param="tools",
        )
    name = function.get("name")
    if not isinstance(name, str) or not name or json.dumps(name, ensure_ascii=False) != f'"{name}"':
        raise RequestError(
            f"{place}.function.name={shown(name)}: wanted a name without quotes and controls.",
            param="tools",
        )
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        raise RequestError(
            f"{place}.function.parameters={shown(parameters)}: wanted a JSON Schema of an object.",
            param="tools",
        )
    return Tool(name, str(function.get("description") or ""), parameters)


def _wrong_choice(choice: Any) -> RequestError:
    return RequestError(
        f"tool_choice={shown(choice)}: wanted 'none', 'auto', 'required' or a function's name as "
        '{"type": "function", "function": {"name": …}}.',
        param="tool_choice",
    )


def _object_choice(choice: Mapping[str, Any], names: Sequence[str], parallel: bool) -> ToolChoice:
    """A named function, or OpenAI's `allowed_tools`: a mode and some of the tools."""
    try:
        if choice["type"] == "allowed_tools":
            allowed = choice["allowed_tools"]
            mode = allowed["mode"]
            wanted = tuple(tool["function"]["name"] for tool in allowed["tools"])
        else:
            mode, parallel = "required", False
            wanted = (choice["function"]["name"],)
    except (KeyError, TypeError):
        raise _wrong_choice(choice) from None
    if mode not in ("auto", "required") or not wanted:
        raise _wrong_choice(choice)
    for name in wanted:
        if name not in names:
            raise RequestError(
                f"tool_choice names {shown(name)}, which is not among the tools: "
                f"{', '.join(names) or 'none are given'}.",
                param="tool_choice",
            )
    return ToolChoice(mode, wanted, parallel)
