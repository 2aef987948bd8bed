"""Who may import whom: the rooms of the house, read from the source and held to this table."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LONGEST_FILE = 220
LONGEST_FUNCTION = 45

SHARED = {"errors", "messages", "settings"}
"""The words that both halves use."""

MODEL_HALF = {
    "chat_model": {
        *("turn", "engines", "formats", "schemas", "schema_bounds", "schema_budget"),
        *("schema_keywords", "messages", "errors", "settings"),
    },
    "turn": {"engines", "formats", "messages", "errors"},
    "api_request": {"messages", "errors"},
    "chat_messages": {"messages", "errors"},
    "chat_request": {"api_request", "response_format", "tools_in", "messages", "errors"},
    "chat_response": {"chat_chunks", "logprobs_out", "replies", "messages"},
    "chat_chunks": {"logprobs_out", "messages"},
    "completion_request": {"api_request", "messages"},
    "completion_response": {"logprobs_out", "replies", "messages"},
    "logprobs_out": {"messages"},
    "replies": {"messages"},
    "responding": {"replies", "errors"},
    "response_format": {"messages", "errors"},
    "tools_in": {"messages", "errors"},
    "unenforced": set(),
    "schemas": {
        *("schema_bounds", "schema_budget", "schema_choices", "schema_keywords"),
        *("schema_objects", "schema_references"),
    },
    "schema_objects": {"schema_bounds", "schema_keywords"},
    "schema_bounds": set(),
    "schema_budget": {"schema_keywords"},
    "schema_choices": {"schema_keywords", "schema_references"},
    "schema_references": {"schema_keywords", "errors"},
    "schema_keywords": {"errors"},
    "formats": {"messages", "errors"},
    "engines": {"messages", "errors", "settings", "weights"},
    "weights": {"carriers", "digests", "errors", "settings"},
    "carriers": {"errors"},
    "digests": set(),
    "workbench": {
        *("chat_messages", "chat_model", "chat_request", "engines", "formats"),
        *("schemas", "messages", "errors", "settings"),
    },
}
ASSISTANT_HALF = {
    "agent": {
        *("toolbox", "completion", "conversation", "steering", "stopping", "telling", "events"),
        *("time_limit", "errors"),
    },
    "telling": {"completion", "conversation", "events", "numerals"},
    "conversation": {
        *("completion", "function_schema", "grounding", "history", "toolbox", "outcomes"),
        *("time_limit", "messages"),
    },
    "steering": {"completion", "conversation", "json_text", "outcomes"},
    "stopping": {"completion", "conversation", "outcomes", "errors"},
    "history": {"errors"},
    "chat_events": {"events"},
    "chat_stream": {"chat_events", "events", "errors"},
    "completion": {"messages", "outcomes", "errors"},
    "events": {"outcomes", "messages"},
    "outcomes": set(),
    "grounding": {"dates", "numerals"},
    "tool_sets": {"steering", "toolbox", "errors"},
    "toolbox": {"approval", "bounded_call", "function_schema", "json_text", "outcomes", "errors"},
    "approval": set(),
    "function_schema": {
        "docstrings", "parameters_schema", "wrong_arguments", "json_text", "errors",
    },
    "parameters_schema": {"json_text"},
    "wrong_arguments": {"json_text"},
    "bounded_call": set(),
    "time_limit": set(),
    "terminal": {
        "assistant", "events", "llama_client", "tool_sets", "toolbox", "errors", "settings",
    },
    "assistant": {"agent", "llama_client", "tool_sets", "toolbox", "errors", "settings"},
    "llama_client": {"errors", "settings"},
    "dates": {"currency_names"},
    "questions": {
        *("dates", "numerals", "orders", "placed", "stated", "named_currencies", "currencies"),
        *("words", "errors"),
    },
    "unconverted": {
        *("dates", "orders", "stated", "named_currencies", "currencies", "currency_names"),
        *("enumerations", "errors"),
    },
    "orders": {"placed", "stated", "enumerations", "named_currencies", "currencies", "words"},
    "placed": {"stated", "enumerations", "named_currencies", "words"},
    "stated": {
        *("dates", "named_currencies", "currency_names", "number_words", "numerals", "words"),
        *("enumerations", "written_numbers"),
    },
    "enumerations": {"named_currencies"},
    "written_numbers": {"named_currencies", "currencies", "words"},
    "named_currencies": {"currencies", "currency_names", "number_words", "words"},
    "number_words": {"currency_names", "words"},
    "currencies": {"currency_names", "words", "errors"},
    "currency_names": {"everyday_names", "words"},
    "everyday_names": set(),
    "words": set(),
    "conversion": {"currencies", "rates", "errors"},
    "todos": {"errors"},
    "todo_tools": {"approval", "function_schema", "todos", "tool_sets", "errors"},
    "rates": set(),
    "ecb_rates": {"ecb_feed", "ecb_history", "rates", "errors", "settings"},
    "ecb_feed": {"ecb_history"},
    "ecb_history": set(),
    "numerals": set(),
    "docstrings": set(),
    "json_text": set(),
}  # fmt: skip
LAUNCHER = {
    "serving": {"engines", "weights", "errors", "settings"},
    "running": {"serving", "errors", "settings"},
}
"""Starts the servers as processes, and so knows neither half's inside."""
COMMAND_LINE = {"__main__": {"running", "terminal", "workbench", "formats", "tools", "errors"}}
"""Wires the commands: those of the launcher, the chat, and those that look into the model half."""

ROOMS = (
    {"errors": set(), "messages": set(), "settings": {"errors"}}
    | MODEL_HALF
    | ASSISTANT_HALF
    | LAUNCHER
    | COMMAND_LINE
    | {
        # Wiring: it may use whatever there is.
        "service": {
            *("openai_endpoints", "packing", "tools", "assistant", "chat_model", "chat_stream"),
            *("events", "history", "llama_client", "errors", "settings"),
        },
        "openai_endpoints": {
            *("chat_messages", "chat_model", "chat_request", "chat_response"),
            *("completion_request", "completion_response", "replies", "responding", "unenforced"),
            *("messages", "errors"),
        },
        "tools": {
            *("conversion", "currencies", "ecb_rates", "questions", "rates", "todos", "todo_tools"),
            *("tool_sets", "toolbox", "function_schema", "unconverted", "errors", "settings"),
        },
        "deploy": set(),
        "packing": {"engines", "settings"},
        "benchmarks": {
            *("chat_events", "chat_model", "engines", "formats", "serving"),
            *("messages", "errors", "settings"),
        },
    }
)
"""A room, which is a module or a package, and the rooms that it may import."""

ONE_DOOR = {
    "bentoml": {"packing.py", "service.py"},
    "fastapi": {"openai_endpoints.py"},
    "starlette": {
        "openai_endpoints.py",
        "service.py",
        "function_calling/chat_stream.py",
        "function_calling/responding.py",
    },
    "xllamacpp": {"function_calling/engines/llamacpp.py"},
    "lmdeploy": {
        "function_calling/engines/lmdeploy.py",
        "function_calling/engines/lmdeploy_words.py",
    },
    "xgrammar": {
        "function_calling/engines/json_text_rules.py",
        "function_calling/engines/lmdeploy.py",
        "function_calling/engines/schema_grammar.py",
    },
    "llguidance": {
        "function_calling/engines/compiler.py",
        "function_calling/engines/grammar_guard.py",
    },
    "jinja2": {"function_calling/formats/template.py"},
    "huggingface_hub": {"function_calling/carriers/hub.py"},
    "prompt_toolkit": {"function_calling/terminal/keyboard.py"},
    "rich": {"function_calling/terminal/screen.py"},
    "torch": {"benchmarks/gpu_device.py", "benchmarks/random_llama.py"},
    "safetensors": {"benchmarks/random_llama.py"},
    "tokenizers": {"benchmarks/random_tokenizer.py"},
    "currency_converter": {"function_calling/ecb_history.py"},
}
"""A package, and the files that alone may know it."""

FILES = sorted(
    chain(
        ROOT.glob("*.py"),
        *(ROOT.glob(f"{name}/**/*.py") for name in ("function_calling", "benchmarks", "deploy")),
    )
)
each_file = pytest.mark.parametrize("path", FILES, ids=[str(f.relative_to(ROOT)) for f in FILES])


def module_of(path: Path) -> str:
    """The name by which the file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in FILES}


def room_of(module: str) -> str:
    """The room in which a module lies: a package is one room."""
    parts = module.split(".")
    return parts[1] if parts[0] == "function_calling" and len(parts) > 1 else parts[0]


def imported(tree: ast.AST) -> set[str]:
    """The modules that the code imports; a submodule imported by name counts as itself."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative imports hide where a thing comes from"
            assert node.level == 0, "relative imports hide where a thing comes from"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found.add(submodule if submodule in MODULES else node.module)
    return found


@cache
def parsed(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(path.read_text())


@each_file
def test_a_room_imports_only_what_its_line_in_the_table_allows(path: Path) -> None:
    """A file in no room needs a line of its own first."""
    room = room_of(module_of(path))
    if room == "function_calling":
        assert not imported(parsed(path)) & MODULES, "the package itself is empty"
        return
    assert room in ROOMS, f"{room} has no line in the table"
    used = {room_of(module) for module in imported(parsed(path)) & MODULES} - {room}
    assert used <= ROOMS[room]


def test_the_table_has_no_line_for_what_is_gone() -> None:
    """A line that nobody lives in would mislead."""
    rooms = {room_of(module) for module in MODULES} - {"function_calling"}
    assert rooms == set(ROOMS)
    assert set.union(*ROOMS.values()) <= rooms


def test_the_two_halves_never_import_each_other() -> None:
    """Between them runs OpenAI's JSON over HTTP, nothing else."""
    for half, other in ((MODEL_HALF, ASSISTANT_HALF), (ASSISTANT_HALF, MODEL_HALF)):
        for room, allowed in half.items():
            assert not allowed & set(other), room
            assert allowed <= set(half) | SHARED, room


@pytest.mark.parametrize("package", ONE_DOOR)
def test_a_foreign_package_has_one_door(package: str) -> None:
    """Whoever replaces it changes that file alone."""
    found = {
        str(path.relative_to(ROOT))
        for path in FILES
        if package in {module.split(".")[0] for module in imported(parsed(path))}
    }
    assert found == ONE_DOOR[package]


def test_imports_point_down() -> None:
    """There is an order in which every module stands above all that it imports."""
    graph = {module_of(path): imported(parsed(path)) & MODULES for path in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' → '.join(error.args[1])}")


@each_file
def test_no_function_imports_our_own_modules(path: Path) -> None:
    """Such an import is the smoke of a hidden circle; nothing imports the command line, though.

    It loads what a slow command needs when that command is given.
    """
    if module_of(path) == "function_calling.__main__":
        return
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            assert not imported(node) & MODULES, f"line {node.lineno}"


def test_two_modules_are_imported_by_a_name_made_at_run_time() -> None:
    """The chosen engine, so that each profile needs its own packages alone; a user's tools."""
    found = {str(path.relative_to(ROOT)) for path in FILES if "import_module(" in path.read_text()}
    assert found == {"function_calling/engines/__init__.py", "function_calling/tool_sets.py"}


@each_file
def test_a_file_fits_on_a_few_screens(path: Path) -> None:
    """A room that grows past that is two rooms."""
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


@each_file
def test_a_function_fits_on_one_screen(path: Path) -> None:
    """With its docstring."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name
