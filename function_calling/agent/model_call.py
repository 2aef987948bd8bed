"""One chat completion from an OpenAI-compatible server: how it is reached, its failures named.

BentoML gives a service's address as `http://host:port`, or on one machine as `file:///….sock`, a
Unix socket. `LLAMA_URL` may also name any other OpenAI-compatible server.

A reply is streamed, even where it is only wanted whole: a server notices that nobody waits any
more only where it streams, so that a cancelled query stops the model.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from traceback import clear_frames
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass, url2pathname

import httpx2
import openai
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall

from function_calling.agent.events import Usage
from function_calling.agent.heartbeat import Heartbeat
from function_calling.agent.messages import Call
from function_calling.asking import CLIENT, ON_BEHALF_OF, digest
from function_calling.errors import ApiError, EngineError, RequestError
from function_calling.settings import Settings
from function_calling.telemetry import tracing

# What the caller of a query can do something about; other 4xx are the operator's (a wrong key).
CALLERS_FAULTS = (400, 413, 422)
UNREACHABLE, BROKEN = "model_unreachable", "model_stream_broken"
TOO_LONG = "model_reply_too_long"

CONNECT_SECONDS = 5


def llama_client(
    url: str,
    settings: Settings,
    headers: Mapping[str, str] | None = None,
    *,
    may_sleep: bool = False,
) -> openai.AsyncOpenAI:
    """A client for the server at `url`: its base URL, where no path means `/v1`; or a socket.

    Args:
        headers: They go with every request.
        may_sleep: Whether a request may have to wake it up, so that a long silence is no fault.
    """
    address = urlsplit(url)
    socket = None
    if address.scheme == "file":
        socket, url = url2pathname(address.path), "http://llama/v1"
    elif not address.path.strip("/"):
        url = f"{url.rstrip('/')}/v1"
    # Where connections are balanced, as by a Service of Kubernetes, a kept one would bring all
    # requests to one server; to open one takes no time beside a reply, unless by TLS. There may be
    # any number, since MAX_REQUESTS bounds them, and a heartbeat must not wait for one.
    kept = 0 if address.scheme == "http" else 20
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=kept)
    transport: httpx2.AsyncBaseTransport = httpx2.AsyncHTTPTransport(
        uds=socket, limits=limits, proxy=_proxy(address)
    )
    if not may_sleep:
        transport = Heartbeat(transport)
    timeout = httpx2.Timeout(settings.query_timeout, connect=CONNECT_SECONDS)
    return openai.AsyncOpenAI(
        base_url=url,
        api_key=settings.llama_api_key or "none",
        # They would wait, and repeat what was too slow already; the agent repeats what it can.
        max_retries=0,
        default_headers=headers,
        http_client=httpx2.AsyncClient(
            transport=transport, timeout=timeout, event_hooks={"request": [_pass_on]}
        ),
    )


def _proxy(address: SplitResult) -> str | None:
    """The proxy of `HTTPS_PROXY`, by which addresses outside are reached; no other kind is read."""
    proxy = getproxies().get("https", "")
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    outside = address.scheme == "https" and not proxy_bypass(address.hostname or "")
    return proxy if outside and urlsplit(proxy).hostname and proxy.startswith("http") else None


async def _pass_on(request: httpx2.Request) -> None:
    """Tell the model's server of which trace and request this is a part, and who asks.

    It can part those who ask here, without knowing them.
    """
    tracing.pass_on(request.headers)
    if client := CLIENT.get():
        request.headers[ON_BEHALF_OF] = digest("\0".join(client))


async def first_model(client: openai.AsyncOpenAI) -> str:
    """The name of the first model that the server lists.

    Raises:
        EngineError: The server can't be reached, or lists none.
    """
    place = client.base_url.copy_with(userinfo=b"")  # a password is told to nobody
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            listed = await client.models.list()
        return listed.data[0].id
    except (openai.APIError, TimeoutError) as error:
        why = str(error) or f"it took longer than {CONNECT_SECONDS} seconds."
        raise EngineError(f"The model at {place} can't be reached: {why}", status=503) from error
    except (AttributeError, TypeError, LookupError, ValueError) as error:
        # The client library takes lists of any shape.
        raise EngineError(f"The server at {place} lists no model.", status=503) from error


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said, and what it wants called."""

    text: str
    calls: tuple[Call, ...]
    finish_reason: str
    usage: Usage


_THOUGHT_END = re.compile(
    r"[<\[◁](?:/|\|END_)(?:seed:)?(?:think|thinking|thought)\|?[>\]▷]", re.IGNORECASE
)


def without_thoughts(text: str) -> str:
    """What stands behind the thoughts that a server leaves in a reply's text."""
    return _THOUGHT_END.split(text)[-1]


@dataclass(frozen=True, slots=True)
class Restarted:
    """The reply so far is void, and comes once more from its beginning."""


async def complete(
    client: openai.AsyncOpenAI, request: dict[str, Any]
) -> AsyncGenerator[str | Restarted | Reply, None]:
    """The model's reply: its text in parts, and the whole of it last.

    It changes nothing, so one whose connection was lost is asked for once more.

    Args:
        request: The fields of a chat completion request, with `max_tokens`, without `stream`.

    Raises:
        EngineError: The server is away (503), too slow (504) or broken (502), or the reply is
            too long.
        RequestError: The server can't serve such a request; the status is its own.
    """
    model, most = request["model"], request["max_tokens"]
    for again in (True, False):
        # Whoever serves it, this is the API by which it is known.
        span = tracing.begin(
            "chat", model, client=True, provider__name="openai", request__model=model
        )
        try:
            async with aclosing(tracing.spanned(span, _streamed(client, request))) as parts:
                async for part in parts:
                    if isinstance(part, Reply):
                        usage = part.usage
                        tokens = usage.prompt_tokens, usage.completion_tokens
                        tracing.spent(span, *tokens, part.finish_reason)
                        if part.finish_reason == "length":
                            problem = f"The model's reply is longer than {most} tokens."
                            raise EngineError(problem, code=TOO_LONG, status=502)
                    yield part
            return
        except EngineError as error:
            if not again or error.code not in (UNREACHABLE, BROKEN):
                raise
        yield Restarted()


async def _streamed(
    client: openai.AsyncOpenAI, request: dict[str, Any]
) -> AsyncGenerator[str | Reply, None]:
    """One streamed completion: its text as it comes, then the whole."""
    pieces = _Pieces()
    lost = UNREACHABLE
    try:
        # The client's own method would walk over all messages by their types, of which nothing
        # comes.
        stream: Any = await client.post(
            "/chat/completions",
            cast_to=ChatCompletionChunk,
            body=request | {"stream": True, "stream_options": {"include_usage": True}},
            stream=True,
            stream_cls=openai.AsyncStream[ChatCompletionChunk],
        )
        lost = BROKEN
        # To close a stream alone leaves its generators to the garbage collector, which may run in
        # another thread and get in the way of their closing.
        async with stream, aclosing(stream._iterator):
            async for chunk in stream:
                if text := pieces.add(chunk):
                    yield text
    except (openai.APIError, EngineError, AttributeError, TypeError, ValueError) as error:
        # Until the error is gone, what failed holds the generators that read for it.
        clear_frames(error.__traceback__)
        raise _named(error, lost) from error
    if not pieces.finish_reason:
        raise _lost(BROKEN)
    yield pieces.reply()


def _named(error: Exception, lost: str) -> ApiError:
    """What the client library raised as an error of ours."""
    for each in (error, error.__cause__):
        if isinstance(each, EngineError):
            return each
    if not isinstance(error, openai.APIError):
        # It takes chunks of any shape.
        return _lost(BROKEN)
    if isinstance(error, openai.APITimeoutError):
        return EngineError("The model server took too long to reply.", status=504)
    if isinstance(error, openai.APIConnectionError):
        return _lost(lost)
    said = error.body.get("message") if isinstance(error.body, Mapping) else None
    message = str(said or error.message)
    status = getattr(error, "status_code", 502)
    if status in CALLERS_FAULTS:
        return RequestError(message, param=error.param, code=error.code, status=status)
    after = error.response.headers.get("retry-after") if hasattr(error, "response") else None
    again = int(after) if after and re.fullmatch("[0-9]{1,5}", after) else None
    if status == 429:
        return EngineError(f"The model server is busy: {message}", status=503, retry_after=again)
    kept = status if status in (503, 504) else 502
    return EngineError(
        f"The model server failed: {message}", code=error.code, status=kept, retry_after=again
    )


def _lost(code: str) -> EngineError:
    if code == UNREACHABLE:
        return EngineError("The model server can't be reached.", code=code, status=503)
    return EngineError("The model server broke off its reply.", code=code, status=502)


@dataclass(slots=True)
class _Pieces:
    """The parts of a reply received so far."""

    text: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    places: dict[int, tuple[int, str | None]] = field(default_factory=dict)
    finish_reason: str = ""
    usage: Usage = field(default_factory=Usage)

    def add(self, chunk: ChatCompletionChunk) -> str:
        """Take in the next chunk; the text that it brings."""
        before = len(self.text)
        if chunk.usage:
            self.usage = Usage(
                prompt_tokens=chunk.usage.prompt_tokens,
                completion_tokens=chunk.usage.completion_tokens,
            )
        for choice in chunk.choices:
            self.text.append(choice.delta.content or "")
            self.finish_reason = choice.finish_reason or self.finish_reason
            for delta in choice.delta.tool_calls or ():
                self._add_to_call(delta)
        return "".join(self.text[before:])

    def _add_to_call(self, delta: ChoiceDeltaToolCall) -> None:
        """Take in a fragment of a call.

        Some servers number all calls alike; then a name with another id begins the next one. Some
        give each fragment an id of its own, or the name again.
        """
        written = delta.function
        name, arguments = (written and written.name) or "", (written and written.arguments) or ""
        place, known = self.places.get(delta.index, (len(self.calls), delta.id))
        if name and known and delta.id not in (None, "", known):
            place = len(self.calls)
        self.places[delta.index] = place, delta.id or known
        if place == len(self.calls):
            # Servers may name no id, or one again; Mistral's take only nine characters.
            self.calls.append(Call(secrets.token_hex(5)[:9], "", ""))
        call = self.calls[place]
        name = "" if name == call.name else name
        self.calls[place] = Call(call.id, call.name + name, call.arguments + arguments)

    def reply(self) -> Reply:
        text = without_thoughts("".join(self.text))
        return Reply(text, tuple(self.calls), self.finish_reason, self.usage)
