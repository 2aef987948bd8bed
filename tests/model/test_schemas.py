"""What a tool's arguments are held to: never more than its schema allows, and never without end."""

import json
from copy import deepcopy
from random import Random
from typing import Any

import pytest
from any_schema import PARAMETERS, compiles
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from walking_engine import walk

from function_calling.engines.grammar import grammar
from function_calling.errors import RequestError
from function_calling.model.schema import Schema, enforceable, enforceable_value
from function_calling.model.schema.bounds import (
    LARGEST_NUMBER,
    MOST_ITEMS,
    MOST_PROPERTIES,
)
from function_calling.model.words import JsonSlot

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
BELOW = {"exclusiveMaximum": -(10**14)}
SCALAR = {"type": ["string", "number", "boolean", "null"], "maxLength": LONGEST}
ANYTHING = {
    "anyOf": [
        SCALAR,
        {"type": "array", "items": SCALAR, "maxItems": MOST_ITEMS},
        {"type": "object", "additionalProperties": SCALAR, "maxProperties": MOST_PROPERTIES},
    ]
}
OPEN = {"additionalProperties": ANYTHING, "maxProperties": MOST_PROPERTIES}


def enforced(schema: Schema) -> Schema:
    """What one argument of this schema is held to; nothing of the schema may be left out."""
    result, ignored = enforceable({"properties": {"x": schema}}, LONGEST)
    assert ignored == []
    return result["properties"]["x"]


def validate_written(result: Schema, parameters: Schema, seed: int = 1) -> None:
    """What an engine may write under the one is valid under the other."""
    text = walk([(JsonSlot(result), ";")], Random(seed)).removesuffix(";")
    Draft202012Validator(parameters).validate(json.loads(text))


def needing(*names: str, **more: Any) -> Schema:
    """An object that has these properties."""
    properties = dict.fromkeys(names, NONE)
    return {"type": "object", "properties": properties, "required": [*names], **more}


def tagged(tag: str, **properties: Schema) -> Schema:
    """A branch as pydantic writes that of a tagged union."""
    kind = {"kind": {"const": tag, "type": "string"}}
    return {"type": "object", "properties": {**kind, **properties}, "required": ["kind"]}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 1, "maxLength": 3},
        {"type": "string", "pattern": "^[A-Z]{3}$", "maxLength": 3},
        {"type": "string", "format": "date", "maxLength": 10},
        {"type": "integer", "minimum": 1, "maximum": 6},
        {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 6},
        {"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.25},
        {"type": "number"},
        {"type": ["number", "null"], "exclusiveMinimum": 0},
        {"type": "string", "enum": ["EUR", "USD"]},
        {"enum": ["EUR", "USD", 1, None]},
        {"enum": [{"a": [1]}]},
        {"anyOf": [BOOLEAN, NONE]},
        {"type": "array", "items": BOOLEAN, "minItems": 1, "maxItems": 2},
        {"type": "array", "prefixItems": [NONE, BOOLEAN], "items": False, "maxItems": 2},
        {**CLOSED, "properties": {"a": BOOLEAN}, "required": ["a"]},
        {**CLOSED, "patternProperties": {"^x": BOOLEAN}, "maxProperties": 2},
        {"type": "object", "properties": {"a": NONE}, "additionalProperties": BOOLEAN},
        {**CLOSED, "additionalProperties": NONE, "minProperties": 1, "maxProperties": 2},
    ],
    ids=str,
)
def test_a_bounded_schema_is_kept_as_it_stands(schema: Schema) -> None:
    """What can be enforced is, keyword by keyword."""
    assert enforced(schema) == schema
    assert compiles(enforced(schema))


@pytest.mark.parametrize(
    ("schema", "result"),
    [
        (TEXT, {**TEXT, "maxLength": LONGEST}),
        ({"minLength": 7000}, {**TEXT, "minLength": 7000, "maxLength": 7000}),
        (COUNT, {**COUNT, **ANY_NUMBER}),
        ({**NUMBER, "maximum": 9}, {**NUMBER, **ANY_NUMBER, "maximum": 9, "multipleOf": 1e-9}),
        ({**COUNT, "minimum": 3}, {**COUNT, **ANY_NUMBER, "minimum": 3}),
        ({**COUNT, **BELOW}, {**COUNT, **BELOW, "minimum": -(10**17)}),
        ({**NUMBER, "minimum": 1, "maximum": 1}, {**NUMBER, "minimum": 1, "maximum": 1}),
        ({**TEXT, "pattern": HARD}, {**TEXT, "pattern": HARD}),
        ({"type": "array"}, {"type": "array", "items": ANYTHING, "maxItems": MOST_ITEMS}),
        ({**LIST, "minItems": 90}, {**LIST, "minItems": 90, "maxItems": 90}),
        # As older drafts have it: a schema for each place.
        ({**LIST, "items": [NONE], "maxItems": 2},
         {**LIST, "prefixItems": [NONE], "items": ANYTHING, "maxItems": 2}),
        ({**LIST, "items": [NONE], "additionalItems": False, "maxItems": 1},
         {**LIST, "prefixItems": [NONE], "items": False, "maxItems": 1}),
        ({**LIST, "additionalItems": False, "maxItems": 1}, {**LIST, "maxItems": 1}),
        # An excluded bound, too.
        ({**COUNT, **FEW, "exclusiveMinimum": True, "exclusiveMaximum": False},
         {**COUNT, "exclusiveMinimum": 0, "maximum": 9}),
        ({"type": "object"}, {"type": "object", **OPEN}),
        ({"type": "object", "properties": {}, "additionalProperties": True},
         {"type": "object", "properties": {}, **OPEN}),
        ({"properties": {"a": NONE}}, {**CLOSED, "properties": {"a": NONE}}),
        ({"properties": {"a": NONE}, "required": ["a", "b"]},
         {**CLOSED, "properties": {"a": NONE, "b": ANYTHING}, "required": ["a", "b"]}),
        # Of declared properties there can't be more, nor fewer than the required ones.
        ({**needing("a"), "minProperties": 1, "maxProperties": 1}, {**needing("a"), **CLOSED}),
        ({}, ANYTHING),
        (True, ANYTHING),
        ({"description": "Whatever.", "default": None}, ANYTHING),
        (False, {"enum": []}),
    ],
    ids=str,
)  # fmt: skip
def test_what_has_no_bound_gets_one(schema: Schema, result: Schema) -> None:
    """Numbers, strings, arrays and open objects end, and objects are closed."""
    assert enforced(schema) == result
    assert compiles({"type": "object", "properties": {"x": result}})


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"required": ["a"]}, "object"),
        ({"minProperties": 1}, "object"),
        ({"items": NONE}, "array"),
        ({"minItems": 1}, "array"),
        ({"pattern": "a+"}, "string"),
        ({"format": "date"}, "string"),
        ({"exclusiveMaximum": 0}, "number"),
    ],
    ids=str,
)
def test_a_missing_type_is_told_by_the_other_keywords(schema: Schema, kind: str) -> None:
    """Hand-written schemas often leave it out."""
    assert enforced(schema)["type"] == kind
    assert compiles(enforced(schema))


@pytest.mark.parametrize(
    "parameters",
    [{}, {"type": "object", "properties": []}, {"properties": {}, "additionalProperties": True}],
    ids=str,
)
def test_a_tool_without_arguments_gets_an_empty_object(parameters: Schema) -> None:
    """Nothing can be invented; `[]` is how PHP writes an empty object."""
    result, ignored = enforceable(parameters, LONGEST)
    assert (result, ignored) == ({**CLOSED, "properties": {}}, [])
    assert compiles(result)


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "string", "not": {"const": "x"}}, "x: not"),
        ({"type": "object", "propertyNames": {"maxLength": 3}}, "x: propertyNames"),
        ({"type": "string", "format": "uri"}, "x: format"),
        ({"type": "string", "pattern": "^(?!a)b$"}, "x: pattern"),
        ({"pattern": HARD, "maxLength": 64}, "x: maxLength"),
        ({"patternProperties": {"(?=a)": {}, "^b": {}}}, "x: patternProperties"),
        ({"patternProperties": {"^a": NONE, "b$": BOOLEAN}}, "x: patternProperties"),
        (
            {
                **CLOSED,
                "patternProperties": {"^a": {}},
                "allOf": [{"patternProperties": {"b$": {}}}],
            },
            "x: patternProperties",
        ),
        ({"type": "array", "items": {"type": "array", "contains": {}}}, "x: contains"),
        ({"type": "object", "properties": {"y": {"if": {}, "type": "null"}}}, "y: if"),
        ({"properties": {"ab": NONE}, "patternProperties": {"^a": {}}}, "x: patternProperties"),
        ({"allOf": [{"pattern": "a"}, {"pattern": "b"}]}, "x: pattern"),
        ({"type": "string", "format": "date", "allOf": [{"format": "time"}]}, "x: format"),
        ({"$ref": "https://example.com/schema.json"}, "x: $ref"),
        ({"properties": {"y": NONE}, "minProperties": 2}, "x: minProperties"),
        ({"properties": {"y": NONE, "z": NONE}, "maxProperties": 1}, "x: maxProperties"),
    ],
    ids=str,
)
def test_what_cannot_be_enforced_is_left_out_and_named(schema: Schema, named: str) -> None:
    """The operator reads where a tool's schema promises more than is kept."""
    result, ignored = enforceable({"properties": {"x": schema}}, LONGEST)
    assert ignored == [named]
    assert compiles(result)


def test_a_count_of_names_that_may_come_twice_is_bounded_and_named() -> None:
    """A model may write a name again, which then counts once."""
    result, ignored = enforceable({"properties": {"x": {"minProperties": 40}}}, LONGEST)
    assert ignored == ["x: minProperties"]
    counts = {"minProperties": 40, "maxProperties": 40}
    assert result["properties"]["x"] == {**CLOSED, "additionalProperties": ANYTHING, **counts}


def test_a_whole_number_with_a_point_is_one() -> None:
    """As JSON Schema has it."""
    schema = {"type": "string", "minLength": 1.0, "maxLength": 5.0}
    assert str(enforced(schema)) == "{'type': 'string', 'minLength': 1, 'maxLength': 5}"


def test_annotations_are_left_out_in_silence() -> None:
    """They allow and forbid nothing."""
    schema = {"title": "A", "description": "B", "examples": [1], "x-order": 3, "type": "null"}
    assert enforced(schema) == NONE
    assert enforced({**CLOSED, "propertyNames": {"type": "string"}}) == CLOSED


def test_nullable_allows_null_beside_the_rest() -> None:
    """OpenAPI's word for it; jsonschema does not know it, and grammars do not either."""
    currency = {"type": "string", "enum": ["EUR"]}
    assert enforced({**currency, "nullable": True}) == {"anyOf": [currency, NONE]}
    assert enforced({**NONE, "nullable": False}) == NONE


def test_references_are_kept_with_their_targets() -> None:
    """Also where a schema refers to itself, beside a description, and to `true`."""
    children = {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    alike = [{"$ref": "#/$defs/a%3Cb%3E"}, {"$ref": "#/$defs/a_b_"}]
    parameters = {
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
        },
    }
    result, ignored = enforceable(parameters, LONGEST)
    assert ignored == []
    assert result["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    assert result["$defs"]["Tree"]["additionalProperties"] is False
    # Engines don't all read the same escapes.
    assert result["$defs"].keys() == {"Tree", "any", "a_b_", "a_b__3"}
    assert result["$defs"]["any"] == ANYTHING
    assert compiles(result)


@pytest.mark.parametrize("rewrite", [enforceable, enforceable_value])
def test_references_are_kept_where_the_whole_may_be_null(rewrite: Any) -> None:
    """Arguments are an object all the same; a reply's content may be null."""
    properties = {"x": {"$ref": "#/$defs/A"}}
    parameters = {"nullable": True, "properties": properties, "$defs": {"A": NONE}}
    assert rewrite(parameters, LONGEST)[0]["$defs"] == {"A": NONE}


@pytest.mark.parametrize(
    "beside",
    [
        {"type": "object"},
        {"unevaluatedProperties": False},
        {"minProperties": 1},
        {"type": ["object", "null"], "anyOf": [{"$ref": "#/$defs/N"}, NONE]},
        {"type": "object", "allOf": [{"$ref": "#/$defs/N"}]},
    ],
    ids=str,
)
def test_what_contains_itself_may_have_something_beside_the_reference(beside: Schema) -> None:
    """As generators write it: each level is held to both."""
    inner = beside if beside.keys() & {"anyOf", "allOf"} else {"$ref": "#/$defs/N", **beside}
    node = {"type": "object", "properties": {"v": BOOLEAN, "next": inner}, "required": ["v"]}
    result, _ = enforceable(
        {"properties": {"n": {"$ref": "#/$defs/N"}}, "$defs": {"N": node}}, LONGEST
    )
    assert compiles(result)
    check = Draft202012Validator(result)
    assert check.is_valid({"n": {"v": True, "next": {"v": True, "next": {"v": False}}}})
    assert not check.is_valid({"n": {"v": True, "next": {"v": True, "next": {"v": 3}}}})
    assert not check.is_valid({"n": {"v": True, "next": {"next": {"v": True}}}})


@pytest.mark.parametrize(
    ("anchor", "reference"),
    [
        ({"$anchor": "flag"}, "#flag"),
        ({"$id": "#flag"}, "#flag"),
        ({"id": "#flag"}, "#flag"),
        ({"$id": "T0"}, "T0"),
        ({"$id": "https://example.com/flag"}, "https://example.com/flag"),
    ],
    ids=str,
)
def test_an_anchor_is_found(anchor: Schema, reference: str) -> None:
    """Wherever it stands; an `$id`, too."""
    parameters = {
        "properties": {"x": {"$ref": reference}},
        "$defs": {"A": {"properties": {"b": {**anchor, "type": "boolean"}}}},
    }
    result, ignored = enforceable(parameters, LONGEST)
    assert ignored == []
    text = walk([(JsonSlot({**result, "required": ["x"]}),)], Random(1))
    assert json.loads(text)["x"] in (True, False)
    with pytest.raises(RequestError, match='"#flog" names nothing in them'):
        enforceable({**parameters, "properties": {"x": {"$ref": "#flog"}}}, LONGEST)


def test_branches_take_in_what_stands_beside_them() -> None:
    """One of two arguments is required: a usual pattern, which engines refuse as it stands."""
    parameters = {
        "type": "object",
        "properties": {"id": NONE, "name": BOOLEAN},
        "anyOf": [{"required": ["id"]}, {"required": ["name"]}],
        "$defs": {"Unused": {"not": NONE}},
    }
    result, ignored = enforceable(parameters, LONGEST)
    assert ignored == []
    assert compiles(result)
    valid = Draft202012Validator(result).is_valid
    assert all(map(valid, [{"id": None}, {"name": True}, {"id": None, "name": True}]))
    assert not any(map(valid, [{}, {"id": None, "other": 1}]))
    assert "$defs" not in result


REQUIRES_A = {"properties": {"a": COUNT}, "required": ["a"]}


@pytest.mark.parametrize(
    ("one", "other", "whole"),
    [
        ({**FEW, **COUNT}, {"minimum": 1}, {**COUNT, "minimum": 1, "maximum": 9}),
        ({**FEW, "type": ["integer", "null"]}, {"type": "number"}, {**FEW, **COUNT}),
        ({"enum": ["a", 1, True]}, {"enum": ["b", True, "a"]}, {"enum": ["a", True]}),
        ({"enum": ["a", 1, True]}, {"const": True}, {"enum": [True]}),
        ({"const": 1}, TEXT, NEVER),
        ({"const": 1}, {"anyOf": [False]}, NEVER),
        (SHORT, NONE, NEVER),
        ({**TEXT, "enum": ["a"]}, {**COUNT, "enum": ["a"]}, NEVER),
        ({"type": ["integer", "number"]}, NONE, NEVER),
        ({"description": "The unit."}, SHORT, SHORT),
        (NONE, True, NONE),
        (SHORT, False, None),
        (
            REQUIRES_A,
            {"properties": {"a": FEW, "b": NONE}, "required": ["b"]},
            {**CLOSED, "properties": {"a": {**FEW, **COUNT}, "b": NONE}, "required": ["a", "b"]},
        ),
        (
            {"properties": {"b": NONE}, "additionalProperties": False},
            {"properties": {"c": NONE}},
            {**CLOSED, "properties": {"b": NONE, "c": {"enum": []}}},
        ),
        (
            {"prefixItems": [NONE], "items": SHORT, "maxItems": 3},
            {"items": {"type": ["null", "string"]}},
            {"type": "array", "prefixItems": [NONE], "items": SHORT, "maxItems": 3},
        ),
        (
            {**OPEN, "propertyNames": {"$ref": "#/$defs/Name"}},
            {"properties": {"a": NONE}},
            {**CLOSED, "properties": {"a": {**SCALAR, "type": "null"}, "b": ANYTHING}},
        ),
        (
            {"additionalProperties": FEW, "propertyNames": {"pattern": "^a"}},
            {"minProperties": 1},
            {
                **CLOSED,
                "patternProperties": {"^a": SMALL},
                "minProperties": 1,
                "maxProperties": MOST_PROPERTIES,
            },
        ),
        ({"anyOf": [NONE, SHORT]}, {"anyOf": [BOOLEAN, {"minLength": 1}]}, None),
        ({"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}, None),
    ],
    ids=str,
)
def test_schemas_that_hold_together_become_one(one: Schema, other: Any, whole: Any) -> None:
    """In an `allOf`, or beside one."""
    definitions = {"A": REQUIRES_A, "B": needing("b"), "Name": {"enum": ["a", "b"]}}
    for told in ({"allOf": [one, other]}, {**one, "allOf": [other]}):
        parameters = {"properties": {"x": told}, "required": ["x"], "$defs": definitions}
        result, ignored = enforceable(parameters, LONGEST)
        assert ignored == []
        assert whole is None or result["properties"]["x"] == whole
        if result["properties"]["x"].get("enum") != []:
            validate_written(result, parameters)


def test_a_list_of_values_needs_nothing_beside_it() -> None:
    """Where the rest asks for some property, the request once ended as a 500."""
    told = {"properties": {"a": NUMBER}, "minProperties": 1, "enum": [{"a": 1}]}
    parameters = {"properties": {"x": told}, "required": ["x"]}
    validate_written(enforceable(parameters, LONGEST)[0], parameters)


def test_inherited_arguments_are_all_asked_for() -> None:
    """A tool's own `allOf`, by references; once they were left out and `{}` alone was allowed."""
    parameters = {"type": "object", "allOf": [{"$ref": "#/$defs/Base"}, needing("title")]}
    result, ignored = enforceable({**parameters, "$defs": {"Base": needing("id")}}, LONGEST)
    assert ignored == []
    assert set(result["required"]) == set(result["properties"]) == {"id", "title"}


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
def test_a_discriminator_is_required(keyword: str) -> None:
    """Also where it has a default, which generators don't list as required."""
    branches = {tag: {"type": "object", "properties": {"kind": {"const": tag}}} for tag in "ab"}
    union = {
        "discriminator": {"propertyName": "kind", "mapping": {"a": "#/$defs/a"}},
        keyword: [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
    }
    result, ignored = enforceable({"properties": {"x": union}, "$defs": branches}, LONGEST)
    assert ignored == []
    assert [each["required"] for each in result["properties"]["x"]["anyOf"]] == [["kind"]] * 2


@pytest.mark.parametrize(
    "branches",
    [
        [BOOLEAN, NONE, COUNT],
        [{"enum": ["a", 1]}, {"const": "b"}, {"enum": [None, 2]}],
        [tagged("card", number=TEXT), tagged("cash"), NONE],
        [{"$ref": "#/$defs/Card"}, {"$ref": "#/$defs/Cash"}],
        [{"anyOf": [TEXT, NONE]}, COUNT],
        [{"type": "boolean", "nullable": True}, COUNT],
        [needing("a", additionalProperties=False), needing("a", "b"), False],
        [{**REQUIRES_A, "type": "object"}, tagged("x", a=TEXT)],
        [{"enum": list(range(200))}, {"enum": list(range(200, 400))}],
        [{"anyOf": [tagged("a"), tagged("b")]}, {"$ref": "#/$defs/Cash"}],
    ],
    ids=str,
)
def test_oneof_is_anyof_where_branches_exclude_each_other(branches: list[Any]) -> None:
    """No value that is written for one of them matches another."""
    definitions = {"Card": tagged("card", number=TEXT), "Cash": tagged("cash")}
    parameters = {"properties": {"x": {"oneOf": branches}}, "$defs": definitions}
    result, ignored = enforceable(parameters, LONGEST)
    assert ignored == []
    assert len(result["properties"]["x"]["anyOf"]) == len([each for each in branches if each])


@pytest.mark.parametrize(
    "branches",
    [
        [COUNT, {"type": "number"}],
        [{"enum": [1, True]}, {"enum": [2, 1]}],
        [needing("a"), needing("a", "b")],
        [{"type": "object"}, needing("a")],
        [{"required": ["a"]}, {"required": ["b"]}],
        [needing("a", additionalProperties=NONE), needing("b")],
        [needing("a", patternProperties={"^b": TEXT}), needing("b")],
        [{"$ref": "#/$defs/Loop"}, {"$ref": "#/$defs/Loop"}],
        [{"anyOf": [TEXT, COUNT]}, {"oneOf": [COUNT, NONE]}],
        [{**needing("a"), "anyOf": [needing("b")]}, needing("b")],
        [needing("a"), needing("b")],
        [NONE, {"type": "string", "nullable": True}],
        [{"type": "integer", "maximum": 3}, {"type": "number", "minimum": 3}],
        [True, TEXT],
    ],
    ids=str,
)
def test_oneof_is_announced_where_a_value_may_match_two(branches: list[Any]) -> None:
    """Grammars can't count how many branches match, and looking ends in time."""
    definitions = {"Loop": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Loop"}}}}
    parameters = {"properties": {"x": {"oneOf": branches}}, "$defs": definitions}
    assert enforceable(parameters, LONGEST)[1] == ["x: oneOf"]


def test_what_stands_beside_a_oneof_counts() -> None:
    """A tag may be declared there, and more may be written into a branch than it says itself."""
    tags = [{"properties": {"kind": {"const": each}}} for each in ("a", "b")]
    beside = {"type": "object", "required": ["kind"], "oneOf": tags}
    assert enforced(beside)["anyOf"][0]["properties"] == {"kind": {"enum": ["a"]}}
    declared = {"type": "object", "properties": {"a": TEXT, "b": TEXT}}
    either = {**declared, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert enforceable({"properties": {"x": either}}, LONGEST)[1] == ["x: oneOf"]


KINDS = "array, boolean, integer, null, number, object, string, or a list of these"


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"properties": "x"}, 'arguments: properties="x"'),
        ({"properties": {"a": {"type": "integer", "maximum": "9"}}}, 'a: maximum="9"'),
        ({"properties": {"a": {"minLength": 1.5}}}, "a: minLength=1.5"),
        ({"properties": {"a": {"pattern": 1}}}, "a: pattern=1"),
        ({"properties": {"a": {"type": "float"}}}, f'a: type="float"; wanted {KINDS}'),
        ({"properties": {"a": {"type": ["null", {}]}}}, f'a: type=["null", {{}}]; wanted {KINDS}'),
        ({"properties": {"a": {"type": []}}}, f"a: type=[]; wanted {KINDS}"),
        ({"properties": {"a": {"anyOf": {"type": "null"}}}}, 'a: anyOf={"type": "null"}'),
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


def test_what_an_engine_lacks_is_told_and_left_out() -> None:
    """A keyword that others enforce."""
    numbers = {"properties": {"n": {"type": "integer", "multipleOf": 5}}}
    assert enforced(numbers)["properties"]["n"]["multipleOf"] == 5
    lacking, ignored = enforceable(numbers, 40, unenforced=lambda _: {"multipleOf", "minLength"})
    assert "multipleOf" not in lacking["properties"]["n"]
    assert ignored == ["n: multipleOf"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"properties": {"a": {}}, "required": ["b"], "additionalProperties": False},
        {"$ref": "#/$defs/Missing"},
    ],
    ids=str,
)
def test_what_does_not_compile_is_refused(schema: Schema) -> None:
    """An engine would otherwise go on without any constraint."""
    with pytest.raises(RequestError, match="can't be enforced") as caught:
        grammar([(JsonSlot(enforced(schema)), "}")])
    assert (caught.value.param, caught.value.code) == ("tools", "invalid_function_parameters")
    assert "\n" not in str(caught.value)


def test_branches_that_multiply_without_end_are_refused() -> None:
    """Each level doubles what lies below it; a request must not hold up all others."""
    schema: Schema = {"type": "null"}
    for _ in range(14):
        schema = {"properties": {"a": schema}, "anyOf": [{}, {}]}
    with pytest.raises(RequestError, match="branch too often"):
        enforceable(schema, LONGEST)


def test_the_schema_given_is_left_as_it_was() -> None:
    """It is also shown to the model."""
    parameters = {"properties": {"a": TEXT, "b": {"anyOf": [{"minLength": 1}]}}}
    before = deepcopy(parameters)
    enforceable(parameters, LONGEST)
    assert parameters == before


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(PARAMETERS, st.integers(0, 2**32))
def test_whatever_is_allowed_was_allowed_before(parameters: Schema, seed: int) -> None:
    """The constraint is a subset: no value under it is invalid under the tool's own schema."""
    result, ignored = enforceable(parameters, LONGEST)
    assume(not ignored)
    validate_written(result, parameters, seed)


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(PARAMETERS)
def test_whatever_is_made_compiles(parameters: Schema) -> None:
    """No schema of known keywords is refused by the engines."""
    result, _ = enforceable(parameters, LONGEST)
    assert compiles(result)
