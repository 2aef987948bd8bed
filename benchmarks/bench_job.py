"""`POST /exchange` beside the plain loop of two model calls, on the same `/v1`.

That loop is the one of BentoML's published example of function calling: one reply with the tools,
the calls made, one reply without them. It knows no forced call, no check and no second try. Both
sides are greedy and convert at the evaluation's rates.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import httpx2
from openai import OpenAI

from benchmarks.bench_turns import Line, compared, in_turns
from benchmarks.command_line import tool
from benchmarks.exchange_cases import CENT, Case, load_cases
from benchmarks.exchange_judge import judge
from benchmarks.exchange_rates import TOOLS, pair_rate
from benchmarks.exchange_routes import ask
from benchmarks.servers import served
from function_calling.agent.events import DoneEvent, TextEvent, Timings, Usage

MOST = 12
"""Questions."""
PROMPT = (
    "You are a helpful assistant with functions that it can call. Their results are added to this "
    "conversation; answer from them alone."
)
CURRENCY = {"type": "string", "description": "ISO 4217 code, such as USD"}
CONVERT = tool(
    "convert_currency",
    "Convert from one currency to another; tells the `converted_amount`.",
    from_currency=CURRENCY,
    to_currency=CURRENCY,
    amount={"type": "number", "description": "The amount to be converted"},
)
CONVERT["function"]["parameters"]["required"] = []


TIMINGS = Timings(first_text=None, model=0, tools=0, total=0)
DONE = DoneEvent(usage=Usage(), rounds=2, tool_calls=1, timings=TIMINGS, grounding="none")


class Asked(NamedTuple):
    """How long an answer took, and whether it is right."""

    seconds: float
    right: bool


def lines() -> Iterator[Line]:
    """The time of what both answer rightly, and how much each does."""
    cases = [each for each in load_cases() if each.kind == "plain"][: MOST + 1]
    with served(TOOLS=TOOLS) as doors:
        assistant = httpx2.Client(base_url=doors.assistant, timeout=300)
        model = OpenAI(base_url=f"{doors.v1}/v1", api_key="none", timeout=300, max_retries=0)
        sides: dict[str, Callable[[int], Asked]] = {
            "ours": lambda number: _exchanged(assistant, cases[number]),
            "two-call loop": lambda number: _looped(model, cases[number]),
        }
        for warmed in sides.values():
            warmed(len(cases) - 1)
        given = in_turns(sides, len(cases) - 1)
    ours, loop = given.values()
    both = [each.right and other.right for each, other in zip(ours, loop, strict=True)]
    right = {
        side: [each.seconds for each, fits in zip(asked, both, strict=True) if fits]
        for side, asked in given.items()
    }
    if any(both):
        yield compared("a question that both answer rightly, p50", "s", right)
    counts = {side: [float(each.right) for each in asked] for side, asked in given.items()}
    yield compared("questions answered rightly", "", counts, told=sum)


def _exchanged(client: httpx2.Client, case: Case) -> Asked:
    events = ask(client, "/exchange", case.query)
    return Asked(events[-1][0], judge(case, [event for _, event in events]).right)


def _looped(client: OpenAI, case: Case) -> Asked:
    begun = perf_counter()
    answer = ""
    with suppress(ValueError, TypeError, ArithmeticError):
        answer = _two_calls(client, case.query)
    return Asked(perf_counter() - begun, judge(case, [TextEvent(text=answer), DONE]).right)


def _two_calls(client: OpenAI, query: str) -> str:
    """The answer; whatever a call's arguments lack or have too much is an error."""
    messages: list[Any] = [
        {"role": "system", "content": PROMPT},
        {"role": "user", "content": query},
    ]
    reply = partial(client.chat.completions.create, model="any", temperature=0, max_tokens=512)
    message: Any = reply(messages=messages, tools=[CONVERT], tool_choice="auto").choices[0].message
    if not message.tool_calls:
        return message.content or ""
    messages.append(message)
    for call in message.tool_calls:
        told = _converted(**json.loads(call.function.arguments))
        messages.append({"role": "user", "name": call.function.name, "content": told})
    return reply(messages=messages).choices[0].message.content or ""


def _converted(from_currency: str, to_currency: str, amount: float) -> str:
    value = (Decimal(str(amount)) * pair_rate(from_currency, to_currency)).quantize(CENT)
    told = {"from_currency": from_currency, "to_currency": to_currency}
    return json.dumps({**told, "converted_amount": float(value)})
