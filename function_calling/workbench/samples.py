"""Recorded conversations as training text: what serving would show, and what of it to learn.

A sample's text is the prompt of an assistant's turn with that turn behind it. Its spans are what
the assistant wrote, up to where it stopped: content, calls, and the end of the turn. Before each
span stands the prompt that serving gives for the messages before that turn. Where a later prompt
tells a turn otherwise than it was when it was written, that turn gets a sample of its own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from function_calling.chat_messages import conversation
from function_calling.chat_request import ChatRequest
from function_calling.errors import RequestError, shown
from function_calling.formats import Format, find_format
from function_calling.formats.rendering import split_turns
from function_calling.formats.template import ChatTemplate
from function_calling.messages import Message, Tool
from function_calling.workbench.checked_tools import checked_tools
from function_calling.workbench.learned_turn import LearnedTurn, Span


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, and the places [start, end) in it, in characters, that are to be learned."""

    text: str
    spans: list[Span]

    def to_json(self) -> str:
        """The sample on one line."""
        return json.dumps({"text": self.text, "spans": self.spans}, ensure_ascii=False)


def samples(line: bytes, form: Format, template: ChatTemplate) -> list[Sample]:
    """The samples of a conversation: JSON with OpenAI's `messages` and `tools` (or `functions`).

    An assistant's message of `weight` 0 is not learned, as in OpenAI's own training files, and
    none that answers nothing because it comes first.

    Args:
        line: The conversation.
        form: The format of tools and calls, unless the conversation names its own `tool_format`.
        template: The model's chat template.

    Raises:
        RequestError: Names what is wrong in the conversation, and what was wanted.
    """
    chat = ChatRequest.parse(line)
    messages, tools = conversation(chat.messages), checked_tools(chat)
    form = find_format(chat.tool_format) if chat.tool_format else form
    for index, (message, told) in enumerate(zip(messages, chat.messages, strict=True)):
        message["weight"] = _weight(told, f"messages[{index}]")
        if message["weight"]:
            _check_calls(message, f"messages[{index}]", tools)
    turns = split_turns(form, messages)
    weights = [turn.pop("weight") for turn in turns]
    learned = [
        LearnedTurn(form, template, turns, index, tools)
        for index, turn in enumerate(turns)
        if turn["role"] == "assistant" and weights[index] and index
    ]
    if not learned:
        raise RequestError(
            "messages holds nothing to learn: wanted an assistant's message behind another one.",
            param="messages",
        )
    return _told(learned)


def _weight(message: Mapping[str, Any], place: str) -> int:
    weight = message.get("weight")
    if weight not in (0, 1, None):
        raise RequestError(f"{place}.weight={shown(weight)}: wanted 0 or 1.", param="messages")
    return 0 if weight == 0 else 1


def _check_calls(message: Message, place: str, tools: Sequence[Tool]) -> None:
    """A model must not learn calls that can't be made."""
    names = [tool.name for tool in tools]
    for index, call in enumerate(message.get("tool_calls", ())):
        function, where = call["function"], f"{place}.tool_calls[{index}].function"
        if function["name"] not in names:
            raise RequestError(
                f"{where}.name={shown(function['name'])}: wanted one of the tools: "
                f"{', '.join(names) or 'none are given'}.",
                param="messages",
            )
        if not _is_object(function["arguments"]):
            raise RequestError(
                f"{where}.arguments={shown(function['arguments'])}: wanted an object as JSON.",
                param="messages",
            )


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _told(learned: Sequence[LearnedTurn]) -> list[Sample]:
    """As few samples as hold all these turns; the one with the last turn comes last."""
    result: list[Sample] = []
    while learned:
        text = learned[-1].text()
        spans = [turn.span(text) for turn in learned]
        for turn, span in zip(learned, spans, strict=True):
            if span:
                turn.check(text[slice(*span)])
        result.append(Sample(text, [span for span in spans if span]))
        learned = [turn for turn, span in zip(learned[:-1], spans, strict=False) if not span]
    return result[::-1]
