"""A schema that would take for ever, or too much memory, is refused in time and by its reason."""

import asyncio
import json
from typing import Any

import pytest

from function_calling.engines import grammar as engine_grammar
from function_calling.engines.grammar import grammar, grammar_text
from function_calling.errors import RequestError
from function_calling.formats import FORMATS
from function_calling.model.schema import Budget, Schema, enforceable
from function_calling.model.schema.keywords import MOST_LEVELS, MOST_SCHEMAS
from function_calling.model.words import Alternative, JsonSlot

LONGEST = 4096
NULL: Schema = {"type": "null"}
MANY = f"they come to over {MOST_SCHEMAS} schemas"
DEEP = f"they hold more than {MOST_LEVELS} schemas in each other"
LARGE = "they come to more than 1000000 characters of grammar"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


def of(schema: Any, **more: Any) -> Schema:
    """Parameters with the one argument `x`."""
    return {"type": "object", "properties": {"x": schema}, "required": ["x"], **more}


def words(count: int) -> list[str]:
    """Different texts of some length."""
    return [f"word number {index:06}" for index in range(count)]


def nested(levels: int, around: Any) -> Schema:
    """`around` applied so many times."""
    schema = NULL
    for _ in range(levels):
        schema = around(schema)
    return schema


def chain(count: int, link: Any) -> Schema:
    """Parameters with definitions `d0` to `dN`, each made of a reference to the next."""
    links = {f"d{at}": link({"$ref": f"#/$defs/d{at + 1}"}) for at in range(count)}
    return of({"$ref": "#/$defs/d0"}, **{"$defs": {**links, f"d{count}": NULL}})


def pair(schema: Schema) -> Schema:
    """An object that holds the schema twice."""
    both = {"left": schema, "right": schema}
    return {"type": "object", "properties": both, "required": list(both)}


def constraint(parameters: Schema, form: str = "hermes") -> list[Alternative]:
    """What a forced call of a tool with these parameters is held to."""
    schema, _ = enforceable(parameters, LONGEST)
    return [FORMATS[form].call_rest("get", schema, ("get",))]


TOO_MUCH: dict[str, tuple[Schema, str]] = {
    "100,000 constants": (of({"enum": words(100_000)}), LARGE),
    "a deep constant": (of({"const": nested(150, lambda s: [s])}), "recursion limit exceeded"),
    "5000 properties": (of(NULL, properties={f"p{at}": NULL for at in range(5000)}), MANY),
    "1000 properties that are optional": (
        of({"type": "object", "properties": {f"p{at}": NULL for at in range(1000)}}),
        "Current row has|grammar[)] too big",
    ),
    "2000 texts of different lengths": (
        of({"anyOf": [{"type": "string", "maxLength": at + 1} for at in range(2000)]}),
        "Current row has",
    ),
    "10,000 keywords that are unknown": (of({f"u{at}": 1 for at in range(10_000)}), MANY),
    "200 levels of objects": (nested(200, of), DEEP),
    "many keywords beside many branches": (
        of({**{f"x-{at}": 1 for at in range(10_000)}, "anyOf": [{"minLength": 1}] * 2000}),
        MANY,
    ),
    "patterns in branches": (of({"anyOf": [{"pattern": "a" * 1000}] * 200}), MANY),
    "a reference that takes itself in": (
        of({"$ref": "#/$defs/a"}, **{"$defs": {"a": {"$ref": "#/$defs/a", "maxLength": 9}}}),
        "they allow no value",
    ),
    "2**30 objects by references": (chain(30, pair), "Too many items"),
    "2**30 branches that take in what is beside": (
        chain(30, lambda r: {"anyOf": [{**r, "minLength": 1}, {**r, "minLength": 2}]}),
        f"{MANY}|{DEEP}",
    ),
    "repeats in repeats": (
        of({"type": "string", "pattern": "^((a{1,100}){1,100}){1,100}$"}),
        "too many expressions",
    ),
    "300 patterns of names, and one for all": (
        of({"patternProperties": {f"^{word}": NULL for word in [*words(300), "."]}}),
        MANY,
    ),
    "multiples of a large number": (of({"type": "integer", "multipleOf": 982451653}), "fuel"),
    "a bound of 4000 digits": (of({"type": "integer", "minimum": 10**4000}), "out of range"),
    "a large number in constants": (of({"enum": [1, {"a": [1e300]}]}), "no number beyond"),
}


@pytest.mark.parametrize(("parameters", "reason"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_too_much_is_refused_by_its_reason(parameters: Schema, reason: str) -> None:
    """The reason is short, whatever the schema holds, and the client's own fault."""
    with pytest.raises(RequestError, match=reason) as caught:
        grammar(constraint(parameters))
    assert caught.value.status == 400
    assert caught.value.code == "invalid_function_parameters"
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


MUCH: dict[str, Schema] = {
    "5000 constants": of({"enum": words(5000)}),
    "5000 constants with a length": of({"enum": words(5000), "minLength": 1}),
    "2000 constants, a branch each": of({"anyOf": [{"const": word} for word in words(2000)]}),
    "300 properties that are optional": {
        "properties": {f"p{at}": {"type": "string"} for at in range(300)}
    },
    "1,000,000 items at least": of(
        {"type": "array", "items": {"type": "integer"}, "minItems": 10**6}
    ),
    "1,000,000 characters": of({"type": "string", "minLength": 10**6, "maxLength": 10**9}),
    "a pattern of 2**200 states": of({"type": "string", "pattern": "^(a|b)*a(a|b){200}$"}),
    "40 patterns of names": of(
        {"patternProperties": {f"^.*{word}.*$": NULL for word in words(40)}}
    ),
    "a product of branches": of(
        {"allOf": [{"anyOf": [{"minLength": at}, {"maxLength": at}]} for at in range(9)]}
    ),
    "2**30 ways to the same": chain(30, lambda reference: {"anyOf": [reference, reference]}),
    "bounds of any size": of({"type": "number", "minimum": -1e308, "maximum": 10**300}),
}


@pytest.mark.parametrize("form", ["hermes", "qwen3coder"])
@pytest.mark.parametrize("parameters", MUCH.values(), ids=MUCH)
def test_much_is_not_too_much(parameters: Schema, form: str) -> None:
    """What the engines can hold a model to isn't refused for its size."""
    assert grammar(constraint(parameters, form)).startswith("%llguidance")


@pytest.mark.parametrize("form", ["hermes", "pythonic", "qwen3coder"])
def test_a_thousand_tools_make_a_small_grammar(form: str) -> None:
    """What many have alike is written once."""
    names = tuple(f"tool{at}" for at in range(1000))
    parameters = of({"enum": ["a", "b"]}, properties={"x": NULL, "y": {"type": "string"}})
    schema, _ = enforceable(parameters, LONGEST)
    rests = [FORMATS[form].call_rest(name, schema, names) for name in names]
    assert len(grammar_text(rests)) < 200_000
    assert grammar(rests)


def test_the_schemas_of_a_request_share_a_budget() -> None:
    """Each may be small, and all together too large."""
    budget = Budget()
    parameters = {"type": "object", "properties": {f"p{at}": NULL for at in range(2400)}}
    enforceable(parameters, LONGEST, budget)
    enforceable(parameters, LONGEST, budget)
    with pytest.raises(RequestError, match=MANY):
        enforceable(parameters, LONGEST, budget)


def test_the_compilers_end_is_not_this_process_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stack overflows on a constant that `enforceable` lets through to none; or it is slow."""
    with pytest.raises(RequestError, match="the compiler fails on them"):
        grammar([(JsonSlot({"enum": [-(2**63)]}),)])
    monkeypatch.setattr(engine_grammar, "LONGEST_CHECK", 0.001)
    with pytest.raises(RequestError, match=r"longer than 0\.001 seconds"):
        grammar([("no other test has this text",)])


async def test_others_go_on_while_a_grammar_is_compiled() -> None:
    """The compiler runs elsewhere, and is waited for in a thread."""
    compiled = asyncio.create_task(asyncio.to_thread(grammar, constraint(of({"enum": words(900)}))))
    turns = 0
    while not compiled.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await compiled).startswith("%llguidance")
    assert turns > 10


def test_places_are_told_without_end_of_names() -> None:
    """Thousands of keywords under a long name would make gigabytes of places."""
    name = "n" * 100_000
    _, ignored = enforceable({"properties": {name: {f"u{at}": 1 for at in range(4000)}}}, LONGEST)
    assert len(ignored) == 4000
    assert len(json.dumps(ignored)) < 20_000_000
