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
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from threading import Thread
from typing import Any, Literal, TypeAlias, TypeVar, cast

from function_calling.errors import ToolError
from function_calling.telemetry import metrics, tracing
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
    _plain(function).changes_something = True
    return function


def needs_approval(function: _Function) -> _Function:
    """Mark a tool that changes something, and that a person must say yes to before it runs."""
    _plain(function).needs_approval = True
    return changes_something(function)


def _plain(function: Any) -> Any:
    """The function that a call reaches; a static or class method holds it."""
    return getattr(function, "__func__", function)


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
        summary: The same in a sentence for people: the text under `summary` in a dict that the
            function returned; or what went wrong, without what is for the model alone.
        assumed: What was assumed of the arguments, as a sentence for people.
        final: Whether `content` is the answer to the question, and the model need not go on.
        unsure: Whether a tool that failed may have changed something all the same.
        broke: Whether the tool failed while it ran.
        unchanged: Whether it is of a tool that changes something, and this time changed nothing.
        refused: Whether the tool did not run because the yes it needs was not given.
        derived: Whether the tool only computes a value, for another call or the answer.
    """

    content: str
    ok: bool
    summary: str | None = None
    assumed: str = ""
    final: bool = False
    unsure: bool = False
    broke: bool = False
    unchanged: bool = False
    refused: bool = False
    derived: bool = False

    @property
    def outcome(self) -> str:
        """In one word, for who counts."""
        if self.ok or self.refused:
            return "ok" if self.ok else "refused"
        return "failed" if self.broke else "wrong_call"

    @property
    def told(self) -> str:
        """What a person reads of it."""
        return self.summary or self.content


class Toolbox:
    """Functions or bound methods, plain or async, by name.

    Args:
        functions: Typed, with a Google-style docstring. Plain ones have a thread for each call;
            an async one must not block. Or one that is a tool already.
        byte_limit: UTF-8 bytes of a result at most; the rest is cut.
        approval: What a tool that needs a yes gets where nobody can be asked.

    Raises:
        TypeError: A function can't be a tool, as without a docstring; for its developer.
        ValueError: Two functions have the same name.
    """

    def __init__(
        self,
        functions: Iterable[Callable[..., Any] | FunctionSchema],
        *,
        byte_limit: int = 8192,
        approval: Literal["given", "refused"] = "given",
    ) -> None:
        self._byte_limit = byte_limit
        self._approval = approval
        self._tools: dict[str, FunctionSchema] = {}
        for each in functions:
            tool = each if isinstance(each, FunctionSchema) else FunctionSchema(each)
            if tool.name in self._tools:
                raise ValueError(f"Two tools are called {tool.name}: wanted different names.")
            self._tools[tool.name] = tool

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """The tools as OpenAI's `tools`."""
        return [{"type": "function", "function": tool.schema} for tool in self._tools.values()]

    @property
    def descriptions(self) -> dict[str, str]:
        """The first line of what each tool does, by name."""
        return {name: tool.description.partition("\n")[0] for name, tool in self._tools.items()}

    def marked(self, name: str, arguments_json: str) -> dict[str, tuple[Said, Any]]:
        """The arguments of a call that are marked as `Said`; none where the call is wrong."""
        try:
            tool = self._tools[name]
            return tool.chosen(tool.arguments(arguments_json), arguments_json)
        except (KeyError, ToolError):
            return {}

    def changes(self, name: str) -> bool:
        """Whether the tool is marked as one that changes something."""
        return name in self._tools and hasattr(self._tools[name].function, "changes_something")

    def wants_approval(self, name: str) -> bool:
        """Whether a person must say yes before the tool runs."""
        return name in self._tools and hasattr(self._tools[name].function, "needs_approval")

    def derives(self, name: str) -> bool:
        """Whether the tool only computes a value: an argument is marked `Said(numbers=True)`."""
        return name in self._tools and any(each.numbers for each in self._tools[name].said.values())

    @property
    def takes_said_numbers(self) -> bool:
        """Whether a tool takes a number that the person must have written, or a tool returned."""
        return any(
            tool.parameters["properties"][name].get("type") in ("number", "integer")
            for tool in self._tools.values()
            for name, mark in tool.said.items()
            if mark.by == "anyone"
        )

    @property
    def deriving(self) -> list[str]:
        """The tools that only compute a value, unless all are such."""
        names = [name for name in self._tools if self.derives(name)]
        return names if len(names) < len(self._tools) else []

    async def call(
        self,
        name: str,
        arguments_json: str,
        *,
        call_id: str = "",
        time_limit: float = 30.0,
        trace: Trace | None = None,
        approve: Approve | None = None,
    ) -> ToolResult:
        """Call a tool as a model asked for it.

        A function that overruns, and can't be stopped, goes on alone; its result is dropped.

        Args:
            call_id: The call's, as the model's server named it.
            time_limit: Seconds that the tool may take.
            trace: Looks for the arguments that are marked as `Said`; without it none is.
            approve: Asked before a tool runs that needs a yes, without a time limit; what it
                raises is raised.
        """
        if name not in self._tools:
            metrics.tool_called("unknown", "wrong_call")
            offered = ", ".join(self._tools) or "none"
            problem = f'There is no tool "{name}".'
            return self._failure(f"{problem} The tools are: {offered}.", summary=problem)
        tool = self._tools[name]
        try:
            arguments = tool.arguments(arguments_json)
            assumed = trace(name, tool.chosen(arguments, arguments_json)) if trace else ""
        except ToolError as error:
            result = self._failure(str(error), summary=error.problem)
        else:
            if no := await self._refused(approve, name, arguments):
                result = replace(self._failure(f"{name} was not called: {no}."), refused=True)
            else:
                result = await self._run(tool, call_id, time_limit, arguments)
                result = replace(result, assumed=assumed if result.ok else "")
        metrics.tool_called(name, result.outcome)
        return replace(result, derived=self.derives(name))

    async def _run(
        self, tool: FunctionSchema, call_id: str, time_limit: float, arguments: dict[str, Any]
    ) -> ToolResult:
        """What comes of a tool that is run, in a span of its own, within its time."""
        name = tool.name
        span = tracing.begin("execute_tool", name, tool__name=name, tool__call__id=call_id)
        with tracing.inside(span):
            try:
                result = await _within(time_limit, self._carried_out(tool, arguments))
            except TimeoutError:
                given = f"took longer than {round(time_limit, 2):g} seconds and was given up"
                problem = f"Tool {name} {given}; whether it did anything is unknown."
                result = self._failure(problem, begun=name)
            if not result.ok:
                tracing.failed(span, "tool_error")
        return result

    async def _refused(
        self, approve: Approve | None, name: str, arguments: Mapping[str, Any]
    ) -> str:
        """Why a tool does not get the yes that it needs; "" where it does."""
        if not self.wants_approval(name):
            return ""
        if approve is None:
            return "nobody can say the yes it needs" if self._approval == "refused" else ""
        return "" if await approve(name, arguments) else "the user said no"

    async def _carried_out(self, tool: FunctionSchema, arguments: dict[str, Any]) -> ToolResult:
        """What comes of a call, whatever the function raises."""
        try:
            value = await _in_thread(partial(tool.function, **arguments))
            if inspect.isawaitable(value):
                value = await value
            # Long results take their time to be written down.
            return await _in_thread(partial(self._returned, tool.name, value))
        except BaseException as error:
            return self._failed(tool.name, error)

    def _returned(self, name: str, value: Any) -> ToolResult:
        """What a tool returned, for the model to read."""
        if isinstance(value, FinalAnswer):
            text = self._cut(value.text)
            # What was done must be told beside whatever else was found.
            return ToolResult(text, True, text if self.changes(name) else None, final=True)
        summary = value.get("summary") if isinstance(value, dict) else None
        told = self._cut(summary) if isinstance(summary, str) else None
        return ToolResult(self._cut(value), True, told)

    def _failed(self, name: str, error: BaseException) -> ToolResult:
        """A function's error as the model reads it; the operator reads where it came from."""
        trace = type(error), error, error.__traceback__
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, ToolError):
            begun = name if error.broke else ""
            failure = self._failure(str(error), begun=begun, summary=error.problem)
            return replace(failure, unchanged=self.changes(name) and not error.broke)
        if isinstance(error, asyncio.CancelledError):
            problem = f"Tool {name} failed: what it waited for was cancelled."
            return self._failure(problem, begun=name)
        _log.error("Tool %s failed", name, exc_info=trace)
        told = "".join(traceback.format_exception_only(error)).strip()
        summary = f"Tool {name} failed; the log says why."
        return self._failure(f"Tool {name} failed: {told}", begun=name, summary=summary)

    def _failure(self, problem: str, *, begun: str = "", summary: str | None = None) -> ToolResult:
        """A call that came to nothing; `begun` is a tool that ran, or was about to."""
        told = self._cut(summary or problem)
        unsure = self.changes(begun)
        return ToolResult(self._cut(problem), False, summary=told, unsure=unsure, broke=bool(begun))

    def _cut(self, value: Any) -> str:
        return result_text(value, self._byte_limit)


async def _within(seconds: float, work: Coroutine[Any, Any, _Result]) -> _Result:
    """What `work` returns, or a TimeoutError; cancelled when its time or its caller ends.

    Work that ignores the cancellation goes on alone, and what it returns is dropped.
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
    """What `work` returns or raises in a daemon thread of its own.

    No thread can be stopped. One that hangs takes no place in a pool from others, and the process
    can end without it.
    """
    outcome: Future[tuple[_Result | None, BaseException | None]] = Future()
    outcome.set_running_or_notify_cancel()  # who stops waiting must not take it from the thread
    context = contextvars.copy_context()

    def run() -> None:
        try:
            outcome.set_result((context.run(work), None))
        except BaseException as error:  # also what a future would not take, as StopIteration
            outcome.set_result((None, error))

    Thread(target=run, daemon=True).start()
    value, error = await asyncio.wrap_future(outcome)
    if error is not None:  # an exception may have no length
        raise error
    return cast(_Result, value)
