"""`docs/function-calling.md` says what is so: each claim has tests, each list is the code's."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from function_calling.api.completions import ChatRequest
from function_calling.api.headers import LONGEST
from function_calling.api.request import MOST_BIASES, MOST_MESSAGES, MOST_REPLIES
from function_calling.api.tools import MOST_TOOLS
from function_calling.engines.grammar import LONGEST_CHECK
from function_calling.engines.json_rules import MOST_CHARACTERS
from function_calling.formats import FORMATS
from function_calling.model.chat_model import CHARACTERS_OF_A_TOKEN
from function_calling.model.reasoning import REASONING_MARKS
from function_calling.model.schema.bounds import LARGEST_NUMBER, MOST_ITEMS, MOST_PROPERTIES
from function_calling.model.schema.keywords import (
    ANNOTATIONS,
    KEPT,
    KEPT_FORMATS,
    MOST_LEVELS,
    MOST_SCHEMAS,
)
from function_calling.model.turn import MOST_CALLS
from function_calling.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs/function-calling.md").read_text(encoding="utf-8")


def tables() -> Iterator[list[list[str]]]:
    """Every table: its rows, the head first, without the line under it."""
    for table in re.findall(r"(?:^\|.*\|\n)+", TEXT, re.MULTILINE):
        head, _, *rows = (
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in table.splitlines()
        )
        assert all(len(row) == len(head) for row in rows)
        yield [head, *rows]


def table(first: str) -> list[list[str]]:
    """The rows of the one table whose head begins with this."""
    (rows,) = (rows for head, *rows in tables() if head[0] == first)
    return rows


def spans(cell: str) -> list[str]:
    """What stands between backticks in a cell, with the line breaks that `⏎` stands for."""
    found = re.findall(r"(?<!`)`(?!`)(.+?)(?<!`)`(?!`)", cell)
    return [
        re.sub(r"^ (.+) $", r"\1", each).replace("\\|", "|").replace("⏎", "\n") for each in found
    ]


def defined(file: str) -> set[str]:
    """The functions that a file defines."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_test_that_is_named_exists() -> None:
    """In the file that is named."""
    named: dict[str, set[str]] = {}
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", TEXT):
        named.setdefault(file, set()).add(name)
    assert named
    assert [f"{file}::{name}" for file in named for name in named[file] - defined(file)] == []


def test_every_numbered_row_names_its_tests() -> None:
    """And no tests are named for a row that is not there."""
    rows = [row[0] for head, *rows in tables() if head[0] == "#" for row in rows]
    entries = re.findall(r"^- (\w+):((?:\s+`tests/.+`,?$)+)", TEXT, re.MULTILINE)
    assert sorted(row for row, _ in entries) == sorted(set(rows)) == sorted(rows)
    named = [len(spans(tests.replace("\n", " "))) for _, tests in entries]
    assert all(named)
    assert sum(named) == TEXT.split("\n## Shown by\n")[1].count("::")


def test_the_formats_are_those_of_the_code() -> None:
    """In the order in which a template's marks are looked for, each with its own."""
    rows = table("format")
    assert [spans(row[0]) for row in rows] == [[name] for name in FORMATS]
    assert [tuple(spans(row[2])) for row in rows] == [
        form.template_marks for form in FORMATS.values()
    ]


def test_the_marks_of_reasoning_are_those_of_the_code() -> None:
    """In the order in which they are looked for."""
    rows = [[spans(cell) for cell in row[:2]] for row in table("begins")]
    assert rows == [[[marks.start], [marks.end]] for marks in REASONING_MARKS]


def test_the_calls_shown_are_what_the_formats_write() -> None:
    """To the letter."""
    for name, _, _, call in table("format"):
        (form,) = spans(name)
        assert spans(call) == [FORMATS[form].calls([("weather", '{"city": "Oslo"}')])]


def test_the_parameters_that_are_refused_are_those_of_the_code() -> None:
    """All of them, by name."""
    (told,) = re.findall(r"^- parameters that would(.*?);", TEXT, re.MULTILINE | re.DOTALL)
    assert spans(told.replace("\n", " ")) == sorted(ChatRequest.unsupported)


def test_the_limits_are_those_of_the_code() -> None:
    """As numbers."""
    assert [int(row[1]) for row in table("of")] == [
        *(MOST_REPLIES, MOST_CALLS, MOST_MESSAGES, MOST_TOOLS, CHARACTERS_OF_A_TOKEN, MOST_BIASES),
        *(Settings().max_body_bytes, LONGEST),
        *(MOST_SCHEMAS, MOST_LEVELS, MOST_CHARACTERS, LONGEST_CHECK),
        *(MOST_ITEMS, MOST_PROPERTIES, LARGEST_NUMBER),
    ]


def test_the_keywords_are_those_of_the_code() -> None:
    """Kept, kept as formats, and passed over."""

    def keywords(heading: str) -> list[str]:
        (told,) = re.findall(rf"\*\*{heading}:\*\*((?:.|\n  )*?)(?=\.|\n-|\n\n)", TEXT)
        return spans(told.replace("\n", " "))

    assert keywords("Enforced as they stand") == sorted(KEPT)
    assert keywords("Formats enforced") == [name for _, name in KEPT_FORMATS]
    passed_over = keywords("Passed over in silence")
    assert passed_over == [*sorted(ANNOTATIONS), "x-"]


def test_a_cell_with_a_letter_has_its_note() -> None:
    """And every note has a cell."""
    compared = next(each for each in tables() if "feature" in each[0])
    letters = {
        letter for row in compared for cell in row[2:] for letter in re.findall(r"\((\w)\)", cell)
    }
    assert letters == set(re.findall(r"^- \((\w)\) ", TEXT, re.MULTILINE))
