"""Prompts that outlive the process: what llama.cpp has read of each, in a file.

To read a prompt of a thousand tokens takes two cores ten seconds, and to load what was read none.
"""

import os
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

MOST = 4
"""Files that are kept at most; each token of a prompt takes 28 KiB with the default model."""


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

    def names(self) -> list[str]:
        """The names of this model's files, the one used last first."""
        return [file.name for file in self._files() if file.match(f"{self._model}-*.kv")]

    def used(self, prompt: str) -> bool:
        """Whether the prompt is kept; if so, it is now the one used last."""
        with suppress(OSError):
            os.utime(self._file(prompt))
            return True
        return False

    def new_name(self) -> str:
        """The name of a file to be written."""
        return f"{secrets.token_hex(8)}.part"

    def put(self, written: str, prompt: str) -> None:
        """Take the file of this name for the prompt's, and let the oldest go.

        So does what was begun and never finished, since whoever wrote it went away.
        """
        (self.folder / written).replace(self._file(prompt))
        for file in self._files()[MOST:]:
            file.unlink(missing_ok=True)

    def drop(self, name: str) -> None:
        """Let a file go that is not what it should be."""
        (self.folder / name).unlink(missing_ok=True)

    def _file(self, prompt: str) -> Path:
        return self.folder / f"{self._model}-{_digest(prompt)}.kv"

    def _files(self) -> list[Path]:
        files = []
        for file in self.folder.iterdir():
            with suppress(OSError):  # another process may have renamed it, or let it go
                files.append((file.stat().st_mtime, file))
        return [file for _, file in sorted(files, reverse=True)]


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
