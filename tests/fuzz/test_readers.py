"""Whatever is read, a reader ends with a value or with its own error."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from detecting import read
from fuzzing import ODD_TEXTS, SAYS, TEXT, bodies, cases
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from function_calling.agent.events import read_event
from function_calling.agent.numbers import numbers, said, spelled_plainly
from function_calling.errors import SettingsError, ToolError
from function_calling.exchange.arithmetic import calculate
from function_calling.exchange.currencies import find_currency
from function_calling.formats import FORMATS, Format
from function_calling.formats.call_list import CallList
from function_calling.line_reader import LineReader
from function_calling.mcp_tools.servers_file import read_servers

pytestmark = pytest.mark.timeout(7200)

NAMES = ("convert", "get", "f.g-h(1)")
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": ["string", "null"]}},
    "additionalProperties": False,
}
PIECES = (
    *(SAYS + ODD_TEXTS),
    *("convert", "get", "{", "}", "[", "]", "(", ")", "=", ":", ",", "\n", " ", '"a"', '"b"', "1"),
    *("</tool_call>", "</function>", "<parameter=a>", "</parameter>", "[ARGS]", "```", "'", "None"),
    *('"name": ', '"arguments": ', '"parameters": ', "Action Input:", "Observation:", "tool_call("),
)
ANY_FORMAT = st.sampled_from(list(FORMATS.values()))
MODELS_TEXT = st.lists(st.sampled_from(PIECES) | TEXT, max_size=12)
SAID = st.text(max_size=40) | st.lists(
    st.sampled_from(
        [*"0123456789", *".,'/ ½⅞٣三万億", "million", "two", "hundred", "k", "$", "-", "e5"]
    )
    | TEXT,
    max_size=12,
).map("".join)
SERVERS: list[Any] = [
    {"mcpServers": {"files": {"command": "x", "args": ["-y", "${HOME}"], "env": {"A": "${B:-c}"}}}},
    {
        "mcpServers": {
            "web": {"url": "https://a.example/mcp", "headers": {"a": "b"}, "tools": ["*"]}
        }
    },
]


@cases(60)
@given(form=ANY_FORMAT, pieces=MODELS_TEXT)
def test_a_call_is_detected_in_any_text(form: Format, pieces: list[str]) -> None:
    """As in single characters, and none is lost before it."""
    whole = "".join(pieces)
    content, start = read(form, NAMES, pieces)
    assert (content, start) == read(form, NAMES, whole)
    if not form.steps:
        assert whole.startswith(content + start.text if start else whole)
        assert start or content == whole


@cases(60)
@given(form=ANY_FORMAT, pieces=MODELS_TEXT)
def test_a_list_of_calls_is_read_from_any_text(form: Format, pieces: list[str]) -> None:
    """Or is broken; what is read is of an offered tool, and JSON."""
    calls = CallList(form, NAMES, NAMES, dict.fromkeys(NAMES, SCHEMA), 4)
    for piece in pieces:
        for event in calls.feed(piece):
            assert event.name is None or event.name in NAMES


@cases(10)
@given(text=SAID)
def test_numbers_are_read_in_any_text(text: str) -> None:
    """Each stands in the text."""
    assert all(each.text in text for each in numbers(text))


@pytest.mark.parametrize("reader", [spelled_plainly, said, calculate, find_currency])
@cases(8)
@given(text=SAID | st.text("0123456789+-*/().%e ", max_size=30))
@example("9**9**9**9")
@example("(" * 5_000)
def test_any_text_is_read_or_refused(reader: Callable[[str], object], text: str) -> None:
    """By a ToolError alone."""
    with suppress(ToolError):
        reader(text)


@cases(20)
@given(pieces=st.lists(st.binary(max_size=12) | TEXT.map(lambda it: it.encode(errors="replace"))))
def test_lines_are_read_from_any_pieces(pieces: list[bytes]) -> None:
    """As from the whole."""
    reader = LineReader()
    with suppress(UnicodeDecodeError):
        lines = [line for piece in pieces for line in reader.feed(piece)]
        *whole, _ = b"".join(pieces).split(b"\n")
        assert lines == [line.removesuffix(b"\r").decode() for line in whole]


@cases(10)
@given(data=bodies([{"type": "text", "text": "42"}, {"type": "error", "error": {"message": "x"}}]))
def test_an_event_is_read_or_refused(data: bytes) -> None:
    """By a ValidationError alone."""
    with suppress(ValidationError):
        read_event(data)


@cases(20)
@given(body=bodies(SERVERS))
def test_a_file_of_servers_is_read_or_refused(
    body: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By a SettingsError alone."""
    path = Path(tmp_path_factory.getbasetemp() / "mcp.json")
    path.write_bytes(body)
    with suppress(SettingsError):
        read_servers(str(path))
