"""Rooms are folders: imports point down, and the two halves don't import each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = {"asking", "cutoff", "errors", "settings", "line_reader", "telemetry"}
MODEL_HALF: dict[str, set[str]] = {
    "words": set(),
    "weights": set(),
    "engines": {"weights", "words"},
    "formats": {"words"},
    "model": {"engines", "formats", "words"},
    "api": {"words"},
    "openai_endpoints": {"api", "model"},
    "debugging": {"api", "model", "formats", "engines", "words"},
}
ASSISTANT_HALF: dict[str, set[str]] = {
    "exchange": set(),
    "toolbox": set(),
    "todo": {"toolbox"},
    "mcp_tools": {"toolbox"},
    "tools": {"exchange", "mcp_tools", "todo", "toolbox"},
    "agent": {"toolbox"},
    "ui": {"agent"},
    "door": set(),
    # `serve` starts the model half: a wrong engine, or weights that can't be had, end it at once.
    # So do servers of tools that are named wrongly.
    "cli": {"agent", "mcp_tools", "toolbox", "tools", "engines", "weights"},
}
BELOW = MODEL_HALF | ASSISTANT_HALF | {"door": set()}
"""Each room and what it may import beside itself and what is shared."""
DEBUGGING = {"debug", "samples", "template_file"}
"""The commands in `cli` that look at the model half, and belong to it."""
WIRING = {"__main__", "service", "packing", "benchmarks", "deploy"}
DOORS = {
    "bentoml": {"service", "packing"},
    "fastapi": {"openai_endpoints"},
    "lmdeploy": {"engines"},
    "mcp": {"mcp_tools"},
    "mcp_types": {"mcp_tools"},
    "opentelemetry": {"telemetry"},
    "prometheus_client": {"telemetry"},
    "uvicorn": {"door"},
    "xllamacpp": {"engines"},
}
"""The rooms that alone know a package."""

FOLDERS = ("function_calling", "benchmarks", "deploy")
FILES = [*ROOT.glob("*.py"), *(file for name in FOLDERS for file in ROOT.glob(f"{name}/**/*.py"))]


def room(module: str) -> str:
    """The room in which a module lies."""
    match module.removesuffix(".__init__").split("."):
        case ["function_calling", "cli", name, *_] if name in DEBUGGING:
            return "debugging"
        case ["function_calling", "model", "words", *_]:
            return "words"  # which the rooms below `model` speak, too
        case ["function_calling", name, *_]:
            return name
        case parts:
            return parts[0]


def imported(path: Path) -> Iterator[str]:
    """The rooms and packages that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (room(each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import hides the room"
            yield from (room(f"{node.module}.{each.name}") for each in node.names)


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """What each room imports."""
    rooms: dict[str, set[str]] = {}
    for each in FILES:
        name = room(".".join(each.relative_to(ROOT).with_suffix("").parts))
        rooms.setdefault(name, set()).update(imported(each))
    return rooms


def test_each_room_imports_only_what_lies_below_it(imports: dict[str, set[str]]) -> None:
    """OpenAI's JSON is all that the halves share."""
    for name in imports.keys() - WIRING:
        above = (imports[name] & imports.keys()) - SHARED - {name} - BELOW.get(name, set())
        assert not above, name


def test_a_foreign_package_has_one_door(imports: dict[str, set[str]]) -> None:
    """Whoever replaces it changes that room alone."""
    for package, rooms in DOORS.items():
        assert {name for name, used in imports.items() if package in used} == rooms, package
