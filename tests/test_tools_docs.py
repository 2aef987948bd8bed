"""`docs/tools.md` shows tools that are tools, and says what is so of them."""

import json
import re
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bureau import agent, results, user
from scripted_server import ScriptedServer, calls, says

from function_calling.settings import Settings
from function_calling.toolbox.tool_sets import load_tool_sets
from function_calling.toolbox.toolbox import Toolbox

TEXT = (Path(__file__).resolve().parent.parent / "docs/tools.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
(MADE_UP,) = re.findall(r"^```text\n(.*?)\n```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def my_tools(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """All that is shown, as the one module it says it is."""
    module = ModuleType("my_tools")
    monkeypatch.setitem(sys.modules, "my_tools", module)
    exec("\n".join(BLOCKS), module.__dict__)
    return module


@pytest.mark.parametrize(
    ("name", "arguments", "content"),
    [
        ("days_between", {"start": "2026-01-31", "end": "2026-02-28"}, "28"),
        (
            "order",
            {"items": [{"name": "tea", "price": 1.10}], "pay": "card", "day": "2026-01-31"},
            '{"total": 1.1, "day": "2026-01-31"}',
        ),
        ("opening_hours", {}, "The shop is open from 9 to 17."),
        ("rate", {"currency": "XYZ"}, "XYZ has no rate. Give one of CAD."),
        ("erase_everything", {}, "All is gone."),
    ],
)
async def test_the_tools_shown_do_what_they_say(
    my_tools: ModuleType, name: str, arguments: dict[str, Any], content: str
) -> None:
    """Called as they stand."""
    toolbox = Toolbox([getattr(my_tools, name)])
    assert (await toolbox.call(name, json.dumps(arguments))).content == content


async def test_the_object_and_the_set_shown_are_found(my_tools: ModuleType) -> None:
    """By the names that the text gives; the set has no way out, as it needs none."""
    toolbox = Toolbox(load_tool_sets("my_tools:shelf", {}).functions)
    assert (await toolbox.call("put", '{"title": "Emma"}')).content == "Emma is on the shelf."
    assert (await toolbox.call("look", "")).content == '["Emma"]'
    shop = load_tool_sets("my_tools:shop", {})
    assert shop.system_prompt.startswith("You take orders for a shop.")
    assert list(shop.functions) == [my_tools.order, my_tools.opening_hours]


def test_what_is_said_to_be_short_is_ten_lines() -> None:
    """With the imports that it needs."""
    marked = next(block for block in BLOCKS if "Said" in block)
    for block in (BLOCKS[0], marked):
        assert len([line for line in block.splitlines() if line]) <= 10


async def test_a_made_up_value_comes_back_with_those_that_occur(my_tools: ModuleType) -> None:
    """As it is shown; the model calls with one of them, and the function runs."""
    wrong, right = (("add_to", {"invoice": name, "quantity": 3}) for name in ("A-9999", "A-2041"))
    server = ScriptedServer(calls(wrong), calls(right), says("Added 3."))
    await agent(server, my_tools.add_to).answer([user("Add 3 to invoice A-2041")])
    told, added = results(server)
    assert told.casefold() == MADE_UP.replace("\n", " ").casefold()
    assert added == "Added 3 to invoice A-2041."
    assert Toolbox([my_tools.add_to]).changes("add_to")


def test_every_setting_named_is_one() -> None:
    """And has the default that is told."""
    known = {each.name.upper(): each.default for each in fields(Settings)}
    named = re.findall(r"`([A-Z_]{5,})[=`]", TEXT)
    assert named
    assert set(named) <= known.keys()
    assert "`given`, the default" in TEXT
    assert known["APPROVAL"] == "given"
