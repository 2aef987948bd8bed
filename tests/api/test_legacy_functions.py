"""`functions` and `function_call`, as clients spoke before there were tools.

https://platform.openai.com/docs/api-reference/chat/create#chat-create-functions
"""

import json
from typing import Any

import pytest
from scripted_engine import Fills, llama31_model
from v1_client import Serve, chunk, client, error_of, events_of, post, serving, without_head

serve = pytest.fixture(serving)
USER = {"role": "user", "content": "42 USD?"}
CONVERT = {
    "name": "convert",
    "description": "Convert money.",
    "parameters": {
        "type": "object",
        "properties": {"amount": {"type": "integer", "minimum": 42}},
        "required": ["amount"],
    },
}
TODAY = {"name": "today"}
FUNCTIONS = [CONVERT, TODAY]
NAMED = {"name": "convert"}


async def test_a_call_comes_as_function_call(serve: Serve) -> None:
    """Not as `tool_calls`, and with a finish reason of its own."""
    serve(Fills())
    reply = await client().chat.completions.create(
        model="x", messages=[USER], functions=FUNCTIONS, function_call=NAMED
    )
    choice = reply.choices[0]
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call.name == "convert"
    assert json.loads(choice.message.function_call.arguments) == {"amount": 42}
    assert choice.message.content is None
    assert choice.message.tool_calls is None


async def test_the_raw_reply_has_no_tool_calls(serve: Serve) -> None:
    """Nor an id, which a function call never had."""
    serve(Fills())
    body = {"messages": [USER], "functions": FUNCTIONS, "function_call": NAMED}
    assert (await post(body)).json()["choices"][0] == {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "function_call": {"name": "convert", "arguments": '{"amount": 42}'},
        },
        "finish_reason": "function_call",
        "logprobs": None,
    }


async def test_a_streamed_call_has_openais_chunks(serve: Serve) -> None:
    """Role and name first, then the arguments as they come."""
    serve(Fills())
    body = {"messages": [USER], "functions": FUNCTIONS, "function_call": NAMED}
    opening = {"name": "convert", "arguments": ""}
    assert without_head(await events_of(body)) == [
        chunk({"role": "assistant", "content": None, "function_call": opening, "refusal": None}),
        *(chunk({"function_call": {"arguments": each}}) for each in ("{", '"amount": ', "42}")),
        chunk({}, "function_call"),
    ]


async def test_text_and_a_call_may_stand_in_one_reply(serve: Serve) -> None:
    """Whole and streamed."""
    turns = ["One moment. <tool_call>", Fills("today")]
    serve(*turns)
    body = {"messages": [USER], "functions": FUNCTIONS}
    message = (await post(body)).json()["choices"][0]["message"]
    assert message["content"] == "One moment."
    assert message["function_call"] == {"name": "today", "arguments": "{}"}
    serve(*turns)
    deltas = [event["choices"][0]["delta"] for event in await events_of(body)]
    assert "".join(delta.get("content") or "" for delta in deltas) == "One moment."
    assert [delta["function_call"] for delta in deltas if "function_call" in delta] == [
        {"name": "today", "arguments": ""},
        {"arguments": "{"},
        {"arguments": "}"},
    ]


async def test_a_reply_makes_one_call_at_most(serve: Serve) -> None:
    """There is no second place for another; the engine is not even asked."""
    engine = serve("<tool_call>", Fills("today"))
    body = {"messages": [USER], "functions": FUNCTIONS, "parallel_tool_calls": True}
    assert (await post(body)).json()["choices"][0]["finish_reason"] == "function_call"
    assert len(engine.prompts) == 2


@pytest.mark.parametrize(
    ("choice", "turns", "reason"),
    [
        ({}, ["Hello"], "stop"),
        ({"function_call": "auto"}, ["<tool_call>", Fills("today")], "function_call"),
        ({"function_call": "none"}, ["<tool_call>"], "stop"),
        ({"function_call": None}, ["Hello"], "stop"),
        ({"function_call": NAMED}, [Fills()], "function_call"),
        ({"function_call": NAMED, "max_tokens": 1}, [Fills()], "length"),
    ],
    ids=str,
)
async def test_function_call_chooses_as_tool_choice_does(
    serve: Serve, choice: dict[str, Any], turns: list[Any], reason: str
) -> None:
    """ "none", "auto" or a name; without it "auto"."""
    serve(*turns)
    body = {"messages": [USER], "functions": FUNCTIONS, **choice}
    told = (await post(body)).json()["choices"][0]
    assert told["finish_reason"] == reason
    assert ("function_call" in told["message"]) == (reason == "function_call")


async def test_the_sdk_joins_the_stream(serve: Serve) -> None:
    """Name and arguments are those of the whole reply; the reason is the older one."""
    serve(Fills())
    stream = await client().chat.completions.create(
        model="x", messages=[USER], functions=FUNCTIONS, function_call=NAMED, stream=True
    )
    name, arguments, reason = "", "", None
    async for each in stream:
        choice = each.choices[0]
        if choice.delta.function_call:
            name += choice.delta.function_call.name or ""
            arguments += choice.delta.function_call.arguments or ""
        reason = choice.finish_reason
    assert (name, json.loads(arguments), reason) == ("convert", {"amount": 42}, "function_call")


async def test_a_whole_conversation_with_functions_goes_back_and_forth(serve: Serve) -> None:
    """The message that came goes back as it is, and the result is a message of role function."""
    engine = serve(Fills(), "It is 131.95.")
    first = await client().chat.completions.create(
        model="x", messages=[USER], functions=FUNCTIONS, function_call=NAMED
    )
    result = {"role": "function", "name": "convert", "content": "131.95"}
    second = await client().chat.completions.create(
        model="x", messages=[USER, first.choices[0].message, result], functions=FUNCTIONS
    )
    assert second.choices[0].message.content == "It is 131.95."
    assert '{"name": "convert", "arguments": {"amount": 42}}' in engine.prompts[1]
    assert "<tool_response>\n131.95\n</tool_response>" in engine.prompts[1]


async def test_results_of_role_function_answer_the_calls_before_them(serve: Serve) -> None:
    """Turn after turn, in a family that needs to know which result answers which call."""
    engine = serve("ok", make=llama31_model)
    history: list[dict[str, Any]] = [USER]
    for number in ("1", "2"):
        call = {"name": "convert", "arguments": f'{{"amount": {number}}}'}
        history += [
            {"role": "assistant", "content": None, "function_call": call},
            {"role": "function", "name": "convert", "content": f"result {number}"},
        ]
    assert (await post({"messages": history, "functions": FUNCTIONS})).status_code == 200
    told = engine.prompts[0]
    order = ['"amount": 1', "result 1", '"amount": 2', "result 2"]
    places = [told.index(each) for each in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("options", "param", "told"),
    [
        (
            {"functions": FUNCTIONS, "tools": [{"type": "function", "function": TODAY}]},
            "functions",
            "tools and functions: wanted one of them",
        ),
        (
            {"functions": FUNCTIONS, "tool_choice": "auto"},
            "functions",
            "tool_choice and functions: wanted one of them",
        ),
        (
            {"tools": [{"type": "function", "function": TODAY}], "function_call": "auto"},
            "function_call",
            "tools and function_call: wanted one of them",
        ),
        ({"functions": FUNCTIONS, "function_call": "required"}, "function_call", '"required"'),
        ({"functions": FUNCTIONS, "function_call": {}}, "function_call", "wanted 'none', 'auto'"),
        ({"functions": FUNCTIONS, "function_call": {"name": 3}}, "function_call", "names 3"),
        (
            {"functions": [TODAY], "function_call": NAMED},
            "function_call",
            'names "convert", which is not among the functions: today.',
        ),
        ({"function_call": NAMED}, "function_call", "none are given"),
        ({"functions": {}}, "functions", "functions={}: Input should be a valid list"),
        ({"functions": [{}]}, "functions", "functions[0]: {}: wanted"),
        ({"functions": [{"name": ""}]}, "functions", 'functions[0].name="": wanted a name'),
        ({"functions": [TODAY, TODAY]}, "functions", "functions[1]: 'today' is offered twice."),
        (
            {"functions": [{"name": "f", "parameters": {"type": "string"}}]},
            "functions",
            "functions[0].parameters=",
        ),
        ({"functions": FUNCTIONS, "function_call": 3}, "function_call", "function_call=3"),
    ],
    ids=str,
)  # fmt: skip
async def test_a_wrong_request_is_refused_by_what_is_wrong(
    serve: Serve, options: dict[str, Any], param: str, told: str
) -> None:
    """In the older words, as the client knows them."""
    serve()
    status, error = await error_of({"messages": [USER], **options})
    assert (status, error["param"], error["type"]) == (400, param, "invalid_request_error")
    assert told in error["message"]
