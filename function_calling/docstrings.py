"""What a Google-style docstring tells a model about a function.

Convert an amount of money.            <- the summary: what the tool is for

Args:
    amount: How much to convert.       <- what an argument means
    to: The currency wanted,
        as an ISO 4217 code.

Returns:                               <- other sections are for people
    ...
"""

import re
from typing import NamedTuple

_SECTION = re.compile(r"^(?P<title>[A-Z]\w*( \w+)?):\s*$")
_ENTRY = re.compile(r"^(?P<indent> +)(?P<name>\w+)(?: \([^)]*\))?:\s*(?P<text>.*)$")


class Docstring(NamedTuple):
    """The parts of a docstring that a model reads; both are on one line each."""

    summary: str
    arguments: dict[str, str]


def read_docstring(text: str) -> Docstring:
    """The first paragraph and the entries of `Args:` in a docstring cleaned of indentation."""
    summary = " ".join(text.strip().split("\n\n")[0].split())
    arguments: dict[str, str] = {}
    name, margin = "", ""
    for line in _arguments_section(text):
        entry = _ENTRY.match(line)
        if entry and (not margin or entry["indent"] == margin):
            name, margin = entry["name"], entry["indent"]
            arguments[name] = entry["text"].strip()
        elif name:
            arguments[name] = f"{arguments[name]} {line.strip()}".strip()
    return Docstring(summary, arguments)


def _arguments_section(text: str) -> list[str]:
    """The lines between `Args:` and the next section."""
    title, lines = "", []
    for line in text.splitlines():
        if section := _SECTION.match(line):
            title = section["title"]
        elif title == "Args":
            lines.append(line)
    return lines
