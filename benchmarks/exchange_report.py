"""What a run of the queries came to, as aligned text."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.exchange_cases import Case
from benchmarks.exchange_judge import Verdict
from benchmarks.exchange_routes import COUNTED, Reply

ENOUGH = {"conversions": 99, "several": 95, "others": 90}
"""Percent of queries to be right: of those that want conversions, of those among them that want
several, and of all others."""
GROUNDING = ("ok", "asked-again", "fell-back", "none")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a route replied to one query, and what the judge says."""

    case: Case
    route: str
    reply: Reply
    verdict: Verdict


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


def count_wrong_numbers(outcomes: list[Outcome]) -> int:
    """How many answers state a number that they should not."""
    return sum(bool(each.verdict.wrong_numbers) for each in outcomes)


def kind_row(name: str, outcomes: list[Outcome]) -> list[str]:
    """One line of the table."""
    seconds = [each.reply.seconds for each in outcomes]
    return [
        name,
        str(len(outcomes)),
        str(sum(each.verdict.right for each in outcomes)),
        str(count_wrong_numbers(outcomes)),
        f"{percentile(seconds, 50):.2f}",
        f"{percentile(seconds, 95):.2f}",
    ]


def aligned(rows: list[list[str]]) -> Iterable[str]:
    """Rows as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        numbers = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([f"{name:<{widths[0]}}", *numbers])


def counted(outcomes: list[Outcome], header: str) -> str:
    """Total, mean and largest of a number that the server tells in a header."""
    replies = (each.reply for each in outcomes)
    told = [int(reply.headers[header]) for reply in replies if header in reply.headers]
    if not told:
        return "-"
    return f"{sum(told)} in all, {sum(told) / len(told):.1f} a query, at most {max(told)}"


def grounding(outcomes: list[Outcome]) -> str:
    """How often the server's own check of its answers did what."""
    told = [each.reply.headers for each in outcomes]
    seen = Counter(headers["X-Grounding"] for headers in told if "X-Grounding" in headers)
    return ", ".join(f"{name} {seen[name]}" for name in GROUNDING) if seen else "-"


def summary(outcomes: list[Outcome]) -> list[str]:
    """The table and the totals."""
    kinds = dict.fromkeys(each.case.kind for each in outcomes)
    rows = [["kind", "n", "right", "wrong number", "p50 s", "p95 s"]]
    rows += [kind_row(kind, [o for o in outcomes if o.case.kind == kind]) for kind in kinds]
    rows.append(kind_row("all", outcomes))
    shares = percentages(outcomes)
    totals = {
        f"{name} right": f"{shares[name]:.1f} %" if name in shares else "-" for name in ENOUGH
    }
    totals |= {label: counted(outcomes, header) for label, header in COUNTED.items()}
    totals["grounding"] = grounding(outcomes)
    if firsts := [at for each in outcomes if (at := each.reply.first_text) is not None]:
        quantiles = (f"p{part} {percentile(firsts, part):.2f}" for part in (50, 95))
        totals["first text s"] = ", ".join(quantiles)
    return [*aligned(rows), "", *(f"{label:<18} {total}" for label, total in totals.items())]


def differences(outcomes: list[Outcome], others: list[Outcome]) -> list[str]:
    """Every query to which the two routes replied with different texts."""
    lines = []
    for one, other in zip(outcomes, others, strict=True):
        if one.reply.answer == other.reply.answer:
            continue
        lines += ["", f"{one.case.id}: the answers differ"]
        for each in (one, other):
            word = "right" if each.verdict.right else "not right"
            lines.append(f"  {each.route:<9} {word}: {each.reply.answer[:600]}")
    return lines


def failures(outcomes: list[Outcome]) -> list[str]:
    """Every answer that is not right, with what was expected and what came."""
    lines = []
    for each in outcomes:
        if each.verdict.right:
            continue
        wrong = [f"states {number}" for number in each.verdict.wrong_numbers]
        lines += [
            "",
            f"{each.case.id} at {each.route}: {'; '.join([*each.verdict.problems, *wrong])}",
            f"  query:    {each.case.query[:300]}",
            f"  expected: {each.case.expected}",
            f"  answer:   {each.reply.answer[:600]}",
        ]
    return lines
