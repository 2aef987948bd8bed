"""A stop string ends the text before it, however the text comes in bits."""

from hypothesis import given
from hypothesis import strategies as st

from function_calling.engines.stop_strings import StopStrings


def told(stops: tuple[str, ...], bits: list[str]) -> tuple[str, bool]:
    """All that leaves, and whether a stop string came."""
    held = StopStrings(stops)
    text = "".join(map(held.feed, bits))
    return text + held.rest(), held.found


def test_nothing_leaves_that_may_be_the_beginning_of_one() -> None:
    """It leaves as soon as it is known to be none."""
    held = StopStrings(("</end>", "STOP"))
    assert [held.feed(bit) for bit in ("a<", "/", "e!", "ST", "ST", "OPS")] == [
        *("a", "", "</e!", "", "ST", ""),
    ]
    assert held.found
    assert held.feed("more") == held.rest() == ""


def test_without_stop_strings_all_leaves_at_once() -> None:
    """And nothing is found."""
    held = StopStrings(())
    assert (held.feed("text"), held.rest(), held.found) == ("text", "", False)


@given(
    st.lists(st.text("ab", max_size=3)),
    st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
)
def test_in_bits_or_whole_it_is_the_same(bits: list[str], stops: list[str]) -> None:
    """What is told has no stop string in it, and is all there is if none came."""
    text = "".join(bits)
    result, found = told(tuple(stops), bits)
    assert text.startswith(result)
    assert not any(stop in result for stop in stops)
    assert found == any(stop in text for stop in stops)
    assert found or result == text
