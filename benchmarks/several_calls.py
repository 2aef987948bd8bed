"""Ask a running `/v1` for requests that need several calls, one call, or none.

    python benchmarks/several_calls.py --url http://127.0.0.1:3001

Without `--url` a server runs for it alone. Each request is asked whole and streamed; it is right if
the calls are the expected ones, in any order, and no more. Exits with 0 if enough of them are
(`ENOUGH`), every call obeys its tool's schema, and the streamed reply is the whole one.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import httpx2
from jsonschema import Draft202012Validator

# Run as a script, Python looks for modules in this folder instead of the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.run_eval import HOST, free_port
from function_calling.cli.serve import serving
from function_calling.line_reader import LineReader

ENOUGH = 12
"""Of the twenty requests for several calls, in each mode."""

Calls = list[tuple[str, dict[str, Any]]]


def tool(name: str, description: str, **properties: Any) -> dict[str, Any]:
    """A tool of which every parameter is required."""
    typed = {
        key: {"type": it} if isinstance(it, str) else {"type": "string", "enum": it}
        for key, it in properties.items()
    }
    parameters = {"type": "object", "properties": typed, "required": list(typed)}
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


TOOLS = {
    each["function"]["name"]: each
    for each in (
        tool("get_weather", "The weather in a city now.", city="string"),
        tool("get_time", "The local time in a city.", city="string"),
        tool("book_table", "Book a table in a restaurant.", restaurant="string", people="integer"),
        tool("send_message", "Send a text message to a person.", to="string", text="string"),
        tool("add_item", "Put something on the shopping list.", item="string", quantity="integer"),
        tool("set_timer", "Start a kitchen timer.", minutes="integer"),
        tool("play_song", "Play a song.", title="string"),
        tool("set_light", "Switch the light in a room.", room="string", state=["on", "off"]),
        tool("stock_price", "The price of a share, by its ticker symbol.", symbol="string"),
        tool("translate", "Translate a text.", text="string", language="string"),
        tool("circle_area", "The area of a circle.", radius="number"),
        tool("population", "How many people live in a country.", country="string"),
        tool(
            "convert_currency",
            "Convert an amount of money. Currencies are ISO 4217 codes.",
            from_currency="string",
            to_currency="string",
            amount="number",
        ),
        tool("reply_without_tool", "Answer in words, where no other tool fits.", text="string"),
    )
}


@dataclass(frozen=True)
class Case:
    """A request, the tools offered with it, and the calls that it needs."""

    text: str
    tools: tuple[str, ...]
    calls: tuple[tuple[Any, ...], ...]

    def expected(self) -> Calls:
        """The calls, with the names of their arguments."""
        return [
            (name, dict(zip(properties_of(name), values, strict=True)))
            for name, *values in self.calls
        ]


def properties_of(name: str) -> list[str]:
    """The names of a tool's parameters."""
    return list(TOOLS[name]["function"]["parameters"]["properties"])


def of(text: str, tools: str, *calls: tuple[Any, ...]) -> Case:
    """A case."""
    return Case(text, tuple(tools.split()), calls)


ASK = "get_weather get_time population stock_price circle_area"
HOME = "set_light play_song set_timer add_item"
PEOPLE = "book_table send_message translate"
EXCHANGE = "convert_currency reply_without_tool"
SEVERAL = (
    of(
        "What is the weather in Oslo and in Rome?",
        ASK,
        *[("get_weather", each) for each in ("Oslo", "Rome")],
    ),
    of(
        "Compare the weather in Lima, Quito, Bogota and Caracas.",
        ASK,
        *[("get_weather", each) for each in ("Lima", "Quito", "Bogota", "Caracas")],
    ),
    of(
        "What time is it in Tokyo, and what is the weather there?",
        ASK,
        ("get_time", "Tokyo"),
        ("get_weather", "Tokyo"),
    ),
    of(
        "Book a table for 4 at Luigi's and one for 2 at Chez Marie.",
        PEOPLE,
        ("book_table", "Luigi's", 4),
        ("book_table", "Chez Marie", 2),
    ),
    of(
        'Text "I am late" to Anna, and "Start without me" to Ben.',
        PEOPLE,
        ("send_message", "Anna", "I am late"),
        ("send_message", "Ben", "Start without me"),
    ),
    of(
        "Put 6 eggs, 2 lemons and 1 melon on my shopping list.",
        HOME,
        ("add_item", "eggs", 6),
        ("add_item", "lemons", 2),
        ("add_item", "melon", 1),
    ),
    of(
        "Set timers for 5, 10 and 15 minutes.",
        HOME,
        *[("set_timer", each) for each in (5, 10, 15)],
    ),
    of(
        "Set a timer for 12 minutes and play Yesterday.",
        HOME,
        ("set_timer", 12),
        ("play_song", "Yesterday"),
    ),
    of(
        "Turn the light on in the kitchen and off in the bedroom.",
        HOME,
        ("set_light", "kitchen", "on"),
        ("set_light", "bedroom", "off"),
    ),
    of(
        "What do shares of AAPL, MSFT and NVDA cost?",
        ASK,
        *[("stock_price", each) for each in ("AAPL", "MSFT", "NVDA")],
    ),
    of(
        'Translate "good morning" to French, to Spanish and to German.',
        PEOPLE,
        *[("translate", "good morning", each) for each in ("French", "Spanish", "German")],
    ),
    of(
        "How big is a circle with a radius of 3, and one with a radius of 7.5?",
        ASK,
        ("circle_area", 3),
        ("circle_area", 7.5),
    ),
    of(
        "Do more people live in Norway or in Denmark?",
        ASK,
        ("population", "Norway"),
        ("population", "Denmark"),
    ),
    of(
        "Give me the populations of Chile, Peru and Bolivia and the weather in Cusco.",
        ASK,
        *[("population", each) for each in ("Chile", "Peru", "Bolivia")],
        ("get_weather", "Cusco"),
    ),
    of(
        "Convert 5 dollars to euros, 10 pounds to yen and 20 francs to dollars",
        EXCHANGE,
        ("convert_currency", "USD", "EUR", 5),
        ("convert_currency", "GBP", "JPY", 10),
        ("convert_currency", "CHF", "USD", 20),
    ),
    of(
        "What are 100 US dollars in euros and in Swiss francs?",
        EXCHANGE,
        ("convert_currency", "USD", "EUR", 100),
        ("convert_currency", "USD", "CHF", 100),
    ),
    of(
        "Turn off the lights in the hall and the office, then play Imagine.",
        HOME,
        ("set_light", "hall", "off"),
        ("set_light", "office", "off"),
        ("play_song", "Imagine"),
    ),
    of(
        "Add 3 onions to my list and start a 20 minute timer.",
        HOME,
        ("add_item", "onions", 3),
        ("set_timer", 20),
    ),
    of(
        "What does TSLA trade at, and how many people live in Iceland?",
        ASK,
        ("stock_price", "TSLA"),
        ("population", "Iceland"),
    ),
    of(
        "I call my colleagues in Paris, Delhi and Sydney now. What time do they have?",
        ASK,
        *[("get_time", each) for each in ("Paris", "Delhi", "Sydney")],
    ),
)
ONE = (
    of("How is the weather in Madrid?", ASK, ("get_weather", "Madrid")),
    of("What time is it in Seoul?", ASK, ("get_time", "Seoul")),
    of("Book a table for 3 at Nobu.", PEOPLE, ("book_table", "Nobu", 3)),
    of("Put 12 eggs on my shopping list.", HOME, ("add_item", "eggs", 12)),
    of("Set a timer for 8 minutes.", HOME, ("set_timer", 8)),
    of("Turn on the light in the garage.", HOME, ("set_light", "garage", "on")),
    of("What does a share of IBM cost?", ASK, ("stock_price", "IBM")),
    of(
        "How do you say bread in Italian?",
        PEOPLE,
        ("translate", "bread", "Italian"),
    ),
    of("How many people live in Kenya?", ASK, ("population", "Kenya")),
    of(
        "I want to exchange 42 US dollars to Canadian dollars",
        EXCHANGE,
        ("convert_currency", "USD", "CAD", 42),
    ),
)
NO_CALL = (
    of("Write a two-line poem about autumn.", ASK),
    of("Thank you, that is all.", PEOPLE),
    of("What is the capital of Italy?", HOME),
    of("Explain in one sentence what a prime number is.", ASK),
    of("Hello! Who are you?", HOME),
    of("Which is heavier, a kilo of feathers or a kilo of lead?", PEOPLE),
)


@dataclass
class Verdict:
    """What came of a case."""

    case: Case
    calls: Calls
    problems: list[str]

    @property
    def right(self) -> bool:
        """Whether the calls are the expected ones."""
        return same(self.calls) == same(self.case.expected())


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
    """The `/v1` that is asked."""

    def __init__(self, url: str, form: str | None, *, once: bool) -> None:
        self._http = httpx2.Client(base_url=url, timeout=600)
        self._form = {"tool_format": form} if form else {}
        self._once = once

    def verdict(self, case: Case, choice: str) -> Verdict:
        """Ask, and judge."""
        body = {
            "model": "default",
            "messages": [{"role": "user", "content": case.text}],
            "tools": [TOOLS[name] for name in case.tools],
            "tool_choice": choice,
            "temperature": 0,
            "max_tokens": 600,
            **self._form,
        }
        whole = self._whole(body)
        verdict = Verdict(case, whole[1], list(invalid(whole[1])))
        if self._once:
            return verdict
        # What is read anew rounds otherwise than what is in the cache, so it may be asked again.
        streamed = self._streamed(body)
        if streamed != whole and streamed != self._whole(body):
            verdict.problems.append(f"streamed {streamed}")
        if len(case.calls) > 1:
            alone = self._whole(body | {"parallel_tool_calls": False})[1]
            if len(alone) > 1 or (not alone and choice == "required"):
                verdict.problems.append(f"{len(alone)} calls with parallel_tool_calls false")
        return verdict

    def _whole(self, body: dict[str, Any]) -> tuple[str, Calls]:
        response = self._http.post("/v1/chat/completions", json=body).raise_for_status()
        message = response.json()["choices"][0]["message"]
        return message["content"] or "", calls_of(message.get("tool_calls") or [])

    def _streamed(self, body: dict[str, Any]) -> tuple[str, Calls]:
        content, calls = "", list[dict[str, Any]]()
        with self._http.stream("POST", "/v1/chat/completions", json=body | {"stream": True}) as it:
            lines = LineReader()
            for line in (line for part in it.iter_bytes() for line in lines.feed(part)):
                data = line.removeprefix("data: ")
                if not line or data == "[DONE]":
                    continue
                delta = json.loads(data)["choices"][0]["delta"]
                content += delta.get("content") or ""
                for call in delta.get("tool_calls") or []:
                    add(calls, call)
        return content, calls_of(calls)


def add(calls: list[dict[str, Any]], delta: dict[str, Any]) -> None:
    """Put a piece of a streamed call where it belongs."""
    if delta["index"] == len(calls):
        calls.append({"function": {"name": "", "arguments": ""}})
    function = delta["function"]
    calls[delta["index"]]["function"]["name"] += function.get("name") or ""
    calls[delta["index"]]["function"]["arguments"] += function.get("arguments") or ""


def calls_of(calls: list[dict[str, Any]]) -> Calls:
    """Names and arguments."""
    functions = [call["function"] for call in calls]
    return [(each["name"], json.loads(each["arguments"])) for each in functions]


def invalid(calls: Calls) -> Iterator[str]:
    """The calls that their tools would refuse."""
    for name, arguments in calls:
        for error in Draft202012Validator(TOOLS[name]["function"]["parameters"]).iter_errors(
            arguments
        ):
            yield f"{name}: {error.message}"


def run(model: Model, kinds: list[str], choices: list[str]) -> int:
    """Ask and report; the exit status."""
    failed, table = False, []
    for kind, cases, choice, enough in RUNS:
        if kind not in kinds or choice not in choices:
            continue
        verdicts = [told(model.verdict(case, choice), kind, choice) for case in cases]
        right = sum(each.right for each in verdicts)
        problems = sum(bool(each.problems) for each in verdicts)
        failed = failed or problems > 0 or right < enough
        table.append(f"{kind:<8} {choice:<8} {right:>5}/{len(cases):<3} {problems:>8}")
    print("", f"{'calls':<8} {'choice':<8} {'right':>9} {'problems':>8}", *table, sep="\n")
    return int(failed)


def told(verdict: Verdict, kind: str, choice: str) -> Verdict:
    """Print the verdict."""
    word = "right" if verdict.right else "WRONG"
    print(f"{kind:<8} {choice:<8} {word}  {verdict.case.text}", *verdict.problems, sep=" | ")
    if not verdict.right:
        print("    ", json.dumps(verdict.calls, ensure_ascii=False))
    sys.stdout.flush()
    return verdict


RUNS = (
    ("several", SEVERAL, "required", ENOUGH),
    ("several", SEVERAL, "auto", ENOUGH),
    ("one", ONE, "required", 0),
    ("one", ONE, "auto", 0),
    ("none", NO_CALL, "auto", 0),
)


def main(arguments: list[str]) -> int:
    """Serve if need be, ask and judge; the exit status."""
    parser = argparse.ArgumentParser(description="Judge requests that need several calls.")
    parser.add_argument("--url", help="where the model's /v1 listens")
    parser.add_argument("--kind", default="several,one,none", help="only these, by commas")
    parser.add_argument("--choice", default="required,auto", help="only these, by commas")
    parser.add_argument("--format", help="the tool format, where it isn't to be the model's own")
    parser.add_argument("--once", action="store_true", help="ask each request whole, and no more")
    wanted = parser.parse_args(arguments)

    def judged(url: str) -> int:
        model = Model(url, wanted.format, once=wanted.once)
        return run(model, wanted.kind.split(","), wanted.choice.split(","))

    if wanted.url:
        return judged(wanted.url)
    with (
        TemporaryFile() as log,
        serving(HOST, free_port(), os.environ, log=log.fileno()) as (doors, processes),
    ):
        if not processes.wait_ready(doors):
            log.seek(0)
            print(log.read().decode(errors="replace"), file=sys.stderr)
            return 2
        return judged(doors.v1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
