"""Calls, results and tools stand in plain turns as each format has them, byte for byte."""

import json
from typing import Any

import pytest
from scripted_engine import CHATML

from function_calling.formats import FORMATS
from function_calling.formats.rendering import render
from function_calling.formats.template import ChatTemplate
from function_calling.model.words import Message, Tool

CHAT = ChatTemplate(CHATML)
USER: Message = {"role": "user", "content": "42 USD?"}
TOOLS = [
    Tool("convert", "Convert\nmoney", {"type": "object", "properties": {"amount": {}}}),
    Tool("today", "", {"type": "object"}),
]


def called(content: str, *names: str, place: int = 0) -> Message:
    """An assistant's turn that says something and calls."""
    calls = [
        {"id": f"{place}-{index}", "function": {"name": name, "arguments": '{"amount": 1}'}}
        for index, name in enumerate(names)
    ]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def result(content: str, place: int = 0) -> Message:
    """The first call's result."""
    return {"role": "tool", "tool_call_id": f"{place}-0", "content": content}


def turns(form: str, messages: list[Message], **more: Any) -> list[str]:
    """The turns of the prompt, without their frames."""
    text = render(FORMATS[form], CHAT, messages, more.get("tools", ()))
    return [turn.removeprefix("<|im_start|>") for turn in text.split("<|im_end|>\n")]


@pytest.mark.parametrize(
    ("form", "turn"),
    [
        ("pythonic", "Let me see.\n[convert(amount=1), today(amount=1)]"),
        (
            "mistral",
            'Let me see.\n[TOOL_CALLS] [{"name": "convert", "arguments": {"amount": 1}}, '
            '{"name": "today", "arguments": {"amount": 1}}]',
        ),
        (
            "mistral_v11",
            'Let me see.\n[TOOL_CALLS]convert[ARGS]{"amount": 1}'
            '[TOOL_CALLS]today[ARGS]{"amount": 1}',
        ),
    ],
)
def test_what_opens_the_calls_of_a_turn_stands_there_once(form: str, turn: str) -> None:
    """Also behind text."""
    message = called("Let me see.", "convert", "today")
    assert turns(form, [USER, message])[1] == f"assistant\n{turn}"


def test_a_thought_stays_with_the_action_that_it_leads_to() -> None:
    """Behind a result it is no final answer."""
    history = [
        USER,
        called("I need the rate.", "convert"),
        result("3.14"),
        called("And the day.", "today", place=1),
        result("Monday", place=1),
        {"role": "assistant", "content": "It is 131.95."},
    ]
    steps = [
        'Thought: I need the rate.\nAction: convert\nAction Input: {"amount": 1}\n',
        'Thought: And the day.\nAction: today\nAction Input: {"amount": 1}\n',
        "Final Answer: It is 131.95.",
    ]
    react = f"{steps[0]}Observation: 3.14\n{steps[1]}Observation: Monday\n{steps[2]}"
    assert turns("react_en", history)[1:-1] == [f"assistant\n{react}"]
    assert turns("toolbench", history)[1:-1] == [
        f"assistant\n{steps[0]}",
        "user\n3.14",
        f"assistant\n{steps[1]}",
        "user\nMonday",
        f"assistant\n{steps[2]}",
    ]


def test_a_thought_stays_with_the_first_of_several_actions() -> None:
    """Each has its own observation."""
    history = [USER, called("Both.", "convert", "today"), result("3.14")]
    assert turns("react_en", history)[1] == (
        'assistant\nThought: Both.\nAction: convert\nAction Input: {"amount": 1}\n'
        "Observation: 3.14\n"
        'Action: today\nAction Input: {"amount": 1}\n'
    )


def test_tools_before_the_last_question_stay_there_behind_results() -> None:
    """A result in a user's turn is no question."""
    history = [USER, called("", "convert"), result("3.14")]
    question, call, results, _ = turns("mistral", history, tools=TOOLS)
    assert question.startswith("user\n[AVAILABLE_TOOLS] [")
    assert question.endswith("][/AVAILABLE_TOOLS]\n\n42 USD?")
    assert results == "user\n[TOOL_RESULTS] 3.14[/TOOL_RESULTS]"
    assert "convert" in call


def test_chatglm3_is_told_its_tools_in_one_list() -> None:
    """Indented as JSON is."""
    system = turns("chatglm3", [USER], tools=TOOLS)[0]
    functions = [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in TOOLS
    ]
    assert system.endswith("tools:\n" + json.dumps(functions, indent=4))
