"""What every engine promises, the same for each: llama.cpp, and LMDeploy with and without a GPU.

llama.cpp runs with SmolLM2; LMDeploy's Python half runs over a native half of the tests' own, in an
environment of its own (`make test-lmdeploy`). None is judged by what it writes, only by what it
promises whatever it writes.
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

import pytest
from generations import GREEDY, SCHEMA, STORY, pieces_of, smollm2, text_of
from jsonschema import Draft202012Validator

from function_calling.engines import Engine, grammar
from function_calling.engines.slots import RETRY_SECONDS
from function_calling.errors import EngineError, RequestError
from function_calling.model.words import Alternative, JsonSlot, Sampling

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

SLOTS, QUEUE, CONTEXT = 2, 1, 512
EMPTY = {"type": "object", "properties": {}, "additionalProperties": False}
CLOSE = "}\n</tool_call>"
VALID = Draft202012Validator(SCHEMA).is_valid


def llamacpp(_folder: Path) -> Engine:
    """llama.cpp with SmolLM2."""
    from function_calling.engines.llamacpp import LlamaCpp

    sizes = {"context_length": CONTEXT, "parallel_slots": SLOTS, "queue_length": QUEUE}
    return LlamaCpp(smollm2(), **sizes, threads=1)


def lmdeploy(folder: Path) -> Engine:
    """LMDeploy over the tests' native half."""
    from lmdeploy_engine import lmdeploy_engine

    return lmdeploy_engine(folder, context_length=CONTEXT, batch_size=SLOTS, queue_length=QUEUE)


def gpu(_folder: Path) -> Engine:
    """LMDeploy as it is, on a GPU."""
    from gpu_engine import gpu_engine

    return gpu_engine(gpu_context_length=CONTEXT, gpu_batch_size=SLOTS, queue_length=QUEUE).engine


ENGINES = [
    pytest.param(llamacpp, marks=pytest.mark.model),
    pytest.param(lmdeploy, marks=pytest.mark.lmdeploy),
    pytest.param(gpu, marks=[pytest.mark.gpu, pytest.mark.timeout(1800)]),
]


@pytest.fixture(scope="module", params=ENGINES, ids=lambda make: make.__name__)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Each engine, with its model in it."""
    grammar.LONGEST_CHECK = 60  # whoever runs the tests may have better to do
    made: Engine = request.param(tmp_path_factory.mktemp("model"))
    yield made
    made.close()


async def until(told: Callable[[], Awaitable[int]], count: int) -> None:
    """Wait until so many are told; fails if that takes too long."""
    for _ in range(1000):
        if await told() == count:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"not {count} but {await told()} generations")


@asynccontextmanager
async def begun(engine: Engine) -> AsyncIterator[None]:
    """As many generations as may run, each with its first piece told; they end together."""
    async with AsyncExitStack() as running:
        for _ in range(SLOTS):
            generation = engine.generate(STORY, Sampling())
            await running.enter_async_context(aclosing(generation))
            await anext(generation)
        yield


# Text and counts


async def test_counts_are_totals(engine: Engine) -> None:
    """The prompt's is the same in each piece, also a second time; the reply's only grows."""
    seen = set()
    for _ in range(2):
        pieces = await pieces_of(engine, GREEDY.but(max_tokens=12))
        counts = [piece.completion_tokens for piece in pieces]
        assert counts == sorted(counts)
        seen |= {piece.prompt_tokens for piece in pieces}
    (prompt_tokens,) = seen
    assert 5 < prompt_tokens < CONTEXT
    assert await engine.count(STORY) == prompt_tokens


async def test_a_seed_makes_a_text_come_again(engine: Engine) -> None:
    """Any whole number is one; without it twelve tokens are hardly ever the same."""
    for seed in (-1, 2**32 - 1, 2**70):  # two of them mean "random" to llama.cpp
        sampling = Sampling(max_tokens=12, seed=seed)
        assert await text_of(engine, sampling) == await text_of(engine, sampling)
    texts = {await text_of(engine, Sampling(max_tokens=12, temperature=1.5)) for _ in range(3)}
    assert len(texts) > 1


async def test_stop_strings_of_any_length_end_the_text_before_them(engine: Engine) -> None:
    """No piece holds even their beginning; they may be longer than any token."""
    whole = await text_of(engine, GREEDY.but(max_tokens=24))
    for length in (1, 2, 7, len(whole) - 8):
        stop = whole[6 : 6 + length]
        sampling = GREEDY.but(max_tokens=24, stop=("not in the text", stop))
        pieces = await pieces_of(engine, sampling)
        assert "".join(piece.text for piece in pieces) == whole[: whole.index(stop)]
        assert (pieces[-1].finish_reason, pieces[-1].stop) == ("stop", stop)
    only_looks_like_one = GREEDY.but(max_tokens=24, stop=(whole[3:8] + "\x00",))
    assert await text_of(engine, only_looks_like_one) == whole
    await until(engine.busy, 0)


# Probabilities


async def test_tokens_are_told_with_their_probabilities(engine: Engine) -> None:
    """They make up the text, and each has as many beside it as were asked for; unasked, none."""
    sampling = Sampling(max_tokens=12, seed=1, logprobs=3)
    pieces = await pieces_of(engine, sampling)
    tokens = [token for piece in pieces for token in piece.logprobs]
    assert "".join(token.token for token in tokens) == "".join(piece.text for piece in pieces)
    for token in tokens:
        likeliest = [each.logprob for each in token.top]
        assert len(likeliest) == 3
        assert likeliest == sorted(likeliest, reverse=True)
        assert -9999 <= token.logprob <= likeliest[0] <= 0
        assert sum(map(math.exp, likeliest)) <= 1.001
    alone = await pieces_of(engine, Sampling(max_tokens=3, logprobs=0))
    assert {token.top for piece in alone for token in piece.logprobs} == {()}
    unasked = await pieces_of(engine, Sampling(max_tokens=3))
    assert {piece.logprobs for piece in unasked} == {()}


# Constraints


def obeys(text: str, constraint: tuple[Alternative, ...]) -> bool:
    """Whether the text is `NAME", "arguments": ARGS` of one of the two tools, whole."""
    for name, *_ in constraint:
        if text.startswith(str(name)) and text.endswith(CLOSE):
            value = json.loads(text.removeprefix(str(name)).removesuffix(CLOSE))
            return value == {} if "today" in str(name) else VALID(value)
    return False


async def test_a_constraint_holds_whatever_the_model_writes(engine: Engine) -> None:
    """A name's choice, its schema and the literal behind it, at a temperature for nonsense."""
    constraint: tuple[Alternative, ...] = (
        ('convert", "arguments":', JsonSlot(SCHEMA), CLOSE),
        ('today", "arguments":', JsonSlot(EMPTY), CLOSE),
    )
    for seed in range(12):
        sampling = Sampling(temperature=1.5, seed=seed, constraint=constraint)
        pieces = await pieces_of(engine, sampling)
        text = "".join(piece.text for piece in pieces)
        assert pieces[-1].finish_reason == "length" or obeys(text, constraint), text
    await until(engine.busy, 0)


async def test_a_constraint_cut_by_the_limit_is_length(engine: Engine) -> None:
    """So that nobody takes the half for a whole."""
    sampling = GREEDY.but(max_tokens=2, constraint=(("a text of many tokens, all literal",),))
    last = (await pieces_of(engine, sampling))[-1]
    assert (last.finish_reason, last.completion_tokens) == ("length", 2)


async def test_free_text_follows_a_constraint(engine: Engine) -> None:
    """What one request is held to is no other's; a greedy text comes again."""
    free = await text_of(engine, GREEDY.but(max_tokens=8))
    assert await text_of(engine, GREEDY.but(constraint=(("yes",),))) == "yes"
    assert await text_of(engine, GREEDY.but(max_tokens=8)) == free


async def test_a_constraint_that_cannot_be_is_refused_and_leaves_nothing(engine: Engine) -> None:
    """Without the check an engine might go on without any."""
    for schema in ({"type": "money"}, {"enum": []}, {"type": "string", "pattern": "(a"}):
        sampling = GREEDY.but(max_tokens=8, constraint=((JsonSlot(schema), "}"),))
        with pytest.raises(RequestError, match="can't be enforced") as caught:
            await pieces_of(engine, sampling)
        assert caught.value.code == "invalid_function_parameters"
    assert await engine.busy() == 0
    async with begun(engine):
        assert await engine.busy() == SLOTS


# Slots


async def test_cancelling_a_generation_frees_its_slot(engine: Engine) -> None:
    """The task that asked for it ends as cancelled."""
    tasks = [asyncio.create_task(pieces_of(engine, Sampling())) for _ in range(SLOTS)]
    await until(engine.busy, SLOTS)
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in ended] == [asyncio.CancelledError] * SLOTS
    await until(engine.busy, 0)


async def test_more_than_run_and_wait_are_turned_away(engine: Engine) -> None:
    """And told when to come again; a reply that has begun goes on, and who waits is served."""
    short, told = GREEDY.but(max_tokens=2), "The model is busy: 2 requests run and 1 wait"
    async with begun(engine):
        waiting = asyncio.create_task(pieces_of(engine, short))
        await until(engine.waiting, 1)
        with pytest.raises(EngineError, match=told) as caught:
            await pieces_of(engine, short)
        assert (caught.value.status, caught.value.code) == (503, "engine_overloaded")
        assert caught.value.headers == {"retry-after": str(RETRY_SECONDS)}
        later = asyncio.create_task(pieces_of(engine, short.but(begun=True)))
        await until(engine.waiting, 2)
    for task in (waiting, later):
        assert (await task)[-1].completion_tokens == 2
    await until(engine.busy, 0)


async def test_a_prompt_too_long_is_the_callers_error(engine: Engine) -> None:
    """It is told both numbers, in OpenAI's code."""
    told = rf"The prompt has \d+ tokens; this model's context holds {CONTEXT} tokens of prompt and"
    with pytest.raises(RequestError, match=told) as caught:
        await pieces_of(engine, GREEDY, "word " * CONTEXT)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")
    assert await engine.busy() == 0


async def test_a_reply_ends_where_it_may_be_no_longer(engine: Engine) -> None:
    """At the tokens asked for, or at the end of the context, which is no error."""
    for most in (1, 17):
        last = (await pieces_of(engine, GREEDY.but(max_tokens=most)))[-1]
        assert (last.completion_tokens, last.finish_reason) == (most, "length")
    last = (await pieces_of(engine, GREEDY.but(max_tokens=10**25), "word " * 80))[-1]
    assert last.finish_reason in ("stop", "length")
    assert last.prompt_tokens + last.completion_tokens <= CONTEXT + 1
