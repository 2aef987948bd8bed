"""An operator chooses tool sets by name, also of their own; several become one."""

import json
import sys
from contextlib import closing
from pathlib import Path

import pytest

from function_calling.errors import SettingsError
from function_calling.settings import Settings
from function_calling.todo.store import TodoStore
from function_calling.todo.tools import todo_tools
from function_calling.toolbox.tool_sets import CLOSING, load_tool_sets
from function_calling.toolbox.toolbox import Toolbox
from tools import currency_tools

MODULE = '''
from functools import partial
from function_calling.toolbox.tool_sets import ToolSet


def weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: Where.
    """
    return f"Sunny in {city}."


def undocumented(city: str) -> str:
    return city


forecast = ToolSet(functions=[weather], system_prompt="Tell the weather.", first_choice="auto")
nameless = ToolSet(functions=[partial(weather, "Oslo")])
'''

OURS = {"currency": lambda: currency_tools(Settings()), "todo": lambda: todo_tools(TodoStore())}


@pytest.fixture
def my_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the working directory, which each test has for itself."""
    name = f"tools_of_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    # What is added to the path is gone after the test.
    monkeypatch.setattr("sys.path", [*sys.path])
    return name


async def test_one_tool_turns_away_what_no_set_is_for() -> None:
    """Neither set's own: what one turns away may be for the other. All fit a small context."""
    with closing(load_tool_sets("currency, todo", OURS)) as tools:
        toolbox = Toolbox(tools.functions)
    assert list(toolbox.descriptions) == [
        *("convert_currency", "calculate", "list_tasks", "create_task", "update_task"),
        *("delete_task", "reply_without_tool"),
    ]
    about = "not about converting money or to-do tasks"
    assert toolbox.descriptions["reply_without_tool"] == f"Answer a message that is {about}."
    turned = f"If the message is {about}, call reply_without_tool."
    assert tools.system_prompt.count("reply_without_tool") == 1
    assert tools.system_prompt.endswith(f" {turned} {CLOSING}")
    result = await toolbox.call("reply_without_tool", "{}")
    told = "I can only help with converting money or to-do tasks."
    assert (result.content, result.final) == (told, True)
    # A token is about four characters.
    assert len(json.dumps(toolbox.schemas)) + len(tools.system_prompt) < 4500


async def test_an_operators_own_tools_are_found_by_name(my_tools: str) -> None:
    """From the working directory."""
    tools = load_tool_sets(f"{my_tools}:weather", OURS)
    toolbox = Toolbox(tools.functions)
    assert (list(toolbox.descriptions), tools.topic) == (
        ["weather", "reply_without_tool"],
        "weather",
    )
    assert (await toolbox.call("weather", '{"city": "Oslo"}')).content == "Sunny in Oslo."


def test_beside_a_set_that_must_call_all_must(my_tools: str) -> None:
    """And one message may be for none of them."""
    joined = load_tool_sets(f"currency,{my_tools}:forecast", OURS)
    assert joined.first_choice == "required"
    assert "not about converting money or weather, call" in joined.system_prompt


@pytest.mark.parametrize(
    ("chosen", "wrong"),
    [
        ("", "TOOLS='': wanted currency, todo or module:attribute, divided by commas."),
        ("{my}:", "TOOLS names '{my}:': wanted currency, todo or module:attribute"),
        ("{my}:wether", "has no attribute 'wether'"),
        ("{my}:ToolSet", "neither a function, nor an object with public methods, nor a ToolSet"),
        ("{my}:undocumented", "undocumented has no docstring"),
        ("{my}:nameless", "wanted a function with a name"),
        ("todo,{my}_ends:x", "(SystemExit: set KEY\\nfirst)"),
        ("{my}_wrong:x", "first_choice\\n  Input should be 'required' or 'auto'"),
        ("todo,todo", "TOOLS='todo,todo': Two tools are called list_tasks"),
    ],
)
def test_a_wrong_choice_ends_the_start(my_tools: str, chosen: str, wrong: str) -> None:
    """The operator reads which name is wrong, in a line."""
    Path(f"{my_tools}_ends.py").write_text("raise SystemExit('set KEY\\nfirst')")
    wrong_set = f"{MODULE}x = ToolSet(functions=[weather], first_choice='Required')"
    Path(f"{my_tools}_wrong.py").write_text(wrong_set)
    with pytest.raises(SettingsError) as caught:
        load_tool_sets(chosen.format(my=my_tools), OURS)
    assert wrong.format(my=my_tools) in str(caught.value)
