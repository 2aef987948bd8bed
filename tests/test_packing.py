"""What BentoML is told to pack, by engine, without a hub or a GPU."""

import json
import subprocess
import sys
from pathlib import Path

import bentoml
import pytest
from conftest import SERVERS_ENVIRONMENT

from deploy import pack
from function_calling.settings import GPU_MODEL_ID, Settings
from packing import hub_weights, image, llama_resources, with_weights

ROOT = Path(__file__).resolve().parent.parent
GPU = {"ENGINE": "lmdeploy"}


@pytest.mark.parametrize(
    "environ", [{"ENGINE": "llamacpp"}, GPU | {"LLAMA_MODEL_DIR": "/models/llama"}]
)
def test_the_hub_is_not_asked_where_weights_come_from_elsewhere(environ: dict[str, str]) -> None:
    """Neither to build nor to serve with the embedded engine, or with a folder for LMDeploy."""
    settings = Settings.from_env(environ)
    assert hub_weights(settings) is None
    assert with_weights(settings, None) == settings
    assert ("gpu" in llama_resources(settings)) == (settings.engine == "lmdeploy")


def test_lmdeploys_model_is_bentomls_to_fetch() -> None:
    """Without the formats that LMDeploy does not read."""
    settings = Settings.from_env(GPU | {"MODEL_ID": "acme/Big-AWQ"})
    weights = hub_weights(settings)
    assert isinstance(weights, bentoml.models.HuggingFaceModel)
    assert (weights.model_id, weights.exclude) == ("acme/Big-AWQ", ["*.pth", "*.pt", "original/*"])
    fetched = with_weights(settings, "/fetched")
    assert (fetched.llama_model_dir, fetched.model_id) == ("/fetched", "acme/Big-AWQ")


def test_a_folder_of_something_else_is_not_laid_out_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be lost: `--context .` is the checkout."""
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SystemExit, match="2"):
        pack.main(["--context", str(tmp_path)])
    assert f"{tmp_path} holds no Bento: wanted an absent folder" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("environ", [GPU, {"ENGINE": "llamacpp"}])
def test_to_import_the_services_asks_nobody(environ: dict[str, str]) -> None:
    """A socket is not even made; and MCP, which takes a second and 40 MB, is not loaded."""
    code = """
import json, socket, sys
def refuse(*_, **__): raise AssertionError("reached for the network")
socket.socket.connect = socket.getaddrinfo = refuse
import service
assert not {'mcp', 'mcp_types'} & sys.modules.keys()
print(json.dumps([str(each) for each in service.Llama.models]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=SERVERS_ENVIRONMENT | environ,
        capture_output=True,
        text=True,
        check=True,
    )
    named = [f"{GPU_MODEL_ID}:main"] if environ == GPU else []
    assert json.loads(done.stdout) == named


def test_python_and_packages_are_declared_once() -> None:
    """For the image, from the file beside the code; BentoML would merge what both places say."""
    assert image.python_version == "3.11"
    assert image.python_requirements == (ROOT / "requirements.txt").read_text()
    assert not image.lock_python_packages
    declared = (ROOT / "bentofile.yaml").read_text()
    keys = {line.split(":")[0] for line in declared.splitlines() if line[:1].isalpha()}
    assert keys == {"service", "labels", "include"}
