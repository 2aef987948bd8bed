"""One turn after the other: what is asked goes to the agent, and what comes of it to the screen."""

from contextlib import aclosing
from dataclasses import dataclass, field

from function_calling.assistant import Assistant
from function_calling.errors import ApiError, RequestError
from function_calling.events import Answer, Event, TextTold, ToolReturned
from function_calling.terminal.memory import Memory
from function_calling.terminal.screen import Screen
from function_calling.toolbox import Approve

SHORTENED = "The conversation is too long for the model: its oldest turn is left out from now on."


class Talk:
    """A conversation.

    What was shown stays in memory, also of a turn that was stopped or that failed: the text so
    far, or before there is any, what the tools said. A turn that showed neither leaves nothing.

    Attributes:
        assistant: Answers.
        memory: The turns before.

    Args:
        assistant: Answers.
        screen: Shows what happens.
        approve: Asks the person before a tool runs that needs a yes; None where nobody is there.
    """

    def __init__(
        self, assistant: Assistant, screen: Screen, approve: Approve | None = None
    ) -> None:
        self.assistant = assistant
        self.memory = Memory()
        self._screen = screen
        self._approve = approve

    async def turn(self, question: str) -> bool:
        """Answer `question`, or tell what went wrong; whether there was an answer."""
        while True:
            shown = _Shown()
            try:
                await self._answer(question, shown)
                return True
            except ApiError as error:
                # Refused as it came in: nothing was called yet that would be called again.
                if not (isinstance(error, RequestError) and self.memory.shortened(error)):
                    self._screen.complain(error.message)
                    return False
                self._screen.tell(SHORTENED)
            finally:
                self._screen.pause()
                if answer := shown.answer():
                    self.memory.keep(question, answer)

    async def _answer(self, question: str, shown: "_Shown") -> None:
        self.assistant.check(question)
        agent = await self.assistant.agent(self._approve)
        async with aclosing(agent.chat(self.memory.messages(question))) as events:
            async for event in events:
                self._screen.show(event)
                shown.add(event)


@dataclass(slots=True)
class _Shown:
    """What a turn has shown so far."""

    results: list[str] = field(default_factory=list)
    text: str = ""
    ended: bool = False

    def add(self, event: Event) -> None:
        """Take in the next event."""
        match event:
            case ToolReturned() if event.outcome.ok:
                self.results.append(event.outcome.summary or event.outcome.content)
            case TextTold():
                self.text += event.text
            case Answer():
                self.ended = True

    def answer(self) -> str:
        """What the model shall know that it said."""
        if not self.text:
            return " ".join(self.results)
        return self.text if self.ended else f"{self.text}…"
