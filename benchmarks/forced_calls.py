"""Force calls of random tools from a running `/v1`, and hold each against its tool's schema.

    python benchmarks/forced_calls.py --url http://127.0.0.1:3001 --formats hermes,react_en

A reply is valid if it is one call of a tool that may be called, with arguments that the tool's
schema allows as it was sent. Exits with 0 if all are valid, with 1 if one is not, and with 2 if
they could not be asked for.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import httpx2
from jsonschema import Draft202012Validator

# Run as a script, Python looks for modules in this folder instead of the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.eval_exchange import positive
from benchmarks.random_schemas import MOST_ARGUMENTS, offers
from function_calling.formats import FORMATS

TIMEOUT_SECONDS = 600
# No token is shorter than a byte, and what stands around the arguments is shorter than they.
MOST_TOKENS = 2 * MOST_ARGUMENTS


@dataclass(frozen=True, slots=True)
class Request:
    """One forced call that is asked for.

    Attributes:
        name: What the report calls it: the format and the number of the offer.
        form: The format.
        body: The request as it is sent.
    """

    name: str
    form: str
    body: dict[str, Any]

    @property
    def schemas(self) -> dict[str, Any]:
        """The schema of each tool that may be called, by the tool's name."""
        told = [tool["function"] for tool in self.body["tools"]]
        schemas = {function["name"]: function["parameters"] for function in told}
        choice = self.body["tool_choice"]
        names = schemas if choice == "required" else [choice["function"]["name"]]
        return {name: schemas[name] for name in names}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came; `problem` says why it is not valid, and is empty if it is."""

    request: Request
    reply: Any
    seconds: float
    problem: str

    @property
    def tokens(self) -> int:
        """Tokens of the reply."""
        usage = self.reply.get("usage") if isinstance(self.reply, dict) else None
        return int(usage["completion_tokens"]) if usage else 0


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Judge forced tool calls of a running /v1.")
    parser.add_argument("--url", default="http://127.0.0.1:3001", help="where the model listens")
    parser.add_argument("--formats", help="only these formats, separated by commas")
    parser.add_argument("--calls", type=positive, default=200, help="calls in each format")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other tools")
    parser.add_argument("--concurrency", type=positive, default=4, help="calls at the same time")
    parser.add_argument("--out", type=Path, help="write each call and verdict to this JSONL file")
    wanted = parser.parse_args(arguments)
    wanted.formats = wanted.formats.split(",") if wanted.formats else list(FORMATS)
    unknown = set(wanted.formats) - set(FORMATS)
    if unknown:
        parser.error(f"no format is called {', '.join(unknown)}; formats are {', '.join(FORMATS)}")
    return wanted


def requests(forms: list[str], calls: int, seed: int) -> list[Request]:
    """The same tools for each format; "required" and a named tool take turns."""
    drawn = offers(calls, seed)
    return [
        Request(f"{form}-{number}", form, _body(form, tools, number, seed))
        for form in forms
        for number, tools in enumerate(drawn, start=1)
    ]


def _body(form: str, tools: list[dict[str, Any]], number: int, seed: int) -> dict[str, Any]:
    named = {"type": "function", "function": {"name": tools[-1]["function"]["name"]}}
    return {
        "messages": [{"role": "user", "content": "Call a tool."}],
        "tools": tools,
        "tool_choice": "required" if number % 2 else named,
        "parallel_tool_calls": False,
        "tool_format": form,
        "temperature": 1.5,
        "seed": seed + number,
        "max_tokens": MOST_TOKENS,
    }


def judge(request: Request, status: int, reply: Any) -> str:
    """Why the reply is not valid; "" if it is."""
    if status != httpx2.codes.OK:
        return f"status {status}"
    choice = reply["choices"][0]
    calls = choice["message"].get("tool_calls") or []
    if choice["finish_reason"] != "tool_calls" or len(calls) != 1:
        return f"{len(calls)} calls, finish_reason {choice['finish_reason']}"
    function = calls[0]["function"]
    if function["name"] not in request.schemas:
        return f"calls {function['name']!r}"
    try:
        arguments = json.loads(function["arguments"], parse_constant=_no_json)
    except ValueError as error:
        return f"the arguments are no JSON: {error}"
    validator = Draft202012Validator(request.schemas[function["name"]])
    return "; ".join(error.message for error in validator.iter_errors(arguments))


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def ask(client: httpx2.Client, request: Request) -> Outcome:
    """Post one request; a server that breaks off counts as one that answers wrongly."""
    start = time.perf_counter()
    try:
        response = client.post("/v1/chat/completions", json=request.body)
        reply = response.json()
        problem = judge(request, response.status_code, reply)
    except httpx2.ConnectError:
        raise
    except (httpx2.TransportError, ValueError) as error:
        reply, problem = None, f"{type(error).__name__}: {error}"
    return Outcome(request, reply, time.perf_counter() - start, problem)


def run(client: httpx2.Client, wanted: list[Request], concurrency: int) -> list[Outcome]:
    """Ask for all calls, so many at a time, and show the progress."""
    outcomes = []
    pool = ThreadPoolExecutor(concurrency)
    try:
        for done in as_completed([pool.submit(ask, client, request) for request in wanted]):
            outcome = done.result()
            outcomes.append(outcome)
            word = "INVALID" if outcome.problem else "valid"
            place = f"{len(outcomes):>4}/{len(wanted)}"
            print(
                f"{place}  {outcome.request.name:<16} {outcome.seconds:6.2f} s  {word}", flush=True
            )
    finally:
        pool.shutdown(cancel_futures=True)
    return outcomes


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


def as_json(outcome: Outcome) -> str:
    """One line of the --out file."""
    record = {
        "name": outcome.request.name,
        "problem": outcome.problem,
        "seconds": round(outcome.seconds, 3),
        "request": outcome.request.body,
        "reply": outcome.reply,
    }
    return json.dumps(record, ensure_ascii=False)


def main(arguments: list[str], transport: httpx2.BaseTransport | None = None) -> int:
    """Draw, ask, judge, report; the exit status."""
    wanted = options(arguments)
    asked = requests(wanted.formats, wanted.calls, wanted.seed)
    client = httpx2.Client(base_url=wanted.url, timeout=TIMEOUT_SECONDS, transport=transport)
    try:
        with client:
            outcomes = run(client, asked, wanted.concurrency)
    except httpx2.ConnectError as error:
        print(f"No server answers at {wanted.url} ({error}).", file=sys.stderr)
        return 2
    if wanted.out:
        lines = "".join(as_json(outcome) + "\n" for outcome in outcomes)
        wanted.out.write_text(lines, encoding="utf-8")
    invalid = [outcome for outcome in outcomes if outcome.problem]
    print("", *table(outcomes), *map(listed, invalid), sep="\n")
    return 1 if invalid else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
