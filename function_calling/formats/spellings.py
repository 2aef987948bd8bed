"""Spellings of a call that models of every family fall back to."""

_KEYS = r"(?:[\"'](?:id|type)[\"']\s*:\s*(?:[\"']\w*[\"']|\d+)\s*,\s*)*"
_FUNCTION = r"(?:[\"']function[\"']\s*:\s*\{\s*)?"
_NAME = r"[\"'](?:name|function)[\"']\s*:\s*[\"'](?P<name>\L<names>)[\"']"
_ARGUMENTS = r"[\"'](?:arguments|parameters)[\"']\s*:"
_OBJECT = r"(?P<object>\{(?:[^{}\"']|\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|(?&object))*+\})"

BARE_CALL = (
    r"(?:```(?:json|tool_call|tool_code)?\s*)?\[?\s*\{{1,2}\s*"
    rf"{_KEYS}{_FUNCTION}(?:{_NAME}\s*,\s*{_KEYS}{_ARGUMENTS}|{_ARGUMENTS}\s*{_OBJECT}\s*,\s*{_NAME})"
)
"""A JSON object that names an offered tool and holds its arguments.

In a Markdown fence or not, in a list or not, inside `{"type": "function", "function": {…}}` or
not, with doubled braces or not, in either order: `{"name": "f", "parameters": {…}}`.
"""

CLOSERS = r"\s|,|;|\]|\}|```|</tool_call>"
"""What may stand behind such a call."""
