"""Messages and tools become the prompt that the model's family was trained on."""

import json

import pytest
from scripted_engine import CHATML, LLAMA31

from function_calling.errors import RequestError
from function_calling.formats import FORMATS, HERMES, JSON_LIST, LLAMA3, Format, choose_format
from function_calling.formats.rendering import render, split_turns
from function_calling.formats.template import ChatTemplate
from function_calling.model.words import Message, Tool
from function_calling.settings import TOOL_FORMATS

CONVERT = Tool("convert", "Convert money, e.g. €", {"type": "object", "properties": {"amount": {}}})
TODAY = Tool("today", "", {"type": "object", "properties": {}})
CONVERT_JSON = (
    '{"type": "function", "function": {"name": "convert", "description": "Convert money, e.g. €", '
    '"parameters": {"type": "object", "properties": {"amount": {}}}}}'
)
TODAY_JSON = (
    '{"type": "function", "function": {"name": "today", "description": "", '
    '"parameters": {"type": "object", "properties": {}}}}'
)
SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "42 USD?"}

HERMES_NATIVE = """\
{%- if tools %}
    {{- 'TOOLS\\n' }}
    {%- for tool in tools %}
        {{- tool | tojson + '\\n' }}
    {%- endfor %}
    {{- '<tool_call>{"name": NAME, "arguments": ARGUMENTS}</tool_call>\\n' }}
{%- endif %}
{%- for message in messages %}
    {{- '[' + message.role + ']' + message.content }}
    {%- for call in message.tool_calls or [] %}
        {{- '<tool_call>' + call.function.name + call.function.arguments | tojson }}
    {%- endfor %}
{%- endfor %}
{{- '[assistant]' }}
"""
# The fault stands in the template's own source, where the quotes are escaped.
HERMES_FAULTY = HERMES_NATIVE.replace(
    """'<tool_call>{"name": NAME, "arguments": ARGUMENTS}</tool_call>\\n'""",
    '''"<tool_call>{{\\"name\\": NAME, \\"arguments\\": ARGUMENTS}}</tool_call>\\n"''',
)


def called(*calls: tuple[str, str, str], content: str = "") -> Message:
    """An assistant's turn with calls, each an id, a name and its arguments."""
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": [
            {"id": id_, "function": {"name": name, "arguments": arguments}}
            for id_, name, arguments in calls
        ],
    }


def result(id_: str, content: str) -> Message:
    """A tool's result."""
    return {"role": "tool", "tool_call_id": id_, "content": content}


def prompt(form: Format, source: str, messages: list[Message], tools: tuple[Tool, ...] = ()) -> str:
    """The prompt through the template of this source."""
    return render(form, ChatTemplate(source, "<s>", "</s>"), messages, tools)


# Which format


def test_every_format_can_be_set() -> None:
    """By its name."""
    assert set(TOOL_FORMATS) == set(FORMATS)


@pytest.mark.parametrize(
    ("name", "template", "form"),
    [
        ("auto", CHATML, JSON_LIST),
        ("auto", "", JSON_LIST),
        ("auto", HERMES_FAULTY, JSON_LIST),
        ("auto", HERMES_NATIVE, HERMES),
        ("auto", LLAMA31, LLAMA3),
        ("auto", 'Respond in the format {"name": function name, "parameters": …', LLAMA3),
        ("hermes", LLAMA31, HERMES),
        ("llama3", CHATML, LLAMA3),
    ],
)
def test_the_template_tells_the_format_unless_it_is_set(
    name: str, template: str, form: Format
) -> None:
    """A template that speaks none, or wrongly, gets a list of JSON."""
    assert choose_format(name, template) is form


def test_a_template_that_writes_the_calls_wrongly_is_not_trusted_with_them() -> None:
    """Doubled braces in the example are copied by the model, so the example must be ours."""
    assert not JSON_LIST.native(HERMES_FAULTY)
    assert HERMES.native(HERMES_NATIVE)
    assert not HERMES.native(HERMES_FAULTY)
    assert not HERMES.native(CHATML)
    assert LLAMA3.native(LLAMA31)


# The spelling of a call


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (
            HERMES,
            '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>\n'
            '<tool_call>\n{"name": "g", "arguments": {}}\n</tool_call>',
        ),
        (LLAMA3, '{"name": "f", "parameters": {}}; {"name": "g", "parameters": {}}'),
        (JSON_LIST, '[{"name": "f", "arguments": {}}, {"name": "g", "arguments": {}}]'),
    ],
)
def test_calls_of_one_turn_are_parted_as_the_family_parts_them(form: Format, text: str) -> None:
    """Several calls, byte for byte."""
    assert form.calls([("f", "{}"), ("g", "{}")]) == text


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_a_call_is_parted_from_what_stands_before_it(form: Format) -> None:
    """Nothing at the beginning, a line break behind text."""
    assert form.before_call("") == form.calls_open
    assert form.before_call("Let me see.") == "\n" + form.calls_open


# Plain turns: the template knows nothing of tools


def test_without_tools_the_messages_go_through_the_template_as_they_are() -> None:
    """No text of ours is added."""
    assert prompt(HERMES, CHATML, [SYSTEM, USER]) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\n42 USD?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_hermes_tells_the_tools_at_the_end_of_the_system_turn() -> None:
    """Each tool on a line of its own, and the call shown with single braces."""
    text = prompt(HERMES, CHATML, [SYSTEM, USER], (CONVERT, TODAY))
    system, user, _ = text.split("<|im_end|>\n")
    assert system.startswith("<|im_start|>system\nBe brief.\n\n# Tools\n\n")
    assert f"<tools>\n{CONVERT_JSON}\n{TODAY_JSON}\n</tools>" in system
    assert system.endswith(
        '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
    )
    assert user == "<|im_start|>user\n42 USD?"


def test_hermes_makes_a_system_turn_where_there_is_none() -> None:
    """The tools come first of all."""
    text = prompt(HERMES, CHATML, [USER], (TODAY,))
    assert text.startswith("<|im_start|>system\n# Tools\n\n")
    assert text.count("# Tools") == 1


def test_several_calls_are_shown_in_the_list_that_the_model_is_asked_for() -> None:
    """Asked for and shown alike, with their results as the format tells them."""
    history = [
        USER,
        called(("a", "convert", '{"amount": 42}'), ("b", "today", "{}")),
        result("a", "131.95"),
        result("b", "Monday"),
    ]
    text = prompt(JSON_LIST, CHATML, history, (TODAY,))
    system, _, assistant, results, _ = text.split("<|im_end|>\n")
    assert '\n[{"name": <function-name>, "arguments": <args-json-object>}, ...]' in system
    assert assistant == (
        '<|im_start|>assistant\n[{"name": "convert", "arguments": {"amount": 42}}, '
        '{"name": "today", "arguments": {}}]'
    )
    assert results.count("<tool_response>") == 2


def test_llama3_tells_the_tools_in_the_first_user_turn() -> None:
    """They stand indented before what the user says; later turns stay as they are."""
    later = {"role": "user", "content": "And EUR?"}
    text = prompt(LLAMA3, CHATML, [SYSTEM, USER, later], (TODAY,))
    system, first, second, _ = text.split("<|im_end|>\n")
    assert system == "<|im_start|>system\nBe brief."
    assert first.startswith("<|im_start|>user\nGiven the following functions")
    assert first.endswith(json.dumps(json.loads(TODAY_JSON), indent=4) + "\n\n42 USD?")
    assert second == "<|im_start|>user\nAnd EUR?"


def test_braces_in_texts_are_only_braces() -> None:
    """Content that looks like a placeholder of ours is not filled in."""
    tool = Tool("today", "{tools} {content}", {"type": "object"})
    history = [USER, called(("a", "today", "{}")), result("a", "{content} {tools}")]
    text = prompt(HERMES, CHATML, history, (tool,))
    assert text.count('"description": "{tools} {content}"') == 1
    assert "<tool_response>\n{content} {tools}\n</tool_response>" in text


def test_hermes_writes_calls_and_results_as_text() -> None:
    """The call behind what was said, the results of one turn in one user turn."""
    history = [
        USER,
        called(("a", "convert", '{"amount": 42}'), ("b", "today", "{}"), content="One moment."),
        result("a", "131.95"),
        result("b", '"Monday"'),
    ]
    assert prompt(HERMES, CHATML, history) == (
        "<|im_start|>user\n42 USD?<|im_end|>\n"
        "<|im_start|>assistant\nOne moment.\n"
        '<tool_call>\n{"name": "convert", "arguments": {"amount": 42}}\n</tool_call>\n'
        '<tool_call>\n{"name": "today", "arguments": {}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\n131.95\n</tool_response>\n"
        '<tool_response>\n"Monday"\n</tool_response><|im_end|>\n'
        "<|im_start|>assistant\n"
    )


def test_llama3_results_stand_in_user_turns_where_the_template_knows_no_ipython() -> None:
    """A role that a template never saw could be refused or misread."""
    history = [USER, called(("a", "today", "{}")), result("a", '"Monday"')]
    text = prompt(LLAMA3, CHATML, history)
    assert '<|im_start|>user\n"Monday"<|im_end|>' in text
    assert "ipython" not in text


def test_llama3_results_stand_in_ipython_turns_where_the_template_knows_them() -> None:
    """Also when the rest of the template is not Llama's."""
    history = [USER, called(("a", "today", "{}")), result("a", '"Monday"')]
    text = prompt(LLAMA3, "{# ipython #}" + CHATML, history)
    assert '<|im_start|>ipython\n"Monday"<|im_end|>' in text


def test_a_faulty_template_frames_plain_turns_and_tells_no_tools_itself() -> None:
    """The tools are told once, by us, with single braces."""
    history = [USER, called(("a", "today", "{}")), result("a", '"Monday"')]
    text = prompt(HERMES, HERMES_FAULTY, history, (TODAY,))
    assert "TOOLS" not in text
    assert "{{" not in text
    assert text.startswith("[system]# Tools")
    assert '[assistant]<tool_call>\n{"name": "today", "arguments": {}}\n</tool_call>' in text
    assert '[user]<tool_response>\n"Monday"\n</tool_response>' in text


@pytest.mark.parametrize("arguments", ["", "{not json", '{"a": 1', "42"])
def test_malformed_arguments_in_a_history_are_shown_as_they_were(arguments: str) -> None:
    """What a model once wrote wrongly must not end the conversation."""
    text = prompt(HERMES, CHATML, [USER, called(("a", "convert", arguments))])
    assert f'"arguments": {arguments}}}\n</tool_call>' in text


# Native: the template knows the format


def test_a_native_template_is_given_tools_and_calls_as_openai_has_them() -> None:
    """It writes the tools itself, and the arguments as JSON, not as a string of JSON."""
    history = [USER, called(("a", "convert", '{"amount": 42, "to": "¥"}')), result("a", "131.95")]
    assert prompt(HERMES, HERMES_NATIVE, history, (CONVERT,)) == (
        f"TOOLS\n{CONVERT_JSON}\n"
        '<tool_call>{"name": NAME, "arguments": ARGUMENTS}</tool_call>\n'
        "[user]42 USD?"
        '[assistant]<tool_call>convert{"amount": 42, "to": "¥"}'
        "[tool]131.95"
        "[assistant]"
    )


@pytest.mark.parametrize("arguments", ["{not json", "[" * 5000, r'{"a": "\ud800"}'])
def test_a_native_template_is_given_malformed_arguments_as_text(arguments: str) -> None:
    """Broken, bottomless, or no Unicode: the prompt is written, and can be sent."""
    text = prompt(HERMES, HERMES_NATIVE, [USER, called(("a", "convert", arguments))])
    assert f"<tool_call>convert{json.dumps(arguments)}" in text
    assert text.encode()


def test_llama3_native_tells_tools_once_and_results_in_ipython() -> None:
    """The particulars of Llama 3.1's template: quoted results, and the begin token."""
    history = [USER, called(("a", "today", "{}")), result("a", '"Monday"'), USER]
    text = prompt(LLAMA3, LLAMA31, history, (TODAY,))
    assert text.startswith("<s><|start_header_id|>user<|end_header_id|>\n\nAnswer with a call")
    assert text.count('"name": "today"') == 2  # offered, and called
    assert '{"name": "today", "parameters": {}}<|eot_id|>' in text
    assert r"<|start_header_id|>ipython<|end_header_id|>" + '\n\n"\\"Monday\\""<|eot_id|>' in text
    assert text.endswith("<|start_header_id|>assistant<|end_header_id|>\n\n")


def turns_of(text: str) -> list[str]:
    """The turns that the Llama template wrote, without their frames."""
    return [
        turn.replace("<|start_header_id|>", "").replace("<|end_header_id|>\n\n", ": ")
        for turn in text.removeprefix("<s>").split("<|eot_id|>")
    ]


def test_llama3_splits_several_calls_into_pairs_of_call_and_result() -> None:
    """Its template refuses more than one call a turn; results may come in any order."""
    history = [
        USER,
        called(("a", "convert", '{"amount": 1}'), ("b", "today", "{}"), content="One moment."),
        result("b", "Monday"),
        result("a", "3.14"),
        USER,
    ]
    assert turns_of(prompt(LLAMA3, LLAMA31, history)) == [
        "user: 42 USD?",
        "assistant: One moment.",
        'assistant: {"name": "convert", "parameters": {"amount": 1}}',
        'ipython: "3.14"',
        'assistant: {"name": "today", "parameters": {}}',
        'ipython: "Monday"',
        "user: 42 USD?",
        "assistant: ",
    ]


def test_reasoning_stands_before_the_first_of_the_turns_that_a_message_becomes() -> None:
    """It was thought once."""
    message = called(("a", "convert", "{}"), ("b", "today", "{}"), content="One moment.")
    for content in ("One moment.", ""):
        told = {**message, "content": content, "reasoning_content": "Hm."}
        first, *others = split_turns(LLAMA3, [told])
        assert first["reasoning_content"] == "Hm."
        assert not any("reasoning_content" in turn for turn in others)


def test_llama3_keeps_a_call_whose_result_is_missing() -> None:
    """A history may have been cut."""
    history = [USER, called(("a", "convert", "{}"), ("b", "today", "{}")), result("a", "3.14")]
    assert turns_of(prompt(LLAMA3, LLAMA31, history))[1:-1] == [
        'assistant: {"name": "convert", "parameters": {}}',
        'ipython: "3.14"',
        'assistant: {"name": "today", "parameters": {}}',
    ]


def test_llama3_keeps_a_result_whose_call_is_missing() -> None:
    """It is told where it stands."""
    text = prompt(LLAMA3, LLAMA31, [USER, result("x", "3.14"), USER])
    assert turns_of(text)[1] == 'ipython: "3.14"'


def test_llama3_pairs_results_with_the_nearest_call_of_their_id() -> None:
    """Some clients number the calls of every turn anew."""
    history = [
        USER,
        called(("0", "convert", '{"amount": 1}'), ("1", "convert", '{"amount": 2}')),
        result("0", "one"),
        result("1", "two"),
        called(("0", "convert", '{"amount": 3}'), ("1", "convert", '{"amount": 4}')),
        result("0", "three"),
        result("1", "four"),
    ]
    turns = turns_of(prompt(LLAMA3, LLAMA31, history))
    assert turns[2:-1:2] == [
        'ipython: "one"',
        'ipython: "two"',
        'ipython: "three"',
        'ipython: "four"',
    ]


def test_llama3_pairs_calls_that_share_an_id_in_order() -> None:
    """Some servers give every call the same id."""
    history = [
        USER,
        called(("x", "convert", '{"amount": 1}'), ("x", "convert", '{"amount": 2}')),
        result("x", "one"),
        result("x", "two"),
    ]
    turns = turns_of(prompt(LLAMA3, LLAMA31, history))
    assert turns[2:-1:2] == ['ipython: "one"', 'ipython: "two"']


def test_llama3_shows_malformed_arguments_as_text() -> None:
    """The template quotes them."""
    turns = turns_of(prompt(LLAMA3, LLAMA31, [USER, called(("a", "convert", "{not json"))]))
    assert turns[1] == 'assistant: {"name": "convert", "parameters": "{not json"}'


def test_what_the_template_refuses_is_the_requests_error() -> None:
    """The caller reads the template's own words."""
    refusing = "{{ raise_exception('Users and assistants must alternate') }}"
    with pytest.raises(RequestError, match="Users and assistants must alternate"):
        prompt(HERMES, refusing, [USER])


def test_the_messages_given_are_left_as_they_were() -> None:
    """A prompt can be written twice from the same history."""
    history = [
        SYSTEM,
        USER,
        called(("a", "convert", "{}"), ("b", "today", "{}")),
        result("a", "1"),
        result("b", "2"),
    ]
    before = json.dumps(history)
    for form, source in [(HERMES, CHATML), (HERMES, HERMES_NATIVE), (LLAMA3, LLAMA31)]:
        first = prompt(form, source, history, (TODAY,))
        assert prompt(form, source, history, (TODAY,)) == first
        assert json.dumps(history) == before
