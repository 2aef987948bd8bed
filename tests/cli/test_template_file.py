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


# Files


@pytest.mark.parametrize(
    "content",
    [
        gguf(ENTRIES),
        gguf(ENTRIES, version=2),
        json.dumps({"chat_template": SOURCE, "bos_token": "<s>", "eos_token": {"content": "</s>"}}),
        "\ufeff"
        + json.dumps(
            {
                "chat_template": [
                    {"name": "default", "template": "plain"},
                    {"name": "tool_use", "template": SOURCE},
                ],
                "bos_token": "<s>",
                "eos_token": "</s>",
            }
        ),
    ],
    ids=["GGUF", "GGUF 2", "tokenizer_config.json", "several templates"],
)
def test_a_template_comes_with_its_special_tokens(content: str | bytes, file: Path) -> None:
    """Whichever file the model's publisher gives."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    template = template_file(str(file), "hermes")
    assert template.source == SOURCE
    assert template.render(HELLO) == "<s>你好</s>"


def test_a_template_alone_is_jinja(file: Path) -> None:
    """A JSON text that is no object too."""
    file.write_text(SOURCE)
    assert template_file(str(file), "hermes").render(HELLO) == "你好"
    file.write_text("42")
    assert template_file(str(file), "hermes").render(HELLO) == "42"


def test_what_a_gguf_file_leaves_out_is_empty(file: Path) -> None:
    """Not every vocabulary has both tokens."""
    file.write_bytes(gguf(without("bos_token_id")))
    assert template_file(str(file), "hermes").tokens == {"bos_token": "", "eos_token": "</s>"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gguf(without("chat_template")), "it holds no chat template"),
        (gguf(without("tokens")), "its head ends or breaks off"),
        (gguf([*without("bos_token_id"), ("x.bos_token_id", 77, b"")]), "its head ends"),
        (gguf(ENTRIES)[:-5], "its head ends or breaks off"),
        (gguf(ENTRIES)[:300], "its head ends or breaks off"),
        (gguf(ENTRIES, version=1), "its version is 1, wanted 2 or 3"),
        (b"GGUF", "its head ends or breaks off"),
        (b"", "it holds no chat template"),
        (b"\xff\xfe", "codec can't decode"),
        (b'{"chat_template": null}', "it holds no chat template"),
        (b'{"chat_template": [{"name": "rag"}, 7]}', "it holds no chat template"),
        (b"{% for %}", "The chat template is no Jinja"),
        (b"{{ '" + b"(" * 3, "The chat template is no Jinja"),
    ],
)
def test_a_file_without_a_template_is_refused(content: bytes, told: str, file: Path) -> None:
    """In one sentence that names it, and tells what was wanted."""
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=re.escape(told)) as caught:
        template_file(str(file), "hermes")
    assert str(caught.value).startswith(f"{file}: ")
    assert str(caught.value).endswith("; wanted a GGUF file, a tokenizer_config.json or Jinja.")
    assert "\n" not in str(caught.value)


@pytest.mark.model
def test_llama_cpp_reads_the_same_from_a_real_file() -> None:
    """The template and both tokens."""
    path = fetch(SMOLLM2)
    engine = LlamaCpp(path, context_length=256, parallel_slots=1)
    try:
        told = engine.properties
        read = template_file(str(path), "hermes")
        assert read.source == told["chat_template"]
        assert read.tokens == {key: told[key] for key in ("bos_token", "eos_token")}
    finally:
        engine.close()


# Templates themselves


@pytest.mark.parametrize("form", ["hermes", "chatglm3", "auto"])
def test_plain_turns_end_where_the_assistant_begins(form: str) -> None:
    """Or with the last turn, if all of them are wanted."""
    template = template_file("", form)
    talk: list[dict[str, Any]] = [*HELLO, {"role": "assistant", "content": "好"}]
    opened, closed = template.render(talk), template.render(talk, closed=True)
    assert opened.startswith(closed)
    assert opened.removeprefix(closed).strip().endswith("assistant" + "|>" * (form == "chatglm3"))


@pytest.mark.parametrize(
    "source",
    ["{{ 1 // 0 }}", "{{ messages[0].content.index('x') }}", "{{ ''.split('') }}"],
)
def test_whatever_a_template_runs_into_is_the_requests_error(source: str) -> None:
    """It is somebody else's program."""
    with pytest.raises(RequestError, match="can't write these messages"):
        ChatTemplate(source).render(HELLO)
