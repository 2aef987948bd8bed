"""An engine that says what a test wrote down for it, and chat models around it.

A "token" is a piece of `piece_length` characters. As with a real engine, the last piece carries
the finish reason and no text, and tokens that run out at the very end are still "length". Where
probabilities are asked for, the n-th likeliest token is the text with n question marks behind it,
and each has half of the probability before.
"""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any

from function_calling.engines import LoadedModel
from function_calling.formats import HERMES, LLAMA3, Format
from function_calling.model.chat_model import ChatModel
from function_calling.model.words import (
    Alternative,
    JsonSlot,
    OneOf,
    Piece,
    Repeat,
    Sampling,
    TextSlot,
    TokenLogprob,
)

CHATML = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Plain turns; it knows nothing of tools."""

LLAMA31 = """\
{{- bos_token }}
{%- set tools_are = namespace(told=false) %}
{%- for message in messages %}
    {%- set head = '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' %}
    {%- if message.role == 'tool' %}
        {{- '<|start_header_id|>ipython<|end_header_id|>\\n\\n' }}
        {{- message.content | tojson }}
    {%- elif message.tool_calls %}
        {%- if message.tool_calls | length != 1 %}
            {{- raise_exception('One tool call a message, please') }}
        {%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- head + '{"name": "' + call.name + '", "parameters": ' }}
        {{- call.arguments | tojson + '}' }}
    {%- elif message.role == 'user' and tools and not tools_are.told %}
        {%- set tools_are.told = true %}
        {{- head + 'Answer with a call of one of these (never with <|python_tag|>):\\n' }}
        {%- for tool in tools %}
            {{- tool | tojson(indent=4) + '\\n' }}
        {%- endfor %}
        {{- message.content }}
    {%- else %}
        {{- head + message.content }}
    {%- endif %}
    {{- '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
"""What is particular in Llama 3.1's template: one call a turn, results quoted, role ipython."""

QWEN3 = """\
{%- set ns = namespace(asked=0) %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{%- set ns.asked = loop.index0 %}{%- endif %}
{%- endfor %}
{%- if tools %}{{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}{{- tool | tojson + '\\n' }}{%- endfor %}
    {{- 'Call with <tool_call>.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.role == 'assistant' and loop.index0 > ns.asked %}
        {{- '<think>\\n' + (message.reasoning_content or '') + '\\n</think>\\n\\n' }}
    {%- endif %}
    {{- message.content }}
    {%- for call in message.tool_calls or [] %}
        {{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
        {{- call.function.arguments | tojson + '}\\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""
"""What is particular in Qwen3's: reasoning, of replies to the last question; a switch for it."""

OPENING = QWEN3 + "{% if add_generation_prompt %}{{- '<think>\\n' }}{% endif %}"
"""As that of Qwen3's models that always think: the prompt ends with the beginning of a thought."""


class Fills:
    """The engine obeys the constraint in the shortest way: it calls these tools, or the first."""

    def __init__(self, *tools: str) -> None:
        self.tools = tools

    def __repr__(self) -> str:
        return f"Fills{self.tools}"


@dataclass(frozen=True)
class Fails:
    """The engine says some text and then raises `error`."""

    error: Exception
    text: str = ""


@dataclass(frozen=True)
class Hangs:
    """The engine says some text, and then nothing more comes."""

    text: str = ""


class ScriptedEngine:
    """Plays its turns in order; a generation more than there are turns is an error of the test.

    Args:
        turns: Texts to say, or what else happens.
        piece_length: Characters of a piece.

    Attributes:
        prompts: The prompts so far.
        samplings: How each was to be continued.
        said: The text of each generation, as far as it was taken.
        aborted: How many generations were closed before their end.
        hanging: Set once a generation hangs.
        closed: Whether the engine was closed.
    """

    def __init__(self, *turns: str | Fills | Fails | Hangs, piece_length: int = 3) -> None:
        self._turns = list(turns)
        self._piece_length = piece_length
        self._running = 0
        self.prompts: list[str] = []
        self.samplings: list[Sampling] = []
        self.said: list[str] = []
        self.aborted = 0
        self.hanging = asyncio.Event()
        self.closed = False

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """Play the next turn."""
        self.prompts.append(prompt)
        self.samplings.append(sampling)
        self.said.append("")
        turn = self._turns.pop(0)
        number, ended = len(self.said) - 1, False
        self._running += 1
        try:
            for piece in self._pieces(turn, len(prompt.split()), sampling):
                await asyncio.sleep(0)  # as with a real engine, others run meanwhile
                self.said[number] += piece.text
                ended = piece.finish_reason is not None
                yield piece
            if isinstance(turn, Fails):
                ended = True
                raise turn.error
            if isinstance(turn, Hangs):
                self.hanging.set()
                await asyncio.Event().wait()
        finally:
            self._running -= 1
            self.aborted += not ended

    async def count(self, prompt: str) -> int:
        """Its words, as in the pieces."""
        return len(prompt.split())

    async def busy(self) -> int:
        """How many generations are running now."""
        return self._running

    async def waiting(self) -> int:
        """None: all run at once."""
        return 0

    def close(self) -> None:
        """Remember it."""
        self.closed = True

    def _pieces(
        self, turn: str | Fills | Fails | Hangs, prompt_tokens: int, sampling: Sampling
    ) -> Iterator[Piece]:
        if isinstance(turn, Fills):
            text = shortest(sampling.constraint, *turn.tools)
        else:
            text = turn if isinstance(turn, str) else turn.text
        stops = [(at, stop) for stop in sampling.stop if (at := text.find(stop)) >= 0]
        end, stop = min(stops, default=(len(text), None))
        text = text[:end]
        tokens = 0
        while text and tokens != sampling.max_tokens:
            piece, text = text[: self._piece_length], text[self._piece_length :]
            tokens += 1
            yield Piece(piece, prompt_tokens, tokens, logprobs=likeliest(piece, sampling.logprobs))
        if not isinstance(turn, (Fails, Hangs)):
            reason = "length" if tokens == sampling.max_tokens else "stop"
            yield Piece("", prompt_tokens, tokens, reason, stop=stop if reason == "stop" else None)


def likeliest(token: str, most: int | None) -> tuple[TokenLogprob, ...]:
    """The token and the `most` likeliest in its place; nothing where None is asked for."""
    if most is None:
        return ()
    top = (TokenLogprob(token + "?" * rank, -math.log(2) * (rank + 1)) for rank in range(most))
    return (TokenLogprob(token, -math.log(2), tuple(top)),)


def shortest(constraint: tuple[Alternative, ...], *tools: str) -> str:
    """A short text that the constraint allows: calls of the tools, or the first alternative."""
    first, *rest = constraint[0]
    if not isinstance(first, OneOf):
        return _shortest(constraint[0])
    text = _call(first, *tools[:1])
    for part in rest:
        if isinstance(part, Repeat):
            *head, calls = part.part
            assert isinstance(calls, OneOf)
            text += "".join(_shortest(tuple(head)) + _call(calls, tool) for tool in tools[1:])
        else:
            text += _shortest((part,))
    return text


def first_calls(sampling: Sampling) -> tuple[Alternative, ...]:
    """The calls with which a list may begin, where its constraint is one."""
    calls = sampling.constraint[0][0]
    assert isinstance(calls, OneOf)
    return calls.alternatives


def _call(calls: OneOf, tool: str = "") -> str:
    wanted = calls.alternatives
    if tool and len(wanted) > 1:
        wanted = tuple(each for each in wanted if str(each[0]).startswith(tool))
    return _shortest(wanted[0])


def _shortest(alternative: Alternative) -> str:
    text = ""
    for part in alternative:
        match part:
            case JsonSlot():
                text += json.dumps(smallest(part.schema, part.schema))
            case TextSlot():
                text += "x" * part.shortest + part.end
            case OneOf():
                text += _shortest(part.alternatives[0])
            case str():
                text += part
    return text


def smallest(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """A value that `schema` allows, with nothing in it that may be left out."""
    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#").split("/")[1:]:
            target = target[step]
        return smallest(target, root)
    if "anyOf" in schema:
        return smallest(schema["anyOf"][0], root)
    if "enum" in schema or "const" in schema:
        return schema.get("enum", [schema.get("const")])[0]
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    if kind == "object":
        names = schema.get("required", ())
        properties = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        return {name: smallest(properties.get(name, rest), root) for name in names}
    if kind == "array":
        return [smallest(schema["items"], root)] * schema.get("minItems", 0)
    if kind in {"number", "integer"}:
        return max(0, schema.get("minimum", 0))
    return {"string": "x" * schema.get("minLength", 0), "boolean": False, "null": None}[kind]


def chatml_model(engine: ScriptedEngine, form: Format = HERMES) -> ChatModel:
    """A chat model whose template writes plain turns alone."""
    return ChatModel(_loaded(engine, CHATML), form)


def llama31_model(engine: ScriptedEngine) -> ChatModel:
    """A chat model with the particulars of Llama 3.1."""
    return ChatModel(_loaded(engine, LLAMA31), LLAMA3)


def qwen3_model(engine: ScriptedEngine, template: str = QWEN3) -> ChatModel:
    """A chat model that thinks before it replies."""
    return ChatModel(_loaded(engine, template), HERMES)


def _loaded(engine: ScriptedEngine, template: str) -> LoadedModel:
    return LoadedModel(
        name="scripted",
        engine=engine,
        chat_template=template,
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        context_length=200,
        controls=frozenset({"<|im_start|>", "<|im_end|>"}),
    )
