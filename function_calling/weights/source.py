"""What the sources of a model file, `hub` and `wheels`, have in common.

A source only brings the file: whether what came is right is for the catalogue to judge, by SHA-256.
Each goes through the user's own tools, so that tokens, mirrors, proxies and offline switches hold.
"""

import shutil
import sys
from pathlib import Path
from typing import NamedTuple, Protocol

from function_calling.errors import WeightsError


def tell(line: str) -> None:
    """Tell the user on standard error, at once."""
    print(line, file=sys.stderr, flush=True)


class Carried(NamedTuple):
    """Where a file's bytes are, and whether any of them were there before."""

    path: Path
    reused: bool


class Source(Protocol):
    """Somewhere a file can be had from; its `str` is what the user reads."""

    def carry(self, part: Path, size: int, *, fresh: bool = False) -> Carried:
        """Bring `size` bytes to `part`, or name a file in the source's own cache.

        `fresh` forbids the use of anything that was there before.

        Raises:
            WeightsError: The source can't be used now; the text says why.
            OSError: The disk refused.
        """


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
