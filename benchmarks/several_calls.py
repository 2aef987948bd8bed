"""Ask a running `/v1` for requests that need several calls, one call, or none.

    python -m benchmarks.several_calls --url http://127.0.0.1:3001

Without `--url` a server runs for it alone. Each request of `several_calls.jsonl` is asked whole and
streamed; it is right if the calls are the expected ones, in any order, and no more. Exits with 0 if
enough of them are (`ENOUGH`), every call obeys its tool's schema, and the streamed reply is the
whole one.
"""

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator
from openai import OpenAI

from benchmarks.command_line import records, run, tool
from benchmarks.servers import served

RUNS = (
    ("several", "required"),
    ("several", "auto"),
    ("one", "required"),
    ("one", "auto"),
    ("none", "auto"),
)
ENOUGH = {"several": 12, "one": 0, "none": 0}
"""Of the requests of a kind, in each mode."""

Calls: TypeAlias = list[tuple[str, dict[str, Any]]]


TOOLS = {
    "ask": [
        tool("get_weather", "The weather in a city now.", city="string"),
        tool("get_time", "The local time in a city.", city="string"),
        tool("population", "How many people live in a country.", country="string"),
        tool("stock_price", "The price of a share, by its ticker symbol.", symbol="string"),
        tool("circle_area", "The area of a circle.", radius="number"),
    ],
    "home": [
        tool("set_light", "Switch the light in a room.", room="string", state=["on", "off"]),
        tool("play_song", "Play a song.", title="string"),
        tool("set_timer", "Start a kitchen timer.", minutes="integer"),
        tool("add_item", "Put something on the shopping list.", item="string", quantity="integer"),
    ],
    "people": [
        tool("book_table", "Book a table in a restaurant.", restaurant="string", people="integer"),
        tool("send_message", "Send a text message to a person.", to="string", text="string"),
        tool("translate", "Translate a text.", text="string", language="string"),
    ],
    "exchange": [
        tool(
            "convert_currency",
            "Convert an amount of money. Currencies are ISO 4217 codes.",
            from_currency="string",
            to_currency="string",
            amount="number",
        ),
        tool("reply_without_tool", "Answer in words, where no other tool fits.", text="string"),
    ],
}
"""What is offered together."""
PARAMETERS: dict[str, dict[str, Any]] = {
    each["function"]["name"]: each["function"]["parameters"]
    for offered in TOOLS.values()
    for each in offered
}


@dataclass(frozen=True)
class Case:
    """A request, the tools offered with it, and the calls that it needs, with bare values."""

    kind: str
    tools: str
    text: str
    calls: list[list[Any]]

    def expected(self) -> Calls:
        """The calls, with the names of their arguments."""
        return [
            (name, dict(zip(PARAMETERS[name]["properties"], values, strict=True)))
            for name, *values in self.calls
        ]


def load_cases() -> list[Case]:
    """All requests."""
    return [Case(**record) for record in records(Path(__file__).with_suffix(".jsonl"))]


def same(calls: Calls) -> list[str]:
    """What makes calls the same: any order, and texts in any case, without a full stop."""
    return sorted(
        json.dumps([name, {key: plain(value) for key, value in values.items()}], sort_keys=True)
        for name, values in calls
    )


def plain(value: Any) -> Any:
    """A text without what makes no difference; a number as it is."""
    if isinstance(value, str):
        return value.casefold().strip(" .!\"'").removesuffix("s")
    return float(value)


class Model:
    """The `/v1` that is asked; `once` asks each request whole, and no more."""

    def __init__(self, url: str, form: str | None, *, once: bool) -> None:
        client = OpenAI(base_url=f"{url}/v1", api_key="none", timeout=600, max_retries=0)
        self._completions = client.chat.completions
        self._form = {"tool_format": form} if form else {}
        self._once = once

    def reply(self, case: Case, choice: str) -> tuple[Calls, list[str]]:
        """The calls, and what is wrong with the reply whatever was asked."""
        body = {
            "model": "default",
            "messages": [{"role": "user", "content": case.text}],
            "tools": TOOLS[case.tools],
            "tool_choice": choice,
            "temperature": 0,
            "max_tokens": 600,
            "extra_body": self._form,
        }
        whole = self._whole(body)
        problems = [
            f"{name}: {error.message}"
            for name, arguments in whole[1]
            for error in Draft202012Validator(PARAMETERS[name]).iter_errors(arguments)
        ]
        if self._once:
            return whole[1], problems
        # What is read anew rounds otherwise than what is in the cache, so it may be asked again.
        streamed = self._streamed(body)
        if streamed != whole and streamed != self._whole(body):
            problems.append(f"streamed {streamed}")
        if len(case.calls) > 1:
            alone = self._whole(body | {"parallel_tool_calls": False})[1]
            if len(alone) > 1 or (not alone and choice == "required"):
                problems.append(f"{len(alone)} calls with parallel_tool_calls false")
        return whole[1], problems

    def _whole(self, body: dict[str, Any]) -> tuple[str, Calls]:
        return content_and_calls(self._completions.create(**body))

    def _streamed(self, body: dict[str, Any]) -> tuple[str, Calls]:
        with self._completions.stream(**body) as events:
            for _ in events:
                pass
            return content_and_calls(events.current_completion_snapshot)


def content_and_calls(completion: Any) -> tuple[str, Calls]:
    """A reply's text, and the names and arguments of its calls."""
    message = completion.choices[0].message
    functions = [call.function for call in message.tool_calls or []]
    return message.content or "", [(it.name, json.loads(it.arguments)) for it in functions]


def judged(model: Model, kinds: list[str], choices: list[str]) -> int:
    """Ask and report; the exit status."""
    failed, table = False, []
    for kind, choice in RUNS:
        if kind not in kinds or choice not in choices:
            continue
        right = wrong = 0
        cases = [case for case in load_cases() if case.kind == kind]
        for case in cases:
            calls, problems = model.reply(case, choice)
            is_right = same(calls) == same(case.expected())
            word = "right" if is_right else "WRONG"
            print(f"{kind:<8} {choice:<8} {word}  {case.text}", *problems, sep=" | ")
            if not is_right:
                print("    ", json.dumps(calls, ensure_ascii=False))
            sys.stdout.flush()
            right += is_right
            wrong += bool(problems)
        failed = failed or wrong > 0 or right < ENOUGH[kind]
        table.append(f"{kind:<8} {choice:<8} {right:>5}/{len(cases):<3} {wrong:>8}")
    print("", f"{'calls':<8} {'choice':<8} {'right':>9} {'problems':>8}", *table, sep="\n")
    return int(failed)


def main(arguments: list[str]) -> int:
    """Serve if need be, ask and judge; the exit status."""
    parser = argparse.ArgumentParser(description="Judge requests that need several calls.")
    parser.add_argument("--url", help="where the model's /v1 listens")
    parser.add_argument("--kind", default="several,one,none", help="only these, by commas")
    parser.add_argument("--choice", default="required,auto", help="only these, by commas")
    parser.add_argument("--format", help="the tool format, where it isn't to be the model's own")
    parser.add_argument("--once", action="store_true", help="ask each request whole, and no more")
    wanted = parser.parse_args(arguments)

    with ExitStack() as stack:
        url = wanted.url or stack.enter_context(served()).v1
        model = Model(url, wanted.format, once=wanted.once)
        return judged(model, wanted.kind.split(","), wanted.choice.split(","))


if __name__ == "__main__":
    run(main)
