"""Ask a running server every query of `exchange_queries.jsonl` and judge its answers.

    python benchmarks/eval_exchange.py --url http://127.0.0.1:3000 --kind plain,words

Exits with 0 if enough answers are right and none states a wrong number, with 1 if not, and with
2 if the queries could not be asked.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import httpx2

# Run as a script, Python looks for modules in this folder instead of the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.exchange_cases import Case, load_cases
from benchmarks.exchange_judge import judge
from benchmarks.exchange_report import (
    COUNTED,
    Outcome,
    count_wrong_numbers,
    failures,
    percentages,
    summary,
)

TIMEOUT_SECONDS = 300
TOLD = (*COUNTED.values(), "X-Grounding")


def positive(text: str) -> int:
    """A whole number from one."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def options(arguments: list[str], known: list[str]) -> argparse.Namespace:
    """Read the command line; `known` are the kinds of queries there are."""
    parser = argparse.ArgumentParser(description="Judge the answers of a running /exchange.")
    parser.add_argument("--url", default="http://127.0.0.1:3000", help="where the server listens")
    parser.add_argument("--kind", help="only these kinds of queries, separated by commas")
    parser.add_argument("--limit", type=positive, help="at most this many queries")
    parser.add_argument("--concurrency", type=positive, default=1, help="queries at the same time")
    parser.add_argument("--out", type=Path, help="write each answer and verdict to this JSONL file")
    parser.add_argument("--min-conversions", type=float, default=97, help="percent to be right")
    parser.add_argument("--min-others", type=float, default=90, help="percent to be right")
    wanted = parser.parse_args(arguments)
    wanted.kinds = wanted.kind.split(",") if wanted.kind else known
    unknown = set(wanted.kinds) - set(known)
    if unknown:
        parser.error(f"no query is of kind {', '.join(unknown)}; kinds are {', '.join(known)}")
    return wanted


def ask(client: httpx2.Client, case: Case) -> Outcome:
    """Post one query; a server that breaks off counts as one that answers wrongly."""
    start = time.perf_counter()
    try:
        response = client.post("/exchange", json={"query": case.query})
    except httpx2.ConnectError:
        raise
    except httpx2.TransportError as error:
        status, answer, headers = 0, f"({type(error).__name__}: {error})", {}
    else:
        status, answer = response.status_code, response.text
        headers = {name: response.headers[name] for name in TOLD if name in response.headers}
    seconds = time.perf_counter() - start
    return Outcome(case, status, answer, seconds, headers, judge(case, status, answer))


def ask_all(client: httpx2.Client, cases: list[Case], concurrency: int) -> Iterator[Outcome]:
    """Outcomes as they come in."""
    pool = ThreadPoolExecutor(concurrency)
    try:
        for outcome in as_completed([pool.submit(ask, client, case) for case in cases]):
            yield outcome.result()
    finally:
        pool.shutdown(cancel_futures=True)


def run(client: httpx2.Client, cases: list[Case], concurrency: int) -> list[Outcome]:
    """Ask all cases, show the progress, and return the outcomes in the cases' order."""
    outcomes = {}
    for done, outcome in enumerate(ask_all(client, cases, concurrency), start=1):
        name, verdict = outcome.case.id, outcome.verdict
        outcomes[name] = outcome
        word = "right" if verdict.right else "not right"
        if verdict.wrong_numbers:
            word = "WRONG NUMBER"
        print(f"{done:>3}/{len(cases)}  {name:<20} {outcome.seconds:6.2f} s  {word}", flush=True)
    return [outcomes[case.id] for case in cases]


def as_json(outcome: Outcome) -> str:
    """One line of the --out file."""
    record = {
        "id": outcome.case.id,
        "query": outcome.case.query,
        "expected": outcome.case.expected,
        "status": outcome.status,
        "answer": outcome.answer,
        "seconds": round(outcome.seconds, 3),
        "right": outcome.verdict.right,
        "problems": outcome.verdict.problems,
        "wrong_numbers": outcome.verdict.wrong_numbers,
        "headers": outcome.headers,
    }
    return json.dumps(record, ensure_ascii=False)


def good_enough(outcomes: list[Outcome], min_conversions: float, min_others: float) -> bool:
    """Whether both percentages are reached and no wrong number was stated."""
    conversions, others = percentages(outcomes)
    return (
        count_wrong_numbers(outcomes) == 0
        and (conversions is None or conversions >= min_conversions)
        and (others is None or others >= min_others)
    )


def main(arguments: list[str], transport: httpx2.BaseTransport | None = None) -> int:
    """Ask, judge, report; the exit status."""
    cases = load_cases()
    wanted = options(arguments, list(dict.fromkeys(case.kind for case in cases)))
    cases = [case for case in cases if case.kind in wanted.kinds][: wanted.limit]
    client = httpx2.Client(base_url=wanted.url, timeout=TIMEOUT_SECONDS, transport=transport)
    try:
        with client:
            outcomes = run(client, cases, wanted.concurrency)
    except httpx2.ConnectError as error:
        print(f"No server answers at {wanted.url} ({error}).", file=sys.stderr)
        return 2
    if wanted.out:
        lines = "".join(as_json(outcome) + "\n" for outcome in outcomes)
        wanted.out.write_text(lines, encoding="utf-8")
    print("", *summary(outcomes), *failures(outcomes), sep="\n")
    return 0 if good_enough(outcomes, wanted.min_conversions, wanted.min_others) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
