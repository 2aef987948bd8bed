"""Text that a model, a tool or a server wrote, made safe to show: it can't command the terminal.

Control characters would move the cursor, set colours or write to the clipboard, and those that
turn the direction of writing could make a call look like another one.
"""

import json
import re

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_PICTURES = 0x2400


def safe(text: str) -> str:
    """`text` with a visible sign in place of each control character but tabs and line ends."""
    whole = text.replace("\r", "").encode(errors="replace").decode()
    return _UNSAFE.sub(_sign, whole)


def one_line(text: str, most: int = 200) -> str:
    """`text` on one line of `most` characters, safe to show."""
    line = " ".join(text.split())
    return safe(line if len(line) <= most else f"{line[: most - 1]}…")


def call_text(name: str, arguments: str) -> str:
    """A call as code, whatever the model wrote as its arguments."""
    try:
        given = json.loads(arguments.strip() or "{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return one_line(f"{name}({arguments})")
    told = (f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items())
    return one_line(f"{name}({', '.join(told)})")


def _sign(unsafe: re.Match[str]) -> str:
    code = ord(unsafe[0])
    return chr(_PICTURES + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"
