"""How fast llama.cpp reads and writes in processes of different environments, in turns.

    python -m benchmarks.llamacpp_speed GOMP_SPINCOUNT=0 GOMP_SPINCOUNT=1000 GOMP_SPINCOUNT=4000

How long threads spin while they wait for each other
(https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html).

    pip install --no-deps --target build/wheel xllamacpp==…   # the version that is pinned
    make native
    python -m benchmarks.llamacpp_speed PYTHONPATH=build/wheel PYTHONPATH=

The wheel beside what is installed, the same version built for this machine's own processor.

Each is measured on free cores and beside a process that keeps one busy. Told are the medians, in
tokens a second, their ratios to the first one's, and how many of some texts are the first one's.
Without variables, this process's own figures are told, as JSON.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.command_line import positive
from function_calling.engines import load_engine
from function_calling.model.words import Sampling
from function_calling.settings import Settings

PROMPTS = (
    "".join(f"{number} dollars are {2 * number} euros.\n" for number in range(10, 30)),
    "The capital of Canada is",
    "def reverse(items):\n    ",
    "Question: Why is the sky blue?\nAnswer:",
    '{"name": "Ada", "born":',
    "Un, deux, trois,",
    "SELECT name FROM people WHERE",
)
"""How fast a prompt is read, is measured by the first one."""
WRITTEN = 48


async def measured() -> dict[str, Any]:
    """The tokens a second that the settings' model reads and writes, and its greedy texts."""
    engine = load_engine(Settings.from_env(os.environ)).engine
    read, texts, tokens, seconds = 0.0, [], 0, 0.0
    for prompt in PROMPTS:
        times, pieces = [perf_counter()], []
        async for piece in engine.generate(prompt, Sampling(max_tokens=WRITTEN, temperature=0)):
            times.append(perf_counter())
            pieces.append(piece)
        read = read or pieces[0].prompt_tokens / (times[1] - times[0])
        tokens += pieces[-1].completion_tokens - 1
        seconds += times[-1] - times[1]
        texts.append("".join(piece.text for piece in pieces))
    engine.close()
    return {"read": read, "write": tokens / seconds, "texts": texts}


def in_process(variable: str) -> Any:
    """What is measured in a process of its own with this variable, written `NAME=value`."""
    name, _, value = variable.partition("=")
    environ = os.environ | {name: str(Path(value).resolve()) if name == "PYTHONPATH" else value}
    command = [sys.executable, "-m", "benchmarks.llamacpp_speed"]
    told = subprocess.run(command, env=environ, capture_output=True, check=True).stdout
    return json.loads(told.splitlines()[-1])


@contextmanager
def busy(cores: str) -> Iterator[None]:
    """Keep a core busy meanwhile, or don't."""
    if cores == "free":
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def main(arguments: list[str]) -> None:
    """Measure in processes, and print the table."""
    parser = argparse.ArgumentParser(description="Measure llama.cpp beside itself.")
    parser.add_argument("variables", nargs="*", metavar="NAME=value", help="one of each side")
    parser.add_argument("--rounds", type=positive, default=3, help="how often each is measured")
    wanted = parser.parse_args(arguments)
    if not wanted.variables:
        print(json.dumps(asyncio.run(measured())))
        return
    given = defaultdict(list)
    for _ in range(wanted.rounds):
        for cores in ("free", "one busy"):
            for side in wanted.variables:
                with busy(cores):
                    given[cores, side].append(in_process(side))
    print(f"{'cores':<9} {'read':>6} {'ratio':>6} {'write':>6} {'ratio':>6} {'texts':>6}")
    for (cores, side), measures in given.items():
        first = given[cores, wanted.variables[0]]
        row = f"{cores:<9}"
        for what in ("read", "write"):
            speed, of_first = (median(each[what] for each in them) for them in (measures, first))
            row += f" {speed:>6.1f} {speed / of_first:>6.2f}"
        pairs = zip(measures[0]["texts"], first[0]["texts"], strict=True)
        print(f"{row} {sum(one == other for one, other in pairs)}/{len(PROMPTS)}  {side}")


if __name__ == "__main__":
    main(sys.argv[1:])
