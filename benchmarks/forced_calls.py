"""Force calls of random tools from a running `/v1`, and hold each against its tool's schema.

    python -m benchmarks.forced_calls --url http://127.0.0.1:3001 --formats hermes,react_en

A reply is valid if it is one call of a tool that may be called, with arguments that the tool's
schema allows as it was sent. Exits with 0 if all are valid, with 1 if one is not, and with 2 if
they could not be asked for.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from time import perf_counter
from typing import Any

import httpx2
from jsonschema import Draft202012Validator
from pydantic_core import from_json

from benchmarks.command_line import aligned, at_once, positive, run
from benchmarks.random_schemas import MOST_ARGUMENTS, offers
from function_calling.formats import FORMATS

TIMEOUT_SECONDS = 600
# No token is shorter than a byte, and what stands around the arguments is shorter than they.
MOST_TOKENS = 2 * MOST_ARGUMENTS
TEMPERATURE = 1.5
TOOLS = 4
"""Tools of an offer: the engine reads a prompt once for the calls of all of them."""


@dataclass(frozen=True, slots=True)
class Request:
    """One forced call that is asked for.

    Attributes:
        name: What the report calls it: the format and the number of the call.
        tools: The functions that are offered.
        called: The name of the one to call; None for any.
    """

    name: str
    form: str
    tools: list[dict[str, Any]]
    called: str | None
    seed: int

    @property
    def schemas(self) -> dict[str, Any]:
        """The schema of each tool that may be called, by the tool's name."""
        schemas = {each["name"]: each["parameters"] for each in self.tools}
        return {self.called: schemas[self.called]} if self.called else schemas

    def body(self, *, responses: bool) -> dict[str, Any]:
        """As `/v1/chat/completions` or `/v1/responses` takes it."""

        def spelled(function: dict[str, Any]) -> dict[str, Any]:
            return {"type": "function", **(function if responses else {"function": function})}

        messages, most = "messages", "max_tokens"
        if responses:
            messages, most = "input", "max_output_tokens"
        return {
            messages: [{"role": "user", "content": "Call a tool."}],
            "tools": [spelled(each) for each in self.tools],
            "tool_choice": spelled({"name": self.called}) if self.called else "required",
            "parallel_tool_calls": False,
            "tool_format": self.form,
            "temperature": TEMPERATURE,
            "seed": self.seed,
            most: MOST_TOKENS,
        }


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
        return int(usage.get("completion_tokens") or usage["output_tokens"]) if usage else 0


def requests(forms: list[str], calls: int, seed: int) -> list[Request]:
    """The same tools for each format.

    Of an offer's calls the first is free to choose a tool, and each other names one in turn.
    """
    drawn = offers(-(-calls // TOOLS), TOOLS, seed)
    asked = []
    for form in forms:
        for call in range(calls):
            offer, place = divmod(call, TOOLS)
            tools = [tool["function"] for tool in drawn[offer]]
            called = tools[place]["name"] if place else None
            asked.append(Request(f"{form}-{call + 1}", form, tools, called, seed + call))
    return asked


def ask(client: httpx2.Client, request: Request, *, responses: bool) -> Outcome:
    """Post one request; a server that breaks off counts as one that answers wrongly."""
    begun = perf_counter()
    reply = None
    try:
        path = "/v1/responses" if responses else "/v1/chat/completions"
        response = client.post(path, json=request.body(responses=responses))
        reply = response.json()
        problem = judge(request, response.status_code, reply)
    except httpx2.ConnectError:
        raise
    except (httpx2.TransportError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
    return Outcome(request, reply, perf_counter() - begun, problem)


def judge(request: Request, status: int, reply: Any) -> str:
    """Why the reply is not valid; "" if it is.

    Raises:
        ValueError: The arguments are no JSON.
    """
    if status != httpx2.codes.OK:
        return f"status {status}"
    if "output" in reply:
        calls = [each for each in reply["output"] if each["type"] == "function_call"]
        reason = reply["status"]
    else:
        (choice,) = reply["choices"]
        calls = [call["function"] for call in choice["message"].get("tool_calls") or []]
        reason = choice["finish_reason"]
    if reason not in ("tool_calls", "completed") or len(calls) != 1:
        return f"{len(calls)} calls, finish_reason {reason}"
    (function,) = calls
    if function["name"] not in request.schemas:
        return f"calls {function['name']!r}"
    arguments = from_json(function["arguments"], allow_inf_nan=False)
    validator = Draft202012Validator(request.schemas[function["name"]])
    return "; ".join(error.message for error in validator.iter_errors(arguments))


def table(outcomes: list[Outcome]) -> Iterator[str]:
    """A line for each format; tokens and seconds are those of a call, on average."""
    rows = [["format", "calls", "valid", "tokens", "seconds"]]
    for form in dict.fromkeys(each.request.form for each in outcomes):
        told = [each for each in outcomes if each.request.form == form]
        tokens = sum(each.tokens for each in told) / len(told)
        seconds = sum(each.seconds for each in told) / len(told)
        valid = sum(not each.problem for each in told)
        rows.append([form, str(len(told)), str(valid), f"{tokens:.1f}", f"{seconds:.2f}"])
    return aligned(rows)


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Judge forced tool calls of a running /v1.")
    parser.add_argument("--url", default="http://127.0.0.1:3001", help="where the model listens")
    parser.add_argument("--formats", help="only these formats, separated by commas")
    parser.add_argument("--calls", type=positive, default=200, help="calls in each format")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other tools")
    parser.add_argument("--concurrency", type=positive, default=4, help="calls at the same time")
    parser.add_argument("--responses", action="store_true", help="ask /v1/responses, not chat")
    wanted = parser.parse_args(arguments)
    wanted.formats = wanted.formats.split(",") if wanted.formats else list(FORMATS)
    if unknown := set(wanted.formats) - set(FORMATS):
        parser.error(f"no format is called {', '.join(unknown)}; formats are {', '.join(FORMATS)}")
    return wanted


def main(arguments: list[str], transport: httpx2.BaseTransport | None = None) -> int:
    """Draw, ask, judge, report; the exit status."""
    wanted = options(arguments)
    asked = requests(wanted.formats, wanted.calls, wanted.seed)
    outcomes: list[Outcome] = []

    def ask_all(offer: list[Request]) -> list[Outcome]:
        return [ask(client, request, responses=wanted.responses) for request in offer]

    try:
        with httpx2.Client(
            base_url=wanted.url, timeout=TIMEOUT_SECONDS, transport=transport
        ) as client:
            grouped = groupby(asked, lambda request: (request.form, request.tools))
            offered = [list(offer) for _, offer in grouped]
            for outcome in chain.from_iterable(at_once(ask_all, offered, wanted.concurrency)):
                outcomes.append(outcome)
                word = "INVALID" if outcome.problem else "valid"
                told = f"{outcome.request.name:<16} {outcome.seconds:6.2f} s  {word}"
                print(f"{len(outcomes):>4}/{len(asked)}  {told}", flush=True)
    except httpx2.ConnectError as error:
        print(f"No server answers at {wanted.url} ({error}).", file=sys.stderr)
        return 2
    print("", *table(outcomes), sep="\n")
    invalid = [outcome for outcome in outcomes if outcome.problem]
    for each in invalid:
        told = json.dumps(
            {"schemas": each.request.schemas, "reply": each.reply}, ensure_ascii=False
        )
        print("", f"{each.request.name}: {each.problem}", told, sep="\n")
    return 1 if invalid else 0


if __name__ == "__main__":
    run(main)
