"""The model's own chat template: Jinja, as Hugging Face's `transformers` defines it.

https://huggingface.co/docs/transformers/chat_templating: messages and tools in, the prompt out;
`raise_exception` and `strftime_now` are there, `tojson` escapes no HTML and keeps Unicode, blocks
are trimmed. The template is somebody else's program, so it runs in Jinja's sandbox.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from function_calling.errors import RequestError, SettingsError
from function_calling.model.words import Message

_FAILURES = (
    *(jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, RuntimeError),
    *(TypeError, ValueError),
)
"""What a template's expressions raise, as Python's own would."""


class ChatTemplate:
    """A chat template with the special texts that it may write.

    Args:
        source: The Jinja text, from the tokenizer's configuration or the GGUF's metadata.
        bos_token: Text of the token that begins a prompt.
        eos_token: Text of the token that ends a turn.

    Attributes:
        source: The same.
        tokens: Both tokens, by the names that templates have for them.

    Raises:
        SettingsError: The source is no Jinja.
    """

    def __init__(self, source: str, bos_token: str = "", eos_token: str = "") -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self.source = source
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise SettingsError(f"The chat template is no Jinja: {error}.") from error
        self.tokens = {"bos_token": bos_token, "eos_token": eos_token}

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] | None = None,
        *,
        closed: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> str:
        """The prompt, up to where the assistant's turn begins; if `closed`, all turns and no more.

        Args:
            messages: The conversation.
            tools: What the template is told of tools.
            closed: Whether the last turn is over.
            options: More variables for the template, such as `enable_thinking`.

        Raises:
            RequestError: The template refuses these messages, or can't be carried out on them; or
                an option has the name of a variable that is set here.
        """
        values: dict[str, Any] = {
            "messages": messages,
            "tools": tools or None,
            "add_generation_prompt": not closed,
            **self.tokens,
        }
        options = options or {}
        if taken := ", ".join(name for name in options if name in values):
            raise RequestError(
                f"chat_template_kwargs holds {taken}: wanted no variable that the server sets.",
                param="chat_template_kwargs",
            )
        try:
            return self._template.render(values | dict(options))
        except _FAILURES as error:
            raise RequestError(
                f"The model's chat template can't write these messages: {error}.", param="messages"
            ) from error


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
