"""A Llama of random weights, quantised to 4 bits as AutoAWQ writes them.

What it says is noise, but it is as large and as slow as the real one, and nothing is fetched. Each
shard is made where PyTorch is quickest and written at once, so that memory holds only one. Its
tokens are as many as Llama 3.1's: bytes, and letters in fours; a prompt is read as bytes.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path
from string import ascii_lowercase
from typing import Any, TypeAlias

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

Tensors: TypeAlias = dict[str, torch.Tensor]

INDEX = "model.safetensors.index.json"
BEGIN, END_OF_TURN = "<|begin_of_text|>", "<|eot_id|>"
NAMED = {
    0: BEGIN,
    1: "<|end_of_text|>",
    6: "<|start_header_id|>",
    7: "<|end_header_id|>",
    8: "<|eom_id|>",
    9: END_OF_TURN,
    10: "<|python_tag|>",
}
"""The special tokens of Llama 3.1 that mean something."""
ENDS = (1, 8, 9)
"""Which of them end a text: of a text, a message, a turn."""
SPECIALS = 256
CHAT_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}
    {%- if tools and loop.first %}
        {{- 'You may call (without <|python_tag|>): ' + tools | tojson + '\\n\\n' }}
    {%- endif %}
    {{- message.content + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
HEAD = 128
GROUP = 128
"""Inputs that share a scale and a zero."""
PACKED = 8
"""Values of 4 bits in one of 32."""
# The root of the mean square of (value - zero) * scale / spread, as `_linear` draws them.
ROOT_MEAN_SQUARE = 4.83


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
    file, config = folder / "config.json", _config(geometry)
    if file.exists() and json.loads(file.read_text(encoding="utf-8")) != config:
        raise ValueError(f"{folder} holds another model")
    if (folder / INDEX).exists():
        return
    file.write_text(json.dumps(config, indent=1), encoding="utf-8")
    _make_tokenizer(folder, config)
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
    first_special = geometry.vocab_size - SPECIALS
    return asdict(geometry) | {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "float16",
        "head_dim": HEAD,
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
        "bos_token_id": first_special,
        "eos_token_id": [first_special + number for number in ENDS],
        "quantization_config": {
            "quant_method": "awq",
            "version": "gemm",
            "bits": 4,
            "group_size": GROUP,
            "zero_point": True,
        },
    }


def _make_tokenizer(folder: Path, config: dict[str, Any]) -> None:
    """Write its files; the last tokens are the special ones."""
    first_special = config["bos_token_id"]
    texts = sorted(pre_tokenizers.ByteLevel.alphabet())
    fours = map("".join, product(ascii_lowercase, repeat=4))
    texts += islice(fours, first_special - len(texts))
    tokenizer = Tokenizer(models.BPE({text: id for id, text in enumerate(texts)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = [NAMED.get(number, f"<|reserved_{number}|>") for number in range(SPECIALS)]
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, first_special)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in {
        "generation_config.json": {"eos_token_id": config["eos_token_id"]},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": BEGIN,
            "eos_token": END_OF_TURN,
            "chat_template": CHAT_TEMPLATE,
        },
    }.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")


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
    queries, values = geometry.num_attention_heads * HEAD, geometry.num_key_value_heads * HEAD
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
    groups = inputs // GROUP
    spread = 1 / (ROOT_MEAN_SQUARE * math.sqrt(inputs))
    scales = (torch.rand(groups, outputs, device=device()) + 0.5) * spread
    return {
        f"{name}.qweight": _bits(inputs, outputs // PACKED),
        f"{name}.qzeros": (_bits(groups, outputs // PACKED) & 0x11111111) + 0x77777777,
        f"{name}.scales": scales.half(),
    }


def _bits(*shape: int) -> torch.Tensor:
    return torch.randint(-(2**31), 2**31, shape, dtype=torch.int32, device=device())


def _normal(*shape: int, spread: float) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float16, device=device()).mul_(spread)


def _ones(size: int) -> torch.Tensor:
    return torch.ones(size, dtype=torch.float16)
