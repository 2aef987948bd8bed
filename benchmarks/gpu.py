"""Measure LMDeploy on this machine's GPU, with a Llama of random weights made here.

    python -m benchmarks.gpu --geometry 8b --out docs/measurements/8b.json

Needs the packages of requirements.txt; nothing is fetched. The model (tiny 0.3 GB, 8b 6 GB, 70b
40 GB) is kept in --folder and used again. What is measured is printed and written to --out as it
comes, so that it stays if the run is ended. Exits with 0 if all went well, with 1 if a part failed,
and with 2 if the model can't be made or loaded.
"""

import argparse
import asyncio
import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from benchmarks import gpu_rates, random_llama
from benchmarks.command_line import positive
from function_calling.engines import LoadedModel, check_engine, load_engine
from function_calling.engines.lmdeploy import LMDeploy
from function_calling.errors import FunctionCallingError
from function_calling.formats import choose_format
from function_calling.model.chat_model import ChatModel
from function_calling.settings import Settings

PARTS = {
    "decode": gpu_rates.decode,
    "first_token": gpu_rates.first_token,
    "calls": gpu_rates.calls,
}
PACKAGES = ("lmdeploy", "torch", "transformers", "tokenizers", "safetensors", "xgrammar")
CONTEXT = 16384
"""Tokens of each request at most."""
COPIED = {"cuda": 2**32, "cpu": 2**26}
COPIES = 20


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure LMDeploy on this GPU.")
    parser.add_argument("--geometry", choices=random_llama.GEOMETRIES, default="tiny")
    parser.add_argument("--folder", type=Path, help="of the model (default: build/llama-…-awq)")
    parser.add_argument("--out", type=Path, help="write all results to this JSON file")
    parser.add_argument("--repeat", type=positive, default=3, help="of which the median is told")
    wanted = parser.parse_args(arguments)
    wanted.folder = wanted.folder or Path(f"build/llama-{wanted.geometry}-awq")
    return wanted


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
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    source = torch.ones(COPIED[device.type], dtype=torch.uint8, device=device)
    target = source.clone()
    wait()
    begun = perf_counter()
    for _ in range(COPIES):
        target.copy_(source)
    wait()
    moved = 2 * len(source) * COPIES / (perf_counter() - begun)
    del source, target
    torch.cuda.empty_cache()
    return moved


def prepared(wanted: argparse.Namespace) -> tuple[dict[str, Any], LoadedModel]:
    """The model, made and loaded, and what is known of it and of the machine.

    Raises:
        FunctionCallingError: It can't be loaded.
        ValueError: The folder holds another model.
        OSError: It can't be written.
    """
    slots = max(gpu_rates.BATCHES)
    settings = Settings(
        engine="lmdeploy",
        model_id=f"llama-{wanted.geometry}-awq",
        llama_model_dir=str(wanted.folder),
        gpu_context_length=CONTEXT,
        gpu_batch_size=slots,
        queue_length=slots,
    )
    check_engine(settings)
    machine = gpu() | {"python": platform.python_version()}
    machine |= {name: version(name) for name in PACKAGES}
    print(f"{wanted.folder} is made, if it isn't there, and loaded …", flush=True)
    random_llama.make(wanted.folder, random_llama.GEOMETRIES[wanted.geometry])
    weights, moved = random_llama.bytes_read(wanted.folder), bandwidth()
    begun = perf_counter()
    loaded = load_engine(settings)
    return {
        "machine": machine,
        "load_seconds": round(perf_counter() - begun, 1),
        "bandwidth": round(moved),
        "weights_read": weights,
        "limit": round(moved / weights, 1),
    }, loaded


async def measure(bench: gpu_rates.Bench, results: dict[str, Any], out: Path | None) -> None:
    """Run all parts; one that fails is told, and the next one runs."""
    for name, part in PARTS.items():
        try:
            results[name] = await part(bench)
        except Exception as error:
            results["problems"][name] = f"{type(error).__name__}: {error}"
        tell(name, results, out)


def tell(name: str, results: dict[str, Any], out: Path | None) -> None:
    """Print the part's results, and write all of them to the file, if one is wanted."""
    print(name, json.dumps(results.get(name, results["problems"]), indent=1), flush=True)
    if out:
        out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Make, load, measure and tell; the exit status."""
    wanted = options(arguments)
    try:
        known, loaded = prepared(wanted)
    except (FunctionCallingError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(known, indent=1), flush=True)
    engine = loaded.engine
    assert isinstance(engine, LMDeploy)
    model = ChatModel(loaded, choose_format("auto", loaded.chat_template))
    bench = gpu_rates.Bench(model, engine, wanted.repeat, known["limit"])
    results = {"command": ["benchmarks/gpu.py", *arguments], **known, "problems": {}}
    asyncio.run(measure(bench, results, wanted.out))
    engine.close()
    return 1 if results["problems"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
