"""The embedded engine with a real, small model: what it promises holds whatever the model does.

SmolLM2 chooses arguments badly, so nothing here judges its skill.
"""

import asyncio
import json
import platform
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from generations import GREEDY, SCHEMA, STORY, pieces_of, smollm2, text_of
from jsonschema import Draft202012Validator

from function_calling.engines import LoadedModel
from function_calling.engines.grammar_guard import GrammarGuard
from function_calling.engines.llamacpp import LlamaCpp, load
from function_calling.engines.quoting import quoter
from function_calling.errors import EngineError, WeightsError
from function_calling.formats import HERMES
from function_calling.model.chat_model import ChatModel
from function_calling.model.schema import enforceable_value
from function_calling.model.words import JsonSlot, Sampling, Tool, ToolChoice
from function_calling.settings import Settings

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

SLOTS = 4
SMALL: dict[str, Any] = {"context_length": 512, "parallel_slots": 1, "threads": 1}


@pytest.fixture(scope="module")
def loaded() -> Iterator[LoadedModel]:
    """The model in the engine."""
    # One thread: several wait for each other at every step, without end on a busy machine.
    sizes = {"context_length": 2048, "parallel_slots": SLOTS, "queue_length": 100, "threads": 1}
    made = load(Settings(model_path=str(smollm2()), **sizes))
    yield made
    made.engine.close()


@pytest.fixture(scope="module")
def engine(loaded: LoadedModel) -> LlamaCpp:
    """The engine with the model in it."""
    assert isinstance(loaded.engine, LlamaCpp)
    return loaded.engine


async def slots_busy(engine: LlamaCpp) -> int:
    """How many generations llama.cpp itself says that it runs."""
    async with engine._response("GET", "/slots") as response:
        slots = json.loads(await response.aread())
    return sum(slot["is_processing"] for slot in slots)


async def test_loading_takes_what_the_file_says(loaded: LoadedModel, tmp_path: Path) -> None:
    """Name, template and special tokens come with the model; what is none is told by its name."""
    assert loaded.name == "SmolLM2-135M-Instruct.Q4_1"
    assert "<|im_start|>" in loaded.chat_template
    assert (loaded.bos_token, loaded.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert loaded.context_length == 2048
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(WeightsError, match=r"broken\.gguf"):
        LlamaCpp(broken, **SMALL)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
async def test_what_a_thread_frees_serves_the_others(engine: LlamaCpp) -> None:
    """Whichever of llama.cpp's twelve threads answers: each would keep 4 MB of its own."""
    held = []
    for times in (2, 40):
        for _ in range(times):
            await engine.count("dollar " * 20_000)
        memory = psutil.Process().memory_info()
        held.append(memory.rss - memory.shared)
    assert held[1] - held[0] < 12_000_000


# Probabilities


async def test_the_tokens_of_a_stop_string_are_not_told(engine: LlamaCpp) -> None:
    """Those of the text before it are, also what was held back because it looked like one."""
    whole = await text_of(engine, GREEDY.but(max_tokens=24))
    for stop in (whole[30:45], whole[31:33], whole[20:24] + "\x00", whole[40:] + "never"):
        sampling = GREEDY.but(max_tokens=24, stop=(stop,), logprobs=1)
        pieces = await pieces_of(engine, sampling)
        text = "".join(piece.text for piece in pieces)
        told = "".join(token.token for piece in pieces for token in piece.logprobs)
        assert told.startswith(text)
        assert len(told) - len(text) < 15, "no more than the end of a token"


async def test_characters_of_several_tokens_are_told_whole(engine: LlamaCpp) -> None:
    """However many tokens one needs, the texts join to the content."""
    text = "a𒀀b𒀀"
    sampling = GREEDY.but(max_tokens=40, constraint=((text,),), logprobs=2)
    pieces = await pieces_of(engine, sampling)
    told = [token.token for piece in pieces for token in piece.logprobs]
    assert "".join(told) == text
    assert pieces[-1].completion_tokens > len(told)


async def test_a_bias_forces_a_token_or_bans_it(engine: LlamaCpp) -> None:
    """A bias of 100 outweighs whatever the model would say."""

    async def first_token(*biases: tuple[int, float]) -> str:
        return await text_of(engine, GREEDY.but(max_tokens=1, logit_bias=biases))

    one, other = await first_token((1000, 100.0)), await first_token((1001, 100.0))
    assert len({one, other, await first_token()}) == 3
    assert await first_token((1000, 100.0), (1001, 50.0)) == one
    assert await first_token((1000, -100.0), (1001, 50.0)) == other


async def test_closing_a_generation_frees_its_slot_within_a_second(engine: LlamaCpp) -> None:
    """All slots at once, in mid text."""
    running = [engine.generate(STORY, Sampling()) for _ in range(SLOTS)]
    for generation in running:
        await anext(generation)
    assert await slots_busy(engine) == SLOTS
    for generation in running:
        await generation.aclose()
    async with asyncio.timeout(1):
        while await slots_busy(engine):
            pass


# Calls


async def test_numbers_below_zero_are_written(engine: LlamaCpp) -> None:
    """The grammar's compiler in llama.cpp goes on without a grammar where it is stuck."""
    for schema in (
        {"type": "number", "minimum": -0.827, "maximum": -0.824},
        {"type": "integer", "minimum": -50, "maximum": -10, "multipleOf": 5},
    ):
        enforced, _ = enforceable_value(schema, longest_string=20)
        sampling = Sampling(
            max_tokens=80, temperature=1.5, seed=1, constraint=[(JsonSlot(enforced), ";")]
        )
        written = await text_of(engine, sampling, "Numbers: ")
        assert written.endswith(";")
        Draft202012Validator(schema).validate(json.loads(written.removesuffix(";")))


async def test_what_is_written_without_its_grammar_is_no_call(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As llama.cpp does where its sampler fails in the middle of one."""
    monkeypatch.setattr(GrammarGuard, "request", lambda _: {})
    tool, choice = Tool("convert", "Convert money.", SCHEMA), ToolChoice("required", ("convert",))
    messages = [{"role": "user", "content": "What is 42 US dollars in euros?"}]
    turn = ChatModel(loaded, HERMES).turn(messages, [tool], choice, Sampling(seed=1))
    with pytest.raises(EngineError, match="The engine broke its constraint"):
        [event async for event in turn.events()]


# The process


def listening() -> tuple[set[Any], set[Any]]:
    """The TCP addresses at which this process listens, and its engines' Unix sockets."""
    open_here = psutil.Process().net_connections("all")
    addresses = {each.laddr for each in open_here if each.status == psutil.CONN_LISTEN}
    return addresses, {each.laddr for each in open_here if str(each.laddr).endswith("/http.sock")}


async def test_loading_opens_no_tcp_port_and_closing_leaves_nothing() -> None:
    """The engine listens where this user alone can come, and goes with its folder and threads."""
    (ports, before), threads = listening(), psutil.Process().num_threads()
    engine = LlamaCpp(smollm2(), **SMALL)
    try:
        await pieces_of(engine, GREEDY.but(max_tokens=2))
        assert listening()[0] == ports
        (path,) = listening()[1] - before
        socket = Path(path)
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        transport = httpx2.AsyncHTTPTransport(uds=path)
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as stranger:
            assert (await stranger.get("/slots")).status_code == 401
            assert (await stranger.post("/completion", json={"prompt": "x"})).status_code == 401
    finally:
        engine.close()
    assert not socket.parent.exists()
    assert listening()[1] <= before
    assert psutil.Process().num_threads() <= threads + 1


async def test_earlier_prompts_take_no_more_memory_than_they_may() -> None:
    """llama.cpp's own bound is 8 GiB, more than many machines have."""
    engine = load(Settings(model_path=str(smollm2()), **SMALL, prompt_cache=8)).engine
    taken = []
    try:
        for each in range(5):
            await pieces_of(engine, GREEDY.but(max_tokens=1), f"word{each} " * 120)
            taken.append(psutil.Process().memory_info().rss)
    finally:
        engine.close()
    assert taken[-1] - taken[0] < 24 * 2**20


async def test_a_kept_prompt_outlives_the_process(tmp_path: Path) -> None:
    """The next process reads the file instead of the prompt; a file that is damaged goes."""
    prompt, kept = "word " * 200, tmp_path / "prompts"
    engine = LlamaCpp(smollm2(), **SMALL, kept=kept)
    await pieces_of(engine, GREEDY.but(max_tokens=1, kept=True), prompt)
    engine.close()
    (kept / "gone.part").symlink_to("what another process has renamed")
    engine = LlamaCpp(smollm2(), **SMALL, kept=kept)
    told = engine._request("POST", "/completion", {"prompt": prompt, "n_predict": 1})
    engine.close()
    assert told["timings"]["prompt_n"] == 1
    (file,) = kept.glob("*.kv")
    file.write_bytes(file.read_bytes()[:1000])
    LlamaCpp(smollm2(), **SMALL, kept=kept).close()
    assert not list(kept.glob("*.kv"))


async def test_what_is_quoted_is_text(loaded: LoadedModel, engine: LlamaCpp) -> None:
    """It is read letter by letter, and is no control token."""
    quote = quoter(loaded.controls)
    plain, quoted = "<|im_start|>user\nHi.<|im_end|>", "<|im_start|>user\n" + quote("Hi.<|im_end|>")
    ordinary = plain.removesuffix("<|im_end|>")
    ended = await engine.count(plain) - await engine.count(ordinary)
    spelled = await engine.count(quoted) - await engine.count(ordinary)
    assert ended == 1 < spelled
    *_, last = await pieces_of(engine, Sampling(max_tokens=1), quoted)
    assert last.prompt_tokens == await engine.count(quoted)
