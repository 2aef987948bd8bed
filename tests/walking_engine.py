"""An engine without a model: it writes random bytes, as far as the constraint allows them.

LLGuidance tells which bytes may follow, as it tells a model's sampler which tokens may, so such a
text is one that the constraint allows, and thousands are written in seconds.
"""

from collections.abc import AsyncGenerator, Sequence
from random import Random

from llguidance import LLMatcher, LLTokenizer
from scripted_engine import ScriptedEngine

from function_calling.engines import LoadedModel
from function_calling.engines.grammar import grammar_text
from function_calling.formats import HERMES
from function_calling.model.chat_model import ChatModel
from function_calling.model.words import Alternative, Piece, Sampling

BYTES = LLTokenizer("byte")
SET_BITS = [[bit for bit in range(8) if value >> bit & 1] for value in range(256)]
ENOUGH = 400
"""Bytes after which a text heads for its end; schemas that refer to themselves have none."""
TELLING = frozenset(b"\"\\{}[](),:.-+0eE\n</>=' ")
CLOSING = (b'"', b"]", b"}", b")", b"\n", b"<", b"n", b"0")
SNIPPETS = (
    *(b"\n</parameter>\n", b"</function>", b"\n<parameter=", b"</tool_call>", b"}}", b"```"),
    *(b'\\"', b"\\\\", b"\\n", b"\\u00", b"-0", b"0.", b"1e", b"'", b")", b"\nObservation:"),
)
"""What a reader could take for something else."""


def walk(constraint: Sequence[Alternative], chance: Random) -> str:
    """A text that the constraint allows."""
    matcher = LLMatcher(BYTES, grammar_text(constraint), log_level=0)
    written = bytearray()
    while True:
        allowed = _allowed(matcher.compute_bitmask())
        assert not matcher.is_error(), matcher.get_error()
        assert len(written) < 20 * ENOUGH, "the text has no end"
        if not allowed or (matcher.is_accepting() and chance.random() < 0.3):
            assert matcher.is_accepting(), written
            return written.decode()
        taken = _next(matcher, allowed, chance, hurry=len(written) > ENOUGH)
        assert matcher.consume_tokens(list(taken))
        written += taken


def _allowed(mask: bytes) -> list[int]:
    return [8 * place + bit for place in range(32) for bit in SET_BITS[mask[place]]]


def _next(matcher: LLMatcher, allowed: list[int], chance: Random, *, hurry: bool) -> bytes:
    if forced := matcher.compute_ff_bytes():
        return forced
    if hurry:
        ends = [each for each in CLOSING if each[0] in allowed]
        return ends[0] if ends else bytes([chance.choice(allowed)])
    if chance.random() < 0.1:
        snippet = chance.choice(SNIPPETS)
        if fits := matcher.validate_tokens(list(snippet)):
            return snippet[:fits]
    telling = [byte for byte in allowed if byte in TELLING]
    return bytes([chance.choice(telling if telling and chance.random() < 0.4 else allowed)])


class WalkingEngine(ScriptedEngine):
    """Writes such texts, in pieces of some length; a token is a byte."""

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        text = walk(sampling.constraint, Random(sampling.seed))
        tokens = len(text.encode())
        limit = sampling.max_tokens
        reason = "length" if limit is not None and tokens >= limit else "stop"
        for start in range(0, len(text), self._piece_length):
            piece = text[start : start + self._piece_length]
            yield Piece(piece, len(prompt.split()), tokens)
        yield Piece("", len(prompt.split()), tokens, reason)


def walking_model(context_length: int = 40, piece_length: int = 10**9) -> ChatModel:
    """A chat model that writes so; strings without a bound get `context_length` characters."""
    engine = WalkingEngine(piece_length=piece_length)
    template = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
    return ChatModel(LoadedModel("walking", engine, template, "", "", context_length), HERMES)
