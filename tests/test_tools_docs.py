"""`docs/tools.md` shows tools that are tools, and says what is so of them."""

import json
import re
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from function_calling.function_schema import Question
from function_calling.settings import Settings
from function_calling.tool_sets import load_tool_sets
from function_calling.toolbox import Toolbox, ToolOutcome

TEXT = (Path(__file__).resolve().parent.parent / "docs/tools.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def my_tools(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """All that is shown, as the one module it says it is."""
    module = ModuleType("my_tools")
    monkeypatch.setitem(sys.modules, "my_tools", module)
    exec("\n".join(BLOCKS), module.__dict__)
    return module


async def call(tool: Any, **arguments: Any) -> ToolOutcome:
    """What comes of a call, as a model makes it."""
    context = [Question("What?")]
    return await Toolbox([tool]).call(tool.__name__, json.dumps(arguments), context=context)


@pytest.mark.parametrize(
    ("name", "arguments", "content"),
    [
        ("days_between", {"start": "2026-01-31", "end": "2026-02-28"}, "28"),
        (
            "order",
            {"items": [{"name": "tea", "price": 1.10}], "pay": "card", "day": "2026-01-31"},
            '{"total": 1.1, "day": "2026-01-31"}',
        ),
        (
            "order",
            {"items": [{"name": "tea", "price": True, "size": "small"}], "pay": "card"},
            "order was not called: items.0.price=true is wrong: decimal input should be an "
            "integer, float, string or Decimal object.",
        ),
        (
            "order",
            {"items": [], "pay": "card", "day": 20260131},
            "order was not called: day=20260131 is wrong: wanted a date like 2026-01-31.",
        ),
        ("shout", {}, "WHAT?"),
        ("opening_hours", {}, "The shop is open from 9 to 17."),
        ("rate", {"currency": "CAD"}, "3.14159"),
        ("rate", {"currency": "XYZ"}, "XYZ has no rate; wanted one of CAD."),
        ("pause_alarm", {"minutes": "5"}, "Paused for 5 minutes."),
        ("erase_everything", {}, "All is gone."),
    ],
)
async def test_the_tools_shown_do_what_they_say(
    my_tools: ModuleType, name: str, arguments: dict[str, Any], content: str
) -> None:
    """Called as they stand."""
    assert (await call(getattr(my_tools, name), **arguments)).content == content


async def test_the_object_shown_offers_its_methods(my_tools: ModuleType) -> None:
    """By the name that the text gives."""
    toolbox = Toolbox(load_tool_sets("my_tools:shelf", {}).functions)
    assert (await toolbox.call("put", '{"title": "Emma"}')).content == "Emma is on the shelf."
    assert (await toolbox.call("look", "")).value == ["Emma"]


def test_the_set_shown_is_one(my_tools: ModuleType) -> None:
    """With its prompt, and no way out that it doesn't need."""
    tools = load_tool_sets("my_tools:shop,my_tools:days_between", {})
    assert tools.system_prompt.startswith("You take orders for a shop. If the message is not")
    assert load_tool_sets("my_tools:shop", {}).names == ["order", "opening_hours"]


def test_the_marks_shown_are_honoured(my_tools: ModuleType) -> None:
    """The one includes the other."""
    toolbox = Toolbox([my_tools.pause_alarm, my_tools.erase_everything, my_tools.rate])
    changing = [name for name in toolbox.descriptions if toolbox.changes(name)]
    assert changing == ["pause_alarm", "erase_everything"]


def test_the_first_tool_is_ten_lines() -> None:
    """With the import that it needs."""
    assert len([line for line in BLOCKS[0].splitlines() if line]) <= 10


def test_every_setting_named_is_one() -> None:
    """And has the default that is told."""
    known = {each.metadata["variable"]: each.default for each in fields(Settings)}
    named = re.findall(r"`([A-Z_]{5,})[=`]", TEXT)
    assert named
    assert set(named) <= known.keys()
    assert "`given`, the default" in TEXT
    assert known["APPROVAL"] == "given"
