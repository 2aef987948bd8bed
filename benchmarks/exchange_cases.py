"""Questions, and what is expected of each answer."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from pathlib import Path
from typing import Any

from benchmarks.command_line import records
from benchmarks.exchange_rates import pair_rate

CENT = Decimal("0.01")
EXACT = Context(prec=100)
QUESTIONS = Path(__file__).with_name("known_questions.jsonl")
"""Questions that the code has been made with: a low figure says more than a high one."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """An amount in one currency, both as ISO 4217 codes, and the currency that it becomes."""

    source: str
    target: str
    amount: Decimal

    @property
    def pair(self) -> tuple[str, str]:
        """Both codes."""
        return self.source, self.target

    @property
    def rate(self) -> Decimal:
        """What a unit of the source buys in the evaluation."""
        return pair_rate(*self.pair)

    @property
    def value(self) -> Decimal:
        """The converted amount to the cent, half a cent up."""
        return EXACT.multiply(self.amount, self.rate).quantize(CENT, ROUND_HALF_UP, EXACT)

    def __str__(self) -> str:
        return f"{self.amount} {self.source} = {self.value} {self.target}"


@dataclass(frozen=True, slots=True)
class Case:
    """One question and its expectation.

    Attributes:
        conversions: Each must be told, and no other may be made or told.
        also: Numbers that may be told besides those of the conversions and the question's digits.
        mentions: Patterns that the answer must all contain.
        refused: Whether the question is an error of the caller's.
    """

    id: str
    kind: str
    query: str
    conversions: tuple[Conversion, ...] = ()
    also: tuple[Decimal, ...] = ()
    mentions: tuple[str, ...] = ()
    refused: bool = False

    @property
    def expected(self) -> str:
        """The expectation in short, for a list of failures."""
        if self.refused:
            return "a refusal"
        return ", ".join(map(str, self.conversions)) or "no conversion"


def read_case(data: dict[str, Any]) -> Case:
    """One line of the file; {"repeat": [text, n]} stands for a query too long to write out."""
    query, expect = data["query"], data["expect"]
    if not isinstance(query, str):
        text, times = query["repeat"]
        query = text * times
    return Case(
        id=data["id"],
        kind=data["kind"],
        query=query,
        conversions=tuple(
            Conversion(each["from"], each["to"], Decimal(each["amount"]))
            for each in expect.get("conversions", ())
        ),
        also=tuple(map(Decimal, expect.get("also", ()))),
        mentions=tuple(expect.get("mentions", ())),
        refused=expect.get("refused", False),
    )


def load_cases(path: Path = QUESTIONS) -> list[Case]:
    """All cases of a file, in its order."""
    return [read_case(data) for data in records(path)]
