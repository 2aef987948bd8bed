"""The to-do list: tasks in an SQLite database, which is a file or lives in memory."""

import logging
import sqlite3
from dataclasses import dataclass
from threading import Lock

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
_SELECT = "SELECT id, title, done FROM tasks ORDER BY done, id"
_RETURNING = "RETURNING id, title, done"

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
        path: The database's file, made where there is none; "" keeps the tasks in memory, for as
            long as the store is open.
        patience: Seconds to wait while another process writes.

    Raises:
        SettingsError: The file can't be made or read, or holds something else.
    """

    def __init__(self, path: str = "", patience: float = 5.0) -> None:
        self._lock = Lock()
        try:
            # Each statement below is a transaction of its own.
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=patience, isolation_level=None, check_same_thread=False
            )
            try:
                self._connection.execute(_TABLE)
                self._connection.execute(f"{_SELECT} LIMIT 0")
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
        (task,) = self._run(f"INSERT INTO tasks (title) VALUES (?) {_RETURNING}", _checked(title))
        return task

    def tasks(self, search: str = "") -> list[Task]:
        """The tasks whose title contains `search`, in upper or lower case: open ones first."""
        wanted = " ".join(search.casefold().split())
        return [task for task in self._run(_SELECT) if wanted in task.title.casefold()]

    def update(self, id: int, title: str | None = None, done: bool | None = None) -> Task:
        """Change what is not None of a task; the task as it is then."""
        new = "title = coalesce(?, title), done = coalesce(?, done)"
        title = None if title is None else _checked(title)
        return self._one(f"UPDATE tasks SET {new} WHERE id = ? {_RETURNING}", title, done, id)

    def delete(self, id: int) -> Task:
        """Remove a task; the task as it was."""
        return self._one(f"DELETE FROM tasks WHERE id = ? {_RETURNING}", id)

    def close(self) -> None:
        """Free the database; tasks in memory are gone."""
        with self._lock:
            self._connection.close()

    def _run(self, statement: str, *values: str | int | None) -> list[Task]:
        """The tasks that a statement gives."""
        try:
            with self._lock:
                rows = self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            _log.error("The to-do list's database failed: %s", error)
            raise ToolError(f"The to-do list can't be used now: {error}.") from error
        return [Task(id, title, bool(done)) for id, title, done in rows]

    def _one(self, statement: str, *values: str | int | None) -> Task:
        """The task with the id, the last of the values; or an error that names those there are."""
        try:
            found = self._run(statement, *values)
        except OverflowError:  # no id is as large
            found = []
        if found:
            return found[0]
        there = [f"{task.id} ({task.title})" for task in self.tasks()]
        more = f" and {len(there) - MOST_NAMED} more" if len(there) > MOST_NAMED else ""
        named = f"the tasks are: {', '.join(there[:MOST_NAMED])}{more}"
        raise ToolError(
            f"There is no task {values[-1]}: {named if there else 'the list is empty'}."
        )


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
