"""Ask a running `/v1` for requests that need several calls, one call, or none.

    python -m benchmarks.several_calls --url http://127.0.0.1:3001

Without `--url` a server runs for it alone. Each request of `several_calls.jsonl` is asked whole and
streamed; it is right if the calls are the expected ones, in any order, and no more. Exits with 0 if
enough of those that need several are right (`ENOUGH`), every call obeys its tool's schema, and the
streamed reply is the whole one.
"""

import argparse
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator
from openai import OpenAI

from benchmarks.command_line import aligned, records, run, tool
from benchmarks.servers import served

RUNS = (
    ("several", "required"),
    ("several", "auto"),
    ("one", "required"),
    ("one", "auto"),
    ("none", "auto"),
)
ENOUGH = 12
"""Of the requests that need several calls, in each mode."""

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


def asked(client: OpenAI, case: Case, choice: str) -> tuple[Calls, list[str]]:
    """The calls of a reply, and what is wrong with it whatever was asked."""
    body: dict[str, Any] = {
        "model": "default",
        "messages": [{"role": "user", "content": case.text}],
        "tools": TOOLS[case.tools],
        "tool_choice": choice,
        "temperature": 0,
        "max_tokens": 600,
    }
    completions = client.chat.completions

    def whole(**fields: Any) -> tuple[str, Calls]:
        return content_and_calls(completions.create(**body, **fields))

    reply = whole()
    problems = [
        f"{name}: {error.message}"
        for name, arguments in reply[1]
        for error in Draft202012Validator(PARAMETERS[name]).iter_errors(arguments)
    ]
    with completions.stream(**body) as events:
        streamed = content_and_calls(events.get_final_completion())
    # What is read anew rounds otherwise than what is in the cache, so it may be asked again.
    if streamed != reply and streamed != whole():
        problems.append(f"streamed {streamed}")
    if len(case.calls) > 1:
        alone = whole(parallel_tool_calls=False)[1]
        if len(alone) > 1 or (not alone and choice == "required"):
            problems.append(f"{len(alone)} calls with parallel_tool_calls false")
    return reply[1], problems


def content_and_calls(completion: Any) -> tuple[str, Calls]:
    """A reply's text, and the names and arguments of its calls."""
    message = completion.choices[0].message
    functions = [call.function for call in message.tool_calls or []]
    return message.content or "", [(it.name, json.loads(it.arguments)) for it in functions]


def main(arguments: list[str]) -> int:
    """Serve if need be, ask and judge; the exit status."""
    parser = argparse.ArgumentParser(description="Judge requests that need several calls.")
    parser.add_argument("--url", help="where the model's /v1 listens")
    wanted = parser.parse_args(arguments)
    failed, rows = False, [["calls", "choice", "right", "problems"]]
    cases = [Case(**record) for record in records(Path(__file__).with_suffix(".jsonl"))]
    with ExitStack() as stack:
        url = wanted.url or stack.enter_context(served()).v1
        client = OpenAI(base_url=f"{url}/v1", api_key="none", timeout=600, max_retries=0)
        for kind, choice in RUNS:
            of_kind = [case for case in cases if case.kind == kind]
            right = wrong = 0
            for case in of_kind:
                calls, problems = asked(client, case, choice)
                is_right = same(calls) == same(case.expected())
                word = "right" if is_right else f"WRONG {json.dumps(calls, ensure_ascii=False)}"
                print(
                    f"{kind:<8} {choice:<8} {word}  {case.text}", *problems, sep=" | ", flush=True
                )
                right += is_right
                wrong += bool(problems)
            failed = failed or wrong > 0 or (kind == "several" and right < ENOUGH)
            rows.append([kind, choice, f"{right}/{len(of_kind)}", str(wrong)])
    print("", *aligned(rows), sep="\n")
    return int(failed)


if __name__ == "__main__":
    run(main)
