"""Training text is what serving shows, and what is learned is what serving reads back."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bureau import user
from command_line import PYTHON_M, Command, commands
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_engine import LLAMA31, QWEN3

from function_calling.api.messages import conversation
from function_calling.cli.debug import played, requested
from function_calling.cli.samples import Sample, samples
from function_calling.cli.template_file import template_file
from function_calling.errors import RequestError
from function_calling.formats import FORMATS
from function_calling.formats.rendering import render, split_turns
from function_calling.formats.template import ChatTemplate
from function_calling.model.words import Message, Tool, ToolCall

OWN_TEMPLATES = {"llama3": ChatTemplate(LLAMA31, "<s>"), "hermes": ChatTemplate(QWEN3)}
command = pytest.fixture(commands)

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": PARAMETERS}}
    for name in ("weather", "news")
]
OFFERED = [Tool(name, "", PARAMETERS) for name in ("weather", "news")]


def said(content: str | None, *calls: tuple[str, str, Any], **more: Any) -> Message:
    """An assistant's message; each call has an id, a name and arguments."""
    message: Message = {"role": "assistant", "content": content, **more}
    if calls:
        message["tool_calls"] = [
            {
                "id": identity,
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)},
            }
            for identity, name, arguments in calls
        ]
    return message


def result(identity: str, content: str) -> Message:
    """A tool's result."""
    return {"role": "tool", "tool_call_id": identity, "content": content}


WEATHER = ("a", "weather", {"city": "北京"})
TALK = [
    {"role": "system", "content": "Be brief."},
    user("今天北京的天气怎么样?"),
    said("好的,让我们来查看今天的天气", WEATHER),
    result("a", '{"temperature": 22}'),
    said("22 度。"),
]


def made(
    messages: Any, name: str = "hermes", template: ChatTemplate | None = None, **more: Any
) -> list[Sample]:
    """The samples of a conversation with both tools, in plain turns unless a template is given."""
    body = {"messages": messages, "tools": TOOLS, **more}
    plain = template_file("", name)
    return samples(json.dumps(body).encode(), FORMATS[name], template or plain)


def learned(sample: Sample) -> list[str]:
    """The texts of its spans."""
    return [sample.text[start:end] for start, end in sample.spans]


def calls_in(message: Message) -> list[tuple[str, Any]]:
    """The calls that were recorded."""
    functions = [call["function"] for call in message.get("tool_calls", ())]
    return [(each["name"], json.loads(each["arguments"])) for each in functions]


def read(name: str, text: str) -> list[tuple[str, Any]]:
    """The calls that `/v1` reads in a text."""
    body = json.dumps({"messages": [user("?")], "tools": TOOLS}).encode()
    events, _ = played(requested(body, FORMATS[name], template_file("", name)), text)
    calls = [each for each in events if isinstance(each, ToolCall)]
    return [(call.name, json.loads(call.arguments)) for call in calls]


words = st.text(alphabet="ab Z9.?!,:;'\"\\/<>|{}[]()=\n\t天气é🙂", min_size=1, max_size=12)
arguments = st.fixed_dictionaries(
    {}, optional={"city": words, "days": st.integers(-(10**15), 10**15)}
).map(lambda it: dict(sorted(it.items())))


@st.composite
def conversations(draw: Callable[..., Any]) -> list[Message]:
    """Questions, each with steps of calls and their results, and an answer."""
    messages: list[Message] = draw(
        st.just([]) | words.map(lambda it: [{**user(it), "role": "system"}])
    )
    for question in range(draw(st.integers(1, 3))):
        messages.append(user(draw(words)))
        for step in range(draw(st.integers(0, 2))):
            made_calls = draw(
                st.lists(st.tuples(st.sampled_from(["weather", "news"]), arguments), max_size=2)
            )
            calls = [(f"{question}-{step}-{n}", *each) for n, each in enumerate(made_calls)]
            if calls:
                messages.append(said(draw(st.just("") | words), *calls))
                messages += [result(identity, draw(words)) for identity, *_ in calls]
        messages.append(said(draw(words)))
    return messages


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "template"),
    [*((name, template_file("", name)) for name in FORMATS), *OWN_TEMPLATES.items()],
)
@settings(max_examples=12)
@given(messages=conversations())
def test_every_turn_is_learned_behind_the_prompt_that_serving_gives(
    name: str, template: ChatTemplate, messages: list[Message]
) -> None:
    """Each assistant's turn once, its calls read back as they were recorded."""
    turns = split_turns(FORMATS[name], conversation(messages))
    prompts = {
        render(FORMATS[name], template, turns[:index], OFFERED): turn
        for index, turn in enumerate(turns)
        if turn["role"] == "assistant"
    }
    spans = 0
    for sample in made(messages, name, template):
        for start, end in sample.spans:
            turn = prompts.pop(sample.text[:start])
            if calls_in(turn):
                assert read(name, sample.text[start:end]) == calls_in(turn)
            assert end > start
            spans += 1
    assert not prompts
    assert spans == sum(turn["role"] == "assistant" for turn in turns)


# What single formats write


LINES = ChatTemplate(
    "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
TWO_MARKS = ChatTemplate(
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
    "{{ '<|eom|>' if '<tool_call>' in m.content else '<|eot|>' }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
LEARNED = {
    "text and call are turns of two": (
        TALK,
        "chatglm3",
        None,
        [
            "\n 好的,让我们来查看今天的天气<|assistant|>",
            'weather\n```python\ntool_call(city="北京")\n```<|observation|>',
            "\n 22 度。<|user|>",
        ],
    ),
    "a step ends before the observation": (
        TALK,
        "react_zh",
        None,
        [
            "Thought: 好的,让我们来查看今天的天气\n"
            'Action: weather\nAction Input: {"city": "北京"}\nObservation:',
            "Final Answer: 22 度。<|im_end|>",
        ],
    ),
    "text in a turn before its call has no end, where a model would stop": (
        TALK,
        "llama3",
        OWN_TEMPLATES["llama3"],
        [
            "好的,让我们来查看今天的天气",
            '{"name": "weather", "parameters": {"city": "北京"}}<|eot_id|>',
            "22 度。<|eot_id|>",
        ],
    ),
    "without any mark, what begins the next turn ends it": (
        [user("Hi"), said("Hello")],
        "hermes",
        LINES,
        ["Hello\nuser:"],
    ),
    "a call may end by another mark than text": (
        [user("?"), said("", ("a", "news", {})), result("a", "Rain."), said("Rain.")],
        "hermes",
        TWO_MARKS,
        ['<tool_call>\n{"name": "news", "arguments": {}}\n</tool_call><|eom|>', "Rain.<|eot|>"],
    ),
    "what has weight 0 is not, its text and its calls, also where a result comes late": (
        [
            *TALK[:2],
            TALK[2] | {"weight": 0},
            said("Wait.", weight=0),
            TALK[3],
            TALK[4] | {"weight": 1},
        ],
        "chatglm3",
        None,
        ["\n 22 度。<|user|>"],
    ),
    "a greeting that nobody asked for is not learned": (
        [said("Welcome!"), user("Hi"), said("Hello"), user("Thanks")],
        "hermes",
        None,
        ["Hello<|im_end|>"],
    ),
}


@pytest.mark.parametrize(("talk", "name", "template", "texts"), LEARNED.values(), ids=LEARNED)
def test_each_turn_is_learned_up_to_where_the_model_stops(
    talk: list[Message], name: str, template: ChatTemplate | None, texts: list[str]
) -> None:
    """The rest is shown: results, too, where they stand in the assistant's own turn."""
    (sample,) = made(talk, name, template)
    assert learned(sample) == texts
    told = " ".join(str(message["content"]) for message in talk[:-1])
    assert all(word in sample.text for word in re.findall(r"\w+", told))


def test_a_call_without_its_result_ends_as_the_others_do() -> None:
    """The mark is there, though nothing follows it."""
    (whole,), (cut,) = made(TALK, "react_en"), made(TALK[:3], "react_en")
    assert whole.text.startswith(cut.text)
    assert learned(cut) == learned(whole)[:1]
    assert cut.spans[-1][1] == len(cut.text)


def test_turns_that_a_later_prompt_tells_otherwise_get_samples_of_their_own() -> None:
    """Qwen3's empty thoughts go."""
    talk = [*TALK, user("明天?"), said("Rain.")]
    first, second = made(talk, "hermes", OWN_TEMPLATES["hermes"])
    assert [len(first.spans), len(second.spans)] == [2, 1]
    assert not second.text.startswith(first.text)
    assert second.text.endswith(learned(second)[0])
    assert learned(first)[1] == "<think>\n\n</think>\n\n22 度。<|im_end|>"


def test_what_a_template_writes_otherwise_than_it_begins_is_refused() -> None:
    """No text could teach it."""
    thinking = ChatTemplate(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: <think>{% endif %}"
    )
    with pytest.raises(RequestError, match='writes "Hello" otherwise'):
        made([user("Hi"), said("Hello")], template=thinking)


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([user("Hi")], "messages holds nothing to learn: wanted an assistant's message"),
        ([user("Hi"), said("x", weight=0.5)], "messages[1].weight=0.5: wanted 0 or 1"),
        (
            [user("Hi"), said("", ("a", "wether", {}))],
            'messages[1].tool_calls[0].function.name="wether": wanted one of the tools: weather',
        ),
        (
            [user("Hi"), said("", ("a", "weather", [1]))],
            'messages[1].tool_calls[0].function.arguments="[1]": wanted an object as JSON',
        ),
    ],
)
def test_what_is_wrong_is_named(messages: Any, told: str) -> None:
    """The place, the value, and what was wanted."""
    with pytest.raises(RequestError, match=re.escape(told)):
        made(messages, "pythonic")


# The command


def as_lines(*conversations: Any) -> bytes:
    """A file of conversations."""
    return b"".join(json.dumps(it, ensure_ascii=False).encode() + b"\n" for it in conversations)


def test_good_lines_come_out_and_wrong_ones_are_told_with_their_numbers(
    command: Command, tmp_path: Path
) -> None:
    """Exit status 1; lines without anything in them are passed over."""
    good, wrong = {"messages": TALK, "tools": TOOLS}, {"messages": TALK}
    path = tmp_path / "conversations.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf" + as_lines(good) + b"\n{not json\n[1]\n" + as_lines(wrong, good)
    )
    done = command("samples", "--format", "chatglm3", path)
    assert done.status == 1
    first, last = [json.loads(line) for line in done.out.splitlines()]
    (expected,) = made(TALK, "chatglm3")
    assert first == last == {"text": expected.text, "spans": [list(it) for it in expected.spans]}
    assert "北京" in done.out
    numbers = re.findall(r"(?m)^line (\d+): (.{10})", done.err)
    assert numbers == [("3", "The body i"), ("4", "The body i"), ("5", "messages[2")]
    assert done.err.count("\n") == 3


def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    """As with `… | head -1`, of more text than a pipe holds."""
    path = tmp_path / "conversations.jsonl"
    path.write_bytes(as_lines({"messages": TALK, "tools": TOOLS}) * 300)
    with subprocess.Popen(
        [*PYTHON_M, "samples", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["spans"]
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 1
