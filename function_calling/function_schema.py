"""A function's signature, type hints and docstring, as a JSON Schema and as a check.

Name, types and meaning are written once, in the function. pydantic builds a model of the
arguments from them; the model writes the schema that is sent to the language model, and checks
what comes back.
"""

import inspect
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, core_schema

from function_calling.docstrings import read_docstring
from function_calling.errors import ToolError
from function_calling.json_text import json_text

# Enough to recognise a wrong value by, and short beside the rest of a prompt.
SHOWN_CHARACTERS = 80


class Question(str):
    """The type of an argument that is given what the person asked, and that no model sees."""


class FunctionSchema:
    """What a model must know to call `function`, and the check of what it sends.

    Attributes:
        name: The function's own name.
        description: The first paragraph of its docstring.
        parameters: The JSON Schema of its arguments.

    Raises:
        TypeError: The function can't be a tool; names what is missing. For its developer.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = function.__name__
        docstring = read_docstring(inspect.getdoc(function) or "")
        if not docstring.summary:
            raise TypeError(f"{self.name} has no docstring: a model needs to read what it does.")
        self.description = docstring.summary
        names = _argument_names(function)
        hints = get_type_hints(function)
        self._names = [name for name in names if hints[name] is not Question]
        self._question_names = [name for name in names if hints[name] is Question]
        if strangers := docstring.arguments.keys() - set(self._names):
            raise TypeError(f"{self.name} documents {sorted(strangers)}, which it doesn't take.")
        self._model = _arguments_model(function, self._names, docstring.arguments)
        self.parameters = _json_schema(self._model)

    def arguments(self, text: str, question: str = "") -> dict[str, Any]:
        """The keyword arguments that `text`, a JSON object written by a model, asks for.

        `question` is added for the arguments of type `Question`.

        Numbers are read as `Decimal`, so no digit is lost on the way. No text at all counts as
        an empty object, since that is how many models call a function without arguments.

        Raises:
            ToolError: The text is no JSON object, or an argument is missing, unknown or wrong.
        """
        try:
            members = json.loads(text.strip() or "{}", parse_float=Decimal, parse_constant=_refuse)
        except json.JSONDecodeError as error:
            near = error.doc[max(0, error.pos - 20) : error.pos + 20]
            raise self._not_json(f"{error.msg} at character {error.pos}, near {near!r}") from None
        except (ValueError, RecursionError) as error:
            raise self._not_json(str(error)) from None
        if not isinstance(members, dict):
            raise self._not_json(f"{_shown(members)} is no object")
        try:
            checked = self._model.model_validate(members)
        except ValidationError as error:
            wrong = "; ".join(self._told(each) for each in error.errors(include_url=False))
            raise ToolError(f"{self.name} was not called: {wrong}.") from None
        arguments = {name: getattr(checked, _field(n)) for n, name in enumerate(self._names)}
        return arguments | dict.fromkeys(self._question_names, Question(question))

    def _not_json(self, problem: str) -> ToolError:
        return ToolError(
            f"{self.name} was not called: the arguments are not a JSON object ({problem}). "
            f"Wanted: an object of this JSON Schema: {json_text(self.parameters)}"
        )

    def _told(self, error: ErrorDetails) -> str:
        """One of pydantic's errors as argument, value and what was wanted."""
        where = ".".join(str(step) for step in error["loc"])
        nested = len(error["loc"]) > 1
        if error["type"] == "missing":
            wanted = "" if nested else f", wanted {json_text(self.parameters['properties'][where])}"
            return f"{where} is missing{wanted}"
        if error["type"] == "extra_forbidden":
            known = "" if nested else f", the arguments are: {', '.join(self._names) or 'none'}"
            return f"{where}={_shown(error['input'])} is no argument{known}"
        wanted = error["msg"].removeprefix("Value error, ")
        return f"{where}={_shown(error['input'])} is wrong: {wanted[0].lower()}{wanted[1:]}"


def _argument_names(function: Callable[..., Any]) -> list[str]:
    """The names of a function's arguments, each of which can be passed by name and has a type."""
    hints = get_type_hints(function)
    parameters = inspect.signature(function).parameters
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    for name, parameter in parameters.items():
        if parameter.kind not in by_name:
            raise TypeError(f"{function.__name__}({parameter}): wanted an argument with a name.")
        if name not in hints:
            raise TypeError(f"{function.__name__}({name}): wanted a type hint.")
    return list(parameters)


def _arguments_model(
    function: Callable[..., Any], names: list[str], meanings: dict[str, str]
) -> type[BaseModel]:
    """A pydantic model with a field for each argument."""
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    members: dict[str, Any] = {}
    for n, name in enumerate(names):
        hint: Any = Annotated[hints[name], Field(alias=name)]
        if name in meanings:
            hint = Annotated[hint, Field(description=meanings[name])]
        default = parameters[name].default
        members[_field(n)] = (hint, ... if default is inspect.Parameter.empty else default)
    return create_model(function.__name__, __config__=ConfigDict(extra="forbid"), **members)


def _field(n: int) -> str:
    # Arguments may be called `copy` or `_x`, pydantic's fields may not: they go by alias.
    return f"argument_{n}"


class _Generator(GenerateJsonSchema):
    """pydantic's JSON Schema, with a Decimal as a plain number."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        number: JsonSchemaValue = {"type": "number"}
        self.update_with_validations(number, schema, self.ValidationsMapping.numeric)
        return {key: float(v) if isinstance(v, Decimal) else v for key, v in number.items()}

    def encode_default(self, dft: Any) -> Any:
        return float(dft) if isinstance(dft, Decimal) else super().encode_default(dft)


def _json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema that a language model reads: no titles, references written out."""
    if not model.model_fields:
        return {"type": "object", "properties": {}}
    schema = model.model_json_schema(schema_generator=_Generator)
    definitions = schema.pop("$defs", {})
    plain: dict[str, Any] = _plain(schema, definitions, ())
    # Only a type that contains itself still refers to its definition.
    return plain | {"$defs": definitions} if "#/$defs/" in json_text(plain) else plain


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


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _shown(value: Any) -> str:
    text = json_text(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
