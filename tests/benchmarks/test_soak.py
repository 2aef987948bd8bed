"""The soak run: how replies and processes are judged, and a short run on real servers."""

import subprocess
import sys
from collections import defaultdict

import httpx2
import pytest
from conftest import SERVERS_ENVIRONMENT
from generations import smollm2
from hosts import ROOT

from benchmarks.soak import (
    BUSY,
    FINISH,
    REFUSED,
    REQUESTS,
    RIGHT,
    Sample,
    UnexplainedError,
    judged,
    outcome,
)

ENDED = '{"choices":[{"finish_reason":"stop"}]}'
FAILED = 'data: {"error":{"message":"The server failed.","code":null}}\n\ndata: [DONE]\n\n'
OVERLOADED = 'data: {"type":"error","error":{"code":"engine_overloaded"}}\n\n'
MB = 10**6


def test_what_is_right_refused_or_busy_is_told_apart() -> None:
    """A refusal for load must say when to come again, or be the last event of a stream."""
    assert outcome(httpx2.Response(200), ENDED, right=FINISH) == RIGHT
    assert outcome(httpx2.Response(404), "", wanted=404) == REFUSED
    again = {"retry-after": "5"}
    for status in (429, 503):
        assert outcome(httpx2.Response(status, headers=again), "", wanted=400) == BUSY
    assert outcome(httpx2.Response(200), OVERLOADED, right=FINISH) == BUSY


@pytest.mark.parametrize(
    ("status", "text", "wanted"),
    [(200, "", 200), (200, FAILED, 200), (503, "", 200), (500, "", 400), (200, ENDED, 400)],
)
def test_anything_else_is_unexplained(status: int, text: str, wanted: int) -> None:
    """A reply without its end, an error in mid-stream, and a refusal that says nothing."""
    _, _, right = REQUESTS["chat, streamed"]
    with pytest.raises(UnexplainedError, match=f"^{status} "):
        outcome(httpx2.Response(status), text, wanted, right)


@pytest.mark.parametrize(
    ("minutes", "last", "files", "pid", "told"),
    [
        (4, 104, 24, 1, []),
        (4, 106, 20, 1, ["memory grew by 6.0%"]),
        (2, 106, 20, 1, []),
        (4, 90, 25, 1, ["25 open files, 20 before"]),
        (4, 90, 20, 2, ["the process is another one"]),
    ],
)
def test_growth_counts_from_the_second_minute_on(
    minutes: int, last: int, files: int, pid: int, told: list[str]
) -> None:
    """What the first minute brings is no growth; less memory, or four files more, is no leak."""

    ends = range(10, 60 * minutes + 10, 10)
    loaded = [Sample(end, 1, (100 if end < 130 else last) * MB, 60, 9) for end in ends]
    samples = [Sample(0, 1, 50 * MB, 20, 4), *loaded, Sample(0, pid, 99 * MB, files, 4)]
    problems: list[str] = []
    (row,) = judged(defaultdict(list, {"Llama, worker": samples}), problems)
    assert row[0] == "Llama, worker"
    assert len(problems) == len(told)
    assert all(each in problem for each, problem in zip(told, problems, strict=True))


@pytest.mark.serve
def test_mixed_traffic_leaves_nothing_behind() -> None:
    """Seconds of it, from a few clients, on both services."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.2", "--clients", "6"],
        cwd=ROOT,
        env=SERVERS_ENVIRONMENT | {"MODEL_PATH": str(smollm2())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "| all " in ran.stdout
    assert "| Llama, worker |" in ran.stdout
