"""An answer must say what the tools returned, all of it, and no number that nobody gave."""

import json

import pytest
from bureau import QUERY, user

from function_calling.agent.grounding import Ground
from function_calling.toolbox.toolbox import ToolResult

SUMMARY = "42 USD is 131.95 CAD."
TO_CAD, TO_EUR = '{"amount": 42, "to": "CAD"}', '{"amount": 42, "to": "EUR"}'


def found(content: object, summary: str | None = None) -> ToolResult:
    """What a tool returned."""
    text = content if isinstance(content, str) else json.dumps(content)
    return ToolResult(text, True, summary=summary)


def problems(answer: str, *results: ToolResult, query: str = QUERY, given: str = "{}") -> list[str]:
    """What is wrong with an answer to a query whose calls came to these results."""
    ground = Ground([user(query)])
    for result in results:
        ground.add(result, given)
    return ground.problems(answer)


@pytest.mark.parametrize(
    "answer",
    [
        SUMMARY,
        "42,00 $ sont 131,950 dollars canadiens.",
        "42美元等于１３１．９５加元。",
        "By ISO 4217: **CAD131.95**",
        "It comes to 131.95.",
        "Forty-two US dollars? 131.95.\n1. one\n 2) two",
    ],
)
def test_an_answer_that_states_the_result_is_grounded(answer: str) -> None:
    """Language, separators, idle zeros, markers of lists and names with digits don't matter."""
    assert problems(answer, found({"converted": 131.95}, SUMMARY)) == []


def test_a_number_that_nobody_gave_is_a_problem_and_so_is_the_one_left_out() -> None:
    """The model reads which number is wrong, and which is missing from which result; once."""
    yen = "42 USD is 1570795.00 JPY."
    assert problems("157,079.50 yen. Yes, 157,079.50!", found("1570795.00", yen)) == [
        "The answer says 157,079.50, which neither a tool result nor the question contains.",
        f"The answer leaves out 1570795.00 of this tool result: {yen}",
    ]


def test_a_number_must_be_told_as_often_as_results_have_it() -> None:
    """At one rate two conversions come to the same; a call made again comes to nothing new."""
    cad, eur = found("131.95", SUMMARY), found("131.95", "42 USD is 131.95 EUR.")
    left_out = ["The answer leaves out 131.95 of this tool result: 42 USD is 131.95 EUR."]
    assert problems("131.95 CAD", cad, eur) == left_out
    assert problems("131.95 CAD and 131.95 EUR", cad, eur) == []
    assert problems("131.95 CAD", cad, cad) == []


def test_what_a_tool_was_given_need_not_be_told() -> None:
    """ "Half a million" may stay in words, and so may the steps of a chain."""
    result = found("680000", "500,000 USD is 680,000 CAD.")
    query, answer = "Half a million dollars in CAD?", "Half a million dollars is 680,000 CAD."
    assert problems(answer, result, query=query, given='{"amount": 500000}') == []
    assert problems(answer, result, query=query) == [
        "The answer leaves out 500,000 of this tool result: 500,000 USD is 680,000 CAD."
    ]


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("Sorry. convert was not called: amount=58, which you did not write.", True),
        ("Sorry. It took too long.", False),
        ("That answer is not right. Here you are.", True),
        ("It is done.\n<tool_response>done</tool_response>", True),
        ('```json\n{"name": "convert"', True),
    ],
)
def test_what_only_the_model_was_told_is_no_answer(answer: str, wrong: bool) -> None:
    """Whatever its numbers, people can do nothing with it; a reason that they read is one."""
    why = "It took too long."
    told = "convert was not called: amount=58, which you did not write."
    refused = ToolResult(told, False, summary="58 is not in your message.")
    assert bool(problems(answer, refused, ToolResult(why, False, summary=why))) is wrong


def test_numbers_are_found_anywhere_in_a_result() -> None:
    """Keys, texts, nested lists and their lengths count; truth values do not."""
    result = found({"2026-05-01": [{"n": -7}, "8 kg", True, None, 9.5]})
    assert problems("On 1/5/2026: five things, 5 in all: -7, 8, 9.50", result, query="") == []
    assert problems("10", result, query="") != []


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("They were 91.27 euros, at the rate of 2024-01-02.", True),
        ("They were 91.27 euros, at the rate of January 2nd, 2024.", True),
        ("2024年1月2日: 91.27", True),
        ("They were 91.27 euros, at the rate of 2024-01-03.", False),
        ("They were 91.27 euros.", False),
    ],
)
def test_a_day_that_a_tool_returned_is_told_in_any_spelling(answer: str, right: bool) -> None:
    """Also with the month as a word; another day, or none, is not what was found."""
    summary = "100 US dollars are 91.27 euros, at the rate of 2024-01-02."
    content = {"amount": "91.27", "rate_date": "2024-01-02", "summary": summary}
    query = "100 dollars in euros"
    assert (problems(answer, found(content, summary), query=query) == []) is right


@pytest.mark.parametrize(
    ("answer", "untold"),
    [
        ("", ["7 cups", 'Noted "3 eggs".']),
        ("There are", ["7 cups", 'Noted "3 eggs".']),
        ("There are 7. I noted 3.", []),
    ],
)
def test_what_was_begun_to_be_told_is_not_told(answer: str, untold: list[str]) -> None:
    """Where a turn is broken off, results follow, also those that only repeat the question."""
    ground = Ground([user("Note 3 eggs, and how many cups are there?")])
    results = found("7 cups", "7 cups"), found("{}", 'Noted "3 eggs".')
    for result in results:
        ground.add(result, '{"title": "3 eggs"}')
    assert ground.untold(answer) == untold
    plain = Ground([user("How many cups are there?")])
    plain.add(found("7 cups"), "{}")
    assert plain.untold(answer) == untold[:1]
