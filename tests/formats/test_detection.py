"""Where a call begins is read the same from a whole text and from any pieces of it.

Many inputs are what models were seen to write, as the parser tests of vLLM, SGLang, LMDeploy and
llama.cpp record them.
"""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from detecting import read
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from function_calling.formats import FORMATS, HERMES, Format
from function_calling.formats.call_list import CallList
from function_calling.formats.detection import CallDetector
from function_calling.formats.react import REACT_EN
from function_calling.model.words import ToolCall

NAMES = ("get_weather", "get", "search", "f.g-h(1)")

# The text, what of it is content, and the name that the start tells.
BARE_CALLS = [
    ("{'name': 'search', 'arguments': {}}", "", "search"),
    (
        '{"arguments": {"a": {"name": "get", "arguments": {"b": "}"}}}, "name": "search"}',
        *("", "search"),
    ),
    ('{"name": "get_weather", "arguments": {', "", "get_weather"),
    ('{"name": "f.g-h(1)", "arguments": {}}', "", "f.g-h(1)"),
    ('{"name":"get","parameters":{}}', "", "get"),
    ('{\n  "name" : "get" ,\n  "arguments" : {\n', "", "get"),
    ('{{"name": "search", "arguments": {"query": "x"}}}', "", "search"),
    ('```json\n{{"name": "get", "arguments": {}}\n```', "", "get"),
    ('```\n{"name": "get", "arguments": {}}\n```', "", "get"),
    ('```tool_code\n{"name": "get", "arguments": {}}\n```', "", "get"),
    ('[{"name": "search", "arguments": {"query": "x"}}]', "", "search"),
    ('{"id": 0, "name": "get", "arguments": {}}', "", "get"),
    ('{"type": "function", "function": {"name": "get", "parameters": {', "", "get"),
    ('{"type": "function", "function": "get", "parameters": {}}', "", "get"),
    ('好的。 \n\n\t {"name": "get", "arguments": {}} More?', "好的。", "get"),
    ('{"a": 1} {"name": "get", "arguments": {}}', '{"a": 1}', "get"),
    ('```\nx\n```{"name": "get", "arguments":', "```\nx", "get"),
]
CALLS: dict[str, list[tuple[str, str, str | None]]] = {
    "hermes": [
        *BARE_CALLS,
        ('Yes?<tool_call>{"name": "search", "arguments": {}}', "Yes?", None),
        ('<tool_call>\n{"name": "unknown", "arguments": {}}', "", None),
        ("<tool_c <tool_call>", "<tool_c", None),
        ('<|python_tag|>{"name": "get", "arguments": {}}', "<|python_tag|>", "get"),
    ],
    "llama3": [
        ('```json\n{"name": "get", "parameters": {', "", "get"),
        ("Yes. <|python_tag|>{'name': 'get'", "Yes.", None),
        ('{} <|python_tag|>{"name": "get"', "{}", None),
    ],
    "mistral": [
        ('[TOOL_CALLS] {"name": "get", "arguments": {}}', "", None),
        ('[TOOL_CALLS][{"name":"get","arguments":{}}]', "", None),
        ('Voilà.\r\n[TOOL_CALLS]\t[\n  {\n    "name": "get"', "Voilà.", None),
        ('[TOOL_[TOOL_CALLS] [{"name":', "[TOOL_", None),
        ('[{"name": "get", "arguments": {}}]', "", "get"),
    ],
    "mistral_v11": [
        ('hi{hi[TOOL_CALLS]get_weather{"a": 1}', "hi{hi", "get_weather"),
        ('[TOOL_CALLS]get[CALL_ID]123456789[ARGS]{"a": 1}', "", "get"),
        ('👍🏽\n[TOOL_CALLS] get [ARGS]\n{\n"a": 1}', "👍🏽", "get"),
    ],
    "pythonic": [
        ('[1, 2] [get_weather(city="Oslo"), get()]', "[1, 2]", "get_weather"),
        ("<|python_start|>[get()]<|python_end|>", "", "get"),
        ("See [1]. <|python_start|>\n[ get ( )", "See [1].", "get"),
    ],
    "qwen3coder": [
        ("好的。\n<tool_call>\n<function=search>\n", "好的。", "search"),
        ("<function=get>\n</function>", "", "get"),
        ("A.<tool_call>  <function= get >", "A.", "get"),
    ],
    "chatglm3": [
        ("好的。\nget_weather\n```python\ntool_call(", "好的。", "get_weather"),
        ("好的。<|assistant|>get\n```python\ntool_call()", "好的。", "get"),
        ("<|assistant|>\n get \n```python\ntool_call(", "", "get"),
        ("search\r\n```\ntool_call(q='x')", "", "search"),
    ],
    "groq": [
        ('<tool_call>\n{"id": 0, "name": "get", "arguments": {}}', "", None),
        ('Yes. {"id": 1, "name": "get", "arguments": "{}"}', "Yes.", "get"),
    ],
    "react_en": [
        ("Thought: 看看。\nAction: get\nAction Input: {}", "看看。", "get"),
        ('Action: search\nAction Input: {"q": "x"}\n', "", "search"),
        ("thought: Go.\naction: get\naction input: {}", "Go.", "get"),
        ("Thought:\tGo.\r\n\nAction:\tget\r\n\nAction Input:\t{", "Go.", "get"),
        ("Q: X?\nThought: Go.\nAction: get\nAction Input: it", "Q: X?\nGo.", "get"),
    ],
}
LINES = "Well." + "\n" * 3000 + "So."
"""What small models end in; to look at it from each place anew would take hours."""
CONTENT = {
    "hermes": [
        *("Hello, world!\nWhat's up? \n\n", '{"a": 1} is a dict', '[1, {"name": 2}]'),
        "{'text': '你好', 'number': 1} is a Python dict",
        '{"nested": {"name": "get_weather"}, "items": [1, 2]}',
        *('{"parameters": {}}', '{"name": "search"}'),
        '{"name": "Search", "arguments": {"city": "Tokyo"}}',
        *('{"name": "sear", "arguments": {}}', '{"name": "searches", "arguments": {}}'),
        'Use the tool "search" with {"name": "Bob", "arguments": "none"}.',
        '```json\n{"amount": 42}\n```',
        "<tool_response>\n{}\n</tool_response> <tool>",
        *("a <tool_cal", '[{"type": "function", "function": {"name": "search", "argu'),
        *('{{{{"name": 1', LINES),
    ],
    "llama3": ['{"name": "Search", "parameters": {}}', "<|python_ta", "{'text': '你好'}"],
    "mistral": ["A call begins with [TOOL_CALLS], then a list.", "Yes.[TOOL_CALLS]", "[TOOL_CAL"],
    "mistral_v11": ["[TOOL_CALLS]x[ARGS]{}", "[TOOL_CALLS]get", "[TOOL_CALLS] [{", "[ARGS]{}"],
    "pythonic": ["[1, 2]", "[unknown()]", "get()", "[get", "[gets()]", "x[0] is (get)"],
    "qwen3coder": ["<tool_call>", "<function=x>", "<function=get", "<tool_call>\n{}", "a < b"],
    "chatglm3": [
        "get\n```python\nx\n```",
        "So get\n```\ntool_call(",
        "nobody\n```\ntool_call(",
        LINES,
    ],
    "groq": ["<tool_response>\n{}", '{"id": 0, "name": "x", "arguments": {}}'],
}
TRIED = "Try.\nAction: x\nAction Input: {}"
STEPS = [
    ("Thought: I know.\r\n\r\nFinal Answer:\n- Paris\n- Rome\n", "- Paris\n- Rome"),
    ("thought: I know.\nfinal answer: Yes.\nObservation: No.", "Yes."),
    ('Final Answer: {"sky": "Action: get"}', '{"sky": "Action: get"}'),
    (f"Final Answer: {LINES}", LINES),
    ("Final Answer: The Observation: of Tycho", "The Observation: of Tycho"),
    ("Let me guess.\nObservation: made up", "Let me guess."),
    (f"Thought: {TRIED}", TRIED),
    (f"Thought: {TRIED}\nObservation: 1\nAction: get", TRIED),
    ("Thought: Look.\nAction: get", "Look.\nAction: get"),
    ("  It rains.\n\nOr not? \n", "  It rains.\n\nOr not? \n"),
    ("**Action:** get\n**Action Input:** {}", "**Action:** get\n**Action Input:** {}"),
    ("My Thought: My Action: get\nAction Input: {", "My Thought: My Action: get\nAction Input: {"),
]
ALL_CALLS = [(FORMATS[name], *case) for name, cases in CALLS.items() for case in cases]


def cut(text: str, places: Iterable[int]) -> list[str]:
    """`text` in pieces."""
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize(("form", "text", "content", "name"), ALL_CALLS)
def test_a_call_begins_where_a_spelling_of_it_does(
    form: Format, text: str, content: str, name: str | None
) -> None:
    """The text before it is content, without the space that parts them; a stream is read alike."""
    for pieces in ([text], text):
        found, start = read(form, NAMES, pieces)
        assert start is not None
        assert (found, start.name) == (content, name)


@pytest.mark.parametrize("form", CONTENT)
def test_what_is_no_call_is_content(form: str) -> None:
    """Whole or in single characters, nothing is lost and nothing is changed."""
    for text in (*CONTENT[form], "", " [\n] ", "Hello, world!\n好的 {a} <b>", "```json\n"):
        for pieces in ([text], text):
            assert read(FORMATS[form], NAMES, pieces) == (text, None)


@pytest.mark.parametrize(("text", "content"), STEPS)
def test_of_steps_the_thought_or_the_answer_is_content(text: str, content: str) -> None:
    """Without labels, up to an observation, which the model can only have made up."""
    for pieces in ([text], text):
        assert read(REACT_EN, NAMES, pieces) == (content, None)


@given(
    st.sampled_from([text for _, text, *_ in ALL_CALLS]),
    st.sampled_from(list(FORMATS.values())),
    st.lists(st.integers(0, 80), max_size=6),
)
def test_a_call_is_found_however_its_text_is_cut(
    text: str, form: Format, places: list[int]
) -> None:
    """Pieces of any length give what the whole gives, also where the form does not know it."""
    assert read(form, NAMES, cut(text, places)) == read(form, NAMES, [text])


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


# What we write ourselves

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PROPERTIES = st.sampled_from(["city", "from", "class", "_", "größe", "城市", "a1"])


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@settings(max_examples=20)
@given(
    calls=st.lists(
        st.tuples(
            st.sampled_from(["get", "get_weather", "获取天气"]),
            st.dictionaries(PROPERTIES, VALUES, max_size=3),
        ),
        min_size=1,
        max_size=3,
    ),
    content=st.sampled_from(["", "Let me see.", "好的 [1] {a} <b>"]),
)
@example(calls=[("get", {"city": "Oslo", "a1": [1]})], content="")
def test_calls_that_a_history_tells_are_read_as_those_calls(
    form: Format, calls: list[tuple[str, dict[str, Any]]], content: str
) -> None:
    """Where they begin, and what they say."""
    schemas: dict[str, dict[str, Any]] = {
        name: {"type": "object", "properties": {}} for name, _ in calls
    }
    for name, arguments in calls:
        for key, value in arguments.items():
            text = {"type": "string", "maxLength": 99} if isinstance(value, str) else {}
            assume(schemas[name]["properties"].setdefault(key, text) == text)
    spelled = [(name, json.dumps(arguments, ensure_ascii=False)) for name, arguments in calls]
    written = form.calls(spelled)
    names, first = tuple(schemas), (calls[0][0],)
    before, start = CallDetector(form, names).feed(f"{content}\n{written}" if content else written)
    assert start is not None
    assert (before, (start.text + start.behind).lstrip()) == (content, written)
    reader = CallList(form, first, names, schemas, len(calls))
    behind = written.removeprefix(form.calls_open + form.call_head(first))
    found = [each for each in reader.feed(behind) if isinstance(each, ToolCall)]
    told = [(call.name, json.loads(call.arguments)) for call in found]
    assert json.dumps(told) == json.dumps(calls)  # which tells 1 from 1.0 and true
