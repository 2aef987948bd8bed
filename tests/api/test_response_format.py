"""`response_format`: content that is JSON, beside tools too.

https://platform.openai.com/docs/guides/structured-outputs
"""

import json
from typing import Any

import pytest
from scripted_engine import Fills
from v1_client import (
    TODAY,
    USER,
    Serve,
    choice_of,
    is_refused,
    post,
    serving,
    streamed_choices,
)

serve = pytest.fixture(serving)
TEAM = {
    "type": "object",
    "properties": {"goals": {"type": "integer", "minimum": 3}},
    "required": ["goals"],
    "additionalProperties": False,
}
WRONG = {"type": "object", "properties": 1}
NOT = {"type": "object", "properties": {"a": {"type": "string", "not": {}}}}


def json_schema(schema: Any, **options: Any) -> dict[str, Any]:
    """A response format of this schema."""
    return {"type": "json_schema", "json_schema": {"name": "team", "schema": schema, **options}}


def asking(response_format: Any, **options: Any) -> dict[str, Any]:
    """A request for content of this format."""
    return {"messages": [USER], "response_format": response_format, **options}


async def test_content_obeys_the_schema(serve: Serve) -> None:
    """G9: the engine is held to it, whole and streamed; the reply ends like any other."""
    engine = serve(Fills(), Fills())
    body = asking(json_schema(TEAM, strict=True))
    choice = await choice_of(body)
    assert json.loads(choice["message"]["content"]) == {"goals": 3}
    assert choice["finish_reason"] == "stop"
    assert len(engine.samplings[0].constraint) == 1
    deltas = [each["delta"] for each in await streamed_choices(body)]
    assert "".join(delta.get("content", "") for delta in deltas) == choice["message"]["content"]


@pytest.mark.parametrize("key", ["schema", "value"])
async def test_a_schema_beside_json_object_is_obeyed(serve: Serve, key: str) -> None:
    """As other servers take it; what it can't be held to is named."""
    serve(Fills())
    schema = {key: value for key, value in TEAM.items() if key != "type"} | {"not": {}}
    response = await post(asking({"type": "json_object", key: schema}))
    assert json.loads(response.json()["choices"][0]["message"]["content"]) == {"goals": 3}
    assert response.headers["x-unenforced-keywords"] == "response_format: content: not"


async def test_a_forced_call_leaves_no_content_to_shape(serve: Serve) -> None:
    """`required` comes first."""
    serve(Fills())
    choice = await choice_of(asking(json_schema(TEAM), tools=[TODAY], tool_choice="required"))
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["today"]


@pytest.mark.parametrize(
    ("response_format", "told"),
    [
        ({}, 'response_format={}: wanted type "text", "json_object" or "json_schema"; a'),
        ({"type": "json_object", "schema": {"type": "array"}}, 'a "schema" is an object'),
        ({"type": "json_schema", "json_schema": [1]}, 'a "schema" is an object'),
        (json_schema(TEAM, strict="yes"), '"strict" true or false.'),
        (json_schema(WRONG), "properties=1"),
        (json_schema(NOT, strict=True),
         "response_format: The JSON Schema can't be enforced: it is strict, and holds a: not."),
    ],
    ids=str,
)  # fmt: skip
async def test_a_wrong_format_is_refused_by_what_is_wrong(
    serve: Serve, response_format: Any, told: str
) -> None:
    """The error names `response_format`, also where the schema itself is wrong."""
    serve()
    await is_refused(asking(response_format), "response_format", told)
