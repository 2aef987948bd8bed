"""What a run of the queries came to, as aligned text."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.exchange_cases import Case
from benchmarks.exchange_judge import Verdict, answer_of
from benchmarks.exchange_routes import Timed
from function_calling.agent.events import DoneEvent, TextEvent

ENOUGH = {"conversions": 88, "several": 75, "others": 90}
"""Percent of queries to be right: of those that want conversions, of those among them that want
several, and of all others."""
GROUNDING = ("ok", "asked-again", "fell-back", "none")
COUNTED: dict[str, Callable[[DoneEvent], int]] = {
    "rounds": lambda done: done.rounds,
    "tool calls": lambda done: done.tool_calls,
    "prompt tokens": lambda done: done.usage.prompt_tokens,
    "completion tokens": lambda done: done.usage.completion_tokens,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a route replied to one query, and what the judge says."""

    case: Case
    route: str
    events: list[Timed]
    verdict: Verdict

    @property
    def answer(self) -> str:
        """What a person read."""
        return answer_of(event for _, event in self.events)

    @property
    def seconds(self) -> float:
        """From the question to the end."""
        return max((at for at, _ in self.events), default=0.0)

    @property
    def first_text(self) -> float | None:
        """From the question to the first text."""
        return next((at for at, event in self.events if isinstance(event, TextEvent)), None)

    @property
    def done(self) -> list[DoneEvent]:
        """The end, unless it was an error."""
        return [event for _, event in self.events if isinstance(event, DoneEvent)]


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that `percent` of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def percentages(outcomes: list[Outcome]) -> dict[str, float]:
    """How many of a hundred are right, in each of the groups of `ENOUGH` that was asked."""
    asked: dict[str, list[bool]] = {name: [] for name in ENOUGH}
    for each in outcomes:
        asked["conversions" if each.case.conversions else "others"].append(each.verdict.right)
        if each.case.kind == "several":
            asked["several"].append(each.verdict.right)
    return {name: 100 * sum(right) / len(right) for name, right in asked.items() if right}


def count_invented(outcomes: list[Outcome]) -> int:
    """How many answers state a number that no tool returned and the person did not write."""
    return sum(bool(each.verdict.invented) for each in outcomes)


def kind_row(name: str, outcomes: list[Outcome]) -> list[str]:
    """One line of the table."""
    seconds = [each.seconds for each in outcomes]
    return [
        name,
        str(len(outcomes)),
        str(sum(each.verdict.right for each in outcomes)),
        str(sum(bool(each.verdict.not_asked) for each in outcomes)),
        str(count_invented(outcomes)),
        f"{percentile(seconds, 50):.2f}",
        f"{percentile(seconds, 95):.2f}",
    ]


def aligned(rows: list[list[str]]) -> Iterable[str]:
    """Rows as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        numbers = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([f"{name:<{widths[0]}}", *numbers])


def counted(outcomes: list[Outcome], count: Callable[[DoneEvent], int]) -> str:
    """Total, mean and largest of a number that the server tells at the end."""
    told = [count(done) for each in outcomes for done in each.done]
    if not told:
        return "-"
    return f"{sum(told)} in all, {sum(told) / len(told):.1f} a query, at most {max(told)}"


def grounding(outcomes: list[Outcome]) -> str:
    """How often the server's own check of its answers did what."""
    seen: Counter[str] = Counter(done.grounding for each in outcomes for done in each.done)
    return ", ".join(f"{name} {seen[name]}" for name in GROUNDING) if seen else "-"


def summary(outcomes: list[Outcome]) -> list[str]:
    """The table and the totals."""
    kinds = dict.fromkeys(each.case.kind for each in outcomes)
    rows = [["kind", "n", "right", "not asked", "invented", "p50 s", "p95 s"]]
    rows += [kind_row(kind, [o for o in outcomes if o.case.kind == kind]) for kind in kinds]
    rows.append(kind_row("all", outcomes))
    shares = percentages(outcomes)
    totals = {
        f"{name} right": f"{shares[name]:.1f} %" if name in shares else "-" for name in ENOUGH
    }
    totals |= {label: counted(outcomes, count) for label, count in COUNTED.items()}
    totals["grounding"] = grounding(outcomes)
    if firsts := [at for each in outcomes if (at := each.first_text) is not None]:
        quantiles = (f"p{part} {percentile(firsts, part):.2f}" for part in (50, 95))
        totals["first text s"] = ", ".join(quantiles)
    return [*aligned(rows), "", *(f"{label:<18} {total}" for label, total in totals.items())]


def differences(outcomes: list[Outcome], others: list[Outcome]) -> list[str]:
    """Every query to which the two routes replied with different texts."""
    lines = []
    for one, other in zip(outcomes, others, strict=True):
        if one.answer == other.answer:
            continue
        lines += ["", f"{one.case.id}: the answers differ"]
        for each in (one, other):
            word = "right" if each.verdict.right else "not right"
            lines.append(f"  {each.route:<9} {word}: {each.answer[:600]}")
    return lines


def failures(outcomes: list[Outcome]) -> list[str]:
    """Every answer that is not right, with what was expected and what came."""
    lines = []
    for each in outcomes:
        if each.verdict.right:
            continue
        wrong = [f"not asked for: {number}" for number in each.verdict.not_asked]
        wrong += [f"invented: {number}" for number in each.verdict.invented]
        lines += [
            "",
            f"{each.case.id} at {each.route}: {'; '.join([*each.verdict.problems, *wrong])}",
            f"  query:    {each.case.query[:300]}",
            f"  expected: {each.case.expected}",
            f"  answer:   {each.answer[:600]}",
        ]
    return lines
