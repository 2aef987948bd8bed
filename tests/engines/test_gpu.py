"""The GPU profile as it is served: its model, its engine, and the format that it calls tools in."""

import asyncio
import json
import time
from collections.abc import Iterator

import pytest
from gpu_engine import gpu_engine

from function_calling.formats import LLAMA3, choose_format
from function_calling.model.chat_model import ChatModel
from function_calling.model.words import (
    Event,
    Message,
    Sampling,
    TextDelta,
    Tool,
    ToolCall,
    ToolChoice,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(1800),
    pytest.mark.asyncio(loop_scope="module"),
]

CODE = {"type": "string", "pattern": "^[A-Z]{3}$"}
CONVERT = Tool(
    "convert_currency",
    "Convert an amount of money.",
    {
        "type": "object",
        "properties": {"from": CODE, "to": CODE, "amount": {"type": "number", "minimum": 0}},
        "required": ["from", "to", "amount"],
        "additionalProperties": False,
    },
)
USER: list[Message] = [{"role": "user", "content": "What are 42 US dollars in Canadian dollars?"}]
WANTED = {"from": "USD", "to": "CAD", "amount": 42}


@pytest.fixture(scope="module")
def model() -> Iterator[ChatModel]:
    """The model with the defaults of the settings."""
    loaded = gpu_engine()
    form = choose_format("auto", loaded.chat_template)
    assert form is LLAMA3
    yield ChatModel(loaded, form)
    loaded.engine.close()


async def reply(model: ChatModel, mode: str, sampling: Sampling) -> list[Event]:
    """All events of one reply to the question."""
    choice = ToolChoice(mode, (CONVERT.name,), parallel=False)  # type: ignore[arg-type]
    return [event async for event in model.turn(USER, [CONVERT], choice, sampling).events()]


@pytest.mark.parametrize("mode", ["auto", "required"])
async def test_the_right_call_is_made(model: ChatModel, mode: str) -> None:
    """With the question's amount and currencies."""
    (call,) = [
        event
        for event in await reply(model, mode, Sampling(temperature=0.0))
        if isinstance(event, ToolCall)
    ]
    assert (call.name, json.loads(call.arguments)) == (CONVERT.name, WANTED)


async def test_as_many_as_run_at_once_are_answered(model: ChatModel) -> None:
    """Each in words, with a text of its own."""
    sampling = Sampling(max_tokens=64)
    replies = await asyncio.gather(
        *(reply(model, "none", sampling.but(seed=seed)) for seed in range(32))
    )
    texts = {
        "".join(event.text for event in events if isinstance(event, TextDelta))
        for events in replies
    }
    assert len(texts) > 16
    assert "" not in texts
    assert await model.engine.busy() == 0


async def test_a_prompt_that_was_read_is_not_read_again(model: ChatModel) -> None:
    """The first token comes sooner the second time."""
    prompt, waits = "All that is known of the sea and of the towns by it. " * 500, []
    for _ in range(2):
        begun = time.monotonic()
        generation = model.engine.generate(prompt, Sampling(max_tokens=1, temperature=0.0))
        await anext(generation)
        waits.append(time.monotonic() - begun)
        await generation.aclose()
    assert waits[1] < waits[0] / 2
