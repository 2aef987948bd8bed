"""Chat templates for the command line, where no engine tells one: a model's own, or plain turns.

A model's own stands in its GGUF file, in its `tokenizer_config.json`, or alone in a `.jinja` file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from function_calling.errors import FunctionCallingError, SettingsError
from function_calling.formats.template import ChatTemplate
from function_calling.workbench.gguf import MAGIC, read_chat

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


def chat_template(path: str, form: str, said: str = "") -> ChatTemplate:
    """The template in a file; if `path` is "", plain turns for a format.

    Args:
        path: The file's.
        form: The format's name.
        said: How the user named the file.

    Raises:
        SettingsError: The file can't be read, or holds no chat template.
    """
    if not path:
        return ChatTemplate(CHATGLM3 if form == "chatglm3" else CHATML)
    try:
        found = _read(Path(path).expanduser())
        if not found[0]:
            raise ValueError("it holds no chat template")
        return ChatTemplate(*found)
    except (OSError, ValueError, FunctionCallingError) as error:
        told = error.strerror if isinstance(error, OSError) else str(error).removesuffix(".")
        raise SettingsError(
            f"{said or path}: {told}; wanted a GGUF file, a tokenizer_config.json or Jinja."
        ) from error


def _read(path: Path) -> tuple[str, str, str]:
    """The template with the texts of the first and the last token, "" for what isn't told."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            return read_chat(path)
    content = path.read_text(encoding="utf-8-sig")
    try:
        config = from_json(content)
    except ValueError:
        return content, "", ""
    return _configured(config) if isinstance(config, dict) else (content, "", "")


def _configured(config: Mapping[str, Any]) -> tuple[str, str, str]:
    """The same in a tokenizer's configuration.

    https://huggingface.co/docs/transformers/chat_templating: of several templates, the one for
    tools is used.
    """
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {it.get("name"): it.get("template") for it in template if isinstance(it, dict)}
        template = named.get("tool_use") or named.get("default")
    return (
        template if isinstance(template, str) else "",
        _token(config.get("bos_token")),
        _token(config.get("eos_token")),
    )


def _token(told: Any) -> str:
    """A token is told as its text, or as an object that holds it."""
    text = told.get("content") if isinstance(told, dict) else told
    return text if isinstance(text, str) else ""
