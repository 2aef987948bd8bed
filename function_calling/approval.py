"""Marks on tools that change something, and on those that a person must say yes to first."""

from collections.abc import Awaitable, Callable, Mapping
from types import MethodType
from typing import Any, TypeAlias, TypeVar

Approve: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[bool]]
"""Asks a person whether a tool may run, given its name and its arguments."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def changes_something(function: _Function) -> _Function:
    """Mark a tool after which others may return something else for the same arguments."""
    function.changes_something = True  # type: ignore[attr-defined]
    return function


def needs_approval(function: _Function) -> _Function:
    """Mark a tool that changes something, and that a person must say yes to before it runs."""
    function.needs_approval = True  # type: ignore[attr-defined]
    return changes_something(function)


def checked_by(check: Callable[..., None]) -> Callable[[_Function], _Function]:
    """Mark a tool with what a call is held against before it runs, or anybody is asked for a yes.

    Args:
        check: A function, or a method of the same class, that raises a ToolError; it takes what
            it needs of the tool's arguments and of the context, and has a docstring.
    """

    def mark(function: _Function) -> _Function:
        function.checked_by = check  # type: ignore[attr-defined]
        return function

    return mark


def check_of(function: Callable[..., Any]) -> Callable[..., None] | None:
    """What a tool was marked with by `checked_by`, bound as the tool is."""
    check: Callable[..., None] | None = getattr(function, "checked_by", None)
    owner = getattr(function, "__self__", None)
    return MethodType(check, owner) if check and owner is not None else check
