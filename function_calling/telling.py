"""When the words of a model reach the person who asked, and what is told in their place.

`Whole` tells an answer when it is finished. `InParts` tells it as it grows, in a chat: text up to
a sentence's first digit at once, the rest of that sentence when it is complete and each of its
numbers has been checked. What was told can't be taken back, so

- a reply that takes the place of another goes on behind what was told, if it begins with that;
  if it does not, it is told on a new line where no number was told before, and else not at all:
  the results that were not told yet follow in the tools' own sentences, and nothing comes twice;
- a result that the model leaves out is told behind its answer in the tool's own sentence.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from function_calling.completion import Reply
from function_calling.conversation import Conversation
from function_calling.events import Answer, Grounding
from function_calling.numerals import numbers

_CLOSERS = r"[\"'”’»)\]*_]*"
# A number never reaches over such an end, so that what stands before it can be checked alone.
_END = re.compile(rf"[.!?…]{_CLOSERS}\s|[。！？।؟۔]{_CLOSERS}|(?<=[^\d\s])[^\S\n]*\n")
_ENDED = re.compile(rf"(?:[.!?…。！？।؟۔:：]{_CLOSERS}|\n)\s*$")
_DIGIT = re.compile(r"\d")
# What may become a tool call written as text; it is held until the reply is complete.
_NO_SENTENCE = re.compile(r"[`<{\[]")

FROM_MEMORY = "It was made from memory: call a tool first."


class Telling(Protocol):
    """How the answer of one query is told.

    Attributes:
        told: Everything told so far.
    """

    told: str

    def begin(self, *, aloud: bool) -> None:
        """A reply begins; `aloud` where it may be the answer."""

    def hear(self, part: str) -> str:
        """What can be told now that the reply goes on with `part`."""

    def restart(self) -> None:
        """What comes next takes the place of the reply so far."""

    def problems(self, reply: Reply, *, forced: bool) -> list[str]:
        """What is wrong with the reply as an answer; `forced` where it had to be a call."""

    def conclude(self, text: str, problems: Sequence[str], *, asked_again: bool) -> Answer:
        """The answer, where `text` is the last that the model said."""

    def say(self, text: str, grounding: Grounding) -> Answer:
        """The answer, where its text, or the end of it, is ours."""


class Whole:
    """Tells nothing before the end."""

    def __init__(self, talk: Conversation) -> None:
        self.told = ""
        self._talk = talk

    def begin(self, *, aloud: bool) -> None:
        """Nothing changes."""

    def hear(self, part: str) -> str:
        """Nothing yet."""
        return ""

    def restart(self) -> None:
        """Nothing was told."""

    def problems(self, reply: Reply, *, forced: bool) -> list[str]:
        """What it says that is not so, and what it leaves out."""
        return self._talk.problems(reply.text)

    def conclude(self, text: str, problems: Sequence[str], *, asked_again: bool) -> Answer:
        """The model's words where they are grounded, else what the tools found, else an excuse."""
        if not text or problems:
            return self.say(self._talk.found() or self._talk.excuse(), "fell-back")
        return self.say(text, _trust(self._talk, text, asked_again))

    def say(self, text: str, grounding: Grounding) -> Answer:
        """All of it."""
        return _answer(self._talk, text, grounding)


class InParts:
    """Tells an answer while it is written."""

    def __init__(self, talk: Conversation) -> None:
        self.told = ""
        self._talk = talk
        self._reply = ""
        self._place = 0  # in the reply, behind what was told of it
        self._begun = 0  # in `told`, where the reply's part begins
        self._before = ""  # what was told of the reply whose place this one takes
        self._silent = False
        self._lost = False

    def begin(self, *, aloud: bool) -> None:
        """Whatever it says comes behind what was told; but see `restart`."""
        if not self._before:
            self._begun = len(self.told)
        self._reply, self._place = "", 0
        self._silent, self._lost = not aloud, False

    def hear(self, part: str) -> str:
        """The text up to the first digit of a sentence that is not complete, if it is all right."""
        self._reply = (self._reply + part).lstrip()
        if self._silent or _NO_SENTENCE.match(self._reply) or not self._joins():
            return ""
        end = self._place
        for sentence in _END.finditer(self._reply, self._place):
            if self._wrong_until(sentence.end()):
                self._silent = True
                return self._tell(end)
            end = sentence.end()
        digit = _DIGIT.search(self._reply, end)
        return self._tell(digit.start() if digit else len(self._reply))

    def restart(self) -> None:
        """Remember what was told of it, to tell it once."""
        self._before = self.told[self._begun :] or self._before
        self._reply, self._place = "", 0
        self._silent = self._lost = False

    def problems(self, reply: Reply, *, forced: bool) -> list[str]:
        """Invented numbers, or an answer without the call that had to come first."""
        problems = self._talk.invented(reply.text)
        if forced:
            problems.append(FROM_MEMORY)
        if problems and (told := self.told[self._begun :]):
            problems.append(f'The user has read this much: "{told}". Begin with the same words.')
        return problems

    def conclude(self, text: str, problems: Sequence[str], *, asked_again: bool) -> Answer:
        """The rest of the model's words, or of what the tools found; else an excuse."""
        if text and not self._joins():
            self._lost = True
        if not text or problems or self._lost:
            found = self._talk.untold(self.told) if self._talk.found() else self._talk.excuse()
            return self.say(found, "fell-back")
        self._tell(len(self._reply))
        if missing := self._talk.left_out(self.told):
            return self.say(missing, "fell-back")
        return _answer(self._talk, self.told, _trust(self._talk, text, asked_again))

    def say(self, text: str, grounding: Grounding) -> Answer:
        """Go on with `text`; a sentence that was broken off is completed by it, or left so."""
        ends = [0, *(end.end() for end in _END.finditer(self.told))]
        open_part = "" if _ENDED.search(self.told) else self.told[ends[-1] :].lstrip()
        if not text.startswith(open_part):
            self.told += (_seam(self.told) + text) if text else "…"
        elif text:
            space = " " if self.told and not open_part else ""
            self.told += space + text.removeprefix(open_part)
        return _answer(self._talk, self.told, grounding)

    def _joins(self) -> bool:
        """Whether the reply can be told: behind what was told of another, or beside it."""
        if self._lost:
            return False
        if not self._before:
            return True
        if self._reply.startswith(self._before):
            self._place = len(self._before)
        elif self._before.startswith(self._reply):
            return False
        elif _DIGIT.search(self._before):
            self._lost = True
            return False
        else:
            self._begun = len(self.told)
        self._before = ""
        return True

    def _wrong_until(self, end: int) -> bool:
        """Whether the reply up to here has a number that nobody stated, or is none for people."""
        return bool(self._talk.invented(self._reply[:end]))

    def _tell(self, end: int) -> str:
        """Tell the reply up to here; white space waits for what follows it."""
        part = self._reply[self._place : end].rstrip()
        if not part:
            return ""
        self._place += len(part)
        seam = _seam(self.told) if len(self.told) == self._begun else ""
        self._begun += len(seam)
        self.told += seam + part
        return seam + part


def _seam(told: str) -> str:
    """What stands between two texts of which the second does not go on with the first."""
    if not told:
        return ""
    return "\n\n" if _ENDED.search(told) else "…\n\n"


def _trust(talk: Conversation, text: str, asked_again: bool) -> Grounding:
    if asked_again:
        return "asked-again"
    return "ok" if talk.outcomes or numbers(text) else "none"


def _answer(talk: Conversation, text: str, grounding: Grounding) -> Answer:
    return Answer(text, talk.usage, talk.rounds, talk.calls, grounding)
