"""A model's chat template from the file that holds it, or plain turns where none is named.

A template stands in a model's GGUF file, of which the head is read, in its `tokenizer_config.json`,
or alone as Jinja.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from function_calling.engines.gguf import MAGIC, read_head
from function_calling.errors import FunctionCallingError, SettingsError
from function_calling.formats.template import ChatTemplate

CHATML = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Plain turns as Qwen, Hermes and many others frame them."""

CHATGLM3 = (
    "[gMASK]sop"
    "{% for message in messages %}<|{{ message.role }}|>"
    "{% if message.role != 'assistant' or '\n```python\ntool_call(' not in message.content %}"
    "{{ '\n ' }}{% endif %}{{ message.content }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""The turns of ChatGLM3, whose calls stand right behind the role; see `formats/chatglm3.py`."""


def template_file(path: str, form: str) -> ChatTemplate:
    """The chat template in the file at `path`; if that is "", plain turns for the format `form`.

    Raises:
        SettingsError: The file can't be read, or holds no chat template.
    """
    if not path:
        return ChatTemplate(CHATGLM3 if form == "chatglm3" else CHATML)
    try:
        source, *tokens = _read(Path(path))
        if not source:
            raise ValueError("it holds no chat template")
        return ChatTemplate(source, *tokens)
    except (OSError, ValueError, FunctionCallingError) as error:
        told = error.strerror if isinstance(error, OSError) else str(error).removesuffix(".")
        raise SettingsError(
            f"{path}: {told}; wanted a GGUF file, a tokenizer_config.json or Jinja."
        ) from error


def _read(path: Path) -> tuple[str, str, str]:
    """The template with the texts of the first and the last token, "" for what isn't told."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            return _in_gguf(read_head(file))
    content = path.read_text(encoding="utf-8-sig")
    try:
        config = from_json(content)
    except ValueError:
        return content, "", ""
    return _in_configuration(config) if isinstance(config, dict) else (content, "", "")


def _in_configuration(config: Mapping[str, Any]) -> tuple[str, str, str]:
    """What a tokenizer's configuration says; of several templates, the one for tools is used.

    https://huggingface.co/docs/transformers/chat_templating
    """
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {it.get("name"): it.get("template") for it in template if isinstance(it, dict)}
        template = named.get("tool_use") or named.get("default")
    # A token is told as its text, or as an object that holds it.
    tokens = (config.get(it) for it in ("bos_token", "eos_token"))
    told = [template, *(it.get("content") if isinstance(it, dict) else it for it in tokens)]
    source, bos_token, eos_token = (it if isinstance(it, str) else "" for it in told)
    return source, bos_token, eos_token


def _in_gguf(head: Mapping[str, Any]) -> tuple[str, str, str]:
    texts = head.get("tokenizer.ggml.tokens", ())
    ids = (head.get(f"tokenizer.ggml.{it}_token_id") for it in ("bos", "eos"))
    try:
        bos_token, eos_token = ("" if it is None else texts[it] for it in ids)
    except (LookupError, TypeError) as error:
        raise ValueError(f"it has no token of that number: {error}") from error
    return head.get("tokenizer.chat_template", ""), bos_token, eos_token
