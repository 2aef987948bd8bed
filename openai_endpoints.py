"""`/v1`: OpenAI's API in front of one `ChatModel`, and Anthropic's Messages beside it.

Every error leaves in the protocol's shape, in streams too. A client that goes away stops the
generation. The app is made at import and knows no model yet: whoever serves it sets
`openai_api_app.state.chat_model`, and `state.cutoff` where it wants to end replies.
"""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from function_calling.api.anthropic import (
    REQUEST_ID,
    CountRequest,
    MessageResponse,
    MessagesRequest,
    error_body,
)
from function_calling.api.completions import ChatRequest, CompletionRequest
from function_calling.api.request import UNENFORCED, listing
from function_calling.api.response import new_id
from function_calling.api.responses import ResponsesRequest
from function_calling.api.stream import CLIENT_GONE, FAILED, respond
from function_calling.cutoff import Cutoff
from function_calling.errors import ApiError, EngineError, RequestError, one_line
from function_calling.model.chat_model import ChatModel
from function_calling.model.turn import Turn
from function_calling.telemetry import metrics

_log = logging.getLogger(__name__)

openai_api_app = FastAPI(
    title="OpenAI-compatible API",
    docs_url=None,
    redoc_url=None,
    telemetry={"tracing": False},  # BentoML has a span for the request already
)
openai_api_app.state.cutoff = Cutoff()


@openai_api_app.post("/chat/completions")
async def create_chat_completion(request: Request) -> Response:
    """OpenAI's `POST /v1/chat/completions`, whole or as server-sent events."""
    return await _create(request, ChatRequest)


@openai_api_app.post("/responses")
async def create_response(request: Request) -> Response:
    """OpenAI's `POST /v1/responses`, whole or as server-sent events; nothing is stored."""
    return await _create(request, ResponsesRequest)


@openai_api_app.post("/messages")
async def create_message(request: Request) -> Response:
    """Anthropic's `POST /v1/messages`, whole or as server-sent events."""
    return await _create(request, MessagesRequest)


@openai_api_app.post("/completions")
async def create_completion(request: Request) -> Response:
    """OpenAI's `POST /v1/completions`: the prompt goes to the model as it is."""
    wanted = CompletionRequest.parse(await request.body())
    model = _chat_model(request)
    replies = [model.complete(prompt, sampling) for prompt, sampling in wanted.generations()]
    response, headers = wanted.response(model.name), wanted.headers
    return await respond(request, response, replies, headers, stream=wanted.stream)


@openai_api_app.post("/responses/input_tokens")
async def count_input_tokens(request: Request) -> Response:
    """OpenAI's `POST /v1/responses/input_tokens`: the tokens of such a response's prompt."""
    return await _count(request, ResponsesRequest, object="response.input_tokens")


@openai_api_app.post("/messages/count_tokens")
async def count_tokens(request: Request) -> Response:
    """Anthropic's `POST /v1/messages/count_tokens`: the tokens that such a message's prompt has."""
    response = await _count(request, CountRequest)
    response.headers[REQUEST_ID] = new_id("req")
    return response


async def _count(
    request: Request, kind: type[ResponsesRequest | CountRequest], **told: str
) -> Response:
    """The tokens that the prompt of a request has, beside what else is told."""
    wanted = kind.parse(await request.body())
    (turn,) = _turns(_chat_model(request), wanted)
    return JSONResponse({**told, "input_tokens": await turn.count()}, headers=wanted.headers)


async def _create(
    request: Request, kind: type[ChatRequest | ResponsesRequest | MessagesRequest]
) -> Response:
    """The response to a request of this kind; its replies differ in their sampling alone."""
    wanted = kind.parse(await request.body())
    model = _chat_model(request)
    turns = _turns(model, wanted)
    response = wanted.response(model.name)
    if isinstance(response, MessageResponse) and wanted.stream:
        response.input_tokens = await turns[0].count()
    headers = wanted.headers | listing(UNENFORCED, turns[0].unenforced)
    replies = [turn.events() for turn in turns]
    return await respond(request, response, replies, headers, stream=wanted.stream)


def _turns(model: ChatModel, wanted: ChatRequest | ResponsesRequest | CountRequest) -> list[Turn]:
    """The model's replies that are wanted, of which there is one at least."""
    prompt = wanted.prompt()
    return [model.turn(**prompt, sampling=each) for each in wanted.samplings()]


@openai_api_app.get("/models")
async def list_models(request: Request) -> Response:
    """The one model that is served, by each of its names, as OpenAI and Anthropic list them."""
    model = _chat_model(request)
    models = [_model(model, name) for name in model.names]
    page = {"has_more": False, "first_id": model.names[0], "last_id": model.names[-1]}
    return JSONResponse({"object": "list", "data": models, **page})


@openai_api_app.get("/models/{name:path}")
async def retrieve_model(request: Request, name: str) -> Response:
    """OpenAI's `GET /v1/models/{model}`."""
    model = _chat_model(request)
    if name not in model.names:
        raise RequestError(
            f"The model {name!r} does not exist; {', '.join(map(repr, model.names))} is served.",
            param="model",
            code="model_not_found",
            status=404,
        )
    return JSONResponse(_model(model, name))


@openai_api_app.exception_handler(ApiError)
async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(request, error)


@openai_api_app.exception_handler(HTTPException)
async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}."
    told = RequestError(message, status=error.status_code)
    return error_response(request, told, error.headers)


@openai_api_app.exception_handler(Exception)
async def _unforeseen(request: Request, error: Exception) -> Response:
    _log.error("%s", one_line(f"{request.method} {request.url.path} failed"), exc_info=error)
    return await _api_error(request, FAILED)


def error_response(
    request: Request, error: ApiError, headers: Mapping[str, str] | None = None
) -> Response:
    """The error in the shape of the API that was called; Anthropic's clients name its version."""
    told = {**error.headers, **(headers or {})}
    if error.status != CLIENT_GONE:
        metrics.refused(error)
    # Before the app is reached, its place is still a part of the path alone.
    path = request.scope["path"].removeprefix(request.scope.get("root_path") or "/v1")
    if error.param == "messages":  # as the model half calls what each API has a name for
        error.param = _PROMPTS.get(path.strip("/").partition("/")[0], "messages")
    if path.startswith("/messages") or "anthropic-version" in request.headers:
        body = error_body(error)
        told[REQUEST_ID] = body["request_id"]
    else:
        body = error.body()
    return JSONResponse(body, error.status, told)


def _chat_model(request: Request) -> ChatModel:
    model: ChatModel | None = getattr(request.app.state, "chat_model", None)
    if model is None:
        raise EngineError("The model is not loaded yet.", status=503)
    return model


def _model(model: ChatModel, name: str) -> dict[str, Any]:
    """The model as OpenAI tells of one, with its context as vLLM does, and as Anthropic does."""
    return {
        "id": name,
        "object": "model",
        "created": _STARTED,
        "owned_by": "function-calling",
        "max_model_len": model.context_length,
        "type": "model",
        "display_name": name,
        "created_at": datetime.fromtimestamp(_STARTED, UTC).isoformat(),
        "lifecycle": "active",
        "max_input_tokens": model.context_length,
    }


_PROMPTS = {"responses": "input", "completions": "prompt"}
"""What the messages are called in other APIs than chat, by the first step of a path."""
_STARTED = int(time.time())
