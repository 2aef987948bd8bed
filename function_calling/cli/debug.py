"""The commands `render` and `parse`: what a model is told, and how `/v1` reads what it says.

Both send a request the way of `/v1`; in the engine's place, a recorded text is played.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from llguidance import LLMatcher, LLTokenizer
from pydantic_core import from_json

from function_calling.api.request import ChatRequest
from function_calling.cli.template_file import template_file
from function_calling.engines import Engine, LoadedModel
from function_calling.engines.grammar import grammar
from function_calling.errors import RequestError, SettingsError, shown
from function_calling.formats import Format, choose_format
from function_calling.formats.detection import CallDetector
from function_calling.formats.template import ChatTemplate
from function_calling.model.chat_model import ChatModel
from function_calling.model.turn import Turn
from function_calling.model.words import Event, Piece, Sampling, TextDelta, ToolCall
from function_calling.settings import Settings

_BOM = b"\xef\xbb\xbf"
_BYTES = LLTokenizer("byte")

# What it would say of keywords is a section of `render`.
logging.getLogger(ChatModel.__module__).addHandler(logging.NullHandler())


def render(options: argparse.Namespace) -> int:
    """Print what an engine would be given for a request; the exit status."""
    bench = Bench(read_input(options.request), *chosen(options))
    for heading, text in bench.sections():
        print(f"===== {heading} =====\n{text}")
    return 0


def parse(options: argparse.Namespace) -> int:
    """Print the content and the calls that `/v1` makes of a text; the exit status."""
    form, template = chosen(options)
    tools, text = read_input(options.tools), read_input(options.text).decode(errors="replace")
    try:
        events, played = Bench(_with_tools(tools), form, template).play(text, thinks=True)
    except (ValueError, RequestError) as error:
        raise SettingsError(f"{options.tools}: {error}") from error
    content = "".join(each.text for each in events if isinstance(each, TextDelta))
    print(content, end="\n" if content and not content.endswith("\n") else "")
    for each in events:
        if isinstance(each, ToolCall):
            print(f"call: {each.name} {each.arguments}")
    if any(how.constraint for _, how in played.given) and (played.left.strip() or not played.whole):
        sys.stdout.flush()
        told = f"leaves the grammar of /v1 at {shown(played.left)}" if played.left else "ends early"
        print(f"The text {told}.", file=sys.stderr)
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
        if name == "-":
            return sys.stdin.buffer.read().removeprefix(_BOM)
        return Path(name).read_bytes().removeprefix(_BOM)
    except OSError as error:
        raise SettingsError(
            f"{name}: {error.strerror}; wanted a file, or - for standard input."
        ) from error


def _with_tools(content: bytes) -> bytes:
    """A request with the tools of a list, or of another request.

    Raises:
        ValueError: There is no JSON, or none with tools.
    """
    try:
        values = from_json(content)
    except ValueError:
        values = content.decode(errors="replace")
    body = {"tools": values} if isinstance(values, list) else values
    known = {"tools", "functions"} & body.keys() if isinstance(body, dict) else ()
    if not known:
        raise ValueError(f"{shown(values)}: wanted a list of tools, or a request with `tools`.")
    tools = {key: body[key] for key in known}
    return json.dumps({"messages": [{"role": "user"}], **tools}).encode()


class Bench:
    """A request before a model of which only the chat template is there.

    Args:
        body: OpenAI's chat-completion request, as JSON.
        form: The format in which the model calls tools, unless the request names one.
        template: The model's chat template.

    Raises:
        RequestError: `/v1` would refuse the request.
    """

    def __init__(self, body: bytes, form: Format, template: ChatTemplate) -> None:
        length = Settings.from_env(os.environ).context_length
        ends = template.tokens["bos_token"], template.tokens["eos_token"]
        silent = Recording("", form, ())
        self._model = ChatModel(LoadedModel("", silent, template.source, *ends, length), form)
        self._chat = ChatRequest.parse(body)

    def _turn(self) -> Turn:
        return self._model.turn(**self._chat.prompt(), sampling=self._chat.samplings()[0])

    def play(self, text: str, *, thinks: bool = False) -> tuple[list[Event], "Recording"]:
        """The reply of `/v1` where the model writes this text, and the engine that played it.

        `thinks` says whether the text may begin with reasoning, which `/v1` has written apart.
        """
        turn = self._turn()
        turn.reasoning = turn.reasoning if thinks else None
        turn.engine = engine = Recording(text, turn.form, tuple(turn.schemas))

        async def events() -> list[Event]:
            return [event async for event in turn.events()]

        return asyncio.run(events()), engine

    def sections(self) -> Iterator[tuple[str, str]]:
        """Heading and text of the prompts, of the grammars, and of what isn't enforced.

        Raises:
            RequestError: `/v1` would refuse the request.
        """
        turn = self._turn()
        form, mode = turn.form, turn.choice.mode
        prompt, sampling = self.play("")[1].given[0]
        yield f"prompt: {form.name}, {len(prompt)} characters", prompt
        if sampling.constraint:
            what = "a call" if mode == "required" else "the content, or a call"
            yield f"constraint behind the prompt: {what}", grammar(sampling.constraint)
        begun: dict[str, str] = {}
        for name in turn.schemas if mode == "auto" else ():
            for written, how in self.play(form.calls([(name, "{}")]))[1].given[1:]:
                if how.constraint:
                    behind = json.dumps(written.removeprefix(prompt), ensure_ascii=False)
                    begun[behind] = grammar(how.constraint)
        for behind, rules in begun.items():
            yield f"constraint once a call begins, behind {behind}", rules
        if turn.unenforced:
            yield "not enforced", "\n".join(turn.unenforced)


class Recording(Engine):
    """Plays what a model wrote in the format `form`, calling tools of `names`.

    It writes the text from where the prompt ends in it, since `/v1` has reasoning written apart.
    Once a call has begun, `/v1` has the engine go on under a grammar; then it writes what the text
    has there, as far as the grammar allows that, and what the grammar forces. White space that the
    grammar sets otherwise makes no difference.

    Attributes:
        given: The prompts so far, each with how it was to be continued.
        whole: Whether the grammar let what was written under it end.
        left: What the text has where it leaves the grammar.
    """

    def __init__(self, text: str, form: Format, names: tuple[str, ...]) -> None:
        self._text, self._form, self._names = text, form, names
        self.given: list[tuple[str, Sampling]] = []
        self.whole = False
        self.left = ""

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        self.given.append((prompt, sampling))
        first, text = self.given[0][0], ""
        if sampling.constraint and len(self.given) > 1:
            text = self._obeying(grammar(sampling.constraint))
        elif prompt.startswith(first) and self._text.startswith(prompt.removeprefix(first)):
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
            forced, taken = bytes(matcher.compute_ff_bytes())[:1], wanted[:1]
            if taken and _allows(matcher, taken):
                wanted = wanted[1:]
            elif taken.isspace() and not _allows(matcher, b"\\"):  # it is no part of a string
                wanted = wanted[1:]
                continue
            elif forced:
                if taken and not forced.isspace():
                    self.left, wanted = wanted.decode(errors="replace"), b""
                taken = forced
            else:
                spaces = (b" ", b"\n") if taken else ()
                taken = next((it for it in spaces if _allows(matcher, it + taken)), b"")
                if not taken:
                    break
            matcher.consume_tokens(list(taken))
            written += taken
        self.left = self.left or wanted.decode(errors="replace")
        close = self._form.calls_close.encode()
        self.whole = matcher.is_accepting()
        if not self.whole and _allows(matcher, close) and matcher.consume_tokens(list(close)):
            self.whole = matcher.is_accepting()
            written += close if self.whole else b""
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


def _allows(matcher: LLMatcher, text: bytes) -> bool:
    return matcher.validate_tokens(list(text)) == len(text)
