"""Spellings of a call that models of every family fall back to."""

BARE_CALL = (
    r"(?:```(?:json|tool_call|tool_code)?\s*)?\[?\s*\{{1,2}\s*"
    r"(?:\"(?:id|type)\"\s*:\s*(?:\"\w*\"|\d+)\s*,\s*)*"
    r"(?:\"function\"\s*:\s*\{\s*)?"
    r"\"(?:name|function)\"\s*:\s*\"(?P<name>\L<names>)\"\s*,\s*"
    r"\"(?:arguments|parameters)\"\s*:"
)
"""A JSON object that names an offered tool and goes on to its arguments.

In a Markdown fence or not, in a list or not, inside `{"type": "function", "function": {…}}` or
not, with doubled braces or not: `{"name": "f", "parameters": {…}}`.
"""
