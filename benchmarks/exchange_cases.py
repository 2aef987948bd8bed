"""The queries of `exchange_queries.jsonl` and what is expected of each answer."""

import json
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

RATE = Decimal("3.14159")
CENT = Decimal("0.01")
QUERIES = Path(__file__).with_name("exchange_queries.jsonl")


@dataclass(frozen=True, slots=True)
class Conversion:
    """One amount that has to be converted."""

    source: str
    target: str
    amount: Decimal

    @property
    def value(self) -> Decimal:
        """The converted amount, as the service has to state it."""
        rate = Decimal(1) if self.source == self.target else RATE
        return (self.amount * rate).quantize(CENT, ROUND_HALF_UP)

    def __str__(self) -> str:
        return f"{self.amount} {self.source} to {self.target}"


@dataclass(frozen=True, slots=True)
class Case:
    """One query and its expectation.

    `conversions`: their values must be stated. `also`: numbers that the query writes in words.
    `mentions`: patterns that the answer must all contain. `status`: the range of HTTP statuses.
    `free_numbers`: an answer may state numbers, but no amounts of money.
    """

    id: str
    kind: str
    query: str
    conversions: tuple[Conversion, ...] = ()
    also: tuple[Decimal, ...] = ()
    mentions: tuple[str, ...] = ()
    status: tuple[int, int] = (200, 200)
    free_numbers: bool = False
    language: str = "en"

    @property
    def expected(self) -> str:
        """The expectation in short, for a list of failures."""
        wanted = [
            f"{each.amount} {each.source} = {each.value} {each.target}" for each in self.conversions
        ]
        if self.status != (200, 200):
            wanted.append("HTTP {}-{}".format(*self.status))
        return ", ".join(wanted) or "no conversion"


def read_case(line: str) -> Case:
    """One line of the file; {"repeat": [text, n]} stands for a query too long to write out."""
    data: dict[str, Any] = json.loads(line)
    query, expect = data["query"], data["expect"]
    if not isinstance(query, str):
        text, times = query["repeat"]
        query = text * times
    low, high = expect.get("status", (200, 200))
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
        status=(low, high),
        free_numbers=expect.get("free_numbers", False),
        language=data.get("language", "en"),
    )


def load_cases(path: Path = QUERIES) -> list[Case]:
    """All cases of a file, in its order."""
    return [read_case(line) for line in path.read_text(encoding="utf-8").splitlines()]
