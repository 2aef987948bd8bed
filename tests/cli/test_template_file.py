"""Where the command line finds a chat template, when there is no engine to tell it."""

import json
import re
import struct
from pathlib import Path

import pytest

from function_calling.cli.template_file import template_file
from function_calling.engines.llamacpp import LlamaCpp
from function_calling.errors import RequestError, SettingsError
from function_calling.formats.template import ChatTemplate
from function_calling.weights.catalogue import SMOLLM2, fetch

SOURCE = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"
HELLO = [{"role": "user", "content": "你好"}]


def text(value: str) -> bytes:
    """A text as GGUF has it."""
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(version: int = 3, without: str = "") -> bytes:
    """A GGUF file's head, without the entry of this name."""
    tokens = [text(each) for each in ("<unk>", "<s>", "</s>", "你")]
    entries = {
        "general.architecture": (8, text("llama")),
        "llama.rope.freq_base": (6, struct.pack("<f", 1e4)),
        "tokenizer.ggml.bos_token_id": (4, struct.pack("<I", 1)),
        "tokenizer.ggml.tokens": (9, struct.pack("<IQ", 8, 4) + b"".join(tokens)),
        "tokenizer.ggml.scores": (9, struct.pack("<IQ4f", 6, 4, *[0.0] * 4)),
        "tokenizer.ggml.eos_token_id": (4, struct.pack("<I", 2)),
        "tokenizer.chat_template": (8, text(SOURCE)),
    }
    told = [
        text(key) + struct.pack("<I", kind) + value
        for key, (kind, value) in entries.items()
        if key != without
    ]
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(told)) + b"".join(told)


CONFIG = {"chat_template": SOURCE, "bos_token": "<s>", "eos_token": {"content": "</s>"}}
SEVERAL = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": SOURCE}]


@pytest.mark.parametrize(
    ("content", "written"),
    [
        (gguf(), "<s>你好</s>"),
        (gguf(without="tokenizer.ggml.bos_token_id"), "你好</s>"),
        (json.dumps(CONFIG).encode(), "<s>你好</s>"),
        (b"\xef\xbb\xbf" + json.dumps(CONFIG | {"chat_template": SEVERAL}).encode(), "<s>你好</s>"),
        (SOURCE.encode(), "你好"),
    ],
    ids=["GGUF", "one token", "configuration", "several", "Jinja"],
)
def test_a_template_comes_with_its_special_tokens(
    content: bytes, written: str, tmp_path: Path
) -> None:
    """Whichever file the model's publisher gives, if the file has them."""
    file = tmp_path / "file"
    file.write_bytes(content)
    assert template_file(str(file), "auto").render(HELLO) == written


@pytest.mark.parametrize(
    "content",
    [
        gguf(without="tokenizer.chat_template"),
        gguf()[:200],
        gguf(version=1),
        b"\xff\xfe",
        b"[7]",
        b'{"chat_template": [{"name": "rag"}, 7]}',
        b"{% for %}",
    ],
)
def test_a_file_without_a_template_is_refused(content: bytes, tmp_path: Path) -> None:
    """In one sentence that names it, and tells what was wanted."""
    file = tmp_path / "file"
    file.write_bytes(content)
    told = rf"^{re.escape(str(file))}: it holds no chat template \(.+\); wanted a GGUF file, .*$"
    with pytest.raises(SettingsError, match=told):
        template_file(str(file), "auto")


@pytest.mark.model
def test_llama_cpp_reads_the_same_from_a_real_file() -> None:
    """The template and both tokens."""
    path = fetch(SMOLLM2)
    engine = LlamaCpp(path, context_length=256, parallel_slots=1)
    try:
        told = engine.properties
        read = template_file(str(path), "auto")
        assert read.source == told["chat_template"]
        assert read.tokens == {key: told[key] for key in ("bos_token", "eos_token")}
    finally:
        engine.close()


@pytest.mark.parametrize("source", ["{{ 1 // 0 }}", "{{ messages[0].content.index('x') }}"])
def test_whatever_a_template_runs_into_is_the_requests_error(source: str) -> None:
    """It is somebody else's program."""
    with pytest.raises(RequestError, match="can't write these messages"):
        ChatTemplate(source).render(HELLO)
