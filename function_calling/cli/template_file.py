"""A model's chat template from the file that holds it, or plain turns where none is named.

A template stands in a model's GGUF file, of which the head is read, in its `tokenizer_config.json`,
or alone as Jinja.
"""

from pathlib import Path

from pydantic_core import from_json

from function_calling.engines.gguf import read_head
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
        return ChatTemplate(*_read(Path(path)))
    except (OSError, ValueError, LookupError, TypeError, FunctionCallingError) as error:
        raise SettingsError(
            f"{path}: it holds no chat template ({error}); wanted a GGUF file, a "
            "tokenizer_config.json or Jinja."
        ) from error


def _read(path: Path) -> tuple[str, str, str]:
    """The template with the texts of the first and the last token, "" for what isn't told."""
    if (head := read_head(path)) is not None:
        texts = head["tokenizer.ggml.tokens"]
        ids = (head.get(f"tokenizer.ggml.{it}_token_id") for it in ("bos", "eos"))
        bos_token, eos_token = ("" if it is None else texts[it] for it in ids)
        return head["tokenizer.chat_template"], bos_token, eos_token
    content = path.read_text(encoding="utf-8-sig")
    try:
        config = from_json(content)
    except ValueError:
        return content, "", ""
    # https://huggingface.co/docs/transformers/chat_templating: there may be several.
    template = config["chat_template"]
    if isinstance(template, list):
        named = {each["name"]: each["template"] for each in template}
        template = named.get("tool_use") or named["default"]
    # A token is told as its text, or as an object that holds it.
    tokens = (config.get(it) or "" for it in ("bos_token", "eos_token"))
    bos_token, eos_token = (it["content"] if isinstance(it, dict) else it for it in tokens)
    return template, bos_token, eos_token
