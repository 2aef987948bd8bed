"""What must be right on a GPU before its speed is worth measuring."""

import asyncio
import json
import time
from typing import Any

from jsonschema import Draft202012Validator

from benchmarks.gpu_timing import Bench, replied, timed, timed_all
from function_calling.model.words import Sampling, Tool, ToolCall

LONGEST_CALL = 512
"""Tokens; more than any call of these tools has."""
_FORCED = 32
_PATIENCE_SECONDS = 10


class WrongError(Exception):
    """Something was not as it must be."""


def offered(prefix: str) -> list[Tool]:
    """Two tools; another prefix makes other ones, whose grammar nobody has compiled yet."""
    code = {"type": "string", "pattern": "^[A-Z]{3}$"}
    convert = {
        "from": code,
        "to": code,
        "amount": {"type": "number", "minimum": 0, "maximum": 1000000},
        "rounding": {"enum": ["up", "down", "nearest"]},
    }
    remind = {
        "text": {"type": "string", "minLength": 1, "maxLength": 40},
        "days": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 31}}
        | {"minItems": 1, "maxItems": 4},
        "urgent": {"type": "boolean"},
    }
    return [
        Tool(f"{prefix}convert", "Convert an amount of money.", _object(convert)),
        Tool(f"{prefix}remind", "Set a reminder.", _object(remind)),
    ]


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


async def generation(bench: Bench) -> dict[str, Any]:
    """Tokens are counted, and the end tells why it is one."""
    prompt = bench.prompts.fresh(40)
    wanted = len(bench.engine.tokenizer.encode(prompt))
    told = {}
    for tokens in (1, 16):
        last = (await timed(bench.engine, prompt, Sampling(max_tokens=tokens))).last
        told[f"of_{tokens}"] = last.completion_tokens
        _see(last.prompt_tokens == wanted, f"{last.prompt_tokens} prompt tokens, not {wanted}")
        reason = "length" if last.completion_tokens == tokens else "stop"
        _see(
            0 < last.completion_tokens <= tokens and last.finish_reason == reason,
            f"{last.completion_tokens} tokens of {tokens}, finish_reason {last.finish_reason}",
        )
    return {"prompt_tokens": wanted, "completion_tokens": told}


async def abort(bench: Bench) -> dict[str, Any]:
    """Closing generations under way frees their slots, all of them."""
    slots = max(bench.batches)
    running = [
        bench.engine.generate(bench.prompts.fresh(20), Sampling(seed=seed)) for seed in range(slots)
    ]
    await asyncio.gather(*(anext(each) for each in running))
    busy = await bench.engine.busy()
    _see(busy == slots, f"{busy} generations run, not {slots}")
    begun = time.perf_counter()
    await asyncio.gather(*(each.aclose() for each in running))
    await _idle(bench)
    seconds = time.perf_counter() - begun
    last = (await timed(bench.engine, bench.prompts.fresh(20), Sampling(max_tokens=4))).last
    _see(last.completion_tokens > 0, "nothing was generated behind an abort")
    return {"aborted": slots, "seconds": float(f"{seconds:.3g}")}


async def concurrency(bench: Bench) -> dict[str, Any]:
    """Twice as many as there are slots all come to their end."""
    prompts = [bench.prompts.fresh(40) for _ in range(2 * max(bench.batches))]
    runs = await timed_all(bench.engine, prompts, Sampling(max_tokens=8))
    ended = sum(run.last.finish_reason in ("stop", "length") for run in runs)
    _see(ended == len(prompts), f"{ended} of {len(prompts)} ended")
    texts = len({run.text for run in runs})
    _see(texts > len(prompts) // 2, f"only {texts} texts behind {len(prompts)} prompts")
    await _idle(bench)
    return {"requests": len(prompts), "slots": max(bench.batches), "ended": ended}


async def forced_calls(bench: Bench) -> dict[str, Any]:
    """Each is one call of a tool that was offered, with arguments that its schema allows."""
    tools, gate = offered(""), asyncio.Semaphore(max(bench.batches))

    async def call(seed: int) -> str:
        sampling = Sampling(seed=seed, max_tokens=LONGEST_CALL)
        async with gate:
            reply = await replied(bench.model, tools, called=True, sampling=sampling)
        return problem(reply.calls, tools)

    problems = await asyncio.gather(*(call(seed) for seed in range(_FORCED)))
    wrong = [each for each in problems if each]
    _see(not wrong, f"{len(wrong)} of {_FORCED} calls are wrong: {'; '.join(wrong[:3])}")
    return {"calls": _FORCED, "valid": _FORCED - len(wrong)}


def problem(calls: list[ToolCall], tools: list[Tool]) -> str:
    """Why a reply is not one valid call; "" if it is."""
    if len(calls) != 1:
        return f"{len(calls)} calls"
    schemas = {tool.name: tool.parameters for tool in tools}
    if calls[0].name not in schemas:
        return f"calls {calls[0].name!r}"
    try:
        arguments = json.loads(calls[0].arguments)
    except ValueError as error:
        return f"the arguments are no JSON: {error}"
    errors = Draft202012Validator(schemas[calls[0].name]).iter_errors(arguments)
    return "; ".join(error.message for error in errors)


async def _idle(bench: Bench) -> None:
    """Wait until nothing runs."""
    begun = time.perf_counter()
    while count := await bench.engine.busy():
        _see(time.perf_counter() - begun < _PATIENCE_SECONDS, f"{count} generations still run")
        await asyncio.sleep(0.001)


def _see(right: bool, otherwise: str) -> None:
    if not right:
        raise WrongError(otherwise)
