"""A function's signature, type hints and docstring, as a JSON Schema and as a check.

pydantic builds a model of the arguments from them, which writes the schema that is sent to the
language model, and checks what comes back. Of a Google-style docstring the language model reads
the first paragraph and the entries of `Args:`.
"""

import inspect
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import Enum
from functools import partial
from numbers import Number
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PydanticUserError,
    ValidationError,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import (
    ErrorDetails,
    PydanticCustomError,
    SchemaError,
    SchemaValidator,
    core_schema,
    to_jsonable_python,
)

from function_calling.errors import ToolError
from function_calling.toolbox.json_text import LARGEST_EXPONENT, json_text

_log = logging.getLogger(__name__)

# What OpenAI allows (https://platform.openai.com/docs/api-reference/chat/create).
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")

MOST_LEVELS = 100
"""Lists and objects of an argument in each other; more would come close to Python's own bound."""

# Arguments may be called `copy` or `_x`, pydantic's fields may not: they go by alias.
_FIELD = "argument_{}"
_RULES = ConfigDict(extra="forbid", allow_inf_nan=False)

# How pydantic's errors about a type begin, and what is wanted; the first that fits counts.
_TIMES = {
    "datetime_": "a date and time like 2026-01-31T18:30:00",
    "date_": "a date like 2026-01-31",
    "time_delta_": "a duration like PT1H30M",
    "time_": "a time like 18:30",
}
_WANTED = {kind.replace("_", ""): wanted for kind, wanted in _TIMES.items()}
_WANTED |= dict.fromkeys(("int", "float", "decimal"), "a number")

# Of pydantic's own schemas, those of JSON's kinds; and what holds no schemas.
_OF_JSON = ("str", "int", "float", "bool")
_VALUES = ("config", "default", "expected", "members", "metadata", "serialization")

_MARK = "x-said"

# What pydantic takes for seconds since 1970, also in quotes.
_COUNTED = re.compile(r"\s*[+-]?\d+(\.\d*)?\s*")

_SECTION = re.compile(r"^(?P<title>[A-Z]\w*( \w+)?):\s*$")
_ENTRY = re.compile(r"^(?P<indent> +)(?P<name>\w+)(?: \(.*?\))?:\s*(?P<text>.*)$")


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
            of something is `/ 2`. The result is taken for a step on the way to another call, so the
            tool is offered once a call or an answer lacked a number.
    """

    by: Literal["anyone", "tool"] = "anyone"
    numbers: bool = False

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The same schema with a mark, which tells where in a type it stands."""
        return {**handler(schema), _MARK: True}


class FunctionSchema:
    """What a model must know to call `function`, and the check of what it sends.

    Attributes:
        description: The first paragraph of the function's docstring.
        parameters: The JSON Schema of its arguments.
        said: The parameters that are marked as `Said`.

    Raises:
        TypeError: The function can't be a tool; names what is missing. For its developer.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = _name(function)
        self.description, meanings = read_docstring(inspect.getdoc(function) or "")
        if not self.description:
            raise TypeError(f"{self.name} has no docstring: a model needs to read what it does.")
        signature = inspect.signature(function).parameters
        try:
            hints = get_type_hints(function, include_extras=True)
            members = {
                _FIELD.format(name): _member(each, self.name, hints, meanings)
                for name, each in signature.items()
            }
            model = create_model(self.name, __config__=_RULES, **members)
            fields = dict(zip(signature, model.model_fields.values(), strict=True))
            self._defaults = {name: each.get_default() for name, each in fields.items()}
            self.said = {
                name: mark
                for name, each in fields.items()
                for mark in each.metadata
                if isinstance(mark, Said)
            }
            self.parameters = _parameters(model)
            for name, schema in self.parameters["properties"].items():
                marked = schema.pop(_MARK, False)
                if f'"{_MARK}"' in json_text(schema) or (marked and name not in self.said):
                    wanted = "Annotated[the whole type, Said()]"
                    raise TypeError(f"{self.name}({name}) is Said in part: wanted {wanted}.")
            heedful = _heedful(model.__pydantic_core_schema__)
            # A model in it that is built already would bring its own check.
            self._validator = SchemaValidator(heedful, _use_prebuilt=False)
        except (NameError, SyntaxError, PydanticUserError, SchemaError) as error:
            told = " ".join(str(error).partition("\n\n")[0].split())
            raise TypeError(f"{self.name}: {told}") from error
        if strangers := meanings.keys() - signature.keys():
            raise TypeError(f"{self.name} documents {sorted(strangers)}, which it doesn't take.")

    @property
    def schema(self) -> dict[str, Any]:
        """The function as OpenAI's `tools` describe one."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}

    def arguments(self, text: str) -> dict[str, Any]:
        """The keyword arguments that `text`, a JSON object written by a model, asks for.

        Numbers are read as `Decimal`, so no digit is lost on the way. No text at all counts as
        an empty object, since that is how many models call a function without arguments.

        Raises:
            ToolError: The text is no JSON object, or an argument is missing, unknown or wrong.
        """
        try:
            members = _members(text)
        except (ValueError, RecursionError) as error:
            raise self._wrong(
                f"The arguments are not a JSON object ({error}). "
                f"Wanted: an object of this JSON Schema: {json_text(self.parameters)}"
            ) from None
        read, problems = self._checked(members)
        if problems:
            raise self._wrong(f"{'; '.join(problems)}.")
        return read

    def _checked(self, members: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The arguments as the function takes them, and what is wrong with them."""
        try:
            checked = self._validator.validate_python(members)
        except ValidationError as error:
            return {}, [_told(each, self.parameters) for each in error.errors(include_url=False)]
        except ToolError:
            raise
        except Exception as error:  # a validator is its developer's code
            _log.error("A validator of tool %s failed", self.name, exc_info=error)
            return {}, [f"their check failed with {type(error).__name__}: {error}"]
        return {name: getattr(checked, _FIELD.format(name)) for name in self._defaults}, []

    def chosen(self, arguments: Mapping[str, Any], text: str) -> dict[str, tuple[Said, Any]]:
        """The marked arguments that are not their defaults, each with its mark.

        Whatever is no number is as the model wrote it: nobody says `Size.SMALL`.
        """
        written = _members(text)
        return {
            name: (mark, read if _is_number(read) else written[name])
            for name, mark in self.said.items()
            if name in written and (read := arguments[name]) not in (None, self._defaults[name])
        }

    def _wrong(self, advice: str) -> ToolError:
        return ToolError(f"{self.name} was not called: its arguments are wrong.", advice=advice)


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The first paragraph and the entries of `Args:`, each on one line, of a clean docstring."""
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
    name = getattr(function, "__name__", "")
    if not _NAME.fullmatch(name):
        raise TypeError(
            f"{name or repr(function)}: wanted a function with a name of {_NAME.pattern}."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{name} yields: wanted a function that returns its whole result.")
    return name


def _member(
    parameter: inspect.Parameter, tool: str, hints: Mapping[str, Any], meanings: Mapping[str, str]
) -> Any:
    """A parameter as a field of pydantic's: its type, and what else there is to say."""
    name = parameter.name
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise TypeError(f"{tool}({parameter}): wanted an argument with a name.")
    if name not in hints:
        raise TypeError(f"{tool}({name}): wanted a type hint.")
    told: dict[str, Any] = {"description": meanings[name]} if name in meanings else {}
    hint, default = hints[name], parameter.default
    if isinstance(default, FieldInfo):
        hint = Annotated[hint, default]
    elif default is not parameter.empty:
        told["default"] = default
    return hint, Field(alias=name, **told)


def _members(text: str) -> dict[str, Any]:
    """The members of a JSON object as a model wrote it, or a ValueError that says what it is."""
    try:
        members = json.loads(text.strip() or "{}", parse_float=_number, parse_constant=_number)
    except json.JSONDecodeError as error:
        near = error.doc[max(0, error.pos - 20) : error.pos + 20]
        raise ValueError(f"{error.msg} at character {error.pos}, near {near!r}") from None
    if _deeper(members, MOST_LEVELS):
        raise ValueError(f"there are more than {MOST_LEVELS} levels in it")
    if not isinstance(members, dict):
        raise ValueError(f"{_shown(members)} is no object")
    return members


def _deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_deeper(each, levels - 1) for each in inside)


def _number(text: str) -> Decimal:
    number = Decimal(text, Context(traps=[]))
    # As an int, 1e999999999 would fill the memory.
    if not number.is_finite() or abs(number.adjusted()) > LARGEST_EXPONENT:
        raise ValueError(f"{text} is out of range")
    return number


def _parameters(model: type[BaseModel]) -> dict[str, Any]:
    """The model's fields as JSON Schema: no titles, references written out, decimals as numbers."""
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
    # The name of a check is none of the model's.
    steps = [step for each in error["loc"] if not (step := str(each)).startswith("function-")]
    where, nested = ".".join(steps), len(steps) > 1
    if error["type"] == "missing":
        wanted = "" if nested else f", wanted {json_text(parameters['properties'][where])}"
        return f"{where} is missing{wanted}"
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        names = ", ".join(parameters["properties"]) or "none"
        known = "" if nested else f", the arguments are: {names}"
        return f"{where}={_shown(error['input'])} is no argument{known}"
    problem = error["msg"].removeprefix("Value error, ")
    problem = f"{problem[:1].lower()}{problem[1:]}"
    kind = error["type"].replace("_past", "").replace("_future", "")
    times = (f"wanted {wanted}" for begins, wanted in _TIMES.items() if kind.startswith(begins))
    return f"{where}={_shown(error['input'])} is wrong: {next(times, problem)}"


def _heedful(node: Any) -> Any:
    """pydantic's schema of a check, without what it takes and no model can have meant.

    That is true for 1, and 3 for three past midnight. A member of an enum is what a model was told
    to write for it, and what is iterated over is checked as a list is. Strict is as JSON can be: no
    day is one there, and no set.
    """
    if isinstance(node, list | tuple):
        return type(node)(map(_heedful, node))
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    if not isinstance(kind, str):  # schemas by the names of fields
        return {name: _heedful(each) for name, each in node.items()}
    made = {key: each if key in _VALUES else _heedful(each) for key, each in node.items()}
    if kind not in _OF_JSON:
        made["strict"] = False
    if kind == "generator":
        return made | {"type": "list"}
    if kind in _WANTED:
        check = partial(_meant, _WANTED[kind])
    elif kind in ("enum", "literal"):
        members = made["members" if kind == "enum" else "expected"]
        check = partial(_member_of, {json_text(to_jsonable_python(each)): each for each in members})
    else:
        return made
    ref = made.pop("ref", None)
    return core_schema.no_info_before_validator_function(check, made, ref=ref)


def _meant(wanted: str, value: Any) -> Any:
    """The value, unless it is a truth value for a number, or a number for a time."""
    counted = isinstance(value, int | Decimal) or _COUNTED.fullmatch(str(value))
    if isinstance(value, bool) or (counted and wanted != "a number"):
        raise PydanticCustomError("meant", f"wanted {wanted}")
    return value


def _member_of(members: Mapping[str, Any], value: Any) -> Any:
    """The member that is written so, or else the value; a truth value would be 1 or 0."""
    text = json_text(value)
    return members.get(text, text if isinstance(value, bool) else value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool | Enum)


def _shown(value: Any) -> str:
    text = json_text(value)
    return text if len(text) <= 80 else text[:80] + "…"
