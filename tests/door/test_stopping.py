"""A server that is told to stop: what is under way may end, for a time; then it is told why not."""

import asyncio
import json
from collections.abc import Iterator

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

    async def chat(self, *, stream: bool = False) -> httpx2.Response:
        """Ask for something."""
        body = {"model": "any", "messages": [USER], "stream": stream}
        return await self._http.post(CHAT, json=body)


async def test_what_takes_too_long_ends_with_the_error(serve: Serve) -> None:
    """Whole or streamed, and its generation ends; it says when to come again."""
    for stream in (True, False):
        engine, server = serve(Hangs("Hello")), Server(0.05)
        reply = asyncio.create_task(server.chat(stream=stream))
        await engine.hanging.wait()
        await server.stopping.stop(server.uvicorn)
        response = await reply
        if stream:
            *_, told, done = [each for each in response.text.split("\n\n") if each]
            assert done == "data: [DONE]"
            error = json.loads(told.removeprefix("data: "))["error"]
        else:
            assert (response.status_code, response.headers["retry-after"]) == (503, "5")
            error = response.json()["error"]
        assert (error["message"], error["code"]) == TOLD
        assert server.uvicorn.should_exit
        assert engine.aborted == 1


async def test_nothing_new_begins_while_others_end(serve: Serve) -> None:
    """The server ends as soon as the last request has."""
    serve("Hello")
    server = Server(60)
    with server.stopping.request():
        stop = asyncio.create_task(server.stopping.stop(server.uvicorn))
        await asyncio.sleep(0)
        refused = await server.chat()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert refused.json()["error"]["code"] == "server_stopping"
        assert not server.uvicorn.should_exit
    await stop
    assert server.uvicorn.should_exit
