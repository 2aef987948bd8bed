"""`/v1`: OpenAI's API in front of one `ChatModel`.

Every error leaves in OpenAI's shape, in streams too. A client that goes away stops the generation.
The app is made at import and knows no model yet: whoever serves it sets
`openai_api_app.state.chat_model`.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, suppress
from typing import TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from openai.types import Model
from openai.types.chat import ChatCompletion
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from function_calling.chat_messages import conversation
from function_calling.chat_model import ChatModel
from function_calling.chat_request import ChatRequest
from function_calling.chat_response import ChatResponse
from function_calling.errors import ApiError, EngineError, RequestError
from function_calling.messages import Event

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

MOST_BYTES = 8 * 1024 * 1024
"""Bytes of a request's body at most."""

openai_api_app = FastAPI(title="OpenAI-compatible API", docs_url=None, redoc_url=None)


@openai_api_app.post("/chat/completions")
async def create_chat_completion(request: Request) -> Response:
    """OpenAI's `POST /v1/chat/completions`, whole or as server-sent events."""
    chat = ChatRequest.parse(await _body(request))
    model = _chat_model(request)
    tools = chat.offered_tools()
    events = model.reply(conversation(chat.messages), tools, chat.choice(tools), chat.sampling())
    response = ChatResponse(model.name, include_usage=chat.include_usage)
    if not chat.stream:
        return _json(await _while_connected(request, _whole(response, events)))
    # The first event tells whether the request can be served at all, while a status can be sent.
    first = await _while_connected(request, anext(events))
    return _EventStream(response, first, events)


@openai_api_app.get("/models")
async def list_models(request: Request) -> Response:
    """OpenAI's `GET /v1/models`: the one model that is served."""
    models = [_model(_chat_model(request)).model_dump()]
    return JSONResponse({"object": "list", "data": models})


@openai_api_app.get("/models/{name:path}")
async def retrieve_model(request: Request, name: str) -> Response:
    """OpenAI's `GET /v1/models/{model}`."""
    model = _model(_chat_model(request))
    if name != model.id:
        raise RequestError(
            f"The model {name!r} does not exist; {model.id!r} is served.",
            param="model",
            code="model_not_found",
            status=404,
        )
    return _json(model)


@openai_api_app.exception_handler(ApiError)
async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), status_code=error.status)


@openai_api_app.exception_handler(HTTPException)
async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}."
    return JSONResponse(
        RequestError(message).body(), status_code=error.status_code, headers=error.headers
    )


@openai_api_app.exception_handler(Exception)
async def _unforeseen(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return await _api_error(request, _FAILED)


def _chat_model(request: Request) -> ChatModel:
    model: ChatModel | None = getattr(request.app.state, "chat_model", None)
    if model is None:
        raise EngineError("The model is not loaded yet.", status=503)
    return model


def _model(model: ChatModel) -> Model:
    return Model(id=model.name, object="model", created=_STARTED, owned_by="function-calling")


_STARTED = int(time.time())
_FAILED = EngineError("The server failed; its log says why.")


def _json(value: BaseModel) -> Response:
    return Response(value.model_dump_json(exclude_unset=True), media_type="application/json")


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                raise RequestError(f"The body is larger than {MOST_BYTES} bytes.", status=413)
    except ClientDisconnect:
        raise _gone() from None
    return body


async def _whole(response: ChatResponse, events: AsyncGenerator[Event, None]) -> ChatCompletion:
    async with aclosing(events):
        return await response.whole(events)


async def _while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """The result of `work`, which is cancelled when the client goes away."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise _gone()
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await each


def _gone() -> RequestError:
    return RequestError("The client closed the connection.", status=499)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _EventStream(StreamingResponse):
    """Closes its events however it ends: a client may also go away while a chunk is being sent."""

    def __init__(
        self, response: ChatResponse, first: Event, events: AsyncGenerator[Event, None]
    ) -> None:
        self._events = events
        self._chunks = _server_sent(response, first, events)
        super().__init__(self._chunks, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._events), aclosing(self._chunks):
            with suppress(ClientDisconnect):
                await super().__call__(scope, receive, send)


async def _server_sent(
    response: ChatResponse, first: Event, events: AsyncIterator[Event]
) -> AsyncGenerator[str, None]:
    """The chunks as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

    async def all_events() -> AsyncIterator[Event]:
        yield first
        async for event in events:
            yield event

    try:
        async for chunk in response.chunks(all_events()):
            yield f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"
    except ApiError as error:
        yield f"data: {json.dumps(error.body())}\n\n"
    except Exception:
        _log.exception("A stream failed")
        yield f"data: {json.dumps(_FAILED.body())}\n\n"
    yield "data: [DONE]\n\n"
