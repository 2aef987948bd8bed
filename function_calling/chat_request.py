"""OpenAI's chat-completion request as the model half's own words.

https://platform.openai.com/docs/api-reference/chat/create, with the older `functions`, vLLM's
`chat_template_kwargs`, and two fields of our own: `tool_format` and `whole_tool_calls`.
"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from function_calling.api_request import ApiRequest
from function_calling.errors import RequestError
from function_calling.model.words import ContentFormat, Sampling, Tool, ToolChoice
from function_calling.response_format import content_format
from function_calling.tools_in import flat, function_choice, offered, tool_choice

MOST_MESSAGES = 4096
"""Messages of a request at most."""


class ChatRequest(ApiRequest):
    """The parameters that are supported, checked; names and ranges are OpenAI's.

    Attributes:
        tool_format: The format in which the model is to call tools; None means its own.
        whole_tool_calls: Whether calls leave a stream whole, in its last delta, and no delta
            lacks what older clients read in each.
        chat_template_kwargs: More variables for the model's chat template.
    """

    unsupported: ClassVar = {
        "audio": (),
        "modalities": (["text"],),
        "moderation": (),
        "reasoning_effort": ("none",),
    }

    messages: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_MESSAGES)]
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    tool_format: str | None = None
    whole_tool_calls: bool | None = None

    @property
    def legacy(self) -> bool:
        """Whether it offers functions, as clients did before there were tools."""
        return bool(self.functions)

    @property
    def whole_calls(self) -> bool:
        """Whether calls are streamed as older clients read them.

        Unless it is said, the spelling of the tools tells: who sends ToolBench's reads them so.
        """
        if self.whole_tool_calls is None:
            return flat(self.tools or [])
        return self.whole_tool_calls

    def samplings(self) -> list[Sampling]:
        """How each of the replies is to be generated."""
        if self.top_logprobs and not self.logprobs:
            raise RequestError(
                f"top_logprobs={self.top_logprobs}: wanted logprobs=true with it.",
                param="top_logprobs",
            )
        logprobs = (self.top_logprobs or 0) if self.logprobs else None
        return self.alike(self.max_completion_tokens or self.max_tokens, logprobs)

    def template_options(self) -> dict[str, Any]:
        """More variables for the chat template; no effort asks it for no reasoning."""
        no_effort = {"enable_thinking": False} if self.reasoning_effort == "none" else {}
        return no_effort | (self.chat_template_kwargs or {})

    def content(self) -> ContentFormat | None:
        """What the reply's content must be; None where it is free text."""
        return content_format(self.response_format)

    def offered_tools(self) -> list[Tool]:
        """The tools that the model is told of, in whichever parameter they came."""
        for new, old in (("tools", "functions"), ("tool_choice", "functions")):
            self._not_both(new, old)
        self._not_both("tools", "function_call")
        return offered(self.functions or self.tools or [], "functions" if self.legacy else "tools")

    def _not_both(self, new: str, old: str) -> None:
        if getattr(self, new) and getattr(self, old):
            raise RequestError(
                f"{new} and {old}: wanted one of them. {old} is the older way; with tools go "
                "tool_choice and tool_calls, with functions function_call.",
                param=old,
            )

    def choice(self, tools: Sequence[Tool]) -> ToolChoice:
        """Which calls the reply may or must make."""
        if self.function_call is not None or self.legacy:
            return function_choice(self.function_call, tools)
        return tool_choice(self.tool_choice, self.parallel_tool_calls is not False, tools)
