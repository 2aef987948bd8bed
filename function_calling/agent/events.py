"""What happens while a question is answered: what the loop yields is what `POST /chat` sends.

On the wire they are server-sent events, each as JSON, told apart by `type`:

    data: {"type": "tool_call", "id": "call_1", "name": "convert_currency", "arguments": "{…}"}
    data: {"type": "tool_result", "id": "call_1", "name": "convert_currency", "ok": true, …}
    data: {"type": "text", "text": "42 US dollars are 131.95 Canadian dollars."}
    data: {"type": "done", "usage": {…}, "rounds": 2, "tool_calls": 1, "timings": {…}, …}

Each turn ends with one `done` or one `error`, and nothing follows it. The texts joined are the
answer: a client adds it to its messages, with the role `assistant`, before it asks on.

To a request with `approvals`, even `{}`, a call that needs a yes may be the end instead:

    data: {"type": "approval", "id": "call_2", "name": "delete_task", "messages": […], …}

The client adds these messages, and no text, to its own, and sends all with `approvals`
`{"call_2": true}`, or false. What follows are the results of the calls left open, whose `tool_call`
was told before, and then what the model does next. Each end tells the costs of its own request.
"""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, computed_field

Grounding: TypeAlias = Literal["ok", "asked-again", "fell-back", "none"]
"""How an answer came to be trusted: `ok`, the model's first one says what the tools returned;
`asked-again`, its second does; `fell-back`, the text or its end is ours, made from the tool
results; `none`, a tool settled it (`FinalAnswer`), or it holds no number and no tool was called, so
there was nothing to check."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ToolCallEvent(_Frozen):
    """The model calls a tool; the arguments are as it wrote them, which may be no JSON."""

    type: Literal["tool_call"] = "tool_call"
    id: str = Field(description="What the result refers to.")
    name: str
    arguments: str


class ToolResultEvent(_Frozen):
    """A call has its result, or could not be carried out."""

    type: Literal["tool_result"] = "tool_result"
    id: str = Field(description="That of the call.")
    name: str
    ok: bool = Field(description="Whether the tool did what it was asked.")
    content: str = Field(description="The result as the model reads it, or what went wrong.")
    summary: str | None = Field(None, description="The result as a sentence for people.")


class TextEvent(_Frozen):
    """The next part of the answer. Its numbers have been checked; it is never taken back."""

    type: Literal["text"] = "text"
    text: str


class Usage(_Frozen):
    """Tokens of all rounds together, in OpenAI's words."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Self) -> Self:
        return type(self)(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )


class Timings(_Frozen):
    """Seconds that the turn took."""

    first_text: float | None = Field(description="Until the first text; null where none came.")
    model: float = Field(description="In which the model was waited for.")
    tools: float = Field(description="In which tools were waited for.")
    total: float


class _Costs(_Frozen):
    type: str
    usage: Usage
    rounds: int = Field(description="How often the model was asked.")
    tool_calls: int = Field(description="How many calls it made; one made again counts once.")
    timings: Timings


class ApprovalEvent(_Costs):
    """A person must first say yes or no to a call."""

    type: Literal["approval"] = "approval"
    id: str = Field(description="That of the call.")
    name: str
    arguments: str
    messages: list[dict[str, Any]] = Field(description="The request's calls and their results.")


class DoneEvent(_Costs):
    """The answer is complete."""

    type: Literal["done"] = "done"
    grounding: Grounding = Field(description="How the text came to be trusted.")


class ErrorObject(_Frozen):
    """OpenAI's error object (https://platform.openai.com/docs/guides/error-codes)."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorEvent(_Frozen):
    """The turn could not be ended; what was told before stays true."""

    type: Literal["error"] = "error"
    error: ErrorObject


ChatEvent: TypeAlias = Annotated[
    ToolCallEvent | ToolResultEvent | TextEvent | ApprovalEvent | DoneEvent | ErrorEvent,
    Field(discriminator="type"),
]

_any_event: TypeAdapter[Any] = TypeAdapter(ChatEvent)


def read_event(data: str | bytes) -> ChatEvent:
    """The event that a server-sent event's `data` holds.

    Raises:
        ValidationError: It is none of them.
    """
    event: ChatEvent = _any_event.validate_json(data)
    return event
