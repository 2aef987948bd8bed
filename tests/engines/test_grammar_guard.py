"""Reading along under a grammar, as `LlamaCpp` does with what llama.cpp writes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function_calling.engines.grammar_guard import GrammarGuard
from function_calling.errors import EngineError
from function_calling.model.words import JsonSlot, Piece, Sampling

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"],
    "additionalProperties": False,
}
CALL = Sampling(max_tokens=None, constraint=((JsonSlot(CITY), "}\n</tool_call>"),))


def follow(guard: GrammarGuard, *texts: str, finish_reason: str = "stop") -> None:
    """Read the texts, piece by piece."""
    for text in texts:
        guard.read(Piece(text))
    guard.read(Piece("", finish_reason=finish_reason))  # type: ignore[arg-type]


@given(
    city=st.text(max_size=20, alphabet=st.characters(exclude_categories=["Cc", "Cs"])), at=st.data()
)
def test_a_text_that_obeys_is_read_to_its_end(city: str, at: st.DataObject) -> None:
    """Wherever it is cut into pieces."""
    text = json.dumps({"city": city}, ensure_ascii=False) + "}\n</tool_call>"
    place = at.draw(st.integers(0, len(text)))
    follow(GrammarGuard(CALL), text[:place], text[place:])


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (['{"city": ', "42"], "it goes on with '42'."),
        (['{"city": "Oslo"}', '\n{"name": '], "it goes on with '\\n{\"name\": '."),
        (['{"city": "' + "o" * 20, "o" * 200], f"it goes on with '{'o' * 100}'."),
        (['{"city": "Oslo"}'], "its text ends too early."),
    ],
    ids=str,
)
def test_a_text_that_does_not_obey_is_an_error(texts: list[str], told: str) -> None:
    """At the first character that the grammar does not allow."""
    with pytest.raises(EngineError) as caught:
        follow(GrammarGuard(CALL), *texts)
    assert caught.value.message == f"The engine broke its constraint: {told}"


def test_generations_under_one_grammar_do_not_meet() -> None:
    """It is compiled once for them all, and each begins at its start."""
    first, second = GrammarGuard(CALL), GrammarGuard(CALL)
    first.read(Piece('{"city": "Os'))
    follow(second, '{"city": "Rome"}}\n</tool_call>')
    follow(first, 'lo"}}\n</tool_call>')
    follow(GrammarGuard(CALL), '{"city": "Rome"}}\n</tool_call>')


def test_a_text_that_is_cut_may_end_anywhere() -> None:
    """By its tokens, or by a stop string."""
    follow(GrammarGuard(CALL), '{"city": "Os', finish_reason="length")
    follow(GrammarGuard(CALL.but(stop=("lo",))), '{"city": "Os')
