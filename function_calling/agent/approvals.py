"""A yes or no that comes with a later request, where a client can ask a person.

A turn ends with the call that needs it; the next request goes on with the calls left open.
pydantic-ai asks in the same way (https://ai.pydantic.dev/deferred-tools/).
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from function_calling.agent.model_call import Call
from function_calling.toolbox.toolbox import ToolResult

MOST_KEPT = 1000

CarriedOut: TypeAlias = dict[tuple[str, ...], asyncio.Task[ToolResult]]
"""The last `MOST_KEPT` calls that were left open and then made, by id, name and arguments.

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
        self, call: Call, make: Callable[[], Coroutine[Any, Any, ToolResult]]
    ) -> ToolResult:
        """What comes of an open call: what `make` returns, or returned where it ran already.

        So a retry, a double click or another tab carries nothing out again, whatever it says. What
        runs goes on when its client leaves. A no holds for any tool.
        """
        key = (call.id, *call.key)
        if key not in self.carried_out:
            if self.said.get(call.id) is False:
                refusal = f"{call.name} was not called: the user said no."
                return ToolResult(refusal, ok=False, refused=True)
            self.carried_out[key] = asyncio.create_task(make())
            self.carried_out[key].add_done_callback(partial(self._keep, key))
            if len(self.carried_out) > MOST_KEPT:
                del self.carried_out[next(iter(self.carried_out))]
        return await asyncio.shield(self.carried_out[key])

    def _keep(self, key: tuple[str, ...], task: asyncio.Task[ToolResult]) -> None:
        """Forget a call that still lacks its yes."""
        if task.cancelled() or task.exception():
            self.carried_out.pop(key, None)
