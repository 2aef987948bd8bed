"""The default model's `/v1`, served from the project's own virtual environment.

The clients have one of their own, because some want older versions of packages that the server
uses. Here too a test fails that reaches for another machine.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import SERVERS_ENVIRONMENT
from openai import OpenAI

from clients.cases import MOST_TOKENS, TIMEOUT

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"

# Each is read when its client is imported.
os.environ["LANGSMITH_TRACING"] = "false"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"


@dataclass(frozen=True)
class V1:
    """Where the API is, and the name of the model that it serves."""

    url: str
    model: str


@pytest.fixture(scope="session")
def v1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[V1]:
    """One server for all tests."""
    with socket.socket() as trial:
        trial.bind((HOST, 0))
        port = trial.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    python = ROOT / ".venv" / "bin" / "python"
    command = [str(python), "-m", "bentoml", "serve", "service:Llama"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", HOST, "--port", str(port)],
            cwd=ROOT,
            env=SERVERS_ENVIRONMENT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while not is_ready(f"http://{HOST}:{port}"):
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
        url = f"http://{HOST}:{port}/v1"
        with OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            model = client.models.list().data[0].id
        yield V1(url, model)
    finally:
        end(process)


@pytest.fixture
def sdk(v1: V1) -> Iterator[OpenAI]:
    """OpenAI's client of it."""
    with OpenAI(base_url=v1.url, api_key="none", max_retries=0, timeout=TIMEOUT) as client:
        yield client


@pytest.fixture
def settings(v1: V1) -> dict[str, Any]:
    """What every request says."""
    return {"model": v1.model, "temperature": 0, "max_tokens": MOST_TOKENS}


def is_ready(url: str) -> bool:
    """Whether the server at `url` says that it can answer."""
    try:
        return httpx2.get(f"{url}/readyz", timeout=5).is_success
    except httpx2.HTTPError:
        return False


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end; kill it and what it started if it does not."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
