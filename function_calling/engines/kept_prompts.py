"""Prompts that outlive the process: what llama.cpp has read of each, in a file.

To read a prompt of a thousand tokens takes two cores ten seconds, and to load what was read none.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

MOST = 4
"""Files that are kept at most; each token of a prompt takes 28 KiB with the default model."""

OVERDUE = 60
"""Seconds after which a file that is being written is none any more."""


class KeptPrompts:
    """The files of one model among those in a folder.

    Args:
        folder: Where they lie; it is made if need be.
        model: The model's file.
        version: Of llama.cpp's package: another version may read files differently.
    """

    def __init__(self, folder: Path, model: Path, version: str) -> None:
        told = model.stat()
        self._model = _digest(f"{model.name} {told.st_size} {told.st_mtime_ns} {version}")
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sweep()

    def names(self) -> list[str]:
        """The names of this model's files, the one used last first."""
        return [file.name for file in self._files() if file.name.startswith(self._model)]

    def name(self, prompt: str) -> str:
        """The name that the file of a prompt has."""
        return f"{self._model}-{_digest(prompt)}.kv"

    def used(self, prompt: str) -> bool:
        """Whether the prompt is kept; if so, it is now the one used last."""
        with suppress(OSError):
            os.utime(self.folder / self.name(prompt))
            return True
        return False

    def put(self, written: str, prompt: str) -> None:
        """Take the file of this name for the prompt's, and let the oldest go."""
        (self.folder / written).replace(self.folder / self.name(prompt))
        for file in self._files()[MOST:]:
            file.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what was begun and never finished, since whoever wrote it went away."""
        for file in self.folder.glob("*.part"):
            with suppress(OSError):
                if time.time() - file.stat().st_mtime > OVERDUE:
                    file.unlink()

    def drop(self, name: str) -> None:
        """Let a file go that is not what it should be."""
        (self.folder / name).unlink(missing_ok=True)

    def _files(self) -> Sequence[Path]:
        files = [(file.stat().st_mtime, file) for file in self.folder.glob("*.kv")]
        return [file for _, file in sorted(files, reverse=True)]


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
