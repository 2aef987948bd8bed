"""An answer must state what the tools returned, and no number besides."""

import json
from dataclasses import replace

import pytest

from function_calling.grounding import check, invented
from function_calling.toolbox import ToolOutcome

QUERY = "What is 42 USD in CAD?"


def found(amount: str, summary: str | None = None) -> ToolOutcome:
    """A conversion to `amount`."""
    text = summary or f"42 USD is {amount} CAD."
    return ToolOutcome(f'{{"converted": {amount}, "summary": "{text}"}}', ok=True, summary=text)


@pytest.mark.parametrize(
    "answer",
    [
        "42 USD is 131.95 CAD.",
        "42,00 $ sont 131,950 dollars canadiens.",
        "42美元等于１３１．９５加元。",
        "By ISO 4217: **CAD131.95**",
        "It comes to 131.95.",
    ],
)
def test_an_answer_that_states_the_result_is_grounded(answer: str) -> None:
    """Language, separators, idle zeros and names with digits in them do not matter."""
    assert check(answer, QUERY, [found("131.95")]) == []


def test_a_number_that_nobody_gave_is_a_problem_and_so_is_the_one_left_out() -> None:
    """The model reads which number is wrong, and which is missing from which result."""
    assert check("42 USD is 157,079.50 yen.", QUERY, [found("1570795.00")]) == [
        "The answer says 157,079.50, which neither a tool result nor the question contains.",
        "The answer leaves out 1570795.00 of this tool result: 42 USD is 1570795.00 CAD.",
    ]


def test_a_number_from_memory_is_a_problem() -> None:
    """Where no tool was called, only the question's numbers may be said."""
    assert check("42 USD is about 58 CAD.", QUERY, []) == [
        "The answer says 58, which the question does not contain, and no tool was called."
    ]
    assert check("I can't convert 42 USD.", QUERY, []) == []


def test_every_result_must_be_told() -> None:
    """One of two conversions is half an answer."""
    results = [found("131.95"), found("38.64")]
    assert check("131.95 CAD", QUERY, results) == [
        "The answer leaves out 38.64 of this tool result: 42 USD is 38.64 CAD."
    ]
    assert check("131.95 CAD and 38.64 EUR", QUERY, results) == []


def test_what_a_tool_was_given_need_not_be_told() -> None:
    """ "Half a million" may stay in words, and so may the steps of a chain."""
    result = found("680000", "500,000 USD is 680,000 CAD.")
    query, answer = "Half a million dollars in CAD?", "Half a million dollars is 680,000 CAD."
    assert check(answer, query, [result], given='{"amount": 500000}') == []
    assert check(answer, query, [result]) == [
        "The answer leaves out 500,000 of this tool result: 500,000 USD is 680,000 CAD."
    ]


def test_a_failed_call_has_nothing_to_tell_but_may_be_quoted() -> None:
    """An honest answer repeats the reason."""
    failed = ToolOutcome("Tool convert took longer than 30 seconds.", ok=False)
    assert check("It took more than 30 seconds.", QUERY, [failed]) == []


@pytest.mark.parametrize(
    "answer",
    [
        "Sorry. The user does not ask for that, but for 5 euros to francs.",
        "The answer is not right. Here you are.",
        'To convert it, call convert with the arguments {"amount": 5}.',
        "It is done.\n<tool_response>done</tool_response>",
    ],
)
def test_what_a_model_was_told_is_no_answer(answer: str) -> None:
    """Whatever its numbers, people can do nothing with it."""
    refused = ToolOutcome("The user does not ask for that, but for 5 euros to francs.", False)
    misread = replace(refused, summary="I could not make that out.")
    repeated = ["The answer repeats what I told you: say what the tools returned."]
    assert invented(answer, "5 euros in francs", [misread]) == repeated
    assert (invented(answer, "5 euros in francs", [refused]) == repeated) is ("Sorry" not in answer)


def test_the_point_of_a_number_in_json_is_a_point() -> None:
    """1.234 KWD must not become 1234 KWD, also where the number is in quotes."""
    for content in ('{"rate": 1.234}', '{"rate": "1.234"}'):
        result = ToolOutcome(content, ok=True)
        assert check("1.2340", QUERY, [result]) == []
        assert check("1'234", QUERY, [result]) != []


def test_numbers_are_found_anywhere_in_a_result() -> None:
    """Keys, texts, nested lists and their lengths count; truth values do not."""
    content = {"2026-05-01": [{"n": -7}, "8 kg", True, None, 9.5]}
    result = ToolOutcome(json.dumps(content), ok=True)
    assert check("On 1/5/2026: five things, 5 in all: -7, 8, 9.50", "", [result]) == []
    assert check("10", "", [result]) != []


def test_a_numbered_list_is_no_statement_of_numbers() -> None:
    """Its markers come from the writer."""
    result = ToolOutcome('["milk", "bread"]', ok=True)
    assert check("1. milk\n 2) bread\n3. both", "", [result]) == []


def test_a_problem_is_named_once() -> None:
    """However often the answer repeats it."""
    assert len(check("58, I say 58!", QUERY, [])) == 1


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("They were 91.27 euros, at the rate of 2024-01-02.", True),
        ("They were 91.27 euros, at the rate of January 2nd, 2024.", True),
        ("2024年1月2日: 91.27", True),
        ("They were 91.27 euros, at the rate of 2024-01-03.", False),
        ("They were 91.27 euros, at the rate of 2 March 2024.", False),
        ("They were 91.27 euros.", False),
    ],
)
def test_a_day_that_a_tool_returned_is_told_in_any_spelling(answer: str, right: bool) -> None:
    """Also with the month as a word; another day, or none, is not what was found."""
    summary = "100 US dollars are 91.27 euros, at the rate of 2024-01-02."
    content = {"amount": "91.27", "rate_date": "2024-01-02", "summary": summary}
    result = ToolOutcome(json.dumps(content), ok=True, summary=summary)
    assert (check(answer, "100 dollars in euros", [result]) == []) is right
