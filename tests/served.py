"""`ExchangeAssistant` in this process, once for many tests; model and settings are each one's."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from openai import AsyncOpenAI
from starlette.testclient import TestClient

import service
from function_calling.agent.assistant import Assistant
from function_calling.agent.events import ChatEvent, TextEvent, read_event
from tools import TOOL_SETS

KNOWN = {"llama_url": "http://model", "llama_model": "scripted", "llama_api_key": "any"}
LEAKS = ("Traceback", 'File "', "Error:", "/function_calling/", "ISO 4217")
"""What no person may read: of the code, and of what models are told."""


class Served:
    """The app's client, and the assistant in it."""

    def __init__(self, http: TestClient, assistant: Assistant) -> None:
        self.http = http
        self.assistant = assistant

    def use(
        self,
        patch: pytest.MonkeyPatch,
        client: AsyncOpenAI,
        tool_sets: Mapping[str, Any] = TOOL_SETS,
        **settings: Any,
    ) -> TestClient:
        """Go on with another model, and with other settings and tools where some are given."""
        patch.setattr(self.assistant, "client", client)
        if settings or tool_sets is not TOOL_SETS:
            known = replace(self.assistant.settings, **settings)
            other = Assistant(known, client, tool_sets)
            patch.setattr(service, "settings", known)
            for name in ("settings", "model", "tools", "toolbox"):
                patch.setattr(self.assistant, name, getattr(other, name))
        return self.http


def chat(
    http: TestClient, messages: Sequence[Any], **approvals: Any
) -> tuple[str, list[ChatEvent]]:
    """The answer of a turn, and its events, each of which is one frame."""
    response = http.post("/chat", json={"messages": messages, **approvals})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    assert not [leak for leak in LEAKS if leak in response.text]
    *frames, rest = response.text.split("\n\n")
    assert rest == ""
    # Whoever reads the stream by eye sees first what an event is.
    assert all(frame.startswith('data: {"type":') for frame in frames)
    events = [read_event(frame.removeprefix("data: ")) for frame in frames]
    return "".join(each.text for each in events if isinstance(each, TextEvent)), events


@contextmanager
def assistant_app(**settings: Any) -> Iterator[Served]:
    """The service as BentoML serves it, without a model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "settings", replace(service.settings, **(KNOWN | settings)))
        # BentoML would load the real model, to look for a remote one.
        patch.setattr(service.ExchangeAssistant.inner, "llm", None)
        app = service.ExchangeAssistant.to_asgi()
        here = {"base_url": "http://localhost", "client": ("127.0.0.1", 50000)}
        with TestClient(app, raise_server_exceptions=False, **here) as http:
            yield Served(http, service.ui_app.state.assistant)
