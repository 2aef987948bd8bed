"""Python values as JSON text for a model to read.

Money keeps every digit: a `Decimal` becomes a JSON number spelled as it is (`131.90`), never a
float and never a string, since small models stumble over numbers in quotes.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json

# Beyond it, zeros would only fill the prompt: 1E+999999999 has a billion of them.
LARGEST_EXPONENT = 400


def json_text(value: Any) -> str:
    """`value` as JSON on one line.

    Dataclasses and pydantic models become objects, whatever is a sequence or a set an array, enums
    their values, dates their ISO 8601 text.

    Raises:
        TypeError: A value inside is an iterator, which may have no end.
        pydantic_core.PydanticSerializationError: A value inside has no JSON form.
    """
    value = _members(value)
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f") if abs(value.adjusted()) <= LARGEST_EXPONENT else str(value)
    if isinstance(value, Mapping):
        members = (f"{_key_text(key)}: {json_text(each)}" for key, each in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Collection) and not isinstance(value, bytes | bytearray | memoryview):
        return "[" + ", ".join(json_text(item) for item in value) + "]"
    if isinstance(value, Iterator):
        raise TypeError("an iterator can't be told; wanted a list")
    return to_json(value, inf_nan_mode="strings").decode()


def result_text(value: Any, byte_limit: int) -> str:
    """What a model reads of a result: text as it is, anything else as JSON, "Done." for None.

    It has `byte_limit` bytes of UTF-8 at most; the rest is cut off, which the text then says.
    """
    text = "Done." if value is None else value if isinstance(value, str) else json_text(value)
    # A model's JSON may hold half a surrogate pair ("\ud83d"), which can't be sent on.
    encoded = text.encode(errors="replace")
    if len(encoded) <= byte_limit:
        return encoded.decode()
    shown = encoded[:byte_limit].decode(errors="ignore")
    return f"{shown}\n[Cut: these are the first {byte_limit} of {len(encoded)} bytes.]"


def _members(value: Any) -> Any:
    """What an enum, a model or a dataclass holds; any other value as it is."""
    if isinstance(value, Enum):
        return _members(value.value)
    if isinstance(value, BaseModel):
        # Secrets stay out and computed fields come in, as their author says.
        return _members(value.model_dump(warnings=False))
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return value


def _key_text(key: Any) -> str:
    text = json_text(key)
    return text if text.startswith('"') else json.dumps(text, ensure_ascii=False)
