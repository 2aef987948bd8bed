"""Ask a model ten times to change one of three tasks, and see which one it changed.

    python -m benchmarks.todo_phrasings --url http://127.0.0.1:3001/v1

Exits with 0 if enough phrasings are right and no task was changed that had not been listed.
"""

import argparse
import asyncio
import sys

from function_calling.agent.assistant import Assistant
from function_calling.agent.events import ToolCallEvent, ToolResultEvent
from function_calling.agent.model_call import llama_client
from function_calling.settings import Settings
from function_calling.todo.store import Task, TodoStore
from function_calling.todo.tools import todo_tools

ENOUGH = 8
TITLES = {2: "Buy milk", 4: "Call the dentist", 6: "Water the plants"}
PHRASINGS = {
    "delete the second one": {4: "deleted"},
    "tick milk": {2: "finished"},
    "the last one is done": {6: "finished"},
    "I have called the dentist": {4: "finished"},
    "remove the milk from my list": {2: "deleted"},
    "mark the plants as done": {6: "finished"},
    "Please finish the first task.": {2: "finished"},
    "number 3 can go": {6: "deleted"},
    "rename the first one to Buy oat milk": {2: "Buy oat milk"},
    "I don't need to call the dentist any more, drop it": {4: "deleted"},
}
"""What is asked of a new list, and what it asks for."""


class WatchedStore(TodoStore):
    """A new list, the ids that it has listed, and those that were changed without that."""

    def __init__(self) -> None:
        super().__init__()
        self.listed, self.unlisted = set[int](), set[int]()
        for title in TITLES.values():
            self.delete(self.create("Gone").id)
            self.create(title)

    def tasks(self, search: str = "") -> list[Task]:
        """As any store tells them."""
        found = super().tasks(search)
        self.listed |= {task.id for task in found}
        return found

    def changes(self) -> dict[int, str]:
        """What has become of each task that is not as it was, or new."""
        left = {task.id: task for task in super().tasks()}
        changed = {id: "deleted" for id in TITLES if id not in left}
        for id, task in left.items():
            new = [task.title] * (task.title != TITLES.get(id)) + ["finished"] * task.done
            if new:
                changed[id] = ", ".join(new)
        return changed


async def ask(url: str, question: str) -> WatchedStore:
    """The list, as the assistant has left it; each call is printed."""
    store, settings, read = WatchedStore(), Settings(tools="todo", llama_url=url), set[int]()
    async with llama_client(url, settings) as client:
        assistant = Assistant(settings, client, {"todo": lambda _: todo_tools(store)})
        async for event in (await assistant.agent()).run([{"role": "user", "content": question}]):
            if isinstance(event, ToolCallEvent):
                print(f"    {event.name} {event.arguments}")
                read = set(store.listed)
            elif isinstance(event, ToolResultEvent):
                store.unlisted |= store.changes().keys() & TITLES.keys() - read
    return store


async def run(url: str) -> int:
    """Ask all; the exit status."""
    right, unlisted = 0, set[int]()
    for question, wanted in PHRASINGS.items():
        print(question)
        store = await ask(url, question)
        changed = store.changes()
        right += changed == wanted
        unlisted |= store.unlisted
        print(f"  {changed}: {'right' if changed == wanted else f'wanted {wanted}'}", flush=True)
    print(f"{right} of {len(PHRASINGS)} right; changed without a list: {unlisted or 'none'}")
    return 0 if right >= ENOUGH and not unlisted else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="http://127.0.0.1:3001/v1", help="the model's /v1")
    sys.exit(asyncio.run(run(parser.parse_args().url)))
