"""The `Llama` service over an engine that does nothing: its pieces are ready before they are asked.

    ENGINE=llamacpp python -m bentoml serve benchmarks.bench_noop:Llama

All else is the real service. Beside it, at `/v1/bare`, stands what any server in front of an engine
must do at least: send such pieces, each as a server-sent event made before.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import service
from function_calling.engines import Engine, LoadedModel
from function_calling.formats.hermes import HERMES
from function_calling.model.chat_model import ChatModel
from function_calling.model.words import (
    Alternative,
    JsonSlot,
    OneOf,
    Piece,
    Repeat,
    Sampling,
    TextSlot,
)
from openai_endpoints import openai_api_app

TEMPLATE = """\
{% if tools %}<|im_start|>system
# Tools: <tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools> Call them as <tool_call>
{"name": …, "arguments": …}
</tool_call><|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}{% for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""As models of the Hermes family have it."""
VALUES = {
    **{"from_currency": "USD", "to_currency": "CAD", "amount": 42},
    **{"unit": "gram", "text": "word " * 512},
}
"""What a call is filled with."""
ANSWER = "42 US dollars are 131.95 Canadian dollars."
"""What is said once the prompt holds the result."""
PIECE = 5
"""Characters of a token."""


def _pieces(text: str) -> list[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


SAID, WORDS = _pieces(ANSWER), _pieces("word " * 1024)


class NoOp(Engine):
    """An engine that fills calls with `VALUES`, tells their result, and else says "word"."""

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        if sampling.constraint:
            pieces = _pieces(_filled(sampling.constraint[0]))
        else:
            pieces = SAID if "131.95" in prompt else WORDS
        told = pieces[: sampling.max_tokens]
        for tokens, piece in enumerate(told, start=1):
            yield Piece(piece, 1, tokens)
            await asyncio.sleep(0)  # as with a real engine, others run meanwhile
        yield Piece("", 1, len(told), "stop" if told == pieces else "length")

    async def count(self, prompt: str) -> int:
        """See `Engine.count`."""
        return 1


def _filled(alternative: Alternative) -> str:
    """A text that the constraint allows: the first of its alternatives, once."""
    text = ""
    for part in alternative:
        match part:
            case JsonSlot():
                names = part.schema["properties"]
                text += json.dumps({name: VALUES[name] for name in names})
            case OneOf():
                text += _filled(part.alternatives[0])
            case TextSlot():
                text += part.end
            case Repeat():
                pass
            case str():
                text += part
    return text


async def bare(request: Request) -> Response:
    """As many ready pieces as are wanted, whole or as server-sent events."""
    wanted = json.loads(await request.body())
    piece: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": "word "}}]}
    event = f"data: {json.dumps(piece)}\n\n"

    async def events() -> AsyncIterator[str]:
        for _ in range(wanted["max_tokens"]):
            yield event
            await asyncio.sleep(0)

    if wanted.get("stream"):
        return StreamingResponse(events(), media_type="text/event-stream")
    return JSONResponse(piece)


_loaded = LoadedModel("noop", NoOp(), TEMPLATE, "", "<|im_end|>", 1_000_000)
service.load_chat_model = lambda settings: ChatModel(_loaded, HERMES)  # type: ignore[attr-defined]
openai_api_app.router.routes.append(Route("/bare/chat/completions", bare, methods=["POST"]))
Llama = service.Llama
