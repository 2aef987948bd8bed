"""Generations of an engine as tests ask for them, and the small model that llama.cpp runs."""

import os
from pathlib import Path

from function_calling.engines import Engine
from function_calling.model.words import Piece, Sampling
from function_calling.settings import Settings
from function_calling.weights.catalogue import SMOLLM2, fetch

STORY = "<|im_start|>user\nTell me a long story.<|im_end|>\n<|im_start|>assistant\n"
GREEDY = Sampling(temperature=0.0)
SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "number", "minimum": 0.5, "maximum": 1000},
        "to": {"type": "array", "items": {"$ref": "#/$defs/Code"}, "minItems": 1, "maxItems": 2},
        "note": {"type": ["string", "null"], "maxLength": 12},
        "kind": {"enum": ["a/b", 7, None, {"x": [1, "é"]}]},
        "day": {"type": "string", "format": "date"},
        "code": {"type": "string", "pattern": "^[A-Z]{3}$"},
    },
    "required": ["amount", "to"],
    "additionalProperties": False,
    "$defs": {"Code": {"enum": ["USD", "EUR"]}},
}
"""Of a tool, with a keyword of each kind."""


def smollm2() -> Path:
    """The model's file, fetched at most once on a machine."""
    folder = Settings.from_env(os.environ).models_dir
    return fetch(SMOLLM2, Path(folder) if folder else None)


async def pieces_of(engine: Engine, sampling: Sampling, prompt: str = STORY) -> list[Piece]:
    """All pieces of one generation, of which the last alone ends it."""
    pieces = [piece async for piece in engine.generate(prompt, sampling)]
    assert [bool(piece.finish_reason) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    return pieces


async def text_of(engine: Engine, sampling: Sampling, prompt: str = STORY) -> str:
    """The text of one generation."""
    return "".join(piece.text for piece in await pieces_of(engine, sampling, prompt))
