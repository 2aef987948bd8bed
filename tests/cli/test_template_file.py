"""Where the command line finds a chat template, when there is no engine to tell it."""

import json
import re
import struct
from pathlib import Path
from typing import Any

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


def array(kind: int, items: list[bytes]) -> bytes:
    """An array of one kind."""
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


TOKENS = array(8, [text("<unk>"), text("<s>"), text("</s>"), text("你")])
ENTRIES: list[tuple[str, int, bytes]] = [
    ("general.architecture", 8, text("llama")),
    ("llama.context_length", 4, struct.pack("<I", 512)),
    ("llama.rope.freq_base", 6, struct.pack("<f", 1e4)),
    ("tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 1)),
    ("tokenizer.ggml.tokens", 9, TOKENS),
    ("tokenizer.ggml.scores", 9, array(6, [struct.pack("<f", 0)] * 4)),
    ("tokenizer.ggml.add_bos_token", 7, b"\1"),
    ("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 2)),
    ("tokenizer.chat_template", 8, text(SOURCE)),
]


def gguf(entries: list[tuple[str, int, bytes]], version: int = 3) -> bytes:
    """A GGUF file with these entries and no tensors."""
    head = b"GGUF" + struct.pack("<IQQ", version, 0, len(entries))
    return head + b"".join(text(key) + struct.pack("<I", kind) + it for key, kind, it in entries)


def without(*keys: str) -> list[tuple[str, int, bytes]]:
    """The entries but some."""
    return [each for each in ENTRIES if each[0].split(".")[-1] not in keys]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to be written."""
    return tmp_path / "file"


CONFIG = {"chat_template": SOURCE, "bos_token": "<s>", "eos_token": {"content": "</s>"}}
NAMED = {"default": "plain", "tool_use": SOURCE}
SEVERAL = [{"name": name, "template": source} for name, source in NAMED.items()]


@pytest.mark.parametrize(
    ("content", "written"),
    [
        (gguf(ENTRIES), "<s>你好</s>"),
        (gguf(without("bos_token_id")), "你好</s>"),
        (json.dumps(CONFIG).encode(), "<s>你好</s>"),
        (b"\xef\xbb\xbf" + json.dumps(CONFIG | {"chat_template": SEVERAL}).encode(), "<s>你好</s>"),
        (SOURCE.encode(), "你好"),
    ],
    ids=["GGUF", "one token", "configuration", "several", "Jinja"],
)
def test_a_template_comes_with_its_special_tokens(content: bytes, written: str, file: Path) -> None:
    """Whichever file the model's publisher gives, if the file has them."""
    file.write_bytes(content)
    assert template_file(str(file)).render(HELLO) == written


@pytest.mark.parametrize(
    "content",
    [
        gguf(without("chat_template")),
        gguf(without("tokens")),
        gguf(ENTRIES)[:300],
        gguf(ENTRIES, version=1),
        b"\xff\xfe",
        b"[7]",
        b'{"chat_template": null}',
        b'{"chat_template": [{"name": "rag"}, 7]}',
        b"{% for %}",
        None,
    ],
)
def test_a_file_without_a_template_is_refused(content: bytes | None, file: Path) -> None:
    """In one sentence that names it, and tells what was wanted."""
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        template_file(str(file))
    told = rf"{re.escape(str(file))}: it holds no chat template \(.+\); wanted a GGUF file, .*"
    assert re.fullmatch(told, str(caught.value))


@pytest.mark.model
def test_llama_cpp_reads_the_same_from_a_real_file() -> None:
    """The template and both tokens."""
    path = fetch(SMOLLM2)
    engine = LlamaCpp(path, context_length=256, parallel_slots=1)
    try:
        told = engine.properties
        read = template_file(str(path))
        assert read.source == told["chat_template"]
        assert read.tokens == {key: told[key] for key in ("bos_token", "eos_token")}
    finally:
        engine.close()


def test_plain_turns_end_where_the_assistant_begins() -> None:
    """Or with the last turn, if all of them are wanted."""
    template = template_file("")
    talk: list[dict[str, Any]] = [*HELLO, {"role": "assistant", "content": "好"}]
    opened, closed = template.render(talk), template.render(talk, closed=True)
    assert opened == closed + "<|im_start|>assistant\n"


@pytest.mark.parametrize(
    "source",
    ["{{ 1 // 0 }}", "{{ messages[0].content.index('x') }}", "{{ ''.split('') }}"],
)
def test_whatever_a_template_runs_into_is_the_requests_error(source: str) -> None:
    """It is somebody else's program."""
    with pytest.raises(RequestError, match="can't write these messages"):
        ChatTemplate(source).render(HELLO)
