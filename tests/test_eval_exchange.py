"""The evaluation: what its judge calls right, its queries, and its report."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest
from babel.numbers import get_currency_name

from benchmarks import exchange_cases
from benchmarks.eval_exchange import main
from benchmarks.exchange_cases import Case, Conversion, load_cases, read_case
from benchmarks.exchange_judge import judge, judge_reply
from benchmarks.exchange_report import percentile
from benchmarks.exchange_routes import ask_chat
from benchmarks.number_reading import numbers
from function_calling.chat_events import (
    ChatEvent,
    ChatUsage,
    DoneEvent,
    ErrorEvent,
    ErrorObject,
    TextEvent,
    Timings,
    ToolCallEvent,
    ToolResultEvent,
)

CASES = load_cases()
MORE = load_cases(Path(exchange_cases.__file__).with_name("more_queries.jsonl"))
KINDS = {
    *("plain", "symbols_codes", "words", "languages", "several", "corrections", "distractors"),
    *("persuasion", "not_money", "missing", "unknown_currency", "empty_huge"),
}
DOLLARS = Case("a", "plain", "42 USD to CAD", (Conversion("USD", "CAD", Decimal(42)),))
MISSING = Case("b", "missing", "How much is 100 euros?")


@pytest.mark.parametrize(
    "answer",
    [
        "The converted amount of 42 US dollars to Canadian dollars is 131.95.",
        "42,00 $ = **131,95** CAD",
        "At a rate of 3.14159 (ISO 4217 codes), 42 USD are CAD131.950",
        "42美元等于131.95加元。",
    ],
)
def test_an_answer_that_states_the_result_is_right(answer: str) -> None:
    """Number formats and languages may vary."""
    assert judge(DOLLARS, 200, answer).right


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("It is 57.54 CAD.", ("57.54",)),
        ("42 USD is 131.95 CAD, or 120.10 EUR.", ("120.10",)),
        ("42 USD is 131.95 CAD at 3.14.", ("3.14",)),
        ("42 USD is 13,195 CAD.", ("13,195",)),
        ("42 thousand USD is 131.95 CAD.", ("42 thousand",)),
    ],
)
def test_a_number_from_nowhere_is_a_wrong_number(answer: str, wrong: tuple[str, ...]) -> None:
    """Even beside the right result."""
    assert judge(DOLLARS, 200, answer).wrong_numbers == wrong


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, "I can only convert currencies."),
        (200, ""),
        (500, "42 USD is 131.95 CAD."),
        (0, "(ReadError: [Errno 104] Connection reset by peer)"),
        (200, '<tool_call>{"name": "convert_currency"}</tool_call> 131.95'),
    ],
)
def test_an_answer_without_the_result_is_not_right(status: int, answer: str) -> None:
    """Silence, errors and leaked calls state no wrong number, and are no answer."""
    verdict = judge(DOLLARS, status, answer)
    assert not verdict.right
    assert not verdict.wrong_numbers


def test_every_one_of_several_results_must_be_stated() -> None:
    """Half an answer is not right."""
    both = read_case(
        '{"id": "c", "kind": "several", "query": "1 and 2 EUR to USD", "expect": {"conversions": ['
        '{"from": "EUR", "to": "USD", "amount": "10"}, {"from": "EUR", "to": "EUR", "amount": "2"}'
        "]}}"
    )
    assert judge(both, 200, "31.42 dollars and 2.00 euros").right
    assert judge(both, 200, "31.42 dollars").problems == ("does not state 2.00",)


def test_where_no_conversion_is_wanted_none_may_be_stated() -> None:
    """A question back is right, with an example too; a guessed conversion is not."""
    assert judge(MISSING, 200, "Which currency should the 100 euros become?").right
    assert judge(MISSING, 200, "Into what?\n1. dollars\n2. yen (e.g. 250 EUR to USD)").right
    assert judge(MISSING, 200, "100 euros are 314.16 dollars.").wrong_numbers == ("314.16",)


def test_beside_money_numbers_are_free() -> None:
    """Two and two are four, but no amount may be made up."""
    case = Case("d", "not_money", "What is 2+2?", free_numbers=True)
    assert judge(case, 200, "2+2 is 4.").right
    assert judge(case, 200, "4 euros are 12.57 dollars.").wrong_numbers == ("4", "12.57")


def test_a_refused_query_needs_its_status_and_a_reason() -> None:
    """An error that explains nothing isn't enough."""
    case = Case("e", "empty_huge", "", status=(400, 499), mentions=("empty",))
    assert judge(case, 422, "The query is empty.").right
    assert not judge(case, 422, "Unprocessable").right
    assert not judge(case, 200, "Your query is empty.").right


DONE = DoneEvent(
    usage=ChatUsage(prompt_tokens=900, completion_tokens=40, total_tokens=940),
    rounds=2,
    tool_calls=1,
    timings=Timings(first_text=1.0, model=1.5, tools=0.5, total=2.0),
    grounding="ok",
)
BROKEN = ErrorEvent(error=ErrorObject(message="The model is away.", type="server_error"))
HUGE = ErrorEvent(error=ErrorObject(message="It is too long.", type="invalid_request_error"))


def texts(*parts: str) -> list[ChatEvent]:
    """Parts of an answer."""
    return [TextEvent(text=part) for part in parts]


def calls(*conversions: Conversion, ok: bool = True) -> list[ChatEvent]:
    """Calls that make the conversions, or fail to."""
    events: list[ChatEvent] = []
    for place, each in enumerate(conversions, start=1):
        about = {"id": f"call_{place}", "name": "convert_currency"}
        source, target = (
            get_currency_name(code, 2, locale="en") for code in (each.source, each.target)
        )
        told = f"The converted amount of {each.amount} {source} to {target} is {each.value}."
        # A model may write any name that the tool knows.
        given = {"from_currency": "bucks", "to_currency": target, "amount": str(each.amount)}
        events += [
            ToolCallEvent(**about, arguments=json.dumps(given)),
            ToolResultEvent(**about, ok=ok, content="", summary=told),
        ]
    return events


CALLED = calls(*DOLLARS.conversions)


def stream(events: list[ChatEvent]) -> httpx2.Response:
    """The events as a server sends them."""
    frames = "".join(f"data: {event.model_dump_json()}\n\n" for event in events)
    return httpx2.Response(200, text=frames)


def judged(events: list[ChatEvent], case: Case = DOLLARS) -> tuple[int, str, bool, tuple[str, ...]]:
    """Status, answer and verdict of a chat with these events."""
    transport = httpx2.MockTransport(lambda request: stream(events))
    with httpx2.Client(base_url="http://assistant", transport=transport) as client:
        reply = ask_chat(client, case.query)
    verdict = judge_reply(case, reply)
    return reply.status, reply.answer, verdict.right, verdict.wrong_numbers


def test_the_texts_of_a_chat_are_judged_joined() -> None:
    """A number may come in any part, and a list's own numbers are none."""
    answer = "42 USD\n1. as CAD 131.95.\n2. That is all."
    parts = texts("42 USD\n1.", " as CAD 131.95.", "\n2.", " That is all.")
    assert judged([*CALLED, *parts, DONE]) == (200, answer, True, ())


@pytest.mark.parametrize(
    "other",
    [[], calls(*DOLLARS.conversions, ok=False), calls(Conversion("USD", "AUD", Decimal(42)))],
)
def test_a_chat_must_convert_what_its_answer_says(other: list[ChatEvent]) -> None:
    """At the fixed rate a conversion into another currency comes to the same number."""
    answer = [*texts("42 USD are 131.95 CAD."), DONE]
    assert judged([*CALLED, *answer])[2:] == (True, ())
    assert judged([*other, *answer])[2:] == (False, ())


@pytest.mark.parametrize("ends", [[], [DONE, DONE], [DONE, BROKEN], [DONE, *texts("!")]])
def test_a_chat_ends_once_and_last(ends: list[ChatEvent]) -> None:
    """Whatever its text says."""
    _, _, right, wrong = judged([*CALLED, *texts("42 USD are 131.95 CAD."), *ends])
    assert not right
    assert not wrong


def test_a_number_that_stood_there_for_a_moment_was_shown() -> None:
    """The answer as a whole is right."""
    assert judged([*CALLED, *texts("42 USD are 131", ".95 CAD."), DONE])[2:] == (False, ("131",))


def test_a_wrong_number_before_an_error_was_shown_all_the_same() -> None:
    """The error's own text is not held against it."""
    answer = "42 USD are 57.54 CAD. The model is away."
    assert judged([*texts("42 USD are 57.54 CAD."), BROKEN]) == (500, answer, False, ("57.54",))


def test_a_chat_may_refuse_as_the_other_route_does() -> None:
    """By an event in place of a status."""
    case = Case("e", "empty_huge", "", status=(400, 499), mentions=("too long",))
    assert judged([HUGE], case) == (400, "It is too long.", True, ())
    assert not judged([BROKEN], case)[2]


def test_what_is_no_event_is_a_wrong_answer() -> None:
    """The rest of the run goes on."""
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, text="data: {}\n\n"))
    with httpx2.Client(base_url="http://assistant", transport=transport) as client:
        reply = ask_chat(client, DOLLARS.query)
    assert reply.status == 0
    assert reply.answer.startswith("(ValidationError:")
    assert not judge_reply(DOLLARS, reply).right


def test_percentiles_are_measured_values() -> None:
    """The nearest rank, not an interpolation."""
    assert percentile([3.0, 1.0, 2.0, 4.0], 50) == 2.0
    assert percentile([3.0, 1.0, 2.0, 4.0], 95) == 4.0


def test_the_queries_cover_every_kind_and_many_languages() -> None:
    """The file is well-formed: enough queries, unique ids, ISO codes."""
    assert len(CASES) >= 150
    assert {case.kind for case in CASES} == KINDS
    assert max(Counter(case.id for case in [*CASES, *MORE]).values()) == 1
    assert len({case.language for case in CASES if case.kind == "languages"}) >= 10
    for conversion in (each for case in [*CASES, *MORE] for each in case.conversions):
        assert all(len(c) == 3 and c.isupper() for c in (conversion.source, conversion.target))
        assert conversion.amount > 0


@pytest.mark.parametrize("kind", ["plain", "symbols_codes", "several", "distractors", "persuasion"])
def test_amounts_written_in_digits_are_read_from_the_query(kind: str) -> None:
    """Expectation and query agree, which catches slips in either."""
    for case in (case for case in [*CASES, *MORE] if case.kind == kind):
        read = {value for number in numbers(case.query) for value in number.values}
        assert read >= {conversion.amount for conversion in case.conversions}, case.id


def perfect(request: httpx2.Request) -> httpx2.Response:
    """The answer of a server that does everything right."""
    body = json.loads(request.content)
    chat = request.url.path == "/chat"
    query = body["messages"][0]["content"] if chat else body["query"]
    case = next(case for case in CASES if case.query == query)
    if case.status != (200, 200):
        return httpx2.Response(400, text="The query is empty or longer than 2000 characters.")
    results = ", ".join(
        f"{c.amount} {c.source} is {c.value:,} {c.target}" for c in case.conversions
    )
    answer = results or "Sorry, which amount?"
    if chat:
        return stream([*calls(*case.conversions), *texts(answer), DONE])
    headers = {"X-Rounds": "2", "X-Grounding": "ok"}
    return httpx2.Response(200, text=answer, headers=headers)


def test_a_perfect_server_passes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every expectation can be met; the report counts headers and shows - for absent ones."""
    out = tmp_path / "results.jsonl"
    assert main(["--out", str(out), "--concurrency", "2"], httpx2.MockTransport(perfect)) == 0
    report = capsys.readouterr().out
    assert "conversions right  100.0 %" in report
    assert "at most 2" in report
    assert "prompt tokens      -" in report
    assert len(out.read_text().splitlines()) == len(CASES)


def test_both_routes_may_be_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each has its report, and a record of its own; the answers that differ are listed."""

    def differs(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/chat" and b"42" in request.content:
            return stream([*CALLED, *texts("42 are 131.95."), DONE])
        return perfect(request)

    out = tmp_path / "results.jsonl"
    arguments = ["--both", "--kind", "plain", "--limit", "2", "--out", str(out)]
    assert main(arguments, httpx2.MockTransport(differs)) == 0
    report = capsys.readouterr().out
    assert report.index("POST /exchange") < report.index("POST /chat")
    assert report.count("conversions right  100.0 %") == 2
    assert "prompt tokens      1800 in all, 900.0 a query, at most 900" in report
    assert report.count("the answers differ") == 1
    assert "  /exchange right: 42 USD is 131.95 CAD\n  /chat     right: 42 are 131.95." in report
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["route"] for record in records] == ["/exchange", "/exchange", "/chat", "/chat"]
    *_, first, last = records[2]["events"]
    assert first.items() >= {"type": "text", "text": "42 are 131.95."}.items()
    assert 0 <= first["at"] <= last["at"]


def test_the_chat_alone_may_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """It has the time of the first text besides."""
    assert main(["--chat", "--kind", "plain"], httpx2.MockTransport(perfect)) == 0
    report = capsys.readouterr().out
    assert "POST /exchange" not in report
    assert "first text s       p50 0." in report


def test_one_wrong_number_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The failure is listed with query, expectation and answer."""
    wrong = httpx2.MockTransport(lambda request: httpx2.Response(200, text="It is 99.99."))
    arguments = ["--kind", "plain", "--limit", "1", "--min-conversions", "0"]
    assert main(arguments, wrong) == 1
    report = capsys.readouterr().out
    assert "plain-01 at /exchange: does not state 131.95; states 99.99" in report
    assert "42 USD = 131.95 CAD" in report


@pytest.mark.parametrize(("silent", "status"), [(0, 0), (1, 0), (2, 1)])
def test_few_questions_with_several_conversions_may_fail(
    capsys: pytest.CaptureFixture[str], silent: int, status: int
) -> None:
    """Whatever is right among all others."""
    several = [case.query for case in CASES if case.kind == "several"]
    unanswered = several[:silent]

    def answer(request: httpx2.Request) -> httpx2.Response:
        if json.loads(request.content)["query"] in unanswered:
            return httpx2.Response(200, text="I can't.")
        return perfect(request)

    assert main(["--min-conversions", "0"], httpx2.MockTransport(answer)) == status
    right = f"{100 - 100 * silent / len(several):.1f}"
    assert f"several right      {right} %" in capsys.readouterr().out


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

    assert main(["--limit", "3"], httpx2.MockTransport(refuse)) == 2
    answer = "No server answers at http://127.0.0.1:3000 (Connection refused).\n"
    assert capsys.readouterr().err == answer
