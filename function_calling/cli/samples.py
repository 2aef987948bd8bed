"""The command `samples`: recorded conversations as training text, as serving would show them.

A sample's text is the prompt of an assistant's turn with that turn behind it; its spans are what
the assistant wrote, each up to where it stopped. Where a later prompt tells a turn otherwise than
it was when it was written, that turn gets a sample of its own.

A turn ends with the mark that the chat template sets behind it; where the template sets none, with
the mark that begins the next turn; and before a result that stands in the assistant's own turn,
with the word that announces it (`Observation:`).
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from function_calling.api.messages import conversation
from function_calling.api.request import ChatRequest
from function_calling.cli.debug import chosen, read_input
from function_calling.errors import RequestError, naming, shown, wrong
from function_calling.formats import Format, find_format
from function_calling.formats.call_list import CallList
from function_calling.formats.rendering import render, split_turns
from function_calling.formats.template import ChatTemplate
from function_calling.model.schema import enforceable
from function_calling.model.words import Message, Tool, ToolCall

_ANY_TEXT = "\ue000"
"""Stands for a reply of which only the frame is asked for; nobody writes it."""
_MARK = r"\s*(?:<[^<>\s]+>|\[[^\[\]\s]+\])"
"""A special token, as models spell them: `<|user|>`, `[INST]`."""


def learn(options: argparse.Namespace) -> int:
    """Print training text, and on stderr each line that holds none; the exit status."""
    form, template = chosen(options)
    status = 0
    for number, line in enumerate(read_input(options.conversations).splitlines(), 1):
        try:
            for sample in samples(line, form, template) if line.strip() else ():
                print(json.dumps(sample._asdict(), ensure_ascii=False), flush=True)
        except RequestError as error:
            print(f"line {number}: {' '.join(error.message.split())}", file=sys.stderr)
            status = 1
    return status


class Sample(NamedTuple):
    """A text, and the places [start, end) in it, in characters, that are to be learned."""

    text: str
    spans: list[tuple[int, int]]


def samples(line: bytes, form: Format, template: ChatTemplate) -> list[Sample]:
    """The samples of a conversation: JSON with OpenAI's `messages` and `tools` (or `functions`).

    Args:
        line: The conversation.
        form: The format of tools and calls, unless the conversation names its own `tool_format`.
        template: The model's chat template.

    Raises:
        RequestError: Names what is wrong in the conversation, and what was wanted.
    """
    chat = ChatRequest.parse(line)
    form = find_format(chat.tool_format) if chat.tool_format else form
    messages, tools = conversation(chat.messages), chat.offered_tools()
    schemas: dict[str, Mapping[str, Any]] = {}
    for tool in tools:
        with naming(f"Tool {tool.name}", "tools"):
            schemas[tool.name] = enforceable(tool.parameters, longest_string=1)[0]
    for index, (message, told) in enumerate(zip(messages, chat.messages, strict=True)):
        place, weight = f"messages[{index}]", told.get("weight")
        message["weight"] = 1 if weight is None else weight
        if message["weight"] not in (0, 1):
            raise wrong(f"{place}.weight", message["weight"], "0 or 1")
        for number, call in enumerate(message.get("tool_calls", ()) if message["weight"] else ()):
            _check_call(form, schemas, call["function"], f"{place}.tool_calls[{number}].function")
    turns = split_turns(form, messages)
    weights = [turn.pop("weight") for turn in turns]
    learned = [
        _turn(form, template, turns, index, tools)
        for index, turn in enumerate(turns)
        if turn["role"] == "assistant" and weights[index] and index
    ]
    if not learned:
        raise RequestError(
            "messages holds nothing to learn: wanted an assistant's message behind another one.",
            param="messages",
        )
    return _joined(learned)


def _check_call(
    form: Format, schemas: Mapping[str, Mapping[str, Any]], call: Mapping[str, str], place: str
) -> None:
    """A model must not learn calls that can't be made, or that `/v1` reads otherwise."""
    name, arguments = call["name"], call["arguments"]
    if name not in schemas:
        offered = ", ".join(schemas) or "none are given"
        raise wrong(f"{place}.name", name, f"one of the tools: {offered}")
    recorded, written, read = None, form.calls([(name, arguments)]), []
    with suppress(ValueError, RecursionError):
        recorded = json.loads(arguments)
    if isinstance(recorded, dict):
        reader = CallList(form, (name,), (name,), schemas, most=1)
        behind = written.removeprefix(form.calls_open + form.call_head((name,)))
        calls = (each for each in reader.feed(behind) if isinstance(each, ToolCall))
        read = [json.loads(call.arguments) for call in calls]
    if json.dumps(read) != json.dumps([recorded]):
        wanted = f"an object as JSON that {form.name} can spell under the tool's schema"
        told = f"{wanted}; {shown(written)} is read as {shown(read)}"
        raise wrong(f"{place}.arguments", arguments, told)


class _Turn(NamedTuple):
    """An assistant's turn: the prompt, with what it says behind it, and with its end, too.

    `learns_end` says whether the model is to learn to stop there, no other turn of its own
    following.
    """

    prompt: str
    body: str
    text: str
    end: re.Pattern[str]
    learns_end: bool

    def span(self, text: str) -> tuple[int, int] | None:
        """Where the turn stands in the text [start, end); None if it doesn't stand there so."""
        end = self.end.match(text, len(self.body)) if text.startswith(self.body) else None
        return end and (len(self.prompt), end.end() if self.learns_end else len(self.body))


def _turn(
    form: Format,
    template: ChatTemplate,
    turns: Sequence[Message],
    index: int,
    tools: Sequence[Tool],
) -> _Turn:
    """The turn at a place of a conversation.

    Raises:
        RequestError: The template refuses the turns, or doesn't let this one follow its prompt.
    """
    before, turn, after = turns[:index], turns[index], turns[index + 1 : index + 2]
    calls = turn.get("tool_calls")
    prompt = render(form, template, before, tools)
    text = render(form, template, before, tools, reply=turn)
    if not text.startswith(prompt):
        raise RequestError(
            f"The chat template writes {shown(calls or turn['content'])} otherwise than it lets a "
            "reply begin; wanted the same text before it.",
            param="messages",
        )
    any_reply: Message = {"role": "assistant", "content": _ANY_TEXT}
    frame = render(form, template, before, tools, reply=any_reply).rpartition(_ANY_TEXT)[2]
    marked = bool(frame.strip())
    body, end = text.removesuffix(frame), re.escape(frame.rstrip())
    if not marked:
        end = f"{_MARK}|{re.escape(frame)}"
    if not text.endswith(frame):  # the frame of a call may differ from that of text
        body, end = text.rstrip(), ""
    waits = form.result_role == "assistant" and bool(calls)
    if waits:
        announced = form.result.partition("{content}")[0].strip()
        end = rf"\s*{re.escape(announced)}|{end}"
    if waits or not marked:
        following: Message = after[0] if after else {"role": "user", "content": ""}
        if calls:
            following = {"role": "tool", "tool_call_id": calls[0]["id"], "content": ""}
        longer = render(form, template, [*before, turn, following], tools)
        text = longer if longer.startswith(body) else text
    ended = re.compile(end).match(text, len(body))
    goes_on = bool(after) and after[0]["role"] == "assistant" and marked
    return _Turn(prompt, body, text[: ended.end()] if ended else text, re.compile(end), not goes_on)


def _joined(learned: Sequence[_Turn]) -> list[Sample]:
    """As few samples as hold all these turns; the one with the last turn comes last."""
    result: list[Sample] = []
    while learned:
        text = learned[-1].text
        spans = [turn.span(text) for turn in learned]
        result.append(Sample(text, [span for span in spans if span]))
        learned = [turn for turn, span in zip(learned[:-1], spans, strict=False) if not span]
    return result[::-1]
