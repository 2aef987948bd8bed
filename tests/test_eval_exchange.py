"""The evaluation: what its judge calls right, its queries, and its report."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest

from benchmarks.eval_exchange import main
from benchmarks.exchange_cases import Case, Conversion, load_cases, read_case
from benchmarks.exchange_judge import judge
from benchmarks.exchange_report import percentile
from benchmarks.number_reading import numbers

CASES = load_cases()
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


def test_percentiles_are_measured_values() -> None:
    """The nearest rank, not an interpolation."""
    assert percentile([3.0, 1.0, 2.0, 4.0], 50) == 2.0
    assert percentile([3.0, 1.0, 2.0, 4.0], 95) == 4.0


def test_the_queries_cover_every_kind_and_many_languages() -> None:
    """The file is well-formed: enough queries, unique ids, ISO codes."""
    assert len(CASES) >= 150
    assert {case.kind for case in CASES} == KINDS
    assert max(Counter(case.id for case in CASES).values()) == 1
    assert len({case.language for case in CASES if case.kind == "languages"}) >= 10
    for conversion in (conversion for case in CASES for conversion in case.conversions):
        assert all(len(c) == 3 and c.isupper() for c in (conversion.source, conversion.target))
        assert conversion.amount > 0


@pytest.mark.parametrize("kind", ["plain", "symbols_codes", "several", "distractors", "persuasion"])
def test_amounts_written_in_digits_are_read_from_the_query(kind: str) -> None:
    """Expectation and query agree, which catches slips in either."""
    for case in (case for case in CASES if case.kind == kind):
        read = {value for number in numbers(case.query) for value in number.values}
        assert read >= {conversion.amount for conversion in case.conversions}, case.id


def perfect(request: httpx2.Request) -> httpx2.Response:
    """The answer of a server that does everything right."""
    query = json.loads(request.content)["query"]
    case = next(case for case in CASES if case.query == query)
    if case.status != (200, 200):
        return httpx2.Response(400, text="The query is empty or longer than 2000 characters.")
    results = ", ".join(
        f"{c.amount} {c.source} is {c.value:,} {c.target}" for c in case.conversions
    )
    headers = {"X-Rounds": "2", "X-Grounding": "ok"}
    return httpx2.Response(200, text=results or "Sorry, which amount?", headers=headers)


def test_a_perfect_server_passes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every expectation can be met; the report counts headers and shows - for absent ones."""
    out = tmp_path / "results.jsonl"
    assert main(["--out", str(out), "--concurrency", "2"], httpx2.MockTransport(perfect)) == 0
    report = capsys.readouterr().out
    assert "conversions right  100.0 %" in report
    assert "at most 2" in report
    assert "prompt tokens      -" in report
    assert len(out.read_text().splitlines()) == len(CASES)


def test_one_wrong_number_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The failure is listed with query, expectation and answer."""
    wrong = httpx2.MockTransport(lambda request: httpx2.Response(200, text="It is 99.99."))
    limits = ["--min-conversions", "0", "--min-others", "0"]
    assert main(["--kind", "plain", "--limit", "1", *limits], wrong) == 1
    report = capsys.readouterr().out
    assert "plain-01: does not state 131.95; states 99.99" in report
    assert "42 USD = 131.95 CAD" in report


@pytest.mark.parametrize("wrong", [["--kind", "plain,nope"], ["--limit", "0"]])
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
