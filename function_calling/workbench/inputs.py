"""What the command line is given to read: a file, or standard input."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from function_calling.errors import SettingsError

STDIN = "-"
_PIECE = 1 << 16
_BOM = b"\xef\xbb\xbf"


def whole(name: str) -> bytes:
    """All bytes of the file of this name, or of standard input for "-".

    Raises:
        SettingsError: It can't be read.
    """
    with _opened(name) as file:
        content: bytes = file.read()
    return content.removeprefix(_BOM)


def pieces(name: str) -> Iterator[bytes]:
    """The same as it comes, without waiting for more.

    Raises:
        SettingsError: It can't be read.
    """
    with _opened(name) as file:
        while piece := file.read1(_PIECE):
            yield piece


def lines(name: str) -> Iterator[bytes]:
    """The same line by line.

    Raises:
        SettingsError: It can't be read.
    """
    with _opened(name) as file:
        for index, line in enumerate(file):
            yield line if index else line.removeprefix(_BOM)


@contextmanager
def _opened(name: str) -> Iterator[Any]:
    """The file; what goes wrong with it is told with its name."""
    try:
        if name == STDIN and sys.stdin is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        with nullcontext(sys.stdin.buffer) if name == STDIN else Path(name).open("rb") as file:
            yield file
    except OSError as error:
        raise SettingsError(
            f"{name}: {error.strerror}; wanted a file, or - for standard input."
        ) from error
