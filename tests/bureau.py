"""A bureau of exchange for tests of the loop: its tools, its agent, and what a turn told."""

from decimal import Decimal
from typing import Any

from scripted_server import ScriptedServer, Turn

from function_calling.agent.events import ChatEvent, DoneEvent, ErrorEvent, TextEvent
from function_calling.agent.loop import Agent
from function_calling.agent.sse import with_errors
from function_calling.errors import ToolError
from function_calling.settings import Settings
from function_calling.toolbox.toolbox import FinalAnswer, Toolbox

QUERY = "42 USD in CAD?"
TO_CAD = ("convert", {"amount": 42, "to": "CAD"})
TO_EUR = ("convert", {"amount": 42, "to": "EUR"})
TO_XYZ = ("convert", {"amount": 42, "to": "XYZ"})
RATES = {"CAD": Decimal("3.14159"), "EUR": Decimal("0.92")}
TOLD_CAD, TOLD_EUR = "42 USD is 131.95 CAD.", "42 USD is 38.64 EUR."


class Bureau:
    """Tools that note what they were asked."""

    def __init__(self) -> None:
        self.amounts: list[Decimal] = []

    async def convert(self, amount: Decimal, to: str) -> dict[str, Any]:
        """Convert US dollars.

        Args:
            amount: How much.
            to: The currency wanted.
        """
        self.amounts.append(amount)
        if to not in RATES:
            raise ToolError(f"{to} is no currency.", advice="Give CAD or EUR.")
        converted = round(amount * RATES[to], 2)
        return {"converted": converted, "summary": f"{amount} USD is {converted} {to}."}

    def decline(self) -> FinalAnswer:
        """Decline."""
        return FinalAnswer("I only convert money.")


def agent(server: ScriptedServer, *functions: Any, **bounds: Any) -> Agent:
    """An agent whose model is `server`, with these tools or else the bureau's."""
    own = Bureau()
    toolbox = Toolbox(functions or [own.convert, own.decline])
    usual = {"settings": Settings(), "model": "scripted", "system_prompt": "Convert money."}
    return Agent(client=server.client(), **(usual | {"toolbox": toolbox} | bounds))


def user(text: str) -> dict[str, Any]:
    """What a person says."""
    return {"role": "user", "content": text}


async def answered(
    *turns: Turn, query: str = QUERY, tools: Any = (), **bounds: Any
) -> tuple[str, DoneEvent]:
    """The answer where the model takes `turns`, wanted whole."""
    return await agent(ScriptedServer(*turns), *tools, **bounds).answer([user(query)])


async def told(host: Agent, *messages: dict[str, Any]) -> list[ChatEvent]:
    """Every event of one turn; the last ends it, and no other does."""
    asked = messages or [user(QUERY)]
    events = [event async for event in with_errors(host.run(asked))]
    ends = [isinstance(event, DoneEvent | ErrorEvent) for event in events]
    assert ends == [False] * (len(events) - 1) + [True]
    return events


def text(events: list[ChatEvent]) -> str:
    """What the person reads."""
    return "".join(event.text for event in events if isinstance(event, TextEvent))


def done(events: list[ChatEvent]) -> DoneEvent:
    """The end of a turn that did not fail."""
    last = events[-1]
    assert isinstance(last, DoneEvent)
    return last


def results(server: ScriptedServer) -> list[str]:
    """The tool results that the model read in the last request."""
    messages = server.requests[-1]["messages"]
    return [message["content"] for message in messages if message["role"] == "tool"]
