"""A Llama of random weights, quantised to 4 bits as AutoAWQ writes them.

What it says is noise, but it is as large and as slow as the real one, and nothing is fetched. Each
shard is made where PyTorch is quickest and written at once, so that memory holds only one.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors.torch import save_file

from benchmarks import random_tokenizer

Tensors: TypeAlias = dict[str, torch.Tensor]

INDEX = "model.safetensors.index.json"
_HEAD = 128
_GROUP = 128
"""Inputs that share a scale and a zero."""
_PACKED = 8
"""Values of 4 bits in one of 32."""
# The root of the mean square of (value - zero) * scale / spread, as `_linear` draws them.
_ROOT_MEAN_SQUARE = 4.83


@dataclass(frozen=True, slots=True)
class Geometry:
    """A Llama's size, in the words of its config.json."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int = 128256


GEOMETRIES = {
    "tiny": Geometry(512, 1024, 2, 4, 2),
    "8b": Geometry(4096, 14336, 32, 32, 8),
    "70b": Geometry(8192, 28672, 80, 64, 8),
}
"""The last two are Llama 3.1's."""


def device() -> torch.device:
    """Where PyTorch is quickest: the GPU, or where there is none, the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make(folder: Path, geometry: Geometry) -> None:
    """Write the model into the folder, unless it is there.

    Raises:
        ValueError: The folder holds a model of another geometry.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.json"
    text = json.dumps(_config(geometry), indent=1)
    if config.exists() and config.read_text(encoding="utf-8") != text:
        raise ValueError(f"{folder} holds another model")
    config.write_text(text, encoding="utf-8")
    if (folder / INDEX).exists():
        return
    random_tokenizer.make(folder, geometry.vocab_size)
    weight_map: dict[str, str] = {}
    for number, tensors in enumerate(_shards(geometry), start=1):
        name = f"model-{number:05}-of-{geometry.num_hidden_layers + 2:05}.safetensors"
        save_file(tensors, folder / name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(tensors, name)
    # It is written last, as the sign that all is there.
    index = json.dumps({"metadata": {}, "weight_map": weight_map}, indent=1)
    (folder / INDEX).write_text(index, encoding="utf-8")


def bytes_read(folder: Path) -> int:
    """Bytes of weights that each step reads: all but the embeddings, in the first shard."""
    return sum(shard.stat().st_size for shard in sorted(folder.glob("model-*"))[1:])


def _config(geometry: Geometry) -> dict[str, Any]:
    ends = random_tokenizer.end_tokens(geometry.vocab_size)
    return asdict(geometry) | {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "float16",
        "head_dim": _HEAD,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 131072,
        "rope_theta": 500000.0,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        "tie_word_embeddings": False,
        "bos_token_id": ends[0] - random_tokenizer.ENDS[0],
        "eos_token_id": ends,
        "quantization_config": {
            "quant_method": "awq",
            "version": "gemm",
            "bits": 4,
            "group_size": _GROUP,
            "zero_point": True,
        },
    }


def _shards(geometry: Geometry) -> Iterator[Tensors]:
    """The tensors of each shard: embeddings, layers, output."""
    shape = geometry.vocab_size, geometry.hidden_size
    yield {"model.embed_tokens.weight": _normal(*shape, spread=1)}
    for layer in range(geometry.num_hidden_layers):
        yield _layer(f"model.layers.{layer}", geometry)
    yield {
        "model.norm.weight": _ones(geometry.hidden_size),
        "lm_head.weight": _normal(*shape, spread=1 / math.sqrt(geometry.hidden_size)),
    }


def _layer(name: str, geometry: Geometry) -> Tensors:
    hidden, inner = geometry.hidden_size, geometry.intermediate_size
    queries, values = geometry.num_attention_heads * _HEAD, geometry.num_key_value_heads * _HEAD
    tensors = {
        f"{name}.{norm}_layernorm.weight": _ones(hidden) for norm in ("input", "post_attention")
    }
    for linear, inputs, outputs in (
        ("self_attn.q_proj", hidden, queries),
        ("self_attn.k_proj", hidden, values),
        ("self_attn.v_proj", hidden, values),
        ("self_attn.o_proj", queries, hidden),
        ("mlp.gate_proj", hidden, inner),
        ("mlp.up_proj", hidden, inner),
        ("mlp.down_proj", inner, hidden),
    ):
        tensors |= _linear(f"{name}.{linear}", inputs, outputs)
    return tensors


def _linear(name: str, inputs: int, outputs: int) -> Tensors:
    """Values of 4 bits, zeros of 7 or 8, and scales by which an output spreads like an input."""
    groups = inputs // _GROUP
    spread = 1 / (_ROOT_MEAN_SQUARE * math.sqrt(inputs))
    scales = (torch.rand(groups, outputs, device=device()) + 0.5) * spread
    return {
        f"{name}.qweight": _bits(inputs, outputs // _PACKED),
        f"{name}.qzeros": (_bits(groups, outputs // _PACKED) & 0x11111111) + 0x77777777,
        f"{name}.scales": scales.half(),
    }


def _bits(*shape: int) -> torch.Tensor:
    return torch.randint(-(2**31), 2**31, shape, dtype=torch.int32, device=device())


def _normal(*shape: int, spread: float) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float16, device=device()).mul_(spread)


def _ones(size: int) -> torch.Tensor:
    return torch.ones(size, dtype=torch.float16)
