"""What the parts of the benchmark are made of: lines, sides that take turns, and servers."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile
from time import perf_counter, sleep
from typing import Any, TypeVar

import httpx2

from benchmarks.run_eval import HOST, free_port
from function_calling.cli.serve import Doors, Processes, is_ready, serving

NOOP = "benchmarks.bench_noop:Llama"
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was measured.

    Attributes:
        what: The thing.
        unit: Of both values.
        ours: What we take or give.
        against: What the other side is; "" where there is none.
        other: What the other side takes or gives.
        n: How often each side was measured.
        note: What else a reader must know.
    """

    what: str
    unit: str
    ours: float
    against: str = ""
    other: float | None = None
    n: int = 1
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over the other's, where both are more than noise."""
        return self.ours / self.other if self.other and min(self.ours, self.other) > 0 else None


def in_turns(sides: Mapping[str, Callable[[int], Result]], rounds: int) -> dict[str, list[Result]]:
    """What each side gives for the number of each round; who begins, changes."""
    given: dict[str, list[Result]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 else -1]:
            given[name].append(sides[name](number))
    return given


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes."""
    begun = perf_counter()
    work()
    return perf_counter() - begun


def compared(
    what: str,
    unit: str,
    given: Mapping[str, Sequence[float]],
    *,
    scale: float = 1.0,
    told: Callable[[Sequence[float]], float] = median,
    note: str = "",
) -> Line:
    """A line of two sides' values, ours first, of which `told` is told: the median by default."""
    (_, ours), (against, other) = given.items()
    return Line(what, unit, scale * told(ours), against, scale * told(other), len(ours), note)


@contextmanager
def served(**settings: str) -> Iterator[tuple[Doors, Processes]]:
    """Both services, or the assistant alone where `LLAMA_URL` is among the settings."""
    with (
        TemporaryFile() as log,
        serving(HOST, free_port(), {**os.environ, **settings}, log=log.fileno()) as running,
    ):
        doors, processes = running
        if not processes.wait_ready(doors):
            log.seek(0)
            raise SystemExit(log.read().decode(errors="replace"))
        yield running


@contextmanager
def noop_server() -> Iterator[str]:
    """The URL of the model's service over an engine that does nothing.

    Raises:
        SystemExit: It did not start; says why.
    """
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", NOOP, "--host", HOST, "--port", str(port)]
    with TemporaryFile() as log, TemporaryDirectory() as home:
        environ = {"ENGINE": "llamacpp", "BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True"}
        process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=log, stderr=log)
        try:
            while not is_ready(url := f"http://{HOST}:{port}"):
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(log.read().decode(errors="replace"))
                sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait()


def posted(client: httpx2.Client, path: str, **fields: Any) -> httpx2.Response:
    """The response to a POST of the fields, read to its end.

    Raises:
        HTTPStatusError: The server refuses it.
    """
    return client.post(path, json=fields).raise_for_status()
