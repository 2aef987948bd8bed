"""Values as models write them: JSON, Python literals, and mixtures of both.

Reading is decided by what has been read alone, never by what may follow, so a text that grows is
read as the whole text is.
"""

import ast
import json
import re
from typing import Any, NoReturn

_TOKENS = re.compile(
    r"""(?P<quote>\"{3}|'{3})(?:[^\\]|\\.)*?(?P=quote)|(?P<open>\"{3}|'{3})|"""
    r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[][(){}]|(?P<half>["'])""",
    re.DOTALL,
)
_SPACE = re.compile(r"\s*")
_SCALAR = re.compile(r"[^\s,()\[\]{}\"'=]+")
_CLOSES = {")": "(", "]": "[", "}": "{"}
_JSON = json.JSONDecoder()
_WORDS = {"true": True, "false": False, "null": None}


def read_value(text: str, start: int) -> tuple[Any, int] | None:
    """The value that begins at `start`, and where it ends; None while the text is too short.

    Raises:
        ValueError: No value begins here.
    """
    end = _end(text, start)
    return None if end is None else (parse_value(text[start:end]), end)


def parse_value(text: str) -> Any:
    """The value that the text is.

    Raises:
        ValueError: It is none, or nested too deeply.
    """
    try:
        value = json.loads(text, strict=False, parse_constant=_refuse)
    except (ValueError, RecursionError):
        value = _python(text)
    try:
        # Half a surrogate pair is no text, and an infinite number is no JSON.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise _too_deep(text) from None
    return value


def first_json(text: str, start: int) -> tuple[Any, int]:
    """The JSON that begins at `start`, or behind white space there, and where it ends.

    Raises:
        ValueError: No JSON begins here, or it is nested too deeply.
    """
    try:
        return _JSON.raw_decode(text, past_space(text, start))
    except RecursionError:
        raise _too_deep(text[start:]) from None


def each_name_once(text: str) -> str:
    """The JSON with each name of an object once, with its last value.

    A grammar can't forbid a name that it doesn't know to come again.
    """
    repeated = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        repeated |= len(dict(pairs)) < len(pairs)
        return dict(pairs)

    value = json.loads(text, object_pairs_hook=members)
    return to_json(value) if repeated else text


def past_space(text: str, start: int) -> int:
    """The first place from `start` on that holds no white space."""
    return _SPACE.match(text, start).end()  # type: ignore[union-attr]


def to_json(value: Any) -> str:
    """The value as JSON, with its characters as they are."""
    return json.dumps(value, ensure_ascii=False)


def _end(text: str, start: int) -> int | None:
    """Where the brackets, quotes or the word that begin at `start` end."""
    if start == len(text):
        return None
    if text[start] in "[({\"'":
        return _closed(text, start)
    scalar = _SCALAR.match(text, start)
    if scalar is None:
        raise ValueError(f"no value: {text[start]!r}")
    return scalar.end() if scalar.end() < len(text) else None


def _closed(text: str, start: int) -> int | None:
    opened: list[str] = []
    for token in _TOKENS.finditer(text, start):
        if token["open"] or token["half"]:
            return None
        if token[0] in _CLOSES.values():
            opened.append(token[0])
        elif token[0] in _CLOSES and opened.pop() != _CLOSES[token[0]]:
            raise ValueError(f"unbalanced {token[0]!r}")
        if not opened:
            return token.end()
    return None


def _python(text: str) -> Any:
    try:
        return _literal(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"no value: {text[:80]!r}") from error


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=str() | int() | float() | None as value):
            return value
        case ast.Name(id=word) if word in _WORDS:
            return _WORDS[word]
        case ast.List() | ast.Tuple() | ast.Set():
            return [_literal(each) for each in node.elts]
        case ast.Dict():
            return {
                _key(key): _literal(value)
                for key, value in zip(node.keys, node.values, strict=True)
            }
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
    raise ValueError(f"no literal: {ast.unparse(node)[:80]}")


def _key(node: ast.expr | None) -> str:
    match node:
        case ast.Constant(value=str() as key):
            return key
    raise ValueError("an object's keys are strings")


def _too_deep(text: str) -> ValueError:
    return ValueError(f"nested too deeply: {text[:80]!r}")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
