"""The service on a real port, with a scripted model, and a browser before it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn
from hosts import free_port
from scripted_server import ScriptedServer, Turn
from served import Served
from starlette.types import ASGIApp

HERE = "127.0.0.1"
CHROMIUM = Path("/usr/bin/chromium")


@contextmanager
def listening_app(app: ASGIApp) -> Iterator[str]:
    """Serve an app that has been started already; its URL."""
    port = free_port(HERE)
    config = uvicorn.Config(app, HERE, port, lifespan="off", log_level="error", ws="none")
    server = uvicorn.Server(config)
    started = asyncio.Event()
    thread = Thread(target=server.run)
    thread.start()
    try:
        yield f"http://{HERE}:{port}"
    finally:
        server.should_exit = True
        thread.join()
