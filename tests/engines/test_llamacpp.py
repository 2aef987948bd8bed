"""The embedded engine with a real, small model: what it promises holds whatever the model does.

SmolLM2 chooses arguments badly, so nothing here judges its skill.
"""

import asyncio
import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from jsonschema import Draft202012Validator

from function_calling.api.reply import ChatResponse
from function_calling.api.stream import side_by_side
from function_calling.engines import LoadedModel
from function_calling.engines.grammar_guard import GrammarGuard
from function_calling.engines.llamacpp import LlamaCpp, load
from function_calling.errors import EngineError, RequestError, WeightsError
from function_calling.formats import HERMES, LLAMA3, Format
from function_calling.model.chat_model import ChatModel
from function_calling.model.schema import enforceable_value
from function_calling.model.words import (
    Event,
    Finished,
    JsonSlot,
    Message,
    Piece,
    Sampling,
    TextDelta,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
)
from function_calling.settings import Settings
from function_calling.weights.catalogue import SMOLLM2, fetch

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

SLOTS = 4
CONVERT = Tool(
    "convert_currency",
    "Convert an amount of money.",
    {
        "type": "object",
        "properties": {
            "amount": {"type": "number", "exclusiveMinimum": 0},
            "to": {
                "type": "array",
                "items": {"$ref": "#/$defs/Code"},
                "minItems": 1,
                "maxItems": 3,
            },
            "note": {"anyOf": [{"type": "string", "maxLength": 20}, {"type": "null"}]},
        },
        "required": ["amount", "to"],
        "additionalProperties": False,
        "$defs": {"Code": {"type": "string", "pattern": "^[A-Z]{3}$"}},
    },
)
REMIND = Tool(
    "remind",
    "Remind the user of something.",
    {
        "type": "object",
        "properties": {
            "day": {"type": "string", "format": "date"},
            "hour": {"type": "integer", "minimum": 0, "maximum": 23},
            "how": {"enum": ["mail", "call", None]},
        },
        "required": ["day", "how"],
    },
)
TOOLS = (CONVERT, REMIND)
NAMES = tuple(tool.name for tool in TOOLS)
VALID = {tool.name: Draft202012Validator(tool.parameters).is_valid for tool in TOOLS}
USER: list[Message] = [{"role": "user", "content": "What is 42 US dollars in euros?"}]
STORY = "<|im_start|>user\nTell me a long story.<|im_end|>\n<|im_start|>assistant\n"
GREEDY = Sampling(temperature=0.0)


@pytest.fixture(scope="module")
def path() -> Path:
    """The model's file, fetched at most once on a machine."""
    folder = Settings.from_env(os.environ).models_dir
    return fetch(SMOLLM2, Path(folder) if folder else None)


@pytest.fixture(scope="module")
def engine(path: Path) -> Iterator[LlamaCpp]:
    """The engine with the model in it."""
    # One thread: several wait for each other at every step, without end on a busy machine.
    sizes = {"context_length": 2048, "parallel_slots": SLOTS, "queue_length": 100}
    loaded = LlamaCpp(path, **sizes, threads=1)
    yield loaded
    loaded.close()


def chat_model(engine: LlamaCpp, form: Format = HERMES) -> ChatModel:
    """A chat model on the engine that is loaded already."""
    from_file = engine.properties
    loaded = LoadedModel(
        name="smollm2",
        engine=engine,
        chat_template=from_file["chat_template"],
        bos_token=from_file["bos_token"],
        eos_token=from_file["eos_token"],
        context_length=2048,
    )
    return ChatModel(loaded, form)


async def pieces_of(engine: LlamaCpp, prompt: str, sampling: Sampling) -> list[Piece]:
    """All pieces of one generation, of which the last alone ends it."""
    pieces = [piece async for piece in engine.generate(prompt, sampling)]
    assert [piece.finish_reason is not None for piece in pieces].index(True) == len(pieces) - 1
    return pieces


async def text_of(engine: LlamaCpp, prompt: str, sampling: Sampling) -> str:
    """The text of one generation."""
    return "".join(piece.text for piece in await pieces_of(engine, prompt, sampling))


async def events_of(
    model: ChatModel, choice: ToolChoice, sampling: Sampling, messages: list[Message] = USER
) -> list[Event]:
    """All events of one reply."""
    return [event async for event in model.reply(messages, TOOLS, choice, sampling)]


def calls_of(events: list[Event]) -> list[ToolCall]:
    """The calls among the events."""
    return [event for event in events if isinstance(event, ToolCall)]


async def slots_busy(engine: LlamaCpp) -> int:
    """How many generations llama.cpp itself says that it runs."""
    async with engine._response("GET", "/slots") as response:
        slots = json.loads(await response.aread())
    return sum(slot["is_processing"] for slot in slots)


async def idle(engine: LlamaCpp, seconds: float) -> None:
    """Wait until nothing is generated; fails if that takes too long."""
    async with asyncio.timeout(seconds):
        while await slots_busy(engine):
            pass


# Text


async def test_tokens_are_counted_as_the_model_counts_them(engine: LlamaCpp) -> None:
    """The special texts are one token each; a second time, from the cache, they count the same."""
    prompt = "<|im_start|>user\nHello, world! 你好<|im_end|>\n"
    for _ in range(2):
        pieces = await pieces_of(engine, prompt, GREEDY.but(max_tokens=3))
        assert pieces[-1].prompt_tokens == 14
        assert pieces[-1].completion_tokens == 3


@pytest.mark.parametrize("most", [1, 2, 5, 17])
async def test_no_more_tokens_are_generated_than_may_be(engine: LlamaCpp, most: int) -> None:
    """And no fewer, where the model would go on."""
    last = (await pieces_of(engine, STORY, GREEDY.but(max_tokens=most)))[-1]
    assert (last.completion_tokens, last.finish_reason) == (most, "length")


@pytest.mark.parametrize("most", [2**31, 2**32 + 1, 10**25])
async def test_a_limit_beyond_all_numbers_is_no_limit(engine: LlamaCpp, most: int) -> None:
    """The engine counts in 32 bits, of which a caller knows nothing."""
    whole = await text_of(engine, STORY, GREEDY.but(max_tokens=8))
    stopped = GREEDY.but(max_tokens=most, stop=(whole[10:],))
    last = (await pieces_of(engine, STORY, stopped))[-1]
    assert last.finish_reason == "stop"
    assert last.completion_tokens > 1


async def test_stop_strings_of_any_length_end_the_text_before_them(engine: LlamaCpp) -> None:
    """No piece holds even their beginning."""
    whole = await text_of(engine, STORY, GREEDY.but(max_tokens=24))
    for length in (1, 2, 3, 7, 15, 30, 60):
        stop = whole[20 : 20 + length]
        sampling = GREEDY.but(max_tokens=24, stop=("not in the text", stop))
        pieces = await pieces_of(engine, STORY, sampling)
        assert "".join(piece.text for piece in pieces) == whole[: whole.index(stop)]
        assert pieces[-1].finish_reason == "stop"


@pytest.mark.parametrize("seed", [0, 7, -1, 2**32 - 1, 2**70])
async def test_a_seed_makes_a_text_come_again(engine: LlamaCpp, seed: int) -> None:
    """Any whole number is a seed, also those that mean "random" to the engine."""
    sampling = Sampling(max_tokens=12, temperature=1.0, seed=seed)
    first = await text_of(engine, STORY, sampling)
    assert await text_of(engine, STORY, sampling) == first


async def test_without_a_seed_texts_differ(engine: LlamaCpp) -> None:
    """Of twelve tokens at temperature 1 two are hardly ever the same."""
    sampling = Sampling(max_tokens=12, temperature=1.5)
    texts = [await text_of(engine, STORY, sampling) for _ in range(3)]
    assert len(set(texts)) > 1


# Probabilities


async def test_tokens_are_told_with_their_probabilities(engine: LlamaCpp) -> None:
    """At temperature 0 each is the likeliest; they make up the text, one for each counted."""
    pieces = await pieces_of(engine, STORY, GREEDY.but(max_tokens=12, logprobs=3))
    tokens = [token for piece in pieces for token in piece.logprobs]
    assert "".join(token.token for token in tokens) == "".join(piece.text for piece in pieces)
    assert len(tokens) == pieces[-1].completion_tokens == 12
    for token in tokens:
        assert -9999 <= token.logprob <= 0
        logprobs = [each.logprob for each in token.top]
        assert logprobs == sorted(logprobs, reverse=True)
        assert len(logprobs) == 3
        assert token.top[0] == TokenLogprob(token.token, token.logprob)
        assert sum(map(math.exp, logprobs)) <= 1.001


async def test_a_token_alone_is_told_without_others(engine: LlamaCpp) -> None:
    """Or none at all, as was asked for."""
    alone = await pieces_of(engine, STORY, GREEDY.but(max_tokens=3, logprobs=0))
    assert [token.top for piece in alone for token in piece.logprobs] == [()] * 3
    unasked = await pieces_of(engine, STORY, GREEDY.but(max_tokens=3))
    assert all(piece.logprobs == () for piece in unasked)


async def test_the_tokens_of_a_stop_string_are_not_told(engine: LlamaCpp) -> None:
    """Those of the text before it are, also what was held back because it looked like one."""
    whole = await text_of(engine, STORY, GREEDY.but(max_tokens=24))
    for stop in (whole[30:45], whole[31:33], whole[20:24] + "\x00", whole[40:] + "never"):
        sampling = GREEDY.but(max_tokens=24, stop=(stop,), logprobs=1)
        pieces = await pieces_of(engine, STORY, sampling)
        text = "".join(piece.text for piece in pieces)
        told = "".join(token.token for piece in pieces for token in piece.logprobs)
        assert told.startswith(text)
        assert len(told) - len(text) < 15, "no more than the end of a token"


async def test_characters_of_several_tokens_are_told_whole(engine: LlamaCpp) -> None:
    """However many tokens one needs, the texts join to the content."""
    text = "a𒀀b𒀀"
    sampling = GREEDY.but(max_tokens=40, constraint=((text,),), logprobs=2)
    pieces = await pieces_of(engine, STORY, sampling)
    assert "".join(piece.text for piece in pieces) == text
    told = [token.token for piece in pieces for token in piece.logprobs]
    assert "".join(told) == text
    assert pieces[-1].completion_tokens > len(told)


async def test_a_bias_forces_a_token_or_bans_it(engine: LlamaCpp) -> None:
    """A bias of 100 outweighs whatever the model would say."""

    async def first_token(*biases: tuple[int, float]) -> str:
        return await text_of(engine, STORY, GREEDY.but(max_tokens=1, logit_bias=biases))

    one, other = await first_token((1000, 100.0)), await first_token((1001, 100.0))
    assert len({one, other, await first_token()}) == 3
    assert await first_token((1000, 100.0), (1001, 50.0)) == one
    assert await first_token((1000, -100.0), (1001, 50.0)) == other


async def test_more_requests_than_slots_are_all_served(engine: LlamaCpp) -> None:
    """The others wait their turn, and nobody's text gets into another's."""
    prompts = [f"<|im_start|>user\nSay {n}.<|im_end|>\n<|im_start|>assistant\n" for n in range(8)]
    sampling = GREEDY.but(max_tokens=12)
    together = await asyncio.gather(*(pieces_of(engine, prompt, sampling) for prompt in prompts))
    assert all(1 <= pieces[-1].completion_tokens <= 12 for pieces in together)
    assert all("".join(piece.text for piece in pieces).strip() for pieces in together)
    assert await slots_busy(engine) == 0


async def test_closing_a_generation_frees_its_slot_within_a_second(engine: LlamaCpp) -> None:
    """All slots at once, in mid text."""
    running = [engine.generate(STORY, Sampling()) for _ in range(SLOTS)]
    for generation in running:
        await anext(generation)
    assert await slots_busy(engine) == SLOTS
    for generation in running:
        await generation.aclose()
    await idle(engine, 1)


async def test_a_cancelled_request_that_waits_takes_no_slot(engine: LlamaCpp) -> None:
    """It never began, and the ones behind it are served."""
    running = [engine.generate(STORY, Sampling()) for _ in range(SLOTS)]
    for generation in running:
        await anext(generation)
    waiting = asyncio.create_task(pieces_of(engine, STORY, GREEDY.but(max_tokens=2)))
    behind = asyncio.create_task(pieces_of(engine, STORY, GREEDY.but(max_tokens=2)))
    assert await slots_busy(engine) == SLOTS
    waiting.cancel()
    for generation in running:
        await generation.aclose()
    assert (await behind)[-1].completion_tokens == 2
    assert waiting.cancelled()
    await idle(engine, 1)


async def test_a_prompt_too_long_is_the_callers_error(engine: LlamaCpp) -> None:
    """It is told both numbers, in OpenAI's code."""
    with pytest.raises(RequestError, match=r"The prompt has 3001 tokens; .* 2048 tokens") as caught:
        await pieces_of(engine, "word " * 3000, GREEDY)
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "messages"
    assert await slots_busy(engine) == 0


async def test_a_grammar_that_does_not_compile_is_refused(engine: LlamaCpp) -> None:
    """Without the check the engine would go on without any constraint."""
    sampling = GREEDY.but(max_tokens=8, constraint=((JsonSlot({"type": "money"}), "}"),))
    with pytest.raises(RequestError, match="can't be enforced") as caught:
        await anext(engine.generate(STORY, sampling))
    assert caught.value.code == "invalid_function_parameters"


# Calls


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "number", "maximum": -1},
        {"type": "number", "minimum": -0.827, "maximum": -0.824},
        {"type": "integer", "minimum": -50, "maximum": -10, "multipleOf": 5},
        {"type": "array", "items": {"type": "number", "maximum": -0.5}, "maxItems": 3},
    ],
    ids=str,
)
async def test_numbers_below_zero_are_written(engine: LlamaCpp, schema: dict[str, Any]) -> None:
    """The grammar's compiler in llama.cpp goes on without a grammar where it is stuck."""
    enforced, _ = enforceable_value(schema, longest_string=20)
    for seed in range(5):
        sampling = Sampling(
            max_tokens=80, temperature=1.5, seed=seed, constraint=[(JsonSlot(enforced), ";")]
        )
        written = await text_of(engine, "Numbers: ", sampling)
        assert written.endswith(";")
        Draft202012Validator(schema).validate(json.loads(written.removesuffix(";")))


def valid(call: ToolCall) -> bool:
    """Whether a client could carry it out: the tool's own schema is the judge."""
    return call.name in NAMES and VALID[call.name](json.loads(call.arguments))


@pytest.mark.parametrize(("form", "times"), [(HERMES, 25), (LLAMA3, 5)], ids=["hermes", "llama3"])
async def test_every_forced_call_is_valid(engine: LlamaCpp, form: Format, times: int) -> None:
    """A hundred of a hundred, so hot that the model writes nonsense wherever it may."""
    model = chat_model(engine, form)
    choices = [
        ToolChoice("required", names, parallel=False)
        for names in (NAMES, NAMES, NAMES[:1], NAMES[1:]) * times
    ]
    replies = await asyncio.gather(
        *(
            events_of(model, choice, Sampling(temperature=1.5, seed=seed))
            for seed, choice in enumerate(choices)
        )
    )
    for choice, events in zip(choices, replies, strict=True):
        (call,) = calls_of(events)
        assert call.name in choice.names
        assert valid(call), call
        end = events[-1]
        assert isinstance(end, Finished)
        assert end.reason == "tool_calls"
    assert len({call.arguments for events in replies for call in calls_of(events)}) > 2 * times


async def test_a_call_that_the_model_begins_itself_is_valid_too(engine: LlamaCpp) -> None:
    """Its history shows calls, so it makes more of them, well or badly."""
    arguments = ('{"amount": 5, "to": ["EUR"]}', '{"amount": 7, "to": ["JPY"]}')
    history: list[Message] = []
    for number, each in enumerate(arguments):
        call = {"id": str(number), "function": {"name": "convert_currency", "arguments": each}}
        history += [
            *USER,
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": str(number), "content": "131.95"},
            {"role": "assistant", "content": "131.95"},
        ]
    model = chat_model(engine)
    sampling = Sampling(temperature=1.0, max_tokens=150)
    replies = await asyncio.gather(
        *(
            events_of(model, ToolChoice("auto", NAMES), sampling.but(seed=seed), [*history, *USER])
            for seed in range(24)
        )
    )
    calls = [call for events in replies for call in calls_of(events)]
    assert calls, "the model began no call at all, so nothing was tried"
    assert [call for call in calls if not valid(call)] == []


async def test_what_is_written_without_its_grammar_is_no_call(
    engine: LlamaCpp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As llama.cpp does where its sampler fails in the middle of one."""
    monkeypatch.setattr(GrammarGuard, "request", lambda _: {})
    choice = ToolChoice("required", NAMES, parallel=False)
    with pytest.raises(EngineError, match="The engine broke its constraint"):
        await events_of(chat_model(engine), choice, Sampling(temperature=1.5, seed=1))


async def test_a_call_cut_by_the_limit_is_no_call(engine: LlamaCpp) -> None:
    """Whatever the limit, the reply has a valid call or none and the reason "length"."""
    model = chat_model(engine)
    choice = ToolChoice("required", NAMES, parallel=False)
    reasons = []
    for most in (1, 4, 8, 16, 100):
        events = await events_of(model, choice, GREEDY.but(max_tokens=most))
        end = events[-1]
        assert isinstance(end, Finished)
        assert len(calls_of(events)) == (end.reason == "tool_calls")
        assert all(valid(call) for call in calls_of(events))
        assert end.usage.completion_tokens <= most
        reasons.append(end.reason)
    assert (reasons[0], reasons[-1]) == ("length", "tool_calls")


@pytest.mark.parametrize(
    "choice",
    [ToolChoice(), ToolChoice("required", NAMES), ToolChoice("auto", NAMES)],
    ids=["none", "required", "auto"],
)
async def test_a_stream_joined_is_the_whole_reply(engine: LlamaCpp, choice: ToolChoice) -> None:
    """Text and calls, at temperature 0."""
    model = chat_model(engine)
    sampling = GREEDY.but(max_tokens=60)
    # A first reply fills the cache, so that the next two are computed alike.
    await events_of(model, choice, sampling)
    events = await events_of(model, choice, sampling)
    reply = model.reply(USER, TOOLS, choice, sampling)
    whole = (await ChatResponse("x").whole(side_by_side([reply]))).choices[0]
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert (whole.message.content or "") == text
    assert [
        (call.function.name, call.function.arguments)  # type: ignore[union-attr]
        for call in whole.message.tool_calls or ()
    ] == [(call.name, call.arguments) for call in calls_of(events)]
    assert text or calls_of(events)


async def test_usage_counts_the_prompt_once(engine: LlamaCpp) -> None:
    """A forced call's prompt is the plain prompt and the few tokens of the call's beginning."""
    model = chat_model(engine)
    plain = (await events_of(model, ToolChoice(), GREEDY.but(max_tokens=1)))[-1]
    named = ToolChoice("required", NAMES[:1], parallel=False)
    forced = (await events_of(model, named, GREEDY.but(max_tokens=100)))[-1]
    assert isinstance(plain, Finished)
    assert isinstance(forced, Finished)
    assert plain.usage == Usage(plain.usage.prompt_tokens, 1)
    assert 5 <= forced.usage.prompt_tokens - plain.usage.prompt_tokens <= 25


# The process


def listening() -> set[str]:
    """The TCP addresses at which this process listens."""
    own = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            own.add(os.readlink(descriptor))
        except FileNotFoundError:  # the folder's own descriptor, closed by now
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                found.add(fields[1])
    return found


def sockets() -> list[Path]:
    """The Unix sockets of engines on this machine."""
    lines = Path("/proc/self/net/unix").read_text().splitlines()
    paths = {line.split()[-1] for line in lines if line.endswith("/http.sock")}
    return [Path(path) for path in sorted(paths) if "/llamacpp-" in path]


async def test_loading_opens_no_tcp_port_and_closing_leaves_nothing(path: Path) -> None:
    """The engine listens where this user alone can come, and goes with its folder and threads."""
    ports, before, threads = listening(), set(sockets()), len(os.listdir("/proc/self/task"))
    settings = Settings(model_path=str(path), context_length=256, parallel_slots=1, threads=1)
    loaded = load(settings)
    try:
        await pieces_of(loaded.engine, STORY, GREEDY.but(max_tokens=2))  # type: ignore[arg-type]
        assert listening() == ports
        (socket,) = set(sockets()) - before
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        transport = httpx2.AsyncHTTPTransport(uds=str(socket))
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as stranger:
            assert (await stranger.get("/slots")).status_code == 401
            assert (await stranger.post("/completion", json={"prompt": "x"})).status_code == 401
    finally:
        loaded.engine.close()
    assert not socket.parent.exists()
    assert set(sockets()) <= before
    assert len(os.listdir("/proc/self/task")) <= threads + 1


async def test_loading_takes_what_the_file_says(path: Path) -> None:
    """Name, template and special tokens come with the model."""
    loaded = load(Settings(model_path=str(path), context_length=256, parallel_slots=1, threads=1))
    try:
        assert loaded.name == "SmolLM2-135M-Instruct.Q4_1"
        assert "<|im_start|>" in loaded.chat_template
        assert (loaded.bos_token, loaded.eos_token) == ("<|im_start|>", "<|im_end|>")
        assert loaded.context_length == 256
    finally:
        loaded.engine.close()


async def test_a_file_that_is_no_model_is_told_by_its_name(tmp_path: Path) -> None:
    """The operator reads which file can't be loaded."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(WeightsError, match=r"broken\.gguf"):
        LlamaCpp(broken, context_length=256, parallel_slots=1, threads=1)


async def test_earlier_prompts_take_no_more_memory_than_they_may(path: Path) -> None:
    """llama.cpp's own bound is 8 GiB, more than many machines have."""
    sizes = {"context_length": 512, "parallel_slots": 1, "threads": 1}
    loaded, taken = LlamaCpp(path, **sizes, prompt_cache=8), []
    try:
        for each in range(8):
            await pieces_of(loaded, f"word{each} " * 120, GREEDY.but(max_tokens=1))
            taken.append(psutil.Process().memory_info().rss)
    finally:
        loaded.close()
    assert taken[-1] - taken[0] < 24 * 2**20
