"""Where a call begins is read the same from a whole text and from any pieces of it.

Many inputs are what models were seen to write, as the parser tests of vLLM, SGLang, LMDeploy and
llama.cpp record them.
"""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function_calling.formats import HERMES, JSON_LIST, LLAMA3, Format
from function_calling.formats.detection import CallDetector, CallStart

# Those whose models also fall back to bare JSON.
JSON_FORMATS = [HERMES, JSON_LIST, LLAMA3]
NAMES = ("get_weather", "get", "search", "f.g-h(1)")

# Text, what of it is content, and the name told by the start.
CALLS = {
    "in single quotes": ("{'name': 'search', 'arguments': {}}", "", "search"),
    "arguments first": ('{"arguments": {"a": {"b": "}"}}, "name": "get"}', "", "get"),
    "bare": ('{"name": "get_weather", "arguments": {"city": "Beijing"}}', "", "get_weather"),
    "bare, with parameters": ('{"name": "search", "parameters": {"limit": 10}}', "", "search"),
    "dense": ('{"name":"get","parameters":{}}', "", "get"),
    "laid out": ('{\n  "name" : "get" ,\n  "arguments" : {\n', "", "get"),
    "cut off": ('{"name": "search", "parameters":', "", "search"),
    "broken behind the start": ('{"name": "get", "parameters": {invalid json}', "", "get"),
    "a name that begins with another": ('{"name": "get_weather", "arguments":', "", "get_weather"),
    "a name that is no word": ('{"name": "f.g-h(1)", "arguments": {}}', "", "f.g-h(1)"),
    "doubled braces": ('{{"name": "search", "arguments": {"query": "x"}}}', "", "search"),
    "fenced": ('```json\n{"name": "get", "arguments": {}}\n```', "", "get"),
    "fenced without a language": ('```\n{"name": "get", "arguments": {}}\n```', "", "get"),
    "fenced as tool_call": ('```tool_call\n{"name": "get", "arguments": {}}\n```', "", "get"),
    "fenced, doubled": ('```json\n{{"name": "get", "arguments": {}}}\n```', "", "get"),
    "in a list": ('[{"name": "search", "arguments": {"query": "x"}}]', "", "search"),
    "with an id": ('{"id": 0, "name": "get", "arguments": {}}', "", "get"),
    "with a type": ('{"type": "function", "name": "get", "parameters": {}}', "", "get"),
    "wrapped": (
        '{"type": "function", "function": {"name": "get", "parameters": {}}}',
        "",
        "get",
    ),
    "as a function": ('{"type": "function", "function": "get", "parameters": {}}', "", "get"),
    "behind text": (
        'Here is the result: {"name": "search", "parameters": {}} Would you like more?',
        "Here is the result:",
        "search",
    ),
    "behind Chinese": (
        '好的。\n{"name": "search", "arguments": {"q": "杭州"}}',
        "好的。",
        "search",
    ),
    "behind other JSON": ('{"a": 1} {"name": "get", "arguments": {}}', '{"a": 1}', "get"),
    "behind an unknown call": (
        '{"name": "unknown", "arguments": {}} {"name": "get", "arguments": {}}',
        '{"name": "unknown", "arguments": {}}',
        "get",
    ),
    "behind much space": ('Yes. \n\n\t {"name": "get", "arguments": {}}', "Yes.", "get"),
    "behind an opened fence": (
        '```python\nx\n```{"name": "get", "arguments":',
        "```python\nx",
        "get",
    ),
}
HERMES_CALLS = {
    "tag": ('<tool_call>\n{"name": "search", "arguments": {"q": "cats"}}\n</tool_call>', "", None),
    "tag behind text": (
        'Sure, let me check.<tool_call>{"name": "search", "arguments": {}}</tool_call>',
        "Sure, let me check.",
        None,
    ),
    "tag, unknown name": ('<tool_call>\n{"name": "unknown", "arguments": {}}', "", None),
    "tag, nothing behind": ("What's up?\n<tool_call>", "What's up?", None),
    "tag behind a broken tag": ("<tool_c <tool_call>", "<tool_c", None),
    "bare, python_tag is no start": (
        '<|python_tag|>{"name": "get", "arguments": {}}',
        "<|python_tag|>",
        "get",
    ),
}
LLAMA3_CALLS = {
    "python_tag": ('<|python_tag|>{"name": "get", "parameters": {}}', "", None),
    "python_tag behind text": (
        'Let me check. <|python_tag|>{"name": "get", "parameters": {}}',
        "Let me check.",
        None,
    ),
    "python_tag behind JSON": ('{} <|python_tag|>{"name": "get"', "{}", None),
    "python_tag, python dict": ("<|python_tag|>{'name': 'get', 'arguments': {}}", "", None),
}
CONTENT = {
    "nothing": "",
    "words": "This is plain text with no tool calling involved.",
    "space at the end": "Hello, world!\nWhat's up? \n\n",
    "only space": " \n\t ",
    "an empty object": "{}",
    "an object": '{"a": 1} is a dict',
    "a Python dict": "{'text': '你好', 'number': 1} is a Python dict",
    "the name deeper": '{"nested": {"name": "get_weather"}, "items": [1, 2]}',
    "no name": '{"parameters": {}}',
    "no arguments": '{"name": "search"}',
    "an unknown name": '{"name": "unknown", "arguments": {"city": "Tokyo"}}',
    "an offered name's beginning": '{"name": "sear", "arguments": {}}',
    "an offered name's continuation": '{"name": "searches", "arguments": {}}',
    "a mention": 'Use the tool "search" with {"name": "Bob", "arguments": "none"}.',
    "a fence of code": '```python\nprint({"name": "x"})\n```',
    "a fence of JSON": '```json\n{"amount": 42}\n```',
    "an opened fence": "```json\n",
    "a list": '[1, {"name": 2}]',
    "a tag that is not ours": "<tool_response>\n{}\n</tool_response> <tool>",
    "half a tag": "a <tool_cal",
    "half a call": '[{"type": "function", "function": {"name": "search", "argu',
    "three braces": '{{{{"name": 1',
}


def read(form: Format, pieces: Iterable[str]) -> tuple[str, CallStart | None]:
    """The content and the start that the pieces give, as a reply would use them."""
    detector, content = CallDetector(form, NAMES), ""
    for piece in pieces:
        settled, start = detector.feed(piece)
        content += settled
        if start:
            return content, start
    return content + detector.rest(), None


def told(form: Format, pieces: Iterable[str]) -> tuple[str, str | None]:
    """The content and the name that the start tells."""
    content, start = read(form, pieces)
    assert start is not None
    return content, start.name


def cut(text: str, places: Iterable[int]) -> list[str]:
    """`text` in pieces."""
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def cases(form: Format) -> dict[str, tuple[str, str, str | None]]:
    """The calls that `form` knows, by a name for each."""
    return CALLS | (LLAMA3_CALLS if form is LLAMA3 else HERMES_CALLS)


ALL_CALLS = [
    pytest.param(form, *case, id=f"{form.name}: {name}")
    for form in JSON_FORMATS
    for name, case in cases(form).items()
]
ALL_CONTENT = [
    pytest.param(form, text, id=f"{form.name}: {name}")
    for form in JSON_FORMATS
    for name, text in CONTENT.items()
]


@pytest.mark.parametrize(("form", "text", "content", "name"), ALL_CALLS)
def test_a_call_begins_where_a_spelling_of_it_does(
    form: Format, text: str, content: str, name: str | None
) -> None:
    """The text before it is content, without the space that parts them."""
    assert told(form, [text]) == (content, name)


@pytest.mark.parametrize(("form", "text", "content", "name"), ALL_CALLS)
def test_a_call_is_found_in_single_characters(
    form: Format, text: str, content: str, name: str | None
) -> None:
    """A stream of the smallest pieces is read as the whole."""
    assert told(form, text) == (content, name)


@pytest.mark.parametrize(("form", "text"), ALL_CONTENT)
def test_what_is_no_call_is_content(form: Format, text: str) -> None:
    """Whole or in single characters, nothing is lost and nothing is changed."""
    assert read(form, [text]) == (text, None)
    assert read(form, text) == (text, None)


@given(
    st.sampled_from([case for form in JSON_FORMATS for case in cases(form).values()]),
    st.sampled_from(JSON_FORMATS),
    st.lists(st.integers(0, 80), max_size=6),
)
def test_a_call_is_found_however_its_text_is_cut(
    case: tuple[str, str, str | None], form: Format, places: list[int]
) -> None:
    """Pieces of any length give what the whole gives, also where the form does not know it."""
    text = case[0]
    assert read(form, cut(text, places)) == read(form, [text])


FRAGMENTS = [
    *("<tool_call>", "<tool", "<|python_tag|>", "<|", "```", "json", "tool_call", "\n", " ", "["),
    *("{", '"name"', '"function"', '"id": 1, ', '"type": "function", ', ": ", ", ", '"get', '"'),
    *("_weather", '"search"', '"arguments":', '"parameters"', ":", "}", "]", "word", "é", "{{"),
]


@settings(max_examples=200)
@given(
    st.sampled_from(JSON_FORMATS),
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join),
    st.lists(st.integers(0, 80), max_size=8),
)
def test_near_calls_are_read_the_same_however_they_are_cut(
    form: Format, text: str, places: list[int]
) -> None:
    """Texts made of what calls are made of: the same result, and nothing lost before a start."""
    content, start = read(form, cut(text, places))
    assert (content, start) == read(form, [text])
    assert text.startswith(content)
    assert start is not None or content == text


@given(st.text(), st.lists(st.integers(0, 20), max_size=5))
def test_any_text_without_a_call_comes_out_as_it_went_in(text: str, places: list[int]) -> None:
    """No character of any script is lost or moved."""
    assert read(LLAMA3, cut(text, places)) == (text, None)


def test_text_is_let_through_as_soon_as_it_can_begin_no_call() -> None:
    """A stream waits only while a call may be beginning."""
    detector = CallDetector(HERMES, NAMES)
    fed = ["Hello", " ", "world", " {", '"na', 'me": "Bob"', "} <tool", "s>"]
    assert [detector.feed(piece) for piece in fed] == [
        ("Hello", None),
        ("", None),
        (" world", None),
        ("", None),
        ("", None),
        (' {"name": "Bob"', None),
        ("}", None),
        (" <tools>", None),
    ]
    assert detector.rest() == ""
