"""What the parts of the benchmark are made of: lines, and sides that take turns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was measured.

    Attributes:
        what: The thing.
        unit: Of both values.
        ours: What we take or give.
        against: What the other side is; "" where there is none.
        other: What the other side takes or gives.
        n: How often each side was measured.
        note: What else a reader must know.
    """

    what: str
    unit: str
    ours: float
    against: str = ""
    other: float | None = None
    n: int = 1
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over the other's, where both are more than noise."""
        return self.ours / self.other if self.other and min(self.ours, self.other) > 0 else None


def in_turns(sides: Mapping[str, Callable[[int], Result]], rounds: int) -> dict[str, list[Result]]:
    """What each side gives for the number of each round; who begins, changes."""
    given: dict[str, list[Result]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 else -1]:
            given[name].append(sides[name](number))
    return given


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes."""
    begun = perf_counter()
    work()
    return perf_counter() - begun


def compared(
    what: str,
    unit: str,
    given: Mapping[str, Sequence[float]],
    *,
    scale: float = 1.0,
    told: Callable[[Sequence[float]], float] = median,
    note: str = "",
) -> Line:
    """A line of two sides' values, ours first, of which `told` is told: the median by default."""
    (_, ours), (against, other) = given.items()
    return Line(what, unit, scale * told(ours), against, scale * told(other), len(ours), note)
