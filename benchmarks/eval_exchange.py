"""Ask the assistant every query of a file and judge its answers.

    python -m benchmarks.eval_exchange --kind plain,words --chat

Servers run for it alone, which convert at the evaluation's rates. With `--url` the server there is
asked instead; it must do so as well: `TOOLS=benchmarks.exchange_rates:tools make serve`. The file
is `known_questions.jsonl`, or one of the same form that `--queries` names.
Exits with 0 if enough answers are right and none states an invented number, with 1 if not, and
with 2 if the queries could not be asked.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2

from benchmarks.command_line import aligned, at_once, percentile, positive, run
from benchmarks.exchange_cases import QUESTIONS, Case, load_cases
from benchmarks.exchange_judge import Verdict, answer_of, judge
from benchmarks.exchange_rates import TOOLS
from benchmarks.exchange_routes import Timed, ask
from benchmarks.servers import served
from function_calling.agent.events import DoneEvent, TextEvent

TIMEOUT_SECONDS = 300
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


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line, and the queries that it chooses, as `cases`."""
    parser = argparse.ArgumentParser(description="Judge the assistant's answers.")
    parser.add_argument(
        "--url", help=f"where a server with TOOLS={TOOLS} listens; default: one of its own"
    )
    parser.add_argument("--chat", action="store_true", help="ask /chat in place of /exchange")
    parser.add_argument("--queries", type=Path, default=QUESTIONS, help="a file of them, as JSONL")
    parser.add_argument("--kind", help="only these kinds of queries, separated by commas")
    parser.add_argument("--limit", type=positive, help="at most this many queries")
    parser.add_argument("--concurrency", type=positive, default=1, help="queries at the same time")
    parser.add_argument("--out", type=Path, help="write each reply and verdict there, as JSONL")
    wanted = parser.parse_args(arguments)
    try:
        cases = load_cases(wanted.queries)
    except (OSError, ValueError, LookupError, TypeError) as error:
        parser.error(f"--queries {wanted.queries} can't be read ({type(error).__name__}: {error})")
    known = list(dict.fromkeys(case.kind for case in cases))
    kinds = wanted.kind.split(",") if wanted.kind else known
    if unknown := set(kinds) - set(known):
        parser.error(f"no query is of kind {', '.join(unknown)}; kinds are {', '.join(known)}")
    wanted.cases = [case for case in cases if case.kind in kinds][: wanted.limit]
    return wanted


def ask_all(client: httpx2.Client, wanted: argparse.Namespace) -> list[Outcome]:
    """Ask all cases, show the progress, and return the outcomes in the cases' order."""
    route = "/chat" if wanted.chat else "/exchange"

    def ask_one(case: Case) -> Outcome:
        events = ask(client, route, case.query)
        return Outcome(case, events, judge(case, [event for _, event in events]))

    asked = {}
    with wanted.out.open("w", encoding="utf-8") if wanted.out else nullcontext() as out:
        for outcome in at_once(ask_one, wanted.cases, wanted.concurrency):
            case, verdict = outcome.case, outcome.verdict
            asked[case.id] = outcome
            word = "right" if verdict.right else "not right"
            told = f"{outcome.seconds:6.2f} s  {'INVENTED NUMBER' if verdict.invented else word}"
            print(f"{len(asked):>3}/{len(wanted.cases)}  {case.id:<20} {told}", flush=True)
            if out:
                print(as_json(outcome), file=out, flush=True)
    return [asked[case.id] for case in wanted.cases]


def as_json(outcome: Outcome) -> str:
    """One line of the --out file; the events are as they came, with their seconds."""
    record = {
        "id": outcome.case.id,
        "query": outcome.case.query,
        "expected": outcome.case.expected,
        "answer": outcome.answer,
        "seconds": round(outcome.seconds, 3),
        "right": outcome.verdict.right,
        **asdict(outcome.verdict),
        "events": [{"at": round(at, 3), **event.model_dump()} for at, event in outcome.events],
    }
    return json.dumps(record, ensure_ascii=False)


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


def main(arguments: list[str], transport: httpx2.BaseTransport | None = None) -> int:
    """Ask, judge, report; the exit status."""
    wanted = options(arguments)
    with ExitStack() as stack:
        url = wanted.url or stack.enter_context(served(TOOLS=TOOLS)).assistant
        client = httpx2.Client(base_url=url, timeout=TIMEOUT_SECONDS, transport=transport)
        try:
            outcomes = ask_all(stack.enter_context(client), wanted)
        except httpx2.ConnectError as error:
            print(f"No server answers at {url} ({error}).", file=sys.stderr)
            return 2
    print("", *summary(outcomes), *failures(outcomes), sep="\n")
    return 0 if good_enough(outcomes) else 1


if __name__ == "__main__":
    run(main)
