"""What Hypothesis sends: JSON that is nearly right, bytes that are none, and a model behind it.

`FUZZ_CASES` says how many cases a test has, times what `cases` is told there.
"""

import json
import os
import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from llguidance import LLMatcher
from walking_engine import WalkingEngine

from function_calling.engines import LoadedModel
from function_calling.engines.grammar import grammar_text
from function_calling.errors import RequestError
from function_calling.formats import HERMES
from function_calling.model.chat_model import ChatModel
from function_calling.model.words import Piece, Sampling

CASES = int(os.environ.get("FUZZ_CASES", "5"))
SECONDS = 30
"""How long one case may take."""


def cases(times: int = 1) -> settings:
    """How many cases a test has."""
    return settings(
        max_examples=times * CASES,
        deadline=SECONDS * 1000,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


ODD_TEXTS = (
    *("", " ", "\x00", "\ud800", "\u2028", "a" * 5_000, "NaN", "null", "1e999", "½", "٣٤٥"),
    *("3万5000", '"', "\\", "{{", "{%", "</s>", "<|im_end|>", "<tool_call>", "[TOOL_CALLS]"),
    *("Action:", "```json", "user", "tool", "function", "object", "string", "auto", "hermes"),
    *("$ref", "#", "#/$defs/a"),
)
ODD_NUMBERS = (
    *(0, -1, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")),
)
TEXT = st.text(max_size=20) | st.sampled_from(ODD_TEXTS)
LEAVES = st.none() | st.booleans() | st.integers() | st.sampled_from(ODD_NUMBERS) | TEXT
ANY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
DEEP = st.sampled_from(['{"a":', "["]).map(lambda opens: opens * 100_000)


@st.composite
def values(draw: st.DrawFn, rights: Sequence[Any], fields: Iterable[str] = ()) -> Any:
    """A right value, with up to three wrong things in it."""
    value = json.loads(json.dumps(draw(st.sampled_from(rights))))
    for _ in range(draw(st.integers(0, 3))):
        value = _changed(draw, value)
    if isinstance(value, dict) and draw(st.booleans()):
        value[draw(st.sampled_from([*fields, "unknown"]) | TEXT)] = draw(ANY)
    return value


def _changed(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 4)) == 0:
        return draw(ANY | st.sampled_from([[value], {"type": value}, [value] * 50, str(value)]))
    place = draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
    if draw(st.integers(0, 4)) == 0:
        del value[place]
    else:
        value[place] = _changed(draw, value[place])
    return value


@st.composite
def bodies(draw: st.DrawFn, rights: Sequence[Any], fields: Iterable[str] = ()) -> bytes:
    """Such a value as JSON; one in three is broken, nested without an end or has keys twice."""
    text = json.dumps(draw(values(rights, fields)), ensure_ascii=draw(st.booleans()))
    body = text.encode("utf-8", "surrogatepass")
    place = draw(st.integers(0, len(body)))
    match draw(st.integers(0, 8)):
        case 0:
            return body[:place] + draw(st.binary(max_size=8)) + body[place:]
        case 1:
            return body[:-1] + b"," + body[1:]
        case 2:
            return body[:place] + draw(DEEP).encode() + body[place:]
    return body


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("content-type", "content-encoding", "accept", "authorization", "anthropic-version"),
            *("cookie", "traceparent", "x-request-id", "x-api-key", "mcp-session-id", "expect"),
        ]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20).map(
        lambda text: text.strip().encode("latin-1")
    )
    | st.sampled_from([b"application/json", b"multipart/form-data", b"gzip", b"*/*"]),
    max_size=3,
)
PLACES = (
    *("v1", "chat", "completions", "responses", "messages", "models", "exchange", "ui", "..", ""),
    *("about", "mcp", "metrics", "healthz", "livez", "readyz", "docs.json", "schema.json"),
)
PLACE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8)
PATHS = st.lists(st.sampled_from(PLACES) | PLACE, max_size=4).map(
    lambda parts: "/" + re.sub("[#?]", "%", "/".join(parts)).lstrip("/")
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"])

SAYS = (
    *("It is 131.95.", "", "Yes <tool_call>", '{"name": "convert", "arguments": {', "\n\n"),
    *("½ 3万", "Final Answer: 4", "[convert(", "<think>a</think>b", "[TOOL_CALLS]", "\ufffd"),
    *("<function=convert>", "```json\n[", '<tool_call>\n{"name": "convert"'),
    "Thought: x\nAction: convert\nAction Input:",
)


class OddEngine(WalkingEngine):
    """Says what looks like the beginning of a call, or writes what its constraint allows."""

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        if not sampling.constraint:
            text = Random(prompt.encode(errors="replace")).choice(SAYS)
            yield Piece(text, len(prompt), len(text))
            yield Piece("", len(prompt), len(text), "stop")
            return
        if LLMatcher.validate_grammar(grammar_text(sampling.constraint)):
            raise RequestError("This schema can't be enforced.")
        async for piece in super().generate(prompt, sampling.but(seed=len(prompt))):
            yield piece


def odd_model() -> ChatModel:
    """A model that says such things."""
    template = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
    loaded = LoadedModel("odd", OddEngine(piece_length=5), template, "", "", 4096)
    return ChatModel(loaded, HERMES)
