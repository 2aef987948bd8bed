"""How a call's arguments are spelled: as an object of JSON, or one by one, each with its name.

A spelling writes arguments into a history, and says which literals and slots they are, so that an
engine can be held to a schema in it; what the engine then writes, it reads as JSON.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from function_calling.errors import schema_refused
from function_calling.formats.growing_text import (
    GrowingText,
    Reader,
    json_value,
    literal,
    one_of,
    text_until,
)
from function_calling.model.words import Alternative, JsonSlot, OneOf, TextSlot

Schema: TypeAlias = Mapping[str, Any]


class JsonArguments:
    """One way to write arguments: an object of JSON, as most families do."""

    def slots(self, schema: Schema, thing: str = "") -> Alternative:
        """What a model writes, literals and slots.

        Args:
            schema: One that engines can enforce.
            thing: Whose it is, as an error names it.

        Raises:
            RequestError: The schema allows nothing that can be written in this way.
        """
        return (JsonSlot(dict(schema), thing),)

    def write(self, arguments: str) -> str:
        """Arguments, told as JSON, as this spelling has them.

        A history may hold some that are no object; the model is then shown their text.
        """
        return arguments

    def read(self, text: GrowingText, schema: Schema) -> Reader[None]:
        """The arguments as an object of JSON, taken from a text that `slots(schema)` led to.

        Raises:
            ValueError: The text is not of such arguments.
        """
        yield from json_value(text)


_Argument: TypeAlias = tuple[str, Alternative]
"""The literal with which an argument begins, and what follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedArguments(JsonArguments):
    """Each argument with its name, as in a call in Python: `city="Oslo", days=2`.

    Attributes:
        before_name: Before the name of an argument.
        before_value: Between the name and the value, which is JSON.
        close: Behind the value; a text stands before it as it is, not as JSON.
        separator: Between two arguments.
    """

    before_name: str = ""
    before_value: str
    close: str = ""
    separator: str = ""

    def slots(self, schema: Schema, thing: str = "") -> Alternative:
        """See `JsonArguments.slots`: required arguments first, each other one or not.

        A schema with branches becomes one alternative for each; properties that aren't declared
        are left out.
        """
        definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
        texts = self._texts(schema)
        written = []
        for branch in _branches(schema):
            required: list[_Argument] = []
            optional: list[_Argument] = []
            for name, value in branch.get("properties", {}).items():
                whole = {**value, **(definitions if '"$ref"' in _to_json(value) else {})}
                slot = JsonSlot(whole, thing)
                argument = self._head(name), self._value(slot, is_text=name in texts)
                (required if name in branch.get("required", ()) else optional).append(argument)
            written.append(self._in_order(required, optional, branch.get("minProperties", 0)))
        return written[0] if len(written) == 1 else (OneOf(tuple(written)),)

    def write(self, arguments: str) -> str:
        """See `JsonArguments.write`."""
        values = object_of(arguments)
        if values is None:
            return arguments
        spelled = (
            self._head(name)
            + (value if self.close and isinstance(value, str) else _to_json(value))
            + self.close
            for name, value in values.items()
        )
        return self.separator.join(spelled)

    def read(self, text: GrowingText, schema: Schema) -> Reader[None]:
        """See `JsonArguments.read`."""
        texts, before = self._texts(schema), ""
        spelled = {name: self._head(name) for name in _declared(schema)}
        yield "{"
        while (name := (yield from one_of(text, spelled))) is not None:
            yield f"{before}{_to_json(name)}: "
            if name in texts:
                yield from text_until(text, self.close, texts[name].get("minLength", 0))
            else:
                yield from json_value(text)
                yield from literal(text, self.close)
            before = ", "
            spelled = {it: self.separator + self._head(it) for it in spelled if it != name}
        yield "}"

    def _head(self, name: str) -> str:
        return self.before_name + name + self.before_value

    def _value(self, slot: JsonSlot, *, is_text: bool) -> Alternative:
        if not is_text:
            return (slot, self.close) if self.close else (slot,)
        if "enum" in slot.schema:
            return (OneOf(tuple((text + self.close,) for text in slot.schema["enum"])),)
        return (TextSlot(self.close, slot.schema.get("minLength", 0), slot.schema["maxLength"]),)

    def _in_order(
        self, required: Sequence[_Argument], optional: Sequence[_Argument], least: int
    ) -> Alternative:
        if not required and least:
            return self._some(optional)
        if not required:
            return (OneOf(((), self._some(optional))),) if optional else ()
        (head, value), *others = required
        behind = (part for other in others for part in self._behind(other))
        return (head, *value, *behind, *self._each_or_not(optional))

    def _some(self, optional: Sequence[_Argument]) -> Alternative:
        """One or more arguments: halves, so that what is written grows little faster than they."""
        if len(optional) == 1:
            head, value = optional[0]
            return (head, *value)
        first, second = optional[: len(optional) // 2], optional[len(optional) // 2 :]
        return (OneOf(((*self._some(first), *self._each_or_not(second)), self._some(second))),)

    def _each_or_not(self, optional: Sequence[_Argument]) -> Iterator[OneOf]:
        for argument in optional:
            yield OneOf(((), self._behind(argument)))

    def _behind(self, argument: _Argument) -> Alternative:
        """The argument where another one stands before it."""
        head, value = argument
        return (self.separator + head, *value)

    def _texts(self, schema: Schema) -> dict[str, Schema]:
        """The properties whose value stands as text, not as JSON, whichever branch is written."""
        return {
            name: first
            for name, (first, *others) in _declared(schema).items()
            if self.close and self._is_text(first) and all(each == first for each in others)
        }

    def _is_text(self, schema: Schema) -> bool:
        """Whether every value of this schema can stand as text, the end of which can be seen."""
        if schema.get("type") != "string" or schema.keys() & {"pattern", "format"}:
            return False
        choices = schema.get("enum", [""])
        return all(f"{it}{self.close}".index(self.close) == len(it) for it in choices)


KEYWORD_ARGUMENTS = NamedArguments(before_value="=", separator=", ")


def _declared(schema: Schema) -> dict[str, list[Schema]]:
    """The properties of the arguments, each with its schema in every branch that has it."""
    found: dict[str, list[Schema]] = {}
    for branch in _branches(schema):
        for name, property_ in branch.get("properties", {}).items():
            found.setdefault(name, []).append(property_)
    return found


def _branches(schema: Schema) -> list[Schema]:
    """The objects that the schema allows, one or several to choose from.

    Raises:
        RequestError: One can't be written property by property, or not with its required ones.
    """
    if "anyOf" in schema:
        return [found for branch in schema["anyOf"] for found in _branches(branch)]
    whole = "enum" in schema or schema.get("type") != "object"
    count, declared = len(schema.get("required", ())), schema.get("properties", {})
    least, most = schema.get("minProperties", 0), schema.get("maxProperties", count)
    # Where a property is optional, `minProperties` is 1 if it is there at all.
    if whole or not least <= max(count, min(len(declared), 1)) <= max(most, 1):
        raise schema_refused("this tool format wants an object with declared properties")
    return [schema]


def object_of(text: str) -> dict[str, Any] | None:
    """The object in a history's text of JSON; None if there is none that can be written."""
    try:
        value = json.loads(text, strict=False)
        # Half a surrogate pair is no text, and an infinite number is no JSON.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _to_json(value: Any) -> str:
    """The value as JSON, with its characters as they are."""
    return json.dumps(value, ensure_ascii=False)
