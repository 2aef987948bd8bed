"""Text in a prompt that spells a control token, and is text all the same.

A prompt's turns are told by control tokens, such as `<|im_end|>`. Where a client's text, or what a
tool returned, has one of them in it, it would end its turn and begin another in any name. So it is
quoted, and an engine reads what is quoted letter by letter.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

# Unicode keeps these code points for use inside of programs: no text that is exchanged has them.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_MARKS = re.compile(f"[{_OPEN}{_CLOSE}]")


def quoter(controls: Collection[str]) -> Callable[[Any], Any]:
    """Quotes these texts wherever they stand in a value of JSON, its keys too."""

    def quoted(value: Any) -> Any:
        if isinstance(value, list):
            return [quoted(each) for each in value]
        if isinstance(value, Mapping):
            return {quoted(key): quoted(each) for key, each in value.items()}
        if not isinstance(value, str):
            return value
        text = unmarked(value)
        spelled = sorted((each for each in controls if each in text), key=len, reverse=True)
        if not spelled:
            return text
        return re.sub("|".join(map(re.escape, spelled)), rf"{_OPEN}\g<0>{_CLOSE}", text)

    return quoted


def unmarked(text: str) -> str:
    """The text without what would quote a part of it."""
    return _MARKS.sub("", text)


def parts(prompt: str) -> list[tuple[str, bool]]:
    """The prompt in parts, each with whether it is quoted; none is empty."""
    split = enumerate(_MARKS.split(prompt))
    return [(text, index % 2 == 1) for index, text in split if text]
