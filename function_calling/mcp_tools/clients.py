"""The tools of MCP servers, for the assistant to call beside its own.

All connections live in a thread of their own, which closing waits for, so that no process is left
behind; each in one task that connects, and does so again after a failure: nobody waits for a server
that is slow or away, and it costs its own tools alone.
What a server says is data: bounded, and checked against its own schemas.
"""

import asyncio
import json
import logging
import math
import os
import re
from collections.abc import AsyncIterator, Collection, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from itertools import islice
from threading import Thread
from time import monotonic
from typing import Any

import anyio
import httpx2
from anyio.from_thread import BlockingPortal
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import INVALID_PARAMS, METHOD_NOT_FOUND, CallToolResult, ResourceLink
from mcp.types import Tool as Listed

from function_calling.errors import ToolError, one_line
from function_calling.mcp_tools.schemas import is_usable, problems
from function_calling.mcp_tools.servers_file import ServerEntry
from function_calling.toolbox.json_text import json_text
from function_calling.toolbox.schema import FunctionSchema
from function_calling.toolbox.tool_sets import ToolSet
from function_calling.toolbox.toolbox import needs_approval

START_SECONDS, ANEW_SECONDS = 10, 2
"""How long questions wait: from the start, for servers that start; later, for new lists."""
CONNECT_SECONDS, CLOSE_SECONDS, LONGEST_PAUSE = 60, 8, 60
"""The last is between attempts to connect: 0, 1, 2, 4 …"""
MOST_TOOLS, MOST_PAGES = 32, 20
"""Of a server's list."""
LONGEST_DESCRIPTION, LONGEST_LOGGED = 1000, 1000
"""Characters of a tool's; of what a line of the log tells of a server."""
LONGEST_NAME = 64
"""By https://platform.openai.com/docs/api-reference/chat/create."""

_log = logging.getLogger(__name__)


class Servers:
    """Servers that are connected until they are closed."""

    def __init__(self, entries: Mapping[str, ServerEntry]) -> None:
        self._servers: list[_Server] = []
        for name, entry in entries.items():
            # It stays this one's while others come and go: a yes may be for a tool that it names.
            taken = [each.prefix for each in self._servers]
            prefix = _free_name(name[: LONGEST_NAME // 2], taken)
            self._servers.append(_Server(prefix, entry))
        started: Future[BlockingPortal] = Future()
        self._thread = Thread(target=anyio.run, args=(self._run, started), daemon=True)
        self._thread.start()
        self._portal = started.result()
        self._started = monotonic() + START_SECONDS
        for each in self._servers:
            self._portal.start_task_soon(each.keep)

    async def _run(self, started: "Future[BlockingPortal]") -> None:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()

    async def tools(self, taken: Collection[str]) -> ToolSet:
        """The tools of the servers that are there, under names that are not taken."""
        await self._portal.call_async(self._list_anew)
        tools: dict[str, _ServersTool] = {}
        for server in self._servers:
            for listed in server.listed:
                name = _free_name(f"{server.prefix}_{listed.name}", {*taken, *tools})
                tools[name] = _ServersTool(name, listed, server, self._portal)
        topic = " or ".join(each.prefix for each in self._servers if each.listed)
        return ToolSet(functions=list(tools.values()), topic=topic)

    async def _list_anew(self) -> None:
        to_start = self._started - monotonic()
        with anyio.move_on_after(max(to_start, ANEW_SECONDS)):
            async with anyio.create_task_group() as tasks:
                for each in self._servers:
                    # One that was too late for an earlier question is not waited for again.
                    if to_start > 0 or each.there:
                        tasks.start_soon(each.list_anew)

    def close(self) -> None:
        """Disconnect, which ends those that were started."""
        if self._thread.is_alive():
            self._portal.call(self._portal.stop, True)
            self._thread.join(CLOSE_SECONDS)


class _Server:
    """One server, and the task that keeps it connected.

    Attributes:
        prefix: Its name, as the names of its tools begin.
        listed: Its tools, while it is there.
    """

    def __init__(self, prefix: str, entry: ServerEntry) -> None:
        self.prefix = prefix
        self.listed: list[Listed] = []
        self._entry = entry
        # While it is there: the client, and what ends the connection by an error.
        self._connection: tuple[Client, asyncio.Future[None]] | None = None
        self._settled = asyncio.Event()  # it is there, or did not come
        self._calls = 0  # under way

    @property
    def there(self) -> bool:
        """Whether it is connected, as far as is known."""
        return self._connection is not None

    async def keep(self) -> None:
        """Connect, and again whenever it fails, until this is cancelled."""
        mode, pause = "auto", 0
        while True:
            try:
                await self._connect(mode)
            except Exception as error:
                if self.there:
                    pause = 0
                elif self._entry.command:
                    # Some servers of older versions end at a question that they don't know.
                    mode = "auto" if mode == "legacy" else "legacy"
                why: BaseException = error
                while isinstance(why, BaseExceptionGroup):
                    why = why.exceptions[0]
                told = one_line(f"{type(why).__name__}: {why}"[:LONGEST_LOGGED])
                level = logging.DEBUG if pause else logging.WARNING
                _log.log(level, "MCP server %s is away (%s)", self.prefix, told)
            finally:
                self._connection, self.listed = None, []
            if pause:
                self._settled.set()
                await anyio.sleep(pause)
            pause = min(max(1, 2 * pause), LONGEST_PAUSE)

    async def _connect(self, mode: str) -> None:
        with anyio.fail_after(CONNECT_SECONDS) as limit:
            # A list from a cache would not tell that the server is gone.
            async with Client(self._transport(), cache=None, mode=mode) as client:
                self.listed = await self._list(client)
                limit.deadline = math.inf
                lost = asyncio.get_running_loop().create_future()
                self._connection = client, lost
                self._settled.set()
                await lost

    async def list_anew(self) -> None:
        """Have the tools listed as they are now; wait for a server that starts, or starts again."""
        if self._connection:
            client, lost = self._connection
            try:
                self.listed = await self._list(client)
            except Exception as error:
                # A call that is under way would end with the connection, and may do well.
                if not (lost.done() or self._calls):
                    self._settled.clear()
                    lost.set_exception(error)
        await self._settled.wait()

    async def _list(self, client: Client) -> list[Listed]:
        tools: list[Listed] = []
        cursor = None
        for _ in range(MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            tools += [each for each in page.tools if self._entry.wants(each.name)]
            if not (cursor := page.next_cursor):
                break
        good = (each for each in tools if each in self.listed or _can_be_called(each))
        usable = list(islice(good, MOST_TOOLS))
        kept = {each.name for each in usable}
        out = ", ".join(each.name for each in tools if each.name not in kept)[:LONGEST_LOGGED]
        if out and not (self.there and usable == self.listed):
            _log.warning("MCP server %s: tools left out: %s", self.prefix, one_line(out))
        return usable

    async def call(self, tool: "_ServersTool", arguments: dict[str, Any]) -> str | None:
        """What a tool returns, or a ToolError."""
        if self._connection is None:
            raise ToolError(f"{tool.name} was not called: its server is away.")
        client, _ = self._connection
        self._calls += 1
        try:
            result = await client.call_tool(tool.listed.name, arguments)
        except Exception as error:
            # By the protocol, a server refuses so what it has not begun.
            broke = getattr(error, "code", None) not in (INVALID_PARAMS, METHOD_NOT_FOUND)
            unknown = "; whether it did anything is unknown" if broke and not tool.harmless else ""
            problem = f"Tool {tool.name} failed{unknown}."
            raise ToolError(problem, advice=str(error), broke=broke) from error
        finally:
            self._calls -= 1
        if result.is_error:
            raise ToolError(f"Tool {tool.name} failed.", advice=_text(result) or "")
        return _text(result)

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        if self._entry.command:
            # One byte that is no UTF-8 would end the connection.
            started = StdioServerParameters(
                **self._entry.model_dump(), encoding_error_handler="replace"
            )
            # A person at a terminal reads the assistant, and a log what its servers write.
            silent = os.isatty(2)
            with open(os.devnull if silent else 2, "w", closefd=silent) as errors:  # noqa: ASYNC230
                async with stdio_client(started, errors) as streams:
                    yield streams
        else:
            timeout = httpx2.Timeout(CONNECT_SECONDS, read=None)
            async with (
                httpx2.AsyncClient(headers=self._entry.headers, timeout=timeout) as http,
                streamable_http_client(self._entry.url, http_client=http) as streams,
            ):
                yield streams


class _ServersTool(FunctionSchema):
    """A server's tool, which needs a yes where it is not marked as one that only reads."""

    def __init__(self, name: str, listed: Listed, server: _Server, portal: BlockingPortal) -> None:
        async def function(**arguments: Any) -> str | None:
            return await portal.call_async(server.call, self, arguments, abandon_on_cancel=True)

        self.name = name
        self.listed = listed
        self.description = (listed.description or listed.title or listed.name)[:LONGEST_DESCRIPTION]
        self.parameters = listed.input_schema
        self.said = {}
        self.harmless = bool(listed.annotations and listed.annotations.read_only_hint)
        self.function = function if self.harmless else needs_approval(function)

    def _checked(self, written: dict[str, Any]) -> dict[str, Any]:
        # On the wire a number is JSON's, and half a surrogate pair would end the connection.
        arguments: dict[str, Any] = json.loads(json_text(written).encode(errors="replace"))
        if wrong := problems(arguments, self.parameters):
            raise self._wrong(f"{'; '.join(wrong)}.")
        return arguments


def _free_name(wanted: str, taken: Collection[str]) -> str:
    """A name of the characters and the length that OpenAI allows, which is not taken."""
    wanted = re.sub(r"[^A-Za-z0-9_-]", "_", wanted)
    ends = ["", *(f"_{number}" for number in range(2, len(taken) + 3))]
    names = (wanted[: LONGEST_NAME - len(end)] + end for end in ends)
    return next(each for each in names if each not in taken)


def _can_be_called(tool: Listed) -> bool:
    """Whether a tool's schema can be used, and a plain call is answered, not as a task alone."""
    as_task = tool.execution is not None and tool.execution.task_support == "required"
    return not as_task and is_usable(tool.input_schema)


def _text(result: CallToolResult) -> str | None:
    """What a model reads of a result: texts, links, or else data without files; others' kinds."""
    parts = [getattr(each, "resource", each) for each in result.content]
    told = [
        json_text(part.model_dump(include={"name", "uri", "description"}, exclude_none=True))
        if isinstance(part, ResourceLink)
        else str(getattr(part, "text", f"[Left out: {each.type}]"))
        for each, part in zip(result.content, parts, strict=True)
    ]
    if result.structured_content is not None and "text" not in [it.type for it in result.content]:
        data = json_text(result.structured_content)
        files = (getattr(part, "data", getattr(part, "blob", None)) for part in parts)
        if not any(each is not None and each in data for each in files):
            told.insert(0, data)
    return "\n".join(told) or None
