"""A function's signature, type hints and docstring, as a JSON Schema and as a check.

pydantic makes both of them: the schema that is sent to the language model, and the check of what
comes back. Of a Google-style docstring the language model reads the first paragraph and the entries
of `Args:`.
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
from typing import Any, Literal, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import (
    ErrorDetails,
    PydanticCustomError,
    SchemaValidator,
    core_schema,
    to_jsonable_python,
)

from function_calling.errors import ToolError
from function_calling.toolbox.json_text import LARGEST_EXPONENT, json_text

_log = logging.getLogger(__name__)

# What OpenAI allows (https://platform.openai.com/docs/api-reference/chat/create).
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")

_RULES = ConfigDict(extra="forbid", allow_inf_nan=False)

# What is wanted for pydantic's kinds of numbers and times.
_NUMBER = "a number"
_WANTED = {
    **dict.fromkeys(("int", "float", "decimal"), _NUMBER),
    "date": "a date like 2026-01-31",
    "datetime": "a date and time like 2026-01-31T18:30:00",
    "time": "a time like 18:30",
    "timedelta": "a duration like PT1H30M",
}

_ARGS = re.compile(r"^Args:\n(?P<entries>(?: .*\n?|\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^( +)(\w+)(?: \(.*?\))?:(.*(?:\n\1 +.*)*)", re.MULTILINE)


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


class FunctionSchema:
    """What a model must know to call `function`, and the check of what it sends.

    Attributes:
        description: The first paragraph of the function's docstring.
        parameters: The JSON Schema of its arguments.
        said: The parameters that are marked as `Said`, wherever in their type.

    Raises:
        TypeError: The function can't be a tool; names what is missing. For its developer.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = _name(function)
        self.description, meanings = _read_docstring(inspect.getdoc(function) or "")
        if not self.description:
            raise TypeError(f"{self.name} has no docstring: a model needs to read what it does.")
        self._signature = inspect.signature(function)
        parameters = self._signature.parameters
        for name, each in parameters.items():
            if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
                raise TypeError(f"{self.name}({each}): wanted an argument with a name.")
            if each.annotation is each.empty:
                raise TypeError(f"{self.name}({name}): wanted a type hint.")
        if strangers := meanings.keys() - parameters.keys():
            raise TypeError(f"{self.name} documents {sorted(strangers)}, which it doesn't take.")
        try:
            hints = get_type_hints(function, include_extras=True)
            adapter = TypeAdapter(_stand_in(self._signature, hints), config=_RULES)
            arguments = _arguments(adapter.core_schema)
            self.parameters = _parameters(arguments, meanings)
            # A model in it that is built already would bring its own check.
            rules = core_schema.CoreConfig(allow_inf_nan=False)
            self._validator = SchemaValidator(_heedful(arguments), rules, _use_prebuilt=False)
        except Exception as error:  # whatever somebody's own type hints do
            told = " ".join(str(error).partition("\n\n")[0].split())
            raise TypeError(f"{self.name}: {told}") from error
        self.said = {name: mark for name in parameters if (mark := _mark(hints[name]))}
        self._defaults = {name: _default(parameters[name].default) for name in self.said}

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
            return self._checked(_members(text))
        except ToolError:
            raise
        except (ValueError, RecursionError) as error:
            raise self._wrong(
                f"The arguments are not a JSON object ({error}). "
                f"Wanted: an object of this JSON Schema: {json_text(self.parameters)}"
            ) from None
        except Exception as error:  # a validator is its developer's code
            _log.error("A validator of tool %s failed", self.name, exc_info=error)
            raise self._wrong(f"Their check failed with {type(error).__name__}: {error}.") from None

    def _checked(self, written: dict[str, Any]) -> dict[str, Any]:
        """The arguments as the function takes them."""
        try:
            positional, named = self._validator.validate_python(written)
        except ValidationError as error:
            problems = [_told(each, self.parameters) for each in error.errors(include_url=False)]
            raise self._wrong(f"{'; '.join(problems)}.") from None
        return self._signature.bind(*positional, **named).arguments

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


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The first paragraph and the entries of `Args:`, each on one line, of a clean docstring."""
    args = _ARGS.search(text)
    entries = _ENTRY.findall(args["entries"]) if args else []
    meanings = {name: " ".join(meaning.split()) for _, name, meaning in entries}
    return " ".join(text.partition("\n\n")[0].split()), meanings


def _name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", "")
    if not _NAME.fullmatch(name):
        raise TypeError(
            f"{name or repr(function)}: wanted a function with a name of {_NAME.pattern}."
        )
    return name


def _stand_in(signature: inspect.Signature, hints: dict[str, Any]) -> Any:
    """A function of this signature; of one of another module, pydantic would not find the types."""

    def function() -> None: ...

    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__annotations__ = hints
    return function


def _mark(hint: Any, *outer: Any) -> Said | None:
    """The mark in a type, also of a part of it, or of what a `type` statement names."""
    if isinstance(hint, Said):
        return hint
    inner = (*get_args(hint), getattr(hint, "__value__", None))
    fresh = (each for each in inner if not any(each is seen for seen in outer))
    return next(filter(None, (_mark(each, hint, *outer) for each in fresh)), None)


def _default(given: Any) -> Any:
    return given.get_default() if isinstance(given, FieldInfo) else given


def _members(text: str) -> dict[str, Any]:
    """The members of a JSON object as a model wrote it, or a ValueError that says what it is."""
    members = json.loads(text.strip() or "{}", parse_float=_number, parse_constant=_number)
    if not isinstance(members, dict):
        raise ValueError(f"{_shown(members)} is no object")
    return members


def _number(text: str) -> Decimal:
    number = Decimal(text, Context(traps=[]))
    # As an int, 1e999999999 would fill the memory.
    if not number.is_finite() or abs(number.adjusted()) > LARGEST_EXPONENT:
        raise ValueError(f"{text} is out of range")
    return number


def _arguments(schema: Any) -> Any:
    """The arguments alone, by their own names, out of pydantic's schema of a call."""
    definitions = schema.get("definitions", [])
    arguments = (schema["schema"] if definitions else schema)["arguments_schema"]
    for each in arguments["arguments_schema"]:
        each.pop("alias", None)
    return core_schema.definitions_schema(arguments, definitions)


def _parameters(arguments: Any, meanings: Mapping[str, str]) -> dict[str, Any]:
    """The arguments as JSON Schema: no titles, references written out, decimals as numbers."""
    schema = _Generator().generate(arguments)
    if not schema["properties"]:
        return {"type": "object", "properties": {}}
    for name, meaning in meanings.items():
        described = schema["properties"][name] | {"description": meaning}
        schema["properties"][name] = dict(sorted(described.items()))
    definitions = schema.pop("$defs", {})
    plain: dict[str, Any] = _plain(schema, definitions, ())
    # Only a type that contains itself still refers to its definition.
    return plain | {"$defs": definitions} if "#/$defs/" in json_text(plain) else plain


class _Generator(GenerateJsonSchema):
    """pydantic's JSON Schema, with each Decimal as a plain number."""

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
    if error["type"].startswith("missing"):
        wanted = "" if nested else f", wanted {json_text(parameters['properties'][where])}"
        return f"{where} is missing{wanted}"
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        names = ", ".join(parameters["properties"]) or "none"
        known = "" if nested else f", the arguments are: {names}"
        return f"{where}={_shown(error['input'])} is no argument{known}"
    problem = error["msg"].removeprefix("Value error, ")
    return f"{where}={_shown(error['input'])} is wrong: {problem[:1].lower()}{problem[1:]}"


def _heedful(node: Any) -> Any:
    """pydantic's schema of a check, in which a truth value is no number, and a number no time.

    Else true would be 1, and 3 three past midnight, which no model can have meant. Strict is as
    JSON can be, where no day is one, and no set; and an enum's member is what its schema shows.
    """
    if isinstance(node, list | tuple):
        return type(node)(map(_heedful, node))
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    if not isinstance(kind, str):  # schemas by the names of fields
        return {name: _heedful(each) for name, each in node.items()}
    made = {k: each if k in ("default", "metadata") else _heedful(each) for k, each in node.items()}
    if kind not in ("str", "int", "float", "bool"):
        made["strict"] = False
    if kind == "enum":
        members = {json_text(to_jsonable_python(each)): each for each in made["members"]}
        check = partial(_member, members)
    elif kind in _WANTED:
        check = partial(_meant, _WANTED[kind])
    else:
        return made
    ref = made.pop("ref", None)
    return core_schema.no_info_before_validator_function(check, made, ref=ref)


def _meant(wanted: str, value: Any) -> Any:
    """The value, unless it is a truth value for a number, or a number for a time."""
    if isinstance(value, bool) or (wanted != _NUMBER and isinstance(value, int | Decimal)):
        raise PydanticCustomError("meant", f"wanted {wanted}")
    return value


def _member(members: Mapping[str, Enum], value: Any) -> Any:
    """The member that is written so, or else the value."""
    return members.get(json_text(value), value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool | Enum)


def _shown(value: Any) -> str:
    text = json_text(value)
    return text if len(text) <= 80 else text[:80] + "…"
