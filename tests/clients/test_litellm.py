"""LiteLLM, which takes us for any server of OpenAI's API."""

import json
from typing import Any

import litellm
import pytest

from clients.cases import ADA, FACT, MOST_TOKENS, QUESTION, TIMEOUT, GetWeather, Person, Weather
from clients.conftest import V1

ASKED = [{"role": "user", "content": QUESTION}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the weather in a city.",
            "parameters": GetWeather.model_json_schema(),
        },
    }
]


@pytest.fixture
def settings(v1: V1) -> dict[str, Any]:
    """What every request says."""
    return {
        "model": f"openai/{v1.model}",
        "api_base": v1.url,
        "api_key": "none",
        "temperature": 0,
        "max_tokens": MOST_TOKENS,
        "timeout": TIMEOUT,
        "max_retries": 0,
    }


def test_a_tool_is_called_and_its_result_told(settings: dict[str, Any]) -> None:
    """By the model's choice."""
    weather = Weather()
    called = litellm.completion(messages=ASKED, tools=TOOLS, **settings)
    message = called.choices[0].message
    (call,) = message.tool_calls
    result = {
        "role": "tool",
        "tool_call_id": call.id,
        "content": weather.get_weather(**json.loads(call.function.arguments)),
    }
    assert weather.cities == ["Paris"]
    answer = litellm.completion(messages=[*ASKED, message, result], tools=TOOLS, **settings)
    assert not answer.choices[0].message.tool_calls
    assert "18" in answer.choices[0].message.content


def test_a_stream_is_put_together(settings: dict[str, Any]) -> None:
    """To the call, with the usage."""
    chunks = litellm.completion(
        messages=ASKED,
        tools=TOOLS,
        tool_choice="required",
        stream=True,
        stream_options={"include_usage": True},
        **settings,
    )
    whole = litellm.stream_chunk_builder(list(chunks))
    (call,) = whole.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    assert whole.choices[0].finish_reason == "tool_calls"
    assert whole.usage.completion_tokens > 0


def test_an_answer_has_the_structure_asked_for(settings: dict[str, Any]) -> None:
    """By the response's format."""
    reply = litellm.completion(
        messages=[{"role": "user", "content": FACT}], response_format=Person, **settings
    )
    assert Person.model_validate_json(reply.choices[0].message.content) == ADA
