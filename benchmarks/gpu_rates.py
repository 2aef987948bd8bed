"""How fast a model is on a GPU: alone, behind our layer, and when it calls tools."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.gpu_checks import LONGEST_CALL, offered
from benchmarks.gpu_timing import Bench, Reply, Source, Timed, middle, replied, timed, timed_all
from function_calling.model.words import Sampling

_PROMPT = 128
"""Tokens before a generation whose speed is measured."""
_TEXT = 1024
"""Tokens before one that is continued."""
_PARTS = 16
_CALLS = 8


async def decode(bench: Bench) -> list[dict[str, Any]]:
    """Tokens a second, all generations together, behind each one's first token.

    Ours and LMDeploy's own take turns at the same prompts, which the cache knows for both.
    """
    told = []
    sampling = Sampling(max_tokens=bench.tokens)
    for batch in bench.batches:
        prompts = [bench.prompts.fresh(_PROMPT) for _ in range(batch)]
        await timed_all(bench.engine, prompts, Sampling(max_tokens=1))
        rates: dict[str, list[float]] = {"ours": [], "lmdeploy": []}
        for _ in range(bench.repeat):
            for name, source in _sources(bench):
                rates[name].append(_rate(await timed_all(source, prompts, sampling)))
        line: dict[str, Any] = {"batch": batch}
        line |= {name: middle(values) for name, values in rates.items()}
        line["of_lmdeploy"] = middle([line["ours"] / line["lmdeploy"]])
        if batch == 1:
            line["of_limit"] = middle([line["ours"] / bench.limit])
        told.append(line)
    return told


def _sources(bench: Bench) -> tuple[tuple[str, Source], ...]:
    return ("ours", bench.engine), ("lmdeploy", bench.native)


def _rate(runs: Sequence[Timed]) -> float:
    tokens = sum(run.last.completion_tokens - 1 for run in runs)
    return tokens / (max(run.ended for run in runs) - min(run.first for run in runs))


async def first_token(bench: Bench) -> list[dict[str, Any]]:
    """Seconds up to the first token, behind a new prompt and behind the same one again."""
    told = []
    one = Sampling(max_tokens=1)
    for length in bench.lengths:
        waits: dict[str, list[float]] = {"ours": [], "again": [], "lmdeploy": []}
        for _ in range(bench.repeat):
            prompt, other = bench.prompts.fresh(length), bench.prompts.fresh(length)
            run = await timed(bench.engine, prompt, one)
            waits["ours"].append(run.wait)
            waits["again"].append((await timed(bench.engine, prompt, one)).wait)
            waits["lmdeploy"].append((await timed(bench.native, other, one)).wait)
        line: dict[str, Any] = {"prompt_tokens": run.last.prompt_tokens}
        line |= {f"{name}_seconds": middle(values) for name, values in waits.items()}
        line["of_lmdeploy"] = middle([line["ours_seconds"] / line["lmdeploy_seconds"]])
        line["cache_speedup"] = middle([line["ours_seconds"] / line["again_seconds"]])
        told.append(line)
    return told


async def continuations(bench: Bench) -> dict[str, Any]:
    """What it costs to write a text in parts, each a generation of its own, instead of at once."""
    part = Sampling(max_tokens=max(1, bench.tokens // _PARTS))
    assert part.max_tokens is not None
    whole_seconds, parts_seconds = [], []
    for _ in range(bench.repeat):
        prompt = bench.prompts.fresh(_TEXT)
        await timed(bench.engine, prompt, Sampling(max_tokens=1))
        whole = await timed(bench.engine, prompt, Sampling(max_tokens=part.max_tokens * _PARTS))
        whole_seconds.append(whole.seconds)
        begun = time.perf_counter()
        for _ in range(_PARTS):
            prompt += (await timed(bench.engine, prompt, part.but(begun=True))).text
        parts_seconds.append(time.perf_counter() - begun)
    whole_median, parts_median = middle(whole_seconds), middle(parts_seconds)
    return {
        "continuations": _PARTS,
        "tokens_each": part.max_tokens,
        "at_once_seconds": whole_median,
        "in_parts_seconds": parts_median,
        "added_seconds_each": middle([(parts_median - whole_median) / (_PARTS - 1)]),
        "a_second": middle([_PARTS / parts_median]),
    }


async def calls(bench: Bench) -> dict[str, Any]:
    """What a forced call costs beside as many tokens of text behind the same prompt."""
    tools = offered("timed_")
    sampling = Sampling(max_tokens=LONGEST_CALL)
    first = await replied(bench.model, tools, called=True, sampling=sampling.but(seed=0))
    called, plain = [], []
    for seed in range(1, 1 + _CALLS * bench.repeat):
        call = await replied(bench.model, tools, called=True, sampling=sampling.but(seed=seed))
        text = Sampling(max_tokens=call.tokens, seed=seed)
        called.append(call)
        plain.append(await replied(bench.model, tools, called=False, sampling=text))
    return {
        "first_seconds": middle([first.seconds]),
        "tokens": middle([call.tokens for call in called]),
        "call_seconds": middle([call.seconds for call in called]),
        "text_seconds": middle([text.seconds for text in plain]),
        "call_tokens_a_second": _together(called),
        "text_tokens_a_second": _together(plain),
        "added_seconds": middle(
            [call.seconds - text.seconds for call, text in zip(called, plain, strict=True)]
        ),
        "at_once": [await _calls_at_once(bench, batch) for batch in bench.batches if batch > 1],
    }


def _together(replies: Sequence[Reply]) -> float:
    seconds = sum(reply.seconds for reply in replies)
    return middle([sum(reply.tokens for reply in replies) / seconds])


async def _calls_at_once(bench: Bench, count: int) -> dict[str, Any]:
    """Forced calls a second where so many run at once, and texts of as many tokens."""
    tools = offered("timed_")

    async def together(*, called: bool, tokens: Sequence[int]) -> tuple[list[Reply], float]:
        begun = time.perf_counter()
        replies = await asyncio.gather(
            *(
                replied(
                    bench.model,
                    tools,
                    called=called,
                    sampling=Sampling(max_tokens=most, seed=seed),
                )
                for seed, most in enumerate(tokens)
            )
        )
        return replies, time.perf_counter() - begun

    made, call_seconds = await together(called=True, tokens=[LONGEST_CALL] * count)
    _, text_seconds = await together(called=False, tokens=[call.tokens for call in made])
    return {
        "batch": count,
        "calls_a_second": middle([count / call_seconds]),
        "texts_a_second": middle([count / text_seconds]),
    }
