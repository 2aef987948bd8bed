"""A model that is right is never made worse: what it calls is carried out and told, and no more.

`right_model.jsonl` has a question a line, with what a model that understands it does: `calls`, the
replies that call, each call as `USD EUR 50`, `= 500 / 2` for a calculation, or `-` for none (`@0`
is the first conversion's result, `#0` the first calculation's); `answer`, its last words, where
`{0}` and so on stand for the results of conversions and then of calculations, or `bad` last words,
or none. `before` is what was said before the question.
"""

import json
import re
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from scripted_server import ScriptedServer, Turn, calls, says
from served import Served, chat
from starlette.testclient import TestClient

from benchmarks.exchange_rates import PairRates, pair_rate
from function_calling.agent.events import DoneEvent
from function_calling.agent.grounding import Ground
from function_calling.agent.numbers import numbers, said
from function_calling.exchange import arithmetic
from function_calling.exchange.rates import Rate
from function_calling.toolbox.schema import Said
from tools import currency_tools

CASES = [
    json.loads(line)
    for line in Path(__file__).with_name("right_model.jsonl").read_text().splitlines()
]


class RecordedRates(PairRates):
    """Rates that differ for each pair, and remember which were asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def rate(self, source: str, target: str) -> Rate:
        """The pair's own rate."""
        self.asked.append((source, target))
        return super().rate(source, target)


class RightModel(ScriptedServer):
    """Makes its calls whatever it is told, those that were refused once more, and then answers.

    Attributes:
        converted: The conversions that it wants, and their results.
        calculated: The results of its calculations.
        used: Results of conversions that it goes on with.
        words: What it says in the end.
    """

    def __init__(self, case: dict[str, Any]) -> None:
        super().__init__()
        self.converted: dict[tuple[str, str, Decimal], Decimal] = {}
        self.calculated: list[Decimal] = []
        self.used: set[Decimal] = set()
        self._replies = [[self._call(call) for call in reply] for reply in case["calls"]]
        words = case.get("answer") or case.get("bad", "")
        self.words = words.format(*self.converted.values(), *self.calculated)
        self._made: list[tuple[str, dict[str, Any]]] = []

    def _call(self, text: str) -> tuple[str, dict[str, Any]]:
        known = {"@": list(self.converted.values()), "#": self.calculated}
        self.used |= {known["@"][int(at)] for at in re.findall(r"@(\d)", text)}
        text = re.sub(r"([@#])(\d)", lambda found: str(known[found[1]][int(found[2])]), text)
        if text == "-":
            return "reply_without_tool", {}
        if text.startswith("= "):
            self.calculated.append(arithmetic.calculate(text[2:]))
            return "calculate", {"expression": text[2:]}
        source, target, amount = text.split()
        pair = source.upper(), target.upper()
        exact = Decimal(amount) * pair_rate(*pair)
        self.converted[*pair, Decimal(amount)] = exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
        return "convert_currency", {
            "from_currency": source,
            "to_currency": target,
            "amount": int(amount) if amount.isdecimal() else float(amount),
        }

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Play what comes next for what the model has read."""
        body = json.loads(await request.aread())
        self._turns.append(self._next(body["messages"], body["tool_choice"]))
        return await super().handle_async_request(request)

    def _next(self, messages: list[dict[str, Any]], choice: str) -> Turn:
        results = [each["content"] for each in messages if each["role"] == "tool"]
        last = results[len(results) - len(self._made) :]
        refused = [
            call
            for call, result in zip(self._made, last, strict=True)
            if "was not called" in result
        ]
        self._made = refused or (self._replies.pop(0) if self._replies else [])
        if choice == "none" or not self._made:
            return says(self.words)
        return calls(*self._made, ids=f"call_{len(messages)}_")


def ask(http: TestClient, case: dict[str, Any]) -> str:
    """The answer: of `/exchange`, or of `/chat` where something was said before."""
    if "before" not in case:
        response = http.post("/exchange", json={"query": case["query"]})
        assert response.status_code == 200, response.text
        return response.text
    messages = [
        {"role": ("user", "assistant")[at % 2], "content": text}
        for at, text in enumerate([*case["before"], case["query"]])
    ]
    text, events = chat(http, messages)
    assert isinstance(events[-1], DoneEvent)
    return text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["query"][:40])
def test_what_a_right_model_calls_is_done_and_told(
    app: Served, monkeypatch: pytest.MonkeyPatch, case: dict[str, Any]
) -> None:
    """Exactly its conversions are carried out, and each that it does not go on with is told."""
    model, recorded = RightModel(case), RecordedRates()
    tool_sets = {"currency": lambda settings: currency_tools(settings, recorded)}
    text = ask(app.use(monkeypatch, model.client(), tool_sets), case)
    wanted = Counter((source, target) for source, target, _ in model.converted)
    assert Counter(recorded.asked) == wanted
    if "answer" in case:
        assert text.startswith(model.words)
    results = set(model.converted.values())
    amounts = {amount for _, _, amount in model.converted}
    written = "\n".join([*case.get("before", [])[::2], case["query"]])
    assert results - model.used <= frozenset().union(*(each.values for each in numbers(text)))
    known = results | amounts | {*model.calculated} | said(written) | {Decimal(1)}
    ours = text.removeprefix(model.words) if "answer" in case else text
    assert all(number.values & known for number in numbers(ours))
    ground = Ground(
        [{"role": "user", "content": "\n".join([*case.get("before", []), case["query"]])}]
    )
    computed = (each.quantize(Decimal("0.01"), ROUND_HALF_UP) for each in model.calculated)
    for amount in amounts - results - {*model.calculated, *computed}:
        if ground.lacks({"amount": (Said(), amount)}):
            assert f"I took {amount:f} as the amount." in text
