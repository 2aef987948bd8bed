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
    [("open", "", [2]), ("done", "", [1]), ("all", "MILK", [1]), ("all", "%", [2, 1])],
)
def test_the_list_can_be_narrowed(
    todo: TodoTools, status: Any, search: str, ids: list[int]
) -> None:
    """By what is done, and by a word; where nothing is found, all is listed, and it is said."""
    todo.update_task(1, done=True)
    assert todo.list_tasks()["summary"] == 'To do: "Call Bob". Done: "Buy milk".'
    result = todo.list_tasks(status, search)
    assert [task["id"] for task in result["tasks"]] == ids
    none = result["summary"].startswith("There are no such tasks on the to-do list. To do: ")
    assert none == (search == "%")


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
    """An id that the model made up changes nothing, although the person wrote that number.

    Once there is a list, the model reads no more of what it made up, and is asked again.
    """
    server = ScriptedServer(
        calls((name, {"id": 1, **more})),
        calls((name, {"id": 1, **more}), ("list_tasks", {"search": "bob"})),
        calls((name, {"id": 2, **more})),
        says(told),
    )
    host = agent(server, *todo_tools(store).functions)
    question = user("Call Bob is settled, number 1 is not")
    assert (await host.answer([question]))[0] == told
    assert len(results(server)) == 2
    first, second, third, _ = server.requests
    assert "id=1, but no tool has returned it yet" in second["messages"][-1]["content"]
    assert third["messages"][1] == third["messages"][-1] == first["messages"][-1]
    assert "id=1" not in str(third["messages"])
    assert "list_tasks" not in [each["function"]["name"] for each in third["tools"]]
    assert [task.title for task in store.tasks() if not task.done] == ["Buy milk"]
