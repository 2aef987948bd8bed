"""An engine that plays a recorded text where `/v1` expects a model.

It writes the text from where the prompt ends in it, since `/v1` has reasoning written apart. Once a
call has begun, `/v1` has the engine go on under a grammar; then it writes what the text has there,
as far as the grammar allows that, and what the grammar forces. White space that the grammar sets
otherwise makes no difference.
"""

from collections.abc import AsyncGenerator, Sequence

from llguidance import LLMatcher, LLTokenizer

from function_calling.engines.grammar import grammar
from function_calling.formats import Format
from function_calling.formats.detection import CallDetector
from function_calling.model.words import Piece, Sampling

_BYTES = LLTokenizer("byte")


class Recording:
    """See `Engine`.

    Args:
        text: What a model wrote.
        form: The format in which it calls tools.
        names: The tools that it may call.

    Attributes:
        given: The prompts so far, each with how it was to be continued.
        whole: Whether the grammar let what was written under it end.
        left: What the text has where it leaves the grammar.
    """

    def __init__(self, text: str, form: Format, names: Sequence[str]) -> None:
        self._text, self._form, self._names = text, form, tuple(names)
        self.given: list[tuple[str, Sampling]] = []
        self.whole = False
        self.left = ""

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        self.given.append((prompt, sampling))
        first, text = self.given[0][0], ""
        if sampling.constraint and len(self.given) > 1:
            text = self._obeying(grammar(sampling.constraint))
        elif prompt.startswith(first) and self._text.startswith(prompt.removeprefix(first)):
            self._text = text = self._text.removeprefix(prompt.removeprefix(first))
        yield Piece(text)
        yield Piece("", finish_reason="length" if sampling.constraint else "stop")

    async def busy(self) -> int:
        """See `Engine.busy`."""
        return 0

    def close(self) -> None:
        """See `Engine.close`."""

    def _obeying(self, rules: str) -> str:
        matcher = LLMatcher(_BYTES, rules, log_level=0)
        written, wanted = bytearray(), self._behind_start().encode()
        while not matcher.is_stopped():
            if taken := bytes(matcher.compute_ff_bytes()):
                rest = _behind(wanted, taken)
                if rest is None:
                    self.left = wanted.decode(errors="replace")
                wanted = rest or b""
            else:
                # Where a backslash may stand, white space is part of a string.
                if not matcher.validate_tokens(list(wanted[:1])) and not _allows(matcher, b"\\"):
                    wanted = wanted.lstrip()
                    spaces = (b" ", b"\n") if wanted else ()
                    fitting = (it for it in spaces if _allows(matcher, it + wanted[:1]))
                    wanted = next(fitting, b"") + wanted
                fits = matcher.validate_tokens(list(wanted))
                taken, wanted = wanted[:fits], wanted[fits:]
            if not taken:
                break
            matcher.consume_tokens(list(taken))
            written += taken
        self.left = self.left or wanted.decode(errors="replace")
        close = self._form.calls_close.encode()
        self.whole = matcher.is_accepting()
        if not self.whole and _allows(matcher, close) and matcher.consume_tokens(list(close)):
            self.whole = matcher.is_accepting()
            written += close if self.whole else b""
        return written.decode(errors="replace")

    def _behind_start(self) -> str:
        """The text behind the literal that `/v1` writes in place of the call's start."""
        detector = CallDetector(self._form, self._names)
        _, start = detector.feed(self._text)
        assert start is not None
        behind = detector.from_start()[len(start.text) :]
        if start.name:
            return behind
        # A tag told no name: the object in it is spelled as a call is without the tag.
        detector = CallDetector(self._form, self._names)
        content, start = detector.feed(behind)
        if content.strip() or start is None or not start.name:
            self.left = behind
            return ""
        name = start.name + self._form.before_arguments if len(self._names) > 1 else ""
        return name + detector.from_start()[len(start.text) :]


def _allows(matcher: LLMatcher, text: bytes) -> bool:
    return matcher.validate_tokens(list(text)) == len(text)


def _behind(text: bytes, other: bytes) -> bytes | None:
    """The text behind what is the other but for white space, or begins it; None if nothing is."""
    for place in range(len(other)):
        wanted = other[place : place + 1]
        if wanted.isspace():
            text = text[1:] if text[:1].isspace() else text
        elif not text.strip():
            return b""
        elif not text.lstrip().startswith(wanted):
            return None
        else:
            text = text.lstrip()[1:]
    return text
