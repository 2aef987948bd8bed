"""The command `mcp`: the chosen tools as an MCP server on standard input and output."""

import argparse
import asyncio
import os
import signal
import sys
from contextlib import closing, redirect_stdout
from functools import partial

from function_calling.mcp_tools.endpoint import mcp_server
from function_calling.settings import Settings
from function_calling.toolbox.tool_sets import load_tool_sets
from tools import TOOL_SETS


def serve_mcp(options: argparse.Namespace) -> int:
    """Serve one client until it is done; the exit status."""
    chosen = {"TOOLS": options.tools} if options.tools else {}
    settings = Settings.from_env({**os.environ, **chosen})
    known = {name: partial(make, settings) for name, make in TOOL_SETS.items()}
    with redirect_stdout(sys.stderr):
        tools = load_tool_sets(settings.tools, known)
    with closing(tools):
        server = mcp_server(tools, settings)
        # The thread that waits for input would keep an exception from ending the process.
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.SIG_DFL)
        asyncio.run(server.serve_stdio())
    return 0
