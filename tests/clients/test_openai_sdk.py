"""OpenAI's SDK: what it adds to plain requests, and functions as before there were tools."""

import json
from typing import Any

from openai import OpenAI, pydantic_function_tool

from clients.cases import ADA, FACT, QUESTION, GetWeather, Person, Weather

TOOLS = [pydantic_function_tool(GetWeather, name="get_weather")]
ASKED: list[Any] = [{"role": "user", "content": QUESTION}]
TOLD: list[Any] = [{"role": "user", "content": FACT}]


def test_an_answer_is_parsed_as_a_model(sdk: OpenAI, settings: dict[str, Any]) -> None:
    """`parse` with a pydantic model as the response's format."""
    completion = sdk.chat.completions.parse(messages=TOLD, response_format=Person, **settings)
    assert completion.choices[0].message.parsed == ADA


def test_a_call_is_parsed_and_its_result_told(sdk: OpenAI, settings: dict[str, Any]) -> None:
    """`parse` with a pydantic model as a strict tool."""
    weather = Weather()
    completions = sdk.chat.completions
    message = completions.parse(messages=ASKED, tools=TOOLS, **settings).choices[0].message
    (call,) = message.tool_calls
    arguments = call.function.parsed_arguments
    assert arguments == GetWeather(city="Paris")
    result = {
        "role": "tool",
        "tool_call_id": call.id,
        "content": weather.get_weather(arguments.city),
    }
    answer = completions.parse(messages=[*ASKED, message, result], tools=TOOLS, **settings)
    assert not answer.choices[0].message.tool_calls
    assert "18" in answer.choices[0].message.content


def test_a_streams_events_tell_the_text_as_it_grows(sdk: OpenAI, settings: dict[str, Any]) -> None:
    """`stream` with a response's format; the last snapshot is the whole."""
    with sdk.chat.completions.stream(messages=TOLD, response_format=Person, **settings) as stream:
        events = list(stream)
        completion = stream.get_final_completion()
    (done,) = [event for event in events if event.type == "content.done"]
    assert done.parsed == ADA
    assert completion.choices[0].message.parsed == ADA
    pieces = [event.delta for event in events if event.type == "content.delta"]
    assert len(pieces) > 1
    assert "".join(pieces) == done.content


def test_a_streams_events_tell_the_call(sdk: OpenAI, settings: dict[str, Any]) -> None:
    """`stream` with a strict tool."""
    with sdk.chat.completions.stream(
        messages=ASKED, tools=TOOLS, tool_choice="required", **settings
    ) as stream:
        events = list(stream)
        completion = stream.get_final_completion()
    (done,) = [e for e in events if e.type == "tool_calls.function.arguments.done"]
    assert done.name == "get_weather"
    assert done.parsed_arguments == GetWeather(city="Paris")
    assert completion.choices[0].finish_reason == "tool_calls"


def test_a_function_is_called_as_before_there_were_tools(
    sdk: OpenAI, settings: dict[str, Any]
) -> None:
    """`functions`, `function_call` and a message of the role `function`."""
    asked = {"role": "user", "content": "How much does pizza salami cost?"}
    pizza = {
        "name": "get_pizza_info",
        "description": "Get name and price of a pizza of the restaurant",
        "parameters": {"type": "object", "properties": {"pizza_name": {"type": "string"}}},
    }
    completions = sdk.chat.completions
    choice = completions.create(messages=[asked], functions=[pizza], **settings).choices[0]
    call = choice.message.function_call
    assert choice.finish_reason == "function_call"
    assert call.name == "get_pizza_info"
    assert "salami" in json.loads(call.arguments)["pizza_name"].lower()
    result = {"role": "function", "name": call.name, "content": '{"price": "10.99"}'}
    answer = completions.create(
        messages=[asked, choice.message, result], functions=[pizza], **settings
    )
    assert answer.choices[0].message.function_call is None
    assert "10.99" in answer.choices[0].message.content
