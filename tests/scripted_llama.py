"""`Llama` as BentoML serves it, with an engine that converts 42 dollars, for many servers at once.

bentoml serve scripted_llama:Llama --working-dir tests
"""

import asyncio
import json
from collections.abc import AsyncGenerator

from scripted_engine import chatml_model

import service
from function_calling.model.chat_model import ChatModel
from function_calling.model.words import Alternative, JsonSlot, OneOf, Piece, Sampling
from function_calling.settings import Settings

ARGUMENTS = {"from_currency": "USD", "to_currency": "CAD", "amount": 42}
ANSWER = "The converted amount of 42 US dollars to Canadian dollars is 131.95."
SECONDS_A_PIECE = 0.05


class Converts:
    """Calls `convert_currency` where a call is forced, and otherwise tells its result, slowly."""

    def __init__(self) -> None:
        self._running = 0

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """The call or the sentence, in eight pieces."""
        text = _call(sampling.constraint[0]) if sampling.constraint else ANSWER
        length = -(-len(text) // 8)
        self._running += 1
        try:
            for number, at in enumerate(range(0, len(text), length), start=1):
                await asyncio.sleep(SECONDS_A_PIECE)
                yield Piece(text[at : at + length], len(prompt.split()), number)
            yield Piece("", len(prompt.split()), number, "stop")
        finally:
            self._running -= 1

    async def count(self, prompt: str) -> int:
        """Its words."""
        return len(prompt.split())

    async def busy(self) -> int:
        """How many generations are running now."""
        return self._running

    async def waiting(self) -> int:
        """None: all run at once."""
        return 0

    def close(self) -> None:
        """There is nothing to free."""


def _call(alternative: Alternative) -> str:
    """The first of all that is allowed, and no call behind it."""
    text = ""
    for part in alternative:
        match part:
            case JsonSlot():
                text += json.dumps(ARGUMENTS)
            case OneOf():
                text += _call(part.alternatives[0])
            case str():
                text += part
    return text


def _load(_: Settings) -> ChatModel:
    return chatml_model(Converts())  # type: ignore[arg-type]


service.load_chat_model = _load
Llama = service.Llama
