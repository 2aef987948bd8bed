"""`Llama` as BentoML serves it, with an engine that converts 42 dollars, for many servers at once.

bentoml serve scripted_llama:Llama --working-dir tests
"""

import asyncio
import json
from collections.abc import AsyncGenerator

from scripted_engine import ScriptedEngine, chatml_model

import service
from function_calling.model.chat_model import ChatModel
from function_calling.model.words import Alternative, JsonSlot, OneOf, Piece, Sampling
from function_calling.settings import Settings

ARGUMENTS = {"from_currency": "USD", "to_currency": "CAD", "amount": 42}
ANSWER = "The converted amount of 42 US dollars to Canadian dollars is 131.95."
SECONDS_A_PIECE = 0.05


class Converts(ScriptedEngine):
    """Calls `convert_currency` where a call is forced, and otherwise tells its result, slowly."""

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """The call or the sentence."""
        self._turns.append(_call(sampling.constraint[0]) if sampling.constraint else ANSWER)
        async for piece in super().generate(prompt, sampling):
            await asyncio.sleep(SECONDS_A_PIECE)
            yield piece


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
    return chatml_model(Converts(piece_length=9))


service.load_chat_model = _load
Llama = service.Llama
