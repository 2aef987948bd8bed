"""What a tool's arguments are held to: never more than its schema allows, and never without end."""

import json
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
from function_calling.model.schema import Schema, enforceable
from function_calling.model.schema.bounds import (
    LARGEST_NUMBER,
    MOST_ITEMS,
    MOST_PROPERTIES,
    SMALLEST_STEP,
)
from function_calling.model.words import JsonSlot

LONGEST = 100
NONE = {"type": "null"}
ANY_NUMBER = {"minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}
SCALAR = {
    "type": ["string", "number", "boolean", "null"],
    "maxLength": LONGEST,
    "multipleOf": SMALLEST_STEP,
    **ANY_NUMBER,
}
ANYTHING = {
    "anyOf": [
        SCALAR,
        {"type": "array", "items": SCALAR, "maxItems": MOST_ITEMS},
        {"type": "object", "additionalProperties": SCALAR, "maxProperties": MOST_PROPERTIES},
    ]
}


def enforced(schema: Schema) -> Schema:
    """What one argument of this schema is held to; nothing of the schema may be left out."""
    result, ignored = enforceable({"properties": {"x": schema}}, LONGEST)
    assert ignored == []
    return result["properties"]["x"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 1, "maxLength": 3},
        {"type": "string", "pattern": "^[A-Z]{3}$", "maxLength": 3},
        {"type": "string", "format": "date", "maxLength": 10},
        {"type": "integer", "minimum": 1, "maximum": 6},
        {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 6},
        {"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.25},
        {"enum": ["EUR", "USD", 1, None]},
        {"type": "string", "enum": ["EUR", "USD"]},
        {"const": {"a": [1]}},
        {"type": "boolean"},
        {"type": "null"},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
        {
            "type": "array",
            "prefixItems": [{"type": "null"}, {"type": "boolean"}],
            "items": False,
            "maxItems": 2,
        },
        {
            "type": "object",
            "properties": {"a": {"type": "boolean"}},
            "required": ["a"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "patternProperties": {"^x": {"type": "boolean"}},
            "additionalProperties": False,
        },
        {
            "type": "object",
            "additionalProperties": {"type": "boolean"},
            "minProperties": 1,
            "maxProperties": 2,
        },
        {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
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
        ({"type": "string"}, {"type": "string", "maxLength": LONGEST}),
        ({"minLength": 7000}, {"type": "string", "minLength": 7000, "maxLength": 7000}),
        ({"type": "integer"}, {"type": "integer", **ANY_NUMBER}),
        ({"type": "number"}, {"type": "number", "multipleOf": SMALLEST_STEP, **ANY_NUMBER}),
        (
            {"type": "integer", "minimum": 3},
            {"type": "integer", "minimum": 3, "maximum": LARGEST_NUMBER},
        ),
        (
            {"type": "integer", "exclusiveMaximum": -(10**14)},
            {"type": "integer", "exclusiveMaximum": -(10**14), "minimum": -(10**17)},
        ),
        ({"type": "array"}, {"type": "array", "items": ANYTHING, "maxItems": MOST_ITEMS}),
        (
            {"type": "array", "items": {"type": "null"}, "minItems": 90},
            {"type": "array", "items": {"type": "null"}, "minItems": 90, "maxItems": 90},
        ),
        (
            {"type": "object"},
            {"type": "object", "additionalProperties": ANYTHING, "maxProperties": MOST_PROPERTIES},
        ),
        (
            {"type": "object", "properties": {"a": {"type": "null"}}},
            {
                "type": "object",
                "properties": {"a": {"type": "null"}},
                "additionalProperties": False,
            },
        ),
        (
            {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a", "b"]},
            {
                "type": "object",
                "properties": {"a": {"type": "null"}, "b": ANYTHING},
                "required": ["a", "b"],
                "additionalProperties": False,
            },
        ),
        ({}, ANYTHING),
        (True, ANYTHING),
        ({"description": "Whatever.", "default": None}, ANYTHING),
        (False, {"enum": []}),
    ],
    ids=str,
)
def test_what_has_no_bound_gets_one(schema: Schema, result: Schema) -> None:
    """Numbers, strings, arrays and open objects end, and objects are closed."""
    assert enforced(schema) == result
    assert compiles({"type": "object", "properties": {"x": result}})


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"properties": {"a": {"type": "null"}}}, "object"),
        ({"required": ["a"]}, "object"),
        ({"minProperties": 1}, "object"),
        ({"items": {"type": "null"}}, "array"),
        ({"minItems": 1}, "array"),
        ({"maxLength": 3}, "string"),
        ({"pattern": "a+"}, "string"),
        ({"format": "date"}, "string"),
        ({"minimum": 0}, "number"),
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
    [
        {},
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": []},
        {"type": "object", "properties": {}, "additionalProperties": True},
    ],
    ids=str,
)
def test_a_tool_without_arguments_gets_an_empty_object(parameters: Schema) -> None:
    """Nothing can be invented; `[]` is how PHP writes an empty object."""
    result, ignored = enforceable(parameters, LONGEST)
    assert result == {"type": "object", "properties": {}, "additionalProperties": False}
    assert ignored == []
    assert compiles(result)


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "string", "not": {"const": "x"}}, "x: not"),
        ({"type": "string", "format": "uri"}, "x: format"),
        ({"type": "string", "pattern": "^(?!a)b$"}, "x: pattern"),
        ({"type": "string", "pattern": r"(a)\1"}, "x: pattern"),
        ({"patternProperties": {"(?=a)": {}, "^b": {}}}, "x: patternProperties"),
        ({"type": "array", "uniqueItems": True}, "x: uniqueItems"),
        ({"type": "array", "items": {"type": "array", "contains": {}}}, "x: contains"),
        ({"type": "object", "properties": {"y": {"if": {}, "type": "null"}}}, "y: if"),
        ({"allOf": [{"pattern": "a"}, {"pattern": "b"}]}, "x: pattern"),
        ({"type": "string", "format": "date", "allOf": [{"format": "time"}]}, "x: format"),
        ({"$ref": "https://example.com/schema.json"}, "x: $ref"),
        ({"properties": {"y": NONE}, "minProperties": 2}, "x: minProperties"),
        ({"properties": {"y": NONE, "z": NONE}, "maxProperties": 1}, "x: maxProperties"),
        (
            {"properties": {"y": NONE}, "patternProperties": {"^z": NONE}, "minProperties": 1},
            "x: minProperties",
        ),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, "x: exclusiveMinimum"),
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
    assert result["properties"]["x"] == {
        "type": "object",
        "additionalProperties": ANYTHING,
        "minProperties": 40,
        "maxProperties": 40,
    }


def test_a_count_that_any_value_has_is_no_constraint() -> None:
    """Of declared properties there can't be more, nor fewer than the required ones."""
    closed = {"type": "object", "properties": {"a": NONE, "b": NONE}, "additionalProperties": False}
    assert enforced({**closed, "maxProperties": 2}) == closed
    counted = {**closed, "required": ["a"], "minProperties": 1}
    assert enforced(counted) == {**closed, "required": ["a"]}


def test_declared_properties_may_stand_beside_others() -> None:
    """Engines can't count properties of which some are optional, so these are not counted."""
    schema = {"properties": {"a": {"type": "null"}}, "additionalProperties": {"type": "boolean"}}
    assert enforced(schema) == {"type": "object", **schema}
    assert compiles(enforced(schema))


def test_annotations_are_left_out_in_silence() -> None:
    """They allow and forbid nothing."""
    schema = {"title": "A", "description": "B", "examples": [1], "x-order": 3, "type": "null"}
    assert enforced(schema) == {"type": "null"}


def test_nullable_allows_null_beside_the_rest() -> None:
    """OpenAPI's word for it; jsonschema does not know it, and grammars do not either."""
    schema = {"type": "string", "enum": ["EUR"], "nullable": True}
    assert enforced(schema) == {"anyOf": [{"type": "string", "enum": ["EUR"]}, {"type": "null"}]}
    assert enforced({"type": "null", "nullable": False}) == {"type": "null"}


def test_references_are_kept_with_their_targets() -> None:
    """Also where a schema refers to itself, and beside a description."""
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
    }
    parameters = {
        "properties": {"tree": {"$ref": "#/$defs/Tree", "description": "The root."}},
        "$defs": {"Tree": tree},
    }
    result, ignored = enforceable(parameters, LONGEST)
    assert ignored == []
    assert result["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    assert result["$defs"]["Tree"]["additionalProperties"] is False
    assert compiles(result)


@pytest.mark.parametrize("anchor", [{"$anchor": "flag"}, {"$id": "#flag"}], ids=str)
def test_an_anchor_is_found(anchor: Schema) -> None:
    """Wherever it stands; the older drafts' `$id` too."""
    parameters = {
        "properties": {"x": {"$ref": "#flag"}},
        "$defs": {"A": {"properties": {"b": {**anchor, "type": "boolean"}}}},
    }
    result, ignored = enforceable(parameters, LONGEST)
    assert ignored == []
    text = walk([(JsonSlot({**result, "required": ["x"]}),)], Random(1))
    assert json.loads(text)["x"] in (True, False)
    with pytest.raises(RequestError, match='"#flog" names nothing in them'):
        enforceable({**parameters, "properties": {"x": {"$ref": "#flog"}}}, LONGEST)


def test_a_whole_number_with_a_point_is_one() -> None:
    """As JSON Schema has it."""
    schema = {"type": "string", "minLength": 1.0, "maxLength": 5.0}
    assert str(enforced(schema)) == "{'type': 'string', 'minLength': 1, 'maxLength': 5}"


def test_branches_take_in_what_stands_beside_them() -> None:
    """One of two arguments is required: a usual pattern, which engines refuse as it stands."""
    parameters = {
        "type": "object",
        "properties": {"id": {"type": "null"}, "name": {"type": "boolean"}},
        "anyOf": [{"required": ["id"]}, {"required": ["name"]}],
        "$defs": {"Unused": {"type": "null"}},
    }
    result, ignored = enforceable(parameters, LONGEST)
    assert ignored == []
    assert compiles(result)
    valid = Draft202012Validator(result).is_valid
    assert valid({"id": None})
    assert valid({"name": True})
    assert valid({"id": None, "name": True})
    assert not valid({})
    assert not valid({"id": None, "other": 1})
    assert result["$defs"] == {"Unused": {"type": "null"}}


def test_a_single_allof_is_taken_in() -> None:
    """So older generators write a reference that has a description."""
    schema = {"description": "The unit.", "allOf": [{"type": "string", "maxLength": 9}]}
    assert enforced(schema) == {"type": "string", "maxLength": 9}
    assert enforced({"maxLength": 5, "allOf": [{"type": "string"}]}) == {
        "type": "string",
        "maxLength": 5,
    }


REQUIRES_A = {"properties": {"a": {"type": "integer"}}, "required": ["a"]}
FEW = {"minimum": 0, "maximum": 9}
SHORT = {"type": "string", "maxLength": 2}


@pytest.mark.parametrize(
    ("one", "other", "whole"),
    [
        ({**FEW, "type": "integer"}, {"minimum": 1}, {**FEW, "type": "integer", "minimum": 1}),
        ({**FEW, "type": ["integer", "null"]}, {"type": "number"}, {**FEW, "type": "integer"}),
        (
            {**FEW, "type": "integer", "multipleOf": 4},
            {"multipleOf": 6},
            {**FEW, "type": "integer", "multipleOf": 12},
        ),
        ({"enum": ["a", 1, True]}, {"enum": ["b", True, "a"]}, {"enum": ["a", True]}),
        ({"enum": ["a", "b"]}, {"const": "b"}, {"enum": ["b"]}),
        ({"const": 1}, {"const": True}, {"enum": []}),
        (SHORT, NONE, {**SHORT, "enum": []}),
        (NONE, True, NONE),
        (SHORT, False, None),
        (
            REQUIRES_A,
            {"properties": {"a": FEW, "b": NONE}, "required": ["b"]},
            {
                "type": "object",
                "properties": {"a": {**FEW, "type": "integer"}, "b": NONE},
                "required": ["a", "b"],
                "additionalProperties": False,
            },
        ),
        (
            {"properties": {"b": NONE}, "additionalProperties": False},
            {"properties": {"c": NONE}},
            {
                "type": "object",
                "properties": {"b": NONE, "c": {"enum": []}},
                "additionalProperties": False,
            },
        ),
        (
            {"prefixItems": [NONE], "items": SHORT, "maxItems": 3},
            {"items": {"type": ["null", "string"]}},
            {"type": "array", "prefixItems": [NONE], "items": SHORT, "maxItems": 3},
        ),
        ({"anyOf": [NONE, SHORT]}, {"anyOf": [{"type": "boolean"}, {"minLength": 1}]}, None),
        ({"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}, None),
    ],
    ids=str,
)
def test_schemas_that_hold_together_become_one(one: Schema, other: Any, whole: Any) -> None:
    """In an `allOf`, or beside one."""
    definitions = {"A": REQUIRES_A, "B": {"properties": {"b": NONE}, "required": ["b"]}}
    for told in ({"allOf": [one, other]}, {**one, "allOf": [other]}):
        parameters = {"properties": {"x": told}, "required": ["x"], "$defs": definitions}
        result, ignored = enforceable(parameters, LONGEST)
        assert ignored == []
        assert whole is None or result["properties"]["x"] == whole
        if result["properties"]["x"].get("enum") != []:
            text = walk([(JsonSlot(result), ";")], Random(1)).removesuffix(";")
            Draft202012Validator(parameters).validate(json.loads(text))


def test_inherited_arguments_are_all_asked_for() -> None:
    """A tool's own `allOf`, by references; once they were left out and `{}` alone was allowed."""
    base = {"type": "object", "properties": {"id": {"type": "null"}}, "required": ["id"]}
    parameters = {"type": "object", "allOf": [{"$ref": "#/$defs/Base"}, needing("title")]}
    result, ignored = enforceable({**parameters, "$defs": {"Base": base}}, LONGEST)
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


def tagged(tag: str, **properties: Schema) -> Schema:
    """A branch as pydantic writes that of a tagged union."""
    kind = {"kind": {"const": tag, "type": "string"}}
    return {"type": "object", "properties": {**kind, **properties}, "required": ["kind"]}


def needing(*names: str, **more: Any) -> Schema:
    """An object that has these properties."""
    properties = {name: {"type": "null"} for name in names}
    return {"type": "object", "properties": properties, "required": [*names], **more}


TEXT, COUNT = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    "branches",
    [
        [{"type": "boolean"}, {"type": "null"}, COUNT],
        [{"type": "array", "items": TEXT}, TEXT],
        [{"const": "a", "title": "First"}, {"const": "b", "title": "Other"}],
        [{"enum": ["a", 1]}, {"const": "b"}, {"enum": [None, 2]}],
        [{"const": "auto"}, COUNT],
        [tagged("card", number=TEXT), tagged("cash"), {"type": "null"}],
        [{"$ref": "#/$defs/Card"}, {"$ref": "#/$defs/Cash"}],
        [{"anyOf": [TEXT, {"type": "null"}]}, COUNT],
        [{"type": "boolean", "nullable": True}, COUNT],
        [needing("a"), needing("b")],
        [needing("a", additionalProperties=False), needing("a", "b"), False],
        [needing("a", additionalProperties=False), needing("a", "b", additionalProperties=False)],
        [{"type": "object", "properties": {"a": TEXT}, "required": ["a"]}, tagged("x", a=COUNT)],
        [needing("a", additionalProperties=TEXT), needing("b")],
        [{"enum": list(range(200))}, {"enum": list(range(200, 400))}],
        [{"type": "integer", "maximum": 2}, {"type": "number", "minimum": 2.5}],
        [{**TEXT, "maxLength": 2}, {**TEXT, "minLength": 3}],
        [{"type": "array", "minItems": 1, "items": each} for each in (TEXT, COUNT)],
        [{"anyOf": [needing("a"), needing("b")]}, {"$ref": "#/$defs/Cash"}],
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
        [{"maximum": 5}, {"minimum": 3}],
        [TEXT, {"const": "auto"}],
        [{"enum": [1, True]}, {"enum": [2, 1]}],
        [needing("a"), needing("a", "b")],
        [{"type": "object"}, needing("a")],
        [{"required": ["a"]}, {"required": ["b"]}],
        [needing("a", additionalProperties=NONE), needing("b")],
        [needing("a", patternProperties={"^b": TEXT}), needing("b")],
        [{"$ref": "#/$defs/Loop"}, {"$ref": "#/$defs/Loop"}],
        [{"anyOf": [TEXT, COUNT]}, {"oneOf": [COUNT, {"type": "null"}]}],
        [{**needing("a"), "anyOf": [needing("b")]}, needing("b")],
        [{"const": each} for each in range(300)],
        [{"const": {"a": [1.0]}}, {"enum": [{"a": [1]}]}],
        [{"type": "null"}, {"type": "string", "nullable": True}],
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
    assert enforced(beside)["anyOf"][0]["properties"] == {"kind": {"const": "a"}}
    declared = {"type": "object", "properties": {"a": TEXT, "b": TEXT}}
    either = {**declared, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert enforceable({"properties": {"x": either}}, LONGEST)[1] == ["x: oneOf"]


def test_a_list_of_items_is_what_it_was_in_older_drafts() -> None:
    """A schema for each place."""
    schema = {"type": "array", "items": [{"type": "null"}, {"type": "boolean"}]}
    assert enforced(schema)["prefixItems"] == [{"type": "null"}, {"type": "boolean"}]


KINDS = "array, boolean, integer, null, number, object, string, or a list of these"


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"properties": "x"}, 'arguments: properties="x"'),
        ({"properties": {"a": {"minLength": "1"}}}, 'a: minLength="1"'),
        ({"properties": {"a": {"type": "integer", "maximum": "9"}}}, 'a: maximum="9"'),
        ({"properties": {"a": {"enum": "EUR"}}}, 'a: enum="EUR"'),
        ({"properties": {"a": {"minLength": 1.5}}}, "a: minLength=1.5"),
        ({"properties": {"a": {"pattern": 1}}}, "a: pattern=1"),
        ({"properties": {"a": {"type": "float"}}}, f'a: type="float"; wanted {KINDS}'),
        ({"properties": {"a": {"type": ["null", {}]}}}, f'a: type=["null", {{}}]; wanted {KINDS}'),
        ({"properties": {"a": {"type": []}}}, f"a: type=[]; wanted {KINDS}"),
        ({"properties": {"a": {"anyOf": {"type": "null"}}}}, 'a: anyOf={"type": "null"}'),
        ({"properties": {"a": {"allOf": 1}}}, "a: allOf=1"),
        ({"properties": {}, "required": True}, "arguments: required=true"),
        ({"properties": {}, "required": [{}]}, "arguments: required=[{}]"),
        (
            {"properties": {}, "required": ["a"], "anyOf": [{"required": 3}]},
            "arguments: required=3",
        ),
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
    numbers = {"type": "object", "properties": {"n": {"type": "integer", "multipleOf": 5}}}
    whole, ignored = enforceable(numbers, 40)
    assert (whole["properties"]["n"]["multipleOf"], ignored) == (5, [])
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
    parameters = {"properties": {"a": {"type": "string"}, "b": {"anyOf": [{"minLength": 1}]}}}
    enforceable(parameters, LONGEST)
    assert parameters == {
        "properties": {"a": {"type": "string"}, "b": {"anyOf": [{"minLength": 1}]}}
    }


def values(schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    """Values that an enforced schema allows."""
    if "$ref" in schema:
        return values(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "anyOf" in schema:
        return st.one_of([values(each, root) for each in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([_values_of(kind, schema, root) for kind in kinds])


def _values_of(kind: str, schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    match kind:
        case "string" if "pattern" in schema:
            return st.from_regex(schema["pattern"], fullmatch=True)
        case "string":
            return st.text(min_size=schema.get("minLength", 0), max_size=schema["maxLength"])
        case "integer" | "number":
            half = 1 if kind == "integer" else 2
            near = st.integers(-8, 8) | st.integers(-LARGEST_NUMBER, LARGEST_NUMBER)
            return near.map(lambda number: number if half == 1 else number / half)
        case "array":
            return st.lists(
                values(schema["items"], root),
                min_size=schema.get("minItems", 0),
                max_size=min(schema["maxItems"], 4),
            )
        case "object":
            return _objects_of(schema, root)
        case "boolean":
            return st.booleans()
        case _:
            return st.none()


def _objects_of(schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    properties = {name: values(each, root) for name, each in schema.get("properties", {}).items()}
    required = set(schema.get("required", ()))
    more = schema.get("additionalProperties", False)
    extra = st.just({})
    if more is not False:
        extra = st.dictionaries(st.sampled_from(["d", "e"]), values(more, root))
        properties |= {name: values(more, root) for name in required - properties.keys()}
    declared = st.fixed_dictionaries(
        {name: each for name, each in properties.items() if name in required},
        optional={name: each for name, each in properties.items() if name not in required},
    )
    return st.builds(lambda one, other: {**other, **one}, declared, extra)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(PARAMETERS, st.data())
def test_whatever_is_allowed_was_allowed_before(parameters: Schema, data: st.DataObject) -> None:
    """The constraint is a subset: no value under it is invalid under the tool's own schema."""
    result, ignored = enforceable(parameters, LONGEST)
    assume(not ignored)
    value = data.draw(values(result, result))
    assume(Draft202012Validator(result).is_valid(value))
    Draft202012Validator(parameters).validate(value)


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(PARAMETERS)
def test_whatever_is_made_compiles(parameters: Schema) -> None:
    """No schema of known keywords is refused by the engines."""
    result, _ = enforceable(parameters, LONGEST)
    assert compiles(result)
