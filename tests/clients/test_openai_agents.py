"""OpenAI's Agents SDK over responses, its default, and over chat completions."""

from collections.abc import AsyncIterator

import pytest
from agents import (
    Agent,
    Model,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
)
from openai import AsyncOpenAI

from clients.cases import ADA, FACT, MOST_TOKENS, QUESTION, TIMEOUT, Person, Weather
from clients.conftest import V1


@pytest.fixture(params=[OpenAIResponsesModel, OpenAIChatCompletionsModel])
async def model(v1: V1, request: pytest.FixtureRequest) -> AsyncIterator[Model]:
    """The model as the SDK's."""
    async with AsyncOpenAI(
        base_url=v1.url, api_key="none", max_retries=0, timeout=TIMEOUT
    ) as client:
        yield request.param(v1.model, client)


def settings(choice: str | None = None) -> ModelSettings:
    """What every request says."""
    return ModelSettings(temperature=0, max_tokens=MOST_TOKENS, tool_choice=choice)


@pytest.mark.parametrize("choice", [None, "get_weather"])
async def test_the_agent_calls_its_tool_and_tells_the_result(
    model: Model, choice: str | None
) -> None:
    """By its own choice, and by the tool's name."""
    weather = Weather()
    agent = Agent(
        "Weather",
        model=model,
        model_settings=settings(choice),
        tools=[function_tool(weather.get_weather)],
    )
    result = await Runner.run(agent, QUESTION)
    assert weather.cities == ["Paris"]
    assert "18" in result.final_output


async def test_the_agent_streams_its_run(model: Model) -> None:
    """Call, result and answer, as the SDK's items."""
    weather = Weather()
    agent = Agent(
        "Weather",
        model=model,
        model_settings=settings(),
        tools=[function_tool(weather.get_weather)],
    )
    run = Runner.run_streamed(agent, QUESTION)
    items = [
        event.item.type
        async for event in run.stream_events()
        if event.type == "run_item_stream_event"
    ]
    assert items == ["tool_call_item", "tool_call_output_item", "message_output_item"]
    assert weather.cities == ["Paris"]
    assert "18" in run.final_output


async def test_an_answer_has_the_structure_asked_for(model: Model) -> None:
    """By the response's format."""
    agent = Agent("Reader", model=model, model_settings=settings(), output_type=Person)
    assert (await Runner.run(agent, FACT)).final_output == ADA
