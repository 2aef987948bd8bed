"""What the model may call to keep the to-do list; docstrings are what it knows of each tool."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from function_calling.errors import ToolError
from function_calling.todo.store import TodoStore
from function_calling.toolbox.schema import Said
from function_calling.toolbox.tool_sets import ToolSet
from function_calling.toolbox.toolbox import changes_something, needs_approval

TODO_PROMPT = """\
You keep the user's to-do list. For a new task call create_task, once for each task. To show the \
list call list_tasks. If a task is done, or is to be ticked off, changed or deleted, call \
update_task or delete_task with its id, which list_tasks returns.\
"""
"""How a model should use `TodoTools`."""

# With titles of usual length, what a small model's context holds beside its tools.
MOST_LISTED = 25


class TodoTools:
    """Tools that keep a to-do list."""

    def __init__(self, store: TodoStore) -> None:
        self._store = store

    @changes_something
    def create_task(self, title: str) -> dict[str, Any]:
        """Add a new task to the to-do list.

        Args:
            title: What is to be done, in the user's words
        """
        task = self._store.create(title)
        return {**asdict(task), "summary": f'Added "{task.title}" to the to-do list.'}

    def list_tasks(
        self, status: Literal["all", "open", "done"] = "all", search: str = ""
    ) -> dict[str, Any]:
        """List the tasks on the to-do list with their ids.

        Args:
            status: Which tasks to list
            search: A word in the title, to find one task; empty for all tasks

        Returns:
            The tasks, each with its place in the list; all of them where there are no such tasks.
        """
        wanted = {"all": (False, True), "open": (False,), "done": (True,)}[status]
        found = [task for task in self._store.tasks(search) if task.done in wanted]
        tasks = found or self._store.tasks()
        listed, left_out = tasks[:MOST_LISTED], len(tasks) - MOST_LISTED
        told = [] if found else ["There are no such tasks on the to-do list."]
        told += [
            f"{name}: {', '.join(titles)}."
            for name, done in (("To do", False), ("Done", True))
            if (titles := [f'"{task.title}"' for task in listed if task.done == done])
        ]
        if left_out > 0:
            told.append(f"{left_out} more are not listed.")
        return {
            "tasks": [{"place": place, **asdict(task)} for place, task in enumerate(listed, 1)],
            "summary": " ".join(told),
        }

    @changes_something
    def update_task(
        self, id: Annotated[int, Said(by="tool")], title: str = "", done: bool | None = None
    ) -> dict[str, Any]:
        """Tick off a task that is done, reopen one, or change its title.

        Args:
            id: Id of the task, from list_tasks
            title: The new title; empty to keep the title
            done: true if the task is done, false if it is not
        """
        if not title.strip() and done is None:
            raise ToolError("Nothing would change.", advice="Give a title, or done: true or false.")
        task = self._store.update(id, title if title.strip() else None, done)
        changes = [f'Changed the title to "{task.title}".'] if title.strip() else []
        if done is not None:
            changes.append(f'Marked "{task.title}" as {"done" if done else "not done"}.')
        return {**asdict(task), "summary": " ".join(changes)}

    @needs_approval
    def delete_task(self, id: Annotated[int, Said(by="tool")]) -> dict[str, Any]:
        """Delete a task from the to-do list.

        Args:
            id: Id of the task, from list_tasks
        """
        task = self._store.delete(id)
        return {**asdict(task), "summary": f'Deleted "{task.title}" from the to-do list.'}


def todo_tools(store: TodoStore) -> ToolSet:
    """`TodoTools`, which close the store when they are closed."""
    tools = TodoTools(store)
    return ToolSet(
        functions=[tools.list_tasks, tools.create_task, tools.update_task, tools.delete_task],
        system_prompt=TODO_PROMPT,
        topic="to-do tasks",
        examples=["Note that I must buy milk", "What is on my list?"],
        close=store.close,
    )
