"""`response_format`: content that is JSON, beside tools too.

https://platform.openai.com/docs/guides/structured-outputs
"""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from scripted_engine import Fills
from v1_client import Serve, client, error_of, events_of, post, serving

serve = pytest.fixture(serving)
USER = {"role": "user", "content": "Who won?"}
TODAY = {"type": "function", "function": {"name": "today"}}
TEAM = {
    "type": "object",
    "properties": {"goals": {"type": "integer", "minimum": 3}},
    "required": ["goals"],
    "additionalProperties": False,
}


def json_schema(schema: Any, **options: Any) -> dict[str, Any]:
    """A response format of this schema."""
    return {"type": "json_schema", "json_schema": {"name": "team", "schema": schema, **options}}


@pytest.mark.parametrize("strict", [None, False, True])
async def test_content_obeys_the_schema(serve: Serve, strict: bool | None) -> None:
    """The engine is held to it; the reply ends like any other."""
    engine = serve(Fills())
    body = {"messages": [USER], "response_format": json_schema(TEAM, strict=strict)}
    choice = (await post(body)).json()["choices"][0]
    assert json.loads(choice["message"]["content"]) == {"goals": 3}
    assert choice["finish_reason"] == "stop"
    assert len(engine.samplings[0].constraint) == 1


async def test_json_object_is_any_object(serve: Serve) -> None:
    """Without a schema there is still a constraint."""
    engine = serve(Fills())
    body = {"messages": [USER], "response_format": {"type": "json_object"}}
    content = (await post(body)).json()["choices"][0]["message"]["content"]
    assert json.loads(content) == {}
    assert engine.samplings[0].constraint


async def test_a_schema_beside_json_object_is_obeyed(serve: Serve) -> None:
    """As other servers take it; what it can't be held to is named."""
    engine = serve(Fills())
    schema = {key: value for key, value in TEAM.items() if key != "type"} | {"not": {}}
    body = {"messages": [USER], "response_format": {"type": "json_object", "schema": schema}}
    response = await post(body)
    assert json.loads(response.json()["choices"][0]["message"]["content"]) == {"goals": 3}
    assert response.headers["x-unenforced-keywords"] == "response_format: content: not"
    assert engine.samplings[0].constraint


async def test_text_is_free(serve: Serve) -> None:
    """The default, said."""
    engine = serve("Hello")
    body = {"messages": [USER], "response_format": {"type": "text"}}
    assert (await post(body)).json()["choices"][0]["message"]["content"] == "Hello"
    assert engine.samplings[0].constraint == ()


async def test_a_stream_of_such_content_joins_to_the_whole(serve: Serve) -> None:
    """Piece by piece."""
    serve(Fills(), Fills())
    body = {"messages": [USER], "response_format": json_schema(TEAM)}
    whole = (await post(body)).json()["choices"][0]["message"]["content"]
    deltas = [event["choices"][0]["delta"] for event in await events_of(body)]
    assert "".join(delta.get("content", "") for delta in deltas) == whole


async def test_a_tool_may_be_called_instead(serve: Serve) -> None:
    """Content of that schema, or a call of an offered tool."""
    body = {"messages": [USER], "response_format": json_schema(TEAM), "tools": [TODAY]}
    engine = serve(Fills())
    choice = (await post(body)).json()["choices"][0]
    assert json.loads(choice["message"]["content"]) == {"goals": 3}
    assert len(engine.samplings[0].constraint) == 2
    serve('<tool_call>\n{"name": "today", "arguments": {}}\n</tool_call>', Fills())
    choice = (await post(body)).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None


async def test_a_forced_call_leaves_no_content_to_shape(serve: Serve) -> None:
    """`required` comes first."""
    serve(Fills())
    body = {"messages": [USER], "response_format": json_schema(TEAM), "tools": [TODAY]}
    choice = (await post({**body, "tool_choice": "required"})).json()["choices"][0]
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["today"]


class Team(BaseModel):
    """What the SDK makes a strict schema of."""

    model_config = ConfigDict(extra="forbid")
    name: str
    goals: int


async def test_the_sdk_parses_content_into_its_model(serve: Serve) -> None:
    """`parse` sends the model's schema as a strict one and reads the content by it."""
    serve(Fills())
    reply = await client().chat.completions.parse(model="x", messages=[USER], response_format=Team)
    assert reply.choices[0].message.parsed == Team(name="", goals=0)


@pytest.mark.parametrize(
    ("response_format", "told"),
    [
        ("json", 'response_format="json": wanted an object.'),
        ({}, 'response_format={}: wanted type "text", "json_object" or "json_schema".'),
        ({"type": "xml"}, "wanted type"),
        ({"type": ["text"]}, "wanted type"),
        ({"type": "json_object", "schema": [1]}, 'wanted "schema" to be a JSON Schema of an'),
        ({"type": "json_object", "schema": {"type": "array"}}, 'wanted "schema" to be a JSON'),
        ({"type": "json_schema"}, 'wanted "json_schema": {"name": …, "schema": {…}}.'),
        ({"type": "json_schema", "json_schema": [1]}, 'wanted "json_schema"'),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, 'wanted "json_schema"'),
        (json_schema([1]), 'wanted "json_schema"'),
        (json_schema(TEAM, strict="yes"), "wanted strict to be true or false."),
        (json_schema({"type": "object", "properties": 1}), "properties=1"),
        (json_schema({"type": "object", "properties": 1}, strict=True), "properties=1"),
        (
            json_schema(
                {"type": "object", "properties": {"a": {"type": "string", "not": {}}}},
                strict=True,
            ),
            "response_format: The JSON Schema can't be enforced: it is strict, and holds a: not.",
        ),
    ],
    ids=str,
)  # fmt: skip
async def test_a_wrong_format_is_refused_by_what_is_wrong(
    serve: Serve, response_format: Any, told: str
) -> None:
    """The error names `response_format`, also where the schema itself is wrong."""
    serve()
    body = {"messages": [USER], "response_format": response_format}
    status, error = await error_of(body)
    assert (status, error["param"], error["type"]) == (
        400,
        "response_format",
        "invalid_request_error",
    )
    assert told in error["message"]
