"""The command `samples`: recorded conversations as training text, as serving would show them.

A sample's text is the prompt of an assistant's turn with that turn behind it; its spans are what
the assistant wrote, each up to where it stopped: with the first special token behind it, or else
the first word, such as that before a result (`Observation:`). Where a later prompt tells a turn
otherwise than it was when it was written, that turn gets a sample of its own.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from function_calling.api.completions import ChatRequest
from function_calling.api.messages import conversation
from function_calling.cli.debug import chosen, read_input
from function_calling.errors import RequestError, shown, wrong
from function_calling.formats import Format, find_format
from function_calling.formats.arguments import object_of
from function_calling.formats.rendering import render, split_turns
from function_calling.formats.template import ChatTemplate
from function_calling.model.words import Message, Tool

_ANY_TEXT = "\ue000"
"""Stands for a reply of which only the frame is asked for; nobody writes it."""
_END = re.compile(r"\s*(?:<[^<>\s]+>|\[[^\[\]\s]+\]|\S+)")
"""A special token as models spell them (`<|user|>`, `[INST]`), else a word (`Observation:`)."""


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
    # Results may have been put behind their calls; what the assistant said keeps its order.
    said = (message for message in messages if message["role"] == "assistant")
    for index, told in enumerate(chat.messages):
        if (weight := told.get("weight")) not in (None, 0, 1):
            raise wrong(f"messages[{index}].weight", weight, "0 or 1")
        if told["role"] != "assistant":
            continue
        message = next(said)
        message["learned"] = weight != 0
        for number, call in enumerate(message.get("tool_calls", ()) if weight != 0 else ()):
            place = f"messages[{index}].tool_calls[{number}].function"
            _check_call(call["function"], [tool.name for tool in tools], place)
    turns = split_turns(form, messages)
    marks = [turn.pop("learned", False) for turn in turns]
    learned = [
        _turn(form, template, turns, index, tools)
        for index, turn in enumerate(turns)
        if marks[index] and index
    ]
    if not learned:
        raise RequestError(
            "messages holds nothing to learn: wanted an assistant's message behind another one.",
            param="messages",
        )
    return _joined(learned)


def _check_call(function: dict[str, Any], offered: Sequence[str], place: str) -> None:
    """A model must not learn calls that can't be made."""
    if function["name"] not in offered:
        raise wrong(f"{place}.name", function["name"], f"one of the tools: {', '.join(offered)}")
    if object_of(function["arguments"]) is None:
        raise wrong(f"{place}.arguments", function["arguments"], "an object as JSON")


class _Turn(NamedTuple):
    """An assistant's turn: the prompt, with what it says behind it, and with its end, too.

    `has_end` says whether the model is to stop at a mark behind `body`: not where another turn of
    its own follows, nor where a call ends by a mark of its own, which then is in `body`.
    """

    prompt: str
    body: str
    text: str
    has_end: bool

    def span(self, text: str) -> tuple[int, int] | None:
        """Where the turn stands in the text [start, end); None if it doesn't stand there so."""
        if not text.startswith(self.body):
            return None
        end = _END.match(text, len(self.body)) if self.has_end else None
        return len(self.prompt), end.end() if end else len(self.body)


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
    text = render(form, template, [*before, turn], tools, closed=True)
    if not text.startswith(prompt):
        raise RequestError(
            f"The chat template writes {shown(calls or turn['content'])} otherwise than it lets a "
            "reply begin; wanted the same text before it.",
            param="messages",
        )
    any_reply: Message = {"role": "assistant", "content": _ANY_TEXT}
    answered = render(form, template, [*before, any_reply], tools, closed=True)
    frame = answered.rpartition(_ANY_TEXT)[2]
    framed, marked = text.endswith(frame), bool(frame.strip())
    body = text.removesuffix(frame) if framed else text.rstrip()
    if not marked or (calls and form.result_role == "assistant"):
        # What stops the model here begins what follows.
        following: Message = after[0] if after else {"role": "user", "content": ""}
        if calls:
            following = {"role": "tool", "tool_call_id": calls[0]["id"], "content": ""}
        longer = render(form, template, [*before, turn, following], tools)
        text = longer if longer.startswith(body) else text
    end = _END.match(text, len(body)) if framed else None
    goes_on = bool(after) and after[0]["role"] == "assistant" and marked
    return _Turn(prompt, body, text[: end.end()] if end else body, framed and not goes_on)


def _joined(learned: Sequence[_Turn]) -> list[Sample]:
    """As few samples as hold all these turns; the one with the last turn comes last."""
    result: list[Sample] = []
    while learned:
        text = learned[-1].text
        spans = [turn.span(text) for turn in learned]
        result.append(Sample(text, [span for span in spans if span]))
        learned = [turn for turn, span in zip(learned[:-1], spans, strict=False) if not span]
    return result[::-1]
