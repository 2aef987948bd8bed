"""What a tool's arguments are held to: never more than its schema allows, and never without end."""

from copy import deepcopy
from typing import Any

import pytest
from any_schema import PARAMETERS, compiles
from hypothesis import HealthCheck, given, settings

from function_calling.errors import RequestError
from function_calling.model.schema import Schema, enforceable, enforceable_value
from function_calling.model.schema.bounds import (
    LARGEST_NUMBER,
    MOST_ITEMS,
    MOST_PROPERTIES,
)

LONGEST = 100
NONE, BOOLEAN, TEXT = {"type": "null"}, {"type": "boolean"}, {"type": "string"}
COUNT, NUMBER = {"type": "integer"}, {"type": "number"}
LIST = {"type": "array", "items": NONE}
CLOSED = {"type": "object", "additionalProperties": False}
FEW, SHORT = {"minimum": 0, "maximum": 9}, {**TEXT, "maxLength": 2}
NEVER: Schema = {"enum": []}
HARD = "(.+/)?.+:.+"
"""The compiler can't see whether any such text has a certain length."""
SMALL = {**NUMBER, **FEW, "multipleOf": 1e-9}
ANY_NUMBER = {"minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}
SCALAR = {"type": ["string", "number", "boolean", "null"], "maxLength": LONGEST}
ANYTHING = {
    "anyOf": [
        SCALAR,
        {"type": "array", "items": SCALAR, "maxItems": MOST_ITEMS},
        {"type": "object", "additionalProperties": SCALAR, "maxProperties": MOST_PROPERTIES},
    ]
}
OPEN = {"additionalProperties": ANYTHING, "maxProperties": MOST_PROPERTIES}


def needing(*names: str, **more: Any) -> Schema:
    """An object that has these properties."""
    properties = dict.fromkeys(names, NONE)
    return {"type": "object", "properties": properties, "required": [*names], **more}


def tagged(tag: Any, **properties: Schema) -> Schema:
    """A branch as pydantic writes that of a tagged union."""
    kind = {"kind": {"const": tag}}
    return {"type": "object", "properties": {**kind, **properties}, "required": ["kind"]}


A_NUMBER = {"properties": {"a": COUNT}, "required": ["a"]}
DEFINITIONS = {
    "A": A_NUMBER,
    "B": needing("b"),
    "Name": {"enum": ["a", "b"]},
    "Card": tagged("card", number=TEXT),
    "Cash": tagged("cash"),
    "Loop": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Loop"}}},
}


def rewritten(schema: Any) -> tuple[Schema, list[str]]:
    """What one argument of this schema is held to, which compiles, and what is left out."""
    result, ignored = enforceable(
        {"properties": {"x": schema}, "$defs": DEFINITIONS}, longest_string=LONGEST
    )
    assert compiles(result)
    return result["properties"]["x"], ignored


@pytest.mark.parametrize(
    ("schema", "result"),
    [
        # What has an end, and what gets one.
        ({**TEXT, "pattern": "^[A-Z]{3}$", "maxLength": 3}, None),
        ({**TEXT, "format": "date", "maxLength": 10}, None),
        ({**TEXT, "pattern": HARD}, None),
        (TEXT, {**TEXT, "maxLength": LONGEST}),
        ({"minLength": 7000}, {**TEXT, "minLength": 7000, "maxLength": 7000}),
        ({**COUNT, "exclusiveMinimum": 0.5, "maximum": 6.5}, {**COUNT, "minimum": 1, "maximum": 6}),
        ({**NUMBER, "minimum": 0, "maximum": 1, "multipleOf": 0.25}, None),
        ({"type": ["number", "null"], "exclusiveMinimum": 0}, None),
        ({**NUMBER, "minimum": 1, "maximum": 1}, None),
        (COUNT, {**COUNT, **ANY_NUMBER}),
        ({**COUNT, "maximum": -(10**14)}, {**COUNT, "maximum": -(10**14), "minimum": -(10**17)}),
        ({"maximum": 9}, {**NUMBER, **ANY_NUMBER, "maximum": 9, "multipleOf": 1e-9}),
        ({"enum": ["EUR", 1, None]}, None),
        ({**LIST, "prefixItems": [NONE, BOOLEAN], "items": False, "maxItems": 2}, None),
        ({"minItems": 90}, {"type": "array", "items": ANYTHING, "minItems": 90, "maxItems": 90}),
        ({"items": NONE}, {**LIST, "maxItems": MOST_ITEMS}),
        ({**CLOSED, "properties": {"a": BOOLEAN}, "required": ["a"]}, None),
        ({**CLOSED, "patternProperties": {"^x": BOOLEAN}, "maxProperties": 2}, None),
        ({**CLOSED, "additionalProperties": NONE, "minProperties": 1, "maxProperties": 2}, None),
        ({"type": "object"}, {"type": "object", **OPEN}),
        ({"properties": {}, "additionalProperties": True}, {**CLOSED, "properties": {}, **OPEN}),
        ({"properties": {"a": NONE}}, {**CLOSED, "properties": {"a": NONE}}),
        ({"required": ["b"]}, {**CLOSED, **OPEN, "properties": {"b": ANYTHING}, "required": ["b"]}),
        ({**TEXT, "enum": [1]}, NEVER),
        # Of declared properties there can't be more, nor fewer than the required ones.
        ({**needing("a"), "minProperties": 1, "maxProperties": 1}, {**needing("a"), **CLOSED}),
        (True, ANYTHING),
        ({"description": "Whatever.", "default": None}, ANYTHING),
        (False, NEVER),
        # What is said in another way, or says nothing.
        ({"const": {"a": [1]}}, {"enum": [{"a": [1]}]}),
        ({**SHORT, "type": ["string"]}, SHORT),
        ({**FEW, "type": ["integer", "number"]}, SMALL),
        ({**NONE, "title": "A", "examples": [1], "x-order": 3, "nullable": False}, NONE),
        ({**SHORT, "nullable": True}, {"anyOf": [SHORT, NONE]}),
        ({**CLOSED, "propertyNames": TEXT}, CLOSED),
        ({**LIST, "items": [NONE], "maxItems": 2},
         {**LIST, "prefixItems": [NONE], "items": ANYTHING, "maxItems": 2}),
        ({**LIST, "items": [NONE], "additionalItems": False, "maxItems": 1},
         {**LIST, "prefixItems": [NONE], "items": False, "maxItems": 1}),
        ({**COUNT, **FEW, "exclusiveMinimum": True, "exclusiveMaximum": False},
         {**COUNT, "minimum": 1, "maximum": 9}),
        ({**OPEN, "properties": {"a": NONE}, "propertyNames": {"$ref": "#/$defs/Name"}},
         {**CLOSED, "properties": {"a": NONE, "b": ANYTHING}}),
        ({"additionalProperties": FEW, "propertyNames": {"pattern": "^a"}, "minProperties": 1},
         {**CLOSED, **OPEN, "additionalProperties": False, "patternProperties": {"^a": SMALL},
          "minProperties": 1}),
        # What holds together.
        ({**FEW, **COUNT, "allOf": [{"minimum": 1}]}, {**COUNT, "minimum": 1, "maximum": 9}),
        ({**FEW, "type": ["integer", "null"], "allOf": [NUMBER]}, {**FEW, **COUNT}),
        ({"enum": ["a", 1, True], "allOf": [{"enum": ["b", True, "a"]}]}, {"enum": ["a", True]}),
        ({"const": 1, "anyOf": [False, TEXT]}, NEVER),
        ({**SHORT, "allOf": [NONE]}, NEVER),
        ({"$ref": "#/$defs/A", "properties": {"a": FEW, "b": NONE}},
         {**CLOSED, "properties": {"a": {**FEW, **COUNT}, "b": NONE}, "required": ["a"]}),
        ({**CLOSED, "properties": {"b": NONE}, "allOf": [needing("c")]}, NEVER),
        ({"prefixItems": [NONE], "items": SHORT, "maxItems": 3,
          "allOf": [{"items": {"type": ["null", "string"]}}]},
         {"type": "array", "prefixItems": [NONE], "items": SHORT, "maxItems": 3}),
    ],
    ids=str,
)  # fmt: skip
def test_every_value_has_an_end(schema: Any, result: Schema | None) -> None:
    """What has none gets one; None stands for the schema itself."""
    if result == NEVER:
        assert enforceable({"properties": {"x": schema}}, LONGEST)[0]["properties"] == {}
    else:
        assert rewritten(schema) == (schema if result is None else result, [])


@pytest.mark.parametrize(
    "parameters",
    [{}, {"type": "object", "properties": []}, {"properties": {}, "additionalProperties": True}],
    ids=str,
)
def test_a_tool_without_arguments_gets_an_empty_object(parameters: Schema) -> None:
    """Nothing can be invented; `[]` is how PHP writes an empty object."""
    assert enforceable(parameters, LONGEST) == ({**CLOSED, "properties": {}}, [])


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({**TEXT, "not": {"const": "x"}}, "x: not"),
        ({"type": "object", "propertyNames": {"maxLength": 3}}, "x: propertyNames"),
        ({**TEXT, "format": "uri"}, "x: format"),
        ({**TEXT, "pattern": "^(?!a)b$"}, "x: pattern"),
        ({"pattern": HARD, "maxLength": 64}, "x: maxLength"),
        ({"patternProperties": {"(?=a)": {}, "^b": {}}}, "x: patternProperties"),
        ({"patternProperties": {"^a": NONE, "b$": BOOLEAN}}, "x: patternProperties"),
        ({"properties": {"ab": NONE}, "patternProperties": {"^a": {}}}, "x: patternProperties"),
        ({"additionalProperties": NONE, "allOf": [{"patternProperties": {"b$": {}}}]},
         "x: patternProperties"),
        ({"type": "array", "items": {"type": "array", "contains": {}}}, "x: contains"),
        ({"type": "object", "properties": {"y": {"if": {}, "type": "null"}}}, "y: if"),
        ({"allOf": [{"pattern": "a"}, {"pattern": "b"}]}, "x: pattern"),
        ({"$ref": "https://example.com/schema.json"}, "x: $ref"),
        ({"minProperties": 40}, "x: minProperties"),
        ({"properties": {"y": NONE}, "minProperties": 2}, "x: minProperties"),
        ({"properties": {"y": NONE, "z": NONE}, "maxProperties": 1}, "x: maxProperties"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_enforced_is_left_out_and_named(schema: Schema, named: str) -> None:
    """The operator reads where a tool's schema promises more than is kept."""
    assert rewritten(schema)[1] == [named]


def test_references_are_kept_with_their_targets() -> None:
    """Also where a schema refers to itself, beside a description, and to `true`."""
    children = {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    alike = [{"$ref": "#/$defs/a%3Cb%3E"}, {"$ref": "#/$defs/a_b_"}]
    parameters = {
        "nullable": True,  # arguments are an object all the same
        "properties": {
            "tree": {"$ref": "#/$defs/Tree", "description": "The root."},
            "any": True,
            "other": {"$ref": "#/properties/any"},
            "alike": {"type": "array", "prefixItems": alike},
        },
        "$defs": {
            "Tree": {"type": "object", "properties": {"children": children}},
            "a<b>": NONE,
            "a_b_": BOOLEAN,
            "Unused": {"not": NONE},
        },
    }
    given = deepcopy(parameters)
    result, ignored = enforceable(parameters, LONGEST)
    assert (parameters, ignored) == (given, [])
    assert result["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    assert result["$defs"]["Tree"]["additionalProperties"] is False
    # Engines don't all read the same escapes.
    assert result["$defs"].keys() == {"Tree", "any", "a_b_", "a_b__3"}
    assert result["$defs"]["any"] == ANYTHING
    assert compiles(result)
    assert enforceable_value(parameters, LONGEST)[0]["$defs"].keys() == result["$defs"].keys()


@pytest.mark.parametrize(
    ("branches", "ignored"),
    [
        # Told apart by types, listed values or what an object must have.
        ([BOOLEAN, NONE, COUNT], []),
        ([{"enum": [1, True]}, {"const": "b"}, {"enum": [None, 2]}, False], []),
        ([tagged("card", number=TEXT), tagged("cash"), NONE], []),
        ([{"$ref": "#/$defs/Card"}, {"$ref": "#/$defs/Cash"}], []),
        ([{"anyOf": [tagged("a"), tagged("b")]}, {"$ref": "#/$defs/Cash"}], []),
        ([{**BOOLEAN, "nullable": True}, COUNT], []),
        ([needing("a", additionalProperties=False), needing("a", "b")], []),
        ([tagged(1), tagged(2), tagged("1")], []),
        # A value may match two, as far as that is seen.
        ([COUNT, NUMBER], ["x: oneOf"]),
        ([{"enum": [{"a": 1, "b": 2}]}, {"enum": [2, {"b": 2.0, "a": 1}]}], ["x: oneOf"]),
        ([needing("a"), needing("b")], ["x: oneOf"]),
        ([{"required": ["a"]}, TEXT], ["x: oneOf"]),
        ([needing("a", patternProperties={"^b": TEXT}), needing("b")], ["x: oneOf"]),
        ([{"$ref": "#/$defs/Loop"}, {"$ref": "#/$defs/Loop"}], ["x: oneOf"]),
        ([NONE, {**TEXT, "nullable": True}], ["x: oneOf"]),
    ],
    ids=str,
)
def test_oneof_is_announced_where_a_value_may_match_two(
    branches: list[Any], ignored: list[str]
) -> None:
    """Grammars can't count how many branches match."""
    result, told = rewritten({"oneOf": branches})
    assert told == ignored
    assert len(result["anyOf"]) == len([each for each in branches if each])


KINDS = "array, boolean, integer, null, number, object, string, or a list of these"


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"properties": "x"}, 'arguments: properties="x"'),
        ({"properties": {"a": {"type": "integer", "maximum": "9"}}}, 'a: maximum="9"'),
        ({"properties": {"a": {"type": "integer", "maximum": float("nan")}}}, "a: maximum=NaN"),
        ({"properties": {"a": {"minLength": 1.5}}}, "a: minLength=1.5"),
        ({"properties": {"a": {"type": ["null", {}]}}}, f'a: type=["null", {{}}]; wanted {KINDS}'),
        ({"properties": {"a": {"type": []}}}, f"a: type=[]; wanted {KINDS}"),
        ({"properties": {"a": {"anyOf": {"type": "null"}}}}, 'a: anyOf={"type": "null"}'),
        ({"oneOf": [{"properties": {"a": {"enum": 1}}}, {}]}, "a: enum=1"),
        ({"required": [{}]}, "arguments: required=[{}]"),
        ({"required": ["a"], "anyOf": [{"required": 3}]}, "arguments: required=3"),
    ],
    ids=str,
)
def test_what_is_no_schema_is_refused_by_its_place(parameters: Schema, told: str) -> None:
    """The caller reads which keyword has which value."""
    with pytest.raises(RequestError) as caught:
        enforceable(parameters, LONGEST)
    assert str(caught.value) == (
        f"The JSON Schema can't be enforced: they are no JSON Schema: {told}."
    )
    assert (caught.value.param, caught.value.code) == ("tools", "invalid_function_parameters")


def test_what_refers_to_nothing_is_refused() -> None:
    """By a pointer or by an anchor; an engine would go on without any constraint."""
    for reference in ("#/$defs/Missing", "#flog"):
        with pytest.raises(RequestError, match="names nothing in them") as caught:
            rewritten({"$ref": reference})
        assert f'x: $ref="{reference}"' in str(caught.value)


def test_what_an_engine_lacks_is_told_and_left_out() -> None:
    """A keyword that others enforce."""
    numbers = {"properties": {"n": {"type": "integer", "multipleOf": 5}}}
    lacking, ignored = enforceable(numbers, 40, unenforced=lambda _: {"multipleOf", "minLength"})
    assert "multipleOf" not in lacking["properties"]["n"]
    assert ignored == ["n: multipleOf"]


def test_branches_that_multiply_without_end_are_refused() -> None:
    """Each level doubles what lies below it; a request must not hold up all others."""
    schema: Schema = {"type": "null"}
    for _ in range(14):
        schema = {"properties": {"a": schema}, "anyOf": [{}, {}]}
    with pytest.raises(RequestError, match="branch too often"):
        enforceable(schema, LONGEST)


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(PARAMETERS)
def test_whatever_is_made_compiles(parameters: Schema) -> None:
    """No schema of known keywords is refused by the engines."""
    result, _ = enforceable(parameters, LONGEST)
    assert compiles(result)
