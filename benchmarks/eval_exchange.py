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
from contextlib import ExitStack, nullcontext
from pathlib import Path

import httpx2

from benchmarks.command_line import at_once, positive, run
from benchmarks.exchange_cases import QUESTIONS, Case, load_cases
from benchmarks.exchange_judge import judge
from benchmarks.exchange_rates import TOOLS
from benchmarks.exchange_report import Outcome, failures, good_enough, summary
from benchmarks.exchange_routes import ask
from benchmarks.servers import served

TIMEOUT_SECONDS = 300


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line, and the queries that it chooses, as `cases`."""
    parser = argparse.ArgumentParser(description="Judge the assistant's answers.")
    parser.add_argument("--url", help="where a server listens; default: one of its own")
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
        "problems": outcome.verdict.problems,
        "not_asked": outcome.verdict.not_asked,
        "invented": outcome.verdict.invented,
        "events": [{"at": round(at, 3), **event.model_dump()} for at, event in outcome.events],
    }
    return json.dumps(record, ensure_ascii=False)


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
