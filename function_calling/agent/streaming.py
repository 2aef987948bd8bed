"""When the words of a model reach the person who asked, and what is told in their place.

An answer is told sentence by sentence, each as soon as it is complete and its numbers have been
checked. What was told can't be taken back: a reply that takes the place of another goes on behind
what was told, if it begins with that, and else is not told; what tools found and nobody told yet
then follows in their own sentences.

Where the answer is wanted whole, nothing is told before its end.
"""

import re

from function_calling.agent.grounding import Ground
from function_calling.agent.model_call import without_thoughts

_CLOSERS = r"[\"'”’»)\]*_]*"
# A number never reaches over such an end, so that what stands before it can be checked alone.
_END = re.compile(rf"[.!?…]{_CLOSERS}\s|[。！？।؟۔]{_CLOSERS}|(?<=[^\d\s])[^\S\n]*\n")
_ENDED = re.compile(rf"(?:[.!?…。！？।؟۔:：]{_CLOSERS}|\n)\s*$")
# What may become a tool call written as text, or a thought; it is held until the reply is complete.
_NO_SENTENCE = re.compile(r"[`<{\[◁]")


class Streaming:
    """Tells the answer to one question.

    Attributes:
        told: All that was told so far.
    """

    def __init__(self, ground: Ground, *, whole: bool) -> None:
        self.told = ""
        self._ground = ground
        self._whole = whole
        self._reply = ""
        self._own = ""  # how the reply must begin: what was told of it, or of one that was lost
        self._silent = whole

    def begin(self, *, aloud: bool) -> None:
        """A reply begins; `aloud` where it may be the answer."""
        self._reply = self._own = ""
        self._silent = self._whole or not aloud

    def restart(self) -> None:
        """What comes next takes the place of the reply so far."""
        self._reply = ""

    def hear(self, part: str) -> str:
        """What can be told now that the reply goes on with `part`."""
        self._reply = without_thoughts(self._reply + part).lstrip()
        if self._silent or _NO_SENTENCE.match(self._reply) or not self._continues():
            return ""
        end = len(self._own)
        for sentence in _END.finditer(self._reply, end):
            if self._ground.invented(self._reply[: sentence.end()]):
                self._silent = True
                break
            end = sentence.end()
        return self._tell(end)

    def rest(self) -> str | None:
        """The rest of a reply that is all right; None where what was told is no part of it."""
        return self._tell(len(self._reply)) if self._continues() else None

    def close(self, text: str) -> str:
        """Tell `text` of our own behind what was told; a paragraph begins behind an open end."""
        if text and self.told:
            text = f" {text}" if _ENDED.search(self.told) else f"\n\n{text}"
        self.told += text
        return text

    def _continues(self) -> bool:
        """Whether the reply begins as it must."""
        return self._reply.startswith(self._own)

    def _tell(self, end: int) -> str:
        """Tell the reply up to here; white space waits for what follows it."""
        part = self._reply[len(self._own) : end].rstrip()
        seam = "\n\n" if part and self.told and not self._own else ""
        self._own += part
        self.told += seam + part
        return seam + part
