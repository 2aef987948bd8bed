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

from benchmarks import gpu, random_llama
from benchmarks.random_llama import GEOMETRIES, Geometry
from function_calling.engines import grammar
from function_calling.formats import LLAMA3, choose_format
from function_calling.model.words import Sampling

pytestmark = pytest.mark.lmdeploy

SMALL = Geometry(128, 256, 2, 1, 1, vocab_size=768)
DEEP = Geometry(256, 512, 80, 2, 1, vocab_size=768)
COLUMNS = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which column of eight each group of four bits holds, the lowest first, as AutoAWQ packs them."""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NVIDIA's `nvidia-smi`, which lists a GPU."""
    command = tmp_path / "nvidia-smi"
    told = 'if [ "$1" = -L ]; then echo "GPU 0: H100"; else echo "H100, 580.1, 81559 MiB"; fi'
    command.write_text(f"#!/bin/sh\n{told}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")


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


def test_transformers_reads_config_and_tokenizer(tmp_path: Path) -> None:
    """A Llama 3.1 by its size and special tokens, quantised by AutoAWQ; any text comes back."""
    random_llama.make(tmp_path, GEOMETRIES["tiny"])
    config = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(config, LlamaConfig)
    assert config.rope_parameters["rope_type"] == "llama3"
    assert config.quantization_config["quant_method"] == "awq"
    assert (config.bos_token_id, config.eos_token_id) == (128000, [128001, 128008, 128009])
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == config.vocab_size == 128256
    specials = ["<|begin_of_text|>", "<|eot_id|>", "<|python_tag|>"]
    assert tokenizer.convert_tokens_to_ids(specials) == [128000, 128009, 128010]
    text = 'What are 1234 abc in 加元? {"name": "x"}'
    first, *ids = tokenizer.encode(text)
    assert (first, tokenizer.decode(ids)) == (128000, text)
    assert len(tokenizer.encode("abc", add_special_tokens=False)) == 3
    assert choose_format("auto", tokenizer.chat_template) is LLAMA3


def test_activations_stay_finite_through_80_layers(tmp_path: Path) -> None:
    """Far below what 16 bits hold, with logits that prefer no token much.

    Transformers takes the tensors, so names and shapes are right. A model that is there is used
    again, or refused where it is another one.
    """
    for _ in range(2):
        random_llama.make(tmp_path, DEEP)
    with pytest.raises(ValueError, match="holds another model"):
        random_llama.make(tmp_path, SMALL)
    weight_map = json.loads((tmp_path / random_llama.INDEX).read_text())["weight_map"]
    shards = {name: load_file(tmp_path / name) for name in sorted(set(weight_map.values()))}
    packed = {name: shards[shard][name] for name, shard in weight_map.items()}
    first, *read = shards
    sizes = [(tmp_path / name).stat().st_size for name in read]
    assert first.startswith("model-00001-")
    assert random_llama.bytes_read(tmp_path) == sum(sizes)
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


async def test_lmdeploys_own_engine_is_asked_the_same(tmp_path: Path) -> None:
    """The prompt's tokens and the sampling are ours; no session is left."""
    engine = lmdeploy_engine(tmp_path, context_length=512, batch_size=2)
    bench = gpu.Bench(None, engine, 1, 1)  # type: ignore[arg-type]
    for length in (5, 50):
        prompt = bench.prompt(length)
        ours, native = [
            await gpu.timed(source, prompt, Sampling(max_tokens=12, seed=5))
            for source in bench.sources.values()
        ]
        assert ours.last.prompt_tokens == native.last.prompt_tokens
        assert native.last.prompt_tokens in (length - 1, length)
        assert ours.last.completion_tokens == native.last.completion_tokens == 12
        assert native.begun < native.first < native.ended
    assert engine._engine.session_mgr.sessions == {}
    engine.close()


@pytest.fixture
def command(
    driver: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], Path]:
    """Arguments for a run that is over soon, and the file of its results."""
    monkeypatch.setattr(grammar, "LONGEST_CHECK", 60)
    monkeypatch.setitem(GEOMETRIES, "tiny", SMALL)
    monkeypatch.setattr(gpu, "BATCHES", (1, 3))
    monkeypatch.setattr(gpu, "LENGTHS", (16, 300))
    monkeypatch.setattr(gpu, "WRITTEN", 16)
    monkeypatch.setattr(gpu, "CONTEXT", 2048)
    out = tmp_path / "results.json"
    return ["--folder", str(tmp_path / "model"), "--out", str(out), "--repeat", "1"], out


def test_everything_is_measured(
    command: tuple[list[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every number is in the file and printed."""
    arguments, out = command
    assert gpu.main(arguments) == 0
    results = json.loads(out.read_text())
    assert results["problems"] == {}
    assert results["command"] == ["benchmarks/gpu.py", *arguments]
    machine = results["machine"]
    assert (machine["gpu"], machine["driver"], machine["lmdeploy"]) == ("H100", "580.1", "0.18.0")
    assert [line["batch"] for line in results["decode"]] == [1, 3]
    assert [line["prompt_tokens"] for line in results["first_token"]] == [16, 300]
    compiled, *calls = results["calls"]
    assert [line["valid"] for line in calls] == [1, 3]
    lines = [*results["decode"], *results["first_token"], compiled, *calls]
    assert all(value > 0 for line in lines for value in line.values())
    first = results["decode"][0]
    assert first["of_limit"] == pytest.approx(first["ours"] / results["limit"])
    assert '"calls_a_second": ' in capsys.readouterr().out


def test_a_part_that_fails_is_told_and_the_next_one_runs(
    command: tuple[list[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A prompt that the context does not hold, here."""
    arguments, out = command
    monkeypatch.setattr(gpu, "CONTEXT", 256)
    parts = {name: gpu.PARTS[name] for name in ("first_token", "decode")}
    monkeypatch.setattr(gpu, "PARTS", parts)
    assert gpu.main(arguments) == 1
    results = json.loads(out.read_text())
    problem = "RequestError: The prompt has 300 tokens; this model's context holds"
    assert results["problems"]["first_token"].startswith(problem)
    assert problem in capsys.readouterr().out
    assert results["decode"]


def test_without_a_gpu_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence says so."""
    monkeypatch.setenv("PATH", "/bin")
    folder = tmp_path / "model"
    assert gpu.main(["--folder", str(folder)]) == 2
    assert capsys.readouterr().err.startswith("ENGINE=lmdeploy: no NVIDIA GPU is visible here.")
    assert not folder.exists()
