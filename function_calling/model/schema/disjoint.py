"""Whether schemas exclude each other, as the branches of a `oneOf` must.

A grammar can't count how many branches a value matches, so `oneOf` is enforced as `anyOf`, which is
the same where no value matches two. LLGuidance sees that where types, listed values or a tag tell
branches apart. It follows no reference, as pydantic's tagged unions have, and takes no keyword that
it does not know, so it is shown as much of the branches as its proof needs.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from function_calling.model.schema.keywords import Budget, Schema, keywords

MOST_LEVELS = 4
"""Schemas in each other that are looked into."""


def disjoint(branches: Sequence[Any], resolved: Callable[[Any], Any], budget: Budget) -> bool:
    """Whether no value matches two of the branches, as far as that is seen.

    Args:
        branches: Their schemas.
        resolved: Gives the schema that a reference alone stands for.
        budget: What the whole schema may come to.

    Raises:
        RequestError: The budget ends.
    """

    def shown(schema: Any, levels: int = MOST_LEVELS) -> Any:
        budget.spend(1)
        schema = resolved(schema)
        if not isinstance(schema, Mapping) or not levels:
            return schema is not False
        told = keywords(schema, "")
        if "enum" in told:
            return {"enum": told["enum"]}
        result: Schema = {key: told[key] for key in ("type", "required") if key in told}
        if told.get("additionalProperties") is False and "patternProperties" not in told:
            result["additionalProperties"] = False
        if "properties" in told:
            inside = min(levels, 2) - 1
            declared = told["properties"].items()
            result["properties"] = {name: shown(each, inside) for name, each in declared}
        for key in told.keys() & {"anyOf", "oneOf"}:
            result["anyOf"] = [shown(each, levels - 1) for each in told[key]]
        return result

    all_shown = [each for each in map(shown, branches) if each not in (False, {"enum": []})]
    if all(isinstance(each, dict) and each.keys() == {"enum"} for each in all_shown):
        values = [json.dumps(value) for each in all_shown for value in each["enum"]]
        return len(values) == len({*values})
    return len(all_shown) < 2 or budget.compiles({"oneOf": all_shown})
