"""Check and measure LMDeploy on this machine's GPU, with a Llama of random weights made here.

    python benchmarks/gpu.py --geometry 8b --out docs/measurements/8b.json

Needs the packages of requirements.txt; nothing is fetched. The model (tiny 0.3 GB, 8b 6 GB, 70b
40 GB) is kept in --folder and used again, also where its making was broken off. The file of --out
is written after each part, so that what was measured stays if the run is ended. Exits with 0 if all
went well, with 1 if a part failed, and with 2 if the model can't be made or loaded.
"""

import argparse
import asyncio
import json
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Run as a script, Python looks for modules in this folder instead of the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import gpu_checks, gpu_device, gpu_rates, random_llama
from benchmarks.command_line import positive
from benchmarks.gpu_report import table
from benchmarks.gpu_timing import Bench, Prompts, WithoutLayer
from function_calling.engines import LoadedModel, check_engine, load_engine
from function_calling.engines.lmdeploy import LMDeploy
from function_calling.errors import FunctionCallingError
from function_calling.formats import choose_format
from function_calling.model.chat_model import ChatModel
from function_calling.settings import Settings

PARTS: dict[str, Callable[[Bench], Awaitable[Any]]] = {
    "generation": gpu_checks.generation,
    "abort": gpu_checks.abort,
    "concurrency": gpu_checks.concurrency,
    "forced_calls": gpu_checks.forced_calls,
    "decode": gpu_rates.decode,
    "first_token": gpu_rates.first_token,
    "continuations": gpu_rates.continuations,
    "calls": gpu_rates.calls,
}
PACKAGES = ("lmdeploy", "torch", "transformers", "tokenizers", "safetensors", "xgrammar")


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers from one, separated by commas."""
    return tuple(positive(each) for each in text.split(","))


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Check and measure LMDeploy on this GPU.")
    parser.add_argument("--geometry", choices=random_llama.GEOMETRIES, default="tiny")
    parser.add_argument("--folder", type=Path, help="of the model (default: build/llama-…-awq)")
    parser.add_argument("--out", type=Path, help="write all results to this JSON file")
    parser.add_argument("--batches", type=numbers, default=(1, 8, 32, 128), metavar="N,N")
    parser.add_argument("--prompts", type=numbers, default=(128, 1024, 8192), metavar="N,N")
    parser.add_argument("--tokens", type=positive, default=256, help="of a timed generation")
    parser.add_argument("--repeat", type=positive, default=3, help="of which the median is told")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other prompts")
    parser.add_argument("--context", type=positive, default=16384, help="of each request")
    wanted = parser.parse_args(arguments)
    wanted.folder = wanted.folder or Path(f"build/llama-{wanted.geometry}-awq")
    return wanted


def settings(wanted: argparse.Namespace) -> Settings:
    """Those that a server of this model would have; as many may wait as run."""
    slots = max(wanted.batches)
    return Settings(
        engine="lmdeploy",
        model_id=f"llama-{wanted.geometry}-awq",
        llama_model_dir=str(wanted.folder),
        gpu_context_length=wanted.context,
        gpu_batch_size=slots,
        queue_length=slots,
    )


def prepared(wanted: argparse.Namespace) -> tuple[dict[str, Any], LoadedModel]:
    """The model, made and loaded, and what is known of it and of the machine.

    Raises:
        FunctionCallingError: It can't be loaded.
        ValueError: The folder holds another model.
        OSError: It can't be written.
    """
    check_engine(settings(wanted))
    machine = gpu_device.gpu() | {"python": platform.python_version()}
    machine |= {name: version(name) for name in PACKAGES}
    print(f"{wanted.folder} is made, if it isn't there, and loaded …", flush=True)
    begun = time.perf_counter()
    random_llama.make(wanted.folder, random_llama.GEOMETRIES[wanted.geometry])
    made = time.perf_counter()
    weights, bandwidth = random_llama.bytes_read(wanted.folder), gpu_device.bandwidth()
    begun_to_load = time.perf_counter()
    loaded = load_engine(settings(wanted))
    return {
        "machine": machine,
        "make_seconds": round(made - begun, 1),
        "load_seconds": round(time.perf_counter() - begun_to_load, 1),
        "bandwidth": round(bandwidth),
        "weights_read": weights,
        "limit": round(bandwidth / weights, 1),
    }, loaded


async def measured(bench: Bench, results: dict[str, Any], out: Path | None) -> None:
    """Run all parts; one that fails is told, and the next one runs."""
    for name, part in PARTS.items():
        print(f"{name} …", flush=True)
        begun = time.perf_counter()
        try:
            results[name] = await part(bench)
        except Exception as error:
            results["problems"][name] = f"{type(error).__name__}: {error}"
        results["seconds"][name] = round(time.perf_counter() - begun, 1)
        write(results, out)


def write(results: dict[str, Any], out: Path | None) -> None:
    """What is known so far, to the file, if one is wanted."""
    if out:
        out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def bench_of(wanted: argparse.Namespace, loaded: LoadedModel, limit: float) -> Bench:
    """What is to be measured with the model."""
    engine = loaded.engine
    assert isinstance(engine, LMDeploy)
    return Bench(
        model=ChatModel(loaded, choose_format("auto", loaded.chat_template)),
        engine=engine,
        native=WithoutLayer(engine),
        prompts=Prompts(engine.tokenizer, wanted.seed),
        batches=wanted.batches,
        lengths=wanted.prompts,
        tokens=wanted.tokens,
        repeat=wanted.repeat,
        limit=limit,
    )


def main(arguments: list[str]) -> int:
    """Make, load, check, measure, report; the exit status."""
    wanted = options(arguments)
    try:
        known, loaded = prepared(wanted)
    except (FunctionCallingError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    results = {"command": ["benchmarks/gpu.py", *arguments], **known}
    results |= {"problems": {}, "seconds": {}}
    bench = bench_of(wanted, loaded, known["limit"])
    asyncio.run(measured(bench, results, wanted.out))
    loaded.engine.close()
    print("", *table(results), sep="\n")
    return 1 if results["problems"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
