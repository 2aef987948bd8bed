"""OpenAI's `response_format`: what the reply's content must be.

https://platform.openai.com/docs/guides/structured-outputs
"""

from collections.abc import Mapping
from typing import Any

from function_calling.errors import RequestError, shown
from function_calling.model.words import ContentFormat


def content_format(response_format: Mapping[str, Any] | None) -> ContentFormat | None:
    """What the content must be; None where it is free text.

    Raises:
        RequestError: The format is of no known kind, or holds no schema.
    """
    if response_format is None or response_format.get("type") == "text":
        return None
    if response_format.get("type") == "json_object":
        return ContentFormat(_object_schema(response_format))
    if response_format.get("type") != "json_schema":
        raise _wrong(response_format, 'type "text", "json_object" or "json_schema"')
    told = response_format.get("json_schema")
    schema = told.get("schema") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(schema, dict):
        raise _wrong(response_format, '"json_schema": {"name": …, "schema": {…}}')
    strict = told.get("strict")
    if not isinstance(strict, bool | None):
        raise _wrong(response_format, "strict to be true or false")
    return ContentFormat(schema, bool(strict))


def _object_schema(response_format: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema beside "json_object", with which other servers say what the object is."""
    schema = response_format.get("schema") or {}
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise _wrong(response_format, '"schema" to be a JSON Schema of an object')
    return {**schema, "type": "object"}


def _wrong(value: Any, wanted: str) -> RequestError:
    return RequestError(
        f"response_format={shown(value)}: wanted {wanted}.", param="response_format"
    )
