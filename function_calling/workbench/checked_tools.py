"""The tools of a request, their schemas checked, where no model is there to check them."""

from function_calling.chat_request import ChatRequest
from function_calling.errors import RequestError
from function_calling.messages import Tool
from function_calling.schemas import enforceable


def checked_tools(chat: ChatRequest) -> list[Tool]:
    """The tools that are offered.

    Raises:
        RequestError: `/v1` would refuse a tool or its schema.
    """
    tools = chat.offered_tools()
    for tool in tools:
        try:
            enforceable(tool.parameters, longest_string=1)
        except RequestError as error:
            raise RequestError(f"Tool {tool.name}: {error.message}", param="tools") from error
    return tools
