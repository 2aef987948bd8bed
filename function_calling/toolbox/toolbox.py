"""The functions that a model may call: offered as schemas, called with checked arguments.

A call never raises for what a model or a tool did wrong: the model reads the problem, and what
would be right, as the call's result. It ends in its time whatever the function does.
"""

import asyncio
import contextvars
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Thread
from typing import Any, Literal, TypeAlias, TypeVar

from function_calling.errors import ToolError
from function_calling.toolbox.json_text import result_text
from function_calling.toolbox.schema import FunctionSchema, Said

GRACE = 0.5
"""Seconds that cancelled work has for cleaning up, before nobody waits for it any more."""

Approve: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[bool]]
"""Asks a person whether a tool may run, given its name and its arguments."""

Trace: TypeAlias = Callable[[str, Mapping[str, tuple[Said, Any]]], str]
"""Looks for a tool's marked arguments in the conversation; what is assumed of them, mostly "".

Raises a ToolError for a value that does not occur."""

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)

# The event loop knows its tasks weakly; one that goes on alone must not vanish half-way.
_tasks: set[asyncio.Task[Any]] = set()


def changes_something(function: _Function) -> _Function:
    """Mark a tool after which others may return something else for the same arguments."""
    function.changes_something = True  # type: ignore[attr-defined]
    return function


def needs_approval(function: _Function) -> _Function:
    """Mark a tool that changes something, and that a person must say yes to before it runs."""
    function.needs_approval = True  # type: ignore[attr-defined]
    return changes_something(function)


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What a tool returns that settles the whole question: `text` is the answer to it."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call.

    Attributes:
        content: What the model reads: the result as text or JSON, or what went wrong.
        ok: Whether the tool did what it was asked.
        value: What the function returned; None where `ok` is false.
        summary: What came of it in a sentence for people: the text under `summary` in a dict that
            the function returned; or what went wrong, without what is for the model alone.
        assumed: What was assumed of the arguments, as a sentence for people.
        final: Whether `content` is the answer to the question, and the model need not go on.
        unsure: Whether a tool that failed may have changed something all the same.
        refused: Whether the tool did not run because the yes it needs was not given.
        rejected: Whether it did not run because of its arguments.
    """

    content: str
    ok: bool
    value: Any = None
    summary: str | None = None
    assumed: str = ""
    final: bool = False
    unsure: bool = False
    refused: bool = False
    rejected: bool = False

    @property
    def told(self) -> str:
        """What a person reads of it."""
        return self.summary or self.content


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

    def marked(self, name: str, arguments_json: str) -> dict[str, tuple[Said, Any]]:
        """The arguments of a call that are marked as `Said`; none where the call is wrong."""
        try:
            schema = self._schemas[name]
            return schema.chosen(schema.arguments(arguments_json))
        except (KeyError, ToolError):
            return {}

    def changes(self, name: str) -> bool:
        """Whether the tool is marked as one that changes something."""
        return hasattr(self._functions.get(name), "changes_something")

    async def call(
        self,
        name: str,
        arguments_json: str,
        *,
        time_limit: float = 30.0,
        trace: Trace | None = None,
        approve: Approve | None = None,
    ) -> ToolResult:
        """Call a tool as a model asked for it.

        A function that overruns, and can't be stopped, goes on alone; its result is dropped.

        Args:
            name: The tool's name, as the model wrote it.
            arguments_json: The arguments, as the model wrote them.
            time_limit: Seconds that the tool may take.
            trace: Looks for the arguments that are marked as `Said`; without it none is.
            approve: Asked before a tool runs that needs a yes, without a time limit; what it
                raises is raised.
        """
        if name not in self._functions:
            offered = ", ".join(self._functions) or "none"
            problem = f'There is no tool "{name}".'
            return self._failure(f"{problem} The tools are: {offered}.", summary=problem)
        schema = self._schemas[name]
        try:
            arguments = schema.arguments(arguments_json)
            assumed = trace(name, schema.chosen(arguments)) if trace else ""
        except ToolError as error:
            rejected = self._failure(str(error), summary=error.problem)
            return replace(rejected, rejected=True)
        if hasattr(self._functions[name], "needs_approval"):
            if approve is None and self._approval == "refused":
                return self._refusal(f"{name} was not called: nobody can say the yes it needs.")
            if approve is not None and not await approve(name, arguments):
                return self._refusal(f"{name} was not called: the user said no.")
        try:
            result = await _within(time_limit, self._carried_out(name, arguments))
        except TimeoutError:
            given = f"took longer than {round(time_limit, 2):g} seconds and was given up"
            problem = f"Tool {name} {given}; whether it did anything is unknown."
            return self._failure(problem, begun=name)
        return replace(result, assumed=assumed if result.ok else "")

    async def _carried_out(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """What comes of a call, whatever the function raises."""
        tool = self._functions[name]
        try:
            function = partial(tool, **arguments)
            if inspect.iscoroutinefunction(tool):
                value = await function()
            else:
                value = await _in_thread(partial(self._attempted, name, function))
                if isinstance(value, ToolResult):
                    return value
                value = await value
            return await _in_thread(partial(self._returned, name, value))
        except BaseException as error:
            return self._failed(name, error)

    def _attempted(self, name: str, function: Callable[[], Any]) -> ToolResult | Awaitable[Any]:
        """What comes of a plain function, or what must still be awaited."""
        try:
            value = function()
        except BaseException as error:
            return self._failed(name, error)
        return value if inspect.isawaitable(value) else self._returned(name, value)

    def _returned(self, name: str, value: Any) -> ToolResult:
        """What a tool returned, for the model to read."""
        if isinstance(value, FinalAnswer):
            return ToolResult(self._cut(value.text), True, value, final=True)
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
        return ToolResult(content, True, value, told)

    def _failed(self, name: str, error: BaseException) -> ToolResult:
        """A function's error as the model reads it; the operator reads where it came from."""
        if isinstance(error, ToolError):
            return self._failure(str(error), summary=error.problem)
        if isinstance(error, asyncio.CancelledError):
            problem = f"Tool {name} failed: what it waited for was cancelled."
            return self._failure(problem, begun=name)
        _log.error("Tool %s failed", name, exc_info=error)
        told = "".join(traceback.format_exception_only(error)).strip()
        summary = f"Tool {name} failed; the log says why."
        return self._failure(f"Tool {name} failed: {told}", begun=name, summary=summary)

    def _failure(self, problem: str, *, begun: str = "", summary: str | None = None) -> ToolResult:
        """A call that came to nothing; `begun` is a tool that ran, or was about to."""
        told = self._cut(summary or problem)
        return ToolResult(self._cut(problem), False, summary=told, unsure=self.changes(begun))

    def _refusal(self, why: str) -> ToolResult:
        return replace(self._failure(why), refused=True)

    def _cut(self, text: str) -> str:
        return result_text(text, self._byte_limit)


async def _within(seconds: float, work: Coroutine[Any, Any, _Result]) -> _Result:
    """What `work` returns; it is cancelled when its time is over or the caller is cancelled.

    Work that ignores the cancellation goes on alone, and what it returns is dropped.

    Raises:
        TimeoutError: The time is over.
    """
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return task.result()
    finally:
        if task.cancel():
            await asyncio.wait({task}, timeout=GRACE)
    raise TimeoutError


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    """What `work` returns from a thread of its own; it must not raise.

    No thread can be stopped. One that hangs takes no place in a pool from others, and the process
    can end without it.
    """
    loop = asyncio.get_running_loop()
    returned: asyncio.Future[_Result] = loop.create_future()
    context = contextvars.copy_context()

    def tell(result: _Result) -> None:
        if not returned.done():
            returned.set_result(result)

    def run() -> None:
        result = context.run(work)
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(tell, result)

    Thread(target=run, daemon=True).start()
    return await returned
