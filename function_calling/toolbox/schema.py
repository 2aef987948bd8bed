"""A function's signature, type hints and docstring, as a JSON Schema and as a check.

Name, types and meaning are written once, in the function. pydantic builds a model of the
arguments from them; the model writes the schema that is sent to the language model, and checks
what comes back. Of a Google-style docstring the language model reads the first paragraph and
the entries of `Args:`.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, core_schema

from function_calling.errors import ToolError
from function_calling.toolbox.json_text import LARGEST_EXPONENT, json_text

# What OpenAI allows (https://platform.openai.com/docs/api-reference/chat/create).
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")

# Enough to recognise a wrong value by, and short beside the rest of a prompt.
_SHOWN_CHARACTERS = 80

_EXAMPLES = {
    "date": "a date like 2026-01-31",
    "date-time": "a date and time like 2026-01-31T18:30:00",
    "time": "a time like 18:30",
    "duration": "a duration like PT1H30M",
}
# The beginnings of pydantic's error types, the longer ones first.
_FORMATS = {"datetime_": "date-time", "date_": "date", "time_delta_": "duration", "time_": "time"}

_SECTION = re.compile(r"^(?P<title>[A-Z]\w*( \w+)?):\s*$")
_ENTRY = re.compile(r"^(?P<indent> +)(?P<name>\w+)(?: \([^)]*\))?:\s*(?P<text>.*)$")


@dataclass(frozen=True, slots=True)
class Said:
    """Marks a parameter whose value must come from the conversation: `Annotated[int, Said()]`.

    Numbers are compared by value, text without regard to case and white space. A value that the
    model made up is refused, and the model reads which values do occur.

    Attributes:
        by: `anyone`: the person wrote it, or a tool returned it. `tool`: a tool returned it, as
            an id that only a list of the things shows.
        numbers: Of a text only the numbers count, as in `80 * 15%`, and none is ever assumed, so
            that what is computed can be traced; whole numbers up to 100 need not occur, since half
            of something is `/ 2`.
    """

    by: Literal["anyone", "tool"] = "anyone"
    numbers: bool = False


class FunctionSchema:
    """What a model must know to call `function`, and the check of what it sends.

    Attributes:
        name: The function's own name.
        description: The first paragraph of its docstring.
        parameters: The JSON Schema of its arguments.
        said: The parameters that are marked as `Said`.

    Raises:
        TypeError: The function can't be a tool; names what is missing. For its developer.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = _name(function)
        self.description, meanings = read_docstring(inspect.getdoc(function) or "")
        if not self.description:
            raise TypeError(f"{self.name} has no docstring: a model needs to read what it does.")
        try:
            hints = _hints(function)
            self._names = list(hints)
            self._model = _arguments_model(function, hints, meanings)
            self.parameters = _parameters(self._model)
        except (NameError, PydanticUserError) as error:
            raise TypeError(f"{self.name}: {str(error).splitlines()[0]}") from error
        if strangers := meanings.keys() - hints.keys():
            raise TypeError(f"{self.name} documents {sorted(strangers)}, which it doesn't take.")
        marks = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
        self.said = {
            name: mark for name, every in marks.items() for mark in every if isinstance(mark, Said)
        }
        self._defaults = [each.default for each in inspect.signature(function).parameters.values()]

    def arguments(self, text: str) -> dict[str, Any]:
        """The keyword arguments that `text`, a JSON object written by a model, asks for.

        Numbers are read as `Decimal`, so no digit is lost on the way. No text at all counts as
        an empty object, since that is how many models call a function without arguments.

        Raises:
            ToolError: The text is no JSON object, or an argument is missing, unknown or wrong.
        """
        try:
            members = json.loads(text.strip() or "{}", parse_float=_decimal, parse_constant=_refuse)
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
            problems = [_told(each, self.parameters) for each in error.errors(include_url=False)]
        else:
            problems = _slips(members, self.parameters, "", self.parameters)
        if problems:
            raise self._wrong(f"{'; '.join(problems)}.")
        return {name: getattr(checked, _field(n)) for n, name in enumerate(self._names)}

    def chosen(self, arguments: Mapping[str, Any]) -> dict[str, tuple[Said, Any]]:
        """The marked arguments that are not their defaults, each with its mark."""
        defaults = dict(zip(self._names, self._defaults, strict=True))
        return {
            name: (mark, arguments[name])
            for name, mark in self.said.items()
            if arguments[name] != defaults[name]
        }

    def _not_json(self, problem: str) -> ToolError:
        return self._wrong(
            f"The arguments are not a JSON object ({problem}). "
            f"Wanted: an object of this JSON Schema: {json_text(self.parameters)}"
        )

    def _wrong(self, advice: str) -> ToolError:
        return ToolError(f"{self.name} was not called: its arguments are wrong.", advice=advice)


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The first paragraph and the entries of `Args:`, each on one line.

    Args:
        text: A docstring, cleaned of indentation.
    """
    summary = " ".join(text.strip().split("\n\n")[0].split())
    meanings: dict[str, str] = {}
    title, name, margin = "", "", ""
    for line in text.splitlines():
        if section := _SECTION.match(line):
            title = section["title"]
        elif title == "Args":
            entry = _ENTRY.match(line)
            if entry and (not margin or entry["indent"] == margin):
                name, margin = entry["name"], entry["indent"]
                meanings[name] = entry["text"].strip()
            elif name:
                meanings[name] = f"{meanings[name]} {line.strip()}".strip()
    return summary, meanings


def _name(function: Callable[..., Any]) -> str:
    """The name of a function that can be a tool's."""
    name = getattr(function, "__name__", "")
    if not _NAME.fullmatch(name):
        raise TypeError(
            f"{name or repr(function)}: wanted a function with a name of {_NAME.pattern}."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{name} yields: wanted a function that returns its whole result.")
    return name


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of a function's arguments, each of which can be passed by name."""
    hints = get_type_hints(function, include_extras=True)
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(function).parameters
    for name, parameter in parameters.items():
        if parameter.kind not in by_name:
            raise TypeError(f"{function.__name__}({parameter}): wanted an argument with a name.")
        if name not in hints:
            raise TypeError(f"{function.__name__}({name}): wanted a type hint.")
    return {name: hints[name] for name in parameters}


def _arguments_model(
    function: Callable[..., Any], hints: Mapping[str, Any], meanings: Mapping[str, str]
) -> type[BaseModel]:
    """A pydantic model with a field for each argument."""
    parameters = inspect.signature(function).parameters
    members: dict[str, Any] = {}
    for n, (name, type_) in enumerate(hints.items()):
        hint: Any = Annotated[type_, Field(alias=name)]
        if name in meanings:
            hint = Annotated[hint, Field(description=meanings[name])]
        default = parameters[name].default
        members[_field(n)] = (hint, ... if default is inspect.Parameter.empty else default)
    rules = ConfigDict(extra="forbid", allow_inf_nan=False)
    return create_model(function.__name__, __config__=rules, **members)


def _field(n: int) -> str:
    # Arguments may be called `copy` or `_x`, pydantic's fields may not: they go by alias.
    return f"argument_{n}"


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    # As an int, 1e999999999 would fill the memory.
    if abs(number.adjusted()) > LARGEST_EXPONENT:
        raise ValueError(f"{text} is out of range")
    return number


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _parameters(model: type[BaseModel]) -> dict[str, Any]:
    """The model's fields as JSON Schema: no titles, references written out, decimals as numbers.

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


def _told(error: ErrorDetails, parameters: Mapping[str, Any]) -> str:
    """One of pydantic's errors as argument, value and what was wanted."""
    where = ".".join(str(step) for step in error["loc"])
    nested = len(error["loc"]) > 1
    if error["type"] == "missing":
        wanted = "" if nested else f", wanted {json_text(parameters['properties'][where])}"
        return f"{where} is missing{wanted}"
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        names = ", ".join(parameters["properties"]) or "none"
        known = "" if nested else f", the arguments are: {names}"
        return f"{where}={_shown(error['input'])} is no argument{known}"
    for beginning, name in _FORMATS.items():
        if error["type"].startswith(beginning):
            return _is_wrong(where, error["input"], f"wanted {_EXAMPLES[name]}")
    wanted = error["msg"].removeprefix("Value error, ")
    return _is_wrong(where, error["input"], f"{wanted[0].lower()}{wanted[1:]}")


def _slips(value: Any, schema: Mapping[str, Any], where: str, root: Mapping[str, Any]) -> list[str]:
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
    formats = [option["format"] for option in options if option.get("format") in _EXAMPLES]
    if isinstance(value, bool) and types & {"integer", "number"}:
        return [_is_wrong(where, value, "wanted a number")]
    if isinstance(value, int | Decimal) and formats:
        return [_is_wrong(where, value, f"wanted {_EXAMPLES[formats[0]]}")]
    return []


def _shown(value: Any) -> str:
    """A wrong value as JSON, cut where it is long."""
    text = json_text(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _is_wrong(where: str, value: Any, wanted: str) -> str:
    return f"{where}={_shown(value)} is wrong: {wanted}"


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
            yield from _slips(each, kind, f"{where}.{step}" if where else str(step), root)
