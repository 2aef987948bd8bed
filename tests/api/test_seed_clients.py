"""Published examples of function calling run against `/v1` as their authors wrote them.

The requests are theirs, word by word; so is what their programs read of the replies.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from openai import Stream
from openai.types.chat import ChatCompletionChunk
from scripted_engine import ScriptedEngine, chatml_model
from v1_client import Serve, events_of, post, serving, sync_client

from function_calling.formats import FORMATS
from function_calling.model.chat_model import ChatModel

serve = pytest.fixture(serving)
CALL = "<tool_call>"


def rest(arguments: str) -> str:
    """What an engine writes of a call of the one offered tool."""
    return f" {arguments}}}\n</tool_call>"


def react_model(engine: ScriptedEngine) -> ChatModel:
    """A model that calls tools by the scheme of thought, action and observation."""
    return chatml_model(engine, FORMATS["react_en"])


# The older functions


async def test_the_weather_by_http_with_functions_and_a_stream(serve: Serve) -> None:
    """The arguments are drawn from the question; name and arguments stand in `function_call`."""
    engine = serve(CALL, rest('{"location": "北京", "time": "10月27日"}'))
    body = {
        "model": "xx",
        "messages": [{"role": "user", "content": "10月27日北京天气怎么样"}],
        "functions": [
            {
                "name": "get_current_weather",
                "description": "获取今天的天气",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "location": {
                            "type": "string",
                            "description": "获取天气情况的城市或者国家,比如北京、东京、新加坡",
                        },
                        "time": {"type": "string", "description": "时间信息"},
                    },
                    "required": ["location", "time"],
                },
            }
        ],
    }
    events = await events_of(body)
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    choices = [event["choices"][0] for event in events]
    told = [each["delta"]["function_call"] for each in choices if "function_call" in each["delta"]]
    assert "".join(each.get("name", "") for each in told) == "get_current_weather"
    assert json.loads("".join(each["arguments"] for each in told)) == {
        "location": "北京",
        "time": "10月27日",
    }
    assert choices[-1]["finish_reason"] == "function_call"
    assert "获取今天的天气" in engine.prompts[0]


def test_the_price_of_a_pizza_by_the_sdk_with_functions(serve: Serve) -> None:
    """`type` stands last in the schema, and nothing is required in it."""
    serve(CALL, rest('{"pizza_name": "Salami"}'))
    completion = sync_client().chat.completions.create(
        model="doubao-pro-4k",
        messages=[{"role": "user", "content": "How much does pizza salami cost?"}],
        functions=[
            {
                "name": "get_pizza_info",
                "description": "Get name and price of a pizza of the restaurant",
                "parameters": {
                    "properties": {
                        "pizza_name": {
                            "type": "string",
                            "description": "The name of the pizza, e.g. Salami",
                        }
                    },
                    "type": "object",
                },
            }
        ],
        temperature=0.3,
    )
    message = completion.choices[0].message
    assert message.function_call is not None
    assert message.function_call.name == "get_pizza_info"
    assert json.loads(message.function_call.arguments) == {"pizza_name": "Salami"}
    assert (message.role, message.tool_calls) == ("assistant", None)


# ToolBench's flat tools and the ReAct scheme

TOOLBENCH_TOOLS: list[Any] = [
    {
        "name": "url_for_newapi",
        "description": 'This is the subfunction for tool "newapi", you can use this tool.'
        'The description of this function is: "url_for_newapi"',
        "parameters": {
            "type": "object",
            "properties": {
                "url": {
                    "type": "string",
                    "description": "",
                    "example_value": "https://www.instagram.com/reels/CtB6vWMMHFD/",
                }
            },
            "required": ["url"],
            "optional": ["url"],
        },
    },
]
BOSTON: Any = {"role": "user", "content": "What's the weather like in Boston today?"}
THOUGHT = "Thought: I need to find the weather information for Boston today.\n"
URL = '{"url": "https://api.weatherapi.com/v1/current.json?q=Boston"}'
URL_TURNS = [f"{THOUGHT}Action: url_for_newapi\nAction Input:", f" {URL}\n", "Observation: sunny"]


def test_toolbenchs_flat_tools_by_the_sdk(serve: Serve) -> None:
    """The first call is read, whichever it is."""
    engine = serve(*URL_TURNS, make=react_model)
    resp = sync_client().chat.completions.create(
        model="llama3-8b-instruct", tools=TOOLBENCH_TOOLS, messages=[BOSTON], seed=42
    )
    assert resp.choices[0].message.tool_calls is not None
    tool_calls: Any = resp.choices[0].message.tool_calls[0]
    assert (tool_calls.function.name, tool_calls.type) == ("url_for_newapi", "function")
    assert json.loads(tool_calls.function.arguments) == json.loads(URL)
    assert engine.samplings[0].seed == 42
    assert "url_for_newapi" in engine.prompts[0]


def test_toolbenchs_flat_tools_by_the_sdk_in_a_stream(serve: Serve) -> None:
    """Every delta's content is printed, and then the call in the last one."""
    serve(*URL_TURNS, make=react_model)
    stream_resp = sync_client().chat.completions.create(
        model="llama3-8b-instruct", messages=[BOSTON], tools=TOOLBENCH_TOOLS, stream=True, seed=42
    )
    printed = ""
    for chunk in stream_resp:
        print(chunk.choices[0].delta.content, end="", flush=True)
        printed += chunk.choices[0].delta.content or ""
    call = chunk.choices[0].delta.tool_calls[0]
    assert call.function.name == "url_for_newapi"
    assert json.loads(call.function.arguments) == json.loads(URL)
    assert "None" not in printed
    assert chunk.choices[0].finish_reason == "tool_calls"


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {
                    "type": "string",
                    "description": "The city and state, e.g. San Francisco, CA",
                },
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["location"],
        },
    },
}
STOP = ["Observation:", "Observation:\n"]


async def test_the_weather_by_react_with_stop_words(serve: Serve) -> None:
    """The stop words end the text, and never cut a call."""
    arguments = '{"location": "Boston, MA", "unit": "fahrenheit"}'
    engine = serve(
        "Thought: I need to get the current weather in Boston to answer this question.\n\n"
        "Action: get_current_weather\n\nAction Input:",
        f" {arguments}\n",
        "Observation: I guess it rains.",
        make=react_model,
    )
    body = {
        "model": "llama3-8b-instruct",
        "messages": [BOSTON],
        "tools": [WEATHER],
        "stream": False,
        "stop": STOP,
    }
    response = await post(body)
    assert response.status_code == 200, response.text
    choice = response.json()["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_current_weather"
    assert json.loads(call["function"]["arguments"]) == json.loads(arguments)
    assert "rains" not in (choice["message"]["content"] or "")
    assert choice["finish_reason"] == "tool_calls"
    assert engine.samplings[0].stop == tuple(STOP)
    assert "should be one of [get_current_weather]" in engine.prompts[0]


@pytest.mark.parametrize("make", [react_model, chatml_model])
async def test_the_weathers_second_turn_with_the_models_own_text(
    serve: Serve, make: Callable[..., ChatModel]
) -> None:
    """The call is text that ends in "Observation:", and its result has no id; no tools come."""
    engine = serve("Final Answer: The weather in Boston today is 32°F.", make=make)
    written = (
        "Question: What's the weather like in Boston today?\n\n"
        "Thought: I need to get the current weather in Boston.\n\n"
        "Action: get_current_weather\n\n"
        'Action Input: {"location": "Boston, MA", "unit": "fahrenheit"}\n\nObservation:'
    )
    told = '{"result": "The weather in Boston today is 32°F (0°C), with clear skies"}\\n\\n'
    body = {
        "model": "llama3-8b-instruct",
        "messages": [
            BOSTON,
            {"role": "assistant", "content": written},
            {"role": "tool", "content": told},
        ],
        "stream": False,
        "stop": STOP,
    }
    response = await post(body)
    assert response.status_code == 200, response.text
    message = response.json()["choices"][0]["message"]
    assert message["content"].endswith("The weather in Boston today is 32°F.")
    assert "tool_calls" not in message
    prompt = engine.prompts[0]
    assert prompt.index("Action Input:") < prompt.index("with clear skies")
    if make is react_model:
        assert prompt.count("Observation:") == 1
        assert prompt.rstrip().endswith('clear skies"}\\n\\n')


# A to-do list that streams

TODO_TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "create_task",
            "description": "Create a task",
            "parameters": {
                "type": "object",
                "properties": {"task": {"type": "string", "description": "Task's content"}},
            },
        },
    }
]


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
        while not self.answered():
            pass
        return str(self.messages[-1]["content"])

    def answered(self) -> bool:
        """One request; whether it was answered in words."""
        stream = sync_client().chat.completions.create(
            model="llama-3-groq-8b",
            messages=self.messages,
            tools=TODO_TOOLS,
            stream=True,
            extra_body={"whole_tool_calls": True},
        )
        results = self.read(stream)
        for result in results:
            self.messages.append({"role": "tool", "content": json.dumps(result)})
        return not results

    def read(self, stream: Stream[ChatCompletionChunk]) -> list[dict[str, str]]:
        """The stream into a message; the results of the calls in it."""
        tools: list[Any] = []
        content = ""
        for chunk in stream:
            if len(chunk.choices) == 0:
                break
            delta: Any = chunk.choices[0].delta
            content += delta.content
            if len(delta.tool_calls) == 0:
                continue
            if len(tools) == 0:
                tools = delta.tool_calls
            else:
                for i, tool_call in enumerate(delta.tool_calls):
                    tools[i]["function"]["arguments"].extend(tool_call["function"]["arguments"])
        if len(tools) == 0:
            self.messages.append({"role": "assistant", "content": content})
        else:
            texts = [tool.json() for tool in tools]
            self.messages.append({"role": "assistant", "content": content, "tool_call": texts})
        return [self.run(tool) for tool in tools]

    def run(self, tool: Any) -> dict[str, str]:
        """Carry out one call."""
        assert tool.function.name == "create_task"
        self.tasks.append(json.loads(tool.function.arguments)["task"])
        return {"result": "ok"}


@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")
@pytest.mark.parametrize(
    "tasks", [["going to fix a bug"], ["fix a bug", "写测试"]], ids=["one call", "two calls"]
)
def test_a_todo_list_that_streams_and_adds_up(serve: Serve, tasks: list[str]) -> None:
    """Nothing that it reads is null, and its history comes back as calls with their results."""
    calls = [("create_task", json.dumps({"task": each}, ensure_ascii=False)) for each in tasks]
    groq = FORMATS["groq"]
    listed = groq.calls(calls).removeprefix(groq.call_head(("create_task",)))
    answer = "I've added it to your task list."
    engine = serve(CALL, listed, answer, make=lambda e: chatml_model(e, groq))
    program = TodoProgram()
    assert program.say("Help me to write down it I'm going to fix a bug") == answer
    assert program.tasks == tasks
    assert [message["role"] for message in program.messages] == [
        *("user", "assistant", *["tool"] * len(tasks), "assistant")
    ]
    told = engine.prompts[-1]
    places = [told.index(f'"arguments": {{"task": "{task}"}}') for task in tasks]
    assert places == sorted(places)
    assert told.count('{"result": "ok"}') == len(tasks)


# A currency exchange whose results are a user's words


def test_an_exchange_with_results_in_a_users_turn(serve: Serve) -> None:
    """The reply's message goes back as it came; the second request offers no tools."""
    answer = "The converted amount of 42 US dollars to Canadian dollars is 131.95."
    arguments = '{"from_currency": "USD", "to_currency": "CAD", "amount": 42}'
    engine = serve(CALL, rest(arguments), answer)
    currency = {"type": "string", "description": "The source currency to convert from, e.g. USD"}
    amount = {"type": "number", "description": "The amount to be converted"}
    properties = {"from_currency": currency, "to_currency": currency, "amount": amount}
    function = {
        "name": "convert_currency",
        "description": "Convert from one currency to another.",
        "parameters": {"type": "object", "properties": properties, "required": []},
    }
    messages: list[Any] = [
        {"role": "system", "content": "You convert currencies with the tool."},
        {"role": "user", "content": "I want to exchange 42 US dollars to Canadian dollars"},
    ]
    client: Any = sync_client()
    model = "hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4"
    response_message = (
        client.chat.completions.create(
            model=model,
            messages=messages,
            tools=[{"type": "function", "function": function}],
        )
        .choices[0]
        .message
    )
    messages.append(response_message)
    for tool_call in response_message.tool_calls or ():
        function_args = json.loads(tool_call.function.arguments)
        converted = str(round(function_args.get("amount") * 3.14159, 2))
        name = tool_call.function.name
        messages.append({"role": "user", "name": name, "content": converted})
    final_response = client.chat.completions.create(model=model, messages=messages)
    assert final_response.choices[0].message.content == answer
    assert engine.prompts[-1].count("131.95") == 1
    assert '"from_currency": "USD"' in engine.prompts[-1]
