"""Ask the assistant every query of a file and judge its answers.

    python -m benchmarks.eval_exchange --kind plain,words --chat

Servers run for it alone, which convert at the evaluation's rates. With `--url` the server there is
asked instead; it must do so as well: `TOOLS=benchmarks.exchange_rates:tools make serve`. The file
is `known_questions.jsonl`, or one of the same form that `--queries` names. Each query goes to
`/exchange`, with `--chat` to `/chat`, with `--both` to one and then to the other; with `--again`
nothing is asked, and the replies that `--out` wrote are judged.
Exits with 0 if enough answers are right and none states an invented number, with 1 if not, and
with 2 if the queries could not be asked.
"""

import argparse
import json
import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path

import httpx2

from benchmarks.command_line import at_once, positive, records, run
from benchmarks.exchange_cases import QUESTIONS, Case, load_cases
from benchmarks.exchange_judge import judge
from benchmarks.exchange_rates import TOOLS
from benchmarks.exchange_report import (
    ENOUGH,
    Outcome,
    count_invented,
    differences,
    failures,
    percentages,
    summary,
)
from benchmarks.exchange_routes import ROUTES, Timed, ask
from benchmarks.servers import served
from function_calling.agent.events import read_event

TIMEOUT_SECONDS = 300


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line, and the queries that it chooses, as `cases`."""
    parser = argparse.ArgumentParser(description="Judge the assistant's answers.")
    parser.add_argument("--url", help="where a server listens; default: one of its own")
    route = parser.add_mutually_exclusive_group()
    route.add_argument("--chat", action="store_true", help="ask /chat in place of /exchange")
    route.add_argument("--both", action="store_true", help="ask /exchange, and then /chat")
    parser.add_argument(
        "--queries", type=Path, default=QUESTIONS, help="a file of queries, as JSONL"
    )
    parser.add_argument("--kind", help="only these kinds of queries, separated by commas")
    parser.add_argument("--limit", type=positive, help="at most this many queries")
    parser.add_argument("--concurrency", type=positive, default=1, help="queries at the same time")
    parser.add_argument(
        "--again", type=Path, help="ask nothing, and judge the replies of this file"
    )
    parser.add_argument(
        "--out", type=Path, help="write each reply and verdict to this file, as JSONL"
    )
    for name, enough in ENOUGH.items():
        told = f"percent of {name} to be right, {enough} by default"
        parser.add_argument(
            f"--min-{name}", type=float, default=enough, metavar="PERCENT", help=told
        )
    wanted = parser.parse_args(arguments)
    wanted.enough = {name: getattr(wanted, f"min_{name}") for name in ENOUGH}
    wanted.routes = list(ROUTES) if wanted.both else ["/chat" if wanted.chat else "/exchange"]
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


def judged(case: Case, route: str, events: list[Timed]) -> Outcome:
    """The events with their verdict."""
    return Outcome(case, route, events, judge(case, [event for _, event in events]))


def ask_all(client: httpx2.Client, wanted: argparse.Namespace) -> list[list[Outcome]]:
    """Ask all cases, show the progress, and return each route's outcomes in the cases' order."""

    def ask_routes(case: Case) -> list[Outcome]:
        return [judged(case, route, ask(client, route, case.query)) for route in wanted.routes]

    asked = {}
    with wanted.out.open("w", encoding="utf-8") if wanted.out else nullcontext() as out:
        comes_in = at_once(ask_routes, wanted.cases, wanted.concurrency)
        for done, outcomes in enumerate(comes_in, start=1):
            name = outcomes[0].case.id
            asked[name] = outcomes
            told = "   ".join(map(in_short, outcomes))
            print(f"{done:>3}/{len(wanted.cases)}  {name:<20} {told}", flush=True)
            if out:
                out.write("".join(as_json(outcome) + "\n" for outcome in outcomes))
                out.flush()
    return [[asked[case.id][at] for case in wanted.cases] for at in range(len(wanted.routes))]


def in_short(outcome: Outcome) -> str:
    """How long it took and what the judge says."""
    word = "right" if outcome.verdict.right else "not right"
    if outcome.verdict.invented:
        word = "INVENTED NUMBER"
    return f"{outcome.seconds:6.2f} s  {word}"


def as_json(outcome: Outcome) -> str:
    """One line of the --out file; the events are as they came, with their seconds."""
    record = {
        "id": outcome.case.id,
        "route": outcome.route,
        "query": outcome.case.query,
        "expected": outcome.case.expected,
        "answer": outcome.answer,
        "seconds": round(outcome.seconds, 3),
        "right": outcome.verdict.right,
        "problems": outcome.verdict.problems,
        "not_asked": outcome.verdict.not_asked,
        "invented": outcome.verdict.invented,
        "events": [{"at": round(at, 3), **event.model_dump()} for at, event in outcome.events],
    }
    return json.dumps(record, ensure_ascii=False)


def judged_again(wanted: argparse.Namespace) -> list[list[Outcome]]:
    """Each route's outcomes in the cases' order, from a file that `--out` wrote."""
    replies = {}
    for record in records(wanted.again):
        replies[record["route"], record["id"]] = [
            (event.pop("at"), read_event(json.dumps(event))) for event in record["events"]
        ]
    return [
        [
            judged(case, route, replies[route, case.id])
            for case in wanted.cases
            if (route, case.id) in replies
        ]
        for route in wanted.routes
    ]


def good_enough(outcomes: list[Outcome], enough: dict[str, float]) -> bool:
    """Whether all percentages are reached and no number was invented."""
    shares = percentages(outcomes)
    reached = all(share >= enough[name] for name, share in shares.items())
    return reached and count_invented(outcomes) == 0


def main(arguments: list[str], transport: httpx2.BaseTransport | None = None) -> int:
    """Ask, judge, report; the exit status."""
    wanted = options(arguments)
    if wanted.again:
        runs = judged_again(wanted)
    else:
        with ExitStack() as stack:
            url = wanted.url or stack.enter_context(served(TOOLS=TOOLS)).assistant
            client = httpx2.Client(base_url=url, timeout=TIMEOUT_SECONDS, transport=transport)
            try:
                runs = ask_all(stack.enter_context(client), wanted)
            except httpx2.ConnectError as error:
                print(f"No server answers at {url} ({error}).", file=sys.stderr)
                return 2
    for route, outcomes in zip(wanted.routes, runs, strict=True):
        print("", f"POST {route}", *summary(outcomes), *failures(outcomes), sep="\n")
    if len(runs) == 2:
        print(*differences(*runs), sep="\n")
    return 0 if all(good_enough(outcomes, wanted.enough) for outcomes in runs) else 1


if __name__ == "__main__":
    run(main)
