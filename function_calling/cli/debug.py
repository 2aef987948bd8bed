"""The commands `render` and `parse`: what a model is told, and how `/v1` reads what it says.

Both send a request the way of `/v1`; in the engine's place, a recorded text is played.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from pathlib import Path

from llguidance import LLMatcher, LLTokenizer
from pydantic_core import from_json

from function_calling.api.completions import ChatRequest
from function_calling.cli.template_file import template_file
from function_calling.engines import Engine, LoadedModel
from function_calling.engines.grammar import grammar
from function_calling.errors import SettingsError, shown
from function_calling.formats import Format, choose_format
from function_calling.formats.detection import CallDetector
from function_calling.formats.template import ChatTemplate
from function_calling.model.chat_model import ChatModel
from function_calling.model.turn import Turn
from function_calling.model.words import Event, Piece, Sampling, TextDelta, ToolCall
from function_calling.settings import Settings

_BYTES = LLTokenizer("byte")
_BACKSLASH = ord("\\")

# What it would say of keywords is a section of `render`.
logging.getLogger(ChatModel.__module__).addHandler(logging.NullHandler())


def render(options: argparse.Namespace) -> int:
    """Print what an engine would be given for a request; the exit status."""
    turn = requested(read_input(options.request), *chosen(options))
    # A constraint is that behind the reasoning, if there is any.
    for heading, text in sections(replace(turn, reasoning=None)):
        print(f"===== {heading} =====\n{text}")
    return 0


def parse(options: argparse.Namespace) -> int:
    """Print the content and the calls that `/v1` makes of a text; the exit status."""
    turn = requested(_with_tools(options.tools), *chosen(options))
    events, engine = played(turn, read_input(options.text).decode(errors="replace"))
    content = "".join(each.text for each in events if isinstance(each, TextDelta))
    print(content, end="\n" if content and not content.endswith("\n") else "")
    for each in events:
        if isinstance(each, ToolCall):
            print(f"call: {each.name} {each.arguments}")
    if engine.left.strip():
        sys.stdout.flush()
        print(f"The text leaves the grammar of /v1 at {shown(engine.left)}.", file=sys.stderr)
    return 0


def chosen(options: argparse.Namespace) -> tuple[Format, ChatTemplate]:
    """The format that is named, or set, or the template's own; and the template."""
    settings = Settings.from_env(os.environ)
    name = options.format or settings.tool_format
    template = template_file(options.template or settings.model_path, name)
    return choose_format(name, template.source), template


def read_input(name: str) -> bytes:
    """The bytes of the file of this name, or of standard input for "-".

    Raises:
        SettingsError: It can't be read.
    """
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: {error.strerror}; wanted a file, or -.") from error
    return content.removeprefix(BOM_UTF8)


def _with_tools(name: str) -> bytes:
    """A request with the tools in a file, which are a list or in another request.

    Raises:
        SettingsError: There is no JSON, or none with tools.
    """
    try:
        body = from_json(read_input(name))
        known = {"tools": body} if isinstance(body, list) else body
        tools = {key: known[key] for key in ("tools", "functions") if key in known}
        if not tools:
            raise ValueError
    except (ValueError, TypeError) as error:
        wanted = "wanted a list of tools, or a request with `tools`, as JSON"
        raise SettingsError(f"{name}: {wanted}.") from error
    return json.dumps({"messages": [{"role": "user"}], **tools}).encode()


def requested(body: bytes, form: Format, template: ChatTemplate) -> Turn:
    """The reply to OpenAI's chat-completion request of a model with this chat template.

    Args:
        body: The request, as JSON.
        form: The format in which the model calls tools, unless the request names one.
        template: All that is there of the model.

    Raises:
        RequestError: `/v1` would refuse the request.
    """
    length = Settings.from_env(os.environ).context_length
    ends = template.tokens["bos_token"], template.tokens["eos_token"]
    silent = Recording("", form, ())
    model = ChatModel(LoadedModel("", silent, template.source, *ends, length), form)
    chat = ChatRequest.parse(body)
    return model.turn(**chat.prompt(), sampling=chat.samplings()[0])


def played(turn: Turn, text: str) -> tuple[list[Event], "Recording"]:
    """The reply of `/v1` where the model writes this text, and the engine that played it.

    Raises:
        RequestError: `/v1` would refuse the request.
    """
    engine = Recording(text, turn.form, tuple(turn.schemas))

    async def events() -> list[Event]:
        return [event async for event in replace(turn, engine=engine).events()]

    return asyncio.run(events()), engine


def sections(turn: Turn) -> Iterator[tuple[str, str]]:
    """Heading and text of the prompts, of the grammars, and of what isn't enforced.

    Raises:
        RequestError: `/v1` would refuse the request.
    """
    form, mode = turn.form, turn.choice.mode
    prompt, sampling = played(turn, "")[1].given[0]
    yield f"prompt: {form.name}, {len(prompt)} characters", prompt
    if sampling.constraint:
        what = "a call" if mode == "required" else "the content, or a call"
        yield f"constraint behind the prompt: {what}", grammar(sampling.constraint)
    begun: dict[str, str] = {}
    for name in turn.schemas if mode == "auto" else ():
        for written, how in played(turn, form.calls([(name, "{}")]))[1].given[1:]:
            if how.constraint:
                behind = json.dumps(written.removeprefix(prompt), ensure_ascii=False)
                begun[behind] = grammar(how.constraint)
    for behind, rules in begun.items():
        yield f"constraint once a call begins, behind {behind}", rules
    if turn.unenforced:
        yield "not enforced", "\n".join(turn.unenforced)


class Recording(Engine):
    """Plays what a model wrote in the format `form`, calling tools of `names`.

    Once a call has begun, `/v1` has the engine go on under a grammar. Then it writes what the text
    has there, as far as the grammar allows that, and what the grammar forces; white space that the
    grammar sets otherwise makes no difference.

    Attributes:
        given: The prompts so far, each with how it was to be continued.
        left: What the text has where it leaves the grammar.
    """

    def __init__(self, text: str, form: Format, names: tuple[str, ...]) -> None:
        self._text, self._form, self._names = text, form, names
        self.given: list[tuple[str, Sampling]] = []
        self.left = ""

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        self.given.append((prompt, sampling))
        first, text = self.given[0][0], ""
        if sampling.constraint and len(self.given) > 1:
            text = self._obeying(grammar(sampling.constraint))
        elif prompt.startswith(first) and self._text.startswith(prompt.removeprefix(first)):
            # Reasoning has been written apart.
            self._text = text = self._text.removeprefix(prompt.removeprefix(first))
        yield Piece(text)
        yield Piece("", finish_reason="length" if sampling.constraint else "stop")

    async def count(self, prompt: str) -> int:
        """None: there is no tokenizer here."""
        return 0

    def _obeying(self, rules: str) -> str:
        matcher = LLMatcher(_BYTES, rules, log_level=0)
        written, wanted = bytearray(), self._behind_start().encode()
        while not matcher.is_stopped():
            if wanted and matcher.validate_tokens([wanted[0]]):
                taken, wanted = wanted[:1], wanted[1:]
            elif wanted[:1].isspace() and not matcher.validate_tokens([_BACKSLASH]):
                wanted = wanted[1:]  # it is no part of a string
                continue
            elif taken := bytes(matcher.compute_ff_bytes())[:1]:
                if wanted and not taken.isspace():
                    self.left, wanted = wanted.decode(errors="replace"), b""
            else:
                break
            matcher.consume_tokens(list(taken))
            written += taken
        self.left = self.left or wanted.decode(errors="replace")
        return written.decode(errors="replace")

    def _behind_start(self) -> str:
        """The text behind the literal that `/v1` writes in place of the call's start."""
        _, start = CallDetector(self._form, self._names).feed(self._text)
        assert start is not None
        if start.name:
            return start.behind
        # A tag told no name: the object in it is spelled as a call is without the tag.
        content, inner = CallDetector(self._form, self._names).feed(start.behind)
        if content.strip() or inner is None or not inner.name:
            self.left = start.behind
            return ""
        name = inner.name + self._form.before_arguments if len(self._names) > 1 else ""
        return name + inner.behind
