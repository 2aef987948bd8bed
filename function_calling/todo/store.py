"""The to-do list: tasks in an SQLite database, which is a file or lives in memory."""

import logging
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from function_calling.errors import SettingsError, ToolError, shown

LONGEST_TITLE = 200
MOST_NAMED = 25

# AUTOINCREMENT: the id of a task that was deleted never comes to mean another one.
_TABLE = """\
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    done INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)),
    created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
)"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do, with an id that no other task ever has."""

    id: int
    title: str
    done: bool


class TodoStore:
    """Tasks behind one connection that any thread may use; other processes may share the file.

    Every method but `close` raises a ToolError where the database fails, as when it is locked,
    where there is no task of this id, and where a title is empty or too long.

    Args:
        path: The database's file, made for this user alone where there is none; "" keeps the tasks
            in memory, for as long as the store is open.
        patience: Seconds to wait while another process writes.

    Raises:
        SettingsError: The file can't be made or read, or holds something else.
    """

    def __init__(self, path: str = "", patience: float = 5.0) -> None:
        self._lock = Lock()
        try:
            if path:
                with suppress(OSError):  # it is there, or SQLite says why it can't be
                    Path(path).touch(0o600, exist_ok=False)
            # Autocommit: each statement is a transaction of its own.
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=patience, isolation_level=None, check_same_thread=False
            )
            try:
                self._connection.execute(_TABLE)
                self._connection.execute("SELECT id, title, done FROM tasks LIMIT 0")
            except sqlite3.Error:
                self._connection.close()
                raise
        except (sqlite3.Error, ValueError) as error:
            raise SettingsError(
                f"TODO_DB={path!r}: this can't be the to-do list ({error}); wanted an SQLite file "
                "of our own that can be written, or a new one in a folder that exists."
            ) from error

    def create(self, title: str) -> Task:
        """Add a task."""
        title = _checked(title)
        added, _ = self._run("INSERT INTO tasks (title) VALUES (?)", title)
        assert added.lastrowid is not None
        return Task(added.lastrowid, title, done=False)

    def tasks(self, search: str = "") -> list[Task]:
        """The tasks whose title contains `search`, in upper or lower case: open ones first."""
        wanted = " ".join(search.casefold().split())
        return [task for task in self._all() if wanted in task.title.casefold()]

    def update(self, id: int, title: str | None = None, done: bool | None = None) -> Task:
        """Change what is not None of a task; the task as it is then."""
        task = self._find(id)
        title = None if title is None else _checked(title)
        new = "title = coalesce(?, title), done = coalesce(?, done)"
        changed, _ = self._run(f"UPDATE tasks SET {new} WHERE id = ?", title, done, id)
        updated = Task(id, title or task.title, task.done if done is None else done)
        return updated if changed.rowcount else self._find(id)

    def delete(self, id: int) -> Task:
        """Remove a task; the task as it was."""
        task = self._find(id)
        # Where another process was faster, it is looked for again, which tells that it is gone.
        removed, _ = self._run("DELETE FROM tasks WHERE id = ?", id)
        return task if removed.rowcount else self._find(id)

    def close(self) -> None:
        """Free the database; tasks in memory are gone."""
        with self._lock:
            self._connection.close()

    def _run(self, statement: str, *values: str | int | None) -> tuple[sqlite3.Cursor, list[Any]]:
        """Execute a statement, for one thread at a time; the rows that it gives."""
        try:
            with self._lock:
                cursor = self._connection.execute(statement, values)
                return cursor, cursor.fetchall()
        except sqlite3.Error as error:
            _log.error("The to-do list's database failed: %s", error)
            raise ToolError(f"The to-do list can't be used now: {error}.") from error

    def _all(self) -> list[Task]:
        _, rows = self._run("SELECT id, title, done FROM tasks ORDER BY done, id")
        return [Task(id, title, bool(done)) for id, title, done in rows]

    def _find(self, id: int) -> Task:
        """The task with this id, or an error that names those that there are."""
        tasks = self._all()
        for task in tasks:
            if task.id == id:
                return task
        there = [f"{task.id} ({task.title})" for task in tasks]
        more = f" and {len(there) - MOST_NAMED} more" if len(there) > MOST_NAMED else ""
        named = f"the tasks are: {', '.join(there[:MOST_NAMED])}{more}"
        raise ToolError(f"There is no task {id}: {named if there else 'the list is empty'}.")


def _checked(title: str) -> str:
    """The title on one line."""
    # A model's JSON may hold half a surrogate pair, which no database takes.
    title = " ".join(title.encode(errors="replace").decode().split())
    if not title:
        raise ToolError("The title is empty.", advice="Say in a few words what is to be done.")
    if len(title) > LONGEST_TITLE:
        raise ToolError(
            f"The title {shown(title)} has {len(title)} characters: wanted {LONGEST_TITLE} at most."
        )
    return title
