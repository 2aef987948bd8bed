"""The chosen tools for any MCP client, which lists them with their schemas and calls them.

The protocol is the Model Context Protocol's
(https://modelcontextprotocol.io/specification/2026-07-28/server/tools); the SDK serves its older
versions as well. The check of a call and its bounds are the toolbox's own. To import this takes a
second.
"""

import json
import sys
from contextlib import redirect_stdout
from decimal import Decimal
from hashlib import sha256
from typing import Any, TypeAlias

from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.types import ASGIApp, Receive, Scope, Send

from function_calling.errors import one_line
from function_calling.settings import Settings
from function_calling.toolbox.json_text import json_text
from function_calling.toolbox.tool_sets import ToolSet
from function_calling.toolbox.toolbox import Approve, Toolbox

Context: TypeAlias = ServerRequestContext[Any, Any]

_YES_OR_NO: dict[str, Any] = {"type": "object", "properties": {}}
"""The form of a question whose answer is that it is accepted or declined."""


class _Asked(Exception):
    """A tool waits for a yes; the client calls it again with the answer."""

    def __init__(self, question: InputRequiredResult) -> None:
        self.question = question


def mcp_server(tools: ToolSet, settings: Settings) -> Server[Any]:
    """A server of the tools, but for the one that only turns a chat's message away.

    What is marked as `Said` is not looked for, since there is no conversation. A tool that needs
    a yes gets it from the person at the client alone, whatever `APPROVAL` is.
    """
    toolbox = Toolbox(
        [each for each in tools.functions if each is not tools.reply_without_tool],
        byte_limit=settings.tool_result_bytes,
        approval="refused",
    )
    listed = [_described(toolbox, **each["function"]) for each in toolbox.schemas]
    schemas = {tool.name: tool.input_schema for tool in listed}

    async def list_tools(_: Context, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=listed)

    async def call_tool(
        context: Context, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        try:
            result = await toolbox.call(
                params.name,
                json.dumps(params.arguments or {}),
                time_limit=settings.tool_timeout,
                approve=_approval(context, params),
            )
        except _Asked as asked:
            return asked.question
        if params.name not in schemas:
            raise MCPError(INVALID_PARAMS, result.content)
        return CallToolResult(
            content=[TextContent(text=result.content)],
            structured_content=_as_object(result.content) if result.ok else None,
            is_error=not result.ok,
        )

    return Server(
        "function-calling",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=schemas.get,
    )


def http_app(server: Server[Any]) -> ASGIApp:
    """The server over HTTP, without sessions: any replica answers any request."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        # One manager for each request, so that none has to run from start to end.
        manager = StreamableHTTPSessionManager(server, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    return answer


async def serve_stdio(server: Server[Any]) -> None:
    """Serve one client on standard input and output, until it closes the input.

    What tools print goes to standard error.
    """
    async with stdio_server() as (reading, writing):
        with redirect_stdout(sys.stderr):
            await server.run(reading, writing, server.create_initialization_options())


def _described(toolbox: Toolbox, name: str, description: str, parameters: dict[str, Any]) -> Tool:
    """A tool as MCP lists it, with hints for clients that ask a person by themselves."""
    hints = ToolAnnotations(
        read_only_hint=not toolbox.changes(name), destructive_hint=toolbox.wants_approval(name)
    )
    return Tool(name=name, description=description, input_schema=parameters, annotations=hints)


def _approval(context: Context, params: CallToolRequestParams) -> Approve | None:
    """Asks the person at the client; None where the client can't ask.

    It asks by elicitation (https://modelcontextprotocol.io/specification/2026-07-28/client/elicitation).
    """
    capabilities = context.session.client_capabilities
    can = capabilities and capabilities.elicitation
    if not can or (can.url and not can.form):
        return None

    async def approve(name: str, arguments: Any) -> bool:
        question = one_line(f"May {name} run with {json_text(dict(arguments))}?")
        if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            answer = await context.session.elicit_form(question, _YES_OR_NO, context.request_id)
            return answer.action == "accept"
        # Under this key, a yes to one question is none to another.
        key = sha256(question.encode()).hexdigest()
        given = (params.input_responses or {}).get(key)
        if given is None:
            form = ElicitRequestFormParams(message=question, requested_schema=_YES_OR_NO)
            raise _Asked(InputRequiredResult(input_requests={key: ElicitRequest(params=form)}))
        return isinstance(given, ElicitResult) and given.action == "accept"

    return approve


def _as_object(text: str) -> dict[str, Any] | None:
    """The JSON object that `text` is; None for other text, or where a number would lose digits."""
    try:
        value = json.loads(text, parse_float=_exact)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _exact(text: str) -> float:
    number = float(text)
    if Decimal(repr(number)) != Decimal(text):
        raise ValueError(f"{text} has no float")
    return number
