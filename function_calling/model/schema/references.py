"""References inside a schema: `$ref` with a JSON Pointer, RFC 6901, or an `$anchor` or `$id`.

Rewriting a schema moves its parts, so a reference such as `#/properties/a/oneOf/0` would name
nothing in the result. Whatever is referred to therefore becomes a definition of its own there, and
so does what contains itself.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from function_calling.errors import schema_refused, shown


class References:
    """The references of one schema.

    Attributes:
        named: What is referred to, by the name that it gets.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self.named: dict[str, Any] = {}
        self._given: dict[int, str] = {}

    def local(self, value: Any) -> bool:
        """Whether this is a reference into the schema itself."""
        return isinstance(value, str) and (value.startswith("#") or value in self._anchors)

    def target(self, reference: str, place: str) -> Any:
        """The schema that the reference names.

        Raises:
            RequestError: It names nothing.
        """
        target: Any = self._root
        try:
            if reference != "#" and not reference.startswith("#/"):
                return self._anchors[unquote(reference.removeprefix("#"))]
            for step in unquote(reference).split("/")[1:]:
                step = step.replace("~1", "/").replace("~0", "~")
                target = target[int(step) if isinstance(target, list) else step]
        except (LookupError, TypeError, ValueError):
            raise schema_refused(
                f"{place}: $ref={shown(reference)} names nothing in them"
            ) from None
        return target

    @cached_property
    def _anchors(self) -> dict[str, Any]:
        return dict(_anchors(self._root))

    def moved(self, reference: str, place: str) -> str:
        """The reference as it must stand in the result.

        Raises:
            RequestError: It names nothing.
        """
        return self.defined(reference.rpartition("/")[2], self.target(reference, place))

    def defined(self, name: str, schema: Any) -> str:
        """The reference to a schema, which gets this name, but for what engines read otherwise."""
        if id(schema) not in self._given:
            name = re.sub(r"\W", "_", unquote(name), flags=re.ASCII) or "_"
            while name in self.named:
                name += f"_{len(self.named)}"
            self.named[name] = schema
            self._given[id(schema)] = f"#/$defs/{name}"
        return self._given[id(schema)]


def _anchors(schema: Any) -> Iterator[tuple[str, Any]]:
    """All anchors in a schema, each with what it names; older drafts write it as `$id`."""
    if isinstance(schema, Mapping):
        for name in (schema.get("$anchor"), schema.get("$id"), schema.get("id")):
            if isinstance(name, str):
                yield name.removeprefix("#"), schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from _anchors(each)
