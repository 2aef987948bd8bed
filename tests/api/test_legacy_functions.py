"""`functions` and `function_call`, as clients spoke before there were tools.

https://platform.openai.com/docs/api-reference/chat/create#chat-create-functions
"""

from typing import Any

import pytest
from scripted_engine import Fills, llama31_model
from v1_client import (
    CONVERT,
    TODAY,
    USER,
    Serve,
    choice_of,
    chunk,
    events_of,
    is_refused,
    post,
    serving,
    streamed_choices,
    without_head,
)

serve = pytest.fixture(serving)
FUNCTIONS = [CONVERT["function"], TODAY["function"]]
NAMED = {"name": "convert"}
BODY = {"messages": [USER], "functions": FUNCTIONS}


async def test_a_call_comes_as_function_call(serve: Serve) -> None:
    """Not as `tool_calls`, without an id, and with a finish reason of its own."""
    serve(Fills())
    assert await choice_of({**BODY, "function_call": NAMED}) == {
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
    opening = {"name": "convert", "arguments": ""}
    assert without_head(await events_of({**BODY, "function_call": NAMED})) == [
        chunk({"role": "assistant", "content": None, "function_call": opening, "refusal": None}),
        *(chunk({"function_call": {"arguments": each}}) for each in ("{", '"amount": ', "42}")),
        chunk({}, "function_call"),
    ]


async def test_a_reply_makes_one_call_at_most(serve: Serve) -> None:
    """G8: there is no second place for another; the engine is not even asked."""
    turns = ["One moment. <tool_call>", Fills("today")]
    engine = serve(*turns, *turns)
    message = (await choice_of({**BODY, "parallel_tool_calls": True}))["message"]
    assert message["content"] == "One moment."
    assert message["function_call"] == {"name": "today", "arguments": "{}"}
    assert len(engine.prompts) == 2
    last = (await streamed_choices({**BODY, "whole_tool_calls": True}))[-1]
    assert last["delta"]["function_call"] == {"name": "today", "arguments": "{}"}
    assert last["finish_reason"] == "function_call"


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
    assert (await post({**BODY, "messages": history})).status_code == 200
    order = ['"amount": 1', "result 1", '"amount": 2', "result 2"]
    places = [engine.prompts[0].index(each) for each in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("options", "param", "told"),
    [
        ({"tools": [TODAY]}, "functions", "tools and functions: wanted one of them"),
        ({"functions": None, "tools": [TODAY], "function_call": "auto"}, "function_call",
         "tools and function_call: wanted one of them"),
        ({"function_call": {}}, "function_call", "function_call={}: wanted 'none', 'auto'"),
        ({"functions": FUNCTIONS[1:], "function_call": NAMED}, "function_call",
         'names "convert", which is not among the functions: today.'),
        ({"functions": [{"name": ""}]}, "functions", 'functions[0].name="": wanted a name'),
    ],
    ids=str,
)  # fmt: skip
async def test_a_wrong_request_is_refused_by_what_is_wrong(
    serve: Serve, options: dict[str, Any], param: str, told: str
) -> None:
    """In the older words, as the client knows them."""
    serve()
    await is_refused({**BODY, **options}, param, told)
