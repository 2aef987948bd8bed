"""A file's SHA-256, remembered beside it for as long as the file is unchanged.

Hashing a gigabyte takes seconds, which a service that starts shouldn't spend each time.
"""

import hashlib
from contextlib import suppress
from pathlib import Path


def beside(path: Path, kind: str) -> Path:
    """The companion of `path` that is called `<name>.<kind>`."""
    return path.with_name(f"{path.name}.{kind}")


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal, read from the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered_sha256(path: Path) -> str | None:
    """The file's SHA-256, read only if size or time have changed since the last; None: no file.

    Where nothing can be written beside the file, it is read each time.
    """
    if not path.is_file():
        return None
    # Taken before the file is read: a change meanwhile must not pass for what was read.
    stamp = _stamp(path)
    with suppress(OSError, ValueError):
        text = beside(path, "digest").read_text()
        if text.endswith(stamp) and len(text) == 64 + len(stamp):
            return text.removesuffix(stamp)
    digest = sha256(path)
    _remember(path, digest, stamp)
    return digest


def remember_sha256(path: Path, digest: str) -> None:
    """Spare the next reader the reading of a file whose SHA-256 is known."""
    _remember(path, digest, _stamp(path))


def _remember(path: Path, digest: str, stamp: str) -> None:
    with suppress(OSError):
        beside(path, "digest").write_text(digest + stamp)


def _stamp(path: Path) -> str:
    """What changes when the file does."""
    stat = path.stat()
    return f" {stat.st_size} {stat.st_mtime_ns}\n"
