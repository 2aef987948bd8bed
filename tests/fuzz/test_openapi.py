"""Schemathesis, which makes requests of what the services tell of themselves, finds no failure."""

import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from fuzzing import CASES, SECONDS
from hosts import ROOT, host

SCHEMATHESIS = ROOT / ".venv-checks" / "bin" / "schemathesis"

pytestmark = [
    pytest.mark.serve,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="`make fuzz` installs Schemathesis"),
]


def test_no_described_request_fails(tmp_path: Path) -> None:
    """Right and wrong ones, to both services as BentoML serves them."""
    with ExitStack() as stack:
        llama = stack.enter_context(host(tmp_path, "odd_llama:Llama", "127.0.0.1"))
        llama.wait_ready()
        assistant = stack.enter_context(
            host(tmp_path, "service:ExchangeAssistant", "127.0.0.1", LLAMA_URL=llama.url)
        )
        assistant.wait_ready()
        for described, url in (
            (f"{assistant.url}/docs.json", assistant.url),
            (f"{llama.url}/v1/openapi.json", f"{llama.url}/v1"),
        ):
            command = [SCHEMATHESIS, "--no-color", "run", described, "--url", url]
            bounds = ["--max-examples", str(CASES), "--request-timeout", str(SECONDS)]
            done = subprocess.run(
                [*command, *bounds, "--checks", "not_a_server_error", "--seed", "1"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout
