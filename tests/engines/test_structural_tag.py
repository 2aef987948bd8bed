"""A constraint as XGrammar enforces it: what may be written, and what may not."""

import json
from random import Random
from typing import Any

import pytest

pytest.importorskip("xgrammar", reason="`make test-lmdeploy` has the packages for these tests")

import xgrammar
from jsonschema import Draft202012Validator

from function_calling.engines.schema_grammar import unenforced
from function_calling.engines.structural_tag import structural_tag
from function_calling.formats import FORMATS
from function_calling.formats.call_list import CallList
from function_calling.model.schema import enforceable
from function_calling.model.words import Alternative, JsonSlot, OneOf, TextSlot

pytestmark = pytest.mark.lmdeploy

END = 256
INFO = xgrammar.TokenizerInfo(
    [bytes([each]) for each in range(256)] + [b"<end>"],
    xgrammar.VocabType.RAW,
    stop_token_ids=[END],
)
CLOSING = (END, *b'@"]}\n</., 0n')
"""Bytes with which things come to their end, the surest first."""


def matcher(*constraint: Alternative) -> Any:
    """What follows the constraint, byte by byte."""
    compiler = xgrammar.GrammarCompiler(INFO)
    tag = json.dumps(structural_tag(constraint))
    return xgrammar.GrammarMatcher(compiler.compile_structural_tag(tag))


def allows(text: str, *constraint: Alternative) -> bool:
    """Whether the whole text may be written."""
    follows = matcher(*constraint)
    return all(map(follows.accept_token, text.encode())) and follows.accept_token(END)


def walk(chance: Random, *constraint: Alternative) -> str:
    """A text that may be written, by chance; from some length on it heads for its end."""
    follows, written = matcher(*constraint), bytearray()
    mask = xgrammar.allocate_token_bitmask(1, END + 1)
    while True:
        follows.fill_next_token_bitmask(mask)
        bits = mask[0].tolist()
        allowed = [each for each in range(END + 1) if bits[each // 32] >> each % 32 & 1]
        closing = [each for each in CLOSING if each in allowed]
        if closing and len(written) > 300:
            token = closing[0]
        else:
            token = chance.choice(closing if closing and chance.random() < 0.3 else allowed)
        assert follows.accept_token(token)
        if token == END:
            return written.decode(errors="replace")
        written.append(token)
        assert len(written) < 5000, f"the text has no end: {written!r}"


def test_alternatives_are_allowed_whole_and_nothing_else() -> None:
    """Literals, optional parts, and slots with the literal behind them."""
    slot = JsonSlot({"type": "integer", "minimum": 1, "maximum": 12})
    constraint: tuple[Alternative, ...] = (
        ("yes", OneOf(((), (", or ", OneOf((("no",), ("never",))))))),
        ('f": ', slot, "}}\n"),
    )
    for text in ("yes", "yes, or no", "yes, or never", 'f": 7}}\n', 'f":  12}}\n'):
        assert allows(text, *constraint), text
    for text in ("", "ye", "yes, or ", "no", 'f": 13}}\n', 'f": 7}}', 'f":   7}}\n', 'f": 07}}\n'):
        assert not allows(text, *constraint), text


def test_a_list_of_calls_goes_on_or_ends_between_its_calls() -> None:
    """In any format; of more calls than there may be it has no room."""
    schemas = {"f": {"type": "object", "properties": {}}, "g": {"enum": [{"a": 1}]}}
    spelled = [("f", "{}"), ("g", '{"a": 1}'), ("f", "{}")]
    for name in ("json_list", "hermes", "mistral_v11", "react_en", "groq"):
        form = FORMATS[name]
        (constraint,) = CallList(form, ("f", "g"), ("f", "g"), schemas, 3).constraint()
        for count in (1, 2, 3):
            text = form.calls(spelled[:count]).removeprefix(form.calls_open + form.call_head("fg"))
            assert allows(text, constraint), text
            assert not allows(text[:-1], constraint), text
        more = form.calls([*spelled, spelled[0]])
        assert not allows(more.removeprefix(form.calls_open + form.call_head("fg")), constraint)


def test_a_text_ends_where_its_end_first_stands() -> None:
    """It may hold the beginning of it."""
    slot = ("<p>\n", TextSlot("\n</p>\n", 0, 99), "!")
    assert allows("<p>\na\n</b>\n</p>\n!", slot)
    assert allows("<p>\n\n</p>\n!", slot)
    assert not allows("<p>\na\n</p>\nb\n</p>\n!", slot)


FIVES = {"type": "integer", "minimum": -10, "multipleOf": 5}
FLAGS = {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2}
BOTH = {
    "type": "object",
    "properties": {"a": {"enum": []}, "b": {"enum": [1]}, "c": {"enum": [2]}},
    "additionalProperties": False,
    "minProperties": 1,
}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "maxLength": 2}, ['""', '"é"', r'"\"\n"', r'"é"'], ['"abc"', '"\t"']),
        ({"type": "string", "minLength": 1, "maxLength": 9}, ['"a b"'], ['""', r'"\ud800"', '"a']),
        ({"type": "string", "pattern": "^[A-Z]{3}$"}, ['"USD"'], ['"usd"', '"USDX"', '"U"']),
        ({"type": "string", "pattern": '^["x]\\\\$'}, [r'"\"\\"', r'"x\\"'], ['""\\"', '"x"']),
        ({"type": "string", "pattern": "^[^a]\\s$"}, [r'"b\n"', '"b "'], ['"a "', '"b\n"', '"" "']),
        ({"type": "string", "pattern": "^a|b$"}, ['"a"', '"ax"', '"xb"'], ['"xa"', '"bx"']),
        ({"type": "string", "pattern": "x.y"}, ['"x-y"', '"ax-yb"'], ['"xy"', r'"x\ny"']),
        ({"type": "string", "pattern": "^(root@root|é)+$"}, ['"root@rooté"'], ['"root"', '"@"']),
        ({"type": "string", "pattern": r"^[\]|]\|$"}, ['"]|"', '"||"'], ['"]"', '"]|x"']),
        ({"type": "string", "format": "date"}, ['"2026-01-31"'], ['"2026-1-31"', '"today"']),
        ({"type": ["string", "null"], "maxLength": 1}, ['"a"', "null"], ['"ab"', "1"]),
        ({"enum": ["a/b", 1, None, {"x": [1, "é"]}]}, ['"a/b"', '{"x": [1, "é"]}'], ['"a"', "2"]),
        ({"enum": ['say "hi"\n\0😀']}, [r'"say \"hi\"\n\u0000😀"'], ['"say "hi"\n"']),
        ({**FIVES, "maximum": 5}, ["-10", "0", "5"], ["10", "-7", "-0", "5.0"]),
        ({"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.25}, ["0.75"], ["0.7"]),
        ({"type": "number", "minimum": -2, "maximum": 2.5}, ["-2", "2.5"], ["-2.5", "3", "1e1"]),
        ({"type": "number"}, ["1e-12", "-6.626E-34", "0.50"], ["1e999", "--1", "01"]),
        ({"type": ["null", "number"], "exclusiveMinimum": 0}, ["0.01", "null"], ["0", "-1"]),
        ({"type": "integer", "minimum": 1, "maximum": 9}, ["1", "9"], ["0", "10", "1.0"]),
        (BOTH, ['{"b": 1}', '{"c": 2}'], ["{}", '{"a": 1}', '{"c": 2, "b": 1}']),
        (
            {**BOTH, "patternProperties": {"^d": {"enum": [3]}}, "required": ["b"]},
            ['{"b": 1}', '{"b": 1, "d1": 3}'],
            ['{"b": 2}', '{"d": 3}', '{"b": 1, "e": 3}'],
        ),
        (
            FLAGS,
            ["[true]", "[true, false]"],
            ["[]", "[true,false]", "[ true]", "[true, true, true]"],
        ),
    ],
)
def test_a_schema_allows_its_values_as_json(schema: Any, good: list[str], bad: list[str]) -> None:
    """With one space behind commas and colons, quotes and line breaks escaped, tabs too."""
    for text in good:
        assert allows(text, (JsonSlot(schema),)), text
    for text in bad:
        assert not allows(text, (JsonSlot(schema),)), text


def test_what_xgrammar_can_not_hold_a_value_to_is_told() -> None:
    """As far as the schema itself says it; few multiples between bounds are listed."""
    told = {
        "many": {"type": "integer", "multipleOf": 5},
        "few": {"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 100},
        "date": {"type": "string", "format": "date"},
        "word": {"type": "string", "pattern": "^a+$", "maxLength": 3},
        "case": {"type": "string", "pattern": "(?i)a", "maxLength": 3},
        "names": {"patternProperties": {"(?i)a": {"type": "null"}}},
    }
    result, ignored = enforceable({"properties": told}, 40, unenforced=unenforced)
    assert ignored == [
        *("many: multipleOf", "word: maxLength", "case: pattern", "names: patternProperties")
    ]
    assert allows('{"case": "bcd", "names": {}}', (JsonSlot(result),))


STRINGS = ["date", "time", "date-time", "duration", "email", "ipv4", "ipv6", "uuid"]
EITHER = {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0, "maximum": 9}]}
NODE = {"$ref": "#/$defs/A%20Node"}
SCHEMAS: list[dict[str, Any]] = [
    {name: {"type": "string", "format": name} for name in STRINGS},
    {
        "b": {"type": "array", "items": {"type": "number"}, "maxItems": 3},
        "c": {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "null"}]},
        "d": {"additionalProperties": {"type": "string", "maxLength": 5}},
        "e": {"type": "object", "additionalProperties": {"type": "null"}, "required": ["a"]},
        "pair": {"prefixItems": [{"type": "null"}, {"const": "é"}], "items": False, "minItems": 2},
        "few": {"prefixItems": [{"type": "null"}, False, {}]},
    },
    # A branch without values is left out: XGrammar can't read a rule that writes nothing.
    {
        "both": {"allOf": [EITHER, {"anyOf": [{"type": "integer"}, {"type": "null"}]}]},
        "none": {"type": ["string", "null"], "enum": [None], "nullable": True},
        "word": {"enum": ["a", "bc"], "pattern": "^b"},
        "half": {"type": ["integer", "null"], "minimum": 0.5},
        "some": {"type": ["integer", "number"], "minimum": 0.5, "maximum": 2},
        "flag": {"type": ["boolean"]},
        "node": NODE,
        "any": {},
    },
]


@pytest.mark.parametrize("properties", SCHEMAS)
def test_whatever_is_written_under_a_schema_it_allows(properties: dict[str, Any]) -> None:
    """By chance, with the schema as the model half rewrites it; a validator is the judge."""
    node = {"required": ["v"], "properties": {"v": {"type": "boolean"}, "next": NODE}}
    schema = {
        **{"type": "object", "properties": properties, "required": [*properties]},
        "$defs": {"A Node": {"type": "object", **node}},
    }
    rewritten, ignored = enforceable(schema, 40)
    assert ignored == []
    valid = Draft202012Validator(schema)
    for seed in range(12):
        text = walk(Random(seed), (JsonSlot(rewritten), "}\n"))
        valid.validate(json.loads(text.removesuffix("}\n")))
