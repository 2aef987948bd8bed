"""A tokenizer of Llama 3.1's size and shape that has learned from no text.

Its tokens are bytes, numbers of up to three digits, and letters in twos, threes and fours, with and
without a space before them; so random words are read and written as fast as real ones.
"""

import json
from collections.abc import Iterator
from itertools import chain, islice, product
from pathlib import Path
from string import ascii_lowercase, digits

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

BEGIN, END_OF_TURN = "<|begin_of_text|>", "<|eot_id|>"
ENDS = (1, 8, 9)
"""Which of the special tokens end a text, as in Llama 3.1: of a text, a message, a turn."""
_SPECIALS = 256
_NAMED = {
    0: BEGIN,
    1: "<|end_of_text|>",
    6: "<|start_header_id|>",
    7: "<|end_header_id|>",
    8: "<|eom_id|>",
    9: END_OF_TURN,
    10: "<|python_tag|>",
}
_SPACE = "Ġ"
CHAT_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}
    {%- if tools and loop.first %}
        {{- 'You may call (without <|python_tag|>): ' + tools | tojson + '\\n\\n' }}
    {%- endif %}
    {%- for call in message.tool_calls or [] %}
        {{- '{"name": "' + call.function.name + '", "parameters": ' }}
        {{- call.function.arguments | tojson + '}' }}
    {%- endfor %}
    {{- message.content + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""


def make(folder: Path, vocabulary: int) -> None:
    """Write the tokenizer's files; its last tokens are the special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = list(islice(_merges(), vocabulary - _SPECIALS - len(alphabet)))
    texts = chain(alphabet, map("".join, merges))
    tokenizer = Tokenizer(models.BPE({text: id for id, text in enumerate(texts)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = [_NAMED.get(number, f"<|reserved_{number}|>") for number in range(_SPECIALS)]
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, vocabulary - _SPECIALS)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in {
        "generation_config.json": {"eos_token_id": end_tokens(vocabulary)},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": BEGIN,
            "eos_token": END_OF_TURN,
            "chat_template": CHAT_TEMPLATE,
        },
    }.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")


def end_tokens(vocabulary: int) -> list[int]:
    """The ids of the tokens that end a text."""
    return [vocabulary - _SPECIALS + number for number in ENDS]


def _merges() -> Iterator[tuple[str, str]]:
    """What is merged of two tokens, the first ones first; more than any vocabulary holds."""
    yield from [("{", '"'), ('"', ":"), ('"', ","), ('"', "}"), ("}", "}")]
    yield from product(digits, digits)
    twos = ["".join(pair) for pair in product(ascii_lowercase, repeat=2)]
    yield from product(ascii_lowercase, ascii_lowercase)
    yield from product(map("".join, product(digits, digits)), digits)
    yield from product(twos, ascii_lowercase)
    threes = map("".join, product(twos, ascii_lowercase))
    yield from ((_SPACE, text) for text in chain(ascii_lowercase, twos, threes))
    for first, second in product(twos, twos):
        yield first, second
        yield _SPACE, first + second
