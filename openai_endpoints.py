"""`/v1`: OpenAI's API in front of one `ChatModel`, and Anthropic's Messages beside it.

Every error leaves in the protocol's shape, in streams too. A client that goes away stops the
generation.
The app is made at import and knows no model yet: whoever serves it sets
`openai_api_app.state.chat_model`.
"""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from openai.types import Model
from starlette.exceptions import HTTPException

from function_calling.api.anthropic_reply import MessageResponse, error_body
from function_calling.api.anthropic_request import CountRequest, MessagesRequest
from function_calling.api.headers import UNENFORCED, listing
from function_calling.api.messages import conversation
from function_calling.api.reply import ChatResponse, CompletionResponse
from function_calling.api.request import ChatRequest, CompletionRequest
from function_calling.api.responses_reply import ResponseTelling
from function_calling.api.responses_request import ResponsesRequest, in_own_words, own_words
from function_calling.api.stream import FAILED, in_json, read_body, respond
from function_calling.api.tools import tool_choice
from function_calling.errors import ApiError, EngineError, RequestError, one_line
from function_calling.model.chat_model import ChatModel

_log = logging.getLogger(__name__)

openai_api_app = FastAPI(title="OpenAI-compatible API", docs_url=None, redoc_url=None)


@openai_api_app.post("/chat/completions")
async def create_chat_completion(request: Request) -> Response:
    """OpenAI's `POST /v1/chat/completions`, whole or as server-sent events."""
    chat = ChatRequest.parse(await read_body(request))
    model = _chat_model(request)
    messages, tools, content = conversation(chat.messages), chat.offered_tools(), chat.content()
    choice = chat.choice(tools)
    callable_tools = [tool for tool in tools if tool.name in choice.names]
    response = ChatResponse(
        model.name,
        include_usage=chat.include_usage,
        logprobs=bool(chat.logprobs),
        legacy=chat.legacy,
        whole_calls=chat.whole_calls,
    )
    replies = [
        model.reply(
            messages,
            tools,
            choice,
            sampling,
            content=content,
            tool_format=chat.tool_format,
            template_options=chat.template_options(),
        )
        for sampling in chat.samplings()
    ]
    return await respond(
        request,
        response,
        replies,
        stream=bool(chat.stream),
        headers=chat.headers | listing(UNENFORCED, model.unenforced(callable_tools, content)),
    )


@openai_api_app.post("/responses")
async def create_response(request: Request) -> Response:
    """OpenAI's `POST /v1/responses`, whole or as server-sent events; nothing is stored."""
    wanted = ResponsesRequest.parse(await read_body(request))
    model = _chat_model(request)
    messages, content = conversation(wanted.messages()), wanted.content
    tools = wanted.functions()
    choice = tool_choice(wanted.tool_choice, wanted.parallel_tool_calls, tools)
    reply = model.reply(
        *(messages, tools, choice, wanted.sampling),
        content=content,
        tool_format=wanted.tool_format,
        template_options=wanted.template_options,
    )
    unenforced = model.unenforced([tool for tool in tools if tool.name in choice.names])
    unenforced += map(own_words, model.unenforced((), content))
    return await respond(
        request,
        ResponseTelling(model.name, wanted.echo(tools, choice), wanted.logprobs),
        [in_own_words(reply)],
        stream=bool(wanted.stream),
        headers=wanted.headers | listing(UNENFORCED, unenforced),
    )


@openai_api_app.post("/completions")
async def create_completion(request: Request) -> Response:
    """OpenAI's `POST /v1/completions`: the prompt goes to the model as it is."""
    wanted = CompletionRequest.parse(await read_body(request))
    model = _chat_model(request)
    response = CompletionResponse(
        model.name,
        include_usage=wanted.include_usage,
        logprobs=wanted.logprobs is not None,
        of_a_prompt=wanted.n or 1,
    )
    replies = [model.complete(prompt, sampling) for prompt, sampling in wanted.generations()]
    return await respond(
        request, response, replies, stream=bool(wanted.stream), headers=wanted.headers
    )


@openai_api_app.post("/messages")
async def create_message(request: Request) -> Response:
    """Anthropic's `POST /v1/messages`, whole or as server-sent events."""
    wanted = MessagesRequest.parse(await read_body(request))
    model = _chat_model(request)
    prompt, content = wanted.prompt(), wanted.content()
    tokens = await model.count(**prompt) if wanted.stream else 0
    response = MessageResponse(model.name, wanted.max_tokens, tokens)
    callable_tools = [each for each in prompt["tools"] if each.name in prompt["choice"].names]
    return await respond(
        request,
        response,
        [model.reply(**prompt, sampling=wanted.sampling(), content=content)],
        stream=bool(wanted.stream),
        headers=wanted.headers
        | listing(UNENFORCED, model.unenforced(callable_tools, content))
        | {_REQUEST_ID: response.request},
    )


@openai_api_app.post("/messages/count_tokens")
async def count_tokens(request: Request) -> Response:
    """Anthropic's `POST /v1/messages/count_tokens`: the tokens that such a message's prompt has."""
    wanted = CountRequest.parse(await read_body(request))
    tokens = await _chat_model(request).count(**wanted.prompt())
    return JSONResponse({"input_tokens": tokens}, headers=wanted.headers)


@openai_api_app.get("/models")
async def list_models(request: Request) -> Response:
    """The one model that is served, by each of its names, as OpenAI and Anthropic list them."""
    model = _chat_model(request)
    models = [_model(model, name).model_dump(exclude_unset=True) for name in model.names]
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
    return in_json(_model(model, name))


@openai_api_app.exception_handler(ApiError)
async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _error(request, error, error.status, error.headers)


@openai_api_app.exception_handler(HTTPException)
async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}."
    return _error(request, RequestError(message), error.status_code, error.headers)


@openai_api_app.exception_handler(Exception)
async def _unforeseen(request: Request, error: Exception) -> Response:
    _log.error("%s", one_line(f"{request.method} {request.url.path} failed"), exc_info=error)
    return await _api_error(request, FAILED)


def _error(
    request: Request, error: ApiError, status: int, headers: Mapping[str, str] | None
) -> Response:
    """The error in the shape of the API that was called; Anthropic's clients name its version."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    if not (path.startswith("/messages") or "anthropic-version" in request.headers):
        return JSONResponse(error.body(), status, headers)
    body = error_body(error.message, status)
    return JSONResponse(body, status, {**(headers or {}), _REQUEST_ID: body["request_id"]})


def _chat_model(request: Request) -> ChatModel:
    model: ChatModel | None = getattr(request.app.state, "chat_model", None)
    if model is None:
        raise EngineError("The model is not loaded yet.", status=503)
    return model


def _model(model: ChatModel, name: str) -> Model:
    """The model as OpenAI tells of one, with its context as vLLM does, and as Anthropic does."""
    more: dict[str, Any] = {
        "max_model_len": model.context_length,
        "type": "model",
        "display_name": name,
        "created_at": datetime.fromtimestamp(_STARTED, UTC).isoformat(),
        "lifecycle": "active",
        "max_input_tokens": model.context_length,
    }
    return Model(id=name, object="model", created=_STARTED, owned_by="function-calling", **more)


_REQUEST_ID = "request-id"
"""The header in which Anthropic's clients look for the id of their request."""
_STARTED = int(time.time())
