"""What a model would be told, and how `/v1` reads what it says: commands that need no model."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Command, Done, commands
from scripted_engine import CHATML, LLAMA31, QWEN3, Fills, ScriptedEngine
from v1_client import Serve, error_of, post, serving

from function_calling.engines import LoadedModel
from function_calling.engines.grammar import grammar
from function_calling.formats import FORMATS, Format
from function_calling.model.chat_model import ChatModel
from function_calling.settings import Settings

command = pytest.fixture(commands)
serve = pytest.fixture(serving)
USER = {"role": "user", "content": "北京今天天气怎么样?"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "查询天气",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
TODAY = {"type": "function", "function": {"name": "today"}}
TOOLS = {"messages": [USER], "tools": [WEATHER, TODAY]}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
CALL = {"id": "a", "function": {"name": "today", "arguments": "{}"}}
RESULT = [USER, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "周一"}]
JSON_CONTENT = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "integer"}}}


def written(path: Path, content: Any) -> Path:
    """A file with this text, or with this as JSON."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def sections(done: Done) -> dict[str, str]:
    """The texts by their headings."""
    assert (done.status, done.err) == (0, "")
    _, *parts = re.split(r"(?m)^===== (.*) =====\n", done.out)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def prompt_in(told: dict[str, str], form: str) -> str:
    """The prompt, of the length that its heading tells."""
    (heading,) = (each for each in told if each.startswith(f"prompt: {form}, "))
    length = int(heading.split()[-2])
    assert told[heading][length:] == "\n"
    return told[heading][:length]


def v1_model(form: Format) -> Any:
    """Makes the model that `/v1` has when it is served with the default settings."""

    def make(engine: ScriptedEngine) -> ChatModel:
        loaded = LoadedModel("scripted", engine, CHATML, "", "", Settings().context_length)
        return ChatModel(loaded, form)

    return make


# render

REQUESTS: list[tuple[Any, ...]] = [
    ({"tool_choice": "required", "parallel_tool_calls": False}, Fills()),
    ({"messages": RESULT, "tools": []}, "Sunny."),
    ({"response_format": JSON_CONTENT}, "42"),
    ({"tool_format": "react_zh", "tool_choice": NAMED}, Fills()),
]


@pytest.mark.parametrize("form", ["hermes", "react_en", "qwen3coder"])
def test_the_prompt_and_the_constraints_are_those_that_v1_gives_to_an_engine(
    form: str, serve: Serve, command: Command, tmp_path: Path
) -> None:
    """Character by character; what doesn't depend on the format is asked of one alone."""
    options = ("--format", form, "--template", written(tmp_path / "template.jinja", CHATML))
    begun = FORMATS[form].calls([("get_weather", "{}")])
    calls = {"messages": RESULT, "parallel_tool_calls": False}, begun, Fills("get_weather")
    for more, *turns in [calls, *REQUESTS][: None if form == "hermes" else 2]:
        body = {**TOOLS, **more}
        engine = serve(*turns, make=v1_model(FORMATS[form]))
        assert asyncio.run(post(body)).status_code == 200
        told = sections(command("render", *options, given=body))
        assert prompt_in(told, more.get("tool_format", form)) == engine.prompts[0]
        constraint = engine.samplings[0].constraint
        shown = [told[each] for each in told if each.startswith("constraint behind the prompt")]
        assert shown == ([grammar(constraint) + "\n"] if constraint else [])
        if turns[0] == begun:
            first, second = engine.prompts
            behind = json.dumps(second.removeprefix(first), ensure_ascii=False)
            heading = f"constraint once a call begins, behind {behind}"
            assert told[heading] == grammar(engine.samplings[1].constraint) + "\n"


def test_only_calls_that_may_be_made_have_grammars(command: Command) -> None:
    """The model is still told of all tools; keywords that aren't enforced are named."""
    parameters = {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}
    other = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    for choice, form, names in (
        (NAMED, "react_en", []),
        ("auto", "toolbench", ["get_weather", "today", "f", "Finish"]),
    ):
        body = {**TOOLS, "tools": [WEATHER, TODAY, other], "tool_choice": choice}
        told = sections(command("render", "--format", form, given=body))
        begun = [each for each in told if each.startswith("constraint once")]
        assert [re.findall(r"Action: (\w+)", each) for each in begun] == [[it] for it in names]
        assert '"name": "today"' in prompt_in(told, form)
        assert told.get("not enforced") == ("f: a: not\n" if names else None)


def test_the_template_tells_the_format(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Unless it is named, or set; where none is told it is a list of JSON."""
    template = written(tmp_path / "llama.jinja", LLAMA31)
    told = sections(command("render", "--template", template, given=TOOLS))
    assert "<|start_header_id|>user" in prompt_in(told, "llama3")
    told = sections(command("render", given=TOOLS))
    assert "<|im_start|>user" in prompt_in(told, "json_list")
    monkeypatch.setenv("TOOL_FORMAT", "chatglm3")
    told = sections(command("render", given=TOOLS))
    assert "<|user|>\n 北京" in prompt_in(told, "chatglm3")


def test_the_prompt_of_a_model_that_thinks_has_the_requests_options(
    command: Command, tmp_path: Path
) -> None:
    """The constraint is that behind the reasoning, or without any."""
    template = written(tmp_path / "template.jinja", QWEN3)
    for effort, end in ((None, "assistant\n"), ("none", "</think>\n\n")):
        body = {**TOOLS, "tool_choice": "required", "reasoning_effort": effort}
        told = sections(command("render", "--template", template, given=body))
        prompt, constraint = list(told)
        assert told[prompt].endswith(end + '<tool_call>\n{"name": "\n')
        assert constraint.endswith("a call")


def test_what_v1_refuses_is_refused_in_the_same_words(serve: Serve, command: Command) -> None:
    """One line on stderr, exit status 1."""
    serve("x", make=v1_model(FORMATS["hermes"]))
    nobody = {"type": "function", "function": {"name": "nobody"}}
    for body in (b"{not json", {**TOOLS, "tool_choice": nobody}):
        status, error = asyncio.run(error_of(body))
        assert status == 400
        done = command("render", given=body)
        assert (done.status, done.err) == (1, error["message"] + "\n")


def test_what_cannot_be_read_is_named(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file, why, and what was wanted."""
    none = tmp_path / "none"
    for arguments in (["render", none], ["parse", "--tools", none]):
        done = command(*arguments, given=TOOLS)
        assert (done.status, done.out) == (1, "")
        assert done.err == f"{none}: No such file or directory; wanted a file, or -.\n"
    monkeypatch.setenv("MODEL_PATH", str(none))
    assert command("render", given=TOOLS).err.startswith(f"{none}: it holds no chat template")


# parse

WEATHER_CALL = '{"name": "get_weather", "arguments": {"city": "北京"}}'
TEXT = f"我查一下。\n<tool_call>\n{WEATHER_CALL}\n</tool_call>"
CALLED = 'call: get_weather {"city": "北京"}\n'
TOLD = f"我查一下。\n{CALLED}"


@pytest.fixture
def parsed(command: Command, tmp_path: Path) -> Command:
    """Runs `parse` on a text, with the tools of a file."""

    def run(text: str | bytes, tools: Any = TOOLS, form: str = "hermes") -> Done:
        path = written(tmp_path / "tools.json", tools)
        return command("parse", "--tools", path, "--format", form, given=text)

    return run


@pytest.mark.parametrize(
    ("tools", "text", "told"),
    [
        ([WEATHER], TEXT, TOLD),
        ({**TOOLS, "messages": RESULT, "tool_choice": "required"}, TEXT, TOLD),
        ([], TEXT, TEXT + "\n"),
        ([], "天".encode()[:2] + b" ok", "\ufffd ok\n"),  # a recording may be cut anywhere
    ],
)
def test_content_and_calls_of_the_tools_are_told(
    tools: Any, text: str | bytes, told: str, parsed: Command
) -> None:
    """On lines that end; of a request its tools alone count, and without any a tag is text."""
    assert parsed(text, tools) == Done(0, told, "")


def test_reasoning_is_neither_content_nor_a_call(
    parsed: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the template's marks stand around it; behind it the text is read as ever."""
    monkeypatch.setenv("MODEL_PATH", str(written(tmp_path / "template.jinja", QWEN3)))
    thought = f"<think>\n{TEXT}?\n</think>\n\n"
    assert parsed(thought + "Sunny.") == Done(0, "Sunny.\n", "")
    assert parsed(thought + TEXT) == Done(0, TOLD, "")


AT = "leaves the grammar of /v1 at "
TODAY_CALL = '{"name":"today","arguments":{}}'
TWO = CALLED + "call: today {}\n"
FENCED = '```json\n{\n  "name": "get_weather",\n  "arguments": {\n    "city": "北京"\n  }\n}\n```'
TAGS_ALONE = FORMATS["qwen3coder"].calls([("get_weather", '{"city": "42", "days": 42}')])
ANSWER = FORMATS["toolbench"].calls([("Finish", '{"final_answer": "Sunny."}')])
GIVEN_ANSWER = ANSWER.replace('{"', '{"return_type": "give_answer", "')


@pytest.mark.parametrize(
    ("form", "text", "told", "leaves"),
    [
        ("hermes", WEATHER_CALL, CALLED, ""),
        ("json_list", FENCED, CALLED, AT + '"```"'),
        ("hermes", f"<tool_call>{WEATHER_CALL}</tool_call>\n<tool_call>{TODAY_CALL}", TWO, ""),
        ("json_list", f"[{WEATHER_CALL},{TODAY_CALL}]", TWO, ""),
        ("qwen3coder", TAGS_ALONE, 'call: get_weather {"city": "42", "days": 42}\n', ""),
        ("toolbench", GIVEN_ANSWER, "Sunny.\n", ""),
        ("hermes", TEXT[:58], "我查一下。\n", ""),
        ("pythonic", "[get_weather(city='北京')]", "", AT + "\"'北京')]\""),
        ("hermes", TEXT.replace('"北京"', "7"), "我查一下。\n", AT + '"7}}'),
        ("hermes", TEXT.replace("get_weather", "nobody"), "我查一下。\n", AT + '"\\n{'),
        ("mistral", f"[TOOL_CALLS] [{{}}, {TODAY_CALL}]", "", AT + '" [{}, {'),
    ],
)
def test_a_call_is_read_as_far_as_the_grammar_goes(
    form: str, text: str, told: str, leaves: str, parsed: Command
) -> None:
    """However it is spelled and spaced; stderr tells where the text leaves the grammar."""
    done = parsed(text, form=form)
    assert (done.status, done.out) == (0, told)
    assert bool(done.err) == bool(leaves)
    assert not done.err or done.err.startswith(f"The text {leaves}")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("nothing", "tools.json: wanted a list of tools, or a request with `tools`, as JSON."),
        ('{"messages": []}', "tools.json: wanted a list of tools"),
        ("7", "tools.json: wanted a list of tools"),
        ("[7]", "tools[0]=7"),
    ],
)
def test_a_file_without_tools_is_refused(content: str, told: str, parsed: Command) -> None:
    """Named, with what was wanted."""
    done = parsed("Hello", content)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert told in done.err


@pytest.mark.parametrize(
    ("redirected", "told"),
    [
        (">/dev/full", "[Errno 28] No space left on device\n"),
        ("<&- >&-", "The body is not JSON: EOF while parsing a value at line 1 column 0.\n"),
    ],
)
def test_a_closed_or_full_input_or_output_ends_it_in_a_sentence(redirected: str, told: str) -> None:
    """No traceback, and exit status 1."""
    shell = f"echo '{json.dumps({'messages': [USER]})}' | {sys.executable} -m function_calling"
    done = subprocess.run(
        ["bash", "-c", f"{shell} render {redirected}"], capture_output=True, check=False, text=True
    )
    assert (done.returncode, done.stderr) == (1, told)


def test_a_command_loads_no_server_and_no_engine(tmp_path: Path) -> None:
    """So it starts at once; and it speaks UTF-8 whatever the terminal's encoding is.

    Before it has begun, nothing is loaded that would break off with a traceback at Ctrl-C.
    """
    path = written(tmp_path / "request.json", TOOLS)
    loaded = "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    code = (
        f"import sys; from function_calling.__main__ import main; {loaded}; "
        f"main(['render', {str(path)!r}]); {loaded}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        env={"PYTHONIOENCODING": "latin-1"},
    )
    assert "北京今天天气怎么样?" in done.stdout.decode()
    before, after = (set(line.split()) for line in done.stderr.decode().splitlines())
    assert "pydantic" in after - before
    assert not after & {"bentoml", "fastapi", "starlette", "uvicorn", "xllamacpp", "openai"}
