"""The head of a GGUF file: what it says of the model, without the model's numbers.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3: the version, how many
tensors and entries there are, and then the entries, each a key, a kind and a value.
"""

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

_MAGIC = b"GGUF"
_NUMBERS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_STRING, _ARRAY = 8, 9
_CONTROL = 3
"""The type of a token that means something to the model, whatever its text."""


def read_head(path: Path) -> dict[str, Any] | None:
    """The entries; None if the file is of another kind.

    Raises:
        ValueError: The head ends, breaks off, or is of another version.
    """
    try:
        with path.open("rb") as file:
            return _entries(file) if file.read(len(_MAGIC)) == _MAGIC else None
    except (struct.error, EOFError, LookupError, OverflowError, MemoryError) as error:
        raise ValueError(f"its head ends or breaks off: {error}") from error


def control_texts(path: Path) -> frozenset[str]:
    """The texts of the tokens that mean something to the model, such as the end of a turn.

    There are none in a file that can't be read; what loads it says why.
    """
    head: dict[str, Any] = {}
    with suppress(ValueError):
        head = read_head(path) or {}
    texts, types = (head.get(f"tokenizer.ggml.{name}", ()) for name in ("tokens", "token_type"))
    return frozenset(text for text, kind in zip(texts, types, strict=False) if kind == _CONTROL)


def _entries(file: BinaryIO) -> dict[str, Any]:
    def numbers(code: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{code}", _whole(file, struct.calcsize(f"<{code}")))

    def text() -> str:
        return _whole(file, int.from_bytes(_whole(file, 8), "little")).decode(errors="replace")

    def value(kind: int) -> Any:
        if kind == _STRING:
            return text()
        if kind != _ARRAY:
            return numbers(_NUMBERS[kind])[0]
        kind, count = numbers("IQ")
        if kind in _NUMBERS:
            return numbers(f"{count}{_NUMBERS[kind]}")
        return [value(kind) for _ in range(count)]

    version, _, count = numbers("IQQ")
    if version not in (2, 3):
        raise ValueError(f"its version is {version}, wanted 2 or 3")
    return {text(): value(*numbers("I")) for _ in range(count)}


def _whole(file: BinaryIO, length: int) -> bytes:
    told = file.read(length)
    if len(told) < length:
        raise EOFError(f"{length} bytes are wanted, and there are {len(told)}")
    return told
