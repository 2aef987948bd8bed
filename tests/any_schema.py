"""Any JSON Schema of known keywords, as Hypothesis draws them, and whether one compiles."""

from typing import Any

from hypothesis import strategies as st
from llguidance import LLMatcher

from function_calling.engines.grammar import grammar_text
from function_calling.model.schema import Schema
from function_calling.model.words import JsonSlot

NAMES = st.sampled_from(["a", "b", "c"])
SMALL = st.integers(0, 3)
LEAVES = st.one_of(
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {}, True, {"title": "Any"}]),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        SMALL,
        SMALL,
    ),
    st.builds(lambda low: {"minLength": low}, SMALL),
    st.sampled_from([{"type": "string", "pattern": "^[a-z]{2,3}$"}, {"pattern": "[0-9]"}]),
    st.builds(
        lambda kind, low, more: {"type": kind, "minimum": low, "maximum": low + 1 + more},
        st.sampled_from(["integer", "number"]),
        st.integers(-5, 5).map(lambda low: low / 2),
        SMALL,
    ),
    st.builds(lambda low: {"type": "integer", "exclusiveMinimum": low / 2}, st.integers(-5, 5)),
    st.builds(lambda step: {"type": "number", "multipleOf": step}, st.sampled_from([0.5, 2, 3])),
    st.builds(
        lambda kinds, low, high: {"type": kinds, "minLength": low, "maxLength": 2, "maximum": high},
        st.sampled_from([["string", "null"], ["integer", "number"], ["boolean"]]),
        SMALL,
        st.integers(-5, 5),
    ),
    st.builds(
        lambda values, low: {"enum": [*values, None], "minLength": low, "minimum": low},
        st.lists(SMALL | NAMES),
        SMALL,
    ),
    st.builds(lambda value: {"const": value}, st.dictionaries(NAMES, SMALL)),
    st.sampled_from([{"$ref": "#/$defs/Pair"}, {"allOf": [{"$ref": "#/$defs/Pair"}]}]),
)
DEFINITIONS = {
    "Pair": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
}


@st.composite
def arrays(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> Schema:
    """An array, bounded or not, with or without its type."""
    schema: Schema = {"items": draw(inner)}
    if draw(st.booleans()):
        schema |= {"type": "array"}
    if draw(st.booleans()):
        schema |= {"minItems": draw(SMALL), "maxItems": 4}
    return schema


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> Schema:
    """An object, open or closed, sometimes with a choice of what is required."""
    schema: Schema = {
        "type": "object",
        "properties": draw(st.dictionaries(NAMES, inner, max_size=3)),
    }
    declared = sorted(schema["properties"])
    more = draw(st.sampled_from([None, False, True]) | inner)
    if more is not None:
        schema["additionalProperties"] = more
    names = declared if more is False else [*declared, "undeclared"]
    if names and draw(st.booleans()):
        schema["required"] = draw(st.lists(st.sampled_from(names), unique=True))
    if declared and draw(st.booleans()):
        key = draw(st.sampled_from(["anyOf", "oneOf", "allOf"]))
        schema[key] = [{"required": [draw(st.sampled_from(declared))]}]
    return schema


SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        arrays(inner),
        objects(inner),
        st.builds(lambda *each: {"anyOf": list(each)}, inner, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda each: {"oneOf": each}),
        st.just({"type": "string", "anyOf": [{"minLength": 1}, {"maxLength": 3}]}),
    ),
    max_leaves=5,
)
PARAMETERS = objects(SCHEMAS).map(lambda schema: {**schema, "$defs": DEFINITIONS})


def compiles(schema: Schema) -> bool:
    """Whether the engines take it."""
    return not LLMatcher.validate_grammar(grammar_text([(JsonSlot(schema), "}")]))
