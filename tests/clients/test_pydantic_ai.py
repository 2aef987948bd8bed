"""Pydantic AI's agent."""

from typing import Any

import pytest
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from clients.cases import ADA, FACT, MOST_TOKENS, QUESTION, TIMEOUT, Person, Weather
from clients.conftest import V1


@pytest.fixture(params=[OpenAIChatModel, OpenAIResponsesModel])
def model(v1: V1, request: pytest.FixtureRequest) -> Model:
    """The model as Pydantic AI's, over either API."""
    return request.param(
        v1.model,
        provider=OpenAIProvider(base_url=v1.url, api_key="none"),
        settings=ModelSettings(temperature=0, max_tokens=MOST_TOKENS, timeout=TIMEOUT),
    )


async def test_the_agent_calls_its_tool_and_tells_the_result(model: Model) -> None:
    """By the model's own choice."""
    weather = Weather()
    agent = Agent(model, tools=[weather.get_weather])
    result = await agent.run(QUESTION)
    assert weather.cities == ["Paris"]
    assert "18" in result.output


async def test_the_agent_streams_its_answer(model: Model) -> None:
    """After the call, which is streamed too."""
    weather = Weather()
    agent = Agent(model, tools=[weather.get_weather])
    async with agent.run_stream(QUESTION) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert weather.cities == ["Paris"]
    assert len(pieces) > 1
    assert "18" in "".join(pieces)


@pytest.mark.parametrize("output", [ToolOutput, NativeOutput])
async def test_an_answer_has_the_structure_asked_for(model: Model, output: Any) -> None:
    """By a forced call, and by the response's format."""
    result = await Agent(model, output_type=output(Person)).run(FACT)
    assert result.output == ADA
