"""OpenAI's SDK over responses: `create`, `stream` and `parse`."""

import json
from typing import Any

import pytest
from openai import OpenAI, pydantic_function_tool

from clients.cases import ADA, FACT, MOST_TOKENS, QUESTION, GetWeather, Person, Weather
from clients.conftest import V1

TOOL: dict[str, Any] = {
    "type": "function",
    **pydantic_function_tool(GetWeather, name="get_weather")["function"],
}
ASKED: list[Any] = [{"role": "user", "content": QUESTION}]


@pytest.fixture
def settings(v1: V1) -> dict[str, Any]:
    """What every request says."""
    return {"model": v1.model, "temperature": 0, "max_output_tokens": MOST_TOKENS}


@pytest.mark.parametrize("choice", ["auto", {"type": "function", "name": "get_weather"}])
def test_a_tool_is_called_and_its_result_told(
    sdk: OpenAI, settings: dict[str, Any], choice: Any
) -> None:
    """The output is the next input, with the result behind it."""
    weather = Weather()
    told = sdk.responses.create(input=ASKED, tools=[TOOL], tool_choice=choice, **settings)
    (call,) = told.output
    assert (call.type, told.status) == ("function_call", "completed")
    output = weather.get_weather(**json.loads(call.arguments))
    result = {"type": "function_call_output", "call_id": call.call_id, "output": output}
    answer = sdk.responses.create(input=[*ASKED, call, result], tools=[TOOL], **settings)
    assert weather.cities == ["Paris"]
    assert "18" in answer.output_text


def test_an_answer_is_parsed_as_a_model(sdk: OpenAI, settings: dict[str, Any]) -> None:
    """`parse` with a pydantic model as the text's format."""
    told = sdk.responses.parse(input=FACT, text_format=Person, **settings)
    assert told.output_parsed == ADA


def test_a_streams_events_tell_the_text_as_it_grows(sdk: OpenAI, settings: dict[str, Any]) -> None:
    """`stream` with a text's format; the last event is the whole."""
    with sdk.responses.stream(input=FACT, text_format=Person, **settings) as stream:
        events = list(stream)
        told = stream.get_final_response()
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(pieces) > 1
    assert "".join(pieces) == told.output_text
    assert told.output_parsed == ADA


def test_a_streams_events_tell_the_call(sdk: OpenAI, settings: dict[str, Any]) -> None:
    """`stream` with a strict tool."""
    with sdk.responses.stream(
        input=ASKED, tools=[TOOL], tool_choice="required", **settings
    ) as stream:
        events = list(stream)
        (call,) = stream.get_final_response().output
    kind = "response.function_call_arguments.delta"
    assert "".join(event.delta for event in events if event.type == kind) == call.arguments
    assert call.parsed_arguments == {"city": "Paris"}
