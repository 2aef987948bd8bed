"""The way to the MCP server, whose package `mcp` is loaded when it is first needed.

A page in somebody's browser may not use the tools: the names in `Host` and `Origin` must be ours
(https://modelcontextprotocol.io/specification/2026-07-28/basic/transports).
"""

import asyncio
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from function_calling.errors import ApiError, RequestError, shown
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
        self._hosts = {"localhost", "127.0.0.1", "::1"}
        self._hosts.update(settings.mcp_hosts.lower().replace(",", " ").split())
        self._server: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            self._check(scope)
            if self._server is None:
                self._server = await asyncio.to_thread(mcp_server, *self._parts)
        except ApiError as error:
            return await JSONResponse(error.body(), error.status)(scope, receive, send)
        await self._server.answer(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host, origin = f"//{headers.get('host', '')}", headers.get("origin", "//localhost")
        for header, url, status in (("Host", host, 421), ("Origin", origin, 403)):
            with suppress(ValueError):
                # A name can be made to lead here from a foreign page, a bare address can't.
                if urlsplit(url).hostname in {*self._hosts, *(scope.get("server") or ())[:1]}:
                    continue
            raise RequestError(
                f"{header} is {shown(url.removeprefix('//'))}; wanted localhost, the server's "
                "address or a name in MCP_HOSTS.",
                status=status,
            )
