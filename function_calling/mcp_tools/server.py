"""The chosen tools for any MCP client, which lists them with their schemas and calls them.

The protocol is the Model Context Protocol's, also in older versions
(https://modelcontextprotocol.io/specification/2026-07-28/server/tools). The check of a call and its
bounds are the toolbox's own. To import this takes a second.
"""

import json
import sys
from contextlib import redirect_stdout, suppress
from hashlib import sha256
from typing import Any, TypeAlias

import anyio
import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic_core import from_json
from starlette.types import Receive, Scope, Send

from function_calling.errors import one_line
from function_calling.settings import Settings
from function_calling.toolbox.json_text import json_text
from function_calling.toolbox.tool_sets import ToolSet
from function_calling.toolbox.toolbox import Approve, Toolbox

Context: TypeAlias = ServerRequestContext[Any, Any]


class McpServer:
    """Offers the tools, but for the one that only turns a chat's message away.

    What is marked as `Said` is not looked for, since there is no conversation. A tool that needs a
    yes gets it from the person at the client alone, whatever `APPROVAL` is.
    """

    def __init__(self, tools: ToolSet, settings: Settings) -> None:
        self._toolbox = Toolbox(
            [each for each in tools.functions if each is not tools.reply_without_tool],
            byte_limit=settings.tool_result_bytes,
            approval="refused",
        )
        self._time_limit = settings.tool_timeout
        self.protocol = Server(
            "function-calling", on_list_tools=self._list, on_call_tool=self._call
        )

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, without a session: any replica answers any request."""
        # A manager can be run once. With its own, no request needs one that runs all the time.
        manager = StreamableHTTPSessionManager(self.protocol, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    async def serve_stdio(self) -> None:
        """Serve one client on standard input and output, until it closes the input.

        The SDK keeps to the version that is asked for first. A client that asks for the newest one
        while this starts may have gone back to an older one before it is answered, so a handshake
        begins anew.
        """
        options = self.protocol.create_initialization_options()
        sending = None
        async with stdio_server() as (reading, writing):
            with redirect_stdout(sys.stderr):  # what tools print
                async with writing, anyio.create_task_group() as tasks:
                    async for read in reading:
                        if sending is None or _begins(read):
                            if sending:
                                sending.close()
                            sending, received = anyio.create_memory_object_stream[Any]()
                            tasks.start_soon(self.protocol.run, received, writing.clone(), options)
                        await sending.send(read)
                    if sending:
                        sending.close()

    async def _list(self, _: Context, __: types.PaginatedRequestParams | None) -> Any:
        tools = [self._listed(**schema["function"]) for schema in self._toolbox.schemas]
        return types.ListToolsResult(tools=tools)

    def _listed(self, name: str, description: str, parameters: dict[str, Any]) -> types.Tool:
        hints = types.ToolAnnotations(
            read_only_hint=not self._toolbox.changes(name),
            destructive_hint=self._toolbox.wants_approval(name),
        )
        return types.Tool(
            name=name, description=description, input_schema=parameters, annotations=hints
        )

    async def _call(self, context: Context, params: types.CallToolRequestParams) -> Any:
        try:
            result = await self._toolbox.call(
                params.name,
                json.dumps(params.arguments or {}),
                time_limit=self._time_limit,
                approve=_approval(context, params),
            )
        except _Asked as asked:
            return types.InputRequiredResult(input_requests=asked.args[0])
        if params.name not in self._toolbox.descriptions:
            raise MCPError(types.INVALID_PARAMS, result.content)
        value = None
        with suppress(ValueError):
            value = from_json(result.content, allow_inf_nan=False)
        return types.CallToolResult(
            content=[types.TextContent(text=result.content)],
            structured_content=value if isinstance(value, dict) else None,
            is_error=not result.ok,
        )


def _begins(read: Any) -> bool:
    """Whether what was read is the handshake of an older version."""
    return isinstance(read, SessionMessage) and getattr(read.message, "method", "") == "initialize"


class _Asked(Exception):
    """A tool waits for a yes: holds the question by its key, which the client is to answer."""


def _approval(context: Context, params: types.CallToolRequestParams) -> Approve | None:
    """Asks the person at the client; None where the client can't ask.

    It asks by elicitation (https://modelcontextprotocol.io/specification/2026-07-28/client/elicitation).
    """
    capabilities = context.session.client_capabilities
    can = capabilities and capabilities.elicitation
    if not can or (can.url and not can.form):
        return None

    async def approve(name: str, arguments: Any) -> bool:
        form = types.ElicitRequestFormParams(
            message=one_line(f"May {name} run with {json_text(dict(arguments))}?"),
            requested_schema={"type": "object", "properties": {}},
        )
        if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            answer: Any = await context.session.elicit_form(
                form.message, form.requested_schema, context.request_id
            )
        else:
            # Under this key, a yes to one question is none to another.
            key = sha256(form.message.encode()).hexdigest()
            answer = (params.input_responses or {}).get(key)
            if answer is None:
                raise _Asked({key: types.ElicitRequest(params=form)})
        return isinstance(answer, types.ElicitResult) and answer.action == "accept"

    return approve
