"""What a model is made to call, where the question tells more than a small model makes of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from function_calling.completion import Call, Reply
from function_calling.conversation import Conversation
from function_calling.json_text import json_text
from function_calling.outcomes import Made

# A model that is forced on, and repeats itself all the same, won't think of anything else.
REPETITIONS_STEERED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """Which calls are forced, and which are put right. By default the model decides.

    Attributes:
        first_choice: OpenAI's `tool_choice` until a tool has found something: `auto` or
            `required`.
        next_call: Given the query and the calls that succeeded, the tool that must be called
            next, `auto` where the model decides, "" where none need be called.
        due: Given the same, and the calls of a round that brought nothing new, the one call that
            the query asks for next beyond doubt; None where there is none.
    """

    first_choice: str = "auto"
    next_call: Callable[[str, Sequence[Made]], str] | None = None
    due: Callable[[str, Sequence[Made], Sequence[Made]], Made | None] | None = None

    def choice(self, talk: Conversation) -> str:
        """`none`, `auto`, `required`, or the name of the tool that must be called."""
        made = talk.made
        if talk.refused:
            return "auto"
        steered = talk.repetitions <= REPETITIONS_STEERED or self._due(talk, [])
        if self.next_call and steered and (due := self.next_call(talk.query, made)):
            return due
        if not made:
            return self.first_choice
        return "auto" if self.next_call is None else "none"

    def put_right(self, talk: Conversation) -> Reply | None:
        """The model's last reply with the call that is due, where its own came to nothing."""
        reply = talk.reply
        if talk.settled or talk.refused:
            return None
        if not (due := self._due(talk, [call.given for call in reply.calls])):
            return None
        name, arguments = due
        call = Call(f"{reply.calls[-1].id}_again", name, json_text(arguments))
        return replace(reply, text="", calls=(call,))

    def _due(self, talk: Conversation, tried: Sequence[Made]) -> Made | None:
        return self.due(talk.query, talk.made, tried) if self.due else None
