"""`POST /v1/responses` is OpenAI's to OpenAI's own client: its items, its events, its refusals."""

from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from scripted_engine import Fails, Fills, chatml_model, first_calls, qwen3_model
from v1_client import AMOUNT, Serve, client, is_refused, named_events, post, serving

from function_calling.errors import RequestError

serve = pytest.fixture(serving)
PATH = "/responses"
CONVERT = {"type": "function", "name": "convert", "parameters": AMOUNT}
TODAY = {"type": "function", "name": "today"}
TOOLS = [CONVERT, TODAY]
ASKED = {"input": "42 USD?"}
NAMED = {"type": "function", "name": "convert"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
CALLED = {"type": "function_call", "name": "convert", "arguments": '{"amount": 42}'}
OTHER = {**CALL, "call_id": "c2", "name": "g"}
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
NEW = {"id", "created_at", "completed_at", "call_id", "item_id"}
"""What is another's in each response."""


async def response_of(body: dict[str, Any]) -> dict[str, Any]:
    """A whole response, valid by the SDK's own type."""
    response = await post({**ASKED, **body}, PATH)
    assert response.status_code == 200, response.text
    told = dict(response.json())
    Response.model_validate(told)
    return told


async def events_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream: named, numbered, and valid by the SDK's own types."""
    events = await named_events({**ASKED, **body}, PATH)
    for number, event in enumerate(events):
        assert event["sequence_number"] == number
        EVENT.validate_python(event)
    return events


def without_new(told: Any) -> Any:
    """What is told but for its ids and times."""
    if isinstance(told, list):
        return [without_new(each) for each in told]
    if not isinstance(told, dict):
        return told
    return {key: without_new(value) for key, value in told.items() if key not in NEW}


def names(events: list[dict[str, Any]]) -> list[str]:
    """The events' names, each once where several of it follow one another."""
    short = [event["type"].removeprefix("response.") for event in events]
    return [name for place, name in enumerate(short) if short[place - 1 : place] != [name]]


# Whole and streamed


TEXT_EVENTS = [
    *("output_item.added", "content_part.added", "output_text.delta", "output_text.done"),
    *("content_part.done", "output_item.done"),
]
SILENT_EVENTS = [name for name in TEXT_EVENTS if name != "output_text.delta"]
THOUGHT_EVENTS = [name.replace("output_text", "reasoning_text") for name in TEXT_EVENTS]
CALL_EVENTS = [
    *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done"),
    "output_item.done",
]
FORCED = {"tools": TOOLS, "tool_choice": "required"}
THINKS = ["<think>Hm.</think>", "Yes."]


@pytest.mark.parametrize(
    ("turns", "body", "told"),
    [
        (["It is 131.95 CAD."], {}, TEXT_EVENTS),
        ([""], {}, SILENT_EVENTS),
        (THINKS, {}, [*THOUGHT_EVENTS, *TEXT_EVENTS]),
        ([Fills("convert", "today")], FORCED, CALL_EVENTS * 2),
        (["So. <tool_call>", Fills("today")], {"tools": TOOLS}, [*TEXT_EVENTS, *CALL_EVENTS]),
        (["Money " * 9], {"max_output_tokens": 7}, TEXT_EVENTS),
        ([Fills()], {**FORCED, "max_output_tokens": 9}, CALL_EVENTS[:2]),
    ],
    ids=["text", "nothing", "thoughts", "calls", "text and call", "cut text", "cut call"],
)
async def test_a_stream_ends_with_the_whole_response(
    serve: Serve, turns: list[Any], body: dict[str, Any], told: list[str]
) -> None:
    """Behind OpenAI's events, in OpenAI's order; a call that was cut is never done.

    OpenAI's client puts them together to the same; deltas are text, thoughts and arguments.
    """
    serve(*turns, *turns, *turns, make=qwen3_model if turns is THINKS else chatml_model)
    whole = await response_of(body)
    events = await events_of(body)
    assert without_new(events[-1]["response"]) == without_new(whole)
    assert names(events) == ["created", "in_progress", *told, whole["status"]]
    assert whole["status"] == ("incomplete" if "max_output_tokens" in body else "completed")
    done = [event["item"] for event in events if event["type"].endswith("item.done")]
    assert done == events[-1]["response"]["output"]
    ids = [item["id"] for item in (*done, *whole["output"], whole)]
    assert len(set(ids)) == len(ids)
    for item in done:
        own = [each for each in events if each.get("item_id") == item["id"]]
        text = item["arguments"] if "arguments" in item else item["content"][0]["text"]
        assert "".join(each["delta"] for each in own if each["type"].endswith(".delta")) == text
    async with client().responses.stream(model="any", **ASKED, **body) as stream:
        last: Any = [event async for event in stream][-1]
    assert last.type == f"response.{whole['status']}"
    assert [item.type for item in last.response.output] == [item["type"] for item in done]


async def test_the_counted_tokens_are_those_of_the_response(serve: Serve) -> None:
    """With the tools, of which the prompt tells."""
    serve("It is 131.95 CAD.")
    asked: dict[str, Any] = {"model": "any", **ASKED, "tools": [CONVERT]}
    async with client() as sdk:
        counted = await sdk.responses.input_tokens.count(**asked)
        response = await sdk.responses.create(**asked)
    assert response.usage
    assert counted.input_tokens == response.usage.input_tokens > 0


async def test_a_response_says_what_openais_does(serve: Serve) -> None:
    """With what was asked for, and what every one says."""
    engine = serve("It is 131.95 CAD.")
    body = {"instructions": "Be brief.", "metadata": {"a": "b"}, "top_p": 0.5, "tools": [CONVERT]}
    told = await response_of({**body, "max_output_tokens": 9, "seed": 7})
    (used,) = engine.samplings
    assert (used.top_p, used.max_tokens, used.seed) == (0.5, 9, 7)
    assert told.pop("id").startswith("resp_")
    assert told.pop("created_at") <= told.pop("completed_at")
    (message,) = told.pop("output")
    assert message.pop("id").startswith("msg_")
    text = {"type": "output_text", "text": "It is 131.95 CAD.", "annotations": [], "logprobs": []}
    assert message == {
        "type": "message", "role": "assistant", "status": "completed", "content": [text]
    }  # fmt: skip
    tokens = told["usage"]["input_tokens"]
    assert told.pop("usage") == {
        "input_tokens": tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 6,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens + 6,
    }
    assert told.items() >= {
        **body, "object": "response", "status": "completed", "model": "scripted", "error": None,
        "incomplete_details": None, "parallel_tool_calls": True, "tool_choice": "auto",
        "temperature": 1.0, "store": False, "text": {"format": {"type": "text"}},
        "max_output_tokens": 9,
    }.items()  # fmt: skip


@pytest.mark.parametrize(
    ("error", "told", "code"),
    [
        (ValueError("secret"), "The server failed; its log says why.", "server_error"),
        (RequestError("Too long.", param="messages"), "Too long.", "invalid_prompt"),
    ],
)
async def test_an_error_in_mid_stream_fails_the_response(
    serve: Serve, error: Exception, told: str, code: str
) -> None:
    """OpenAI's client raises on it, and who reads on has a response that failed."""
    serve(*[Fails(error, "Hello")] * 2)
    *_, raised, failed = await events_of({})
    assert (raised["type"], raised["message"], failed["type"]) == ("error", told, "response.failed")
    assert failed["response"]["error"] == {"code": code, "message": told}
    with pytest.raises(openai.APIError, match=told):
        async with client().responses.stream(model="any", **ASKED) as stream:
            await stream.until_done()


# What is read


async def prompt_of(serve: Serve, told: Any, make: Any = chatml_model, **body: Any) -> str:
    """The prompt that this `input` becomes."""
    engine = serve(*["ok"] * 2, make=make)  # who may think says its first word twice
    await response_of({"input": told, **body})
    return engine.prompts[0].removesuffix("<|im_start|>assistant\n")


def turn(role: str, text: str) -> str:
    """A turn of a prompt."""
    return f"<|im_start|>{role}\n{text}<|im_end|>\n"


def said(kind: str, text: str) -> dict[str, str]:
    """A part of a message."""
    return {"type": kind, "refusal" if kind == "refusal" else "text": text}


async def test_each_form_of_a_message_is_read(serve: Serve) -> None:
    """Text, messages without a type, and parts of each kind."""
    messages = [
        {"role": "system", "content": "S"},
        {"type": "message", "role": "developer", "content": [said("input_text", "A"), "B"]},
        {"role": "assistant", "content": [said("output_text", "No"), said("refusal", "!")]},
    ]
    read = turn("system", "S") + turn("system", "A\nB") + turn("assistant", "No\n!")
    assert await prompt_of(serve, messages) == read
    before = turn("system", "Be brief.") + turn("user", "Hi")
    assert await prompt_of(serve, "Hi", instructions="Be brief.") == before


@pytest.mark.parametrize("place", [1, 2, 3])
async def test_calls_and_their_results_are_one_turn_each(serve: Serve, place: int) -> None:
    """Words and calls that follow one another are what one reply was, in any order."""
    asked, words = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "So."}
    result = {"type": "function_call_output", "call_id": "c1", "output": "3"}
    other = {**result, "call_id": "c2", "output": [said("input_text", "3")]}
    told = [asked, CALL, OTHER, other, result]
    told.insert(place, words)
    prompt = await prompt_of(serve, told)
    shown = [f'<tool_call>\n{{"name": "{name}", "arguments": {{}}}}\n</tool_call>' for name in "fg"]
    assert prompt.startswith(turn("user", "Hi") + turn("assistant", "\n".join(["So.", *shown])))
    assert prompt.count("<|im_start|>assistant") == 1
    assert prompt.count("<tool_response>\n3\n</tool_response>") == 2


async def test_thoughts_come_back_by_what_is_encrypted_alone(serve: Serve) -> None:
    """Where a client asks for that, as Vercel's SDK, which then sends nothing else of a thought."""
    serve(*THINKS, make=qwen3_model)
    events = await events_of({"include": ["reasoning.encrypted_content"]})
    thought, answer = events[-1]["response"]["output"]
    done = [each["item"] for each in events if each["type"] == "response.output_item.done"]
    assert done == [thought, answer]
    kept = {**thought, "summary": [], "content": None}
    asked = {"role": "user", "content": "Hi"}
    prompt = await prompt_of(serve, [asked, kept, CALL], make=qwen3_model)
    assert "assistant\n<think>\nHm.\n</think>" in prompt


@pytest.mark.parametrize("key", ["content", "summary"])
async def test_thoughts_belong_to_the_turn_behind_them(serve: Serve, key: str) -> None:
    """Where there is text of them; what is encrypted is another model's."""
    kind = "reasoning_text" if key == "content" else "summary_text"
    thoughts = {"type": "reasoning", "id": "r", "summary": [], key: [said(kind, "Hm.")]}
    sealed = {"type": "reasoning", "summary": [], "encrypted_content": "x"}
    asked = {"role": "user", "content": "Hi"}
    prompt = await prompt_of(serve, [asked, thoughts, sealed, CALL], make=qwen3_model)
    assert "assistant\n<think>\nHm.\n</think>" in prompt
    assert prompt.count("<|im_start|>assistant") == 1


async def test_what_was_said_goes_on_with_what_was_told(serve: Serve) -> None:
    """The output of a response is input as it is."""
    serve("So. <tool_call>", Fills("today"), "ok")
    told = await response_of({"tools": TOOLS})
    result = {
        "type": "function_call_output",
        "call_id": told["output"][1]["call_id"],
        "output": "1",
    }
    await response_of({"input": [{"role": "user", "content": "Hi"}, *told["output"], result]})


async def test_a_choice_constrains_the_engine(serve: Serve) -> None:
    """And is repeated as it came; a call's id is not that of its item."""
    choice = {"type": "allowed_tools", "mode": "required", "tools": [NAMED]}
    engine = serve(Fills())
    told = await response_of({"tools": TOOLS, "tool_choice": choice})
    assert told["tool_choice"] == choice
    assert len(first_calls(engine.samplings[0])) == 1
    (call,) = told["output"]
    assert call.pop("id").startswith("fc_")
    assert call.pop("call_id").startswith("call_")
    assert call == {**CALLED, "status": "completed"}


async def test_a_text_format_is_kept(serve: Serve) -> None:
    """And repeated as it came."""
    strict = {"type": "json_schema", "name": "x", "strict": True, "schema": AMOUNT}
    serve(Fills())
    response = await response_of({"text": {"format": strict}})
    assert response["output"][0]["content"][0]["text"] == '{"amount": 42}'
    assert response["text"] == {"format": strict}


@pytest.mark.parametrize(("effort", "thinks"), [("none", False), ("high", True)])
async def test_no_effort_turns_thinking_off(serve: Serve, effort: Any, thinks: bool) -> None:
    """Where the template knows that switch; no other effort has an effect."""
    engine = serve(*["Yes."] * 2, make=qwen3_model)
    response = await post({**ASKED, "reasoning": {"effort": effort}}, PATH)
    assert ("</think>" in engine.prompts[0]) != thinks
    assert response.json()["reasoning"]["effort"] == (None if thinks else "none")
    assert response.headers.get("x-ignored-parameters") == (
        "reasoning.effort" if effort == "high" else None
    )


# What has no effect


LATE = {"defer_loading": True}
CODEX = {
    "model": "gpt-5-codex",
    "instructions": "You are a coding agent.",
    "input": [{"type": "message", "role": "user", "content": [said("input_text", "Hi")]}],
    "tools": [
        {**TODAY, "strict": False, "parameters": {"type": "object", "properties": {}}, **LATE},
        {"type": "web_search", "external_web_access": True},
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar"}},
        {"type": "mcp", "server_label": "docs"},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "k",
    "text": {"verbosity": "low"},
    "previous_response_id": None,
}


async def test_what_codex_sends_is_taken_and_named(serve: Serve) -> None:
    """Tools that are no functions are left out; whichever model is asked for replies."""
    serve("ok")
    response = await post(CODEX, PATH)
    assert response.status_code == 200, response.text
    assert response.headers["x-ignored-tools"] == "web_search, custom: apply_patch, mcp: docs"
    assert response.headers["x-ignored-parameters"] == (
        "store, prompt_cache_key, reasoning.summary, text.verbosity, reasoning.effort, "
        "tools.defer_loading"
    )
    assert [tool["name"] for tool in response.json()["tools"]] == ["today"]


async def test_keywords_that_can_not_be_enforced_are_named(serve: Serve) -> None:
    """Of tools, and of the format by its name here."""
    serve("ok")
    schema = {"type": "object", "properties": {"a": {"type": "integer", "not": {"const": 1}}}}
    tool = {"type": "function", "name": "response_format", "parameters": schema}
    text = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    response = await post({**ASKED, "tools": [tool], "text": text}, PATH)
    told = response.headers["x-unenforced-keywords"]
    assert told == "response_format: a: not, text.format: a: not"


# What is refused


STRICT = {"type": "json_schema", "name": "x", "strict": True, "schema": {"not": {}}}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"input": None}, "input is missing."),
        ({"input": ["Hi"]}, 'input[0]="Hi": wanted an object.'),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
         'input[0].content[0]={"type": "input_image"}: wanted text'),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]},
         'input[0].type="item_reference": wanted one of message, reasoning, function_call, '
         "function_call_output, each whole, as clients send them with store=false."),
        ({"input": [{"type": "reasoning", "summary": []}]}, "wanted an item beside thoughts that"),
        ({"input": [CALL, {"role": "robot"}]}, 'input[1].role="robot": wanted one of system,'),
        ({"input": [{"type": "function_call"}]}, "input[0].name=null: wanted a function's name"),
        ({"tools": [{"type": "web_search"}, TODAY, TODAY]}, "tools[2]: 'today' is offered twice."),
        ({"tools": [{"type": "namespace", "tools": []}]}, "tools[0].name=null: wanted the name"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{"function": TODAY}]}]},
         'tools[0].tools=[{"function": {"type": "function", "name": "today"}}]: wanted a list'),
        ({"tool_choice": {"type": "web_search"}}, 'tool_choice={"type": "web_search"}: wanted'),
        ({"tool_choice": {"type": "function", "name": "f"}}, 'names "f", which is not among'),
        ({"text": {"format": "json"}}, 'text.format="json": wanted type "text", "json_object"'),
        ({"text": {"format": STRICT}}, "text.format: The JSON Schema can't be enforced: it is"),
        ({"max_output_tokens": 0}, "max_output_tokens=0"),
        ({"previous_response_id": 2}, "previous_response_id=2: this parameter is not supported."),
    ],
    ids=str,
)  # fmt: skip
async def test_a_wrong_request_is_refused_by_what_is_wrong(
    serve: Serve, wrong: dict[str, Any], told: str
) -> None:
    """With the parameter's name, the place in it, its value and what was wanted."""
    serve()
    param = "text.format" if "format" in str(wrong.get("text")) else next(iter(wrong))
    await is_refused({**ASKED, "tools": TOOLS, **wrong}, param, told, PATH)


# Namespaces, as Codex sends the tools of MCP servers

PATCH = {"type": "custom", "name": "patch"}
DOCS = {"type": "namespace", "name": "docs", "description": "Docs.", "tools": [CONVERT, PATCH]}


async def test_functions_of_namespaces_are_called_by_both_names(serve: Serve) -> None:
    """One name may stand in several; what is no function is left out there, too."""
    tools = [CONVERT, DOCS, {**DOCS, "name": "other"}]
    body = {**ASKED, "tools": tools, "tool_choice": "required"}
    serve(Fills("other__convert", "convert"))
    response = await post(body, PATH)
    told = response.json()
    calls = [(call.get("namespace"), call["name"]) for call in told["output"]]
    assert calls == [("other", "convert"), (None, "convert")]
    assert [each["name"] for each in told["tools"]] == ["convert", "docs", "other"]
    assert response.headers["x-ignored-tools"] == "custom: patch, custom: patch"


async def test_a_call_of_a_namespace_is_shown_as_it_was_made(serve: Serve) -> None:
    """By the name that the model knows."""
    engine = serve("Done.")
    call = {**CALL, "namespace": "docs", "name": "convert"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "R"}
    await response_of({"tools": [DOCS], "input": [{"role": "user", "content": "?"}, call, result]})
    assert engine.prompts[0].count('"docs__convert"') == 2
