"""What a GGUF file says of how its model chats; nothing but the file's head is read.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3: the magic, the version,
how many tensors and entries there are, and then the entries, each a key, a kind and a value.
"""

import mmap
import struct
from pathlib import Path
from typing import Any, NamedTuple

MAGIC = b"GGUF"
_NUMBERS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_STRING, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")


class Chat(NamedTuple):
    """A model's chat template, and the texts of its first and last token; "" for what it lacks."""

    template: str
    bos_token: str
    eos_token: str


def read_chat(path: Path) -> Chat:
    """What the file says.

    Raises:
        OSError: The file can't be read.
        ValueError: It is no GGUF file, or is cut off.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        head = _Head(data)
        try:
            entries = head.entries()
            bos, eos = (
                head.item(entries["tokenizer.ggml.tokens"], entries[key]) if key in entries else ""
                for key in ("tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id")
            )
        except (struct.error, LookupError, TypeError) as error:
            raise ValueError(f"its head ends or breaks off: {error}") from error
    return Chat(str(entries.get("tokenizer.chat_template", "")), bos, eos)


class _Texts(NamedTuple):
    """An array of texts that was passed over: where it begins, and how many it holds."""

    start: int
    size: int


class _Head:
    """Reads on from where it stands."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def entries(self) -> dict[str, Any]:
        """Every key with its value."""
        if self._data[:4] != MAGIC:
            raise ValueError(f"it begins with {self._data[:4]!r}")
        self._at = 4
        version = self._number("I")
        if version not in (2, 3):
            raise ValueError(f"its version is {version}, wanted 2 or 3")
        self._number("Q")
        return {self._text(): self._value(self._number("I")) for _ in range(self._number("Q"))}

    def item(self, texts: _Texts, index: int) -> str:
        """One text of an array."""
        if index >= texts.size:
            raise IndexError(f"no token {index}")
        self._at = texts.start
        self._pass_texts(index)
        return self._text()

    def _number(self, code: str) -> Any:
        (number,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += struct.calcsize(f"<{code}")
        return number

    def _text(self) -> str:
        length = self._number("Q")
        start, self._at = self._at, self._at + length
        if self._at > len(self._data):
            raise IndexError(f"a text of {length} bytes")
        return self._data[start : self._at].decode(errors="replace")

    def _pass_texts(self, count: int) -> None:
        # Vocabularies hold hundreds of thousands.
        data, at, length_at = self._data, self._at, _LENGTH.unpack_from
        for _ in range(count):
            at += _LENGTH.size + length_at(data, at)[0]
        self._at = at

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            return self._number(_NUMBERS[kind])
        kind, count = self._number("I"), self._number("Q")
        start = self._at
        if kind == _STRING:
            self._pass_texts(count)
        else:
            self._at += count * struct.calcsize(f"<{_NUMBERS[kind]}")
        return _Texts(start, count)
