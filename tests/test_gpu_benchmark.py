"""The GPU's benchmark without a GPU: the model that it makes, and what it measures of an engine.

LMDeploy's Python half is the real one; the native half is the tests' own.
"""

import json
from pathlib import Path

import pytest

pytest.importorskip("lmdeploy", reason="`make test-lmdeploy` has the packages for these tests")

import torch
from lmdeploy_engine import lmdeploy_engine
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from benchmarks import gpu, gpu_checks, random_llama
from benchmarks.gpu_timing import Prompts, WithoutLayer, timed
from benchmarks.random_llama import GEOMETRIES, Geometry
from function_calling.engines import grammar
from function_calling.formats import LLAMA3, choose_format
from function_calling.model.words import Sampling, ToolCall

pytestmark = pytest.mark.lmdeploy

SMALL = Geometry(128, 256, 2, 1, 1, vocab_size=768)
DEEP = Geometry(256, 512, 80, 2, 1, vocab_size=768)
COLUMNS = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which column of eight each group of four bits holds, the lowest first, as AutoAWQ packs them."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model, with Llama 3.1's vocabulary."""
    folder = tmp_path_factory.mktemp("tiny")
    random_llama.make(folder, GEOMETRIES["tiny"])
    return folder


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NVIDIA's `nvidia-smi`, which lists a GPU."""
    command = tmp_path / "nvidia-smi"
    told = 'if [ "$1" = -L ]; then echo "GPU 0: H100"; else echo "H100, 580.1, 81559 MiB"; fi'
    command.write_text(f"#!/bin/sh\n{told}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors, each in the shard that the index names."""
    weight_map = json.loads((folder / random_llama.INDEX).read_text())["weight_map"]
    tensors: dict[str, torch.Tensor] = {}
    for name in sorted(set(weight_map.values())):
        shard = load_file(folder / name)
        assert shard.keys() == {key for key, file in weight_map.items() if file == name}
        tensors |= shard
    return tensors


def unpacked(packed: torch.Tensor) -> torch.Tensor:
    """Values of 4 bits, each in its column."""
    values = torch.empty(*packed.shape, 8)
    for place, column in enumerate(COLUMNS):
        values[..., column] = packed >> 4 * place & 15
    return values.flatten(-2)


def weight(tensors: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """A linear layer's weight as it was before it was quantised: outputs by inputs."""
    values = unpacked(tensors[f"{name}.qweight"]).unflatten(0, (-1, 128))
    zeros, scales = unpacked(tensors[f"{name}.qzeros"]), tensors[f"{name}.scales"].float()
    return ((values - zeros[:, None]) * scales[:, None]).flatten(0, 1).t()


def test_transformers_reads_the_models_config(tiny: Path) -> None:
    """A Llama 3.1 by its positions, quantised by AutoAWQ."""
    config = AutoConfig.from_pretrained(tiny)
    assert isinstance(config, LlamaConfig)
    assert (config.vocab_size, config.dtype) == (128256, torch.float16)
    assert config.rope_parameters["rope_type"] == "llama3"
    assert config.quantization_config == {
        "quant_method": "awq",
        "version": "gemm",
        "bits": 4,
        "group_size": 128,
        "zero_point": True,
    }
    assert (config.bos_token_id, config.eos_token_id) == (128000, [128001, 128008, 128009])


def test_transformers_reads_the_models_tokenizer(tiny: Path) -> None:
    """Of Llama 3.1's size, with its special tokens in their places; any text comes back."""
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    assert len(tokenizer) == 128256
    ids = [tokenizer.bos_token_id, tokenizer.eos_token_id]
    assert (
        ids
        == [128000, 128009]
        == tokenizer.convert_tokens_to_ids(["<|begin_of_text|>", "<|eot_id|>"])
    )
    assert tokenizer.convert_tokens_to_ids("<|python_tag|>") == 128010
    text = 'What are 1234 abc in 加元? {"name": "x"}'
    ids = tokenizer.encode(text)
    assert ids[0] == 128000
    assert tokenizer.decode(ids[1:]) == text
    assert len(tokenizer.encode(" abc xyz", add_special_tokens=False)) == 2
    assert choose_format("auto", tokenizer.chat_template) is LLAMA3
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert prompt == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_activations_stay_finite_through_80_layers(tmp_path: Path) -> None:
    """Far below what 16 bits hold, with logits that prefer no token much.

    Transformers takes the tensors, so names and shapes are right.
    """
    random_llama.make(tmp_path, DEEP)
    packed = tensors_of(tmp_path)
    kinds = {(name.rpartition(".")[2], tensor.dtype) for name, tensor in packed.items()}
    half, whole = torch.float16, torch.int32
    assert kinds == {("weight", half), ("scales", half), ("qweight", whole), ("qzeros", whole)}
    state = {name: value.float() for name, value in packed.items() if name.endswith(".weight")}
    for name in packed:
        if name.endswith(".qweight"):
            linear = name.removesuffix(".qweight")
            state[f"{linear}.weight"] = weight(packed, linear)
    config = AutoConfig.from_pretrained(tmp_path)
    del config.quantization_config
    model = LlamaForCausalLM(config).float()
    model.load_state_dict(state)
    tokens = torch.arange(64).view(1, -1)
    with torch.no_grad():
        told = model(tokens, output_hidden_states=True)
    largest = max(float(each.abs().max()) for each in told.hidden_states)
    assert largest < 500
    assert 0.5 < float(told.logits.std()) < 2


def test_what_is_there_of_a_model_is_used_again(tmp_path: Path) -> None:
    """Only what is missing is made."""
    random_llama.make(tmp_path, SMALL)
    shards = sorted(tmp_path.glob("model-*"))
    made = [shard.stat().st_mtime_ns for shard in shards]
    random_llama.make(tmp_path, SMALL)
    (tmp_path / random_llama.INDEX).unlink()
    shards[1].unlink()
    random_llama.make(tmp_path, SMALL)
    again = [shard.stat().st_mtime_ns for shard in shards]
    assert [new != old for new, old in zip(again, made, strict=True)] == [False, True, False, False]
    assert len(tensors_of(tmp_path)) == 3 + 2 * (2 + 7 * 3)
    read = sum(shard.stat().st_size for shard in shards[1:])
    assert random_llama.bytes_read(tmp_path) == read


async def test_lmdeploys_own_engine_is_asked_the_same(tmp_path: Path) -> None:
    """The prompt's tokens and the sampling are ours, so the text is; no session is left."""
    engine = lmdeploy_engine(tmp_path, context_length=512, batch_size=2)
    prompts = Prompts(engine.tokenizer, seed=1)
    sampling = Sampling(max_tokens=12, seed=5)
    for length in (5, 50):
        prompt = prompts.fresh(length)
        ours = await timed(engine, prompt, sampling)
        native = await timed(WithoutLayer(engine), prompt, sampling)
        assert ours.last.prompt_tokens == native.last.prompt_tokens
        assert native.last.prompt_tokens in (length - 1, length)
        assert (ours.text, ours.last.completion_tokens) == (native.text, 12)
        assert native.last.completion_tokens == 12
        assert 0 < native.wait < native.seconds
    assert engine._engine.session_mgr.sessions == {}
    engine.close()


@pytest.fixture
def command(
    driver: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], Path]:
    """Arguments for a run that is over soon, and the file of its results."""
    monkeypatch.setattr(grammar, "LONGEST_CHECK", 60)
    monkeypatch.setitem(GEOMETRIES, "tiny", SMALL)
    out = tmp_path / "results.json"
    quick = ["--batches", "1,3", "--tokens", "16", "--repeat", "1"]
    return ["--folder", str(tmp_path / "model"), "--out", str(out), *quick], out


def test_everything_is_checked_and_measured(
    command: tuple[list[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every number is there, in the file and in the table."""
    arguments, out = command
    arguments += ["--prompts", "16,300", "--context", "2048"]
    assert gpu.main(arguments) == 0
    results = json.loads(out.read_text())
    assert results["problems"] == {}
    assert results["command"] == ["benchmarks/gpu.py", *arguments]
    machine = results["machine"]
    assert (machine["gpu"], machine["driver"], machine["lmdeploy"]) == ("H100", "580.1", "0.18.0")
    assert results["generation"] == {
        "prompt_tokens": 40,
        "completion_tokens": {"of_1": 1, "of_16": 16},
    }
    assert results["abort"]["aborted"] == 3
    assert results["concurrency"] == {"requests": 6, "slots": 3, "ended": 6}
    assert results["forced_calls"] == {"calls": 32, "valid": 32}
    assert [line["batch"] for line in results["decode"]] == [1, 3]
    assert [line["prompt_tokens"] for line in results["first_token"]] == [16, 300]
    lines = [*results["decode"], *results["first_token"], *results["calls"]["at_once"]]
    assert all(value > 0 for line in lines for value in line.values())
    first = results["decode"][0]
    assert first["of_limit"] == pytest.approx(first["ours"] / results["limit"], rel=0.01)
    assert results["limit"] == pytest.approx(
        results["bandwidth"] / results["weights_read"], rel=0.01
    )
    assert all(results["continuations"].values())
    assert all(results["calls"].values())
    printed = capsys.readouterr().out
    assert "H100, driver 580.1, LMDeploy 0.18.0\n" in printed
    assert "forced_calls   right: calls 32, valid 32\n" in printed
    assert "\ntokens a second\nbatch  ours  lmdeploy  of_lmdeploy  of_limit\n" in printed


def test_a_part_that_fails_is_told_and_the_next_one_runs(
    command: tuple[list[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A prompt that the context does not hold, here."""
    arguments, out = command
    parts = {name: gpu.PARTS[name] for name in ("first_token", "generation")}
    monkeypatch.setattr(gpu, "PARTS", parts)
    assert gpu.main([*arguments, "--prompts", "16,300", "--context", "256"]) == 1
    results = json.loads(out.read_text())
    problem = results["problems"]["first_token"]
    assert problem.startswith("RequestError: The prompt has 300 tokens; this model's context holds")
    assert results["generation"]["prompt_tokens"] == 40
    assert f"first_token    FAILED: {problem}\n" in capsys.readouterr().out


def test_without_a_gpu_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence says so."""
    monkeypatch.setenv("PATH", "/bin")
    folder = tmp_path / "model"
    assert gpu.main(["--folder", str(folder)]) == 2
    assert capsys.readouterr().err.startswith("ENGINE=lmdeploy: no NVIDIA GPU is visible here.")
    assert not folder.exists()


@pytest.mark.usefixtures("driver")
def test_another_models_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is loaded."""
    (tmp_path / "config.json").write_text("{}")
    assert gpu.main(["--folder", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"{tmp_path} holds another model\n"


def call(name: str, arguments: str) -> ToolCall:
    """A call of this tool."""
    return ToolCall("call_1", name, arguments)


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        ([], "0 calls"),
        ([call("forget", "{}")], "calls 'forget'"),
        ([call("remind", '{"text": ')], "the arguments are no JSON: "),
        ([call("remind", '{"text": "", "days": [1], "urgent": true}')], "'' should be non-empty"),
        ([call("remind", '{"text": "a", "days": [1], "urgent": true}')], ""),
    ],
)
def test_a_call_is_judged_from_outside(calls: list[ToolCall], problem: str) -> None:
    """By the tool's schema as it was offered."""
    told = gpu_checks.problem(calls, gpu_checks.offered(""))
    assert told.startswith(problem)
    assert bool(told) == bool(problem)
