"""The model's `/v1`, really served, as OpenAI's SDK asks it: calls are valid, however hot.

SmolLM2 is served, which calls worse than the default model and is ten times as fast.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hosts import host
from jsonschema import validate
from openai import OpenAI

from function_calling.weights.catalogue import SMOLLM2, fetch

pytestmark = [pytest.mark.serve, pytest.mark.timeout(900)]

CURRENCY = {"type": "string", "enum": ["USD", "CAD", "EUR", "JPY"]}
CONVERT = {"source": CURRENCY, "target": CURRENCY, "amount": {"type": "number"}}
REMIND = {
    "text": {"type": "string", "maxLength": 30},
    "hour": {"type": "integer", "minimum": 0, "maximum": 23},
}
PARAMETERS = {
    name: {"type": "object", "properties": arguments, "required": list(arguments)}
    for name, arguments in (("convert", CONVERT), ("remind", REMIND))
}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "parameters": schema}}
    for name, schema in PARAMETERS.items()
]
ASKED = ("What are 42 US dollars in Canadian dollars?", "Remind me of the milk at 6 pm.")


@pytest.fixture(scope="module")
def openai(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    """The SDK, against a model's server of its own."""
    folder, weights = tmp_path_factory.mktemp("serve"), str(fetch(SMOLLM2))
    with host(folder, "service:Llama", "127.0.0.1", MODEL_PATH=weights) as served:
        served.wait_ready()
        url = f"{served.url}/v1"
        with OpenAI(base_url=url, api_key="none", max_retries=0, timeout=300) as client:
            yield client


def reply(client: OpenAI, index: int, choice: Any, **fields: Any) -> Any:
    """One completion with two tools offered; `index` picks the question and the seed."""
    messages = [{"role": "user", "content": ASKED[index % 2]}]
    asked = {"messages": messages, "temperature": 1.5, "seed": index, "max_tokens": 200}
    return client.chat.completions.create(
        model="any", tools=TOOLS, tool_choice=choice, **asked | fields
    )


def valid_calls(completion: Any) -> list[tuple[str, Any]]:
    """The calls, each of a tool that was offered, with arguments that obey its schema."""
    (choice,) = completion.choices
    calls = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls]
    for name, arguments in calls:
        validate(json.loads(arguments), PARAMETERS[name])
    return calls


@pytest.mark.parametrize("named", [None, "remind"])
def test_forced_calls_are_valid_however_hot_the_model(openai: OpenAI, named: str | None) -> None:
    """50 of 50 at temperature 1.5, whichever tool is wanted for whichever question."""
    choice = {"type": "function", "function": {"name": named}} if named else "required"

    def one_call(index: int) -> Any:
        # A hot model does not end a list of calls before its tokens do.
        return reply(openai, index, choice, parallel_tool_calls=False)

    with ThreadPoolExecutor(4) as pool:
        completions = list(pool.map(one_call, range(50)))
    for completion in completions:
        calls = valid_calls(completion)
        assert calls
        assert named is None or [name for name, _ in calls] == [named]


def test_free_calls_are_valid_however_hot_the_model(openai: OpenAI) -> None:
    """The model may answer in words, but if it calls, as its history shows it, it calls rightly."""
    history: list[Any] = []
    for hour in range(3):
        arguments = json.dumps({"text": "milk", "hour": hour})
        call = {"type": "function", "function": {"name": "remind", "arguments": arguments}}
        history += [
            {"role": "user", "content": f"Remind me of the milk at {hour}:00."},
            {"role": "assistant", "tool_calls": [call | {"id": str(hour)}]},
            {"role": "tool", "tool_call_id": str(hour), "content": "done"},
            {"role": "assistant", "content": "I will remind you."},
        ]

    def free_reply(index: int) -> Any:
        question = {"role": "user", "content": f"Remind me of the milk at {index + 3}:00."}
        return reply(openai, index, "auto", messages=[*history, question], max_tokens=120)

    with ThreadPoolExecutor(4) as pool:
        completions = list(pool.map(free_reply, range(16)))
    called = 0
    for completion in completions:
        (choice,) = completion.choices
        if choice.message.tool_calls:
            called += 1
            assert valid_calls(completion)
            assert choice.finish_reason in ("tool_calls", "length")
        else:
            assert choice.finish_reason in ("stop", "length")
            assert "<tool_call>" not in (choice.message.content or "")
    assert called
