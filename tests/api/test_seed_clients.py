"""Published examples of function calling run against `/v1` as their authors wrote them.

The requests are theirs, but for what tools are described with; so is what their programs read.
"""

import json
from typing import Any

import pytest
from scripted_engine import ScriptedEngine, chatml_model
from v1_client import Serve, choice_of, serving, sync_client

from function_calling.formats import FORMATS
from function_calling.model.chat_model import ChatModel

serve = pytest.fixture(serving)


def react_model(engine: ScriptedEngine) -> ChatModel:
    """A model that calls tools by the scheme of thought, action and observation."""
    return chatml_model(engine, FORMATS["react_en"])


# ToolBench's flat tools and the ReAct scheme

URL_PARAMETER = {"type": "string", "description": "", "example_value": "https://a.b/reels/"}
TOOLBENCH_TOOL = {
    "name": "url_for_newapi",
    "description": 'This is the subfunction for tool "newapi", you can use this tool.',
    "parameters": {
        "type": "object",
        "properties": {"url": URL_PARAMETER},
        "required": ["url"],
        "optional": ["url"],
    },
}
BOSTON: Any = {"role": "user", "content": "What's the weather like in Boston today?"}
THOUGHT = "Thought: I need to find the weather information for Boston today.\n"
URL = '{"url": "https://api.weatherapi.com/v1/current.json?q=Boston"}'


def test_toolbenchs_flat_tools_by_the_sdk(serve: Serve) -> None:
    """The first call is read, whichever it is; of a stream, that in the last delta."""
    turns = [f"{THOUGHT}Action: url_for_newapi\nAction Input:", f" {URL}\n", "Observation: sunny"]
    asked: Any = {"model": "llama3-8b-instruct", "messages": [BOSTON], "tools": [TOOLBENCH_TOOL]}
    serve(*turns, make=react_model)
    whole = sync_client().chat.completions.create(**asked, seed=42)
    serve(*turns, make=react_model)
    *chunks, last = sync_client().chat.completions.create(**asked, seed=42, stream=True)
    assert all(isinstance(chunk.choices[0].delta.content, str) for chunk in chunks)
    assert last.choices[0].finish_reason == "tool_calls"
    for told in (whole.choices[0].message, last.choices[0].delta):
        call = told.tool_calls[0]
        assert (call.function.name, call.type) == ("url_for_newapi", "function")
        assert json.loads(call.function.arguments) == json.loads(URL)


LOCATION = {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}
UNIT = {"type": "string", "enum": ["celsius", "fahrenheit"]}
WEATHER = {
    "name": "get_current_weather",
    "description": "Get the current weather in a given location",
    "parameters": {
        "type": "object",
        "properties": {"location": LOCATION, "unit": UNIT},
        "required": ["location"],
    },
}
STOP = ["Observation:", "Observation:\n"]
ARGUMENTS = '{"location": "Boston, MA", "unit": "fahrenheit"}'


async def test_the_weather_by_react_with_stop_words(serve: Serve) -> None:
    """The stop words end the text, and never cut a call."""
    engine = serve(
        f"{THOUGHT}\nAction: get_current_weather\n\nAction Input:",
        f" {ARGUMENTS}\n",
        "Observation: I guess it rains.",
        make=react_model,
    )
    tools = [{"type": "function", "function": WEATHER}]
    body = {"model": "llama3-8b-instruct", "messages": [BOSTON], "tools": tools, "stop": STOP}
    choice = await choice_of(body)
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_current_weather"
    assert json.loads(call["function"]["arguments"]) == json.loads(ARGUMENTS)
    assert "rains" not in (choice["message"]["content"] or "")
    assert choice["finish_reason"] == "tool_calls"
    assert engine.samplings[0].stop == tuple(STOP)
    assert "should be one of [get_current_weather]" in engine.prompts[0]


async def test_the_weathers_second_turn_with_the_models_own_text(serve: Serve) -> None:
    """The call is text that ends in "Observation:", and its result has no id; no tools come."""
    engine = serve("Final Answer: The weather in Boston today is 32°F.", make=react_model)
    written = f"{THOUGHT}\nAction: get_current_weather\n\nAction Input: {ARGUMENTS}\n\nObservation:"
    told = '{"result": "The weather in Boston today is 32°F (0°C), with clear skies"}\\n\\n'
    history = [
        BOSTON,
        {"role": "assistant", "content": written},
        {"role": "tool", "content": told},
    ]
    body = {"model": "llama3-8b-instruct", "messages": history, "stop": STOP}
    message = (await choice_of(body))["message"]
    assert message["content"].endswith("The weather in Boston today is 32°F.")
    assert "tool_calls" not in message
    prompt = engine.prompts[0]
    assert prompt.index("Action Input:") < prompt.index("with clear skies")
    assert prompt.count("Observation:") == 1
    assert prompt.rstrip().endswith(told)


# A to-do list that streams

TASK = {"type": "string", "description": "Task's content"}
CREATE_TASK = {
    "name": "create_task",
    "description": "Create a task",
    "parameters": {"type": "object", "properties": {"task": TASK}},
}


class TodoProgram:
    """A program that keeps a list of tasks for whoever talks to it.

    It adds up the content of every delta, counts the calls of every delta, and takes the first
    that come for whole; it keeps calls as JSON texts, and sends results without an id.
    """

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.messages: list[Any] = []

    def say(self, text: str) -> str:
        """Ask until the model answers in words."""
        self.messages.append({"role": "user", "content": text})
        while tools := self.ask():
            for tool in tools:
                assert tool.function.name == "create_task"
                self.tasks.append(json.loads(tool.function.arguments)["task"])
                self.messages.append({"role": "tool", "content": '{"result": "ok"}'})
        return str(self.messages[-1]["content"])

    def ask(self) -> list[Any]:
        """One request: its stream becomes a message; the calls in it."""
        stream = sync_client().chat.completions.create(
            model="llama-3-groq-8b",
            messages=self.messages,
            tools=[{"type": "function", "function": CREATE_TASK}],
            stream=True,
            extra_body={"whole_tool_calls": True},
        )
        tools: list[Any] = []
        content = ""
        for chunk in stream:
            delta: Any = chunk.choices[0].delta
            content += delta.content
            if len(delta.tool_calls) > 0:
                assert len(tools) == 0
                tools = delta.tool_calls
        called = {"tool_call": [tool.json() for tool in tools]} if tools else {}
        self.messages.append({"role": "assistant", "content": content, **called})
        return tools


@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")
def test_a_todo_list_that_streams_and_adds_up(serve: Serve) -> None:
    """Nothing that it reads is null, and its history comes back as calls with their results."""
    tasks = ["fix a bug", "写测试"]
    calls = [("create_task", json.dumps({"task": each}, ensure_ascii=False)) for each in tasks]
    groq = FORMATS["groq"]
    listed = groq.calls(calls).removeprefix(groq.call_head(("create_task",)))
    answer = "I've added it to your task list."
    engine = serve("<tool_call>", listed, answer, make=lambda e: chatml_model(e, groq))
    program = TodoProgram()
    assert program.say("Help me to write down it I'm going to fix a bug") == answer
    assert program.tasks == tasks
    told = engine.prompts[-1]
    places = [told.index(f'"arguments": {{"task": "{task}"}}') for task in tasks]
    assert places == sorted(places)
    assert told.count('{"result": "ok"}') == len(tasks)


# A currency exchange whose results are a user's words


def test_an_exchange_with_results_in_a_users_turn(serve: Serve) -> None:
    """The reply's message goes back as it came; the second request offers no tools."""
    answer = "The converted amount of 42 US dollars to Canadian dollars is 131.95."
    arguments = '{"from_currency": "USD", "to_currency": "CAD", "amount": 42}'
    engine = serve("<tool_call>", f" {arguments}}}\n</tool_call>", answer)
    properties = {"from_currency": {"type": "string"}, "to_currency": {"type": "string"}}
    properties["amount"] = {"type": "number", "description": "The amount to be converted"}
    function = {
        "name": "convert_currency",
        "description": "Convert from one currency to another.",
        "parameters": {"type": "object", "properties": properties, "required": []},
    }
    messages: list[Any] = [
        {"role": "system", "content": "You convert currencies with the tool."},
        {"role": "user", "content": "I want to exchange 42 US dollars to Canadian dollars"},
    ]
    create: Any = sync_client().chat.completions.create
    model = "hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4"
    tools = [{"type": "function", "function": function}]
    message = create(model=model, messages=messages, tools=tools).choices[0].message
    messages.append(message)
    for tool_call in message.tool_calls or ():
        function_args = json.loads(tool_call.function.arguments)
        converted = str(round(function_args.get("amount") * 3.14159, 2))
        name = tool_call.function.name
        messages.append({"role": "user", "name": name, "content": converted})
    final_response = create(model=model, messages=messages)
    assert final_response.choices[0].message.content == answer
    assert engine.prompts[-1].count("131.95") == 1
    assert '"from_currency": "USD"' in engine.prompts[-1]
