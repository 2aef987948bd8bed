"""The model's own chat template: Jinja, as Hugging Face's `transformers` defines it.

https://huggingface.co/docs/transformers/chat_templating: messages and tools in, the prompt out;
`raise_exception` and `strftime_now` are there, `tojson` escapes no HTML and keeps Unicode, blocks
are trimmed, and `{% generation %}`, which marks what is trained on, writes what stands in it. The
template is somebody else's program, so it runs in Jinja's sandbox.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, cached_property, partial
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from function_calling.errors import RequestError, SettingsError
from function_calling.model.words import Message

EXAMPLE_CALL = ("Qx0z", '{"Qx1z": "Qx2z"}')
"""A call of a tool, its arguments as JSON."""
EXAMPLE_TEXTS = ("Qx3z", "Qx4z")
"""The name of another tool, and what the call returned."""

_WANTED: tuple[tuple[bool, list[Any] | None], ...] = (
    *((False, None), (True, None), (False, []), (True, [])),
    # For a template that writes no text of a user's.
    (False, None),
)
"""Whether text is to be a list of parts, and what stands for no tools; most want the first."""


class _Generation(Extension):
    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """A chat template with the special texts that it may write.

    Attributes:
        source: The Jinja text, from the tokenizer's configuration or the GGUF's metadata.
        tokens: The texts of the tokens that begin a prompt and end a turn, by the names that
            templates have for them.
        shows: Whether it writes the texts of turns of these roles, in this order, as texts of ours
            tell, once: `shows("system", "user")`; with `key="name"`, who speaks.

    Raises:
        SettingsError: The source is no Jinja.
    """

    def __init__(self, source: str, bos_token: str = "", eos_token: str = "") -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
        )
        environment.filters["tojson"] = partial(json.dumps, ensure_ascii=False)
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self.source = source
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise SettingsError(f"The chat template is no Jinja: {error}.") from error
        self.tokens = {"bos_token": bos_token, "eos_token": eos_token}
        for self._parts, self._no_tools in _WANTED:
            if self._shows("user"):
                break
        self.shows = cache(self._shows)

    def _shows(self, *roles: str, key: str = "content") -> bool:
        marks = [f"Qx{index}z" for index in range(len(roles))]
        turns: list[Message] = [
            {"role": role, "content": "?", key: mark}
            for role, mark in zip(roles, marks, strict=True)
        ]
        try:
            written = self.render(turns)
        except RequestError:
            return False
        return all(mark in written for mark in marks)

    @cached_property
    def example(self) -> str:
        """What it writes of an example of tools, calls and results; nothing if it refuses that."""
        (called, arguments), (offered, returned) = EXAMPLE_CALL, EXAMPLE_TEXTS
        function: dict[str, Any] = {"name": called, "arguments": json.loads(arguments)}
        call = {"id": "123456789", "type": "function", "function": function}
        turns: list[Message] = [
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "name": called, "content": returned, "tool_call_id": call["id"]},
        ]
        tool = {
            "name": offered,
            "description": "",
            "parameters": {"type": "object", "properties": {}},
        }
        try:
            return self.render(turns, [{"type": "function", "function": tool}])
        except RequestError:
            return ""

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] | None = None,
        *,
        closed: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> str:
        """The prompt, up to where the assistant's turn begins; if `closed`, all turns and no more.

        `options` are more variables for the template, such as `enable_thinking`. What writes no
        plain text is given a list of one part, and what iterates tools where there are none, an
        empty one.

        Raises:
            RequestError: The template refuses these messages, or can't be carried out on them; or
                an option has the name of a variable that is set here.
        """
        if self._parts:
            messages = [
                {**it, "content": [{"type": "text", "text": it["content"]}]} for it in messages
            ]
        values: dict[str, Any] = {
            "messages": messages,
            "tools": tools or self._no_tools,
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
        except Exception as error:  # its expressions raise whatever Python's own would
            raise RequestError(
                f"The model's chat template can't write these messages: {error}.", param="messages"
            ) from error


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
