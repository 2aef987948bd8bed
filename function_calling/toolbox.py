"""The functions that a model may call: offered as schemas, called with checked arguments.

A call never raises for what a model or a tool did wrong: the model reads the problem, and what
would be right, as the call's result.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from function_calling.errors import ToolError
from function_calling.function_schema import FunctionSchema
from function_calling.json_text import json_text

KIBIBYTE = 1024

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What came of a call.

    Attributes:
        content: What the model reads: the result as text or JSON, or what went wrong.
        ok: Whether the tool did what it was asked.
        value: What the function returned; None where `ok` is false.
        summary: The result told to a person: the text under `summary` in a dict that the
            function returned, if there is one.
        final: Whether `content` is the answer to the question, and the model need not go on.
    """

    content: str
    ok: bool
    value: Any = None
    summary: str | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What a tool returns that settles the whole question: `text` is the answer to it."""

    text: str


def changes_something(function: _Function) -> _Function:
    """Mark a tool after which others may return something else for the same arguments."""
    function.changes_something = True  # type: ignore[attr-defined]
    return function


class Toolbox:
    """Functions or bound methods, plain or async, by name.

    Args:
        functions: Each with type hints and a Google-style docstring. Plain ones run in a thread.
        byte_limit: UTF-8 bytes of a result at most; a longer one is cut, and says so.

    Raises:
        TypeError: A function lacks a docstring or a type hint; for its developer.
        ValueError: Two functions have the same name.
    """

    def __init__(
        self, functions: Iterable[Callable[..., Any]], *, byte_limit: int = 16 * KIBIBYTE
    ) -> None:
        self._byte_limit = byte_limit
        self._functions: dict[str, Callable[..., Any]] = {}
        self._schemas: dict[str, FunctionSchema] = {}
        for function in functions:
            schema = FunctionSchema(function)
            if schema.name in self._functions:
                raise ValueError(f"Two tools are called {schema.name}: wanted different names.")
            self._functions[schema.name] = function
            self._schemas[schema.name] = schema

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """The tools as OpenAI's `tools`."""
        return [
            {
                "type": "function",
                "function": {
                    "name": schema.name,
                    "description": schema.description,
                    "parameters": schema.parameters,
                },
            }
            for schema in self._schemas.values()
        ]

    @property
    def descriptions(self) -> dict[str, str]:
        """What each tool does, by name."""
        return {name: schema.description for name, schema in self._schemas.items()}

    def changes(self, name: str) -> bool:
        """Whether the tool is marked as one that changes something."""
        return hasattr(self._functions.get(name), "changes_something")

    async def call(
        self,
        name: str,
        arguments_json: str,
        *,
        time_limit: float = 30.0,
        question: str = "",
    ) -> ToolOutcome:
        """Call a tool as a model asked for it.

        A plain function that overruns goes on in its thread, as threads can't be stopped; its
        result is dropped.

        Args:
            name: The tool's name, as the model wrote it.
            arguments_json: The arguments, as the model wrote them.
            time_limit: Seconds that the tool may take.
            question: What the person asked; for functions that take a `Question`.
        """
        if name not in self._functions:
            offered = ", ".join(self._functions) or "none"
            return self._failure(f'There is no tool "{name}". The tools are: {offered}.')
        try:
            arguments = self._schemas[name].arguments(arguments_json, question)
            value = await _within(time_limit, self._functions[name], arguments)
            content = _content(value)
        except ToolError as error:
            return self._failure(str(error))
        except Exception as error:
            logging.getLogger(__name__).exception("Tool %s failed", name)
            return self._failure(f"Tool {name} failed: {type(error).__name__}: {error}")
        if isinstance(value, FinalAnswer):
            return ToolOutcome(value.text, True, value, final=True)
        return ToolOutcome(self._cut(content), True, value, _summary(value))

    def _failure(self, problem: str) -> ToolOutcome:
        return ToolOutcome(self._cut(problem), False)

    def _cut(self, text: str) -> str:
        """`text` as valid UTF-8 within the byte limit."""
        # A model's JSON may hold half a surrogate pair ("\ud83d"), which can't be sent on.
        encoded = text.encode(errors="replace")
        if len(encoded) <= self._byte_limit:
            return encoded.decode()
        shown = encoded[: self._byte_limit].decode(errors="ignore")
        return f"{shown}\n[Cut: these are the first {self._byte_limit} of {len(encoded)} bytes.]"


async def _within(seconds: float, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """What `function` returns.

    Raises:
        ToolError: It took longer than `seconds`.
    """
    try:
        async with asyncio.timeout(seconds) as limit:
            if inspect.iscoroutinefunction(function):
                return await function(**arguments)
            return await asyncio.to_thread(function, **arguments)
    except TimeoutError:
        if not limit.expired():
            raise
        raise ToolError(
            f"Tool {function.__name__} took longer than {seconds:g} seconds and was given up; "
            "whether it did anything is unknown."
        ) from None


def _content(value: Any) -> str:
    if value is None:
        return "Done."
    return value if isinstance(value, str) else json_text(value)


def _summary(value: Any) -> str | None:
    summary = value.get("summary") if isinstance(value, dict) else None
    return summary if isinstance(summary, str) else None
