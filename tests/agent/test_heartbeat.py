"""A model server that hangs is told apart from one that is slow, and from one of another make."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest
from scripted_server import Turn, hangs
from wire_server import WireServer

from function_calling.agent import heartbeat
from function_calling.agent.model_call import complete, llama_client
from function_calling.errors import EngineError
from function_calling.settings import Settings

REQUEST = {"model": "scripted", "messages": [], "max_tokens": 16}
BEAT = 0.1


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    """A model's server that is asked often whether it lives."""
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", BEAT)
    server = WireServer()
    yield server
    server.close()


@pytest.mark.parametrize("turn", [Turn(hangs=True), hangs()], ids=["no byte", "in its text"])
async def test_a_server_that_hangs_ends_the_request(model: WireServer, turn: Turn) -> None:
    """It has lived before; the error says so, and the question is not asked once more."""
    async with llama_client(model.url, Settings()) as client:
        model.lives = True
        model.play(hangs(), turn)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3 * BEAT), aclosing(complete(client, REQUEST)) as parts:
                [each async for each in parts]
        model.lives = None
        with pytest.raises(EngineError, match="The model server hangs") as caught:
            async with aclosing(complete(client, REQUEST)) as parts:
                [each async for each in parts]
    assert (caught.value.status, caught.value.code) == (503, "model_unresponsive")
    assert caught.value.retry_after == heartbeat.RETRY_SECONDS
    assert len(model.requests) == 2


@pytest.mark.parametrize("lives", [True, False, None], ids=["busy", "no route", "never lived"])
async def test_a_server_that_is_slow_is_waited_for(model: WireServer, lives: bool | None) -> None:
    """One that lives, one without such a route, and one of which nothing is known."""
    model.lives = lives
    model.play(hangs())
    async with llama_client(model.url, Settings()) as client:
        with pytest.raises(TimeoutError):
            async with (
                asyncio.timeout(3 * (heartbeat.MOST_MISSED + 1) * BEAT),
                aclosing(complete(client, REQUEST)) as parts,
            ):
                [each async for each in parts]
    assert len(model.requests) == 1
