"""A forced call is valid: whatever its constraint allows is read as a call that the tool takes.

Without a model, texts of random bytes are written under the constraint; each is the worst that a
model could do. The benchmark `forced_calls.py` does the same with a real one.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from generations import smollm2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from walking_engine import walking_model

from benchmarks.forced_calls import MOST_TOKENS, TEMPERATURE, requests
from benchmarks.random_schemas import MOST_ARGUMENTS, offered
from function_calling.engines.llamacpp import load
from function_calling.formats import FORMATS, HERMES
from function_calling.model.chat_model import ChatModel
from function_calling.model.words import (
    Finished,
    Sampling,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
)
from function_calling.settings import Settings

each_format = pytest.mark.parametrize("form", FORMATS)
MODEL = walking_model()
BOOLEAN, NONE = {"type": "boolean"}, {"type": "null"}
TEXT, CLOSE = {"type": "string", "maxLength": 30}, "\n</parameter>\n"


async def forced(
    model: ChatModel, form: str, tools: list[Tool], choice: ToolChoice, sampling: Sampling
) -> list[ToolCall]:
    """The calls that a reply is, each valid, with nothing beside them but their own deltas."""
    message = {"role": "user", "content": "Call a tool."}
    turn = model.turn([message], tools, choice, sampling, tool_format=form)
    *events, finished = [event async for event in turn.events()]
    assert isinstance(finished, Finished)
    assert finished.reason == "tool_calls"
    made = [event for event in events if isinstance(event, ToolCall)]
    streamed: dict[tuple[str, str], str] = {}
    for event in events:
        assert isinstance(event, ToolCall | ToolCallDelta)
        if isinstance(event, ToolCallDelta):
            call = event.id, event.name
            streamed[call] = streamed.get(call, "") + event.arguments
    assert list(streamed.items()) == [((call.id, call.name), call.arguments) for call in made]
    schemas = {tool.name: tool.parameters for tool in tools if tool.name in choice.names}
    for call in made:
        Draft202012Validator(schemas[call.name]).validate(json.loads(call.arguments))
    return made


def forced_by_walk(
    form: str, tools: list[Tool], choice: ToolChoice, seed: int, model: ChatModel = MODEL
) -> list[ToolCall]:
    """The calls in a text of random bytes."""
    return asyncio.run(forced(model, form, tools, choice, Sampling(seed=seed)))


def only(*names: str) -> ToolChoice:
    """One call, of one of these tools."""
    return ToolChoice("required", names, parallel=False)


def tools_of(offer: list[dict[str, Any]]) -> list[Tool]:
    """The tools of an offer."""
    functions = [tool["function"] for tool in offer]
    return [
        Tool(each["name"], each.get("description", ""), each["parameters"]) for each in functions
    ]


@pytest.mark.slow
@each_format
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(offer=offered(1, 2), seed=st.integers(0, 2**32))
def test_whatever_list_is_written_is_valid_calls_however_it_is_cut(
    form: str, offer: list[dict[str, Any]], seed: int
) -> None:
    """For any tools, of which one or each may be called; byte by byte as in one piece."""
    tools = tools_of(offer)
    names = tuple(tool.name for tool in tools)
    for choice in only(*names), only(names[-1]):
        (call,) = forced_by_walk(form, tools, choice, seed)
        assert len(call.arguments.encode()) <= MOST_ARGUMENTS
    whole, pieces = (
        forced_by_walk(form, tools, ToolChoice("required", names), seed, model)
        for model in (MODEL, walking_model(piece_length=1))
    )
    assert [(call.name, call.arguments) for call in whole] == [
        (call.name, call.arguments) for call in pieces
    ]


def of(**properties: Any) -> dict[str, Any]:
    """Parameters of which every property is required."""
    return {"type": "object", "properties": properties, "required": list(properties)}


PARTICULAR = {
    "names, no words": of(**{"a b": TEXT, "a=b": {}, ")": {}, "x, y": {}, "a>": TEXT, "": {}}),
    "names that begin another": of(**{"a": BOOLEAN, "a=": BOOLEAN, "ab": {}}),
    "names with controls": of(**{"a\nb": TEXT, "\u0001": NONE, "\u2028": TEXT, '"': TEXT}),
    "no names": {"type": "object"},
    "text that reads as JSON": of(a={"type": "string", "enum": ["null", "1", "true", "[]", '"']}),
    "text that holds the closing tag": of(
        a={"type": "string", "enum": [f"x{CLOSE}y", "x\n</parameter>", CLOSE]}, b=TEXT
    ),
    "text that may not end yet": of(a={"type": "string", "minLength": 25, "maxLength": 40}),
    "a choice of texts and bounds": of(a={"type": "string", "enum": ["a", "abc"], "minLength": 2}),
    "text in one branch alone": {
        "anyOf": [of(k={"const": "t"}, v=TEXT), of(k={"const": "n"}, v={"type": "integer"})]
    },
    "branches behind references": {
        "anyOf": [{"$ref": "#/$defs/Both"}, {"$ref": "#/$defs/Text"}],
        "$defs": {
            "Text": of(v={"type": "string", "enum": ["1", "null"]}),
            "Both": {"anyOf": [{"$ref": "#/$defs/Text"}, {"$ref": "#/$defs/None"}]},
            "None": {"type": "object"},
        },
    },
    "required, not declared": {"required": ["a", "b"], "additionalProperties": TEXT},
    "many that are optional": {"properties": dict.fromkeys("abcdefghi", BOOLEAN)},
    "numbers between excluded bounds": of(
        a={"type": "number", "exclusiveMinimum": 0, "maximum": 1e-7},
        b={"type": "number", "exclusiveMinimum": -1.969, "exclusiveMaximum": -1},
        c={"type": "integer", "minimum": -(2**63), "exclusiveMinimum": 5},
        d={"type": "number", "minimum": 0, "maximum": 1.7976931348623157e308},
    ),
    "constants": of(a={"enum": [1e-7, -0.0, 1e3, 2**53]}, b={"const": {"a": [0.1]}}),
    "more than objects at the root": {
        "type": ["object", "null"],
        "nullable": True,
        "anyOf": [NONE, {"anyOf": [{"required": ["a"]}, {"type": "string"}]}],
        "properties": {"a": TEXT},
    },
    "a tree": {"properties": {"child": {"$ref": "#"}, "name": TEXT}, "required": ["name"]},
    "one of the optional ones": {
        "properties": {"a": {"type": "number"}, "b": TEXT, "c": {"const": True}},
        "minProperties": 1,
    },
    "a reference at the root": {
        "$ref": "#/definitions/It",
        "definitions": {"It": of(a=TEXT, b={"$ref": "#/definitions/It/properties/a"})},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["hermes", "pythonic", "qwen3coder"])
@pytest.mark.parametrize("parameters", PARTICULAR.values(), ids=PARTICULAR)
def test_what_is_particular_in_a_schema_makes_no_call_invalid(
    form: str, parameters: dict[str, Any]
) -> None:
    """However a format spells arguments; each was once read wrongly, refused or out of bounds."""
    tools = [Tool("get", "", parameters)]
    for seed in range(4):
        assert len(forced_by_walk(form, tools, only("get"), seed)) == 1


@pytest.mark.parametrize("form", ["pythonic", "mistral_v11"])
def test_tools_whose_names_hold_the_spelling_are_told_apart(form: str) -> None:
    """A name may hold whatever stands between it and the arguments."""
    tools = [Tool(name, "", of(a={"const": name})) for name in ("f", "f(x", "f[ARGS]", "f(")]
    for seed in range(20):
        assert len(forced_by_walk(form, tools, only(*(tool.name for tool in tools)), seed)) == 1


# A real, small model


@pytest.fixture(scope="module")
def model() -> Iterator[ChatModel]:
    """One that chooses badly, in the embedded engine."""
    sizes = {"context_length": 2048, "parallel_slots": 2, "threads": 1}
    loaded = load(Settings(model_path=str(smollm2()), **sizes))
    yield ChatModel(loaded, HERMES)
    loaded.engine.close()


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="module")
@each_format
async def test_a_model_at_its_wildest_makes_valid_calls(model: ChatModel, form: str) -> None:
    """What the benchmark does, in small."""
    for request in requests([form], calls=3, seed=sum(form.encode())):
        tools = tools_of([{"function": each} for each in request.tools])
        sampling = Sampling(max_tokens=MOST_TOKENS, temperature=TEMPERATURE, seed=request.seed)
        calls = await forced(model, form, tools, only(*request.schemas), sampling)
        assert len(calls) == 1
