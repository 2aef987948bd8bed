"""Calls are read out of text by the rules of its format, from the whole text or any pieces of it.

The cases lie in `calls/`, a file for each format. Those with another source than "own" are what
models were seen to write, as other projects' tests record it; where these expect something else,
`peers` says what.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function_calling.formats import FORMATS
from function_calling.formats.parsing import CallParser, ParsedCall, parse
from function_calling.messages import TextDelta, Tool

CASES = {
    path.stem: json.loads(path.read_text())
    for path in sorted(Path(__file__).parent.glob("calls/*.json"))
}
TEXTS = {name: [case["text"] for case in cases] for name, cases in CASES.items()}
STEPS = {"react_en", "react_zh", "toolbench"}
"""Formats whose content is not always what stands before the first call."""
ONE_CALL = {*STEPS, "chatglm3"}
"""Formats whose turns hold one call."""

Result = tuple[str, list[tuple[str, str]]]
"""Content, and for each call its name and its arguments as JSON."""

each_case = pytest.mark.parametrize(
    ("form", "case"),
    [
        pytest.param(form, case, id=f"{form}-{case['id']}")
        for form, cases in CASES.items()
        for case in cases
    ],
)
each_format = pytest.mark.parametrize("form", FORMATS)
places = st.lists(st.integers(0, 400), max_size=8)


def offered(case: dict[str, Any]) -> list[Tool]:
    """The case's tools; one that is only a name takes anything."""
    return [
        Tool(each, "", {"type": "object"})
        if isinstance(each, str)
        else Tool(each["name"], "", each["parameters"])
        for each in case["tools"]
    ]


def as_json(arguments: Any) -> str:
    """JSON tells 1 from 1.0 and True, and takes nothing but JSON's values."""
    return json.dumps(arguments, sort_keys=True, allow_nan=False)


def expected(case: dict[str, Any]) -> Result:
    """What the case says."""
    return case["content"], [(call["name"], as_json(call["arguments"])) for call in case["calls"]]


def read_whole(form: str, tools: list[Tool], text: str) -> Result:
    """What the whole text says."""
    parsed = parse(FORMATS[form], tools, text)
    return parsed.content, [(call.name, as_json(call.arguments)) for call in parsed.calls]


def read_pieces(form: str, tools: list[Tool], pieces: list[str]) -> Result:
    """What the pieces say, one after the other; content stands before the calls."""
    parser = CallParser(FORMATS[form], tools)
    read = [each for piece in pieces for each in parser.feed(piece)] + list(parser.finish())
    content = [each for each in read if isinstance(each, TextDelta)]
    calls = [each for each in read if isinstance(each, ParsedCall)]
    assert read == [*content, *calls]
    return "".join(each.text for each in content), [(c.name, as_json(c.arguments)) for c in calls]


def cut(text: str, places: list[int]) -> list[str]:
    """The text in pieces, parted at those places."""
    ends = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


def test_every_format_has_cases() -> None:
    """Of every format there is, and of no other; each with a name of its own."""
    assert set(CASES) == set(FORMATS)
    for cases in CASES.values():
        assert len({case["id"] for case in cases}) == len(cases)
        assert sum(case["source"] == "own" for case in cases) >= 25


@each_case
def test_a_text_is_read_whole(form: str, case: dict[str, Any]) -> None:
    """Content and calls as the case has them."""
    assert read_whole(form, offered(case), case["text"]) == expected(case)


@pytest.mark.slow
@each_case
def test_a_text_is_read_in_single_characters(form: str, case: dict[str, Any]) -> None:
    """A stream of the smallest pieces says what the whole says."""
    assert read_pieces(form, offered(case), list(case["text"])) == expected(case)


@pytest.mark.slow
@each_case
@settings(max_examples=3)
@given(places=places)
def test_a_text_is_read_in_any_pieces(form: str, case: dict[str, Any], places: list[int]) -> None:
    """Where a stream is cut makes no difference."""
    assert read_pieces(form, offered(case), cut(case["text"], places)) == expected(case)


@pytest.mark.slow
@each_format
@settings(max_examples=50)
@given(data=st.data(), places=places)
def test_broken_texts_are_read_the_same_however_they_are_cut(
    form: str, data: st.DataObject, places: list[int]
) -> None:
    """The start of one text with the end of another: nothing is raised, nothing is lost."""
    first, second = data.draw(st.tuples(*[st.sampled_from(TEXTS[form])] * 2))
    start, end = data.draw(st.tuples(st.integers(0, 300), st.integers(1, 300)))
    text = first[:start] + second[-end:]
    tools = [Tool(name, "", {"type": "object"}) for name in ("get_weather", "search", "get")]
    content, calls = read_whole(form, tools, text)
    assert read_pieces(form, tools, cut(text, places)) == (content, calls)
    if form not in STEPS:
        assert text.startswith(content)
        assert calls or content == text or "<|observation|>" in text


@each_format
@pytest.mark.parametrize("opened", ["[", '{"a":', "(", '"\\', "'"])
def test_a_text_without_end_is_content(form: str, opened: str) -> None:
    """However deep it nests, it is no call and no failure."""
    start = FORMATS[form].calls([("get", '{"a": 7}')])
    text = start[: start.index("7")] + opened * 3000
    assert read_whole(form, [Tool("get", "", {"type": "object"})], text) == (text, [])


# What we write ourselves

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
identifiers = st.sampled_from(["city", "from", "class", "_", "größe", "城市", "a1"]) | st.text(
    "abc_09é", min_size=1
).filter(str.isidentifier)
names = st.sampled_from(["get", "get_weather", "getWeather2", "获取天气"])


def schema_of(arguments: dict[str, Any]) -> dict[str, Any]:
    """A schema that tells text from other values."""
    return {
        "type": "object",
        "properties": {
            name: {"type": "string"} if isinstance(value, str) else {}
            for name, value in arguments.items()
        },
    }


@pytest.mark.slow
@each_format
@settings(max_examples=40)
@given(
    calls=st.dictionaries(
        names, st.dictionaries(identifiers, values, max_size=3), min_size=1, max_size=3
    ),
    content=st.sampled_from(["", "Let me see.", "好的 [1] {a} <b>"]),
    ascii_only=st.booleans(),
    places=places,
)
def test_what_is_written_as_calls_is_read_as_those_calls(
    form: str,
    calls: dict[str, dict[str, Any]],
    content: str,
    ascii_only: bool,
    places: list[int],
) -> None:
    """A format reads what it writes, behind text or not, whole or in pieces."""
    kept = list(calls.items())[: 1 if form in ONE_CALL else None]
    tools = [Tool(name, "", schema_of(arguments)) for name, arguments in calls.items()]
    written = FORMATS[form].calls(
        [(name, json.dumps(arguments, ensure_ascii=ascii_only)) for name, arguments in kept]
    )
    text = f"{content}\n{written}" if content else written
    said = (content, [(name, as_json(arguments)) for name, arguments in kept])
    assert read_whole(form, tools, text) == said
    assert read_pieces(form, tools, cut(text, places)) == said


@each_format
@given(name=st.text(), text=st.text())
@settings(max_examples=20)
def test_any_text_is_read_without_failure(form: str, name: str, text: str) -> None:
    """Whatever a tool is called and a model writes; where nothing is called, nothing is lost."""
    content, calls = read_whole(form, [Tool(name, "", {"type": "object"})], text)
    assert form in STEPS or calls or content == text
