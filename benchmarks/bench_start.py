"""What comes before the first answer, and what is taken meanwhile: time, memory and disk."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median
from time import perf_counter

import httpx2
import psutil
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.bench_turns import Line, compared, in_turns, seconds
from benchmarks.exchange_cases import load_cases
from benchmarks.exchange_judge import judge
from benchmarks.exchange_rates import TOOLS
from benchmarks.exchange_routes import ask
from benchmarks.servers import served

ROOT = Path(__file__).resolve().parent.parent
TIMES, STARTS = 5, 2
IMPORTS = {
    "service": "import service",
    # BentoML alone imports nothing before it is used.
    "bentoml, fastapi": "import fastapi; from bentoml import service",
}
MEGABYTE = 1e6
RESIDENT = "resident; of the model's, the file of weights is a part"


def lines() -> Iterator[Line]:
    """Importing, starting, memory and disk; files have been read once before."""
    sides = {name: partial(_imported, code) for name, code in IMPORTS.items()}
    in_turns(sides, 1)
    yield compared("import service", "s", in_turns(sides, TIMES))
    yield from _starts()
    pins = (ROOT / "requirements-cpu.txt").read_text(encoding="utf-8").splitlines()
    ours = _megabytes(line.partition("==")[0] for line in pins if "==" in line)
    bare = _megabytes(_with_dependencies("bentoml"))
    yield Line("packages of requirements-cpu.txt", "MB", ours, "bentoml and its own", bare)


def _imported(code: str, _: int) -> float:
    command = [sys.executable, "-c", code]
    return seconds(partial(subprocess.run, command, cwd=ROOT, check=True, capture_output=True))


def _starts() -> Iterator[Line]:
    """Start both services as `make serve` does, with the weights here, and ask two questions."""
    cases = [each for each in load_cases() if each.kind == "plain"][:2]
    cold: list[float] = []
    answers: dict[str, list[float]] = {"first": [], "second question": []}
    memory: dict[str, list[float]] = {"Llama": [], "ExchangeAssistant": []}
    wrong = 0
    with served(TOOLS=TOOLS):
        pass  # it keeps the assistant's prompt, which all starts that count then load
    for _ in range(STARTS):
        begun = perf_counter()
        with (
            served(TOOLS=TOOLS) as doors,
            httpx2.Client(base_url=doors.assistant, timeout=300) as client,
        ):
            ready = perf_counter() - begun
            for took, case in zip(answers.values(), cases, strict=True):
                events = ask(client, "/exchange", case.query)
                took.append(events[-1][0])
                wrong += not judge(case, [event for _, event in events]).right
            cold.append(ready + answers["first"][-1])
            for service, megabytes in memory.items():
                megabytes.append(_resident(service))
    note = f"{wrong} of {2 * STARTS} answers are wrong" if wrong else ""
    yield Line("start to first answer", "s", median(cold), n=STARTS, note=note)
    yield compared("first question", "s", answers)
    for service, megabytes in memory.items():
        yield Line(f"memory of {service}", "MB", median(megabytes), n=STARTS, note=RESIDENT)


def _resident(service: str) -> float:
    """Megabytes of a service's processes, which this one has started."""
    taken: int = sum(
        each.memory_info().rss
        for child in psutil.Process().children()
        if f"service:{service}" in child.cmdline()
        for each in (child, *child.children(recursive=True))
    )
    return taken / MEGABYTE


def _with_dependencies(name: str) -> set[str]:
    """The package, and those that it can't do without here."""
    found, waiting = set[str](), [name]
    while waiting:
        if (package := canonicalize_name(waiting.pop())) not in found:
            found.add(package)
            for each in map(Requirement, distribution(package).requires or ()):
                if not each.marker or each.marker.evaluate({"extra": ""}):
                    waiting.append(each.name)
    return found


def _megabytes(packages: Iterable[str]) -> float:
    """What the packages take on disk, where they are for this platform."""
    sizes = 0
    for package in packages:
        with suppress(PackageNotFoundError):
            files = (Path(str(each.locate())) for each in distribution(package).files or ())
            sizes += sum(each.stat().st_size for each in files if each.is_file())
    return sizes / MEGABYTE
