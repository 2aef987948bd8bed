"""How fast llama.cpp reads and writes, by how long its threads spin while they wait for each other.

    python benchmarks/waiting_threads.py --spins 0,1000,5000

Each count is `GOMP_SPINCOUNT` of GNU's OpenMP
(https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html) in a process of its own, in turns
on free cores and beside a process that keeps one busy. Told are the medians, in tokens a second,
and their ratios to the first count's.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from statistics import median

# Run as a script, Python looks for modules in this folder instead of the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.command_line import positive
from function_calling.engines import load_engine
from function_calling.model.words import Sampling
from function_calling.settings import Settings

PROMPT = "".join(f"{number} dollars are {2 * number} euros.\n" for number in range(10, 30))
WRITTEN = 48


async def measured() -> tuple[float, float]:
    """Tokens a second that the model of the settings reads and writes."""
    engine = load_engine(Settings.from_env(os.environ)).engine
    times, pieces = [time.perf_counter()], []
    async with aclosing(engine.generate(PROMPT, Sampling(max_tokens=WRITTEN))) as generated:
        async for piece in generated:
            times.append(time.perf_counter())
            pieces.append(piece)
    engine.close()
    read = pieces[0].prompt_tokens / (times[1] - times[0])
    return read, (pieces[-1].completion_tokens - 1) / (times[-1] - times[1])


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
    parser = argparse.ArgumentParser(description="Measure threads that spin while they wait.")
    parser.add_argument("--spins", default="0,1000,5000", help="counts, separated by commas")
    parser.add_argument("--rounds", type=positive, default=3, help="how often each is measured")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args(arguments)
    if wanted.one:
        print(json.dumps(asyncio.run(measured())))
        return
    spins = wanted.spins.split(",")
    speeds: dict[tuple[bool, str], list[tuple[float, float]]] = defaultdict(list)
    for _ in range(wanted.rounds):
        for is_busy in (False, True):
            for count in spins:
                command = [sys.executable, __file__, "--one"]
                environ = {**os.environ, "GOMP_SPINCOUNT": count}
                with busy(is_busy):
                    told = subprocess.run(command, env=environ, capture_output=True, check=True)
                speeds[is_busy, count].append(json.loads(told.stdout.splitlines()[-1]))
    print(f"{'cores':<10} {'spins':>7} {'read':>7} {'ratio':>6} {'write':>7} {'ratio':>6}")
    for is_busy in (False, True):
        first = _medians(speeds[is_busy, spins[0]])
        for count in spins:
            read, write = _medians(speeds[is_busy, count])
            ratios = read / first[0], write / first[1]
            row = f"{read:>7.1f} {ratios[0]:>6.2f} {write:>7.1f} {ratios[1]:>6.2f}"
            print(f"{'one busy' if is_busy else 'free':<10} {count:>7} {row}")


def _medians(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    return median(read for read, _ in pairs), median(write for _, write in pairs)


if __name__ == "__main__":
    main(sys.argv[1:])
