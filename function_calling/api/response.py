"""How replies are told: in a protocol's objects, whole or as the events of a stream.

A whole reply is made of the same events as a streamed one, so the two can't differ.
"""

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from function_calling.errors import ApiError
from function_calling.model.words import Event

Json: TypeAlias = dict[str, Any]
"""An object of a protocol."""


@dataclass
class ApiResponse(ABC):
    """One response under way; unless a class says else, its stream ends and fails as OpenAI's.

    Attributes:
        model: The name of the model that replies.
        headers: Headers of its own.
        end: What ends a stream, behind its last event.
    """

    model: str
    headers: Mapping[str, str] = field(default_factory=dict, init=False)
    end: ClassVar[str] = "data: [DONE]\n\n"

    @abstractmethod
    def chunks(self, index: int, event: Event) -> Iterator[Json]:
        """The objects of a stream that a reply's next event becomes, each to be written at once."""

    def add(self, index: int, event: Event) -> None:
        """Take in a reply's next event, for the whole."""
        for _ in self.chunks(index, event):
            pass

    @abstractmethod
    def whole(self) -> Json:
        """All events in one object."""

    def framed(self, chunk: Json) -> str:
        """A stream's object as a server-sent event."""
        return f"data: {as_json(chunk)}\n\n"

    def failed(self, error: ApiError) -> str:
        """An error in mid-stream as a server-sent event."""
        return self.framed(error.body())


class NamedEvents(ApiResponse):
    """Each object of a stream is an event that has the object's type as its name."""

    end = ""

    def framed(self, chunk: Json) -> str:
        """A stream's object as a server-sent event with a name."""
        return f"event: {chunk['type']}\n{super().framed(chunk)}"


def new_id(kind: str) -> str:
    """A new id, which begins with what it is the id of ("msg")."""
    return f"{kind}_{secrets.token_hex(12)}"


def as_json(value: Json) -> str:
    """The object as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
