"""llama.cpp's `completion_probabilities` as the tokens that a text is made of.

In a stream there is one entry a token, `{"id", "bytes", "logprob", "top_logprobs": […]}`, whose
`bytes` are the text that leaves with it: none while a stop string may be under way, and that of
several tokens once it isn't. The token's own text stands among its `top_logprobs`, if it is there.
The first tokens of a character that is made of several have no entry at all.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from function_calling.model.words import TokenLogprob

LEAST = -9999.0
"""The logarithm of a probability that is as good as none, as in OpenAI's API."""


class TokenLogprobs:
    """The tokens of one generation, each told with the text that it belongs to.

    Args:
        most: How many likeliest tokens to tell at each place; None tells nothing at all.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._held: list[TokenLogprob] = []

    def request(self) -> dict[str, Any]:
        """What llama.cpp must be asked for; it tells nothing where it is asked for no token."""
        return {} if self._most is None else {"n_probs": max(1, self._most)}

    def of(self, chunk: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
        """The tokens that the chunk's text is made of."""
        if self._most is None:
            return ()
        tokens = map(self._token, chunk.get("completion_probabilities", ()))
        self._held += [each for each in tokens if each.token]  # what ends a turn has no text
        text = chunk["content"].encode()
        told: list[TokenLogprob] = []
        start = end = 0
        while self._held and end < len(text):
            told.append(self._held.pop(0))
            start, end = end, end + len(told[-1].token.encode(errors="surrogateescape"))
        if told and end < len(text):  # a character of several tokens counts as its last one
            told[-1] = replace(told[-1], token=text[start:].decode(errors="surrogateescape"))
        return tuple(told)

    def _token(self, entry: Mapping[str, Any]) -> TokenLogprob:
        likeliest = entry["top_logprobs"]
        own = next((top for top in likeliest if top["id"] == entry["id"] and top["bytes"]), entry)
        top = tuple(_token(each) for each in likeliest[: self._most])
        return TokenLogprob(_token(own).token, max(entry["logprob"], LEAST), top)


def _token(entry: Mapping[str, Any]) -> TokenLogprob:
    text = bytes(entry["bytes"]).decode(errors="surrogateescape")
    return TokenLogprob(text, max(entry["logprob"], LEAST))
