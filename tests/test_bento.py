"""The Bento as `make bento` builds it: what is in it, and that it answers wherever it is."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx2
import pytest
import yaml
from command_line import PYTHON_M
from conftest import SERVERS_ENVIRONMENT
from hosts import QUERY, ROOT, Host, free_port, listening

pytestmark = [pytest.mark.serve, pytest.mark.timeout(900)]

HERE = "127.0.0.1"
KEYS = ("first-key-1234", "second-key-5678")
LARGEST = 2_000_000
"""Bytes that a Bento may have: it is code."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for Bentos, in place of the user's own."""
    return tmp_path_factory.mktemp("bentoml")


@pytest.fixture(scope="module")
def built(store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a build from a checkout full of other things prints, and the image's context.

    No request leaves for an index or a hub: both would be looked for where nothing is.
    """
    checkout = tmp_path_factory.mktemp("checkout") / "project"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    for name in (".env", "prod.env", "models/model.gguf", "models/model.safetensors", "notes.txt"):
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text("secret")
    nowhere = f"http://{HERE}:{free_port(HERE)}"
    done = subprocess.run(
        [sys.executable, "deploy/pack.py", "--context", "build/image"],
        cwd=checkout,
        env=SERVERS_ENVIRONMENT
        | {"BENTOML_HOME": str(store), "HF_ENDPOINT": nowhere}
        | {"PIP_INDEX_URL": nowhere, "UV_INDEX_URL": nowhere, "UV_DEFAULT_INDEX": nowhere},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, checkout / "build/image"


@pytest.fixture(scope="module")
def tag(built: tuple[str, Path]) -> str:
    """The Bento's name in the store."""
    return re.findall(r"^Built (\S+)\.", built[0], re.MULTILINE)[0]


def test_the_services_are_packed_and_nothing_else(built: tuple[str, Path]) -> None:
    """No test, no weight, no secret; what was told is what is there."""
    told, context = built
    files = {str(path.relative_to(context)) for path in context.rglob("*") if path.is_file()}
    source = {name.removeprefix("src/") for name in files if name.startswith("src/")}
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "function_calling").rglob("*.py")}
    package.add("function_calling/ui/index.html")
    roots = {path.name for path in ROOT.glob("*.py")}
    named = {"requirements.txt", "README.md", "LICENSE", "bentofile.yaml"}
    assert source == package | roots | named
    lines = re.findall(r"^ *[\d,]+  (\S+)$", told, re.MULTILINE)
    assert set(lines) == files
    total = int(re.findall(r"^ *([\d,]+)  bytes in", told, re.MULTILINE)[0].replace(",", ""))
    assert total == sum((context / name).stat().st_size for name in files) < LARGEST


def test_the_bento_names_no_model_and_the_tested_packages(built: tuple[str, Path]) -> None:
    """So each of its containers fetches what it serves, and the assistant's none."""
    said = yaml.safe_load((built[1] / "bento.yaml").read_text())
    assert [each["models"] for each in (said, *said["services"])] == [[], [], []]
    assert not said["envs"]
    dockerfile = (built[1] / "env/docker/Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE) == ["python:3.11-slim"]
    packed, tested = built[1] / "env/python/requirements.txt", ROOT / "requirements.txt"
    pins = [set(re.findall(r"(?m)^[\w.-]+==[\w.+!-]+", it.read_text())) for it in (packed, tested)]
    assert pins[0] == pins[1]


def arguments(name: str) -> list[str]:
    """What Kubernetes gives the image's entry point for a Deployment."""
    text = (ROOT / f"deploy/kubernetes/{name}.yaml").read_text()
    deployment = next(iter(yaml.safe_load_all(text)))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    args: list[str] = container["args"]
    args[args.index("--host") + 1] = HERE
    args[args.index("--port") + 1] = "{port}"
    return args


def test_its_containers_answer_together(built: tuple[str, Path], tmp_path: Path) -> None:
    """Started as Kubernetes starts them: one image, two services, joined by `LLAMA_URL`."""
    bento = built[1]
    (bento / "env/docker/entrypoint.sh").chmod(0o755)
    before = sorted(bento.rglob("*"))

    def container(name: str, **environ: str) -> AbstractContextManager[Host]:
        environ |= {"BENTO_PATH": str(bento), "BENTOML_CONTAINERIZED": "true"}
        environ |= {"BENTOML_HOME": str(tmp_path / name), "PYTHONDONTWRITEBYTECODE": "1"}
        command = ["env/docker/entrypoint.sh", *arguments(name)]
        return listening(tmp_path, command, HERE, cwd=bento, **environ)

    with (
        container("llama") as llama,
        container("exchange-assistant", LLAMA_URL=llama.url) as assistant,
    ):
        llama.wait_ready()
        assistant.wait_ready()
        response = assistant.exchange()
        assert (response.status_code, "131.95" in response.text) == (200, True)
    assert sorted(bento.rglob("*")) == before, "the root file system of a container is read-only"


@pytest.fixture(scope="module")
def served(tag: str, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Both services, by one command, with keys, and with nothing of the checkout in reach."""
    empty = tmp_path_factory.mktemp("empty")
    command = ["bentoml", "serve", tag, "--host", HERE, "--port", "{port}"]
    # What BentoML told its maker would be in the log.
    tells = {"BENTOML_DO_NOT_TRACK": "False", "__BENTOML_DEBUG_USAGE": "True"}
    environ = {"BENTOML_HOME": str(store), "API_KEYS": ",".join(KEYS), **tells}
    with listening(tmp_path_factory.mktemp("log"), command, HERE, cwd=empty, **environ) as host:
        host.wait_ready()
        yield host
    assert not list(empty.iterdir())


def test_it_answers_from_an_empty_folder(served: Host) -> None:
    """With the embedded model, which is asked over a socket; the first door alone is open."""
    with httpx2.Client(base_url=served.url, headers={"x-api-key": KEYS[1]}) as http:
        response = http.post("/exchange", json={"query": QUERY}, timeout=300)
        assert (response.status_code, "131.95" in response.text) == (200, True)
        assert http.get("/v1/models").status_code == 404


def test_the_services_ask_each_other_with_a_key_that_no_log_holds(served: Host) -> None:
    """The command line sends one, too. BentoML tells its maker nothing."""
    assert served.exchange().status_code == 401
    assert httpx2.get(f"{served.url}/metrics").status_code == 401
    with httpx2.Client(base_url=served.url, headers={"x-api-key": KEYS[0]}) as http:
        assert http.get("/metrics").status_code == 200
        about = http.get("/ui/about").json()
    assert (about["problem"], bool(about["model"])) == (None, True)
    asked = subprocess.run(
        [*PYTHON_M, "ask", "--port", str(served.port), "x" * 3000],
        cwd=ROOT,
        env=SERVERS_ENVIRONMENT | {"API_KEYS": KEYS[0]},
        capture_output=True,
        text=True,
    )
    assert "query has 3000 characters" in asked.stderr
    logged = served.log.read_text() + asked.stdout + asked.stderr
    assert "/ui/about" in logged
    assert not [each for each in (*KEYS, "Tracking Payload") if each in logged]
