"""What a person sees of a turn: calls and results on a line each, and the answer as it grows."""

from typing import TextIO

from rich.console import Console

from function_calling.events import Answer, Event, ModelCalled, TextTold, ToolCalled, ToolReturned
from function_calling.terminal.safe_text import call_text, one_line, safe


class Screen:
    """Shows events; nothing in them is read as markup or reaches the terminal as a command.

    Args:
        answers: Where the answer goes, and nothing else.
        steps: Where all the rest goes; may be the same.
    """

    def __init__(self, answers: TextIO, steps: TextIO) -> None:
        self._answers = Console(file=answers)
        self._steps = Console(file=steps)
        self._waiting = self._steps.status("", spinner="dots", refresh_per_second=4)
        self._line_is_open = False

    def show(self, event: Event) -> None:
        """Show what there is to see of an event."""
        self._waiting.stop()
        match event:
            case ModelCalled() if not self._line_is_open:
                self._waiting.start()
            case ToolCalled():
                self._step(call_text(event.name, event.arguments))
            case ToolReturned():
                told = event.outcome.summary or event.outcome.content
                self._step(f"{'→' if event.outcome.ok else '✗'} {one_line(told)}")
            case TextTold():
                self._answers.out(safe(event.text), end="", highlight=False)
                self._answers.file.flush()
                self._line_is_open = not event.text.endswith("\n")
            case Answer():
                self.pause()

    def pause(self) -> None:
        """Leave the terminal to something else: nothing moves, and the cursor is in front."""
        self._waiting.stop()
        if self._line_is_open:
            self._answers.out("")
            self._line_is_open = False

    def tell(self, text: str) -> None:
        """Say something of our own."""
        self.pause()
        self._steps.out(safe(text), highlight=False)

    def complain(self, problem: str) -> None:
        """Say what went wrong."""
        self.pause()
        self._steps.out(one_line(problem, most=1000), style="red", highlight=False)

    def _step(self, text: str) -> None:
        self.pause()
        self._steps.out(text, style="dim", highlight=False)
