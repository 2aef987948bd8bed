"""Python values as JSON text for a model to read.

Money keeps every digit: a `Decimal` becomes a JSON number spelled as it is (`131.90`), never a
float and never a string, since small models stumble over numbers in quotes.
"""

import json
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json


def json_text(value: Any) -> str:
    """`value` as JSON on one line.

    Dataclasses and pydantic models become objects, sets and tuples become arrays, enums their
    values, dates their ISO 8601 text.

    Raises:
        pydantic_core.PydanticSerializationError: A value inside has no JSON form.
    """
    if isinstance(value, Enum):
        return json_text(value.value)
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else json.dumps(str(value))
    if isinstance(value, BaseModel):
        return _object_text({name: getattr(value, name) for name in type(value).model_fields})
    if is_dataclass(value) and not isinstance(value, type):
        return _object_text({each.name: getattr(value, each.name) for each in fields(value)})
    if isinstance(value, dict):
        return _object_text(value)
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(json_text(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return to_json(value).decode()


def _object_text(members: dict[Any, Any]) -> str:
    """A JSON object; a key that is not text is written as text."""
    return (
        "{"
        + ", ".join(
            f"{json.dumps(_key_text(key), ensure_ascii=False)}: {json_text(value)}"
            for key, value in members.items()
        )
        + "}"
    )


def _key_text(key: Any) -> str:
    return key if isinstance(key, str) else json_text(key).strip('"')
