"""Token ids become text: characters whole, stop strings and special tokens left out."""

import math

from hypothesis import given
from hypothesis import strategies as st

from function_calling.engines.stop_strings import StopStrings
from function_calling.engines.token_text import TokenText, Vocabulary
from function_calling.model.words import Sampling, TokenLogprob

VOCABULARY = Vocabulary([bytes([each]) for each in range(256)] + [b"<|tool|>"], frozenset({256}))


def text_of(tokens: bytes, sampling: Sampling = Sampling()) -> list[str]:  # noqa: B008, frozen
    """The text of each token in turn, and of what is held at the end."""
    text = TokenText(VOCABULARY, sampling)
    return [*(text.add([token], [])[0] for token in tokens), text.rest()[0]]


def test_characters_of_several_tokens_come_whole() -> None:
    """What is no text at all is shown as such; half a character at the end is left out."""
    assert text_of("aé你".encode()) == ["a", "", "é", "", "", "你", ""]
    assert "".join(text_of(b"a\xffb\xe4")) == "a�b"


def test_special_tokens_are_told_where_they_are_asked_for() -> None:
    """And ids beyond the vocabulary are nothing."""
    tokens = [104, 256, 105, 5000]
    assert TokenText(VOCABULARY, Sampling()).add(tokens, [])[0] == "hi"
    asked = Sampling(special_tokens=("<|tool|>",))
    assert TokenText(VOCABULARY, asked).add(tokens, [])[0] == "h<|tool|>i"


def test_what_may_be_a_stop_string_is_held_with_its_tokens() -> None:
    """They leave together, and what belongs to the stop string never."""
    text = TokenText(VOCABULARY, Sampling(stop=("bc",), logprobs=0))

    def add(token: str) -> tuple[str, str]:
        told, tokens = text.add(token.encode(), [{ord(token): -1.0}])
        return told, "".join(each.token for each in tokens)

    assert [add(each) for each in "abbc"] == [("a", "a"), ("", ""), ("b", "b"), ("", "")]
    assert text.stop == "bc"
    assert add("d") == ("", "")
    assert text.rest() == ("", ())


def test_tokens_are_told_with_the_likeliest_in_their_place() -> None:
    """Best first, at most as many as were asked for, and none less likely than OpenAI's least."""
    text = TokenText(VOCABULARY, Sampling(logprobs=2))
    _, (told,) = text.add(b"a", [{98: -0.5, 97: -math.inf, 256: -1.0, 99: -2.0}])
    assert told == TokenLogprob(
        "a", -9999.0, (TokenLogprob("b", -0.5), TokenLogprob("<|tool|>", -1.0))
    )


def test_a_character_of_several_tokens_counts_as_its_last_one() -> None:
    """Bytes that are no text stand as surrogate escapes among the others."""
    text = TokenText(VOCABULARY, Sampling(logprobs=1))
    first, second = "é".encode()
    assert text.add([first], [{first: -0.1}]) == ("", ())
    told, tokens = text.add([second], [{first: -0.2, second: -3.0}])
    assert told == "é"
    assert tokens == (TokenLogprob("é", -3.0, (TokenLogprob("\udcc3", -0.2),)),)


# Stop strings in any text


@given(
    st.lists(st.text("ab", max_size=3)),
    st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
)
def test_in_bits_or_whole_it_is_the_same(bits: list[str], stops: list[str]) -> None:
    """What is told has no stop string in it, and is all there is if none came."""
    text, held = "".join(bits), StopStrings(stops)
    told = "".join(map(held.feed, bits)) + held.rest()
    assert text.startswith(told)
    assert not any(stop in told for stop in stops)
    assert bool(held.found) == any(stop in text for stop in stops)
    assert held.found or told == text
    assert not any(stop != held.found and (held.found or "").startswith(stop) for stop in stops)
