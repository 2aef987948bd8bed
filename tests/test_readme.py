"""The README says what is so: its commands, its answers, its code; and the settings' page."""

import json
import re
import subprocess
from dataclasses import fields
from typing import get_args

import pytest
import readme
from readme import ROOT

from function_calling.agent.events import ChatEvent
from function_calling.cli.serve import EXAMPLE
from function_calling.exchange.rates import FixedRates
from function_calling.settings import Settings
from function_calling.toolbox.toolbox import Toolbox
from tools import CurrencyTools

PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
PAGES += [f"docs/{each.name}" for each in sorted((ROOT / "docs").glob("*.md"))]
FOREIGN = (
    "my_tools.py",
    "test_models.py",
    "tests/api_resources/test_messages.py",
    "tests/api_resources/test_responses.py",
)
"""Files of a user, and of other projects."""


def test_the_settings_table_is_that_of_the_code() -> None:
    """Each variable with its default and meaning, in the same order."""
    _, table = (ROOT / "docs" / "settings.md").read_text().split("|---|---|---|\n")
    assert table.splitlines() == [
        f"| `{each.name.upper()}` | {f'`{each.default}`' if each.default != '' else '–'} "
        f"| {each.metadata['meaning']} |"
        for each in fields(Settings)
    ]


def test_the_events_of_a_chat_are_those_of_the_code() -> None:
    """Each with all that it holds."""
    text = (ROOT / "docs/observability.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE))
    for event in get_args(get_args(ChatEvent)[0]):
        held = event.model_fields.keys() - {"type"}
        assert held <= set(re.findall(r"`(\w+)`", told[event.model_fields["type"].default]))


def test_the_curls_body_is_the_documented_example() -> None:
    """The same that the command line asks by itself."""
    (body,) = re.findall(r"-d '(.*)'", readme.TEXT)
    assert json.loads(body) == {"query": EXAMPLE}


async def test_the_answer_shown_is_what_the_tool_says() -> None:
    """To the cent and to the letter."""
    toolbox = Toolbox([CurrencyTools(FixedRates()).convert_currency])
    arguments = {"from_currency": "USD", "to_currency": "CAD", "amount": 42}
    result = await toolbox.call("convert_currency", json.dumps(arguments), time_limit=5)
    assert result.summary == readme.blocks("text")[0].strip()


async def test_the_tool_shown_is_a_tool() -> None:
    """It can be offered and called as it stands, and its number must have been said."""
    names: dict[str, object] = {}
    exec(readme.blocks("python")[2], names)
    toolbox = Toolbox([names["pay_invoice"]])  # type: ignore[list-item]
    result = await toolbox.call("pay_invoice", '{"number": 4711}')
    assert result.content == "Invoice 4711 is paid."
    assert list(toolbox.marked("pay_invoice", '{"number": 4711}')) == ["number"]
    assert toolbox.changes("pay_invoice")


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_can_be_read_and_what_it_names_is_there(page: str) -> None:
    """Also code that needs a server to run: files, targets of `make`, and links to any page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in readme.blocks("python", text):
        compile(block, page, "exec")
    for block in readme.blocks("bash", text):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)
    for target in re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
    folders = r"\b(?:deploy|docs|benchmarks)/[\w./-]*\w|`([\w/]+\.(?:py|md))`|`(LICENSE)`"
    for found in re.finditer(folders, text):
        name = found[0].strip("`")
        assert name in FOREIGN or (ROOT / name).exists(), name
    for file, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", text):
        linked = (ROOT / page).parent / file if file else ROOT / page
        assert linked.exists(), file
        headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE) if anchor else []
        assert anchor in {"", *(title.lower().replace(" ", "-") for title in headings)}, anchor


def test_the_readme_is_short() -> None:
    """Two or three screens are read; more is not."""
    assert len(readme.TEXT.splitlines()) <= 150
