"""Messages and tools become the prompt that the model's family was trained on, byte for byte."""

import json

import pytest
from scripted_engine import CHATML, LLAMA31

from function_calling.formats import FORMATS, HERMES, JSON_LIST, LLAMA3, Format, choose_format
from function_calling.formats.rendering import render, split_turns
from function_calling.formats.template import ChatTemplate
from function_calling.model.words import Message, Tool
from function_calling.settings import TOOL_FORMATS

CONVERT = Tool("convert", "Convert\nmoney, e.g. €", {"type": "object", "properties": {"a": {}}})
TODAY = Tool("today", "", {"type": "object", "properties": {}})
CONVERT_JSON = (
    '{"type": "function", "function": {"name": "convert", "description": "Convert\\nmoney, e.g. '
    '€", "parameters": {"type": "object", "properties": {"a": {}}}}}'
)
TODAY_JSON = (
    '{"type": "function", "function": {"name": "today", "description": "", '
    '"parameters": {"type": "object", "properties": {}}}}'
)
BOTH = [json.loads(TODAY_JSON), json.loads(CONVERT_JSON)]
INDENTED = "\n".join(json.dumps(each, indent=4, ensure_ascii=False) for each in BOTH)
FUNCTIONS = json.dumps([each["function"] for each in BOTH], indent=4, ensure_ascii=False)
SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "42 USD?"}


def writing(call: str, marks: str = "") -> str:
    """A template that writes tools, results and calls, those of `f` so, and holds some marks."""
    frame = (
        "{# marks #}{{ tools | tojson }}{% for m in messages %}[{{ m.role }}]{{ m.content }}"
        "{% for c in m.tool_calls or [] %}{% set f = c.function %}CALL{% endfor %}{% endfor %}"
    )
    return frame.replace("CALL", call).replace("marks", marks)


NAME, ARGUMENTS = '"name": "{{ f.name }}"', "{{ f.arguments | tojson }}"
HERMES_CALL = f'<tool_call>\n{{{NAME}, "arguments": {ARGUMENTS}}}'
TAGS = (
    "<tool_call>\n<function={{ f.name }}>\n{% for name, value in f.arguments | items %}"
    "<parameter={{ name }}>\n{{ value }}\n</parameter>\n{% endfor %}</function>\n</tool_call>"
)
HERMES_NATIVE = writing(HERMES_CALL)
# The fault stands in the template's own source, where the quotes are escaped.
HERMES_FAULTY = writing(HERMES_CALL, '{{\\"name\\"')


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


CALL_TODAY = called(("a", "today", "{}"))
MONDAY = result("a", '"Monday"')


def prompt(form: Format, source: str, messages: list[Message], *tools: Tool) -> str:
    """The prompt through the template of this source."""
    return render(form, ChatTemplate(source, "<s>", "</s>"), messages, tools)


def turns(form: str, messages: list[Message], *tools: Tool) -> list[str]:
    """The turns of the prompt through a template of plain turns, without their frames."""
    text = prompt(FORMATS[form], CHATML, messages, *tools)
    return [turn.removeprefix("<|im_start|>") for turn in text.split("<|im_end|>\n")]


# Which format


def test_every_format_can_be_set() -> None:
    """By its name."""
    assert set(TOOL_FORMATS) == set(FORMATS)


@pytest.mark.parametrize(
    ("name", "template", "form"),
    [
        ("auto", CHATML, JSON_LIST),
        ("auto", HERMES_FAULTY, JSON_LIST),
        ("auto", 'Respond in the format {"name": function name, "parameters": …', LLAMA3),
        ("hermes", LLAMA31, HERMES),
    ],
)
def test_the_template_tells_the_format_unless_it_is_set(
    name: str, template: str, form: Format
) -> None:
    """A template that speaks none, or wrongly, gets a list of JSON."""
    assert choose_format(name, template) is form


# Plain turns: the template knows nothing of tools


def test_hermes_tells_the_tools_at_the_end_of_the_system_turn() -> None:
    """Each on a line of its own, and the call with single braces; without the turn, in one."""
    system, user, _ = turns("hermes", [SYSTEM, USER], CONVERT, TODAY)
    assert system.startswith("system\nBe brief.\n\n# Tools\n\n")
    assert f"<tools>\n{CONVERT_JSON}\n{TODAY_JSON}\n</tools>" in system
    assert system.endswith(
        '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
    )
    assert user == "user\n42 USD?"
    alone = turns("hermes", [USER], CONVERT, TODAY)
    assert alone[:2] == [system.replace("Be brief.\n\n", ""), user]


@pytest.mark.parametrize(
    ("form", "place", "begins", "ends"),
    [
        ("llama3", 1, "user\nGiven the following", f"{INDENTED}\n\n42 USD?"),
        (
            *("mistral", 3),
            f"user\n[AVAILABLE_TOOLS] [{TODAY_JSON}, {CONVERT_JSON}][/AVAILABLE_TOOLS]\n\n",
            "And EUR?",
        ),
        ("chatglm3", 0, "system\nBe brief.\n\nAnswer the", f"tools:\n{FUNCTIONS}"),
    ],
)
def test_tools_are_told_where_the_family_tells_them(
    form: str, place: int, begins: str, ends: str
) -> None:
    """As lines or as one list, indented or not; all other turns stay as they are."""
    later = {"role": "user", "content": "And EUR?"}
    history = [SYSTEM, USER, {"role": "assistant", "content": "Yes."}, later]
    told, plain = turns(form, history, TODAY, CONVERT), turns(form, history)
    assert told[place].startswith(begins)
    assert told[place].endswith(ends)
    assert told[:place] + told[place + 1 :] == plain[:place] + plain[place + 1 :]


def test_braces_in_texts_are_only_braces() -> None:
    """Content that looks like a placeholder of ours is not filled in."""
    tool = Tool("today", "{tools} {content}", {"type": "object"})
    history = [USER, CALL_TODAY, result("a", "{content} {tools}")]
    text = prompt(HERMES, CHATML, history, tool)
    assert text.count('"description": "{tools} {content}"') == 1
    assert "<tool_response>\n{content} {tools}\n</tool_response>" in text


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (
            "hermes",
            [
                'assistant\nBoth.\n<tool_call>\n{"name": "convert", "arguments": {"a": 1}}\n'
                '</tool_call>\n<tool_call>\n{"name": "today", "arguments": {}}\n</tool_call>',
                "user\n<tool_response>\n3.14\n</tool_response>\n"
                "<tool_response>\nMonday\n</tool_response>",
                "assistant\nDone.",
            ],
        ),
        (
            "pythonic",
            [
                "assistant\nBoth.\n[convert(a=1), today()]",
                *("user\n3.14\nMonday", "assistant\nDone."),
            ],
        ),
        (
            "mistral_v11",
            [
                'assistant\nBoth.\n[TOOL_CALLS]convert[ARGS]{"a": 1}[TOOL_CALLS]today[ARGS]{}',
                "user\n[TOOL_RESULTS] 3.14[/TOOL_RESULTS]\n[TOOL_RESULTS] Monday[/TOOL_RESULTS]",
                "assistant\nDone.",
            ],
        ),
        (
            "chatglm3",
            [
                *("assistant\nBoth.", "assistant\nconvert\n```python\ntool_call(a=1)\n```"),
                *("user\n3.14", "assistant\ntoday\n```python\ntool_call()\n```"),
                *("user\nMonday", "assistant\nDone."),
            ],
        ),
        (
            "react_en",
            [
                'assistant\nThought: Both.\nAction: convert\nAction Input: {"a": 1}\n'
                "Observation: 3.14\nAction: today\nAction Input: {}\n"
                "Observation: Monday\nFinal Answer: Done.",
            ],
        ),
        (
            "toolbench",
            [
                'assistant\nThought: Both.\nAction: convert\nAction Input: {"a": 1}\n',
                *("user\n3.14", "assistant\nAction: today\nAction Input: {}\n"),
                *("user\nMonday", "assistant\nFinal Answer: Done."),
            ],
        ),
    ],
)
def test_calls_and_results_stand_where_the_family_has_them(form: str, told: list[str]) -> None:
    """In one turn or in one each, behind what was said; a thought stays with its first action."""
    calls = called(("a", "convert", '{"a": 1}'), ("b", "today", "{}"), content="Both.")
    done = {"role": "assistant", "content": "Done."}
    history = [USER, calls, result("a", "3.14"), result("b", "Monday"), done]
    assert turns(form, history)[1:-1] == told


def test_results_stand_in_turns_of_a_role_that_the_template_knows() -> None:
    """One that it never saw could be refused or misread."""
    for source, role in ((CHATML, "user"), ("{# ipython #}" + CHATML, "ipython")):
        text = prompt(LLAMA3, source, [USER, CALL_TODAY, MONDAY])
        assert text.count(f'<|im_start|>{role}\n"Monday"<|im_end|>') == 1


def test_a_faulty_template_frames_plain_turns_and_tells_no_tools_itself() -> None:
    """The tools are told once, by us, with single braces, since the model copies what it sees."""
    text = prompt(HERMES, HERMES_FAULTY, [USER, CALL_TODAY, MONDAY], TODAY)
    assert "{{" not in text
    assert text.startswith("null[system]# Tools")


# Turns that a template can't write

FRAMED = "{% for m in messages %}%s[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
REFUSES = "{% if {} %}{{ raise_exception('No') }}{% endif %}"
LEAVES_OUT = "{% if {} %}{% continue %}{% endif %}"
ALTERNATING = (
    "{% set system = messages[0].content ~ '/' if messages[0].role == 'system' else '' %}"
    "{% for m in (messages[1:] if system else messages) %}"
    + REFUSES.replace("{}", "(m.role == 'user') != (loop.index0 % 2 == 0)")
    + "[{{ m.role }}]{{ system if loop.first }}{{ m.content }}{% endfor %}[assistant]"
)
WITH_THE_LAST = (
    "{% for m in messages %}{% if m.role != 'system' %}[{{ m.role }}]"
    "{% if loop.last and m.role == 'user' %}{{ messages[0].content }}/{% endif %}"
    "{{ m.content }}{% endif %}{% endfor %}[assistant]"
)
PARTS = FRAMED.replace("m.content", "m.content[0].text")
LISTS_TOOLS = "{% for tool in tools %}{{ tool }}{% endfor %}" + FRAMED
IS_SYSTEM = "m.role == 'system'"


def unless(written: str = "", condition: str = "") -> str:
    """A template of plain turns that refuses those of a condition, or leaves them out."""
    return FRAMED.replace("%s", written.replace("{}", condition))


def spoken(texts: str) -> list[Message]:
    """Turns of system, user and assistant, each told by its first letter: "s1 u1 a1 u2"."""
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": roles[text[0]], "content": text} for text in texts.split()]


@pytest.mark.parametrize(
    ("source", "told", "written"),
    [
        (
            *(unless(), "s1 s2 a1 u1 u2 a2 s3 u3"),
            "[system]s1[system]s2[assistant]a1[user]u1[user]u2[assistant]a2[system]s3[user]u3",
        ),
        (unless(REFUSES, IS_SYSTEM), "s1 s2 u1 u2", "[user]s1\n\ns2\n\nu1[user]u2"),
        (unless(REFUSES, IS_SYSTEM), "u1 s1", "[user]u1[user]s1"),
        (unless(LEAVES_OUT, IS_SYSTEM), "s1 u1", "[user]s1\n\nu1"),
        (
            *(unless(LEAVES_OUT, f"{IS_SYSTEM} and not loop.first"), "s1 s2 u1 a1 s3 u2"),
            "[system]s1\n\ns2[user]u1[assistant]a1[user]s3\n\nu2",
        ),
        (ALTERNATING, "s1 s2 u1 u2", "[user]s1\n\ns2/u1\n\nu2"),
        (ALTERNATING, "u1 a1 a2 u2 s1", "[user]u1[assistant]a1\n\na2[user]u2\n\ns1"),
        (ALTERNATING, "s1 a1 u1", "[user]s1/[assistant]a1[user]u1"),
        (ALTERNATING, "a1 u1", "[user][assistant]a1[user]u1"),
        (ALTERNATING, "s1", "[user]s1"),
        (WITH_THE_LAST, "s1 u1 a1 u2", "[user]u1[assistant]a1[user]s1/u2"),
        (WITH_THE_LAST, "s1 u1 a1", "[user]s1\n\nu1[assistant]a1"),
        (PARTS.replace("%s", ""), "s1 u1 a1", "[system]s1[user]u1[assistant]a1"),
        (LISTS_TOOLS.replace("%s", ""), "u1", "[user]u1"),
    ],
)
def test_what_a_template_would_refuse_or_leave_out_stands_in_a_turn_that_it_writes(
    source: str, told: str, written: str
) -> None:
    """Only that: all other turns stand as they are."""
    assert prompt(JSON_LIST, source, spoken(told)) == f"{written}[assistant]"


@pytest.mark.parametrize(
    "source",
    [
        ALTERNATING,
        unless(REFUSES, "m.role not in ('user', 'assistant')"),
        unless(
            "{# tool ipython observation #}" + LEAVES_OUT, "m.role not in ('user', 'assistant')"
        ),
    ],
    ids=["in turns", "refuses", "leaves out what it names"],
)
def test_tools_calls_and_results_are_told_by_every_template(source: str) -> None:
    """In every format, with a question right behind the results."""
    history = [SYSTEM, USER, called(("a", "convert", '{"a": 42}')), result("a", "131.95"), USER]
    for form in FORMATS.values():
        text = prompt(form, source, history, TODAY)
        places = [text.rindex(told) for told in ("Be brief.", "convert", "131.95", "42 USD?")]
        assert places == sorted(places), form.name
        assert "today" in text


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("[{{ m.role }}]", "[user]Ada L.: 42 USD?"),
        ("[{{ m.role }} {{ m.name }}]", "[user Ada\n L.]42 USD?"),
        ("[{{ m.role }} {{ m.name if m.role == 'system' }}]", "[user ]Ada L.: 42 USD?"),
    ],
)
def test_the_model_is_told_who_speaks(head: str, told: str) -> None:
    """By the template, or before the text; a call's name is no speaker's."""
    ada = {**USER, "name": "Ada\n L."}
    history = [ada, CALL_TODAY, {**MONDAY, "name": "today"}, {**USER, "name": "Bo"}]
    for form in FORMATS.values():
        text = prompt(form, unless().replace("[{{ m.role }}]", head), history)
        assert text.startswith(told)
        assert text.count("Bo") == 1
        assert "today: " not in text


# Native: the template knows the format


def test_a_native_template_is_given_tools_and_calls_as_openai_has_them() -> None:
    """It writes the tools itself, and the arguments as JSON, not as a string of JSON."""
    history = [USER, called(("a", "convert", '{"a": 42, "to": "¥"}')), result("a", "131.95")]
    assert prompt(HERMES, HERMES_NATIVE, history, CONVERT) == (
        f"[{CONVERT_JSON}][user]42 USD?"
        '[assistant]<tool_call>\n{"name": "convert", "arguments": {"a": 42, "to": "¥"}}'
        "[tool]131.95"
    )


@pytest.mark.parametrize("arguments", ["", "{not json", "[" * 5000, r'{"a": "\ud800"}'])
def test_malformed_arguments_in_a_history_are_shown_as_they_were(arguments: str) -> None:
    """What a model once wrote wrongly must not end the conversation."""
    for source in (CHATML, HERMES_NATIVE):
        text = prompt(HERMES, source, [USER, called(("a", "convert", arguments))])
        assert f'"arguments": {arguments}}}\n</tool_call>' in text
        assert text.encode()


@pytest.mark.parametrize(
    ("source", "form", "native"),
    [
        (writing(HERMES_CALL.replace(" ", "").replace("\n", "")), "hermes", True),
        (writing(TAGS), "qwen3coder", True),
        (writing(HERMES_CALL, "<function="), "hermes", True),
        (writing(f'[TOOL_CALLS] [{{"id": "1", {NAME}, "arguments": {ARGUMENTS}'), "mistral", True),
        (writing("[TOOL_CALLS]{{ f.name }}[CALL_ID]x[ARGS]" + ARGUMENTS), "mistral_v11", True),
        (writing(f'{{{NAME}, "parameters": {ARGUMENTS}}}', "<|python_tag|>"), "llama3", True),
        (writing("<tool_call>{{ f.name }}<arg>{{ f.arguments }}"), "hermes", False),
        (writing(HERMES_CALL.replace("| tojson", "")), "hermes", False),
        (writing(HERMES_CALL + "{{ raise_exception('No') }}"), "hermes", False),
        (writing(HERMES_CALL).replace("tools |", "7 |"), "hermes", False),
        (
            writing(HERMES_CALL).replace("{{ m.content", "{{ m.tool_call_id or m.content"),
            "hermes",
            False,
        ),
    ],
)
def test_a_format_is_native_where_the_template_writes_a_call_in_it(
    source: str, form: str, native: bool
) -> None:
    """A mark alone may be another family's; tools and results have to be there, too.

    Keys may come in any order, and a call's id anywhere.
    """
    chosen = choose_format("auto", source)
    assert chosen.name == form
    assert chosen.native(ChatTemplate(source)) is native
    told = prompt(chosen, source, [USER, CALL_TODAY, MONDAY], TODAY)
    assert told.count("Monday") == told.count(TODAY_JSON) == 1


@pytest.mark.parametrize("arguments", ['{"city": "Os', '"Oslo"', '{"city": "Oslo"}'])
def test_a_call_that_its_template_can_not_write_is_told_in_plain_turns(arguments: str) -> None:
    """Such as one that was cut, where the template writes arguments one by one."""
    call = called(("a", "today", arguments))
    text = prompt(FORMATS["qwen3coder"], writing(TAGS), [USER, call, MONDAY, USER], TODAY)
    written = "<parameter=city>\nOslo\n</parameter>\n" if "}" in arguments else arguments
    assert f"<tool_call>\n<function=today>\n{written}</function>\n</tool_call>" in text
    assert text.count("Monday") == text.count(TODAY_JSON) == 1
    assert text.endswith("42 USD?")


# One call a turn


def one_a_turn(*history: Message) -> list[str]:
    """The turns behind the question that Llama's template writes, without their frames."""
    text = prompt(LLAMA3, LLAMA31, [USER, *history]).removesuffix("assistant<|end_header_id|>\n\n")
    text = text.replace("<|start_header_id|>", "").replace("<|end_header_id|>\n\n", ": ")
    return text.removesuffix("<|eot_id|>").split("<|eot_id|>")[1:]


def test_a_call_or_a_result_without_the_other_is_kept_where_it_stands() -> None:
    """A history may have been cut."""
    calls = called(("a", "convert", "{}"), ("b", "today", "{}"))
    assert one_a_turn(calls, result("a", "3.14"), result("x", "2.72")) == [
        'assistant: {"name": "convert", "parameters": {}}',
        'ipython: "3.14"',
        'assistant: {"name": "today", "parameters": {}}',
        'ipython: "2.72"',
    ]


def test_a_result_is_that_of_the_nearest_call_of_its_id() -> None:
    """Some clients number the calls of every turn anew, some servers give all the same id."""
    for ids in (("0", "1"), ("x", "x")):
        history = []
        for results in (("one", "two"), ("three", "four")):
            history.append(called(*((id_, "today", "{}") for id_ in ids)))
            history += map(result, ids, results)
        told = ['ipython: "one"', 'ipython: "two"', 'ipython: "three"', 'ipython: "four"']
        assert one_a_turn(*history)[1::2] == told


def test_reasoning_stands_before_the_first_of_the_turns_that_a_message_becomes() -> None:
    """It was thought once."""
    message = called(("a", "convert", "{}"), ("b", "today", "{}"))
    for content in ("One moment.", ""):
        told = {**message, "content": content, "reasoning_content": "Hm."}
        first, *others = split_turns(LLAMA3, [told])
        assert first["reasoning_content"] == "Hm."
        assert not any("reasoning_content" in turn for turn in others)
