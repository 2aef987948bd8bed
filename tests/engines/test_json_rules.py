"""What a grammar allows of JSON, above all where LLGuidance's own `%json` is not enough."""

import json
from random import Random

import pytest
from any_schema import DEFINITIONS, PARAMETERS, SCHEMAS, compiles
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from llguidance import LLMatcher, LLTokenizer
from walking_engine import walk

from function_calling.engines.grammar import grammar, grammar_text
from function_calling.errors import RequestError
from function_calling.model.schema import Schema, enforceable, enforceable_value
from function_calling.model.words import JsonSlot

BYTES = LLTokenizer("byte")
LONGEST = 20


def allows(schema: Schema, text: str) -> bool:
    """Whether the grammar of a value lets the whole text be written."""
    enforced, _ = enforceable_value(schema, LONGEST)
    matcher = LLMatcher(BYTES, grammar_text([(JsonSlot(enforced), ";")]), log_level=0)
    written = f"{text};".encode()
    return matcher.try_consume_tokens(list(written)) == len(written)


NUMBER, TEN = {"type": "number"}, {"type": "integer", "multipleOf": 10}
PAIR = {"type": "array", "prefixItems": [NUMBER, NUMBER], "items": False, "minItems": 1}
PLACES = {"type": "array", "prefixItems": [NUMBER, {"type": "null"}], "items": NUMBER}
NODE = {"$ref": "#/$defs/N~1 %"}
LINK, CHAIN = {"$ref": "#/$defs/Link"}, {"$ref": "#/$defs/Chain"}
FLAG = {"A": {"properties": {"b": {"type": "boolean", "$anchor": "flag", "$id": "https://a/b"}}}}
OPTIONAL = {"type": "object", "properties": {"a": NUMBER, "b": NUMBER, "c": NUMBER}}
SOME = {"properties": {"a": {"type": "null"}, "b": {"type": "null"}}}
LISTED = {"type": "object", "properties": {"a": NUMBER}, "additionalProperties": NUMBER}


def tagged(tag: str, **properties: Schema) -> Schema:
    """A model as pydantic writes it, with a tag."""
    kind = {"const": tag, "default": tag, "title": "Kind", "type": "string"}
    properties = {"kind": kind, **properties}
    return {"properties": properties, "required": [*properties][1:], "title": tag, "type": "object"}


MODELS = {
    "Card": tagged("card", number={"maxLength": 4, "type": "string"}),
    "Cash": tagged("cash"),
    "Unit": {"enum": ["kg", "lb"], "type": "string"},
    "Tree": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
    "N/ %": {"type": "object", "properties": {"v": NUMBER, "next": NODE}},
    "Link": {"properties": {"v": {"type": "null"}, "next": {**LINK, "minProperties": 1}}},
    "Chain": {
        "type": "object",
        "properties": {"next": {"type": ["object", "null"], "anyOf": [CHAIN, {"type": "null"}]}},
    },
    "Box": {"type": "object", "properties": {"unit": {"$ref": "#/$defs/Unit", "minLength": 2}}},
}
PAID = {
    "discriminator": {"propertyName": "kind"},
    "oneOf": [{"$ref": "#/$defs/Card"}, {"$ref": "#/$defs/Cash"}],
}
CASH, CARD = '{"kind": "cash"}', '{"kind": "card", "number": "1"}'
VALUES = ['"a"', '""', "0", "-1", "2.5", "-2.5", "true", "false", "null", '[1, "a"]', '{"a": [-1]}']


@pytest.mark.parametrize(
    ("schema", "allowed", "refused"),
    [
        (NUMBER, ["-5", "-0.5", f"0.{'3' * 16}", "3", "0"], ["--5", "-", f"0.{'3' * 17}", "-05"]),
        (NUMBER, ["1e-12", "-6.626E-34", "12e+3", "0.5e1"], ["1e", "e5", "1e999", "1e0.5"]),
        ({**NUMBER, "minimum": 0}, ["0", "0.50", "6.02e23"], ["-1", "-1e-12"]),
        ({**NUMBER, "exclusiveMinimum": 0}, ["0.50", "0.01", "1e-12"], ["0", "0.00", "0e1", "-1"]),
        ({"type": ["number", "null"], "minimum": 0}, ["1e-12", "null"], ["-1", "true"]),
        ({**NUMBER, "minimum": -5, "maximum": -1}, ["-5", "-1.5", "-1"], ["-0.5", "-5.1", "0"]),
        ({**NUMBER, "exclusiveMinimum": -2, "exclusiveMaximum": 0}, ["-1.8"], ["-2", "1"]),
        ({**NUMBER, "minimum": -2, "maximum": 3}, ["-2", "3", "0"], ["-3", "4"]),
        ({"type": ["integer", "null"], "multipleOf": 3}, ["-3", "null"], ["-4", "true"]),
        ({"anyOf": [TEN, {"enum": [-5]}, {"enum": [-6]}]}, ["-20", "-5", "-6"], ["5"]),
        ({"type": "array", "items": TEN, "minItems": 2}, ["[-10, 10]"], ["[]", "[-10]"]),
        ({"type": "array", "items": NUMBER, "maxItems": 2}, ["[]", "[-1, -2]"], ["[-1, -2, -3]"]),
        ({"type": "array", "items": TEN, "maxItems": 10**6}, ["[]", "[-10, 10]"], ["[1]"]),
        (PAIR, ["[-1]", "[-1, -0.5]"], ["[]", "[-1, 2, 3]"]),
        ({**PAIR, "items": TEN, "minItems": 3}, ["[-1, 2, -30]"], ["[-1, 2]", "[-1, 2, -3]"]),
        (PLACES, ["[]", "[-1]", "[-1, null, -2]"], ["[null]", "[-1, -2]", "[, null]"]),
        ({"prefixItems": [NUMBER, False, NUMBER]}, ["[]", "[-1]"], ["[-1, -1]"]),
        (OPTIONAL, ["{}", '{"b": -1}', '{"a": -1, "c": 2}'], ['{"d": 1}', '{"b": 1, "a": 1}']),
        ({**OPTIONAL, "required": ["b"]}, ['{"b": -1, "c": 1}'], ["{}", '{"a": -1}']),
        ({**OPTIONAL, "minProperties": 1}, ['{"a": -1}', '{"b": 1, "c": -1}', '{"c": 1}'], ["{}"]),
        (LISTED, ["{}", '{"a": -1, "b": -2}', '{"b": -2, "": 1}'], ['{"b": -1, "a": 1}']),
        (LISTED, ['{"b": 1}'], [r'{"\u0061": 1}']),
        ({**LISTED, "required": ["z"]}, ['{"z": -1}', '{"z": -1, "y": 1}'], ["{}", '{"y": 1}']),
        ({**LISTED, "required": ["a"], "minProperties": 2}, ['{"a": -1, "b": 1}'], ['{"a": 1}']),
        (
            {**LISTED, "minProperties": 1},
            ['{"a": -1}', '{"c": 1, "d": 2}', '{"a": 1, "c": 2}'],
            ["{}", '{"c": 1, "a": 2}'],
        ),
        ({**LISTED, "properties": {"\n": NUMBER}}, ['{"\\n": -1}'], ['{"\n": -1}']),
        ({"properties": {"a": NUMBER, "b": False}}, ['{"a": -1}'], ['{"a": -1, "b": 1}']),
        (
            {"patternProperties": {"^x": NUMBER, "^y": TEN}, "minProperties": 1},
            ['{"x1": -1, "y": -10}', '{"y": 10, "x\\"": 1}'],
            ["{}", '{"y": 1}', '{"a": 1}', '{"ax": 1}'],
        ),
        ({"additionalProperties": TEN}, ['{"a\\"": -10}', '{"b": 10, "a": 10}'], ['{"a": 1}']),
        ({"type": "object", "minProperties": 1}, ['{"a": [1]}'], ["{}"]),
        ({"type": "object"}, ['{"a": {"b": [-0.5, {}]}}'], ["-1"]),
        ({"$ref": "#/$defs/Tree", "anyOf": [NUMBER, {}]}, ["[]", "[[]]"], ["-1"]),
        (NODE, ['{"next": {"next": {"v": -0.5}}}'], ['{"v": -1, "next": -1}']),
        # What contains itself may have something beside the reference.
        (LINK, ["{}", '{"next": {"next": {"v": null}}}'], ['{"next": {}}']),
        (CHAIN, ['{"next": {"next": null}}'], ['{"next": {"next": 1}}']),
        ({"$ref": "#flag", "$defs": FLAG}, ["true"], ["1"]),
        ({"$ref": "https://a/b", "$defs": FLAG}, ["true"], ["1"]),
        ({"$ref": "#b", "$defs": {"A": {"id": "#b", "type": "null"}}}, ["null"], ["1"]),
        (
            {"anyOf": [{**OPTIONAL, "properties": {"a": False}, "required": ["a"]}, NUMBER]},
            ["-1"],
            ["{}"],
        ),
        ({}, ["-1", "[-1]", '{"a": -1}'], ["[[-1]]"]),
        # What generators write.
        (PAID, [CASH, CARD], ["{}", '{"kind": "card"}', '{"kind": "check"}', '{"number": "1"}']),
        ({"anyOf": PAID["oneOf"], "discriminator": PAID["discriminator"]}, [CASH], ["{}"]),
        ({"oneOf": [PAID, {"type": "null"}], "default": None}, [CARD, CASH, "null"], ["{}", "1"]),
        ({"type": ["string", "null"], "minLength": 2, "maxLength": 1}, ["null"], ['""', '"ab"']),
        ({"enum": ["a", "bc", 3], "minLength": 2, "maximum": 2}, ['"bc"'], ['"a"', "3"]),
        ({"$ref": "#/$defs/Unit", "description": "Its unit.", "default": "kg"}, ['"kg"'], ['"g"']),
        ({"$ref": "#/$defs/Unit", "enum": ["g", "kg"]}, ['"kg"'], ['"g"', '"lb"']),
        ({"$ref": "#/$defs/Box", "minProperties": 1}, ['{"unit": "lb"}'], ["{}"]),
        ({"allOf": [{"type": "integer", "minimum": -3}, {"maximum": 5}]}, ["-3", "5"], ["-4", "6"]),
        (
            {"allOf": [{"$ref": "#/$defs/Card"}, {"$ref": "#/$defs/Box"}, tagged("card")]},
            [CARD, '{"kind": "card", "number": "1", "unit": "kg"}'],
            [CASH, '{"kind": "card"}'],
        ),
        (
            {**SOME, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            ['{"a": null}', '{"b": null}', '{"a": null, "b": null}'],
            ["{}", '{"a": null, "c": 1}'],
        ),
        (
            {
                "type": "object",
                "required": ["kind"],
                "oneOf": [
                    {"properties": {"kind": {"const": 1}}},
                    {"properties": {"kind": {"const": 2}}},
                ],
            },
            ['{"kind": 2}'],
            ["{}", '{"kind": 3}'],
        ),
        ({"allOf": [{"anyOf": [NUMBER, {"type": "null"}]}, NUMBER]}, ["-1"], ["null"]),
        ({"prefixItems": [{"type": "string"}, TEN], "minItems": 2}, ['["a", -10]'], ['["a"]']),
        ({"type": ["string", "integer"], "enum": [1, 1.5, None]}, ["1"], ["null", "1.5"]),
        ({**OPTIONAL, "minProperties": 1, "enum": [{"a": 1}]}, ['{"a": 1}'], ['{"a": 2}', "{}"]),
        ({"enum": list(map(json.loads, VALUES))}, VALUES, ["1", '"b"']),
        ({"const": {"a": [-1]}}, ['{"a": [-1]}'], ['{"a": [1]}']),
    ],
    ids=str,
)
def test_a_value_is_held_to_its_schema(
    schema: Schema, allowed: list[str], refused: list[str]
) -> None:
    """Every number below zero is a multiple here; nothing is announced, so it may be strict."""
    schema = {"$defs": MODELS, **schema} if "$ref" in str(schema) else schema
    assert enforceable_value(schema, LONGEST)[1] == []
    assert [text for text in allowed if not allows(schema, text)] == []
    assert [text for text in refused if allows(schema, text)] == []


@pytest.mark.parametrize(
    "schema",
    [
        {**LISTED, "required": ["a"], "properties": {"a": False, "n": NUMBER}},
        {**LISTED, "additionalProperties": False, "required": ["b"]},
        {**LISTED, "required": ["a"], "maxProperties": 0},
        {**PAIR, "minItems": 3},
        {"type": ["integer", "number"], "minimum": 3, "maximum": 2},
        {"type": "integer", "exclusiveMinimum": 2.5, "exclusiveMaximum": 3},
        {**NUMBER, "minimum": -0.4, "maximum": -0.3, "multipleOf": 0.5},
    ],
    ids=str,
)
def test_what_allows_no_value_is_refused(schema: Schema) -> None:
    """A shorter list or another number would be invalid; an engine would go on without any."""
    enforced, _ = enforceable_value(schema, LONGEST)
    with pytest.raises(RequestError, match="can't be enforced"):
        grammar([(JsonSlot(enforced), ";")])


SEVERAL = st.lists(SCHEMAS, min_size=2, max_size=3).map(
    lambda each: {"properties": {"x": {"allOf": each}}, "required": ["x"], "$defs": DEFINITIONS}
)


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(PARAMETERS | SEVERAL, st.integers(0, 2**32))
def test_whatever_is_written_is_allowed(parameters: Schema, seed: int) -> None:
    """Texts of random bytes under the grammar, held against the tool's own schema."""
    enforced, ignored = enforceable(parameters, LONGEST)
    assume(not ignored and compiles(enforced))
    text = walk([(JsonSlot(enforced), ";")], Random(seed)).removesuffix(";")
    Draft202012Validator(parameters).validate(json.loads(text))
