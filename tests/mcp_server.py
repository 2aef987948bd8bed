"""A small MCP server on the SDK, by stdio or, given a port, by HTTP; as a process of its own.

It keeps what happened in a folder: a line in `started` for each start, and one in `notes` for each
note. Where the folder holds `more`, it has a tool more; where it holds `deadly`, calls kill it;
where it holds `endless`, its list has no end; where it holds `failing`, there is no list.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from mcp import MCPError
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    BlobResourceContents,
    CallToolRequestParams,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ListToolsResult,
    ResourceLink,
    TextContent,
    Tool,
    ToolAnnotations,
)

DESCRIBED = {
    "forecast": "Tell the temperature that is forecast for a city.",
    "note": "Write down a note about a city.",
}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}
NOTHING = {"type": "object", "properties": {}}
# To find out that text of some forty a's and a b does not match takes years.
SLOW = {
    "type": "object",
    "properties": {"text": {"type": "string", "pattern": "^(a+)+$"}},
    "patternProperties": {"^(a+)+$": {}},
    "additionalProperties": False,
}
SCHEMAS = {"forecast": CITY, "note": CITY, "slow": SLOW}
READING = ["forecast", "hang", "die", "fail", "long", "data", "x.y", "x_y", "slow"]
READING += ["picture", "photo", "file", "links"]
CHANGING = ["note", "refuse", "die_noting"]


def tools(folder: Path) -> list[Tool]:
    """What is offered now."""
    names = [*READING, *CHANGING] + ["more"] * (folder / "more").exists()
    known = [
        Tool(
            name=name,
            description=DESCRIBED.get(name, f"Do {name}."),
            input_schema=SCHEMAS.get(name, NOTHING),
            annotations=None if name in CHANGING else ToolAnnotations(read_only_hint=True),
        )
        for name in names
    ]
    broken = {"type": "object", "properties": {"x": {"type": "nothing"}}}
    return [*known, Tool(name="broken", input_schema=broken)]


def text(told: str, **rest: Any) -> CallToolResult:
    """A result of text alone."""
    return CallToolResult(content=[TextContent(text=told)], **rest)


async def result(folder: Path, name: str, given: dict[str, Any]) -> CallToolResult:
    """What comes of a call."""
    if name == "hang":
        await asyncio.Event().wait()
    if name.startswith("die") or (folder / "deadly").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "refuse":
        raise MCPError(INVALID_PARAMS, "There is no such city.")
    if name == "forecast":
        return text(f"It will have {given.get('days', 1) * 10} degrees in {given['city']}.")
    if name == "note":
        with (folder / "notes").open("a") as notes:
            notes.write(f"{given['city']}\n")
    image = ImageContent(data="AAAA", mime_type="image/png")
    file = EmbeddedResource(resource=BlobResourceContents(uri="file:///a.gz", blob="AAAA"))
    link = ResourceLink(name="Map", uri="geo:59,10", description="Of Oslo.", mime_type="text/html")
    fixed = {
        "fail": text("The station is closed.", is_error=True),
        "long": text("sun " * 5000),
        "data": CallToolResult(content=[], structured_content={"key": os.environ.get("KEY")}),
        "photo": CallToolResult(
            content=[image], structured_content={"content": [image.model_dump()]}
        ),
        "picture": CallToolResult(content=[TextContent(text="Clouds."), image]),
        "file": CallToolResult(content=[file], structured_content={"content": [file.model_dump()]}),
        "links": CallToolResult(content=[link]),
    }
    return fixed.get(name) or text(f"{name} was called.")


def server(folder: Path) -> Server:
    """The server over a folder."""
    with (folder / "started").open("a") as started:
        started.write(f"{os.getpid()}\n")
    print("Ready to serve.", file=sys.stderr, flush=True)

    async def listed(*_: Any) -> ListToolsResult:
        if (folder / "failing").exists():
            raise MCPError(INTERNAL_ERROR, "I am busy.")
        endless = (folder / "endless").exists()
        return ListToolsResult(tools=tools(folder), next_cursor="on" if endless else None)

    async def called(_: Any, asked: CallToolRequestParams) -> CallToolResult:
        return await result(folder, asked.name, asked.arguments or {})

    return Server("weather", on_list_tools=listed, on_call_tool=called)


async def by_stdio(served: Server) -> None:
    """Serve until stdin ends."""
    async with stdio_server() as (reading, writing):
        await served.run(reading, writing, served.create_initialization_options())


if __name__ == "__main__":
    own = server(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        import uvicorn

        app = own.streamable_http_app()
        uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
    else:
        asyncio.run(by_stdio(own))
