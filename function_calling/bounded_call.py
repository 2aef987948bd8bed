"""Calls of functions that nobody here wrote, kept within their time whatever they do."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

GRACE = 0.5
"""Seconds that cancelled work has for cleaning up, before nobody waits for it any more."""

_Result = TypeVar("_Result")

# The event loop knows its tasks weakly; one that goes on alone must not vanish half-way.
_tasks: set[asyncio.Task[Any]] = set()


async def within(seconds: float, work: Coroutine[Any, Any, _Result]) -> _Result:
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


async def in_thread(work: Callable[[], _Result]) -> _Result:
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
