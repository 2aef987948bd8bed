"""Check and measure LMDeploy on this machine's GPU, with a Llama of random weights made here.

    python -m benchmarks.gpu --geometry 8b --out docs/measurements/8b.json

Needs the packages of requirements.txt; nothing is fetched. The model (tiny 0.3 GB, 8b 6 GB, 70b
40 GB) is kept in --folder and used again, also where its making was broken off. The file of --out
is written after each part, so that what was measured stays if the run is ended. Exits with 0 if all
went well, with 1 if a part failed, and with 2 if the model can't be made or loaded.
"""

import argparse
import asyncio
import json
import platform
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import torch

from benchmarks import gpu_checks, gpu_rates, random_llama
from benchmarks.command_line import positive
from benchmarks.gpu_timing import Bench, Prompts, WithoutLayer
from function_calling.engines import LoadedModel, check_engine, load_engine
from function_calling.engines.lmdeploy import LMDeploy
from function_calling.errors import FunctionCallingError
from function_calling.formats import choose_format
from function_calling.model.chat_model import ChatModel
from function_calling.settings import Settings

Part: TypeAlias = Callable[[Bench], Awaitable[Any]]

CHECKS: dict[str, Part] = {
    "generation": gpu_checks.generation,
    "abort": gpu_checks.abort,
    "concurrency": gpu_checks.concurrency,
    "forced_calls": gpu_checks.forced_calls,
}
PARTS: dict[str, Part] = {
    **CHECKS,
    "decode": gpu_rates.decode,
    "first_token": gpu_rates.first_token,
    "continuations": gpu_rates.continuations,
    "calls": gpu_rates.calls,
}
PACKAGES = ("lmdeploy", "torch", "transformers", "tokenizers", "safetensors", "xgrammar")
_BYTES = {"cuda": 2**32, "cpu": 2**26}
_COPIES = 20


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


def gpu() -> dict[str, str]:
    """The GPU's name, driver and memory, as NVIDIA's driver tells them."""
    asked = {"gpu": "name", "driver": "driver_version", "memory": "memory.total"}
    command = ["nvidia-smi", f"--query-gpu={','.join(asked.values())}", "--format=csv,noheader"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(zip(asked, listed.splitlines()[0].split(", "), strict=True))


def bandwidth() -> float:
    """Bytes a second that the device's memory moves, those read and those written together.

    To be asked before an engine takes the memory.
    """
    device = random_llama.device()
    source = torch.ones(_BYTES[device.type], dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    target.copy_(source)
    _wait()
    begun = time.perf_counter()
    for _ in range(_COPIES):
        target.copy_(source)
    _wait()
    moved = 2 * len(source) * _COPIES / (time.perf_counter() - begun)
    del source, target
    torch.cuda.empty_cache()
    return moved


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def prepared(wanted: argparse.Namespace) -> tuple[dict[str, Any], LoadedModel]:
    """The model, made and loaded, and what is known of it and of the machine.

    Raises:
        FunctionCallingError: It can't be loaded.
        ValueError: The folder holds another model.
        OSError: It can't be written.
    """
    check_engine(settings(wanted))
    machine = gpu() | {"python": platform.python_version()}
    machine |= {name: version(name) for name in PACKAGES}
    print(f"{wanted.folder} is made, if it isn't there, and loaded …", flush=True)
    begun = time.perf_counter()
    random_llama.make(wanted.folder, random_llama.GEOMETRIES[wanted.geometry])
    made = time.perf_counter()
    weights, moved = random_llama.bytes_read(wanted.folder), bandwidth()
    begun_to_load = time.perf_counter()
    loaded = load_engine(settings(wanted))
    return {
        "machine": machine,
        "make_seconds": round(made - begun, 1),
        "load_seconds": round(time.perf_counter() - begun_to_load, 1),
        "bandwidth": round(moved),
        "weights_read": weights,
        "limit": round(moved / weights, 1),
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


def table(results: dict[str, Any]) -> Iterator[str]:
    """Its lines; a part that failed has its problem in place of numbers."""
    machine = results["machine"]
    yield f"{machine['gpu']}, driver {machine['driver']}, LMDeploy {machine['lmdeploy']}"
    speed, weights = results["bandwidth"] / 1e12, results["weights_read"] / 1e9
    limit = f"at most {results['limit']:.1f} tokens/s at batch 1"
    yield f"memory {speed:.2f} TB/s, weights {weights:.2f} GB: {limit}"
    yield f"made in {results['make_seconds']} s, loaded in {results['load_seconds']} s"
    for name in CHECKS:
        if name in results:
            told = ", ".join(f"{key} {value}" for key, value in results[name].items())
            yield f"{name:<14} right: {told}"
    yield from _rows("tokens a second", results.get("decode"))
    yield from _rows("first token", results.get("first_token"))
    for name in ("continuations", "calls"):
        told = results.get(name, {})
        yield from _rows(name, [{key: told[key] for key in told if key != "at_once"}])
    yield from _rows("calls at once", results.get("calls", {}).get("at_once"))
    for name, problem in results["problems"].items():
        yield f"{name:<14} FAILED: {problem}"


def _rows(title: str, lines: Sequence[dict[str, Any]] | None) -> Iterator[str]:
    """A table of dictionaries; the widest names the columns."""
    if not lines or not lines[0]:
        return
    columns = max(lines, key=len)
    yield ""
    yield title
    yield "  ".join(columns)
    for line in lines:
        cells = (_cell(line.get(column, "")) for column in columns)
        yield "  ".join(cell.rjust(len(name)) for name, cell in zip(columns, cells, strict=True))


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
