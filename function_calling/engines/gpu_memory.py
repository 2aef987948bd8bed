"""How much memory an NVIDIA GPU has, by its driver, and a model needs, by its config.json.

A GB is 2^30 bytes here, as on a GPU's box. A model needs

    weights    of each linear layer a value in 4 bits, and for 128 of them a scale in 16 bits and a
               zero in 4; of embeddings and head 16 bits a value
    context    of each token a key and a value in 16 bits: 4 bytes x layers x KV heads x head size
    the rest   0.5 GB: CUDA's own, and what is computed at the moment
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

GB = 2**30
_REST = GB // 2
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")


def gpu_memory() -> float | None:
    """The memory in GB of the GPU that a process started here gets.

    0 if the driver doesn't tell, as where the GPU shares the machine's memory; None if no GPU is
    visible.
    """
    command = shutil.which("nvidia-smi")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if command is None or visible in ("", "-1"):
        return None
    query = [command, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    if visible:
        query.append(f"--id={visible.split(',')[0]}")
    told = subprocess.run(query, capture_output=True, check=False)
    if told.returncode:
        return None
    sizes = [line.split()[0] for line in told.stdout.splitlines() if line.strip()]
    # Without a word CUDA takes the fastest, which is rarely a smaller one.
    return max((int(size) / 1024 if size.isdigit() else 0 for size in sizes), default=None)


def memory_needed(config: Mapping[str, Any], context_length: int) -> float:
    """The memory in GB that a model needs to serve one request of `context_length` tokens.

    Args:
        config: What its config.json holds.
        context_length: Tokens of prompt and reply together.

    Raises:
        LookupError: It doesn't say how large the model is, or in how many bits it is kept.
        TypeError: The same; it says something else there.
    """
    sizes = {**config, **(config.get("text_config") or {})}
    hidden, layers = sizes["hidden_size"], sizes["num_hidden_layers"]
    heads = sizes["num_attention_heads"]
    head = sizes.get("head_dim") or hidden // heads
    kv_heads = sizes.get("num_key_value_heads") or heads
    experts = next((sizes[name] for name in _EXPERTS if sizes.get(name)), 1)
    inner = sizes.get("moe_intermediate_size") or sizes["intermediate_size"]
    linear = layers * hidden * (2 * head * (heads + kv_heads) + 3 * inner * experts)
    ends = hidden * sizes["vocab_size"] * (1 if sizes.get("tie_word_embeddings") else 2)
    context = context_length * 4 * layers * kv_heads * head
    needed: float = (linear * _bits(config) / 8 + 2 * ends + context + _REST) / GB
    return needed


def _bits(config: Mapping[str, Any]) -> float:
    """Bits that a value of a linear layer takes."""
    quantisation = config.get("quantization_config")
    if not quantisation:
        return 16
    if quantisation["quant_method"] == "fp8":
        return 8
    bits: int = quantisation["bits"]
    group: int = quantisation["group_size"]
    return bits + (16 + bits) / group
