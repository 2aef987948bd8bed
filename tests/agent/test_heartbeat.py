"""A model server that hangs is told apart from one that is slow, and from one of another make."""

import asyncio
from contextlib import aclosing

import httpx2
import pytest
from scripted_server import ScriptedServer, Turn, hangs, says

from function_calling.agent import heartbeat
from function_calling.agent.heartbeat import Heartbeat
from function_calling.agent.model_call import complete
from function_calling.errors import EngineError

REQUEST = {"model": "scripted", "messages": [], "max_tokens": 16}


class Living(ScriptedServer):
    """Says at `/livez` that it lives (200), or has no such route (404); or nothing (0, -1)."""

    def __init__(self, *turns: Turn, status: int) -> None:
        super().__init__(*turns)
        self.status = status
        self.beats = asyncio.Semaphore(0)
        self.http = self.client(Heartbeat(self))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer at once, or never."""
        if request.url.path != "/livez":
            return await super().handle_async_request(request)
        self.beats.release()
        if self.status < 0:
            raise httpx2.ReadTimeout("It took too long.")
        if not self.status:
            await asyncio.Event().wait()
        return httpx2.Response(self.status)

    async def replies(self) -> None:
        """Ask it, and hear it out."""
        async with aclosing(complete(self.http, REQUEST)) as parts:
            [each async for each in parts]


@pytest.fixture(autouse=True)
def beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """The question comes often."""
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)


@pytest.mark.parametrize(
    ("turn", "status"), [(Turn(hangs=True), 0), (hangs(), -1)], ids=["no byte", "in its text"]
)
async def test_a_server_that_hangs_ends_the_request(turn: Turn, status: int) -> None:
    """It has lived before; the error says so, and the question is not asked once more."""
    model = Living(says("Hello."), turn, status=200)
    await model.replies()
    request = asyncio.create_task(model.replies())
    for _ in range(2):
        await model.beats.acquire()
    model.status = status
    with pytest.raises(EngineError, match="The model server hangs") as caught:
        await request
    assert (caught.value.status, caught.value.code) == (503, "model_unresponsive")
    assert caught.value.retry_after == heartbeat.RETRY_SECONDS
    assert len(model.requests) == 2
    await model.http.close()


@pytest.mark.parametrize(
    ("status", "asked"), [(200, 9), (404, 1), (0, 1)], ids=["busy", "no route", "never lived"]
)
async def test_a_server_that_is_slow_is_waited_for(status: int, asked: int) -> None:
    """One that lives, one without such a route, and one of which nothing is known."""
    model = Living(hangs(), status=status)
    request = asyncio.create_task(model.replies())
    for _ in range(asked):
        await model.beats.acquire()
    done, _ = await asyncio.wait({request}, timeout=0.1)
    assert not done
    assert model.beats.locked() is (status != 200)
    request.cancel()
