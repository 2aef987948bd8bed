"""What a model thinks before it replies, apart from the reply.

    <think>
    They ask for Oslo.
    </think>

    It is cold in Oslo.

A chat template may open the thought itself at the end of the prompt, and one that lets thinking be
turned off writes an empty one there.
"""

from dataclasses import dataclass

from function_calling.engines.stop_strings import StopStrings


@dataclass(frozen=True, slots=True)
class ReasoningMarks:
    """The texts between which a family of models thinks."""

    start: str
    end: str

    def opened(self, prompt: str) -> bool:
        """Whether the prompt ends with the beginning of a thought."""
        return prompt.rstrip().endswith(self.start)

    def closed(self, prompt: str) -> bool:
        """Whether the prompt ends with a thought that is over, so that none follows."""
        return prompt.rstrip().endswith(self.end)


REASONING_MARKS = (
    ReasoningMarks("<think>", "</think>"),
    ReasoningMarks("[THINK]", "[/THINK]"),
    ReasoningMarks("<seed:think>", "</seed:think>"),
    ReasoningMarks("<|START_THINKING|>", "<|END_THINKING|>"),
    ReasoningMarks("<thought>", "</thought>"),
    ReasoningMarks("◁think▷", "◁/think▷"),
)
"""Those of Qwen3, DeepSeek-R1 and most others; Magistral, Seed-OSS, Command A, EXAONE, Kimi-VL."""


def reasoning_marks(template: str) -> ReasoningMarks | None:
    """The marks that stand in a chat template; None if its model isn't known to think."""
    return next((marks for marks in REASONING_MARKS if marks.end in template), None)


class ReasoningReader:
    """Reads a thought, fed piece by piece, without its marks and the white space around it.

    `opened` says whether the prompt has begun it.

    Attributes:
        begun: Whether there is a thought.
        over: Whether nothing more of it can come; without a thought, once that is sure.
    """

    def __init__(self, marks: ReasoningMarks, *, opened: bool) -> None:
        self._marks = marks
        self._end = StopStrings((marks.end,))
        self._held = ""
        self._told = False
        self.begun = opened
        self.over = False

    def feed(self, text: str) -> str:
        """What of the thought is settled by `text`; what stands behind its end is dropped."""
        if self.begun:
            told = self._trimmed(self._end.feed(text))
            self.over = bool(self._end.found)
            return told
        self._held = (self._held + text).lstrip()
        if self._held.startswith(self._marks.start):
            begun, self._held, self.begun = self._held, "", True
            return self.feed(begun.removeprefix(self._marks.start))
        self.over = not self._marks.start.startswith(self._held)
        return ""

    def rest(self) -> str:
        """What was held back and, the text being over, belongs to the thought."""
        self.over = True
        return self._trimmed(self._end.rest()) if self.begun else ""

    def _trimmed(self, text: str) -> str:
        """The text without white space that nothing has followed yet."""
        text = self._held + text if self._told else text.lstrip()
        told = text.rstrip()
        self._held, self._told = text[len(told) :], self._told or bool(told)
        return told
