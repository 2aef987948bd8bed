"""The command `mcp`: the chosen tools as an MCP server on standard input and output."""

import argparse
import asyncio
import os
import signal
import sys
from contextlib import closing, redirect_stdout
from functools import partial

from function_calling.errors import ApiError
from function_calling.mcp_tools.endpoint import NOT_INSTALLED
from function_calling.settings import Settings
from function_calling.toolbox.tool_sets import load_tool_sets
from tools import TOOL_SETS


def serve_mcp(options: argparse.Namespace) -> int:
    """Serve one client until it is done; the exit status."""
    settings = Settings.from_env(
        {**os.environ, **({"TOOLS": options.tools} if options.tools else {})}
    )
    try:
        from function_calling.mcp_tools.server import mcp_server, serve_stdio
    except ModuleNotFoundError as error:
        raise ApiError(NOT_INSTALLED) from error
    known = {name: partial(make, settings) for name, make in TOOL_SETS.items()}
    with redirect_stdout(sys.stderr):
        tools = load_tool_sets(settings.tools, known)
    # The thread that waits for input would keep an exception from ending the process.
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_DFL)
    with closing(tools):
        asyncio.run(serve_stdio(mcp_server(tools, settings)))
    return 0
