"""The chat in the terminal with the default model, which it serves for itself, and a to-do list."""

from pathlib import Path

import pytest
from pseudo_terminal import at_terminal, tasks

from benchmarks.run_eval import free_port

PATIENCE = 600


@pytest.mark.model
@pytest.mark.timeout(1800)
def test_a_list_is_kept_by_talking(tmp_path: Path) -> None:
    """Added, listed, ticked and deleted: after each step the file holds just what it should."""
    path = tmp_path / "todo.db"
    port = ("--port", str(free_port()))
    settings = {"TOOLS": "todo", "TODO_DB": str(path), "QUERY_TIMEOUT": str(PATIENCE)}
    with at_terminal(tmp_path, *port, timeout=PATIENCE, **settings) as person:
        person.asks("Add buy milk to my list")
        ((first, milk, open_),) = tasks(path)
        assert (first, milk.lower(), open_) == (1, "buy milk", 0)

        person.asks("Help me to write down it I'm going to fix a bug")
        kept, (second, title, open_) = tasks(path)
        assert kept == (1, milk, 0)
        assert (second, open_) == (2, 0)
        assert "bug" in title.lower()

        listed = person.asks("What is on my list?")
        assert f'→ To do: "{milk}", "{title}".' in listed
        assert tasks(path) == [kept, (2, title, 0)]

        person.asks("I fixed the bug, mark it as done")
        assert tasks(path) == [kept, (2, title, 1)]

        person.types("Delete the task about the bug\r")
        assert "delete_task(id=2)" in person.reads("[y/N]")
        assert tasks(path) == [kept, (2, title, 1)]
        person.asks("y")
        assert tasks(path) == [kept]
        assert person.leaves() == 0
