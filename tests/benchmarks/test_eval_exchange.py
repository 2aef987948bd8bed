"""The evaluation of a running assistant: its rates, its judge, its questions and its report."""

import json
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import httpx2
import pytest

from benchmarks.eval_exchange import main
from benchmarks.exchange_cases import Case, Conversion, load_cases
from benchmarks.exchange_judge import Verdict, judge
from benchmarks.exchange_rates import PairRates, pair_rate, tools
from benchmarks.exchange_routes import ask
from function_calling.agent.events import (
    ChatEvent,
    DoneEvent,
    ErrorEvent,
    ErrorObject,
    TextEvent,
    Timings,
    ToolResultEvent,
    Usage,
)

CASES = load_cases()
DOLLARS = Case("a", "plain", "42 USD to CAD", (Conversion("USD", "CAD", Decimal(42)),))
"""774.65, at 18.4440."""
MISSING = Case("b", "missing", "How much is 100 euros?", mentions=(r"\?|amount",))
DONE = DoneEvent(
    usage=Usage(prompt_tokens=900, completion_tokens=40, total_tokens=940),
    rounds=2,
    tool_calls=1,
    timings=Timings(first_text=1.0, model=1.5, tools=0.5, total=2.0),
    grounding="ok",
)
AT = ("--url", "http://assistant")
BROKEN = ErrorEvent(error=ErrorObject(message="The model is away.", type="server_error"))


def texts(*parts: str) -> list[ChatEvent]:
    """Parts of an answer."""
    return [TextEvent(text=part) for part in parts]


def judged(answer: str, case: Case = DOLLARS) -> Verdict:
    """The verdict of an answer of which nothing else is known."""
    return judge(case, [*texts(answer), DONE])


def test_each_pair_has_a_rate_of_its_own() -> None:
    """Exact, always the same, and another in the other direction; the tools convert at them."""
    codes = {code for case in CASES for each in case.conversions for code in each.pair}
    rates = [pair_rate(*pair) for pair in permutations(codes, 2)]
    assert len(set(rates)) > 0.98 * len(rates)
    assert all(Decimal("0.2") <= rate <= 30 and rate == round(rate, 4) for rate in rates)
    assert pair_rate("USD", "CAD") == Decimal("18.4440")
    assert PairRates().rate("USD", "USD").value == 1
    (convert,) = (each for each in tools.functions if each.__name__ == "convert_currency")
    assert convert("USD", "CAD", Decimal(42))["converted_amount"] == "774.65"


SECOND = Conversion("EUR", "USD", Decimal(2))
SEVERAL = Case("c", "several", "42 USD to CAD, 2 EUR to USD", (*DOLLARS.conversions, SECOND))
LARGE = Case("d", "plain", "250 USD to EUR", (Conversion("USD", "EUR", Decimal(250)),))
ROOM = Case("e", "missing", "room 214, 250 euros, 3.5.2026")
RIGHT = "42 USD are 774.65 CAD."
OTHERS = [
    Conversion("CAD", "USD", Decimal(42)),
    Conversion("USD", "AUD", Decimal(42)),
    Conversion("USD", "CAD", Decimal(24)),
]
ASSUMED = Conversion("EUR", "USD", Decimal(100))


@pytest.mark.parametrize(
    ("case", "answer", "wrong"),
    [
        (DOLLARS, "42,00 $ = **774,65** CAD", ""),
        (DOLLARS, "1. At a rate of 18.4440 (ISO 4217 codes), 42 USD are CAD774.650", ""),
        (DOLLARS, "٤٢ دولارًا تساوي ٧٧٤٫٦٥", ""),
        (DOLLARS, "42美元等于７７４．６５加元。", ""),
        (LARGE, "6 779,65", ""),
        (LARGE, "6’779.65", ""),
        (ROOM, "room 214 250 euros on 3.5.2026", ""),  # digits that are two numbers, and three
        (MISSING, "Which currency should the 100 euros become?", ""),
        (DOLLARS, "42 USD are 77,465 CAD", "problems, invented"),
        (DOLLARS, f"{RIGHT[:-1]} at 18.4.", "invented"),
        *((DOLLARS, f"{RIGHT[:-1]}, and {other}.", "not_asked") for other in OTHERS),
        (DOLLARS, f"{OTHERS[0]}", "problems, not_asked"),
        (DOLLARS, "", "problems"),
        (DOLLARS, f'<tool_call>{{"name": "convert_currency"}}</tool_call> {RIGHT}', "problems"),
        (SEVERAL, RIGHT, "problems"),
        (ROOM, "room 214 251 euros on 3.5.2026", "invented"),
        (MISSING, f"I took dollars: {ASSUMED}. Right?", "not_asked"),
        (MISSING, "No.", "problems"),
    ],
)
def test_an_answer_is_judged_by_its_numbers(case: Case, answer: str, wrong: str) -> None:
    """In any script and grouping; a conversion not asked for is told from an invented number."""
    verdict = judged(answer, case)
    told = ("problems", "not_asked", "invented")
    assert ", ".join(name for name in told if getattr(verdict, name)) == wrong
    assert verdict.right == (not wrong)


def test_what_tools_returned_counts_beside_what_is_told() -> None:
    """What a call converted, unless it failed; what was calculated may be told."""

    def verdict(answer: str, name: str, content: str, *, ok: bool = True) -> Verdict:
        returned = ToolResultEvent(id="call_1", name=name, ok=ok, content=content)
        return judge(DOLLARS, [returned, *texts(answer), DONE])

    content = '{"converted_amount": "57.54", "rate": "1.37"}'
    assert verdict(RIGHT, "convert_currency", content).not_asked == ("57.54", "1.37")
    assert verdict(RIGHT, "convert_currency", content, ok=False).right
    assert verdict(f"Twice 42 is 84; {RIGHT}", "calculate", "84").right
    assert not judged(f"Twice 42 is 84; {RIGHT}").right


@pytest.mark.parametrize(
    "events",
    [[*texts(RIGHT), BROKEN], [*texts(RIGHT), DONE, DONE], [DONE, *texts(RIGHT)]],
)
def test_an_answer_without_its_one_end_is_not_right(events: list[ChatEvent]) -> None:
    """But it invents no number."""
    verdict = judge(DOLLARS, events)
    assert verdict.problems
    assert not verdict.invented


def test_a_number_that_stood_there_for_a_moment_was_shown() -> None:
    """Whether the answer as a whole is right, or an error came."""
    moment = judge(DOLLARS, [*texts("42 USD are 774", ".65 CAD."), DONE])
    assert (moment.problems, moment.invented) == ((), ("774",))
    assert judge(DOLLARS, [*texts("42 USD are 57.5 CAD."), BROKEN]).invented == ("57.5",)


def stream(events: list[ChatEvent]) -> httpx2.Response:
    """The events as a chat sends them."""
    frames = "".join(f"data: {event.model_dump_json()}\n\n" for event in events)
    return httpx2.Response(200, text=frames)


def plain(answer: str) -> httpx2.Response:
    """An answer as `/exchange` sends it."""
    counts = {"x-rounds": "2", "x-tool-calls": "1", "x-grounding": "ok"}
    tokens = {"x-prompt-tokens": "900", "x-completion-tokens": "40"}
    return httpx2.Response(200, text=answer, headers=counts | tokens)


@pytest.mark.parametrize("route", ["/exchange", "/chat"])
def test_a_refusal_must_be_the_callers_error_and_give_a_reason(route: str) -> None:
    """Where one is expected, an answer is wrong; what is no reply of ours always is."""
    case = Case("e", "empty_huge", "", refused=True, mentions=("empty",))
    body = {"error": {"message": "The query is empty.", "type": "invalid_request_error"}}
    replies = [httpx2.Response(400, json=body), httpx2.Response(400, text="Bad Request")]
    replies += [httpx2.Response(500, json=body), httpx2.Response(200, text="data: {}\n\n")]
    waiting = iter(replies)
    transport = httpx2.MockTransport(lambda request: next(waiting))
    with httpx2.Client(base_url="http://assistant", transport=transport) as client:
        came = [[event for _, event in ask(client, route, "")] for _ in replies]
    assert [judge(case, events).right for events in came] == [True, False, False, False]
    end = came[-1][-1]
    assert isinstance(end, ErrorEvent)
    assert end.error.type == "no_event"
    assert not judged("Your query is empty.", case).right


def test_the_questions_are_well_formed() -> None:
    """Unique ids, ISO codes, amounts; where these are written in digits, as in the question."""
    assert len({case.id for case in CASES}) == len(CASES) == 349
    for each in (each for case in CASES for each in case.conversions):
        assert all(len(code) == 3 and code.isupper() for code in each.pair)
        assert each.amount > 0
    for case in CASES:
        if case.kind in ("plain", "symbols_codes", "distractors", "persuasion"):
            amounts = " and ".join(f"{each.amount:f}" for each in case.conversions)
            assert judged(amounts, Case(case.id, case.kind, case.query)).right, case.id


def perfect(request: httpx2.Request) -> httpx2.Response:
    """The reply of a server that does everything right."""
    body = json.loads(request.content)
    chat = request.url.path == "/chat"
    query = body["messages"][0]["content"] if chat else body["query"]
    case = next(case for case in CASES if case.query == query)
    if case.refused:
        return httpx2.Response(400, text="The query is empty or longer than 2000 characters.")
    results = ", ".join(f"{each.value:,} {each.target}" for each in case.conversions)
    answer = results or "Sorry, which amount?"
    return stream([*texts(answer), DONE]) if chat else plain(answer)


def report_of(capsys: pytest.CaptureFixture[str], answer: Any, *arguments: str) -> tuple[int, str]:
    """The exit status of an evaluation of a server that replies so, and what it tells."""
    status = main([*AT, *arguments], httpx2.MockTransport(answer))
    return status, capsys.readouterr().out


def test_a_perfect_server_passes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every expectation can be met, on both routes; what came is written down."""
    out = tmp_path / "results.jsonl"
    for route in ("--concurrency=2", "--chat"):
        status, report = report_of(capsys, perfect, "--out", str(out), route)
        assert status == 0
        assert "conversions right  100.0 %" in report
        assert "others right       100.0 %" in report
        assert "prompt tokens      310500 in all, 900.0 a query, at most 900" in report
        assert "grounding          ok 345" in report
    records = {each["id"]: each for each in map(json.loads, out.read_text().split("\n")[:-1])}
    assert records.keys() == {case.id for case in CASES}
    assert records["plain-01"]["answer"] == "774.65 CAD"
    assert [event["type"] for event in records["plain-01"]["events"]] == ["text", "done"]


def test_one_invented_number_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The failure is listed with question, expectation and answer."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        invents = json.loads(request.content)["query"] == CASES[0].query
        return plain("It is 99.9.") if invents else perfect(request)

    status, report = report_of(capsys, answer, "--kind", "plain")
    assert status == 1
    assert "INVENTED NUMBER" in report
    assert "\nplain-01: does not tell 42 USD = 774.65 CAD; invented: 99.9\n" in report


@pytest.mark.parametrize(("silent", "status"), [(1 / 5, 0), (1 / 3, 1)])
def test_enough_of_those_with_several_conversions_must_be_right(silent: float, status: int) -> None:
    """Whatever is right among all others."""
    several = [case.query for case in CASES if case.kind == "several"]

    def answer(request: httpx2.Request) -> httpx2.Response:
        lacks = json.loads(request.content)["query"] in several[: int(len(several) * silent)]
        return plain("I can't.") if lacks else perfect(request)

    assert main(list(AT), httpx2.MockTransport(answer)) == status


@pytest.mark.parametrize(
    "wrong", [["--kind", "plain,nope"], ["--limit", "0"], ["--queries", "no.jsonl"]]
)
def test_a_wrong_option_asks_nothing(wrong: list[str]) -> None:
    """A run of no queries would pass."""
    with pytest.raises(SystemExit, match="2"):
        main(wrong, httpx2.MockTransport(perfect))


def test_no_server_is_told_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody wants a traceback for a server that isn't started."""

    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("Connection refused")

    assert main([*AT, "--limit", "3"], httpx2.MockTransport(refuse)) == 2
    answer = "No server answers at http://assistant (Connection refused).\n"
    assert capsys.readouterr().err == answer
