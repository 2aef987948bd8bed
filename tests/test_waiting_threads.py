"""The benchmark of threads that wait: what it sets, measures and prints."""

import json
import re
import subprocess
from typing import Any

import pytest
from generations import smollm2

from benchmarks import llamacpp_speed


def test_each_count_is_measured_in_turns_and_told_beside_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Free cores first; the median of the rounds stands in the table."""
    asked: list[str] = []

    def run(_command: list[str], env: dict[str, str], **_: Any) -> Any:
        asked.append(env["GOMP_SPINCOUNT"])
        speeds = [10.0 * len(asked), 8.0 if env["GOMP_SPINCOUNT"] == "0" else 12.0]
        return subprocess.CompletedProcess([], 0, json.dumps(speeds).encode())

    monkeypatch.setattr(subprocess, "run", run)
    llamacpp_speed.main(["--spins", "0,1000", "--rounds", "3"])
    assert asked == ["0", "1000", "0", "1000"] * 3
    table = capsys.readouterr().out.splitlines()[1:]
    assert [re.split(r" {2,}", row) for row in table] == [
        ["free", "0", "50.0", "1.00", "8.0", "1.00"],
        ["free", "1000", "60.0", "1.20", "12.0", "1.50"],
        ["one busy", "0", "70.0", "1.00", "8.0", "1.00"],
        ["one busy", "1000", "80.0", "1.14", "12.0", "1.50"],
    ]


@pytest.mark.model
async def test_the_model_of_the_settings_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, as each count is in one of its own."""
    monkeypatch.setenv("MODEL_PATH", str(smollm2()))
    read, write = await llamacpp_speed.measured("speeds")
    assert read > 0
    assert write > 0
