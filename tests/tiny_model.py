"""The folder of a model without weights: what LMDeploy reads of one before it loads them."""

import json
from pathlib import Path

from scripted_engine import LLAMA31
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

BEGIN, END, TOOL = "<|begin_of_text|>", "<|eot_id|>", "<|python_tag|>"
MERGES = [("}", "}"), ("Ġ", "t"), ("Ġt", "h"), ("Ġth", "e"), ("i", "n"), ("e", "r")]
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "max_position_embeddings": 4096,
}


def make(folder: Path) -> str:
    """Write it; a token is a byte, or what few merges make of some."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    texts = alphabet + ["".join(pair) for pair in MERGES]
    tokenizer = Tokenizer(models.BPE({text: id for id, text in enumerate(texts)}, MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in (BEGIN, END, TOOL)])
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in {
        "config.json": CONFIG,
        "generation_config.json": {"eos_token_id": [tokenizer.token_to_id(END)]},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": BEGIN,
            "eos_token": END,
            "chat_template": LLAMA31,
        },
    }.items():
        (folder / name).write_text(json.dumps(content))
    return str(folder)
