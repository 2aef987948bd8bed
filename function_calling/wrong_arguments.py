"""What is wrong with a call's arguments, in words that tell a model what would be right."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from pydantic_core import ErrorDetails

from function_calling.json_text import json_text

# Enough to recognise a wrong value by, and short beside the rest of a prompt.
SHOWN_CHARACTERS = 80

EXAMPLES = {
    "date": "a date like 2026-01-31",
    "date-time": "a date and time like 2026-01-31T18:30:00",
    "time": "a time like 18:30",
    "duration": "a duration like PT1H30M",
}
"""JSON Schema's formats of text that pydantic would read from numbers too."""

# The beginnings of pydantic's error types, the longer ones first.
_FORMATS = {"datetime_": "date-time", "date_": "date", "time_delta_": "duration", "time_": "time"}


def told(error: ErrorDetails, parameters: Mapping[str, Any]) -> str:
    """One of pydantic's errors as argument, value and what was wanted."""
    where = ".".join(str(step) for step in error["loc"])
    nested = len(error["loc"]) > 1
    if error["type"] == "missing":
        wanted = "" if nested else f", wanted {json_text(parameters['properties'][where])}"
        return f"{where} is missing{wanted}"
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        names = ", ".join(parameters["properties"]) or "none"
        known = "" if nested else f", the arguments are: {names}"
        return f"{where}={shown(error['input'])} is no argument{known}"
    for beginning, name in _FORMATS.items():
        if error["type"].startswith(beginning):
            return _wrong(where, error["input"], f"wanted {EXAMPLES[name]}")
    wanted = error["msg"].removeprefix("Value error, ")
    return _wrong(where, error["input"], f"{wanted[0].lower()}{wanted[1:]}")


def slips(value: Any, schema: Mapping[str, Any], where: str, root: Mapping[str, Any]) -> list[str]:
    """What pydantic takes and no model can have meant: true for 1, and 3 for three past midnight.

    Args:
        value: What a model wrote, read as JSON.
        schema: What was wanted in its place.
        where: The steps to it, joined by dots.
        root: Holds the definitions that the schema refers to.
    """
    options = [_resolved(option, root) for option in _options(_resolved(schema, root))]
    fitting = [option for option in options if _fits(value, option)]
    if fitting:
        found = [list(_inside(value, option, where, root)) for option in fitting]
        return min(found, key=len)
    types = {option.get("type") for option in options}
    formats = [option["format"] for option in options if option.get("format") in EXAMPLES]
    if isinstance(value, bool) and types & {"integer", "number"}:
        return [_wrong(where, value, "wanted a number")]
    if isinstance(value, int | Decimal) and formats:
        return [_wrong(where, value, f"wanted {EXAMPLES[formats[0]]}")]
    return []


def shown(value: Any) -> str:
    """A wrong value as JSON, cut where it is long."""
    text = json_text(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def _wrong(where: str, value: Any, wanted: str) -> str:
    return f"{where}={shown(value)} is wrong: {wanted}"


def _options(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    options: list[Mapping[str, Any]] = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return options


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    found: Mapping[str, Any] = root.get("$defs", {}).get(name, schema)
    return found


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether the schema is for values of this JSON type; text may spell any other."""
    wanted = schema.get("type")
    if wanted is None or isinstance(value, str):
        return True
    if isinstance(value, bool):
        return bool(wanted == "boolean")
    if isinstance(value, int | Decimal):
        return wanted in ("integer", "number", "boolean")
    if isinstance(value, dict):
        return bool(wanted == "object")
    return bool(wanted == ("array" if isinstance(value, list) else "null"))


def _inside(
    value: Any, schema: Mapping[str, Any], where: str, root: Mapping[str, Any]
) -> Iterator[str]:
    """The slips in a value's members."""
    members: list[tuple[Any, Any, Any]] = []
    if isinstance(value, dict):
        other = schema.get("additionalProperties")
        known = schema.get("properties", {})
        members = [(key, each, known.get(key, other)) for key, each in value.items()]
    elif isinstance(value, list):
        first = schema.get("prefixItems", [])
        kinds = [*first, *[schema.get("items")] * (len(value) - len(first))]
        members = [(n, each, kinds[n]) for n, each in enumerate(value)]
    for step, each, kind in members:
        if isinstance(kind, dict):
            yield from slips(each, kind, f"{where}.{step}" if where else str(step), root)
