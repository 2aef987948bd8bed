"""An answer must say what the tools returned, all of it, and no number that nobody gave."""

import json
from datetime import date
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any

import pytest
from bureau import QUERY, user

from function_calling.agent.grounding import Ground
from function_calling.errors import ToolError
from function_calling.toolbox.schema import Said
from function_calling.toolbox.toolbox import ToolResult

SUMMARY = "42 USD is 131.95 CAD."


class Size(Enum):
    """What a person picks."""

    SMALL = "small"


class Floor(IntEnum):
    """What a person goes to."""

    TOP = 7


def found(content: object, summary: str | None = None) -> ToolResult:
    """What a tool returned."""
    text = content if isinstance(content, str) else json.dumps(content)
    return ToolResult(text, True, summary=summary)


def problems(answer: str, *results: ToolResult, query: str = QUERY) -> list[str]:
    """What is wrong with an answer to a query whose calls came to these results."""
    ground = Ground([user(query)])
    for result in results:
        ground.add(result, "{}")
    return ground.problems(answer)


@pytest.mark.parametrize(
    "markers",
    [
        "1. one\n 2) two\n\n1. one\n2. two\n3. three",
        "**1.** one\n### 2. two\n- **3.** three",
        "| # | what |\n|--:|---|\n| 1 | one |\n| 2 | two |\n| 3 | three |",
    ],
)
def test_markers_of_a_list_state_nothing(markers: str) -> None:
    """As many as there are."""
    answer = f"Forty-two US dollars? 131.95.\n{markers}"
    assert problems(answer, found({"converted": 131.95}, SUMMARY)) == []
    assert problems(f"{answer}, 13", found({"converted": 131.95}, SUMMARY)) != []


def test_a_number_that_nobody_gave_is_a_problem_and_so_is_the_one_left_out() -> None:
    """The model reads which number is wrong, and which is missing from which result; once."""
    yen = "42 USD is 1570795.00 JPY."
    assert problems("157,079.50 yen. Yes, 157,079.50!", found("1570795.00", yen)) == [
        "The answer says 157,079.50, which neither a tool result nor the question contains.",
        f"The answer leaves out 1570795.00 of this tool result: {yen}",
    ]


def test_a_number_must_be_told_as_often_as_results_have_it() -> None:
    """At one rate two conversions come to the same; a call made again comes to nothing new.

    A result without a sentence is wanted in none.
    """
    cad, eur = found("131.95", SUMMARY), found("131.95", "42 USD is 131.95 EUR.")
    left_out = ["The answer leaves out 131.95 of this tool result: 42 USD is 131.95 EUR."]
    assert problems("131.95 CAD", cad, eur) == left_out
    assert problems("131.95 CAD and 131.95 EUR", cad, eur) == []
    assert problems("131.95 CAD", found(131.95), cad, cad) == []


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("Sorry. convert was not called: amount=58, which you did not write.", True),
        ("That answer is not right. Here you are.", True),
        ("Give an ISO code. It took too long.", True),
        ("58 is not in your message. It took too long.", False),
        ("Wanted: 58.", False),
        ("It is done.\n<tool_response>done</tool_response>", True),
        ('```json\n{"name": "convert"', True),
    ],
)
def test_what_only_the_model_was_told_is_no_answer(answer: str, wrong: bool) -> None:
    """Whatever its numbers, people can do nothing with it; a reason that they read is one."""
    why = "It took too long."
    told = (
        "58 is not in your message. convert was not called: amount=58, which you did not write. "
        "Wanted: 58. Give an ISO code."
    )
    refused = ToolResult(told, False, summary="58 is not in your message.")
    results = refused, ToolResult(why, False, summary=why)
    assert bool(problems(answer, *results, query="58?")) is wrong


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ('convert(42, "CAD")', True),
        ("[convert(amount=42)]", True),
        ('<|python_tag|>convert.call(to="CAD")', True),
        ('<function=convert>{"amount": 42}</function>', True),
        ("<function=convert>\n<parameter=amount>42</parameter>", True),
        ("<convert><amount>42</amount></convert>", True),
        ('Action: convert\nAction Input: {"amount": 42}', True),
        ('[TOOL_CALLS] [{"name": "convert", "arguments": {"to": "CAD"}}]', True),
        ('I call {"function": "rates", "parameters": {}}', True),
        ('{"convert": {"amount": 42}}', False),
        ("I convert (42 dollars) at the rate(s) of convert: amount 42.", False),
    ],
)
def test_a_call_written_out_is_no_answer(answer: str, wrong: bool) -> None:
    """In no format: nobody can do anything with it, and nothing was done."""
    tools = [("convert", ["amount", "to"]), ("rates", []), ("rate", ["of"])]
    assert bool(Ground([user(QUERY)], parameters=tools).problems(answer)) is wrong


def test_how_many_of_a_list_are_alike_may_be_told() -> None:
    """A tally is the tool's, and another one is not."""
    mugs = [{"kind": kind, "sold": kind == "red"} for kind in ("red", "red", "blue", "red", "blue")]
    tallies = "3 of the 5 mugs are red and sold, 2 are blue."
    assert problems(tallies, found(mugs), query="Mugs?") == []
    assert problems("4 of the 5 mugs are red.", found(mugs), query="Mugs?") != []


def test_what_was_wrong_with_an_answer_is_none_either() -> None:
    """The model may repeat it when it is asked again."""
    ground = Ground([user(QUERY)])
    ground.add(found({"converted": 131.95}, SUMMARY), "{}")
    (wrong,) = ground.problems("42 dollars.")
    assert ground.problems(wrong) != []
    assert ground.problems(SUMMARY) == []


def test_numbers_are_found_anywhere_in_a_result() -> None:
    """Keys, texts, nested lists and their lengths count; truth values do not."""
    result = found({"2026-05-01": [{"n": -7}, "8 kg", True, None, 9.5]})
    assert problems("On 1/5/2026: five things, 5 in all: -7, 8, 9.50", result, query="") == []
    assert problems("11", result, query="") != []
    deep = found("[" * 900 + "7" + "]" * 900)
    assert [problems(each, deep) != [] for each in ("7", "9")] == [False, True]


def test_what_was_said_before_a_call_is_no_ground() -> None:
    """Nobody has checked the numbers of such a text, which a client may keep."""
    call = {"id": "a", "function": {"name": "look", "arguments": "{}"}}
    said = {"role": "assistant", "content": "You have 77 tasks.", "tool_calls": [call]}
    told = {"role": "assistant", "content": "You have 7."}
    ground = Ground([user("How many?"), said, told, user("How many were there?")])
    assert [ground.invented(each) != [] for each in ("77", "7")] == [True, False]


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("They were at the rate of 2024-01-02.", True),
        ("They were at the rate of January 2nd.", True),
        ("They were at the rate of 2024-01-03.", False),
        ("They were euros.", False),
    ],
)
def test_a_day_that_a_tool_returned_is_told_in_any_spelling(answer: str, right: bool) -> None:
    """Also with the month as a word, once for all; another day, or none, is not what was found."""
    results = [
        found({"rate_date": "2024-01-02", "summary": summary}, summary)
        for amount, converted in ((100, "91.27"), (50, "45.64"))
        for summary in [f"{amount} dollars are {converted} euros, at the rate of 2024-01-02."]
    ]
    query = "100 and 50 dollars in euros"
    assert (problems(f"45.64 and 91.27. {answer}", *results, query=query) == []) is right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Next, pay invoice 4711 at 2:30 pm: 7.", True),
        ("The eggs are bought, 2 tasks are left, and seven eggs.", True),
        ("The eggs are bought, and 3 tasks are left: 4712, 7.", False),
        ("The eggs are bought.", False),
    ],
)
def test_an_answer_may_choose_from_what_was_listed(answer: str, right: bool) -> None:
    """A number of which a title consists need not be told, nor one that says "no" or "a"."""
    tasks = [{"id": 23, "title": "Pay invoice 4711 at 14:30"}, {"id": 24, "title": "Buy 3 eggs"}]
    listed = found({"tasks": tasks}, 'To do: "Pay invoice 4711 at 14:30", "Buy 3 eggs". 0 done.')
    bought = found({"eggs": 7}, 'Ticked "Buy 3 eggs", 7 eggs. 1 a day.')
    assert (problems(answer, listed, bought, query="Eggs are bought. What's next?") == []) is right


@pytest.mark.parametrize(
    ("answer", "untold"),
    [("There are", ["7 cups", 'Noted "3 eggs".']), ("There are 7. I noted 3.", [])],
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


@pytest.mark.parametrize(
    ("returned", "right", "wrong"),
    [
        ("PT45M", "It takes 45 minutes.", ""),
        ("45 million", "There are 45,000,000.", "There are 45."),
        (45, "There are 45.", "There are 45m."),
        (6.02e23, "There are 6.02e23.", "There are 6.02e22."),
        (21.3765, "It is 21.3765, so 21.38, 21.4 or 21.", "It is 21.3765, so 21.37."),
        (4711.5, "It is 4711.5, so 4712.", "It is 4711.5, so 4700."),
        (7853975.125, "7853975.125, 7,853,975.13, or 7.9 million", "7853975.125, or 7.8 million."),
        (0.1234, "It is 12.34%, or 12 %.", "It is 0.1234, so 12.34 of them."),
        (0.1234, "It is 0.1234.", "It is 0.1234, so 0."),
        ("4" * 33, f"It is {'4' * 33}.", f"It is {'4' * 32}6."),
        ("1" * 150 + ".5", f"{'1' * 150}.5, so {'1' * 149}2", ""),
        ("2026-05-01T18:30:00", "May 1, 2026 at 6:30 PM.", "May 1, 2026 at 8:30 PM."),
        (3.5e-05, "3.5 × 10⁻⁵, $3.5 \\times 10^{-5}$", "3.5 × 10⁻⁶"),
        ({"messages": []}, "There are 0.", ""),
        ("192.168.0.1", "It is 192.168.0.1.", "It is 192.168.0.1, or 192.168.0.9."),
    ],
)
def test_scales_and_units(returned: object, right: str, wrong: str) -> None:
    """A tool's letter may be a unit; an answer's multiplies, and so does an exponent.

    A fraction may be rounded or per cent, and a clock have twelve hours.
    """
    assert problems(right, found(returned, str(returned)), query="") == []
    assert not wrong or problems(wrong, found(returned, str(returned)), query="") != []


@pytest.mark.parametrize(
    ("value", "query", "occurs"),
    [
        ("牛奶", "把牛奶加到清单", True),
        ("นม", "เพิ่มนมในรายการ", True),
        ("A-2041", "a-2041에 추가, 发票A-2042", True),
        ("A-204", "发票A-2041", False),
        ("milk", "add milky tea", False),
        ("milk", "add Ｍｉｌｋ, 牛奶", True),
        ("Cafe\u0301", "at the Caf\u00e9", True),
        ("+491701234567", "Ring +49 170 1234567.", True),
        ("+491701234567", "Ring +49 170 12345678.", False),
        ("", "", True),
    ],
)
def test_a_text_occurs_where_its_words_do(value: str, query: str, occurs: bool) -> None:
    """Scripts without spaces show no words; full width and decomposed letters are the same."""
    assert bool(Ground([user(query)]).lacks({"text": (Said(), value)})) is not occurs


@pytest.mark.parametrize(
    ("values", "occurs"),
    [
        ((7, -7.0, Decimal("7.00"), "7", Floor.TOP), True),
        ((8, 1e30, float("nan"), float("inf"), Decimal("1e99")), False),
        ((True, None, {"n": 7}, Size.SMALL, date(2026, 1, 5), b"7", [7, True]), False),
    ],
)
def test_whatever_an_argument_is_it_can_be_looked_for(values: Any, occurs: bool) -> None:
    """A truth value is no number, and nothing that was marked is too odd."""
    for by, value in ((by, value) for by in ("anyone", "tool") for value in values):
        ground = Ground([user("1 or 7 small ones")])
        ground.add(found([7]), "{}")
        ground.read()
        marked = {"it": (Said(by=by), value)}
        assert (ground.lacks(marked) == []) is occurs
        if not occurs:
            with pytest.raises(ToolError, match="Which it do you mean"):
                ground.trace("tool", marked, changes=True)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("12. That is how many there are.", "12"),
        ("1. one\n3. three", "3"),
        ("By ISO 900 dollars, or iso-500", "900, 500"),
    ],
)
def test_a_number_is_no_marker_or_name_where_it_stands_like_one(answer: str, told: str) -> None:
    """A list counts from 1; and there is no name whose digits would not be looked at."""
    wrong = [f"The answer says {each}, which" for each in told.split(", ")]
    found = problems(answer, query="How many?")
    assert [each[: len(it)] for each, it in zip(found, wrong, strict=True)] == wrong


STEP, OTHER = "30 USD is 813.56 EUR.", "40 GBP is 893.14 EUR."


@pytest.mark.parametrize(
    ("expression", "answer", "left_out", "untold"),
    [
        ("813.56 + 893.14", "In total 1706.70 euros.", 0, []),
        ("813.56 + 893.14", "813.56 and 893.14 euros.", 0, ["813.56 + 893.14 = 1706.7."]),
        ("813.56 + 893.14", "", 2, [STEP, OTHER, "813.56 + 893.14 = 1706.7."]),
        ("813.56 / 2", "1706.7, and half of it.", 1, [OTHER]),
        ("30 + 40", "In total 1706.7 euros.", 2, [STEP, OTHER]),
    ],
)
def test_a_step_need_not_be_told_but_what_came_of_it(
    expression: str, answer: str, left_out: int, untold: list[str]
) -> None:
    """Results that a later call has used; what was computed last and used by none is told, too."""
    ground = Ground([user("30 USD + 40 GBP in total in EUR?")])
    ground.add(found({"converted": 813.56}, STEP), '{"amount": 30}')
    ground.add(found({"converted": 893.14}, OTHER), '{"amount": 40}')
    computed = ToolResult("1706.7", True, derived=True)
    ground.add(computed, json.dumps({"expression": expression}))
    assert len(ground.problems(answer)) == left_out
    assert ground.untold(answer) == untold


def test_a_calculation_that_a_call_has_used_is_not_told() -> None:
    """The sentence of what came of it is."""
    ground = Ground([user("Half of 30 USD in EUR?")])
    ground.add(ToolResult("15", True, derived=True), '{"expression": "30 / 2"}')
    ground.add(found({"converted": 406.78}, "15 USD is 406.78 EUR."), '{"amount": 15}')
    assert ground.untold("") == ["15 USD is 406.78 EUR."]
