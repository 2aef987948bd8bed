"""The to-do list keeps what it was told, whoever asks at the same time, and says what it can't."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from function_calling.errors import SettingsError, ToolError
from function_calling.todo.store import LONGEST_TITLE, MOST_NAMED, TodoStore
from function_calling.todo.tools import MOST_LISTED, TodoTools, todo_tools
from function_calling.toolbox.toolbox import Toolbox

CALLS = 12


@pytest.fixture
def todo(store: TodoStore) -> TodoTools:
    """The tools that keep it."""
    return TodoTools(store)


def titles(store: TodoStore) -> list[str]:
    """What is on the list."""
    return [task.title for task in store.tasks()]


def test_the_list_can_be_narrowed(todo: TodoTools) -> None:
    """By what is done, and by a word; where nothing is found, all is listed, and it is said."""
    todo.update_task(1, done=True)

    def listed(**wanted: Any) -> list[str]:
        return [task["title"] for task in todo.list_tasks(**wanted)["tasks"]]

    assert listed(status="open") == ["Call Bob"]
    assert listed(status="done") == listed(search="MILK") == ["Buy milk"]
    assert listed(search="%") == ["Call Bob", "Buy milk"]
    told = 'There are no such tasks on the to-do list. To do: "Call Bob". Done: "Buy milk".'
    assert todo.list_tasks(search="%")["summary"] == told


def test_a_long_list_is_told_in_part(todo: TodoTools) -> None:
    """A small model's context holds no more; it reads how many are missing."""
    created = [todo.create_task(f" task\n{n} ") for n in range(MOST_LISTED)]
    summary = 'Added "task 0" to the to-do list.'
    assert created[0] == {"id": 3, "title": "task 0", "done": False, "summary": summary}
    result = todo.list_tasks()
    assert len(result["tasks"]) == MOST_LISTED
    assert result["summary"].endswith(". 2 more are not listed.")


def test_a_task_is_changed_in_what_is_given(todo: TodoTools) -> None:
    """Small models fill in every argument: an empty title means the old one."""
    assert todo.update_task(1, "", True)["summary"] == 'Marked "Buy milk" as done.'
    assert todo.update_task(1, "Buy oats")["done"]
    assert todo.update_task(1, done=False)["summary"] == 'Marked "Buy oats" as not done.'
    with pytest.raises(ToolError, match="Nothing would change") as caught:
        todo.update_task(1, " ")
    assert caught.value.problem == "Nothing would change."


def test_an_id_never_comes_to_mean_another_task(tmp_path: Path) -> None:
    """Nor is a file that was closed forgotten."""
    path = str(tmp_path / "todo.db")
    with closing(TodoStore(path)) as store:
        store.create("one")
        store.delete(store.create("two").id)
    with closing(TodoStore(path)) as store:
        assert titles(store) == ["one"]
        assert store.create("three").id == 3


@pytest.mark.parametrize("id", [0, 10**400])
def test_an_unknown_id_is_named_beside_those_that_there_are(store: TodoStore, id: int) -> None:
    """Whatever its size."""
    told = rf"^There is no task {id}: the tasks are: 1 \(Buy milk\), 2 \(Call Bob\)\.$"
    with pytest.raises(ToolError, match=told):
        store.update(id, done=True)
    for n in range(MOST_NAMED):
        store.create(f"task {n}")
    with pytest.raises(ToolError, match=r"25 \(task 22\) and 2 more\.$"):
        store.delete(id)


def test_a_title_is_neither_empty_nor_long(store: TodoStore) -> None:
    """The error shows its beginning, its length and what is wanted."""
    assert store.update(1, title="x" * LONGEST_TITLE).title == "x" * LONGEST_TITLE
    with pytest.raises(ToolError, match=r'"x+… has 201 characters: wanted 200 at most\.$'):
        store.create("x" * (LONGEST_TITLE + 1))
    with pytest.raises(ToolError, match=r"^The title is empty\. Say in a few words"):
        store.update(1, title=" \n\t ")


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Other users of the machine read no task; who lets them read a file keeps it so."""
    path = tmp_path / "todo.db"
    for mode in (0o600, 0o640):
        TodoStore(str(path)).close()
        assert path.stat().st_mode & 0o777 == mode
        path.chmod(0o640)


def test_a_file_is_shared_with_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is read while they write; a call that can't wait longer fails, and works afterwards."""
    path = str(tmp_path / "todo.db")
    store = TodoStore(path, patience=0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert titles(store) == []
    with pytest.raises(ToolError) as caught:
        store.create("Buy milk")
    assert str(caught.value) == "The to-do list can't be used now: database is locked."
    assert "database is locked" in caplog.text
    other.execute("ROLLBACK")
    other.close()
    assert store.create("Buy milk").id == 1
    store.close()


async def test_calls_side_by_side_lose_and_double_nothing(tmp_path: Path) -> None:
    """As assistants make them: plain functions in threads, and servers that share a file."""
    stores = [TodoStore(str(tmp_path / "todo.db"), patience=60) for _ in range(2)]
    toolboxes = [Toolbox(todo_tools(store).functions) for store in stores]

    async def call(n: int, name: str, arguments: str) -> bool:
        return (await toolboxes[n % len(stores)].call(name, arguments, time_limit=60)).ok

    every = range(1, CALLS + 1)
    made = await asyncio.gather(*(call(n, "create_task", f'{{"title": "{n}"}}') for n in every))
    assert all(made)
    assert sorted(map(int, titles(stores[0]))) == [task.id for task in stores[0].tasks()]
    made = await asyncio.gather(
        *(call(n, "update_task", f'{{"id": {n}, "done": true}}') for n in every[::2]),
        *(call(n, "delete_task", f'{{"id": {n}}}') for n in every[1::2]),
        *(call(n, "delete_task", '{"id": 2}') for n in every[:5]),
    )
    assert made.count(False) == 5
    assert [(task.id, task.done) for task in stores[-1].tasks()] == [(n, True) for n in every[::2]]
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("folder/todo.db", "unable to open database file"),
        ("notes.txt", "file is not a database"),
        ("other.db", "no such column: id"),
        ("\0", "embedded null"),
    ],
)
def test_a_file_that_can_not_be_the_list_ends_the_start(
    tmp_path: Path, name: str, why: str
) -> None:
    """The operator reads variable, value, reason and what is wanted; the file stays as it was."""
    (tmp_path / "notes.txt").write_bytes(b"Buy milk\n" * 999)
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE tasks (number INTEGER)")
    before = [each.read_bytes() for each in tmp_path.iterdir()]
    path = str(tmp_path / name)
    with pytest.raises(SettingsError) as caught:
        TodoStore(path)
    assert f"TODO_DB={path!r}: this can't be the to-do list ({why}" in str(caught.value)
    assert "wanted an SQLite file" in str(caught.value)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == before


def test_a_full_disk_and_a_damaged_file_are_told(tmp_path: Path) -> None:
    """By SQLite's own errors, when it is used; what is there is read, and nothing is half there."""
    path = tmp_path / "todo.db"
    store = TodoStore(str(path))
    store.create("Buy milk")
    store._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(ToolError, match="database or disk is full"):
        [store.create("word " * 30) for _ in range(200)]
    assert titles(store)[0] == "Buy milk"
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096))
    store.close()
    store = TodoStore(str(path))
    with pytest.raises(ToolError, match="malformed"):
        store.tasks()
    store.close()
