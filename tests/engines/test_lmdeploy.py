"""LMDeploy's adapter: what it asks LMDeploy for, what it refuses, and what it makes of errors.

LMDeploy's Python half is the real one; the native half is the tests' own.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lmdeploy", reason="`make test-lmdeploy` has the packages for these tests")

import native_turbomind
import tiny_model
import torch
import xgrammar
from generations import pieces_of, text_of
from lmdeploy._guided_decoding import compile_response_format
from lmdeploy_engine import lmdeploy_engine, native

from function_calling.engines import grammar
from function_calling.engines import lmdeploy as adapter
from function_calling.engines.lmdeploy import LMDeploy, load
from function_calling.engines.quoting import quoter
from function_calling.errors import EngineError, RequestError, SettingsError, WeightsError
from function_calling.formats import LLAMA3, choose_format
from function_calling.model.chat_model import ChatModel
from function_calling.model.words import (
    Finished,
    JsonSlot,
    Sampling,
    Tool,
    ToolCall,
    ToolChoice,
)
from function_calling.settings import Settings

pytestmark = [pytest.mark.lmdeploy, pytest.mark.asyncio(loop_scope="module")]

SIZES: dict[str, Any] = {"context_length": 512, "batch_size": 2}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LMDeploy]:
    """The engine, with a tiny model."""
    grammar.LONGEST_CHECK = 60
    made = lmdeploy_engine(tmp_path_factory.mktemp("model"), **SIZES)
    yield made
    made.close()


@pytest.fixture
def half(engine: LMDeploy) -> Iterator[native_turbomind.Model]:
    """Its native half, with nothing asked for yet; in the end nothing may be left over."""
    model = native(engine)
    model.configs.clear()
    yield model
    model.fails = native_turbomind.SUCCESS
    assert model.running == 0
    assert engine._engine.session_mgr.sessions == {}


async def test_sampling_is_said_in_lmdeploys_words(
    engine: LMDeploy, half: native_turbomind.Model
) -> None:
    """Unless asked for, its own samplers are off; a limit beyond the context is the context's."""
    await text_of(engine, Sampling(max_tokens=3, temperature=0.7, top_p=0.9, seed=-1), "Hi")
    await text_of(engine, Sampling(max_tokens=10**20, temperature=0.001, stop=("",)), "Hi")
    await text_of(engine, Sampling(top_k=1024, min_p=0.5, repetition_penalty=1.5), "Hi")
    hot, greedy, narrow = half.configs
    assert (hot.temperature, hot.top_p, hot.top_k, hot.min_p) == (0.7, 0.9, 0, 0.0)
    assert (hot.max_new_tokens, hot.random_seed, hot.repetition_penalty) == (3, 2**63 - 1, 1.0)
    assert hot.eos_ids == [engine.tokenizer.eos_token_id]
    assert (greedy.top_k, greedy.max_new_tokens) == (1, 512 - 2)
    assert (narrow.top_k, narrow.min_p, narrow.repetition_penalty) == (1024, 0.5, 1.5)


async def test_the_prompt_is_read_as_its_template_means_it(engine: LMDeploy) -> None:
    """The first token stands once, whether that writes it or not; what is quoted is text."""
    for prompt in ("Hi", f"{tiny_model.BEGIN}Hi"):
        assert await engine.count(prompt) == 2 + len(engine._prefix)
    control = min(engine.controls)
    assert await engine.count(f"Hi{control}") == await engine.count("Hi") + 1
    quoted = quoter(engine.controls)(f"Hi{control}")
    assert await engine.count(quoted) > await engine.count("Hi") + 1


@pytest.mark.parametrize(
    ("sampling", "param"),
    [
        (Sampling(logit_bias=((1, 5.0),)), "logit_bias"),
        (Sampling(frequency_penalty=0.5), "frequency_penalty"),
        (Sampling(presence_penalty=-0.5), "presence_penalty"),
        (Sampling(top_k=1025), "top_k"),
        (Sampling(temperature=0.0, logprobs=2), "logprobs"),
    ],
)
async def test_what_would_be_ignored_is_refused_by_name(
    engine: LMDeploy, half: native_turbomind.Model, sampling: Sampling, param: str
) -> None:
    """Before anything is asked of LMDeploy."""
    with pytest.raises(RequestError, match=param) as caught:
        await text_of(engine, sampling, "Hi")
    assert (caught.value.param, caught.value.code) == (param, "unsupported_parameter")
    assert half.configs == []


@pytest.mark.parametrize(("status", "told"), [(5, 500), (10, 503)])
async def test_a_native_failure_is_an_engine_error(
    engine: LMDeploy, half: native_turbomind.Model, status: int, told: int
) -> None:
    """With LMDeploy's status; the next request is served."""
    half.fails = status
    with pytest.raises(EngineError, match="The engine failed") as caught:
        await text_of(engine, Sampling(max_tokens=3), "Hi")
    assert caught.value.status == told
    half.fails = native_turbomind.SUCCESS
    assert await text_of(engine, Sampling(max_tokens=3), "Hi")


async def test_what_lmdeploy_aborts_is_an_engine_error(engine: LMDeploy) -> None:
    """As when an operator stops all sessions: it is no end of the text."""
    running = engine.generate("Hi", Sampling())
    await anext(running)
    await engine._engine.stop_all_session()
    with pytest.raises(EngineError, match="broke off: abort"):
        [each async for each in running]


async def test_a_constraint_that_lmdeploy_gives_up_is_an_error(
    engine: LMDeploy, half: native_turbomind.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would go on without any, and only its log would tell."""
    from lmdeploy.turbomind import turbomind

    def failing(*_: Any) -> None:
        raise ValueError("no grammar")

    monkeypatch.setattr(turbomind, "compile_response_format", failing)
    with pytest.raises(EngineError, match="gave up the constraint"):
        await text_of(engine, Sampling(constraint=(("yes",),)), "Hi")


def test_a_constraint_is_written_once(engine: LMDeploy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many the last are remembered."""
    monkeypatch.setattr(adapter, "_MOST_TAGS", 3)
    tags = [engine._guide(((f"text {number}",),)) for number in range(4)]
    assert len(engine._tags) == 3
    assert tags[3] is engine._guide((("text 3",),))


@pytest.mark.usefixtures("half")
async def test_a_grammar_compiles_while_others_generate(engine: LMDeploy) -> None:
    """Streams go on meanwhile."""
    schema = {"enum": [f"word {number}" for number in range(2000)]}
    sampling = Sampling(constraint=((JsonSlot(schema), "."),))
    held = asyncio.create_task(text_of(engine, sampling, "Hi"))
    pieces = 0
    while not held.done():
        pieces += len(await pieces_of(engine, Sampling(max_tokens=20), "Hi"))
    assert json.loads((await held).removesuffix(".").strip()) in schema["enum"]
    assert pieces > 5


@pytest.mark.usefixtures("half")
async def test_no_special_token_stands_in_a_string(engine: LMDeploy) -> None:
    """By its name it might, and one that ends a text would end a call in the middle."""
    tag = engine._guide(((JsonSlot({"type": "string"}),),))
    matcher = xgrammar.GrammarMatcher(compile_response_format(engine._compiler, tag))
    assert matcher.accept_string('"a')
    size = len(engine.tokenizer)
    mask = xgrammar.allocate_token_bitmask(1, size)
    matcher.fill_next_token_bitmask(mask)
    logits = torch.zeros(1, size)
    xgrammar.apply_token_bitmask_inplace(logits, mask)
    allowed = {id for id in range(size) if logits[0, id] == 0}
    assert set(engine.tokenizer.encode("abc", add_special_tokens=False)) <= allowed
    assert not allowed & set(engine.tokenizer.all_special_ids)


async def test_a_whole_reply_with_calls(engine: LMDeploy) -> None:
    """Loaded by the settings, through the model half, with the model's own template."""
    folder = engine.tokenizer.name_or_path
    loaded = load(Settings(llama_model_dir=folder, gpu_context_length=2000, gpu_batch_size=3))
    config = loaded.engine._engine.backend_config  # type: ignore[attr-defined]
    assert (config.session_len, config.max_batch_size) == (2000, 3)
    assert (config.enable_prefix_caching, config.enable_metrics) == (True, False)
    assert (loaded.bos_token, loaded.eos_token) == (tiny_model.BEGIN, tiny_model.END)
    assert (loaded.name, loaded.context_length) == (Path(folder).name, 2000)
    model = ChatModel(loaded, choose_format("auto", loaded.chat_template))
    assert model.form is LLAMA3
    parameters = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 3}},
        "required": ["n"],
    }
    tools = [Tool("count", "Count.", parameters), Tool("today", "The date.", {"type": "object"})]
    for seed in range(5):
        choice = ToolChoice("required", ("count", "today"), parallel=False)
        messages = [{"role": "user", "content": "Count, please."}]
        turn = model.turn(messages, tools, choice, Sampling(seed=seed))
        assert turn.unenforced == []
        *_, call, end = [event async for event in turn.events()]
        assert isinstance(call, ToolCall)
        arguments = json.loads(call.arguments)
        assert arguments == {} if call.name == "today" else arguments["n"] in (3, 6, 9)
        assert isinstance(end, Finished)
        assert end.reason == "tool_calls"


def test_what_can_not_be_loaded_is_told_with_its_reason(engine: LMDeploy) -> None:
    """A word that LMDeploy would drop, a folder without a model, and none at all."""
    folder = engine.tokenizer.name_or_path
    with pytest.raises(SettingsError, match="turbomind engine has no option cache_max_count"):
        LMDeploy(folder, **SIZES, backend="turbomind", cache_max_count=0.5)
    with pytest.raises(WeightsError, match="LMDeploy can't load /nowhere: "):
        LMDeploy("/nowhere", **SIZES, backend="turbomind")
    with pytest.raises(SettingsError, match="LLAMA_MODEL_DIR is empty; LMDeploy wants a folder"):
        load(Settings())
