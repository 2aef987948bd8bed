"""The way to the MCP server, whose package `mcp` is loaded when it is first needed."""

import asyncio
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from function_calling.errors import ApiError
from function_calling.settings import Settings
from function_calling.toolbox.tool_sets import ToolSet


def mcp_server(tools: ToolSet, settings: Settings) -> Any:
    """The `McpServer` of the tools; an ApiError where its package is missing."""
    try:
        from function_calling.mcp_tools.server import McpServer
    except ModuleNotFoundError as error:
        told = "The package mcp is not installed here: `make mcp` installs it."
        raise ApiError(told, status=501) from error
    return McpServer(tools, settings)


class McpEndpoint:
    """ASGI app that answers MCP's requests; what it refuses has an error in OpenAI's shape."""

    def offer(self, tools: ToolSet, settings: Settings) -> None:
        """Answer with these tools from now on."""
        self._parts = tools, settings
        self._server: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            if self._server is None:
                self._server = await asyncio.to_thread(mcp_server, *self._parts)
        except ApiError as error:
            return await JSONResponse(error.body(), error.status)(scope, receive, send)
        await self._server.answer(scope, receive, send)
