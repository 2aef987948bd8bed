"""Force calls of random tools from a running `/v1`, and hold each against its tool's schema.

    python -m benchmarks.forced_calls --url http://127.0.0.1:3001 --formats hermes,react_en

A reply is valid if it is one call of a tool that may be called, with arguments that the tool's
schema allows as it was sent. A run that was broken off goes on where it was, with the same --out,
as long as no code changes. Exits with 0 if all are valid, with 1 if one is not, and with 2 if they
could not be asked for.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path

import httpx2

from benchmarks.command_line import at_once, positive
from benchmarks.forced_requests import (
    Outcome,
    Request,
    as_json,
    as_response,
    judge,
    known,
    requests,
)
from function_calling.formats import FORMATS

TIMEOUT_SECONDS = 600


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Judge forced tool calls of a running /v1.")
    parser.add_argument("--url", default="http://127.0.0.1:3001", help="where the model listens")
    parser.add_argument("--formats", help="only these formats, separated by commas")
    parser.add_argument("--calls", type=positive, default=200, help="calls in each format")
    parser.add_argument("--each", type=positive, default=1, help="of these, calls of each tool")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other tools")
    parser.add_argument("--concurrency", type=positive, default=4, help="calls at the same time")
    parser.add_argument("--responses", action="store_true", help="ask /v1/responses, not chat")
    parser.add_argument("--out", type=Path, help="a JSONL file of calls and verdicts to go on with")
    wanted = parser.parse_args(arguments)
    wanted.formats = wanted.formats.split(",") if wanted.formats else list(FORMATS)
    unknown = set(wanted.formats) - set(FORMATS)
    if unknown:
        parser.error(f"no format is called {', '.join(unknown)}; formats are {', '.join(FORMATS)}")
    return wanted


def ask(client: httpx2.Client, request: Request) -> Outcome:
    """Post one request; a server that breaks off counts as one that answers wrongly."""
    start = time.perf_counter()
    try:
        path = "/v1/responses" if "input" in request.body else "/v1/chat/completions"
        response = client.post(path, json=request.body)
        reply = response.json()
        problem = judge(request, response.status_code, reply)
    except httpx2.ConnectError:
        raise
    except (httpx2.TransportError, ValueError) as error:
        reply, problem = None, f"{type(error).__name__}: {error}"
    return Outcome(request, reply, time.perf_counter() - start, problem)


def table(outcomes: list[Outcome]) -> Iterator[str]:
    """A line for each format; tokens and seconds are those of a call, on average."""
    yield f"{'format':<12} {'calls':>6} {'valid':>6} {'tokens':>7} {'seconds':>8}"
    for form in dict.fromkeys(outcome.request.form for outcome in outcomes):
        of_form = [outcome for outcome in outcomes if outcome.request.form == form]
        valid = sum(not outcome.problem for outcome in of_form)
        tokens = sum(outcome.tokens for outcome in of_form) / len(of_form)
        seconds = sum(outcome.seconds for outcome in of_form) / len(of_form)
        yield f"{form:<12} {len(of_form):>6} {valid:>6} {tokens:>7.1f} {seconds:>8.2f}"


def listed(outcome: Outcome) -> str:
    """What is wrong with a reply, with all that it takes to see why."""
    told = {"schemas": outcome.request.schemas, "reply": outcome.reply}
    return f"\n{outcome.request.name}: {outcome.problem}\n{json.dumps(told, ensure_ascii=False)}"


def main(arguments: list[str], transport: httpx2.BaseTransport | None = None) -> int:
    """Draw, ask, judge, report; the exit status."""
    wanted = options(arguments)
    asked = requests(wanted.formats, wanted.calls, wanted.seed, wanted.each)
    if wanted.responses:
        asked = [as_response(request) for request in asked]
    try:
        outcomes = known(wanted.out, asked)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2

    def ask_all(offer: list[Request]) -> list[Outcome]:
        return [ask(client, request) for request in offer]

    names = {outcome.request.name for outcome in outcomes}
    left = [request for request in asked if request.name not in names]
    client = httpx2.Client(base_url=wanted.url, timeout=TIMEOUT_SECONDS, transport=transport)
    try:
        with client:
            grouped = groupby(left, lambda request: (request.form, request.body["tools"]))
            offers = [list(offer) for _, offer in grouped]
            for outcome in chain.from_iterable(at_once(ask_all, offers, wanted.concurrency)):
                outcomes.append(outcome)
                word = "INVALID" if outcome.problem else "valid"
                told = f"{outcome.request.name:<16} {outcome.seconds:6.2f} s  {word}"
                print(f"{len(outcomes):>4}/{len(asked)}  {told}", flush=True)
                if wanted.out:
                    with wanted.out.open("a", encoding="utf-8") as file:
                        file.write(as_json(outcome) + "\n")
    except httpx2.ConnectError as error:
        print(f"No server answers at {wanted.url} ({error}).", file=sys.stderr)
        return 2
    invalid = [outcome for outcome in outcomes if outcome.problem]
    print("", *table(outcomes), *map(listed, invalid), sep="\n")
    return 1 if invalid else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
