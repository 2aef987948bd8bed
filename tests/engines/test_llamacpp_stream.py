"""What llama.cpp's server sends, read without a model."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from function_calling.engines.llamacpp import LlamaCpp, completion_request
from function_calling.engines.slots import Slots
from function_calling.model.words import Sampling


class Recorded(LlamaCpp):
    """llama.cpp's server has sent this body, in pieces of three bytes."""

    def __init__(self, body: str) -> None:
        self._body = body.encode()
        self._bos = ""
        self._slots = Slots(1, 0)
        self.asked: list[str] = []

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, body: Any = None
    ) -> AsyncIterator[httpx2.Response]:
        self.asked.append(path)

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(self._body), 3):
                yield self._body[start : start + 3]

        yield httpx2.Response(200, content=pieces())


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CR LF"])
async def test_a_line_ends_with_no_character_that_json_may_hold(end: str) -> None:
    """The last event holds the prompt too."""
    text = "größe\u2028two\u2029\x85\x0b\x0c\x1c\x1d\x1e"
    counts = {"tokens_evaluated": 1, "tokens_predicted": 1, "stop_type": "eos"}
    events = [{"content": text, "stop": False}, {"content": "", "stop": True, "prompt": text}]
    body = (f"data: {json.dumps(each | counts, ensure_ascii=False)}{end * 2}" for each in events)
    pieces = [each async for each in Recorded("".join(body)).generate(text, Sampling())]
    assert [piece.text for piece in pieces] == [text, ""]


async def test_how_many_run_is_known_without_asking() -> None:
    """llama.cpp answers between two batches alone, and each may take seconds."""
    event = {"content": "a", "tokens_evaluated": 1, "tokens_predicted": 1, "stop": False}
    engine = Recorded(f"data: {json.dumps(event)}\n\n")
    generation = engine.generate("a", Sampling())
    assert await engine.busy() == 0
    await anext(generation)
    assert (await engine.busy(), engine.asked) == (1, ["/completion"])
    await generation.aclose()
    assert await engine.busy() == 0


def test_sampling_is_said_in_llamacpps_words() -> None:
    """Unless asked for, its own samplers are off; it counts in 32 bits."""
    plain = completion_request("Hi", Sampling())
    words = {"top_k": 0, "min_p": 0.0, "frequency_penalty": 0.0, "presence_penalty": 0.0}
    assert plain.items() >= (words | {"repeat_penalty": 1.0}).items()
    values = {"top_k": 40, "min_p": 0.1, "frequency_penalty": 0.5, "presence_penalty": -0.5}
    told = completion_request("Hi", Sampling(**values, repetition_penalty=1.1))
    assert told == plain | values | {"repeat_penalty": 1.1}
    for most in (2**31, 2**32 + 1, 10**25):
        assert completion_request("Hi", Sampling(max_tokens=most))["n_predict"] == 2**31 - 1
