"""The to-do list keeps what it was told, whoever asks at the same time, and says what it can't."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from function_calling.errors import SettingsError, ToolError
from function_calling.todo.store import LONGEST_TITLE, MOST_NAMED, TodoStore
from function_calling.todo.tools import todo_tools
from function_calling.toolbox.toolbox import Toolbox

CALLS = 200
UTC = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture(params=["file", "memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store keeps its tasks."""
    return str(tmp_path / "todo.db") if request.param == "file" else ""


@pytest.fixture
def store(path: str) -> Iterator[TodoStore]:
    """A store without tasks."""
    store = TodoStore(path)
    yield store
    store.close()


def titles(store: TodoStore) -> list[str]:
    """What is on the list."""
    return [task.title for task in store.tasks()]


def test_a_task_is_written_down_changed_and_removed(store: TodoStore) -> None:
    """Each method tells the task; what was not asked to change stays."""
    milk = store.create("Buy milk")
    assert (milk.id, milk.title, milk.done) == (1, "Buy milk", False)
    assert re.fullmatch(UTC, milk.created)
    assert store.update(1, done=True).done
    oats = store.update(1, title="Buy oat milk")
    assert (oats.title, oats.done, oats.created) == ("Buy oat milk", True, milk.created)
    assert not store.update(1, done=False).done
    assert store.delete(1).title == "Buy oat milk"
    assert store.tasks() == []


def test_open_tasks_come_first_and_a_title_can_be_searched(store: TodoStore) -> None:
    """Upper and lower case are the same, in every script; a wildcard is a letter."""
    for title in ("Buy milk", "Ärzte anrufen", "50% off: sell it"):
        store.create(title)
    store.update(1, done=True)
    assert [task.id for task in store.tasks()] == [2, 3, 1]
    assert [task.id for task in store.tasks("  MILK ")] == [1]
    assert [task.id for task in store.tasks("ÄRZTE")] == [2]
    assert [task.id for task in store.tasks("%")] == [3]
    assert store.tasks("bread") == []


def test_an_id_never_comes_to_mean_another_task(path: str) -> None:
    """Neither after the last task was deleted, nor after the file was opened anew."""
    store = TodoStore(path)
    store.create("one")
    store.delete(store.create("two").id)
    if path:
        store.close()
        store = TodoStore(path)
    assert store.create("three").id == 3
    store.close()


@pytest.mark.parametrize("id", [7, 0, -1, 2**63, -(2**63) - 1, 10**400])
def test_an_unknown_id_is_named_beside_those_that_there_are(store: TodoStore, id: int) -> None:
    """Whatever its size; nothing changes."""
    store.create("Buy milk")
    store.create("Call Bob")
    expected = f"There is no task {id}: the tasks are: 1 (Buy milk), 2 (Call Bob)."
    with pytest.raises(ToolError) as deleted:
        store.delete(id)
    with pytest.raises(ToolError) as updated:
        store.update(id, done=True)
    assert (str(deleted.value), str(updated.value)) == (expected, expected)
    assert titles(store) == ["Buy milk", "Call Bob"]
    store.delete(1)
    store.delete(2)
    with pytest.raises(ToolError, match=r"^There is no task 2: the list is empty\.$"):
        store.delete(2)


def test_many_ids_are_not_all_told(store: TodoStore) -> None:
    """An error is short, however long the list."""
    for n in range(MOST_NAMED + 3):
        store.create(f"task {n}")
    with pytest.raises(ToolError, match=r"25 \(task 24\) and 3 more\.$"):
        store.delete(99)


def test_a_title_is_neither_empty_nor_long(store: TodoStore) -> None:
    """The error shows its beginning, its length and what is wanted."""
    assert store.create("x" * LONGEST_TITLE).title == "x" * LONGEST_TITLE
    with pytest.raises(ToolError, match=r'"x+… has 201 characters: wanted 200 at most\.$'):
        store.create("x" * (LONGEST_TITLE + 1))
    with pytest.raises(ToolError, match=r"^The title is empty\. Say in a few words") as caught:
        store.update(1, title=" \n\t ")
    assert caught.value.problem == "The title is empty."


@pytest.mark.parametrize(
    "title", ["'); DROP TABLE tasks; --", "a\0b", '👩‍🚀 加元 %_"', " a\r\n b\ud83d "]
)
def test_any_text_is_kept_as_it_is(store: TodoStore, title: str) -> None:
    """White space is one space; half a character, which a model's JSON may hold, is replaced."""
    store.create(title)
    assert titles(store) == [" ".join(title.replace("\ud83d", "?").split())]


def test_a_file_outlives_its_store(tmp_path: Path) -> None:
    """Memory does not."""
    path = str(tmp_path / "todo.db")
    for where, kept in ((path, ["Buy milk"]), ("", [])):
        first = TodoStore(where)
        first.create("Buy milk")
        first.close()
        second = TodoStore(where)
        assert titles(second) == kept
        second.close()


def test_a_file_is_read_while_it_is_written(tmp_path: Path) -> None:
    """SQLite's write-ahead log, so that two servers can share a list."""
    store = TodoStore(str(tmp_path / "todo.db"))
    with sqlite3.connect(tmp_path / "todo.db") as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.execute("BEGIN IMMEDIATE")
        assert titles(store) == []
    other.close()
    store.close()


def test_a_locked_file_is_the_models_to_know_and_hurts_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The call fails with a sentence, and works as soon as the other is done."""
    path = str(tmp_path / "todo.db")
    store = TodoStore(path, patience=0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ToolError) as caught:
        store.create("Buy milk")
    assert str(caught.value) == "The to-do list can't be used now: database is locked."
    assert "database is locked" in caplog.text
    with pytest.raises(SettingsError, match="database is locked"):
        TodoStore(path, patience=0.01)
    other.execute("ROLLBACK")
    other.close()
    assert store.create("Buy milk").id == 1
    store.close()


def test_a_file_that_breaks_later_fails_the_call_alone(tmp_path: Path) -> None:
    """The model reads why; closing twice is no harm."""
    path = tmp_path / "todo.db"
    store = TodoStore(str(path))
    other = sqlite3.connect(path)
    other.execute("DROP TABLE tasks")
    other.close()
    with pytest.raises(ToolError, match="can't be used now: no such table: tasks"):
        store.tasks()
    store.close()
    store.close()
    with pytest.raises(ToolError, match="can't be used now: Cannot operate on a closed database"):
        store.create("Buy milk")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("folder/todo.db", None, "unable to open database file"),
        ("notes.txt", b"Buy milk\n" * 999, "file is not a database"),
        ("\0", None, "embedded null"),
    ],
)
def test_a_file_that_can_not_be_the_list_ends_the_start(
    tmp_path: Path, name: str, content: bytes | None, why: str
) -> None:
    """The operator reads variable, value, reason and what is wanted; the file stays as it was."""
    path = tmp_path / name
    if content:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        TodoStore(str(path))
    assert f"TODO_DB={str(path)!r}: this can't be the to-do list ({why}" in str(caught.value)
    assert "wanted an SQLite file" in str(caught.value)
    if content:
        assert path.read_bytes() == content


def test_a_folder_and_a_strangers_table_are_no_list(tmp_path: Path) -> None:
    """What another program keeps under the same name is left alone."""
    with pytest.raises(SettingsError, match="unable to open database file"):
        TodoStore(str(tmp_path))
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE tasks (number INTEGER)")
    with pytest.raises(SettingsError, match="no such column: id"):
        TodoStore(str(path))
    assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    other.close()


@pytest.mark.slow
async def test_calls_side_by_side_lose_and_double_nothing(path: str) -> None:
    """As the assistant makes them: plain functions in threads."""
    store = TodoStore(path)
    toolbox = Toolbox(todo_tools(store).functions)

    async def call(name: str, arguments: str) -> None:
        result = await toolbox.call(name, arguments, time_limit=60)
        assert result.ok, result.content

    await asyncio.gather(*(call("create_task", f'{{"title": "task {n}"}}') for n in range(CALLS)))
    made = store.tasks()
    assert sorted(task.id for task in made) == list(range(1, CALLS + 1))
    assert {task.title for task in made} == {f"task {n}" for n in range(CALLS)}
    await asyncio.gather(
        *(call("update_task", f'{{"id": {n}, "done": true}}') for n in range(1, CALLS // 2 + 1)),
        *(call("delete_task", f'{{"id": {n}}}') for n in range(CALLS // 2 + 1, CALLS + 1)),
        *(call("list_tasks", "{}") for _ in range(10)),
    )
    left = store.tasks()
    assert [task.id for task in left] == list(range(1, CALLS // 2 + 1))
    assert all(task.done for task in left)
    store.close()


async def test_two_stores_share_a_file(tmp_path: Path) -> None:
    """As two servers do."""
    stores = [TodoStore(str(tmp_path / "todo.db"), patience=60) for _ in range(2)]
    await asyncio.gather(
        *(asyncio.to_thread(stores[n % 2].create, f"task {n}") for n in range(CALLS))
    )
    for store in stores:
        assert sorted(task.id for task in store.tasks()) == list(range(1, CALLS + 1))
    assert len(set(titles(stores[0]))) == CALLS
    for store in stores:
        store.close()
