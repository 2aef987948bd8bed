"""Text that follows the scheme of thought, action and observation, which `react.py` shows.

Of it, content is the thought before an action, or the answer without the thought that led to it.
An observation ends the reply: what a model writes there is its guess.
"""

import regex

_SETTLED = regex.compile(r"(?im)^[ \t]*(?:(?P<answer>final answer)|observation)[ \t]*:[ \t]*")
_THOUGHT = regex.compile(r"(?im)^[ \t]*thought[ \t]*:[ \t]*")
_END = regex.compile(r"(?i)\s*\n[ \t]*observation[ \t]*:")


class StepText:
    """The content in such a text; which it is, shows late, so a thought is held back.

    Attributes:
        over: Whether the reply is over, whatever may follow.
    """

    def __init__(self) -> None:
        self._held = ""
        self._answering = False
        self._begun = False
        self.over = False

    def feed(self, text: str) -> str:
        """The content that is settled by `text`."""
        self._held += text
        if not self._answering:
            settled = _SETTLED.search(self._held)
            if settled is None:
                return ""
            if not settled["answer"]:
                self.over, self._held = True, self._held[: settled.start()].rstrip()
                return self.rest()
            self._answering, self._held = True, self._held[settled.end() :]
        return self._answer()

    def _answer(self) -> str:
        self._held = self._held.lstrip() if not self._begun else self._held
        end = _END.search(self._held, partial=True)
        place = end.start() if end else len(self._held)
        answer, self._held = self._held[:place], self._held[place:]
        self._begun = self._begun or bool(answer)
        self.over = end is not None and not end.partial
        return answer

    def rest(self) -> str:
        """What was held back, a call or the end being next."""
        held, self._held = self._held, ""
        if self._answering:
            return held.rstrip()
        return _THOUGHT.sub("", held).strip() if _THOUGHT.search(held) else held
