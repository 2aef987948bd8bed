"""A model keeps the to-do list: it reads ids in lists, and people read sentences."""

from collections.abc import Iterator
from typing import Any

import pytest
from bureau import agent, results, user
from scripted_server import ScriptedServer, calls, says

from function_calling.errors import ToolError
from function_calling.todo.store import TodoStore
from function_calling.todo.tools import MOST_LISTED, TodoTools, todo_tools


@pytest.fixture
def store() -> Iterator[TodoStore]:
    """A list of two tasks."""
    store = TodoStore()
    store.create("Buy milk")
    store.create("Call Bob")
    yield store
    store.close()


@pytest.fixture
def todo(store: TodoStore) -> TodoTools:
    """The tools that keep it."""
    return TodoTools(store)


@pytest.mark.parametrize(
    ("status", "search", "ids"),
    [("open", "", [2]), ("done", "", [1]), ("all", "MILK", [1]), ("all", "%", [])],
)
def test_the_list_can_be_narrowed(
    todo: TodoTools, status: Any, search: str, ids: list[int]
) -> None:
    """By what is done, and by a word; what is still to do comes first, nothing is a result."""
    todo.update_task(1, done=True)
    assert todo.list_tasks()["summary"] == 'To do: "Call Bob". Done: "Buy milk".'
    result = todo.list_tasks(status, search)
    assert [task["id"] for task in result["tasks"]] == ids
    assert ids or result["summary"] == "There are no such tasks on the to-do list."


def test_a_long_list_is_told_in_part(todo: TodoTools) -> None:
    """A small model's context holds no more; it reads how many are missing."""
    for n in range(MOST_LISTED):
        assert todo.create_task(f" task\n{n} ") == {
            "id": n + 3,
            "title": f"task {n}",
            "done": False,
            "summary": f'Added "task {n}" to the to-do list.',
        }
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


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        ("delete_task", {}, 'Deleted "Call Bob" from the to-do list.'),
        ("update_task", {"done": True}, 'Marked "Call Bob" as done.'),
    ],
)
async def test_only_a_task_that_was_listed_is_changed(
    store: TodoStore, name: str, more: dict[str, Any], told: str
) -> None:
    """An id that the model made up changes nothing, although the person wrote that number."""
    server = ScriptedServer(
        calls((name, {"id": 1, **more})),
        calls((name, {"id": 1, **more}), ("list_tasks", {"search": "bob"})),
        calls((name, {"id": 2, **more})),
        says(told),
    )
    host = agent(server, *todo_tools(store).functions)
    question = user("Call Bob is settled, number 1 is not")
    assert (await host.answer([question]))[0] == told
    assert "id=1, but no tool has returned it yet" in results(server)[0]
    assert [task.title for task in store.tasks() if not task.done] == ["Buy milk"]
