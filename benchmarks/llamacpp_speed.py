"""How fast llama.cpp reads and writes, in processes that differ in one thing, in turns.

    python -m benchmarks.llamacpp_speed --spins 0,1000,5000

How long threads spin while they wait for each other: each count is `GOMP_SPINCOUNT` of GNU's OpenMP
(https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html).

    pip install --no-deps --target build/wheel xllamacpp==…   # the version that is pinned
    make native
    python -m benchmarks.llamacpp_speed --wheel build/wheel

The wheel beside what is installed, the same version built for this machine's own processor; told as
well is how many of some texts both write, greedily.

Each is measured on free cores and beside a process that keeps one busy. Told are the medians, in
tokens a second, and their ratios to the first one's.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.command_line import positive
from function_calling.engines import Engine, load_engine
from function_calling.model.words import Sampling
from function_calling.settings import Settings

PROMPT = "".join(f"{number} dollars are {2 * number} euros.\n" for number in range(10, 30))
PROMPTS = (
    "The capital of Canada is",
    "def reverse(items):\n    ",
    "Question: Why is the sky blue?\nAnswer:",
    '{"name": "Ada", "born":',
    "Un, deux, trois,",
    "SELECT name FROM people WHERE",
)
"""Behind which both builds write."""
WRITTEN = 48


async def speeds(engine: Engine) -> tuple[float, float]:
    """Tokens a second that it reads and writes."""
    times, pieces = [time.perf_counter()], []
    async with aclosing(engine.generate(PROMPT, Sampling(max_tokens=WRITTEN))) as generated:
        async for piece in generated:
            times.append(time.perf_counter())
            pieces.append(piece)
    read = pieces[0].prompt_tokens / (times[1] - times[0])
    return read, (pieces[-1].completion_tokens - 1) / (times[-1] - times[1])


async def texts(engine: Engine) -> list[str]:
    """What it writes greedily behind each of the prompts."""
    greedy = Sampling(max_tokens=WRITTEN, temperature=0)
    return ["".join([it.text async for it in engine.generate(each, greedy)]) for each in PROMPTS]


MEASURED = {"speeds": speeds, "texts": texts}


async def measured(what: str) -> Any:
    """One of `MEASURED`, of the settings' model in this process."""
    engine = load_engine(Settings.from_env(os.environ)).engine
    try:
        return await MEASURED[what](engine)
    finally:
        engine.close()


def elsewhere(what: str, environ: Mapping[str, str]) -> Any:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.llamacpp_speed", "--one", what]
    told = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, check=True)
    return json.loads(told.stdout.splitlines()[-1])


@contextmanager
def busy(is_busy: bool) -> Iterator[None]:
    """Keep a core busy meanwhile, or don't."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"])] if is_busy else []
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main(arguments: list[str]) -> None:
    """Measure in processes, and print the table."""
    parser = argparse.ArgumentParser(description="Measure llama.cpp beside itself.")
    parser.add_argument("--spins", default="0,1000,5000", help="counts, separated by commas")
    parser.add_argument("--wheel", type=Path, help="the folder of a wheel, in place of counts")
    parser.add_argument("--rounds", type=positive, default=3, help="how often each is measured")
    parser.add_argument("--one", choices=MEASURED, help=argparse.SUPPRESS)
    wanted = parser.parse_args(arguments)
    if wanted.one:
        print(json.dumps(asyncio.run(measured(wanted.one))))
        return
    sides: dict[str, dict[str, str]] = {
        count: {"GOMP_SPINCOUNT": count} for count in wanted.spins.split(",")
    }
    if wanted.wheel:
        sides = {"wheel": {"PYTHONPATH": str(wanted.wheel.resolve())}, "native": {}}
        wheel, native = (elsewhere("texts", environ) for environ in sides.values())
        same = sum(one == other for one, other in zip(wheel, native, strict=True))
        print(f"{same} of {len(PROMPTS)} texts of {WRITTEN} tokens are the same")
    given: dict[tuple[bool, str], list[tuple[float, float]]] = defaultdict(list)
    for _ in range(wanted.rounds):
        for is_busy in (False, True):
            for name, environ in sides.items():
                with busy(is_busy):
                    given[is_busy, name].append(elsewhere("speeds", environ))
    differing = "build" if wanted.wheel else "spins"
    print(f"{'cores':<10} {differing:>7} {'read':>7} {'ratio':>6} {'write':>7} {'ratio':>6}")
    for is_busy in (False, True):
        first = _medians(given[is_busy, next(iter(sides))])
        for name in sides:
            read, write = _medians(given[is_busy, name])
            ratios = read / first[0], write / first[1]
            row = f"{read:>7.1f} {ratios[0]:>6.2f} {write:>7.1f} {ratios[1]:>6.2f}"
            print(f"{'one busy' if is_busy else 'free':<10} {name:>7} {row}")


def _medians(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    return median(read for read, _ in pairs), median(write for _, write in pairs)


if __name__ == "__main__":
    main(sys.argv[1:])
