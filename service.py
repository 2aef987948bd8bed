"""The two services: `Llama` serves a model on `/v1`, `ExchangeAssistant` answers people.

Wiring and nothing else: settings are read, parts are made and handed to each other.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.server.http import instruments, traffic
from bentoml.validators import ContentType
from pydantic import Field
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route

from function_calling.agent.events import ChatEvent, DoneEvent
from function_calling.agent.messages import read_messages, read_query
from function_calling.agent.sse import EventStream, client_error
from function_calling.door import connections
from function_calling.door.access import Access, cors
from function_calling.door.body import BodyCheck
from function_calling.door.bounds import AnswerTimeout, Bounds
from function_calling.door.guard import Refuse, in_openais_shape
from function_calling.door.paths import by_route
from function_calling.door.request_id import RequestId
from function_calling.door.stopping import Stopping, StoppingDoor
from function_calling.errors import ApiError, SettingsError
from function_calling.mcp_tools.endpoint import McpEndpoint
from function_calling.model.chat_model import load_chat_model
from function_calling.settings import Settings
from function_calling.telemetry import logs, metrics, tracing
from function_calling.ui.app import ui_app
from function_calling.worker import heed_failures, starting
from openai_endpoints import error_response, openai_api_app
from packing import hub_weights, image, llama_resources, with_weights
from tools import EXAMPLE, TOOL_SETS

# BentoML tells its maker what is served. Its command line has looked there before it came here.
os.environ["BENTOML_DO_NOT_TRACK"] = "True"
if tracking := sys.modules.get("bentoml._internal.utils.analytics.usage_stats"):
    tracking.do_not_track.cache_clear()

settings = Settings.from_env(os.environ)
keys = settings.keys()
on_bentocloud = "BENTOCLOUD_DEPLOYMENT_URL" in os.environ
logs.configure(settings.log_format)
traces: Any = tracing.export(os.environ)
mcp_endpoint = McpEndpoint()
_AT_V1 = "The model answers as OpenAI's API does, at /v1.\n"
connections.use()
instruments.RunnerTrafficMetricsMiddleware = by_route(  # type: ignore[misc]
    instruments.RunnerTrafficMetricsMiddleware
)
traffic.TimeoutMiddleware = AnswerTimeout  # type: ignore[assignment,misc]
stopping = Stopping(settings.stop_timeout)
openai_api_app.state.cutoff = stopping.cutoff


# In place of BentoML's page, which loads a tracker.
@bentoml.asgi_app(Starlette(routes=[Route("/", PlainTextResponse(_AT_V1), methods=["GET"])]))
# Of an app of Starlette's, BentoML takes the routes alone, and tells 404 as plain text.
@bentoml.asgi_app(Mount("/", openai_api_app), path="/v1")
@bentoml.service(
    image=image,
    traffic={"timeout": 300},
    resources=llama_resources(settings),
    tracing=traces,
)
class Llama:
    """A language model behind an OpenAI-compatible API at `/v1`."""

    weights = hub_weights(settings)
    heed_failures = bentoml.on_deployment(heed_failures)
    heed_signals = bentoml.on_startup(lambda self: stopping.heed_signals())

    @starting("Llama")
    def __init__(self) -> None:
        if traces:
            tracing.use(BentoMLContainer.tracer_provider.get())
        self.model = load_chat_model(with_weights(settings, self.weights))
        openai_api_app.state.chat_model = self.model

    async def __metrics__(self, original: str) -> str:
        engine = self.model.engine
        return original + metrics.load(await engine.busy(), await engine.waiting())

    @bentoml.on_shutdown
    def close(self) -> None:
        """Free the model."""
        self.model.engine.close()


@bentoml.asgi_app(ui_app)
@bentoml.asgi_app(Starlette(routes=[Route("/mcp", mcp_endpoint, methods=["POST"])]))
@bentoml.service(image=image, traffic={"timeout": 300}, resources={"cpu": "1"}, tracing=traces)
class ExchangeAssistant:
    """Answers questions about exchanging money by calling a tool through the model."""

    llm = bentoml.depends(Llama, url=settings.llama_url or None)
    heed_failures = bentoml.on_deployment(heed_failures)
    heed_signals = bentoml.on_startup(lambda self: stopping.heed_signals())

    @starting("ExchangeAssistant")
    def __init__(self) -> None:
        if traces:
            tracing.use(BentoMLContainer.tracer_provider.get())
        url = settings.llama_url or Llama.url  # type: ignore[attr-defined]
        if url is None:
            raise SettingsError(
                "Llama is not served: start `service:ExchangeAssistant` by BentoML."
            )
        # OpenAI's client takes half a second to import, and the model's server needs none.
        from function_calling.agent.assistant import Assistant
        from function_calling.agent.model_call import llama_client

        # On BentoCloud, headers tell which service a request is for.
        headers = {} if settings.llama_url else self.llm.to_async.default_headers
        key = settings.llama_api_key if settings.llama_url else next(iter(keys), "")
        known = replace(settings, llama_api_key=key)
        client = llama_client(url, known, headers, may_sleep=on_bentocloud)
        self.assistant = Assistant(settings, client, TOOL_SETS)
        mcp_endpoint.offer(self.assistant.tools, settings)
        self.reading: asyncio.Task[None] | None = None
        ui_app.state.assistant = self.assistant

    @bentoml.on_startup
    async def read_ahead(self) -> None:
        """Have the model read the prompt before the first question comes.

        Not where that may cost money: at a server that wants a key which is none of ours, and on
        BentoCloud, where it would wake the model up.
        """
        ours = not settings.llama_url or settings.llama_api_key in ("", *keys)
        if ours and not on_bentocloud:
            self.reading = asyncio.create_task(self.assistant.read_ahead())

    async def __is_ready__(self) -> bool:
        """Whether a query can be answered at once: the model is loaded, reached and prepared."""
        if self.reading and not self.reading.done():
            return False
        try:
            await self.assistant.first_model()
        except ApiError:
            return False
        return True

    @bentoml.api
    async def exchange(
        self,
        query: Annotated[
            str, Field(description="What to exchange, in your own words, in any language.")
        ] = EXAMPLE,
    ) -> str:
        """Answer a question about exchanging money."""
        try:
            messages = read_query(query, self.assistant.settings.max_query_length)
            async with stopping.cutoff.running():
                agent = await self.assistant.agent()
                text, done = await agent.answer(messages)
        except Exception as error:
            return _refusal(error)  # type: ignore[return-value]
        return PlainTextResponse(text, headers=_told(done))  # type: ignore[return-value]

    @bentoml.api
    async def chat(
        self,
        messages: Annotated[
            Any,
            Field(
                description="The conversation, as OpenAI's `messages`; the last one is yours.",
                examples=[[{"role": "user", "content": EXAMPLE}]],
            ),
        ] = None,
        approvals: Annotated[
            dict[str, Any] | None,
            Field(
                description="If you can ask a person: ids of open calls, with true for a yes.",
                examples=[{}],
            ),
        ] = None,
    ) -> Annotated[str, ContentType("text/event-stream")]:
        """Go on with a conversation; the answer comes as server-sent events, while it is made.

        [The page](ui) asks here.
        """
        try:
            read = read_messages(messages, settings, approvals)
        except Exception as error:
            return _refusal(error)  # type: ignore[return-value]
        return EventStream(stopping.cutoff.each(self._turn(read, approvals)))  # type: ignore[return-value]

    @bentoml.on_shutdown
    def close(self) -> None:
        """Free what the tools hold."""
        if self.reading:
            self.reading.cancel()
        self.assistant.close()

    async def _turn(
        self, messages: list[dict[str, Any]], approvals: dict[str, bool] | None
    ) -> AsyncGenerator[ChatEvent, None]:
        agent = await self.assistant.agent(approvals=approvals)
        async with aclosing(agent.run(messages)) as events:
            async for event in events:
                yield event


def _put_door(service: Any, refuse: Refuse) -> None:
    """Put before a service what each request meets; BentoML runs first what is added first."""
    service.add_asgi_middleware(RequestId)
    # BentoCloud's gateway has a token asked for.
    if keys or not on_bentocloud:
        service.add_asgi_middleware(CORSMiddleware, **cors(settings))
        service.add_asgi_middleware(Access, settings=settings, keys=keys, refuse=refuse)
    service.add_asgi_middleware(StoppingDoor, stopping=stopping, refuse=refuse)
    service.add_asgi_middleware(
        Bounds,
        most_bytes=settings.max_body_bytes,
        most_requests=settings.max_requests,
        refuse=refuse,
    )


_put_door(Llama, error_response)
_put_door(ExchangeAssistant, in_openais_shape)
ExchangeAssistant.add_asgi_middleware(  # type: ignore[attr-defined]
    BodyCheck,
    fields={"/exchange": {"query": str}, "/chat": {"messages": list, "approvals": dict}},
)


def _refusal(error: Exception) -> JSONResponse:
    """The error as a response: BentoML would reshape one that is raised."""
    told = client_error(error)
    return JSONResponse(told.body(), told.status, told.headers)


def _told(done: DoneEvent) -> dict[str, str]:
    """What an answer cost and how it came to be trusted, as headers."""
    return {
        "x-rounds": str(done.rounds),
        "x-tool-calls": str(done.tool_calls),
        "x-prompt-tokens": str(done.usage.prompt_tokens),
        "x-completion-tokens": str(done.usage.completion_tokens),
        "x-grounding": done.grounding,
    }
