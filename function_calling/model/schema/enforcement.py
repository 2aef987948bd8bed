"""JSON Schema as a constraint: what an engine can enforce, with every value bounded.

A grammar engine refuses a keyword that it does not know, and a value without a bound lets a small
model write digits or letters until its tokens run out. `enforceable` therefore rewrites a tool's
schema into one that allows a subset of the same values, holds only keywords that the engines
compile, and bounds numbers, strings, arrays and open objects.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from function_calling.engines.engine import Unenforced, nothing
from function_calling.engines.json_rules import free_number, possible
from function_calling.model.schema.bounds import (
    SCALARS,
    any_object,
    anything,
    bound_count,
    bound_items,
    bound_number,
    close,
    keep_allowed,
)
from function_calling.model.schema.disjoint import disjoint
from function_calling.model.schema.intersection import intersection
from function_calling.model.schema.keywords import (
    ANNOTATIONS,
    KEPT,
    KEPT_FORMATS,
    KEYWORDS_OF,
    Budget,
    Schema,
    keywords,
    listed,
    number,
)
from function_calling.model.schema.references import References

LONGEST_REMEMBERED = 50_000
"""Characters of a schema that is remembered with what was made of it."""
LONGEST_PLACE = 4000
"""Characters of a name where it tells a place; more would not fit into a header."""


def enforceable(
    schema: Mapping[str, Any],
    longest_string: int,
    budget: Budget | None = None,
    unenforced: Unenforced = nothing,
) -> tuple[Schema, list[str]]:
    """A tool's `parameters` as a constraint on its arguments.

    Args:
        schema: JSON Schema of an object; a missing type or missing properties mean "no arguments".
        longest_string: Characters of a string whose schema sets no `maxLength`.
        budget: What all schemas of a request may come to; None if it is the only one.
        unenforced: Of a schema by itself, the keywords that this engine can't enforce.

    Returns:
        The schema to enforce, and the places whose keyword it leaves out ("unit: not").

    Raises:
        RequestError: A keyword's value can't be used, or the schema is too large.
    """
    root = {"properties": {}, **schema, "type": "object", "nullable": False}
    if root.get("additionalProperties") is True:
        del root["additionalProperties"]  # a model would make arguments up
    return _remembered(root, "arguments", longest_string, budget or Budget(), unenforced)


def enforceable_value(
    schema: Mapping[str, Any], longest_string: int, unenforced: Unenforced = nothing
) -> tuple[Schema, list[str]]:
    """Like `enforceable`, for a value of any kind; `{"type": "object"}` alone is any object."""
    if schema.keys() - ANNOTATIONS == {"type"} and schema["type"] == "object":
        return any_object(longest_string), []
    return _remembered(schema, "content", longest_string, Budget(), unenforced)


def _remembered(
    root: Mapping[str, Any], place: str, longest_string: int, budget: Budget, unenforced: Unenforced
) -> tuple[Schema, list[str]]:
    text = json.dumps(root)
    rewrite = _rewrite if len(text) <= LONGEST_REMEMBERED else _rewrite.__wrapped__
    result, ignored, spent = rewrite(text, place, longest_string, unenforced)
    budget.spend(spent)
    return result, list(ignored)


@lru_cache(maxsize=64)
def _rewrite(
    text: str, place: str, longest_string: int, unenforced: Unenforced
) -> tuple[Schema, list[str], int]:
    """The rewritten schema, what it leaves out, and the schemas that it came to.

    Each request has its tools looked at for its headers and for each of its replies.
    """
    rewriter = _Rewriter(json.loads(text, parse_float=number), longest_string, unenforced)
    return *rewriter.root(place), rewriter.budget.spent


class _Rewriter:
    def __init__(
        self, root: Mapping[str, Any], longest_string: int, unenforced: Unenforced
    ) -> None:
        self._root = root
        self._longest_string = longest_string
        self._unenforced = unenforced
        self._any = anything(longest_string)
        self._references = References(root)
        self._ignored: list[str] = []
        self._unfinished: set[str] = set()
        self._looping: dict[str, str] = {}
        self.budget = Budget()

    def root(self, place: str) -> tuple[Schema, list[str]]:
        """The root, with a definition for all that is referred to."""
        result = self.schema(self._root, place)
        named = self._references.named
        written: Schema = {}
        while left := named.keys() - written.keys():  # what is written may refer to more
            for name in sorted(left):
                written[name] = self.schema(named[name], name[:LONGEST_PLACE])
        if written:
            result["$defs"] = written
        return result, list(dict.fromkeys(self._ignored))

    def schema(self, schema: Any, place: str) -> Schema:
        """One schema and all below it."""
        with self.budget.level():
            return self._rewritten(schema, place)

    def _rewritten(self, schema: Any, place: str) -> Schema:
        if schema is False:
            return {"enum": []}
        if not isinstance(schema, Mapping) or not schema.keys() - ANNOTATIONS:
            return self._anything()
        told = keywords(schema, place)
        self._name_properties(told, place)
        if branching := self._branching(told, place):
            return self._unlooped(*branching, told, place)
        if self._references.local(told.get("$ref")):
            return {"$ref": self._references.moved(told["$ref"], place)}
        result: Schema = {}
        for key in told:
            self._keyword(result, key, told, place)
        keep_allowed(result, self.budget.compiles)
        self._bound(result, told, place)
        self._let_go(result, told, place)
        return result

    def _let_go(self, result: Schema, told: Schema, place: str) -> None:
        """Leave out the keywords to which no engine holds a value, or not this one."""
        beyond = set(self._unenforced(result))
        text = {key: result[key] for key in result.keys() - beyond & {*KEYWORDS_OF["string"]}}
        if "pattern" in text and not self.budget.compiles({**text, "type": "string"}):
            beyond |= {"minLength", "maxLength"}
        for key in sorted(result.keys() & beyond):
            del result[key]
            if key in told:
                self._ignore(place, key)

    def _name_properties(self, told: Schema, place: str) -> None:
        """Write a list or a pattern of `propertyNames` as the properties that it allows."""
        names = self._resolved(told.get("propertyNames", True), place)
        names = {"enum": []} if names is False else names
        said = (
            _without(keywords(names, place), "type", *ANNOTATIONS)
            if isinstance(names, Mapping)
            else {}
        )
        declared, others = told.get("properties", {}), told.get("additionalProperties", True)
        named = declared or told.keys() & {"patternProperties", "required"}
        if said.keys() == {"enum"} and "patternProperties" not in told:
            texts = [name for name in said["enum"] if isinstance(name, str)]
            told["properties"] = {name: declared.get(name, others) for name in texts}
        elif said.keys() == {"pattern"} and not named and self._apart([said["pattern"]]):
            told["patternProperties"] = {said["pattern"]: others}
        elif said:
            return
        told.pop("propertyNames", None)
        if said:
            told["additionalProperties"] = False

    def _branching(self, told: Schema, place: str) -> tuple[str, list[Any]] | None:
        """The keyword whose schemas take in what stands beside it, and these schemas."""
        beside = told.keys() - ANNOTATIONS - {"$ref"}
        if beside and self._references.local(told.get("$ref")):
            return "$ref", [self._references.target(told["$ref"], place)]
        for key in ("anyOf", "oneOf"):
            if key in told:
                return key, told[key]
        if "allOf" in told:
            whole: Schema = {}
            for each in told["allOf"]:
                whole = self._both(whole, each, place)
            return "allOf", [whole]
        return None

    def _unlooped(self, key: str, schemas: list[Any], told: Schema, place: str) -> Schema:
        """The branches; or a reference, where they stand inside of themselves."""
        text = json.dumps(_without(told, *ANNOTATIONS), sort_keys=True)
        if text in self._unfinished:
            if text not in self._looping:
                self._looping[text] = self._references.defined(place, told)
            return {"$ref": self._looping[text]}
        self._unfinished.add(text)
        result = self._branches(key, schemas, _without(told, key), place)
        self._unfinished.remove(text)
        return result

    def _branches(self, key: str, schemas: list[Any], beside: Schema, place: str) -> Schema:
        """Each branch with the keywords that stand beside all of them."""
        whole = [self._both(self._tagged(beside, each, place), each, place) for each in schemas]
        if key == "oneOf" and not disjoint(whole, place, self._resolved, self.budget):
            self._ignore(place, key)
        branches = list(filter(possible, (self.schema(each, place) for each in whole)))
        branches = branches or [{"enum": []}]
        return branches[0] if len(branches) == 1 else {"anyOf": branches}

    def _tagged(self, beside: Schema, branch: Any, place: str) -> Schema:
        """What stands beside a branch, with the property that tells it from the others required.

        Where that has a default, generators leave it out of `required`.
        """
        match beside.get("discriminator"), self._resolved(branch, place):
            case {"propertyName": str(name)}, Mapping() as declared:
                if name in keywords(declared, place).get("properties", ()):
                    return intersection(beside, {"required": [name]}, place, self.budget)[0]
        return beside

    def _resolved(self, schema: Any, place: str) -> Any:
        """The schema that a reference alone stands for."""
        alone = isinstance(schema, Mapping) and schema.keys() - ANNOTATIONS == {"$ref"}
        if alone and self._references.local(schema["$ref"]):
            return self._references.target(schema["$ref"], place)
        return schema

    def _both(self, beside: Schema, branch: Any, place: str) -> Schema:
        """What both allow; of two keywords that can't be held to both, the first holds."""
        if beside.keys() - ANNOTATIONS:
            beside, branch = (self._resolved(each, place) for each in (beside, branch))
        result, lost = intersection(beside, branch, place, self.budget)
        for key in lost:
            self._ignore(place, key)
        return result

    def _keyword(self, result: Schema, key: str, told: Schema, place: str) -> None:
        """Write what a grammar can have of a keyword; where that isn't all, tell of it."""
        value = told[key]
        if key == "properties":
            result[key] = {name: self.schema(value[name], name[:LONGEST_PLACE]) for name in value}
        elif key == "patternProperties":
            result[key] = self._patterns(told, place)
        elif key == "prefixItems":
            result[key] = [self.schema(each, place) for each in value]
        elif key in {"items", "additionalProperties"}:
            result[key] = value if value is False else self.schema(value, place)
        elif self._is_kept(key, value):
            result[key] = value
        elif key not in ANNOTATIONS and not key.startswith("x-"):
            self._ignore(place, key)

    def _is_kept(self, key: str, value: Any) -> bool:
        if key == "pattern":
            return self.budget.compiles({"type": "string", key: value})
        return key in KEPT or (key, value) in KEPT_FORMATS

    def _patterns(self, told: Schema, place: str) -> Schema:
        """The schemas by pattern, for those of which no name matches two or is declared."""
        declared = [*told.get("properties", ()), *told.get("required", ())]
        kept: Schema = {}
        for pattern, each in told["patternProperties"].items():
            text = {"type": "string", "enum": declared, "pattern": pattern}
            matched = declared and self.budget.compiles(text)
            if not matched and self._apart([*kept, pattern]):
                kept[pattern] = self.schema(each, pattern[:LONGEST_PLACE])
            else:
                self._ignore(place, "patternProperties")
        return kept

    def _apart(self, patterns: list[str]) -> bool:
        """Whether engines know the patterns, and no two of them match the same name."""
        return self.budget.compiles({"patternProperties": dict.fromkeys(patterns, True)})

    def _bound(self, result: Schema, schema: Mapping[str, Any], place: str) -> None:
        if "enum" in result:
            return
        if "type" not in result:
            told = (kind for kind, keys in KEYWORDS_OF.items() if result.keys() & set(keys))
            result["type"] = next(told, list(SCALARS))
        kinds = listed(result["type"])
        if "string" in kinds:
            result.setdefault("maxLength", max(self._longest_string, result.get("minLength", 0)))
        if not (free_number(result) or {"number", "integer"}.isdisjoint(kinds)):
            bound_number(result)
        if "array" in kinds:
            bound_items(result, self._anything)
        if "object" in kinds:
            close(result, schema, self._anything)
            for key in bound_count(result):
                self._ignore(place, key)

    def _ignore(self, place: str, key: str) -> None:
        self.budget.spend(1)
        self._ignored.append(f"{place}: {key}")

    def _anything(self) -> Schema:
        self.budget.spend(1)
        return dict(self._any)


def _without(schema: Mapping[str, Any], *keys: str) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}
