"""A yes or no that comes with a later request, where a client can ask a person.

A turn ends with the call that needs it; the next request goes on with the calls left open.
pydantic-ai asks in the same way (https://ai.pydantic.dev/deferred-tools/).
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from function_calling.agent.messages import Call
from function_calling.toolbox.toolbox import ToolResult

MOST_KEPT = 1000

CarriedOut: TypeAlias = dict[tuple[str, ...], asyncio.Future[ToolResult]]
"""The calls that run, and the last `MOST_KEPT` that did something, by id, name and arguments.

It can't know what another replica made, or this process before it was restarted."""


class UnansweredError(Exception):
    """Nobody has said yes or no to a call yet."""


@dataclass(frozen=True, slots=True)
class Approvals:
    """What was said to calls, by id, and those carried out in any request."""

    said: Mapping[str, bool]
    carried_out: CarriedOut

    async def approve(self, call: Call, _name: str, _arguments: Mapping[str, Any]) -> bool:
        """What was said to `call`; raises an UnansweredError where nothing was."""
        if call.id not in self.said:
            raise UnansweredError
        return self.said[call.id]

    async def once(
        self, call: Call, open_id: str, make: Callable[[], Coroutine[Any, Any, ToolResult]]
    ) -> ToolResult:
        """What comes of a call: what `make` returns, or returned where it ran already.

        So a retry, a double click or another tab carries nothing out again, whatever it says. What
        runs goes on when its client leaves. A no holds for any tool.

        Args:
            open_id: Its id where it was left open; or that of an open call which came before it,
                since a model that is asked again makes the same call, with another id.
        """
        key = (open_id, *call.key)
        if key not in self.carried_out:
            if self.said.get(call.id) is False:
                refusal = f"{call.name} was not called: the user said no."
                return ToolResult(refusal, ok=False, refused=True)
            task = asyncio.create_task(make())
            self.carried_out[key] = task
            task.add_done_callback(partial(self._keep, key))
        return await asyncio.shield(self.carried_out[key])

    def _keep(self, key: tuple[str, ...], task: asyncio.Task[ToolResult]) -> None:
        """Keep a result without its task, which holds the whole request, if there is any."""
        self.carried_out.pop(key, None)
        if task.cancelled() or task.exception():
            return  # it still lacks its yes
        if task.result().ok or task.result().unsure:
            self.carried_out[key] = task.get_loop().create_future()
            self.carried_out[key].set_result(task.result())
            if len(self.carried_out) > MOST_KEPT:
                del self.carried_out[next(iter(self.carried_out))]
