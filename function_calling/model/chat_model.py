"""A chat model: a format and an engine.

It renders the prompt, lets the engine write freely until a tool call begins, and from there on
writes the call's literals itself and has the engine fill the slots under the tool's schema. The
prompt cache makes each such hop cheap, and a call that is not valid can't be sampled, by any
model, in any mode.
"""

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from function_calling.engines import LoadedModel, load_engine
from function_calling.engines.quoting import quoter, unmarked
from function_calling.errors import RequestError, naming, one_line, schema_refused
from function_calling.formats import Format, choose_format, find_format
from function_calling.formats.rendering import render
from function_calling.formats.template import ChatTemplate
from function_calling.model.reasoning import reasoning_marks
from function_calling.model.schema import Budget, Schema, binds, enforceable, enforceable_value
from function_calling.model.turn import Turn
from function_calling.model.words import (
    ContentFormat,
    Event,
    Finished,
    JsonSlot,
    Message,
    Sampling,
    TextDelta,
    Tool,
    ToolChoice,
    Usage,
)
from function_calling.settings import Settings

_log = logging.getLogger(__name__)

CHARACTERS_OF_A_TOKEN = 256
"""More than the longest token of known vocabularies has (128 spaces, in those of Llama 3 and Qwen).

So a prompt of more characters than this for each token of the context can't fit, and is refused
before it is tokenized and waits for a slot.
"""


class ChatModel:
    """Replies to chat messages, with text and with tool calls.

    Args:
        model: The engine with its model, and the model's own chat template.
        form: The format in which this model calls tools.
        names: What it is served as; replies have the first. None means the model's own name.

    Attributes:
        context_length: Tokens of prompt and reply together, for each request.
    """

    def __init__(self, model: LoadedModel, form: Format, names: Sequence[str] = ()) -> None:
        self.names = tuple(names) or (model.name,)
        self.name = self.names[0]
        self.context_length = model.context_length
        self.engine = model.engine
        self.form = form
        self.template = ChatTemplate(model.chat_template, model.bos_token, model.eos_token)
        # As many characters as the context has tokens: about a quarter of it.
        self._longest_string = self.context_length
        self._longest_prompt = self.context_length * CHARACTERS_OF_A_TOKEN
        self._unenforced = model.unenforced
        self._quoted = quoter(model.controls)
        self.reasoning = reasoning_marks(model.chat_template)

    def constraint(
        self, asked: Tool | ContentFormat, budget: Budget | None = None
    ) -> tuple[Schema, list[str]]:
        """What arguments or content are held to, and the keywords to which they aren't.

        Each of those is told by its place ("weather: unit: not"), and logged.
        """
        if isinstance(asked, Tool):
            name, thing = asked.name, f"Tool {asked.name}"
            rewrite = partial(enforceable, asked.parameters, budget=budget)
        else:
            name = thing = asked.param
            rewrite = partial(enforceable_value, asked.schema)
        with naming(thing, asked.param):
            schema, ignored = rewrite(
                longest_string=self._longest_string, unenforced=self._unenforced
            )
            if asked.strict and (broken := list(filter(binds, ignored))):
                raise schema_refused(f"it is strict, and holds {', '.join(broken)}")
        if ignored:
            _log.warning("%s", one_line(f"{thing}: not enforced: {', '.join(ignored)}"))
        return schema, [f"{name}: {place}" for place in ignored]

    def turn(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        choice: ToolChoice,
        sampling: Sampling,
        *,
        content: ContentFormat | None = None,
        tool_format: str | None = None,
        template_options: Mapping[str, Any] | None = None,
    ) -> Turn:
        """The reply to the messages, which `Turn.events` generates.

        Args:
            messages: The conversation; `content` is text.
            tools: The tools that the model is told of.
            choice: Which of them the reply may or must call.
            sampling: How to generate.
            content: What the text must be, where it is to be JSON.
            tool_format: The format's name, where it isn't to be the model's own.
            template_options: More variables for the chat template.

        Raises:
            RequestError: The messages or tools can't be used.
        """
        form = find_format(tool_format) if tool_format else self.form
        if not tools and not any(message["role"] == "tool" for message in messages):
            form = replace(form, steps=False)
        schemas: dict[str, Mapping[str, Any]] = {}
        budget, unenforced, held = Budget(), [], None
        for tool in form.with_answer_tool(tools):
            if tool.name in choice.names or tool not in tools:
                schemas[tool.name], ignored = self.constraint(tool, budget)
                unenforced += ignored
        if content:
            schema, ignored = self.constraint(content)
            held = JsonSlot(schema, content.param)
            unenforced += ignored
        reminded = choice.mode == "auto" and messages[-1]["role"] == "tool"
        options = template_options
        told = self._quoted(list(messages))
        written = partial(render, form, self.template, told, reminded=reminded, options=options)
        # Whoever is told to answer with a list of calls does, also where none may be made.
        untold = form.no_calls and choice.mode == "none"
        prompt = written([Tool(**self._quoted(asdict(it))) for it in tools if not untold])
        self._check_length(prompt, "messages")
        may_say_none = form.no_calls and choice.mode == "auto" and not content
        return Turn(
            *(self.engine, form, prompt, schemas, choice, sampling),
            content=held,
            reasoning=self.reasoning,
            unenforced=unenforced,
            params={f"Tool {tool.name}": tool.param for tool in tools},
            without_tools=partial(written, ()) if may_say_none else None,
        )

    async def complete(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Event, None]:
        """The text that continues a prompt; `Finished` comes last.

        Raises:
            RequestError: The prompt is too long.
            EngineError: The engine failed.
        """
        prompt = unmarked(prompt)
        self._check_length(prompt, "prompt")
        async with aclosing(self.engine.generate(prompt, sampling)) as pieces:
            async for piece in pieces:
                if piece.text:
                    yield TextDelta(piece.text, piece.logprobs)
                if piece.finish_reason:
                    usage = Usage(
                        piece.prompt_tokens,
                        piece.completion_tokens,
                        cached_tokens=piece.cached_tokens,
                    )
                    yield Finished(piece.finish_reason, usage)

    def _check_length(self, prompt: str, param: str) -> None:
        if len(prompt) > self._longest_prompt:
            raise RequestError(
                f"The prompt has {len(prompt)} characters; this model's context holds at most "
                f"{self._longest_prompt} of prompt and reply together.",
                param=param,
                code="context_length_exceeded",
            )


def load_chat_model(settings: Settings) -> ChatModel:
    """The model of the settings, loaded, with the format that it speaks.

    Raises:
        SettingsError: The engine can't run here.
        WeightsError: The model's file can't be had.
    """
    model = load_engine(settings)
    names = [name.strip() for name in settings.model_name.split(",") if name]
    return ChatModel(model, choose_format(settings.tool_format, model.chat_template), names)
