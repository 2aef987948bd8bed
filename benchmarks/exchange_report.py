"""What a run of the queries came to, as aligned text."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.command_line import aligned
from benchmarks.exchange_cases import Case
from benchmarks.exchange_judge import Verdict, answer_of
from benchmarks.exchange_routes import Timed
from function_calling.agent.events import DoneEvent, TextEvent

ENOUGH = {"conversions": 88, "several": 75, "others": 90}
"""Percent of queries to be right: of those that want conversions, of those among them that want
several, and of all others."""
COUNTED: dict[str, Callable[[DoneEvent], int]] = {
    "rounds": lambda done: done.rounds,
    "tool calls": lambda done: done.tool_calls,
    "prompt tokens": lambda done: done.usage.prompt_tokens,
    "completion tokens": lambda done: done.usage.completion_tokens,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was replied to one query, and what the judge says."""

    case: Case
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


def percentile(values: Sequence[float], percent: float) -> float:
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


def good_enough(outcomes: list[Outcome]) -> bool:
    """Whether all percentages are reached and no number was invented."""
    reached = all(share >= ENOUGH[name] for name, share in percentages(outcomes).items())
    return reached and not any(each.verdict.invented for each in outcomes)


def row(name: str, outcomes: list[Outcome]) -> list[str]:
    """One line of the table."""
    verdicts = [each.verdict for each in outcomes]
    counts = (
        len(verdicts),
        sum(each.right for each in verdicts),
        sum(bool(each.not_asked) for each in verdicts),
        sum(bool(each.invented) for each in verdicts),
    )
    seconds = [each.seconds for each in outcomes]
    return [name, *map(str, counts), *(f"{percentile(seconds, each):.2f}" for each in (50, 95))]


def summary(outcomes: list[Outcome]) -> Iterator[str]:
    """The table and the totals."""
    kinds = dict.fromkeys(each.case.kind for each in outcomes)
    yield from aligned(
        [
            ["kind", "n", "right", "not asked", "invented", "p50 s", "p95 s"],
            *(row(kind, [each for each in outcomes if each.case.kind == kind]) for kind in kinds),
            row("all", outcomes),
        ]
    )
    yield ""
    for name, share in percentages(outcomes).items():
        yield f"{name + ' right':<18} {share:.1f} %"
    events = [event for each in outcomes for event in each.events]
    ends = [event for _, event in events if isinstance(event, DoneEvent)]
    for label, count in COUNTED.items() if ends else ():
        told = [count(end) for end in ends]
        of_each = f"{sum(told) / len(told):.1f} a query, at most {max(told)}"
        yield f"{label:<18} {sum(told)} in all, {of_each}"
    seen = Counter(end.grounding for end in ends)
    yield f"{'grounding':<18} {', '.join(f'{name} {seen[name]}' for name in seen)}"
    texts = ([at for at, event in each.events if isinstance(event, TextEvent)] for each in outcomes)
    if firsts := [times[0] for times in texts if times]:
        shares = (f"p{share} {percentile(firsts, share):.2f}" for share in (50, 95))
        yield f"{'first text s':<18} {', '.join(shares)}"


def failures(outcomes: list[Outcome]) -> Iterator[str]:
    """Every answer that is not right, with what was expected and what came."""
    for each in outcomes:
        if each.verdict.right:
            continue
        wrong = [f"not asked for: {number}" for number in each.verdict.not_asked]
        wrong += [f"invented: {number}" for number in each.verdict.invented]
        yield f"\n{each.case.id}: {'; '.join([*each.verdict.problems, *wrong])}"
        yield f"  query:    {each.case.query[:300]}"
        yield f"  expected: {each.case.expected}"
        yield f"  answer:   {each.answer[:600]}"
