"""Anthropic's own client of `/v1/messages`."""

from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic, BadRequestError, beta_tool

from clients.cases import ADA, FACT, MOST_TOKENS, QUESTION, TIMEOUT, Person, Weather
from clients.conftest import V1

TOLD: Any = [{"role": "user", "content": FACT}]


@pytest.fixture
def settings(v1: V1) -> dict[str, Any]:
    """What every request says; the client has no parameter for the temperature."""
    return {"model": v1.model, "max_tokens": MOST_TOKENS, "extra_body": {"temperature": 0}}


@pytest.fixture
def anthropic(v1: V1) -> Iterator[Anthropic]:
    """The client; it writes `/v1` itself."""
    url = v1.url.removesuffix("/v1")
    with Anthropic(base_url=url, api_key="none", max_retries=0, timeout=TIMEOUT) as client:
        yield client


def test_the_tool_runner_calls_and_tells_the_result(
    anthropic: Anthropic, settings: dict[str, Any]
) -> None:
    """By the model's own choice."""
    weather = Weather()

    @beta_tool
    def get_weather(city: str) -> str:
        """Get the weather in a city."""
        return weather.get_weather(city)

    runner = anthropic.beta.messages.tool_runner(
        messages=[{"role": "user", "content": QUESTION}], tools=[get_weather], **settings
    )
    answer = runner.until_done()
    assert weather.cities == ["Paris"]
    assert answer.stop_reason == "end_turn"
    assert "18" in answer.content[0].text


def test_an_answer_has_the_structure_asked_for(
    anthropic: Anthropic, settings: dict[str, Any]
) -> None:
    """By `parse`, whole and streamed."""
    message = anthropic.messages.parse(messages=TOLD, output_format=Person, **settings)
    assert message.parsed_output == ADA
    with anthropic.messages.stream(messages=TOLD, output_format=Person, **settings) as stream:
        pieces = list(stream.text_stream)
        assert stream.get_final_message().parsed_output == ADA
    assert len(pieces) > 1


def test_a_streamed_call_is_forced_and_counted(
    anthropic: Anthropic, settings: dict[str, Any]
) -> None:
    """The tokens of its prompt are those that are counted."""
    properties = {"city": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": ["city"]}
    asked: Any = {
        "model": settings["model"],
        "messages": [{"role": "user", "content": QUESTION}],
        "tools": [{"name": "get_weather", "input_schema": schema}],
        "tool_choice": {"type": "tool", "name": "get_weather"},
    }
    counted = anthropic.messages.count_tokens(**asked)
    with anthropic.messages.stream(**settings | asked) as stream:
        message = stream.get_final_message()
    (call,) = message.content
    assert (call.type, call.input, message.stop_reason) == (
        "tool_use",
        {"city": "Paris"},
        "tool_use",
    )
    assert message.usage.input_tokens == counted.input_tokens


def test_models_are_listed_and_errors_raised(
    anthropic: Anthropic, settings: dict[str, Any]
) -> None:
    """As the SDK's own."""
    assert settings["model"] in [model.id for model in anthropic.models.list()]
    with pytest.raises(BadRequestError) as told:
        anthropic.messages.create(**settings | {"max_tokens": 0}, messages=TOLD)
    assert told.value.type == "invalid_request_error"
