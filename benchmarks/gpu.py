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
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib.metadata import version
from pathlib import Path
from random import Random
from statistics import median
from string import ascii_lowercase
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import torch
from jsonschema import Draft202012Validator

from benchmarks import random_llama
from benchmarks.command_line import positive
from function_calling.engines import LoadedModel, check_engine, load_engine
from function_calling.engines.lmdeploy import LMDeploy, generation_config
from function_calling.errors import FunctionCallingError
from function_calling.formats import choose_format
from function_calling.model.chat_model import ChatModel
from function_calling.model.words import (
    Finished,
    Message,
    Piece,
    Sampling,
    Tool,
    ToolCall,
    ToolChoice,
)
from function_calling.settings import Settings

PACKAGES = ("lmdeploy", "torch", "transformers", "tokenizers", "safetensors", "xgrammar")
CONTEXT = 16384
"""Tokens of each request at most."""
COPIED = {"cuda": 2**32, "cpu": 2**26}
COPIES = 20
BATCHES = (1, 8, 32, 128)
"""Generations at once."""
LENGTHS = (128, 1024, 8192)
"""Tokens of the prompts whose first token is waited for."""
PROMPT, WRITTEN = 128, 256
"""Tokens of a generation whose speed is measured: before it, and its own."""
LONGEST_CALL = 512
"""Tokens; more than any call of the tool has."""
USER: list[Message] = [{"role": "user", "content": "What are 42 US dollars in Canadian dollars?"}]
CODE = {"type": "string", "pattern": "^[A-Z]{3}$"}
AMOUNT = {"type": "number", "minimum": 0, "maximum": 1000000}
SCHEMA = {
    "type": "object",
    "properties": {"from": CODE, "to": CODE, "amount": AMOUNT},
    "required": ["from", "to", "amount"],
    "additionalProperties": False,
}
TOOL = Tool("convert", "Convert an amount of money.", SCHEMA)


class Source(Protocol):
    """What generates: our engine, or LMDeploy's own."""

    def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """The continuation of `prompt`, piece by piece."""
        ...


class WithoutLayer:
    """LMDeploy's own `AsyncEngine`, as its server uses it; the model is the one that we loaded.

    Our engine must have generated once in the same event loop, as that starts LMDeploy's loop.
    """

    def __init__(self, engine: LMDeploy) -> None:
        self._engine = engine._engine

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Source.generate`; `sampling` must have `max_tokens`, and no constraint."""
        assert sampling.max_tokens is not None
        request = await self._engine.preprocess(
            prompt,
            self._engine.session_mgr.get(),
            gen_config=generation_config(sampling, sampling.max_tokens),
            do_preprocess=False,
        )
        async with aclosing(self._engine.generate(request)) as outputs:
            async for output in outputs:
                counts = output.input_token_len, output.generate_token_len
                yield Piece(output.response, *counts, output.finish_reason)


class Bench:
    """A model, and how often each thing is measured; what is told is the median.

    Attributes:
        sources: Our engine alone, and LMDeploy's own.
        limit: Tokens a second at most, one generation at a time, by the memory's speed.
    """

    def __init__(self, model: ChatModel, engine: LMDeploy, repeat: int, limit: float) -> None:
        self.model, self.repeat, self.limit = model, repeat, limit
        self.sources: dict[str, Source] = {"ours": engine, "lmdeploy": WithoutLayer(engine)}
        self._tokenizer, self._chance = engine.tokenizer, Random(0)

    def prompt(self, tokens: int) -> str:
        """A text of so many tokens, with the one that begins it, that no cache knows."""
        words = ("".join(self._chance.choices(ascii_lowercase, k=3)) for _ in range(tokens))
        ids = self._tokenizer.encode(" ".join(words), add_special_tokens=False)
        text: str = self._tokenizer.decode(ids[: tokens - 1])
        return text


class Timed(NamedTuple):
    """A generation; times are of one clock, in seconds."""

    last: Piece
    begun: float
    first: float
    ended: float


async def timed(source: Source, prompt: str, sampling: Sampling) -> Timed:
    """Generate to the end."""
    begun, first, last = perf_counter(), 0.0, Piece("")
    async with aclosing(source.generate(prompt, sampling)) as pieces:
        async for piece in pieces:
            first, last = first or perf_counter(), piece
    return Timed(last, begun, first, perf_counter())


async def together(source: Source, prompts: Sequence[str], sampling: Sampling) -> list[Timed]:
    """Generate behind each prompt, all at once, each with a seed of its own."""
    each = (timed(source, prompt, sampling.but(seed=seed)) for seed, prompt in enumerate(prompts))
    return await asyncio.gather(*each)


async def decode(bench: Bench) -> list[dict[str, Any]]:
    """Tokens a second, all generations together, behind each one's first token.

    Ours and LMDeploy's own take turns at the same prompts, which the cache knows for both.
    """
    told = []
    for batch in BATCHES:
        prompts = [bench.prompt(PROMPT) for _ in range(batch)]
        await together(bench.sources["ours"], prompts, Sampling(max_tokens=1))
        rates: dict[str, list[float]] = {name: [] for name in bench.sources}
        for _ in range(bench.repeat):
            for name, source in bench.sources.items():
                runs = await together(source, prompts, Sampling(max_tokens=WRITTEN))
                tokens = sum(run.last.completion_tokens - 1 for run in runs)
                seconds = max(run.ended for run in runs) - min(run.first for run in runs)
                rates[name].append(tokens / seconds)
        line: dict[str, Any] = {"batch": batch}
        line |= {name: middle(values) for name, values in rates.items()}
        line["of_lmdeploy"] = line["ours"] / line["lmdeploy"]
        if batch == 1:
            line["of_limit"] = line["ours"] / bench.limit
        told.append(line)
    return told


async def first_token(bench: Bench) -> list[dict[str, Any]]:
    """Seconds up to the first token, behind a new prompt and behind the same one again."""
    told = []
    for length in LENGTHS:
        waits: dict[str, list[float]] = {"ours": [], "again": [], "lmdeploy": []}
        for _ in range(bench.repeat):
            prompt, other = bench.prompt(length), bench.prompt(length)
            for name, text in {"ours": prompt, "again": prompt, "lmdeploy": other}.items():
                source = bench.sources["lmdeploy" if name == "lmdeploy" else "ours"]
                run = await timed(source, text, Sampling(max_tokens=1))
                waits[name].append(run.first - run.begun)
        line: dict[str, Any] = {"prompt_tokens": run.last.prompt_tokens}
        line |= {f"{name}_seconds": middle(values) for name, values in waits.items()}
        line["of_lmdeploy"] = line["ours_seconds"] / line["lmdeploy_seconds"]
        told.append(line)
    return told


class Reply(NamedTuple):
    """A reply of the model half: its calls, and how many tokens were sampled."""

    calls: list[ToolCall]
    tokens: int


async def replied(model: ChatModel, choice: ToolChoice, sampling: Sampling) -> Reply:
    """Reply to the question, to the same prompt whether it is to be a call or words."""
    events = [event async for event in model.turn(USER, [TOOL], choice, sampling).events()]
    end = events[-1]
    assert isinstance(end, Finished)
    calls = [event for event in events if isinstance(event, ToolCall)]
    return Reply(calls, end.usage.completion_tokens)


async def calls(bench: Bench) -> list[dict[str, Any]]:
    """Forced calls a second, and texts of as many tokens behind the same prompt.

    The first one's seconds are the grammar's compilation, too.
    """

    async def at_once(choice: ToolChoice, tokens: Sequence[int]) -> tuple[list[Reply], float]:
        begun = perf_counter()
        samplings = (Sampling(max_tokens=most, seed=seed) for seed, most in enumerate(tokens))
        each = (replied(bench.model, choice, sampling) for sampling in samplings)
        return await asyncio.gather(*each), perf_counter() - begun

    call, words = ToolChoice("required", (TOOL.name,), parallel=False), ToolChoice("none")
    _, first = await at_once(call, [LONGEST_CALL])
    told = [{"first_seconds": first}]
    for batch in BATCHES:
        rates: dict[str, list[float]] = {"calls_a_second": [], "texts_a_second": []}
        for _ in range(bench.repeat):
            made, seconds = await at_once(call, [LONGEST_CALL] * batch)
            rates["calls_a_second"].append(batch / seconds)
            _, seconds = await at_once(words, [each.tokens for each in made])
            rates["texts_a_second"].append(batch / seconds)
        line: dict[str, Any] = {"batch": batch, "valid": sum(valid(each.calls) for each in made)}
        told.append(line | {name: middle(values) for name, values in rates.items()})
    return told


def valid(calls: Sequence[ToolCall]) -> bool:
    """Whether they are one call that the tool's schema allows."""
    validator = Draft202012Validator(SCHEMA)
    return len(calls) == 1 and validator.is_valid(json.loads(calls[0].arguments))


def middle(values: Sequence[float]) -> float:
    """The median, to six digits, which are more than any of this is known to."""
    return float(f"{median(values):.6g}")


PARTS = {"decode": decode, "first_token": first_token, "calls": calls}


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
    slots = max(BATCHES)
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


async def measure(bench: Bench, results: dict[str, Any], out: Path | None) -> None:
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
    bench = Bench(model, engine, wanted.repeat, known["limit"])
    results = {"command": ["benchmarks/gpu.py", *arguments], **known, "problems": {}}
    asyncio.run(measure(bench, results, wanted.out))
    engine.close()
    return 1 if results["problems"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
