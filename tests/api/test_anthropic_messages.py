"""`/v1/messages` is Anthropic's API to Anthropic's own client."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic, beta_async_tool
from anthropic.types import Message
from generations import smollm2
from jsonschema import Draft202012Validator
from scripted_engine import Fails, Fills, ScriptedEngine, chatml_model, qwen3_model
from v1_client import AMOUNT, USER, Serve, http, named_events, post, serving

from function_calling.engines.llamacpp import load
from function_calling.errors import EngineError
from function_calling.formats import HERMES
from function_calling.model.chat_model import CHARACTERS_OF_A_TOKEN, ChatModel
from function_calling.model.words import Piece, Sampling
from function_calling.settings import Settings
from openai_endpoints import openai_api_app

serve = pytest.fixture(serving)
MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
CONVERT = {"name": "convert", "description": "Converts.", "input_schema": AMOUNT}
TODAY = {"name": "today", "input_schema": {"type": "object"}}
TOOLS = [CONVERT, TODAY]
ASKED = {"model": "claude-opus-5-5", "max_tokens": 100, "messages": [USER]}
ANY = {"tool_choice": {"type": "any"}}
CALL = '<tool_call>\n{"name": "convert", "arguments":'
THOUGHT = "<think>\nHm.</think>"
CALLED = {"type": "tool_use", "name": "convert", "input": {"amount": 42}}
CALLED_TODAY = {"type": "tool_use", "name": "today", "input": {}}
BOTH = [CALLED, CALLED_TODAY]
SAID = {"type": "text", "text": "Hello there"}
SAID_MORE = {"type": "text", "text": "Hello there,"}
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "unsigned"}
FULL = EngineError("Full.", status=503, retry_after=3)


def client() -> AsyncAnthropic:
    """Anthropic's client of the app in this process."""
    return AsyncAnthropic(
        base_url="http://llama", api_key="none", max_retries=0, http_client=http()
    )


async def told(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A whole message."""
    response = await post({**ASKED, **body, **more}, MESSAGES)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def error_of(body: Any, path: str = MESSAGES) -> tuple[int, str, str]:
    """Status, type and message of a refusal."""
    response = await post(body, path)
    error = response.json()
    assert set(error) == {"type", "error", "request_id"}
    assert error["type"] == "error"
    assert error["request_id"] == response.headers["request-id"]
    return response.status_code, error["error"]["type"], error["error"]["message"]


def without_ids(message: Message) -> dict[str, Any]:
    """A message but for what is new each time."""
    told = message.model_dump(exclude_none=True)
    assert str(told.pop("id")).startswith("msg_")
    for block in message.content:
        assert block.type != "tool_use" or block.id.startswith("toolu_")
    blocks = [{k: v for k, v in each.items() if k != "id"} for each in told["content"]]
    return {**told, "content": blocks}


# Replies


@pytest.mark.parametrize(
    ("turns", "options", "content", "reason"),
    [
        (["Hello there"], {}, [SAID], "end_turn"),
        ([""], {}, [], "end_turn"),
        (["Hello there" + CALL, Fills("convert", "today")], {}, [SAID, *BOTH], "tool_use"),
        (["Hello there, you"], {"max_tokens": 4}, [SAID_MORE], "max_tokens"),
        (["Hello there, you"], {"stop_sequences": ["you", ", "]}, [SAID], "stop_sequence"),
        ([THOUGHT, CALL, Fills("convert")], {}, [THINKING, CALLED], "tool_use"),
    ],
    ids=["text", "silence", "text and calls", "cut", "stopped", "thought and call"],
)  # fmt: skip
async def test_a_stream_joins_to_the_whole_message(
    serve: Serve, turns: list[Any], options: dict[str, Any], content: list[Any], reason: str
) -> None:
    """By the SDK, which also checks the types."""
    thinks = str(turns[0]).startswith("<think>")
    engine = serve(*turns, *turns, **({"make": qwen3_model} if thinks else {}))
    body: Any = {**ASKED, "tools": TOOLS, **options}
    async with client() as sdk:
        whole = await sdk.messages.create(**body)
        async with sdk.messages.stream(**body) as stream:
            streamed = await stream.get_final_message()
    Message.model_validate(whole.to_dict())
    told = without_ids(whole)
    assert without_ids(streamed) == told
    assert (told["type"], told["role"], told["model"]) == ("message", "assistant", "scripted")
    assert (told["content"], told["stop_reason"]) == (content, reason)
    assert told.get("stop_sequence") == (", " if reason == "stop_sequence" else None)
    usage = told["usage"]
    assert usage["output_tokens"] > 0 or not content
    assert ("output_tokens_details" in usage) == thinks
    assert usage["input_tokens"] == len(engine.prompts[0].split())


async def test_a_stream_opens_fills_and_closes_each_block(serve: Serve) -> None:
    """Before the first the prompt's tokens are told, behind the last why the message is over."""
    serve("<think>\nHm.", "Hello" + CALL, Fills("convert"), make=qwen3_model)
    events = await named_events({**ASKED, "tools": TOOLS}, MESSAGES)
    shown = [
        f"{event['type'].removeprefix('content_block_')} {event.get('delta', {}).get('type', '')}"
        for event in events
    ]
    assert list(dict.fromkeys(shown)) == [
        *("message_start ", "start ", "delta thinking_delta", "delta signature_delta", "stop "),
        *("delta text_delta", "delta input_json_delta", "message_delta ", "message_stop "),
    ]
    starts = [event for event in events if event["type"] == "content_block_start"]
    assert [event["index"] for event in starts] == [0, 1, 2]
    first, last = events[0]["message"], events[-2]
    assert (first["content"], first["stop_reason"]) == ([], None)
    assert first["usage"] == {"input_tokens": last["usage"]["input_tokens"], "output_tokens": 0}
    assert last["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}


async def test_half_a_call_is_in_no_whole_message(serve: Serve) -> None:
    """A stream has told what was written of it."""
    body = {**ASKED, "tools": TOOLS, **ANY, "max_tokens": 12}
    serve(*[Fills("convert")] * 2)
    whole = await told(body)
    assert (whole["content"], whole["stop_reason"]) == ([], "max_tokens")
    events = await named_events(body, MESSAGES)
    assert events[1]["content_block"]["name"] == "convert"
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"


async def test_a_context_that_is_full_is_not_called_max_tokens(serve: Serve) -> None:
    """The protocol has a word of its own for it."""

    class FullContext(ScriptedEngine):
        def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
            return super().generate(prompt, sampling.but(max_tokens=1))

    serve(make=lambda _: chatml_model(FullContext("Hello")))
    assert (await told({}))["stop_reason"] == "model_context_window_exceeded"


# Requests


def result(content: Any, **more: Any) -> dict[str, Any]:
    """A block with a tool's result."""
    return {"type": "tool_result", "tool_use_id": "a", "content": content, **more}


def use(identity: str = "a", name: str = "convert", **given: Any) -> dict[str, Any]:
    """A block with a call."""
    return {"type": "tool_use", "id": identity, "name": name, "input": given}


def text(told: str) -> dict[str, Any]:
    """A block with a text, and where the prompt may be cached."""
    return {"type": "text", "text": told, "cache_control": {"type": "ephemeral"}}


def turn(role: str, *lines: str) -> str:
    """A turn of the prompt."""
    return f"<|im_start|>{role}\n" + "\n".join(lines) + "<|im_end|>\n"


def returned(*lines: str) -> str:
    """The turn of a result."""
    return turn("user", "<tool_response>", *lines, "</tool_response>")


SECRET = {"type": "thinking", "thinking": "Secret", "signature": "x"}
ANSWER = '<tool_call>\n{"name": "convert", "arguments": {"amount": 42}}\n</tool_call>'
CALLING = turn("assistant", ANSWER)
OTHER = {**result("second"), "tool_use_id": "b"}


@pytest.mark.parametrize(
    ("history", "prompt"),
    [
        (["Q", "Two"], [turn("user", "Q"), turn("assistant", "Two")]),
        (
            ["Q", [text("Hm"), use(amount=42)], [text("So?"), result([text("1"), text("EUR")])]],
            [turn("assistant", "Hm", ANSWER), returned("1", "EUR"), turn("user", "So?")],
        ),
        (
            ["Q", [use(amount=42)], [result("No rate", is_error=True)]],
            [returned("Error: No rate")],
        ),
        (
            ["Q", [use(amount=42)], [result([{"type": "image", "source": {}}, text("a cat")])]],
            [returned("[Left out: image]", "a cat")],
        ),
        (["Q", [use(), use("b", "today")], [OTHER, result("first")]], ["first", "second"]),
        (
            ["Q", [SECRET, {"type": "redacted_thinking", "data": "x"}, text("Two")]],
            [turn("user", "Q"), turn("assistant", "Two")],
        ),
    ],
    ids=["texts", "calls and results", "error", "picture", "parallel results", "thoughts"],
)
async def test_the_model_reads_each_form_of_a_message(
    serve: Serve, history: list[Any], prompt: list[str]
) -> None:
    """Results stand behind their calls, and the user's text behind the results."""
    engine = serve("Hello")
    messages = [
        {"role": ("user", "assistant")[at % 2], "content": content}
        for at, content in enumerate(history)
    ]
    await told({"messages": [*messages, USER] if len(messages) == 2 else messages})
    places = [engine.prompts[0].find(each) for each in prompt]
    assert -1 not in places, engine.prompts[0]
    assert places == sorted(places)
    assert "Secret" not in engine.prompts[0]


async def test_the_system_prompt_stands_first(serve: Serve) -> None:
    """One among the messages stands where it is; thoughts are handed to the template.

    It knows how to turn thinking off.
    """
    engine = serve("Hello", make=qwen3_model)
    within = {"role": "system", "content": "It is late."}
    called = {"role": "assistant", "content": [SECRET, use(amount=42)]}
    system = [text("Be"), text("brief.")]
    returning = {"role": "user", "content": [result("1")]}
    history = [USER, within, called, returning]
    await told({"system": system, "messages": history, "thinking": {"type": "disabled"}})
    assert engine.prompts[0].endswith("<think>\n\n</think>\n\n")
    first = turn("system", "Be", "brief.") + turn("user", USER["content"])
    assert engine.prompts[0].startswith(first + turn("system", "It is late."))
    assert "<think>\nSecret\n</think>" in engine.prompts[0]


async def test_a_tool_runner_tells_the_whole_conversation_with_each_request(serve: Serve) -> None:
    """It would have the server keep it, which none does here."""

    @beta_async_tool
    async def convert(amount: int) -> str:
        """Convert."""
        return f"{amount} EUR"

    engine = serve(CALL, Fills("convert"), "It is 0 EUR.")
    async with client() as sdk:
        runner: Any = sdk.beta.messages.tool_runner(**{**ASKED, "tools": [convert]})
        answer = await runner.until_done()
    assert answer.content[0].text == "It is 0 EUR."
    for told in (USER["content"], "Convert.", "0 EUR"):
        assert told in engine.prompts[-1]


def saying(*content: Any, role: Any = "user") -> dict[str, Any]:
    """A history whose first message holds these blocks, and the user's last."""
    return {"messages": [{"role": role, "content": list(content)}, USER]}


def formatted(told: Any) -> dict[str, Any]:
    """A request for text of this format."""
    return {"output_config": {"format": told}}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": ["Hi"]}, 'messages[0]="Hi": wanted an object'),
        (saying(role="tool"), 'messages[0].role="tool": wanted one of'),
        ({"messages": [{"role": "user"}]}, "messages[0].content=null: wanted text or a list"),
        (
            saying(text("x"), {"type": "image"}),
            'messages[0].content[1].image={"type": "image"}: wanted a block of type text or',
        ),
        (saying(3), "messages[0].content[0]=3: wanted a block"),
        (
            saying({**use(), "input": "{}"}, role="assistant"),
            'messages[0].content[0].tool_use={"type": "tool_use"',
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": "The answer is"}]},
            'messages[1].role="assistant": wanted the user\'s message last',
        ),
        ({"system": [{"type": "image"}]}, "system[0].image="),
        (
            {"tools": [{"type": "bash_20250124"}, {"name": "a", "input_schema": {"type": "null"}}]},
            "tools[1].input_schema=",
        ),
        ({"tools": TOOLS, "tool_choice": {"type": "required"}}, "tool_choice="),
        (ANY, 'tool_choice={"type": "any"} needs tools.'),
        (
            {"tools": TOOLS, "tool_choice": {"type": "tool", "name": "x"}},
            'tool_choice names "x", which is not among the tools: convert, today',
        ),
        (
            formatted({"type": "json_schema", "schema": {"type": "float"}}),
            "output_config.format: ",
        ),
        ({"stop_sequences": ["x"] * 65}, "at most 64 items"),
        ({"compaction": {"type": "summarize"}}, 'compaction={"type": "summarize"}: this parameter'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_served_is_named(
    serve: Serve, changes: dict[str, Any], told: str
) -> None:
    """By its place, its value and what was wanted."""
    serve()
    status, kind, message = await error_of({**ASKED, **changes})
    assert (status, kind) == (400, "invalid_request_error")
    assert told in message


async def test_parameters_reach_the_engine_or_are_told_in_headers(serve: Serve) -> None:
    """Anthropic's, and those of chat that have no other name there; tools by their types."""
    engine = serve("Hello")
    more = {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "stop": ["a", ""], "seed": 3}
    late = {**TODAY, "defer_loading": True, "cache_control": {"type": "ephemeral"}}
    idle = {
        "cache_control": {"type": "ephemeral"},
        "metadata": {"user_id": "me"},
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"effort": "low"},
        "tools": [{"type": "web_search_20250305", "name": "web_search"}, late],
    }
    response = await post({**ASKED, **more, **idle}, MESSAGES)
    (used,) = engine.samplings
    assert (used.temperature, used.top_p, used.top_k) == (0.5, 0.9, 5)
    assert (used.max_tokens, used.stop, used.seed) == (100, ("a",), 3)
    ignored = response.headers["X-Ignored-Parameters"].split(", ")
    idle_parts = ["thinking.budget_tokens", "output_config.effort", "tools.defer_loading"]
    assert ignored == ["metadata", *idle_parts]
    assert response.headers["X-Ignored-Tools"] == "web_search_20250305: web_search"


@pytest.mark.parametrize(
    ("choice", "turn", "content"),
    [
        ({"type": "tool", "name": "today"}, Fills(), CALLED_TODAY),
        ({"type": "any", "disable_parallel_tool_use": True}, Fills("convert", "today"), CALLED),
        ({"type": "none"}, CALL, {"type": "text", "text": CALL}),
    ],
    ids=["named", "one at most", "none"],
)
async def test_a_choice_of_tools_is_held(
    serve: Serve, choice: dict[str, Any], turn: Any, content: dict[str, Any]
) -> None:
    """Where none may be called, what looks like a call is text."""
    serve(turn)
    (block,) = (await told({"tools": TOOLS, "tool_choice": choice}))["content"]
    assert block == {**content, **({"id": block["id"]} if "id" in block else {})}


async def test_the_text_has_the_format_that_is_asked_for(serve: Serve) -> None:
    """Keywords that can't be enforced are told."""
    serve(Fills())
    wanted = formatted({"type": "json_schema", "schema": {**AMOUNT, "not": {}}})
    response = await post({**ASKED, **wanted}, MESSAGES)
    (block,) = response.json()["content"]
    assert json.loads(block["text"]) == {"amount": 42}
    assert response.headers["X-Unenforced-Keywords"] == "output_config.format: content: not"


# Tokens


@pytest.mark.parametrize(
    "more",
    [{"system": "Be brief.", "tools": TOOLS}, {"tools": TOOLS, **ANY}],
    ids=["free", "forced"],
)
async def test_the_counted_tokens_are_those_of_the_message(
    serve: Serve, more: dict[str, Any]
) -> None:
    """A prompt is counted as the engine reads it, the head of a forced call with it."""
    serve(Fills("today") if "tool_choice" in more else "Hello")
    prompt: Any = {key: value for key, value in ASKED.items() if key != "max_tokens"} | more
    async with client() as sdk:
        counted = await sdk.messages.count_tokens(**prompt)
        message = await sdk.messages.create(**prompt, max_tokens=100)
    assert counted.input_tokens == message.usage.input_tokens > 0
    assert str(counted._request_id).startswith("req_")


# What goes wrong


@pytest.mark.parametrize(
    ("error", "raised", "kind"),
    [
        (ZeroDivisionError("secret"), anthropic.InternalServerError, "api_error"),
        (FULL, anthropic.ServiceUnavailableError, "overloaded_error"),
    ],
)
async def test_the_sdk_raises_the_error_of_its_class(
    serve: Serve, error: Exception, raised: type[anthropic.APIStatusError], kind: str
) -> None:
    """Whole, and as a stream's last event; what wasn't foreseen has no details."""
    serve(Fails(error), Fails(error, "Hello"))
    async with client() as sdk:
        with pytest.raises(raised) as told:
            await sdk.messages.create(**ASKED)
        assert str(told.value.request_id).startswith("req_")
        with pytest.raises(anthropic.APIStatusError) as streamed:
            async for _ in await sdk.messages.create(**ASKED, stream=True):
                pass
    assert told.value.type == streamed.value.type == kind
    assert "secret" not in told.value.message + streamed.value.message


async def test_every_error_has_anthropics_shape(serve: Serve) -> None:
    """Of a body, a path and a method that are wrong, and where no model is loaded yet."""
    assert (await error_of(b"{"))[:2] == (400, "invalid_request_error")
    serve()
    long = {"role": "user", "content": "x" * 200 * CHARACTERS_OF_A_TOKEN}
    _, _, message = await error_of({**ASKED, "messages": [long]}, COUNT)
    assert message.startswith("prompt is too long: The prompt has ")  # as agents look for
    del openai_api_app.state.chat_model
    assert (await error_of(b"{}", f"{MESSAGES}/batches"))[:2] == (404, "not_found_error")
    assert (await error_of(ASKED))[:2] == (503, "overloaded_error")
    async with http() as plain:
        response = await plain.get(MESSAGES)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["error"]["type"] == "invalid_request_error"


# Models


async def test_both_sdks_read_the_models(serve: Serve) -> None:
    """One JSON serves both; errors have the shape of the caller's API."""
    serve()
    async with client() as sdk:
        listed = [model async for model in sdk.models.list()]
        (model,) = listed
        assert model.to_dict() == (await sdk.models.retrieve("scripted")).to_dict()
        with pytest.raises(anthropic.NotFoundError) as told:
            await sdk.models.retrieve("other")
    assert (model.id, model.type, model.display_name) == ("scripted", "model", "scripted")
    assert (model.lifecycle, model.max_input_tokens) == ("active", 200)
    assert model.created_at.tzinfo is not None
    assert told.value.type == "not_found_error"


# A real, small model


@pytest.mark.model
async def test_a_models_tokens_are_counted_and_its_forced_calls_valid(serve: Serve) -> None:
    """At a temperature of 1.5; in a stream the count stands first."""
    weights = Settings(model_path=str(smollm2()), context_length=4096)
    model = load(weights)
    serve(make=lambda _: ChatModel(model, HERMES))
    properties = {"hour": {"enum": [6, 18]}, "days": {"items": {"enum": ["Mon"]}, "maxItems": 2}}
    remind = {"properties": properties, "required": ["hour", "days"]}
    schemas = {"convert": AMOUNT, "remind": remind}
    tools = [{"name": name, "input_schema": schema} for name, schema in schemas.items()]
    forced = {**ASKED, "tools": tools, **ANY, "temperature": 1.5}
    for body in ({**ASKED, "max_tokens": 5}, forced):
        counted = (await post(body, COUNT)).json()["input_tokens"]
        events = await named_events(body, MESSAGES)
        for usage in (events[0]["message"]["usage"], events[-2]["usage"]):
            assert usage["input_tokens"] == counted
    one = {"type": "any", "disable_parallel_tool_use": True}
    for first in range(0, 100, 4):
        seeds = range(first, first + 4)
        asked = [told(forced, tool_choice=one, seed=seed) for seed in seeds]
        for message in await asyncio.gather(*asked):
            (block,) = message["content"]
            assert (block["type"], message["stop_reason"]) == ("tool_use", "tool_use")
            Draft202012Validator(schemas[block["name"]]).validate(block["input"])
    model.engine.close()
