"""llama.cpp as the wheel has it, beside the same version built for this machine's own processor.

    pip install --no-deps --target build/wheel xllamacpp==…   # the version that is pinned
    make native
    python benchmarks/native.py --other build/wheel

Each in a process of its own, in turns, they read a prompt and write on from it, greedily.
"""

import argparse
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

PROMPTS = (
    "The capital of Canada is",
    "def reverse(items):\n    ",
    "Question: Why is the sky blue?\nAnswer:",
    '{"name": "Ada", "born":',
    "Un, deux, trois,",
    "SELECT name FROM people WHERE",
)
LONG = "All work and no play makes Jack a dull boy. " * 60
TOKENS = 48
_CHILD = """
import json, os, sys, xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.n_ctx, parameters.n_parallel, parameters.verbosity = 4096, 1, 0
parameters.cpuparams.n_threads = os.cpu_count() or 1
server = xllamacpp.Server(parameters)
print(json.dumps(xllamacpp.get_system_info()), flush=True)
for line in sys.stdin:
    told = server.handle_completions(json.loads(line))
    print(json.dumps(told), flush=True)
"""


class Build:
    """One build of llama.cpp, in a process of its own."""

    def __init__(self, stack: ExitStack, model: Path, folder: Path | None) -> None:
        path = {"PYTHONPATH": str(folder.resolve())} if folder else {}
        self._process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", _CHILD, str(model)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | path,
            )
        )
        self.instructions: str = self._read()

    def complete(self, prompt: str, tokens: int) -> dict[str, Any]:
        """What llama.cpp answers, with its timings."""
        asked = {"prompt": prompt, "n_predict": tokens, "temperature": 0, "cache_prompt": False}
        assert self._process.stdin
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = self._read()
        return answer

    def _read(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())


def main() -> None:
    """Compare what both write, and how fast."""
    # Run as a script, Python looks for modules in this folder instead of the project's.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from function_calling.settings import Settings
    from function_calling.weights.catalogue import resolve

    parser = argparse.ArgumentParser(description="Compare two builds of llama.cpp.")
    parser.add_argument("--other", type=Path, required=True, help="the folder of the wheel's")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model = resolve(Settings.from_env(os.environ))
    with ExitStack() as stack:
        wheel, native = Build(stack, model, options.other), Build(stack, model, None)
        print("wheel: ", wheel.instructions, "\nnative:", native.instructions)
        speeds: dict[str, list[tuple[float, float]]] = {"read": [], "written": []}
        same = 0
        for prompt in PROMPTS:
            one, other = (each.complete(prompt, TOKENS)["choices"][0] for each in (wheel, native))
            same += one["text"] == other["text"]
        for _ in range(options.rounds):
            told = [each.complete(LONG, TOKENS)["timings"] for each in (wheel, native)]
            for what, key in (("read", "prompt_per_second"), ("written", "predicted_per_second")):
                speeds[what].append((told[0][key], told[1][key]))
        print(f"{same} of {len(PROMPTS)} texts of {TOKENS} tokens are the same")
        for what, pairs in speeds.items():
            before, after = (median(each) for each in zip(*pairs, strict=True))
            print(f"{what:<8} {before:6.1f} {after:6.1f} tokens a second, {after / before:.2f}")
        for each in (wheel, native):
            assert each._process.stdin
            each._process.stdin.close()


if __name__ == "__main__":
    main()
