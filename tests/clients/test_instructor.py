"""Instructor: every answer is a pydantic model."""

from typing import Any

import instructor
import pytest
from instructor import Mode
from openai import OpenAI
from pydantic import BaseModel

from clients.cases import ADA, FACT, QUESTION, GetWeather, Person, Weather


class Report(BaseModel):
    """What the weather is."""

    degrees: int


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    """What every request says; Instructor would ask again by itself."""
    return settings | {"max_retries": 0}


@pytest.mark.parametrize("mode", [Mode.TOOLS, Mode.JSON, Mode.JSON_SCHEMA, Mode.MD_JSON])
def test_an_answer_has_the_structure_asked_for(
    sdk: OpenAI, settings: dict[str, Any], mode: Mode
) -> None:
    """By a forced call, by JSON as the format, by the schema as the format, and by words alone."""
    client = instructor.from_openai(sdk, mode=mode)
    told = [{"role": "user", "content": FACT}]
    person = client.create(response_model=Person, messages=told, **settings)
    assert person.model_dump() == ADA.model_dump()  # its class is Instructor's own


def test_a_tool_is_called_and_its_result_told(sdk: OpenAI, settings: dict[str, Any]) -> None:
    """The call is one model, the answer to its result another."""
    weather = Weather()
    client = instructor.from_openai(sdk)
    asked: list[Any] = [{"role": "user", "content": QUESTION}]
    call, completion = client.create_with_completion(
        response_model=GetWeather, messages=asked, **settings
    )
    message = completion.choices[0].message
    result = {
        "role": "tool",
        "tool_call_id": message.tool_calls[0].id,
        "content": weather.get_weather(call.city),
    }
    assert weather.cities == ["Paris"]
    messages = [*asked, message.model_dump(), result]
    assert client.create(response_model=Report, messages=messages, **settings).degrees == 18
