"""The text of sampled tokens, as it may leave.

Characters of several tokens come whole, special tokens only where they were asked for, and nothing
that is, or may become, a stop string.
"""

from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from function_calling.engines.stop_strings import StopStrings
from function_calling.engines.token_logprobs import LEAST
from function_calling.model.words import Sampling, TokenLogprob

_Utf8 = getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a model's tokens are.

    Attributes:
        texts: The bytes of each token, by its id.
        special: The ids of special tokens, which are no text unless somebody asks for them.
    """

    texts: Sequence[bytes]
    special: frozenset[int]

    def text(self, token: int) -> bytes:
        """The token's bytes; models have ids beyond the vocabulary, which stand for nothing."""
        return self.texts[token] if token < len(self.texts) else b""


class TokenText:
    """One generation's text; `sampling` says what of it is told, and where it stops."""

    def __init__(self, vocabulary: Vocabulary, sampling: Sampling) -> None:
        self._vocabulary = vocabulary
        told = {text.encode() for text in sampling.special_tokens}
        self._untold = {id for id in vocabulary.special if vocabulary.text(id) not in told}
        self._most = sampling.logprobs
        self._decoder = _Utf8("replace")
        self._stops = StopStrings(sampling.stop)
        self._held: list[tuple[int, TokenLogprob]] = []
        self._decoded = self._told = 0

    @property
    def stop(self) -> str | None:
        """The stop string that has come."""
        return self._stops.found

    def add(
        self, tokens: Sequence[int], logprobs: Sequence[Mapping[int, float]]
    ) -> tuple[str, tuple[TokenLogprob, ...]]:
        """The text that these tokens bring, and the tokens that it is made of.

        Args:
            tokens: Their ids.
            logprobs: For each, ids and logarithms of the likeliest in its place; or nothing.
        """
        text = ""
        for place, token in enumerate(tokens):
            if self.stop:
                break
            if token in self._untold:
                continue
            decoded = self._decoder.decode(self._vocabulary.text(token))
            # The first tokens of a character that is made of several have no text of their own.
            if decoded and self._most is not None and place < len(logprobs):
                told = self._logprob(token, decoded, logprobs[place])
                self._held.append((self._decoded, told))
            self._decoded += len(decoded)
            text += self._stops.feed(decoded)
        return text, self._leaving(text)

    def rest(self) -> tuple[str, tuple[TokenLogprob, ...]]:
        """What was held back, once no token follows."""
        text = self._stops.rest()
        return text, self._leaving(text)

    def _leaving(self, text: str) -> tuple[TokenLogprob, ...]:
        """The tokens of which this text has some character, if they haven't left before."""
        self._told += len(text)
        leaving = [told for start, told in self._held if start < self._told]
        del self._held[: len(leaving)]
        return tuple(leaving)

    def _logprob(self, token: int, text: str, likeliest: Mapping[int, float]) -> TokenLogprob:
        ranked = sorted(likeliest.items(), key=lambda each: -each[1])
        top = tuple(
            TokenLogprob(text if id == token else self._shown(id), max(logprob, LEAST))
            for id, logprob in ranked[: self._most]
        )
        return TokenLogprob(text, max(likeliest.get(token, LEAST), LEAST), top)

    def _shown(self, token: int) -> str:
        return self._vocabulary.text(token).decode(errors="surrogateescape")
