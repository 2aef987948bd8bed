"""MCP over HTTP as an ASGI app, which loads the package `mcp` when it is first asked.

A page in somebody's browser may not use the tools: the names in `Host` and `Origin` must be ours
(https://modelcontextprotocol.io/specification/2026-07-28/basic/transports).
"""

import asyncio
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from function_calling.errors import ApiError, RequestError, shown
from function_calling.settings import Settings
from function_calling.toolbox.tool_sets import ToolSet

NOT_INSTALLED = "The package mcp is not installed here: `make mcp` installs it."
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class McpEndpoint:
    """Answers MCP's requests with the tools that it is given."""

    def offer(self, tools: ToolSet, settings: Settings) -> None:
        """Answer with these tools, to requests for the hosts of `MCP_HOSTS` and of this machine."""
        self._tools = tools
        self._settings = settings
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with an error in OpenAI's shape."""
        try:
            self._check(scope)
            app = await asyncio.to_thread(self._loaded) if self._app is None else self._app
        except ApiError as error:
            return await JSONResponse(error.body(), error.status)(scope, receive, send)
        await app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        # A page of a foreign site can have a name of its own lead here, but no bare address.
        address = (scope.get("server") or ("",))[0]
        names = self._settings.mcp_hosts.lower().replace(",", " ").split()
        claims = [("Host", f"//{headers.get('host', '')}", 421)]
        if "origin" in headers:
            claims.append(("Origin", headers["origin"], 403))
        for header, url, status in claims:
            if _name(url) not in (*LOOPBACK, address, *names):
                raise RequestError(
                    f"{header} is {shown(url.removeprefix('//'))}; wanted localhost, the address "
                    "of this server or a name in MCP_HOSTS.",
                    status=status,
                )

    def _loaded(self) -> ASGIApp:
        try:
            from function_calling.mcp_tools.server import http_app, mcp_server
        except ModuleNotFoundError as error:
            raise ApiError(NOT_INSTALLED, status=501) from error
        app = self._app = http_app(mcp_server(self._tools, self._settings))
        return app


def _name(url: str) -> str | None:
    """The host in an address, in small letters and without its port; None where there is none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
