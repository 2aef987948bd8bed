"""A function's signature, type hints and docstring, as a JSON Schema and as a check.

Name, types and meaning are written once, in the function. pydantic builds a model of the
arguments from them; the model writes the schema that is sent to the language model, and checks
what comes back.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model

from function_calling.docstrings import read_docstring
from function_calling.errors import ToolError
from function_calling.json_text import LARGEST_EXPONENT, json_text
from function_calling.parameters_schema import parameters_schema
from function_calling.wrong_arguments import shown, slips, told

# What OpenAI allows (https://platform.openai.com/docs/api-reference/chat/create).
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")


class Context:
    """A type of arguments that the caller of a tool fills in, and that no model sees."""


class Question(str, Context):
    """What the person asked.

    Attributes:
        earlier: What the same person said before, in order.
    """

    earlier: tuple[str, ...] = ()

    @classmethod
    def behind(cls, earlier: Iterable[str], text: str) -> Self:
        """What is asked in `text`, after `earlier`."""
        question = cls(text)
        question.earlier = tuple(earlier)
        return question


class Told(str, Context):
    """What tools have told the model since the question, failures too."""


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
        self.name = _name(function)
        docstring = read_docstring(inspect.getdoc(function) or "")
        if not docstring.summary:
            raise TypeError(f"{self.name} has no docstring: a model needs to read what it does.")
        self.description = docstring.summary
        try:
            names = _argument_names(function)
            hints = get_type_hints(function)
            self._context = {name: hints[name] for name in names if _is_context(hints[name])}
            self._names = [name for name in names if name not in self._context]
            self._model = _arguments_model(function, self._names, docstring.arguments)
            self.parameters = parameters_schema(self._model)
        except (NameError, PydanticUserError) as error:
            raise TypeError(f"{self.name}: {str(error).splitlines()[0]}") from error
        if strangers := docstring.arguments.keys() - set(names):
            raise TypeError(f"{self.name} documents {sorted(strangers)}, which it doesn't take.")
        self._defaults = inspect.signature(function).parameters

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
            raise self._not_json(f"{shown(members)} is no object")
        try:
            checked = self._model.model_validate(members)
        except ValidationError as error:
            problems = [told(each, self.parameters) for each in error.errors(include_url=False)]
        else:
            problems = slips(members, self.parameters, "", self.parameters)
        if problems:
            raise ToolError(f"{self.name} was not called: {'; '.join(problems)}.")
        return {name: getattr(checked, _field(n)) for n, name in enumerate(self._names)}

    def injected(self, context: Sequence[Context]) -> dict[str, Any]:
        """The arguments of context types: for each the first of `context` that is of its type.

        Raises:
            TypeError: There is none, and the argument has no default; for the caller.
        """
        found: dict[str, Any] = {}
        for name, kind in self._context.items():
            fitting = [each for each in context if isinstance(each, kind)]
            if fitting:
                found[name] = fitting[0]
            elif self._defaults[name].default is inspect.Parameter.empty:
                raise TypeError(f"{self.name}({name}): no {kind.__name__} is given to tools here.")
        return found

    def _not_json(self, problem: str) -> ToolError:
        return ToolError(
            f"{self.name} was not called: the arguments are not a JSON object ({problem}). "
            f"Wanted: an object of this JSON Schema: {json_text(self.parameters)}"
        )


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


def _is_context(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Context)


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
