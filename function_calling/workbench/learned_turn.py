"""One assistant's turn of a recorded conversation, as what a model is to learn.

A turn ends where a model has to stop: with the mark that the chat template sets behind it; where
the template sets none, with the mark that begins the next turn; and before a result that stands in
the assistant's own turn, with the word that announces it (`Observation:`).
"""

import json
import re
from collections.abc import Sequence

from function_calling.errors import RequestError, shown
from function_calling.formats import Format
from function_calling.formats.parsing import parse
from function_calling.formats.rendering import render
from function_calling.formats.template import ChatTemplate
from function_calling.messages import Message, Tool

Span = tuple[int, int]

_ANY_TEXT = "\ue000"
"""Stands for a reply of which only the frame is asked for; nobody writes it."""
_MARK = r"\s*(?:<[^<>\s]+>|\[[^\[\]\s]+\])"
"""A special token, as models spell them: `<|user|>`, `[INST]`."""


class LearnedTurn:
    """The turn at a place of a conversation.

    Args:
        form: The format of tools and calls.
        template: The model's chat template.
        turns: The conversation, as `split_turns` parts it.
        index: Which turn.
        tools: The tools that the model is told of.

    Raises:
        RequestError: The template refuses the turns, or doesn't let this one follow its prompt.
    """

    def __init__(
        self,
        form: Format,
        template: ChatTemplate,
        turns: Sequence[Message],
        index: int,
        tools: Sequence[Tool],
    ) -> None:
        self._form, self._template, self._tools = form, template, tools
        self._before, self._turn, after = turns[:index], turns[index], turns[index + 1 :]
        self._next = after[0] if after else None
        self._prompt = render(form, template, self._before, tools)
        self._closed = render(form, template, self._before, tools, reply=self._turn)
        if not self._closed.startswith(self._prompt):
            raise RequestError(
                f"The chat template writes {self._shown()} otherwise than it lets a reply begin; "
                "wanted the same text before it.",
                param="messages",
            )
        any_reply: Message = {"role": "assistant", "content": _ANY_TEXT}
        framed = render(form, template, self._before, tools, reply=any_reply)
        self._set_end(framed.rpartition(_ANY_TEXT)[2])

    def _set_end(self, frame: str) -> None:
        """Where the turn's own text ends, and what the model stops with there.

        Args:
            frame: What the template writes behind a reply.
        """
        self._has_end = bool(frame.strip())
        own = re.escape(frame.rstrip()) if self._has_end else f"{_MARK}|{re.escape(frame)}"
        self._body = self._closed.removesuffix(frame)
        if not self._closed.endswith(frame):  # the frame of a call may differ from that of text
            self._body, own = self._closed.rstrip(), ""
        if self._goes_on_behind_results():
            announced = self._form.result.partition("{content}")[0].strip()
            own = rf"\s*{re.escape(announced)}|{own}"
        self._end = re.compile(own)

    def _goes_on_behind_results(self) -> bool:
        return self._form.result_role == "assistant" and bool(self._turn.get("tool_calls"))

    def text(self) -> str:
        """The prompt and the turn, up to where the model stops."""
        text = self._closed
        if self._goes_on_behind_results() or not self._has_end:
            longer = [*self._before, self._turn, self._following()]
            text = render(self._form, self._template, longer, self._tools)
        end = self._end.match(text, len(self._body)) if text.startswith(self._body) else None
        return text[: end.end()] if end else self._closed

    def _following(self) -> Message:
        """The next message, or the one that a reply like this waits for."""
        calls = self._turn.get("tool_calls")
        if self._next and (self._next["role"] == "tool" or not calls):
            return self._next
        if calls:
            return {"role": "tool", "tool_call_id": calls[0]["id"], "content": ""}
        return {"role": "user", "content": ""}

    def span(self, text: str) -> Span | None:
        """Where this turn stands in the text [start, end); None if it doesn't stand there so.

        The end is left out where another turn of the assistant's follows and the model would stop
        before it.
        """
        if not text.startswith(self._body):
            return None
        end = self._end.match(text, len(self._body))
        if end is None:
            return None
        goes_on = self._next is not None and self._next["role"] == "assistant" and self._has_end
        return len(self._prompt), len(self._body) if goes_on else end.end()

    def check(self, said: str) -> None:
        """Make sure that the calls in the text of the span are read as they were recorded.

        Raises:
            RequestError: The format can't spell them so that they are.
        """
        functions = [call["function"] for call in self._turn.get("tool_calls", ())]
        recorded = [(each["name"], json.loads(each["arguments"])) for each in functions]
        read = [(call.name, call.arguments) for call in parse(self._form, self._tools, said).calls]
        if recorded and json.dumps(read) != json.dumps(recorded):
            raise RequestError(
                f"{self._form.name} writes {self._shown()} so that it is read as {shown(read)}; "
                "wanted calls that this format can spell.",
                param="messages",
            )

    def _shown(self) -> str:
        functions = [call["function"] for call in self._turn.get("tool_calls", ())]
        calls = [f"{each['name']} {each['arguments']}" for each in functions]
        return shown(calls or self._turn["content"])
