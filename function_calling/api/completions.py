"""OpenAI's completions, of chats and of plain text: requests, and replies whole or in chunks.

https://platform.openai.com/docs/api-reference/chat/create, and `completions/create` beside it, with
the older `functions`, vLLM's `chat_template_kwargs`, and two fields of our own: `tool_format` and
`whole_tool_calls`. Reasoning is told as `reasoning_content`, as others name it: OpenAI's own API
has no field for it.
"""

import secrets
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Annotated, Any, ClassVar

from pydantic import Field

from function_calling.api.messages import MOST_MESSAGES, conversation
from function_calling.api.request import (
    MOST_REPLIES,
    NO_THINKING,
    TEXTS,
    ApiRequest,
    content_format,
)
from function_calling.api.response import ApiResponse, Json
from function_calling.api.tools import offered, placed, tool_choice, unread
from function_calling.errors import RequestError, wrong
from function_calling.model.words import (
    Event,
    Finished,
    ReasoningDelta,
    Sampling,
    TextDelta,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)

MOST_TOKENS = 16
"""Tokens of a text completion where the request sets no `max_tokens`: OpenAI's default."""

_GUIDES = ("guided_json", "guided_regex", "guided_choice", "guided_grammar")
_CONSTRAINTS: Mapping[str, tuple[()]] = dict.fromkeys(("structured_outputs", *_GUIDES), ())
"""vLLM's parameters, newer and older, for the form of a text; who sends one reads that form."""


class ChatRequest(ApiRequest):
    """A request for a chat completion.

    Attributes:
        tool_format: The format in which the model is to call tools; None means its own.
        whole_tool_calls: See `whole_calls`.
        chat_template_kwargs: More variables for the model's chat template.
    """

    unsupported: ClassVar = {"modalities": (["text"],), "moderation": (), **_CONSTRAINTS}

    messages: Annotated[list[Json], Field(min_length=1, max_length=MOST_MESSAGES)]
    tools: list[Json] | None = None
    tool_choice: str | Json | None = None
    parallel_tool_calls: bool | None = None
    functions: list[Json] | None = None
    function_call: str | Json | None = None
    response_format: Json | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: Json | None = None
    tool_format: str | None = None
    whole_tool_calls: bool | None = None

    @property
    def ignored(self) -> list[str]:
        """See `ApiRequest.ignored`; a model that read its own name would begin its replies so."""
        named = (it.get("name") for it in self.messages if it.get("role") == "assistant")
        effort = () if self.reasoning_effort in (None, "none") else ("reasoning_effort",)
        names = ("messages.name",) if any(named) else ()
        return [*super().ignored, *effort, *names, *unread(self.tools or ())]

    def prompt(self) -> Json:
        """What `ChatModel.turn` makes a prompt of, by the names that it has there.

        Raises:
            RequestError: Names the place, its value and what was wanted.
        """
        tools = self.offered_tools()
        if self.functions or self.function_call:
            choice = tool_choice(self.function_call, False, tools, "function_call")
        else:
            choice = tool_choice(self.tool_choice, self.parallel_tool_calls is not False, tools)
        no_effort = NO_THINKING if self.reasoning_effort == "none" else {}
        return {
            "messages": conversation(self.messages),
            "tools": tools,
            "choice": choice,
            "content": content_format(self.response_format, "response_format"),
            "tool_format": self.tool_format,
            "template_options": no_effort | (self.chat_template_kwargs or {}),
        }

    def samplings(self) -> list[Sampling]:
        """How each of the replies is to be generated."""
        if self.top_logprobs and not self.logprobs:
            raise wrong("top_logprobs", self.top_logprobs, "logprobs=true with it")
        most = self.max_completion_tokens or self.max_tokens
        logprobs = (self.top_logprobs or 0) if self.logprobs else None
        return [each.but(max_tokens=most, logprobs=logprobs) for each in super().samplings()]

    def offered_tools(self) -> list[Tool]:
        """The tools that the model is told of, in whichever parameter they came."""
        new, old = (
            next((name for name in names if getattr(self, name)), None)
            for names in (("tools", "tool_choice"), ("functions", "function_call"))
        )
        if new and old:
            raise RequestError(
                f"{new} and {old}: wanted one of them. {old} is the older way; with tools go "
                "tool_choice and tool_calls, with functions function_call.",
                param=old,
            )
        param = "functions" if self.functions else "tools"
        return offered(placed(self.functions or self.tools or [], param), param)

    @cached_property
    def whole_calls(self) -> bool:
        """Whether calls leave a stream whole, and every delta has what older clients read in each.

        These add up `delta.content`, count `delta.tool_calls`, and take the first calls for all, or
        the last delta for them. Unless it is said, the spelling of the tools tells: who sends
        ToolBench's reads them so.
        """
        if self.whole_tool_calls is None:
            return bool(self.tools) and all("function" not in tool for tool in self.tools or ())
        return self.whole_tool_calls

    def response(self, model: str) -> "ChatResponse":
        """The response to it, by the model of this name."""
        return ChatResponse(model, self)


class CompletionRequest(ApiRequest):
    """A request for a text completion: a prompt as it is, without messages and tools."""

    unsupported: ClassVar = {"best_of": (1,), "echo": (False,), "suffix": ("",), **_CONSTRAINTS}

    prompt: Annotated[list[str], Field(min_length=1), TEXTS]
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None

    def samplings(self) -> list[Sampling]:
        """How each completion of a prompt is to be generated."""
        most = self.max_tokens or MOST_TOKENS
        return [each.but(max_tokens=most, logprobs=self.logprobs) for each in super().samplings()]

    def generations(self) -> list[tuple[str, Sampling]]:
        """Each completion's prompt and how it is generated: those of a prompt stand together.

        Raises:
            RequestError: There are too many.
        """
        made = [(prompt, sampling) for prompt in self.prompt for sampling in self.samplings()]
        if len(made) > MOST_REPLIES:
            raise RequestError(
                f"prompt holds {len(self.prompt)} prompts, which makes {len(made)} completions; "
                f"wanted {MOST_REPLIES} at most.",
                param="prompt",
            )
        return made

    def response(self, model: str) -> "CompletionResponse":
        """The response to it, by the model of this name."""
        return CompletionResponse(model, self)


@dataclass
class Choices(ApiResponse):
    """A response with a choice for each reply. A whole one is its stream joined."""

    id_prefix: ClassVar[str]
    whole_object: ClassVar[str]
    chunk_object: ClassVar[str]

    wanted: ChatRequest | CompletionRequest
    _usages: dict[int, Usage] = field(default_factory=dict, init=False)
    _whole: dict[int, Json] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._id = f"{self.id_prefix}-{secrets.token_hex(12)}"
        self._created = int(time.time())
        (first, *rest) = self.wanted.samplings()
        self._n = 1 + len(rest)
        self._logprobs = first.logprobs is not None

    def add(self, index: int, event: Event) -> None:
        """See `ApiResponse.add`."""
        for chunk in self.chunks(index, event):
            for choice in chunk["choices"]:
                _join(self._whole.setdefault(index, {}), choice)

    def whole(self) -> Json:
        """See `ApiResponse.whole`."""
        choices = [self._whole_choice(self._whole[index]) for index in sorted(self._whole)]
        return self._object(self.whole_object, choices, usage=self._usage())

    def chunks(self, index: int, event: Event) -> Iterator[Json]:
        """See `ApiResponse.chunks`; the last one may have the usage, and no choices."""
        usage = bool((self.wanted.stream_options or {}).get("include_usage"))
        for choice in self._choices(index, event):
            yield self._object(self.chunk_object, [choice], **({"usage": None} if usage else {}))
        if isinstance(event, Finished):
            self._usages[index] = event.usage
            if usage and len(self._usages) == self._n * self._prompts():
                yield self._object(self.chunk_object, [], usage=self._usage())

    def _prompts(self) -> int:
        """How many prompts there are, of which each has `n` replies."""
        return 1

    @abstractmethod
    def _choices(self, index: int, event: Event) -> Iterator[Json]:
        """What an event becomes: a choice for each chunk."""

    def _whole_choice(self, choice: Json) -> Json:
        """The choice of a whole reply, of those of its chunks joined."""
        return choice

    def _object(self, name: str, choices: list[Json], **usage: Any) -> Json:
        head = {"id": self._id, "object": name, "created": self._created, "model": self.model}
        return {**head, "choices": choices, **usage}

    def _usage(self) -> Json:
        """What all replies cost: a prompt that several share counts once."""
        usages = [self._usages[index] for index in sorted(self._usages)]
        prompt = sum(usage.prompt_tokens for usage in usages[:: self._n])
        completion = sum(usage.completion_tokens for usage in usages)
        reasoning = sum(usage.reasoning_tokens for usage in usages)
        details = {"completion_tokens_details": {"reasoning_tokens": reasoning}}
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            **(details if reasoning else {}),
        }


def _join(whole: Json, more: Json) -> None:
    """Add to an object what a later one says: texts and lists grow, all else is replaced."""
    for key, value in more.items():
        if isinstance(value, dict):
            whole[key] = whole.get(key) or {}
            _join(whole[key], value)
        elif isinstance(value, str | list) and whole.get(key):
            whole[key] += value
        elif value is not None or key not in whole:
            whole[key] = value


@dataclass
class ChatResponse(Choices):
    """A chat completion under way, in a stream in the order of OpenAI's.

    That is the role, then reasoning, then text or calls, and last `{}` with the finish reason. A
    call is an opening with its id and name, then its arguments as they are written; a reply that
    begins with a call opens it in its first chunk.
    """

    id_prefix = "chatcmpl"
    whole_object, chunk_object = "chat.completion", "chat.completion.chunk"

    wanted: ChatRequest
    _calls: dict[int, list[ToolCall]] = field(default_factory=dict, init=False)
    _open: dict[int, str] = field(default_factory=dict, init=False)

    def _whole_choice(self, choice: Json) -> Json:
        message = choice.pop("delta")
        for call in message.get("tool_calls", ()):
            del call["index"]
        if message.keys() & {"tool_calls", "function_call", "reasoning_content"}:
            message["content"] = message["content"] or None
        if self._logprobs and not choice["logprobs"]:
            choice["logprobs"] = chat_logprobs(())
        return {**choice, "message": message}

    def _choices(self, index: int, event: Event) -> Iterator[Json]:
        delta = self._delta(index, event)
        if index not in self._calls:
            self._calls[index] = []
            role = {"role": "assistant", "content": "", "refusal": None}
            if delta and isinstance(event, ToolCallDelta):
                delta = {**role, "content": None, **delta}
            else:
                yield self._choice(index, role)
        if delta is not None:
            yield self._choice(index, delta, event)

    def _choice(self, index: int, delta: Json, event: Event | None = None) -> Json:
        if self.wanted.stream and self.wanted.whole_calls:
            delta = {"content": "", "tool_calls": [], **delta}
        logprobs, reason = None, None
        if isinstance(event, TextDelta) and self._logprobs:
            logprobs = chat_logprobs(event.logprobs)
        if isinstance(event, Finished):
            calls = self.wanted.functions and event.reason == "tool_calls"
            reason = "function_call" if calls else event.reason
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}

    def _delta(self, index: int, event: Event) -> Json | None:
        held = self.wanted.whole_calls or not self.wanted.stream
        match event:
            case ReasoningDelta():
                return {"reasoning_content": event.text}
            case TextDelta():
                return {"content": event.text}
            case ToolCallDelta() if not held:
                opens = event.id != self._open.get(index)
                self._open[index] = event.id
                told = _tool_call(event) if opens else {"function": {"arguments": event.arguments}}
                return self._told_calls([{"index": len(self._calls.get(index, ())), **told}])
            case ToolCall():
                self._calls[index].append(event)
            case Finished():
                calls = enumerate(self._calls.get(index, ()) if held else ())
                return self._told_calls([{"index": at, **_tool_call(call)} for at, call in calls])
        return None

    def _told_calls(self, calls: list[Json]) -> Json:
        """Calls as a message or a delta holds them, in OpenAI's newer or older words."""
        if not calls:
            return {}
        if self.wanted.functions:
            return {"function_call": calls[0]["function"]}
        return {"tool_calls": calls}


@dataclass
class CompletionResponse(Choices):
    """A text completion under way; whole or in a stream it has one shape."""

    id_prefix = "cmpl"
    whole_object = chunk_object = "text_completion"

    wanted: CompletionRequest
    _offsets: Counter[int] = field(default_factory=Counter, init=False)

    def _prompts(self) -> int:
        return len(self.wanted.prompt)

    def _choices(self, index: int, event: Event) -> Iterator[Json]:
        text, logprobs, reason = "", None, None
        match event:
            case TextDelta():
                text = event.text
                if self._logprobs and event.logprobs:
                    logprobs = text_logprobs(event.logprobs, self._offsets[index])
                self._offsets[index] += len(text)
            case Finished():
                reason = event.reason
        yield {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> Json:
    """What stands in a chat completion's `logprobs`."""
    content = [
        {**_chat_token(token), "top_logprobs": [_chat_token(top) for top in token.top]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _chat_token(token: TokenLogprob) -> Json:
    return {
        "token": _token_text(token),
        "bytes": list(_token_bytes(token)),
        "logprob": token.logprob,
    }


def text_logprobs(tokens: Sequence[TokenLogprob], offset: int) -> Json:
    """What stands in a text completion's `logprobs`; `offset` characters were told before.

    The sampled token is always among its `top_logprobs`.
    """
    texts = [_token_text(token) for token in tokens]
    return {
        "tokens": texts,
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [
            {_token_text(each): each.logprob for each in (*token.top, token)} for token in tokens
        ],
        "text_offset": list(accumulate(map(len, texts[:-1]), initial=offset)),
    }


def _token_bytes(token: TokenLogprob) -> bytes:
    """A token may be a part of a character; what is no text stands as surrogate escapes in it."""
    return token.token.encode(errors="surrogateescape")


def _token_text(token: TokenLogprob) -> str:
    return _token_bytes(token).decode(errors="replace")


def _tool_call(call: ToolCallDelta | ToolCall) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}
