"""`/v1`: OpenAI's API in front of one `ChatModel`, and Anthropic's Messages beside it.

Every error leaves in the protocol's shape, in streams too. A client that goes away stops the
generation. The app is made at import and knows no model yet: whoever serves it sets
`openai_api_app.state.chat_model`, and `state.cutoff` where it wants to end replies.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from function_calling.api import anthropic_reply, responses_reply
from function_calling.api.anthropic_reply import MessageResponse
from function_calling.api.anthropic_request import CountRequest, MessagesRequest
from function_calling.api.reply import ChatResponse, CompletionResponse
from function_calling.api.request import ApiRequest, ChatRequest, CompletionRequest
from function_calling.api.responses_reply import ResponseTelling
from function_calling.api.responses_request import ResponsesRequest
from function_calling.api.stream import CLIENT_GONE, FAILED, Telling, new_id, respond
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
    wanted = ChatRequest.parse(await request.body())
    model = _chat_model(request)
    telling = ChatResponse(
        model.name,
        include_usage=wanted.include_usage,
        logprobs=bool(wanted.logprobs),
        legacy=wanted.legacy,
        whole_calls=wanted.whole_calls,
    )
    return await _reply(request, wanted, telling, _turns(model, wanted))


@openai_api_app.post("/responses")
async def create_response(request: Request) -> Response:
    """OpenAI's `POST /v1/responses`, whole or as server-sent events; nothing is stored."""
    wanted = ResponsesRequest.parse(await request.body())
    model = _chat_model(request)
    turns = _turns(model, wanted)
    telling = ResponseTelling(model.name, wanted.echo(), wanted.logprobs, wanted.namespaced)
    return await _reply(request, wanted, telling, turns)


@openai_api_app.post("/responses/input_tokens")
async def count_input_tokens(request: Request) -> Response:
    """OpenAI's `POST /v1/responses/input_tokens`: the tokens of such a response's prompt."""
    wanted = ResponsesRequest.parse(await request.body())
    (turn,) = _turns(_chat_model(request), wanted)
    told = {"object": "response.input_tokens", "input_tokens": await turn.count()}
    return JSONResponse(told, headers=wanted.headers)


@openai_api_app.post("/completions")
async def create_completion(request: Request) -> Response:
    """OpenAI's `POST /v1/completions`: the prompt goes to the model as it is."""
    wanted = CompletionRequest.parse(await request.body())
    model = _chat_model(request)
    response = CompletionResponse(
        model.name,
        include_usage=wanted.include_usage,
        logprobs=wanted.logprobs is not None,
        of_a_prompt=wanted.n or 1,
    )
    replies = [model.complete(prompt, sampling) for prompt, sampling in wanted.generations()]
    return await respond(request, wanted, response, replies)


@openai_api_app.post("/messages")
async def create_message(request: Request) -> Response:
    """Anthropic's `POST /v1/messages`, whole or as server-sent events."""
    wanted = MessagesRequest.parse(await request.body())
    model = _chat_model(request)
    (turn,) = turns = _turns(model, wanted)
    tokens = await turn.count() if wanted.stream else 0
    telling = MessageResponse(model.name, wanted.max_tokens, tokens)
    response = await _reply(request, wanted, telling, turns)
    response.headers[_REQUEST_ID] = telling.request
    return response


@openai_api_app.post("/messages/count_tokens")
async def count_tokens(request: Request) -> Response:
    """Anthropic's `POST /v1/messages/count_tokens`: the tokens that such a message's prompt has."""
    wanted = CountRequest.parse(await request.body())
    (turn,) = _turns(_chat_model(request), wanted)
    headers = {**wanted.headers, _REQUEST_ID: new_id("req")}
    return JSONResponse({"input_tokens": await turn.count()}, headers=headers)


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


def _turns(model: ChatModel, wanted: ChatRequest | ResponsesRequest | CountRequest) -> list[Turn]:
    """The model's replies that are wanted, of which there is one at least."""
    prompt = wanted.prompt()
    return [model.turn(**prompt, sampling=each) for each in wanted.samplings()]


async def _reply(
    request: Request, wanted: ApiRequest, telling: Telling, turns: Sequence[Turn]
) -> Response:
    """The response that tells the model's replies, which differ in their sampling alone."""
    replies = [turn.events() for turn in turns]
    return await respond(request, wanted, telling, replies, turns[0].unenforced)


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
    if path.startswith("/messages") or "anthropic-version" in request.headers:
        body = anthropic_reply.error_body(error)
        told[_REQUEST_ID] = body["request_id"]
    else:
        in_response = path.startswith("/responses")
        body = responses_reply.error_body(error) if in_response else error.body()
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


_REQUEST_ID = "request-id"
"""The header in which Anthropic's clients look for the id of their request."""
_STARTED = int(time.time())
