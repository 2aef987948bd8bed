"""The benchmark of llama.cpp beside itself: what it sets, measures and prints."""

import json
import subprocess
from typing import Any

import pytest
from generations import smollm2

from benchmarks import llamacpp_speed


def test_each_side_is_measured_in_turns_and_told_beside_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Free cores first; the median of the rounds stands in the table."""
    asked: list[str] = []

    def run(_command: list[str], env: dict[str, str], **_: Any) -> Any:
        asked.append(env["GOMP_SPINCOUNT"])
        texts = ["same"] * 6 + [asked[-1]]
        told = {"read": 10.0 * len(asked), "write": 8.0 + 4 * (asked[-1] != "0"), "texts": texts}
        return subprocess.CompletedProcess([], 0, json.dumps(told).encode())

    monkeypatch.setattr(subprocess, "run", run)
    llamacpp_speed.main(["GOMP_SPINCOUNT=0", "GOMP_SPINCOUNT=1000", "--rounds", "3"])
    assert asked == ["0", "1000", "0", "1000"] * 3
    assert capsys.readouterr().out.splitlines()[1:] == [
        "free        50.0   1.00    8.0   1.00 7/7  GOMP_SPINCOUNT=0",
        "free        60.0   1.20   12.0   1.50 6/7  GOMP_SPINCOUNT=1000",
        "one busy    70.0   1.00    8.0   1.00 7/7  GOMP_SPINCOUNT=0",
        "one busy    80.0   1.14   12.0   1.50 6/7  GOMP_SPINCOUNT=1000",
    ]


@pytest.mark.model
def test_the_model_of_the_settings_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, as each side is in one of its own."""
    monkeypatch.setenv("MODEL_PATH", str(smollm2()))
    monkeypatch.setattr(llamacpp_speed, "WRITTEN", 4)
    llamacpp_speed.main([])
    told = json.loads(capsys.readouterr().out)
    assert told["read"] > 0
    assert told["write"] > 0
    assert len(told["texts"]) == len(llamacpp_speed.PROMPTS)
