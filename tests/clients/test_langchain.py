"""LangChain's `ChatOpenAI`, and its agent."""

from functools import reduce
from operator import add

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI

from clients.cases import ADA, FACT, MOST_TOKENS, QUESTION, TIMEOUT, Person, Weather
from clients.conftest import V1


@pytest.fixture(params=[False, True], ids=["chat", "responses"])
def chat(v1: V1, request: pytest.FixtureRequest) -> ChatOpenAI:
    """The model as LangChain's, over either API."""
    return ChatOpenAI(
        base_url=v1.url,
        api_key="none",
        model=v1.model,
        temperature=0,
        max_tokens=MOST_TOKENS,
        timeout=TIMEOUT,
        max_retries=0,
        use_responses_api=request.param,
        stream_usage=True,
    )


@pytest.mark.parametrize("choice", ["auto", "any", "get_weather"])
def test_a_bound_tool_is_called_and_its_result_told(chat: ChatOpenAI, choice: str) -> None:
    """By the model's choice, by any tool's force, and by the tool's name."""
    weather = Weather()
    get_weather = StructuredTool.from_function(weather.get_weather)
    asked = HumanMessage(QUESTION)
    called = chat.bind_tools([get_weather], tool_choice=choice).invoke([asked])
    assert [(call["name"], call["args"]) for call in called.tool_calls] == [
        ("get_weather", {"city": "Paris"})
    ]
    result = get_weather.invoke(called.tool_calls[0])
    answer = chat.bind_tools([get_weather]).invoke([asked, called, result])
    assert weather.cities == ["Paris"]
    assert not answer.tool_calls
    assert "18" in answer.text


def test_streamed_chunks_add_up_to_the_call(chat: ChatOpenAI) -> None:
    """As LangChain joins them, with the usage."""
    get_weather = StructuredTool.from_function(Weather().get_weather)
    bound = chat.bind_tools([get_weather], tool_choice="any")
    joined = reduce(add, bound.stream(QUESTION))
    (call,) = joined.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    metadata = joined.response_metadata
    assert (metadata.get("finish_reason") or metadata["status"]) in ("tool_calls", "completed")
    assert joined.usage_metadata["output_tokens"] > 0


@pytest.mark.parametrize("method", ["function_calling", "json_mode", "json_schema"])
def test_an_answer_has_the_structure_asked_for(chat: ChatOpenAI, method: str) -> None:
    """In each way that LangChain knows; its JSON mode wants the keys told in words."""
    words = f"{FACT} Answer as JSON with name and age." if method == "json_mode" else FACT
    assert chat.with_structured_output(Person, method=method).invoke(words) == ADA


def test_the_agent_calls_its_tool_and_tells_the_result(chat: ChatOpenAI) -> None:
    """Until there is nothing left to call."""
    weather = Weather()
    get_weather = StructuredTool.from_function(weather.get_weather)
    agent = create_agent(chat, [get_weather], system_prompt="You are a helpful assistant")
    told = agent.invoke({"messages": [HumanMessage(QUESTION)]})["messages"]
    assert [type(message) for message in told[1:3]] == [AIMessage, ToolMessage]
    assert weather.cities == ["Paris"]
    assert "18" in told[-1].text
