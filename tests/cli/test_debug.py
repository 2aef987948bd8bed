"""What a model would be told, and how `/v1` reads what it says: commands that need no model."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import run, standard_input
from scripted_engine import CHATML, LLAMA31, QWEN3, Fills, ScriptedEngine
from v1_client import Serve, error_of, post, serving

from function_calling.engines import LoadedModel
from function_calling.engines.grammar import grammar
from function_calling.formats import FORMATS, Format
from function_calling.model.chat_model import ChatModel
from function_calling.settings import Settings

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


def rendered(body: Any, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """The exit status of `render` for a request on standard input."""
    standard_input(body if isinstance(body, bytes) else json.dumps(body), monkeypatch)
    return run("render", *options)


def sections(text: str) -> dict[str, str]:
    """The texts by their headings."""
    _, *parts = re.split(r"(?m)^===== (.*) =====\n", text)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def prompt_in(told: dict[str, str], form: str) -> str:
    """The prompt, of the length that its heading tells."""
    (heading,) = (each for each in told if each.startswith(f"prompt: {form}, "))
    length = int(heading.split()[-2])
    assert told[heading][length:] == "\n"
    return told[heading][:length]


def v1_model(template: str, form: Format) -> Any:
    """Makes the model that `/v1` has when it is served with the default settings."""

    def make(engine: ScriptedEngine) -> ChatModel:
        loaded = LoadedModel("scripted", engine, template, "", "", Settings().context_length)
        return ChatModel(loaded, form)

    return make


# render


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("more", "turn"),
    [
        ({}, "Sunny."),
        ({"tool_choice": "none"}, "Sunny."),
        ({"tool_choice": "required", "parallel_tool_calls": False}, Fills()),
        ({"tool_choice": NAMED}, Fills()),
        ({"messages": RESULT}, "Sunny."),
        ({"messages": RESULT, "tools": []}, "Sunny."),
        ({"response_format": JSON_CONTENT}, "42"),
        ({"tool_format": "react_zh", "tool_choice": NAMED}, Fills()),
    ],
    ids=["auto", "none", "required", "named", "result", "no tools", "JSON", "tool_format"],
)
def test_the_prompt_and_the_constraint_are_those_that_v1_gives_to_an_engine(
    form: str,
    more: dict[str, Any],
    turn: Any,
    serve: Serve,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Character by character."""
    body = {**TOOLS, **more}
    engine = serve(turn, make=v1_model(CHATML, FORMATS[form]))
    assert asyncio.run(post(body)).status_code == 200
    template = tmp_path / "template.jinja"
    template.write_text(CHATML)
    options = ("--format", form, "--template", str(template))
    assert rendered(body, monkeypatch, *options) == 0
    told = sections(capsys.readouterr().out)
    assert prompt_in(told, more.get("tool_format", form)) == engine.prompts[0]
    constraint = engine.samplings[0].constraint
    shown = [told[each] for each in told if each.startswith("constraint behind the prompt")]
    assert shown == ([grammar(constraint) + "\n"] if constraint else [])


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_the_constraint_of_a_begun_call_is_that_of_v1(
    form: str,
    serve: Serve,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the heading tells what stands before it."""
    begun = FORMATS[form].calls([("get_weather", "{}")])
    body = {**TOOLS, "parallel_tool_calls": False}
    engine = serve(begun, Fills("get_weather"), make=v1_model(CHATML, FORMATS[form]))
    assert asyncio.run(post(body)).json()["choices"][0]["finish_reason"] == "tool_calls"
    first, second = engine.prompts
    monkeypatch.setenv("TOOL_FORMAT", form)
    assert rendered(body, monkeypatch) == 0
    told = sections(capsys.readouterr().out)
    behind = json.dumps(second.removeprefix(first), ensure_ascii=False)
    heading = f"constraint once a call begins, behind {behind}"
    assert told[heading] == grammar(engine.samplings[1].constraint) + "\n"


def test_only_calls_that_may_be_made_have_grammars(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is still told of all tools, and of the format's own."""
    for choice, form, names in (
        (NAMED, "react_en", []),
        ("none", "react_en", []),
        ("auto", "toolbench", ["get_weather", "today", "Finish"]),
    ):
        assert rendered({**TOOLS, "tool_choice": choice}, monkeypatch, "--format", form) == 0
        told = sections(capsys.readouterr().out)
        begun = [each for each in told if each.startswith("constraint once")]
        assert [re.findall(r"Action: (\w+)", each) for each in begun] == [[it] for it in names]
        assert '"name": "today"' in prompt_in(told, form)


def test_keywords_that_are_not_enforced_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, and nothing goes to stderr."""
    parameters = {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}
    body = {"messages": [USER], "functions": [{"name": "f", "parameters": parameters}]}
    assert rendered(body, monkeypatch) == 0
    captured = capsys.readouterr()
    assert sections(captured.out)["not enforced"] == "f: a: not\n"
    assert captured.err == ""


def test_the_template_tells_the_format(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Unless it is named, or set; where none is told it is a list of JSON."""
    template = tmp_path / "llama.jinja"
    template.write_text(LLAMA31)
    assert rendered(TOOLS, monkeypatch, "--template", str(template)) == 0
    llama = sections(capsys.readouterr().out)
    assert "<|start_header_id|>user" in prompt_in(llama, "llama3")
    assert rendered(TOOLS, monkeypatch) == 0
    assert "<|im_start|>user" in prompt_in(sections(capsys.readouterr().out), "json_list")
    monkeypatch.setenv("TOOL_FORMAT", "chatglm3")
    assert rendered(TOOLS, monkeypatch) == 0
    assert "<|user|>\n 北京" in prompt_in(sections(capsys.readouterr().out), "chatglm3")


@pytest.mark.parametrize(
    "body",
    [
        b"{not json",
        b"[]",
        {"messages": []},
        {"messages": [{"role": "robot"}]},
        {**TOOLS, "temperature": 3},
        {**TOOLS, "audio": {}},
        {**TOOLS, "tools": [{"type": "custom"}]},
        {**TOOLS, "tool_choice": {"type": "function", "function": {"name": "nobody"}}},
        {**TOOLS, "functions": [{"name": "f"}]},
        {**TOOLS, "tool_format": "esperanto"},
        {**TOOLS, "response_format": {"type": "yaml"}},
        {"messages": [USER], "tools": [TODAY], "top_logprobs": 2},
        {
            "messages": [USER],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "strict": True, "schema": {"not": {}}},
            },
        },
        {
            "messages": [USER],
            "tools": [
                {
                    "name": "f",
                    "parameters": {
                        "required": ["a"],
                        "properties": {"a": {"type": "integer", "minimum": 3, "maximum": 2}},
                    },
                },
            ],
            "tool_choice": "required",
        },
    ],
)
def test_what_v1_refuses_is_refused_in_the_same_words(
    body: Any, serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line on stderr, exit status 1."""

    class Compiling(ScriptedEngine):
        """Compiles the grammar first, as the real engine does."""

        def generate(self, prompt: str, sampling: Any) -> Any:
            if sampling.constraint:
                grammar(sampling.constraint)
            return super().generate(prompt, sampling)

    serve(make=lambda _: v1_model(CHATML, FORMATS["hermes"])(Compiling("x", "x")))
    status, error = asyncio.run(error_of(body))
    assert status == 400
    assert rendered(body, monkeypatch) == 1
    captured = capsys.readouterr()
    assert captured.err == error["message"] + "\n"


def test_what_cannot_be_read_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file, why, and what was wanted."""
    empty, broken = tmp_path / "empty.json", tmp_path / "broken.jinja"
    empty.write_text("{}")
    broken.write_text("{% if %}")
    none = str(tmp_path / "none")
    for arguments, told in (
        (["render", none], f"{none}: No such file or directory; wanted a file, or -"),
        (["render", str(tmp_path)], f"{tmp_path}: Is a directory; wanted a file, or -"),
        (["render", "--template", none], f"{none}: No such file or directory; wanted a"),
        (["render", "--template", str(empty)], f"{empty}: it holds no chat template"),
        (["render", "--template", str(broken)], f"{broken}: The chat template is no"),
        (["parse", "--tools", none], f"{none}: No such file"),
        (["samples", none], f"{none}: No such file"),
    ):
        standard_input(json.dumps(TOOLS), monkeypatch)
        assert run(*arguments) == 1
        captured = capsys.readouterr()
        assert captured.err.startswith(told)
        assert captured.err.count("\n") == 1
        assert captured.out == ""
    monkeypatch.setenv("MODEL_PATH", none)
    assert rendered(TOOLS, monkeypatch) == 1
    assert capsys.readouterr().err.startswith(f"{none}: No such file")


def test_a_wrong_choice_is_the_usage_error_of_every_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit status 2, and the formats are listed."""
    for command in ("render", "parse", "samples"):
        with pytest.raises(SystemExit) as ended:
            run(command, "--format", "esperanto")
        assert ended.value.code == 2
        told = capsys.readouterr().err
        assert "'esperanto'" in told
        assert set(FORMATS) <= set(re.findall(r"\w+", told))


def test_the_help_tells_of_every_command_and_format(capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout, with exit status 0."""
    with pytest.raises(SystemExit) as ended:
        run("--help")
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(re.search(rf"(?m)^    {it} ", told) for it in ("serve", "ask", "render", "parse"))
    with pytest.raises(SystemExit):
        run("samples", "--help")
    assert set(FORMATS) <= set(re.findall(r"\w+", capsys.readouterr().out))


# parse


def parsed(
    text: str | bytes, tools: Any, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> int:
    """The exit status of `parse` for a text on standard input."""
    path = tmp_path / "tools.json"
    path.write_text(json.dumps(tools))
    standard_input(text, monkeypatch)
    return run("parse", "--tools", str(path), "--format", form)


WEATHER_CALL = '{"name": "get_weather", "arguments": {"city": "北京"}}'
TEXT = f"我查一下。\n<tool_call>\n{WEATHER_CALL}\n</tool_call>"
TOLD = '我查一下。\ncall: get_weather {"city": "北京"}\n'


@pytest.mark.parametrize(
    "tools",
    [
        [WEATHER],
        [WEATHER["function"]],
        TOOLS,
        {**TOOLS, "messages": RESULT, "tool_choice": "required"},
        {"functions": [WEATHER["function"]]},
    ],
    ids=["list", "flat", "request", "forced", "functions"],
)
def test_content_and_calls_of_the_tools_are_told(
    tools: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On lines of their own; of a request its tools alone count."""
    assert parsed(TEXT, tools, "hermes", tmp_path, monkeypatch) == 0
    assert capsys.readouterr() == (TOLD, "")


@pytest.mark.parametrize("text", ["Sunny.", TEXT, TEXT.removeprefix("我查一下。\n")])
@pytest.mark.parametrize("thought", ["", f"<think>\n{TEXT}?\n</think>\n\n"])
def test_reasoning_is_neither_content_nor_a_call(
    text: str,
    thought: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the template's marks stand around it; behind it the text is read as ever."""
    template = tmp_path / "template.jinja"
    template.write_text(QWEN3)
    assert parsed(text, [WEATHER], "hermes", tmp_path, monkeypatch) == 0
    told = capsys.readouterr()
    monkeypatch.setenv("MODEL_PATH", str(template))
    assert parsed(thought + text, [WEATHER], "hermes", tmp_path, monkeypatch) == 0
    assert capsys.readouterr() == told


def test_the_prompt_of_a_model_that_thinks_has_the_requests_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The constraint is that behind the reasoning, or without any."""
    template = tmp_path / "template.jinja"
    template.write_text(QWEN3)
    body = {**TOOLS, "tool_choice": "required"}
    for effort, end in ((None, "assistant\n"), ("none", "</think>\n\n")):
        body["reasoning_effort"] = effort
        assert rendered(body, monkeypatch, "--template", str(template)) == 0
        told = sections(capsys.readouterr().out)
        prompt, constraint = list(told)
        assert told[prompt].endswith(end + '<tool_call>\n{"name": "\n')
        assert constraint.endswith("a call")


@pytest.mark.parametrize(
    ("text", "told"),
    [("", ""), ("Sunny.", "Sunny.\n"), ("Sunny.\n", "Sunny.\n"), (TEXT, TEXT + "\n")],
)
def test_what_calls_no_offered_tool_is_content(
    text: str,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last line is ended; where no tool is offered, a tag is text."""
    assert parsed(text, [], "hermes", tmp_path, monkeypatch) == 0
    assert capsys.readouterr() == (told, "")


CALLED = 'call: get_weather {"city": "北京"}\n'
AT = "leaves the grammar of /v1 at "
TWO = CALLED + "call: today {}\n"
FENCED = '```json\n{\n  "name": "get_weather",\n  "arguments": {\n    "city": "北京"\n  }\n}\n```'


@pytest.mark.parametrize(
    ("form", "text", "told", "leaves"),
    [
        ("hermes", WEATHER_CALL, CALLED, ""),
        ("json_list", WEATHER_CALL, CALLED, ""),
        ("json_list", FENCED, CALLED, AT + '"```"'),
        ("hermes", f"<tool_call>{WEATHER_CALL}", CALLED, ""),
        (
            "hermes",
            f'<tool_call>{WEATHER_CALL}</tool_call><tool_call>{{"name":"today","arguments":{{}}}}',
            TWO,
            "",
        ),
        ("json_list", f'[{WEATHER_CALL},{{"name":"today","arguments":{{}}}}]', TWO, ""),
        ("pythonic", '[get_weather(city="北京"),today()]', TWO, ""),
        ("mistral_v11", '[TOOL_CALLS]get_weather[ARGS]{"city":"北京"}', CALLED, ""),
        ("llama3", '<|python_tag|>{"name":"get_weather","parameters":{"city":"北京"}}', CALLED, ""),
        ("react_en", 'Action: get_weather\nAction Input:\n{"city": "北京"}', CALLED, ""),
        ("hermes", f"{TEXT}\nIt is sunny.", TOLD, AT + '"It is sunny."'),
        ("hermes", TEXT[:58], "我查一下。\n", "ends early."),
        ("pythonic", "[get_weather(city='北京')]", "", AT + "\"'北京')]\""),
        ("hermes", TEXT.replace('"北京"', "7"), "我查一下。\n", AT + '"7}}'),
        (
            "hermes",
            TEXT.replace("get_weather", "nobody"),
            "我查一下。\n",
            AT + '"\\n{\\"name\\": \\"nobody',
        ),
    ],
)
def test_a_call_is_read_as_far_as_the_grammar_goes(
    form: str,
    text: str,
    told: str,
    leaves: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However it is spelled and spaced; stderr tells where the text leaves the grammar."""
    assert parsed(text, TOOLS, form, tmp_path, monkeypatch) == 0
    out, err = capsys.readouterr()
    assert out == told
    assert bool(err) == bool(leaves)
    assert not err or err.startswith(f"The text {leaves}")


def test_a_schema_tells_text_from_other_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In tags alone they look the same."""
    text = FORMATS["qwen3coder"].calls([("get_weather", '{"city": "42", "days": 42}')])
    assert parsed(text, TOOLS, "qwen3coder", tmp_path, monkeypatch) == 0
    assert capsys.readouterr().out == 'call: get_weather {"city": "42", "days": 42}\n'


def test_the_answer_in_toolbenchs_own_call_is_content(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on `/v1`, unless the client offers `Finish` itself."""
    said = '{"return_type": "give_answer", "final_answer": "Sunny."}'
    text = FORMATS["toolbench"].calls([("Finish", said)])
    assert parsed(text, TOOLS, "toolbench", tmp_path, monkeypatch) == 0
    assert capsys.readouterr().out == "Sunny.\n"
    finish = {"name": "Finish", "parameters": {"properties": {"final_answer": {"type": "string"}}}}
    text = FORMATS["toolbench"].calls([("Finish", '{"final_answer": "Sunny."}')])
    assert parsed(text, [finish], "toolbench", tmp_path, monkeypatch) == 0
    assert capsys.readouterr().out == 'call: Finish {"final_answer": "Sunny."}\n'


def test_bytes_that_are_no_text_are_shown_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording may be cut anywhere."""
    assert parsed("天".encode()[:2] + b" ok", TOOLS, "hermes", tmp_path, monkeypatch) == 0
    assert capsys.readouterr().out == "\ufffd ok\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("nothing", '"nothing": wanted a list of tools'),
        ("42", "42: wanted a list of tools"),
        ('{"messages": []}', '{"messages": []}: wanted a list of tools'),
        ("[7]", "tools[0]=7"),
        ('[{"name": ""}]', 'tools[0].name="": wanted a name'),
        ('[{"name": "f", "parameters": {"properties": 7}}]', "Tool f: "),
    ],
)
def test_a_file_without_tools_is_refused(
    content: str,
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Named, with what was wanted."""
    path = tmp_path / "tools.json"
    path.write_text(content)
    standard_input("Hello", monkeypatch)
    assert run("parse", "--tools", str(path)) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(str(path))
    assert told in captured.err
    assert captured.err.count("\n") == 1


# As processes


def test_a_command_loads_no_server_and_no_engine(tmp_path: Path) -> None:
    """So it starts at once; and it speaks UTF-8 whatever the terminal's encoding is."""
    path = tmp_path / "request.json"
    path.write_text(json.dumps(TOOLS))
    code = (
        "import sys; from function_calling.__main__ import main; "
        f"main(['render', {str(path)!r}]); "
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        env={"PYTHONIOENCODING": "latin-1"},
    )
    assert "北京今天天气怎么样?" in done.stdout.decode()
    loaded = set(done.stderr.decode().split())
    assert "pydantic" in loaded
    assert not loaded & {"bentoml", "fastapi", "starlette", "uvicorn", "xllamacpp", "openai"}
