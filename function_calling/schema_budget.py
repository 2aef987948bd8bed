"""How large a schema may be: one that goes on without end is refused before it costs anything."""

from collections.abc import Iterator
from contextlib import contextmanager

from function_calling.schema_keywords import refused

MOST_SCHEMAS = 5000
"""Schemas in one, with all that branches and references repeat of it."""
MOST_LEVELS = 32
"""Schemas in each other."""


class Budget:
    """What a schema, or all those of a request, have come to so far."""

    def __init__(self) -> None:
        self._schemas = 0
        self._level = 0

    def spend(self, schemas: int) -> None:
        """Count schemas.

        Raises:
            RequestError: There are too many.
        """
        self._schemas += schemas
        if self._schemas > MOST_SCHEMAS:
            raise refused(
                f"they are too large or branch too often: they come to over {MOST_SCHEMAS} schemas"
            )

    @contextmanager
    def level(self) -> Iterator[None]:
        """Count a schema, and what is written meanwhile as inside it.

        Raises:
            RequestError: There are too many, or too many in each other.
        """
        self.spend(1)
        if self._level == MOST_LEVELS:
            raise refused(f"they hold more than {MOST_LEVELS} schemas in each other")
        self._level += 1
        yield
        self._level -= 1
