"""Tools as clients might offer them, drawn by Hypothesis; every call of one is short.

Each string and list is bounded, and no schema refers to itself, so that `longest_text` can say how
long a call may get. What a schema allows is told by JSON Schema's own keywords alone, so any
validator can judge a call by the schema as it was sent.
"""

import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Schema = dict[str, Any]

MOST_PROMPT = 450
"""Characters of a tool's schema at most, so that a prompt is read soon."""
MOST_ARGUMENTS = 500
"""Bytes of a call's arguments as JSON at most; tokens are fewer, as none is shorter than a byte."""
LONGEST_STRING = 8
LARGEST_BOUND = 9999
# As in `\u001f`.
_LONGEST_CHARACTER = 6
# As in `-1000000000000000.123456789`.
_LONGEST_NUMBER = 27

WORDS = ("city", "day", "unit", "count", "user", "price", "mode", "tag", "limit", "note")
ODD_NAMES = ("größe", "名前", "цена", "first name", "x-y", "a.b", "$ref", "🌍", "a=b", "2nd, max")
TEXTS = ("on", "EUR", "a b", "Größe", "名", "", "it's", '"', "a\\b", "</", "x\ny", "1", "null")
LONG = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
"""A whole number of 64 bits, as generators of schemas write it."""
DEFINITIONS: dict[str, Schema] = {
    "Code": {"enum": ["NO", "中"]},
    "Point": {
        "type": "object",
        "properties": {
            "x": {"type": "integer", "minimum": -9, "maximum": 9},
            "code": {"$ref": "#/$defs/Code"},
        },
        "required": ["x"],
    },
}


def longest_text(schema: Schema) -> int:
    """Bytes of a value as JSON at most."""
    match schema:
        case {"$ref": str(reference)}:
            return longest_text(DEFINITIONS[reference.removeprefix("#/$defs/")])
        case {"const": value}:
            return _written(value)
        case {"enum": values}:
            return max(map(_written, values))
        case {"properties": properties}:
            return 2 + sum(
                _written(name) + 4 + longest_text(properties[name]) for name in properties
            )
        case {"anyOf": branches}:
            return max(map(longest_text, branches))
        case {"items": items, "maxItems": most}:
            return int(2 + most * (longest_text(items) + 2))
        case {"maxLength": most}:
            return int(2 + most * _LONGEST_CHARACTER)
    return _LONGEST_NUMBER


def _written(value: Any) -> int:
    """Bytes of a value, of which engines may write a control as its code."""
    return len(json.dumps(value).replace(r"\n", r"\u000A"))


@st.composite
def _strings(draw: st.DrawFn) -> Schema:
    least = draw(st.integers(0, 3))
    most = draw(st.integers(max(least, 1), LONGEST_STRING))
    return {"type": "string", "maxLength": most, **({"minLength": least} if least else {})}


@st.composite
def _numbers(draw: st.DrawFn) -> Schema:
    """Whole or not, with bounds that are values themselves or not, near each other or far apart."""
    kind = draw(st.sampled_from(["integer", "number"]))
    low = draw(st.integers(-LARGEST_BOUND, LARGEST_BOUND))
    high = low + draw(st.integers(2, 9) | st.integers(2, LARGEST_BOUND))
    least = draw(st.sampled_from(["minimum", "exclusiveMinimum"]))
    most = draw(st.sampled_from(["maximum", "exclusiveMaximum"]))
    parts = draw(st.sampled_from([1, 2, 1000])) if kind == "number" else 1
    if parts == 1:
        return {"type": kind, least: low, most: high}
    return {"type": kind, least: low / parts, most: high / parts}


# One in six is none that a program would choose.
_NAMES = st.sampled_from([False] * 5 + [True]).flatmap(
    lambda odd: st.sampled_from(ODD_NAMES if odd else WORDS)
)
_CONSTANTS = st.sampled_from(TEXTS) | st.sampled_from([True, None, 0, -7, 42, 0.5, -1.25, 0.001])
_LEAVES = st.one_of(
    _strings(),
    _numbers(),
    st.sampled_from([{"type": "boolean"}, {"type": "integer"}, {"type": "number"}, LONG]),
    st.lists(_CONSTANTS, min_size=1, max_size=4, unique_by=json.dumps).map(lambda v: {"enum": v}),
    st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4, unique=True).map(
        lambda values: {"type": "string", "enum": values}
    ),
    (_CONSTANTS | st.just({"a": [1]})).map(lambda value: {"const": value}),
    _strings().map(lambda schema: {**schema, "type": ["string", "null"]}),
    st.sampled_from(list(DEFINITIONS)).map(lambda name: {"$ref": f"#/$defs/{name}"}),
)


@st.composite
def _arrays(draw: st.DrawFn, inner: st.SearchStrategy[Schema]) -> Schema:
    least = draw(st.integers(0, 2))
    most = draw(st.integers(max(least, 1), 3))
    return {"type": "array", "items": draw(inner), "minItems": least, "maxItems": most}


@st.composite
def _objects(
    draw: st.DrawFn, inner: st.SearchStrategy[Schema], counts: tuple[int, ...] = (1, 1, 2, 0)
) -> Schema:
    """An object with one of `counts` properties."""
    count = draw(st.sampled_from(counts))
    names = draw(st.lists(_NAMES, min_size=count, max_size=count, unique=True))
    schema: Schema = {"type": "object", "properties": {each: draw(inner) for each in names}}
    if names:
        schema["required"] = [each for each in names if draw(st.sampled_from([True, True, False]))]
    if draw(st.booleans()):
        schema["additionalProperties"] = False
    return schema


def _choices(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    branches = st.lists(inner, min_size=2, max_size=3) | inner.map(lambda s: [s, {"type": "null"}])
    return branches.map(lambda each: {"anyOf": each})


_SCHEMAS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(_arrays(inner), _objects(inner), _choices(inner)),
    max_leaves=3,
)


@st.composite
def _parameters(draw: st.DrawFn) -> Schema:
    schema = draw(_objects(_SCHEMAS, counts=(3, 2, 3, 4, 1, 3, 2, 0)))
    if len(schema["properties"]) > 1 and draw(st.sampled_from([False] * 5 + [True])):
        one, other, *_ = schema["properties"]
        schema["anyOf"] = [{"required": [one]}, {"required": [other]}]
    text = json.dumps(schema)
    if "#/$defs/Point" in text:
        return {**schema, "$defs": DEFINITIONS}
    return {**schema, "$defs": {"Code": DEFINITIONS["Code"]}} if "#/$defs" in text else schema


def _modest(schema: Schema) -> bool:
    return _written(schema) <= MOST_PROMPT and longest_text(schema) <= MOST_ARGUMENTS


@st.composite
def _tools(draw: st.DrawFn) -> dict[str, Any]:
    name = "_".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2)))
    function = {"name": name, "parameters": draw(_parameters().filter(_modest))}
    if draw(st.booleans()):
        function["description"] = draw(st.sampled_from(["Look it up.", "Écrire « ceci »."]))
    return {"type": "function", "function": function}


def offered(least: int, most: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    """So many tools of different names, as OpenAI spells them."""
    return st.lists(
        _tools(), min_size=least, max_size=most, unique_by=lambda tool: tool["function"]["name"]
    )


def offers(count: int, tools: int, seed_: int) -> list[list[dict[str, Any]]]:
    """So many draws of so many tools.

    The same seed draws the same with the same release of Hypothesis and the same code of ours, from
    which Hypothesis takes constants.
    """
    drawn: list[list[dict[str, Any]]] = []

    @seed(seed_)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(offered(tools, tools))
    def draw(offer: list[dict[str, Any]]) -> None:
        drawn.append(offer)

    draw()
    return drawn
