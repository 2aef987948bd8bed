"""A server that is told to stop: what is under way may end, for a time; then it is told why not."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import uvicorn
from scripted_engine import Hangs
from v1_client import CHAT, USER, Serve, serving

from function_calling.door.stopping import Stopping, StoppingDoor
from openai_endpoints import openai_api_app

serve = pytest.fixture(serving)


@pytest.fixture(autouse=True)
def other_tests_go_on() -> Iterator[None]:
    """The app is one for all tests."""
    before = openai_api_app.state.cutoff
    yield
    openai_api_app.state.cutoff = before


TOLD = (
    "The server was stopped before its answer was complete. Try again in 5 seconds.",
    "server_stopping",
)


class Server:
    """The model's `/v1` behind the door, and the stop of it."""

    def __init__(self, seconds: float) -> None:
        self.stopping = Stopping(seconds)
        self.uvicorn = uvicorn.Server(uvicorn.Config(openai_api_app))
        openai_api_app.state.cutoff = self.stopping.cutoff
        transport = httpx2.ASGITransport(StoppingDoor(openai_api_app, self.stopping))
        self._http = httpx2.AsyncClient(transport=transport, base_url="http://llama")

    async def post(self, path: str, body: Any) -> httpx2.Response:
        """Ask for something."""
        return await self._http.post(path, json={"model": "any", "max_tokens": 9, **body})

    async def stop(self) -> None:
        """What a signal does."""
        await self.stopping.stop(self.uvicorn)


CHAT_BODY = {"messages": [USER]}
ROUTES = [
    (CHAT, CHAT_BODY),
    ("/responses", {"input": "42", "max_output_tokens": 9, "max_tokens": None}),
    ("/messages", CHAT_BODY),
]


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_a_stream_that_takes_too_long_ends_with_the_error(
    serve: Serve, path: str, body: Any
) -> None:
    """In its protocol's way, and its generation ends."""
    engine, server = serve(Hangs("Hello")), Server(0.05)
    reply = asyncio.create_task(server.post(path, {**body, "stream": True}))
    await engine.hanging.wait()
    await server.stop()
    *_, last = frames = [each for each in (await reply).text.split("\n\n") if each]
    if path == CHAT:
        assert last == "data: [DONE]"
        error = json.loads(frames[-2].removeprefix("data: "))["error"]
        assert (error["message"], error["code"]) == TOLD
    else:
        assert last.startswith("event: error" if path == "/messages" else "event: response.failed")
        assert TOLD[0] in last
    assert server.uvicorn.should_exit
    assert engine.aborted == 1


async def test_a_whole_reply_that_takes_too_long_is_503(serve: Serve) -> None:
    """It says when to come again."""
    engine, server = serve(Hangs("Hello")), Server(0.05)
    reply = asyncio.create_task(server.post(CHAT, CHAT_BODY))
    await engine.hanging.wait()
    await server.stop()
    response = await reply
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    error = response.json()["error"]
    assert (error["message"], error["code"]) == TOLD


async def test_nothing_new_begins_while_others_end(serve: Serve) -> None:
    """The server ends as soon as the last request has."""
    serve("Hello")
    server = Server(60)
    with server.stopping.request():
        stop = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        refused = await server.post(CHAT, CHAT_BODY)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert refused.json()["error"]["code"] == "server_stopping"
        assert not server.uvicorn.should_exit
    await stop
    assert server.uvicorn.should_exit
