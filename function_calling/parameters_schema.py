"""A pydantic model of arguments as the JSON Schema that a language model reads.

No titles, references written out, a `Decimal` as a plain number.
"""

import json
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from function_calling.json_text import json_text


def parameters_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of the model's fields.

    Raises:
        pydantic.PydanticUserError: A type has no JSON Schema.
    """
    if not model.model_fields:
        return {"type": "object", "properties": {}}
    schema = model.model_json_schema(schema_generator=_Generator)
    definitions = schema.pop("$defs", {})
    plain: dict[str, Any] = _plain(schema, definitions, ())
    # Only a type that contains itself still refers to its definition.
    return plain | {"$defs": definitions} if "#/$defs/" in json_text(plain) else plain


class _Generator(GenerateJsonSchema):
    """pydantic's JSON Schema, with each Decimal as a plain number."""

    # A default without JSON form, as a marker for "not given", is not for the model.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        number: JsonSchemaValue = {"type": "number"}
        self.update_with_validations(number, schema, self.ValidationsMapping.numeric)
        return {key: float(v) if isinstance(v, Decimal) else v for key, v in number.items()}

    def encode_default(self, dft: Any) -> Any:
        return json.loads(json_text(dft))


def _plain(node: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:
    """`node` without titles, and with each reference replaced by what it refers to."""
    if isinstance(node, list):
        return [_plain(item, definitions, inside) for item in node]
    if not isinstance(node, dict):
        return node
    name = str(node.get("$ref", "")).removeprefix("#/$defs/")
    if name in definitions and name not in inside:
        siblings = {key: value for key, value in node.items() if key != "$ref"}
        return _plain(definitions[name] | siblings, definitions, (*inside, name))
    return {
        key: value if key in ("default", "enum", "const") else _plain(value, definitions, inside)
        for key, value in node.items()
        # A property may be called "title"; a schema's own title is text.
        if not (key == "title" and isinstance(value, str))
    }
