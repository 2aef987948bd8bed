"""The Berkeley Function Calling Leaderboard's single-turn questions, asked of any `/v1`.

    make bfcl ARGS="--half work --size 10"
    make bfcl ARGS="--url http://127.0.0.1:3001/v1 --url http://127.0.0.1:8080/v1"
    make bfcl ARGS="--questions benchmarks/several_calls.jsonl --choice required"

Questions, right answers and the judge of values are those of the package `bfcl-eval`
(https://gorilla.cs.berkeley.edu/leaderboard.html); tools are spelled as it spells them for OpenAI's
API. The sample is the same each time: its halves and its order follow from the questions' ids. The
half `work` is for making the code better, the half `test` for saying how good it is. A file of
`--questions` has the same form, with the right calls of each question as its `ground_truth`.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from importlib import resources
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator
from openai import APIError, OpenAI

from benchmarks.command_line import aligned, at_once, positive, records, run
from benchmarks.servers import served

KINDS = (
    *("simple_python", "multiple", "parallel", "parallel_multiple", "irrelevance"),
    *("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple"),
    *("live_irrelevance", "live_relevance"),
)
OUTCOMES = ("right", "wrong name", "wrong value", "wrong count", "no call", "invalid", "error")
"""`invalid`: arguments that break their tool's schema; `error`: the server refused or failed."""
HALVES = ("work", "test")
MOST_TOKENS = 512

Call: TypeAlias = tuple[str, Any]
"""A tool's name and its arguments; None where these are no JSON object."""
Judge: TypeAlias = Callable[["Case", Sequence[Call]], bool]


@dataclass(frozen=True, slots=True)
class Case:
    """One question.

    Attributes:
        kind: BFCL's category.
        functions: What it offers, as BFCL spells it.
        answer: The calls that are right, each with the values that are for each argument; None
            where any call is right, or none.
    """

    id: str
    kind: str
    messages: Sequence[Mapping[str, str]]
    functions: Sequence[Mapping[str, Any]]
    answer: Sequence[Mapping[str, Any]] | None

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The functions as OpenAI's `tools`."""
        return [
            {
                "type": "function",
                "function": {
                    "name": plain_name(each["name"]),
                    "description": each["description"],
                    "parameters": json_schema(each["parameters"]),
                },
            }
            for each in self.functions
        ]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case."""

    id: str
    kind: str
    outcome: str
    calls: Sequence[Call]
    told: str
    seconds: float
    tokens: int


def plain_name(name: str) -> str:
    """A name without dots, which OpenAI's API does not take."""
    return name.replace(".", "_")


def json_schema(told: Any) -> Any:
    """BFCL's types in JSON Schema's words, at any depth."""
    from bfcl_eval.constants.type_mappings import GORILLA_TO_OPENAPI

    if not isinstance(told, Mapping):
        return told
    schema = {key: json_schema(value) for key, value in told.items()}
    if isinstance(properties := told.get("properties"), Mapping):
        schema["properties"] = {
            name: {"type": "string"} | json_schema(each) for name, each in properties.items()
        }
    if isinstance(told.get("type"), str):
        schema["type"] = GORILLA_TO_OPENAPI.get(told["type"], "string")
    return schema


def sampled(kind: str, half: str, size: int) -> list[Case]:
    """So many cases of a kind, always the same ones, or all where it has fewer."""
    data = resources.files("bfcl_eval") / "data"
    answers: dict[str, Any] = {}
    if not kind.endswith("relevance"):
        with resources.as_file(data / "possible_answer" / f"BFCL_v4_{kind}.json") as path:
            answers = {each["id"]: each["ground_truth"] for each in records(path)}
    with resources.as_file(data / f"BFCL_v4_{kind}.json") as path:
        cases = [
            read_case(each | {"ground_truth": answers.get(each["id"])}) for each in records(path)
        ]
    of_half = [each for each in cases if digest(each.id)[0] % 2 == HALVES.index(half)]
    return sorted(of_half, key=lambda each: digest(each.id))[:size]


def read_case(told: Mapping[str, Any]) -> Case:
    """A question as BFCL spells it, with its answer; the id says of which kind it is."""
    kind, _, _ = told["id"].rpartition("_")
    return Case(told["id"], kind, told["question"][0], told["function"], told.get("ground_truth"))


def digest(identity: str) -> bytes:
    """What decides over a question's half and place."""
    return sha256(identity.encode()).digest()


def bfcl_judge() -> Judge:
    """BFCL's own checker of calls, without the clients of all vendors that it loads."""
    config = SimpleNamespace(underscore_to_dot=True)
    models = SimpleNamespace(MODEL_CONFIG_MAPPING={"any": config})
    sys.modules["bfcl_eval.constants.model_config"] = models  # type: ignore[assignment]
    from bfcl_eval.constants.enums import Language
    from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker

    def judge(case: Case, calls: Sequence[Call]) -> bool:
        made = [{name: arguments} for name, arguments in calls]
        functions = list(case.functions)
        told = ast_checker(functions, made, case.answer, Language.PYTHON, case.kind, "any")
        return bool(told["valid"])

    return judge


def outcome_of(case: Case, calls: Sequence[Call], judge: Judge) -> str:
    """How the calls stand to those that are right."""
    parameters = {each["function"]["name"]: each["function"]["parameters"] for each in case.tools}
    for name, arguments in calls:
        if name not in parameters or not Draft202012Validator(parameters[name]).is_valid(arguments):
            return "invalid"
    if case.answer is None:
        if case.kind.endswith("irrelevance"):
            return "wrong count" if calls else "right"
        return "right" if calls else "no call"
    if not calls:
        return "no call"
    if len(calls) != len(case.answer):
        return "wrong count"
    wanted = Counter(plain_name(name) for each in case.answer for name in each)
    if Counter(name for name, _ in calls) != wanted:
        return "wrong name"
    return "right" if judge(case, calls) else "wrong value"


def ask(client: OpenAI, model: str, choice: str, judge: Judge, case: Case) -> Outcome:
    """Ask one question and judge the reply."""
    begun = perf_counter()
    told, calls, outcome, tokens = "", list[Call](), "error", 0
    try:
        fields: Any = {"messages": case.messages, "tools": case.tools, "tool_choice": choice}
        reply = client.chat.completions.create(
            model=model, temperature=0, max_tokens=MOST_TOKENS, **fields
        )
        message = reply.choices[0].message
        told = message.content or ""
        for call in message.tool_calls or ():
            assert call.type == "function"
            arguments = None
            with suppress(ValueError):
                arguments = json.loads(call.function.arguments)
            calls.append((call.function.name, arguments))
        tokens = reply.usage.completion_tokens if reply.usage else 0
        outcome = outcome_of(case, calls, judge)
    except APIError as error:
        told = str(error)
    seconds = perf_counter() - begun
    return Outcome(case.id, case.kind, outcome, calls, told, seconds, tokens)


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A line for each kind, and one for all."""
    rows = [["", "cases", *OUTCOMES, "s/case", "tokens"]]
    for kind in (*KINDS, "all"):
        if told := [each for each in outcomes if kind in (each.kind, "all")]:
            counted = Counter(each.outcome for each in told)
            seconds = sum(each.seconds for each in told) / len(told)
            tokens = sum(each.tokens for each in told) / len(told)
            counts = [str(each) for each in (len(told), *(counted[each] for each in OUTCOMES))]
            rows.append([kind, *counts, f"{seconds:.1f}", f"{tokens:.0f}"])
    return aligned(rows)


def evaluate(url: str, cases: Sequence[Case], options: argparse.Namespace) -> None:
    """Ask one server all questions, and print its table."""
    judge = bfcl_judge()
    with OpenAI(base_url=url, api_key=options.key, timeout=600, max_retries=0) as client:
        model = options.model or client.models.list().data[0].id
        asked = partial(ask, client, model, options.choice, judge)
        outcomes = list(at_once(asked, cases, options.concurrency))
    asked_of = options.questions or f"the half {options.half}"
    print(f"{url}: {model}, {asked_of}", *table(outcomes), sep="\n", flush=True)
    if options.out:
        with options.out.open("a", encoding="utf-8") as file:
            for each in sorted(outcomes, key=lambda each: each.id):
                print(json.dumps({"server": url} | asdict(each), ensure_ascii=False), file=file)


def main(arguments: list[str]) -> None:
    """Ask every server in turn."""
    parser = argparse.ArgumentParser(description="Ask BFCL's questions of any /v1.")
    parser.add_argument(
        "--url", action="append", default=[], help="a server's /v1; may be told again"
    )
    parser.add_argument("--key", default="none", help="the servers' key")
    parser.add_argument("--model", help="its name there; default: the first that is listed")
    parser.add_argument("--half", choices=HALVES, default="work")
    parser.add_argument("--size", type=positive, default=10, help="cases of each kind at most")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--questions", type=Path, help="a file of them, in place of the sample")
    parser.add_argument("--choice", choices=("auto", "required"), default="auto")
    parser.add_argument("--concurrency", type=positive, default=3)
    parser.add_argument("--out", type=Path, help="a file that gets a line of JSON for each case")
    options = parser.parse_args(arguments)
    if options.questions:
        cases = [read_case(each) for each in records(options.questions)]
    else:
        kinds = options.kinds.split(",")
        cases = [case for kind in kinds for case in sampled(kind, options.half, options.size)]
    for url in options.url:
        evaluate(url, cases, options)
    if not options.url:
        with served() as doors:
            evaluate(f"{doors.v1}/v1", cases, options)


if __name__ == "__main__":
    run(main)
