"""What a model would be told: a request's prompt, its calls as literals and slots, its grammars.

Nothing is told here that `/v1` would not tell an engine: the request goes the same way, and in the
engine's place stands one that notes what it is given.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterator
from typing import NamedTuple

from function_calling.chat_messages import conversation
from function_calling.chat_model import ChatModel
from function_calling.chat_request import ChatRequest
from function_calling.engines import LoadedModel
from function_calling.engines.grammar import grammar
from function_calling.formats import Format, find_format
from function_calling.formats.template import ChatTemplate
from function_calling.messages import (
    Alternative,
    ContentFormat,
    JsonSlot,
    Message,
    OneOf,
    Piece,
    Sampling,
    TextSlot,
    Tool,
    ToolChoice,
)

# What it would say of keywords is a section of its own here.
logging.getLogger(ChatModel.__module__).addHandler(logging.NullHandler())


class Section(NamedTuple):
    """A part of what is told."""

    heading: str
    text: str


class _Given(NamedTuple):
    """What an engine is given for one generation."""

    prompt: str
    sampling: Sampling


class _Listener:
    """An engine that notes what it is given, and writes `text` once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.given: list[_Given] = []

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        self.given.append(_Given(prompt, sampling))
        text, self._text = self._text, ""
        yield Piece(text)
        yield Piece("", finish_reason="length" if sampling.constraint else "stop")

    async def busy(self) -> int:
        """See `Engine.busy`."""
        return 0

    def close(self) -> None:
        """See `Engine.close`."""


class Playground:
    """A request, before a model of which only the chat template is there.

    Args:
        body: OpenAI's chat-completion request, as JSON.
        form: The format in which the model calls tools, unless the request names one.
        template: The model's chat template.
        context_length: Tokens of prompt and reply together, by which strings are bounded.

    Raises:
        RequestError: `/v1` would refuse the request.
    """

    def __init__(
        self, body: bytes, form: Format, template: ChatTemplate, context_length: int
    ) -> None:
        chat = ChatRequest.parse(body)
        self._messages: list[Message] = conversation(chat.messages)
        self._tools: list[Tool] = chat.offered_tools()
        self._content: ContentFormat | None = chat.content()
        self._choice: ToolChoice = chat.choice(self._tools)
        self._sampling = chat.samplings()[0]
        self._form = find_format(chat.tool_format) if chat.tool_format else form
        self._template = template
        self._context_length = context_length
        self._model = self._with(_Listener(""))

    def _with(self, engine: _Listener) -> ChatModel:
        source, tokens = self._template.source, self._template.tokens
        ends = tokens["bos_token"], tokens["eos_token"]
        return ChatModel(LoadedModel("", engine, source, *ends, self._context_length), self._form)

    def _given(self, text: str) -> list[_Given]:
        """What an engine that writes `text` is given, one generation after the other."""
        listener = _Listener(text)
        reply = self._with(listener).reply(
            self._messages,
            self._tools,
            self._choice,
            self._sampling,
            content=self._content,
        )

        async def listen() -> None:
            async for _ in reply:
                pass

        asyncio.run(listen())
        return listener.given

    def sections(self) -> Iterator[Section]:
        """The prompts, each call that may be made, the constraints, and what isn't enforced.

        Raises:
            RequestError: `/v1` would refuse the request.
        """
        first, *more = self._given("")
        name = self._form.name
        yield Section(f"prompt: {name}, {len(first.prompt)} characters", first.prompt)
        for again in more:
            told = f"prompt if it says nothing or repeats a call: {len(again.prompt)} characters"
            yield Section(told, again.prompt)
        callable_tools = self._callable_tools()
        if not callable_tools:
            yield Section("calls: none", "")
        for tool in callable_tools:
            head = self._form.before_call("") + self._form.call_head((tool.name,))
            rest = self._form.call_rest(tool.name, self._model.constraint(tool), (tool.name,))
            yield Section(f"call: {tool.name}", "\n".join(_told((head, *rest))))
        if first.sampling.constraint:
            told = f"constraint behind the prompt: {self._mode()}"
            yield Section(told, grammar(first.sampling.constraint))
        if self._choice.mode != "required":
            yield from self._begun(first.prompt, callable_tools)
        offered = [tool for tool in self._tools if tool.name in self._choice.names]
        if unenforced := self._model.unenforced(offered, self._content):
            yield Section("not enforced", "\n".join(unenforced))

    def _mode(self) -> str:
        return "a call" if self._choice.mode == "required" else "the content, or a call"

    def _callable_tools(self) -> list[Tool]:
        """The tools that may be called, the format's own included."""
        tools = self._form.with_answer_tool(self._tools)
        names = self._choice.names
        return [tool for tool in tools if tool.name in names or tool not in self._tools]

    def _begun(self, prompt: str, tools: list[Tool]) -> Iterator[Section]:
        """The constraints of calls that the model begins; several may share one."""
        told: set[str] = set()
        for tool in tools:
            for given in self._given(self._form.calls([(tool.name, "{}")]))[1:]:
                behind = json.dumps(given.prompt.removeprefix(prompt), ensure_ascii=False)
                if behind not in told:
                    told.add(behind)
                    heading = f"constraint once a call begins, behind {behind}"
                    yield Section(heading, grammar(given.sampling.constraint))


def _told(parts: Alternative, indent: str = "") -> Iterator[str]:
    """Literals and slots, a line each."""
    for part in parts:
        match part:
            case str():
                yield f"{indent}literal  {json.dumps(part, ensure_ascii=False)}"
            case JsonSlot():
                yield f"{indent}json     {json.dumps(part.schema, ensure_ascii=False)}"
            case TextSlot():
                end = json.dumps(part.end, ensure_ascii=False)
                yield f"{indent}text     of {part.shortest} to {part.longest} characters, and {end}"
            case OneOf() if any(part.alternatives):
                for index, each in enumerate(part.alternatives):
                    yield f"{indent}{'or' if index else 'either'}{'' if each else '   nothing'}"
                    yield from _told(each, indent + "    ")
