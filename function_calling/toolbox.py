"""The functions that a model may call: offered as schemas, called with checked arguments.

A call never raises for what a model or a tool did wrong: the model reads the problem, and what
would be right, as the call's result.
"""

import asyncio
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from function_calling.approval import Approve, changes_something, check_of, needs_approval
from function_calling.bounded_call import in_thread, within
from function_calling.errors import ToolError
from function_calling.function_schema import Context, FunctionSchema
from function_calling.json_text import result_text
from function_calling.outcomes import FinalAnswer, Made, ToolOutcome

__all__ = [
    "Approve",
    "FinalAnswer",
    "Made",
    "ToolOutcome",
    "Toolbox",
    "changes_something",
    "needs_approval",
]

_log = logging.getLogger(__name__)


class Toolbox:
    """Functions or bound methods, plain or async, by name.

    Args:
        functions: Typed, with a Google-style docstring. Plain ones have a thread for each call;
            an async one must not block.
        byte_limit: UTF-8 bytes of a result at most; the rest is cut.
        approval: What a tool that needs a yes gets where nobody can be asked.

    Raises:
        TypeError: A function can't be a tool, as without a docstring; for its developer.
        ValueError: Two functions have the same name.
    """

    def __init__(
        self,
        functions: Iterable[Callable[..., Any]],
        *,
        byte_limit: int = 8192,
        approval: Literal["given", "refused"] = "given",
    ) -> None:
        self._byte_limit = byte_limit
        self._approval = approval
        self._functions: dict[str, Callable[..., Any]] = {}
        self._schemas: dict[str, FunctionSchema] = {}
        self._checks: dict[str, tuple[Callable[..., Any], FunctionSchema]] = {}
        for function in functions:
            schema = FunctionSchema(function)
            if schema.name in self._functions:
                raise ValueError(f"Two tools are called {schema.name}: wanted different names.")
            self._functions[schema.name] = function
            self._schemas[schema.name] = schema
            if check := check_of(function):
                self._checks[schema.name] = check, FunctionSchema(check)

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
        context: Sequence[Context] = (),
        approve: Approve | None = None,
    ) -> ToolOutcome:
        """Call a tool as a model asked for it.

        A function that overruns, and can't be stopped, goes on alone; its result is dropped.

        Args:
            name: The tool's name, as the model wrote it.
            arguments_json: The arguments, as the model wrote them.
            time_limit: Seconds that the tool may take.
            context: What is known of the call beside the arguments; functions get it by type.
            approve: Asked before a tool runs that needs a yes, without a time limit; what it
                raises is raised.
        """
        if name not in self._functions:
            offered = ", ".join(self._functions) or "none"
            return self._failure(f'There is no tool "{name}". The tools are: {offered}.')
        try:
            arguments = self._schemas[name].arguments(arguments_json)
        except ToolError as error:
            return self._failure(str(error))
        if check := self._checks.get(name):
            checked = await self._timed(time_limit, *check, arguments, context)
            if not checked.ok:
                return checked
        if hasattr(self._functions[name], "needs_approval"):
            if approve is None and self._approval == "refused":
                return self._refusal(f"{name} was not called: nobody can say the yes it needs.")
            if approve is not None and not await approve(name, arguments):
                return self._refusal(f"{name} was not called: the user said no.")
        tool = self._functions[name]
        return await self._timed(time_limit, tool, self._schemas[name], arguments, context)

    async def _timed(
        self,
        time_limit: float,
        function: Callable[..., Any],
        schema: FunctionSchema,
        arguments: dict[str, Any],
        context: Sequence[Context],
    ) -> ToolOutcome:
        """What comes of a call within its time."""
        taken = {key: arguments[key] for key in schema.parameters["properties"] if key in arguments}
        try:
            return await within(time_limit, self._carry_out(function, schema, taken, context))
        except TimeoutError:
            given = f"took longer than {round(time_limit, 2):g} seconds and was given up"
            problem = f"Tool {schema.name} {given}; whether it did anything is unknown."
            return self._failure(problem, begun=schema.name)

    async def _carry_out(
        self,
        tool: Callable[..., Any],
        schema: FunctionSchema,
        arguments: dict[str, Any],
        context: Sequence[Context],
    ) -> ToolOutcome:
        """What comes of a call, whatever the function raises."""
        name = schema.name
        try:
            function = partial(tool, **arguments, **schema.injected(context))
            if inspect.iscoroutinefunction(tool):
                value = await function()
            else:
                value = await in_thread(partial(self._attempted, name, function))
                if isinstance(value, ToolOutcome):
                    return value
                value = await value
            return await in_thread(partial(self._told, name, value))
        except BaseException as error:
            return self._failed(name, error)

    def _attempted(self, name: str, function: Callable[[], Any]) -> ToolOutcome | Awaitable[Any]:
        """What comes of a plain function, or what must still be awaited."""
        try:
            value = function()
        except BaseException as error:
            return self._failed(name, error)
        return value if inspect.isawaitable(value) else self._told(name, value)

    def _told(self, name: str, value: Any) -> ToolOutcome:
        """What a tool returned, for the model to read."""
        if isinstance(value, FinalAnswer):
            return ToolOutcome(self._cut(value.text), True, value, final=True)
        try:
            content = result_text(value, self._byte_limit)
        except Exception as error:
            kind = type(value).__name__
            # Not the error itself: its trace would keep the value.
            _log.error("Tool %s returned %s, which has no JSON form: %s", name, kind, str(error))
            problem = f"{name} was called, but its result ({kind}) has no JSON form."
            return self._failure(problem, begun=name)
        summary = value.get("summary") if isinstance(value, dict) else None
        told = self._cut(summary) if isinstance(summary, str) else None
        return ToolOutcome(content, True, value, told)

    def _failed(self, name: str, error: BaseException) -> ToolOutcome:
        """A function's error as the model reads it; the operator reads where it came from."""
        if isinstance(error, ToolError):
            return self._failure(str(error), in_short=error.in_short)
        if isinstance(error, asyncio.CancelledError):
            problem = f"Tool {name} failed: what it waited for was cancelled."
            return self._failure(problem, begun=name)
        _log.error("Tool %s failed", name, exc_info=error)
        told = "".join(traceback.format_exception_only(error)).strip()
        in_short = f"Tool {name} failed; the log says why."
        return self._failure(f"Tool {name} failed: {told}", begun=name, in_short=in_short)

    def _failure(
        self, problem: str, *, begun: str = "", in_short: str | None = None
    ) -> ToolOutcome:
        """A call that came to nothing; `begun` is a tool that ran, or was about to."""
        return ToolOutcome(self._cut(problem), False, summary=in_short, unsure=self.changes(begun))

    def _refusal(self, why: str) -> ToolOutcome:
        return replace(self._failure(why), refused=True)

    def _cut(self, text: str) -> str:
        return result_text(text, self._byte_limit)
