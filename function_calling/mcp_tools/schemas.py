"""The JSON Schemas of servers' tools: a stranger's words, so all that is done with them is bounded.

What is not checked here, the server checks.
"""

import json
from collections.abc import Callable
from itertools import islice
from typing import Any

from jsonschema.validators import extend, validator_for
from referencing import Registry

from function_calling.errors import one_line

LONGEST_SCHEMA, MOST_STEPS = 8000, 5000
"""Characters; keywords that are looked at for one call."""
_PASSED_OVER = ("pattern", "patternProperties", "unevaluatedItems", "unevaluatedProperties")
"""They match regular expressions, of which one can take for ever, or may do so."""


def is_usable(schema: dict[str, Any]) -> bool:
    """Whether it is a JSON Schema, and short enough for a model."""
    try:
        if len(json.dumps(schema)) > LONGEST_SCHEMA:
            return False
        validator_for(schema).check_schema(schema)
    except Exception:  # also of one without end
        return False
    return True


def problems(arguments: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """What is wrong with arguments, in five places at most.

    None where it takes more than `MOST_STEPS` to tell, as with references that double, or where
    something would have to be fetched.
    """
    steps = iter(range(MOST_STEPS))

    def bounded(check: Callable[..., Any]) -> Callable[..., Any]:
        def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
            next(steps)
            # What is additional depends on the patterns.
            return (
                () if "patternProperties" in schema else check(validator, value, instance, schema)
            )

        return checked

    kind = validator_for(schema)
    checks = {key: bounded(check) for key, check in kind.VALIDATORS.items()}
    checks |= dict.fromkeys(_PASSED_OVER, lambda *_: ())
    # A part that names a `$schema` would be checked without these bounds.
    schema = {key: value for key, value in schema.items() if key != "$schema"}
    if '"$schema"' in json.dumps(schema):
        return []
    try:
        made = extend(kind, checks)(schema, registry=Registry())  # type: ignore[no-untyped-call]
        errors = made.iter_errors(arguments)
        return [one_line(f"{each.json_path}: {each.message}"[:200]) for each in islice(errors, 5)]
    except Exception:  # at the end of the steps, or of whatever the schema holds
        return []
