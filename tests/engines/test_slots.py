"""Who gets a slot, and who is turned away."""

import asyncio
from typing import Self

import pytest

from function_calling.asking import CLIENT, Client, fits
from function_calling.engines.slots import Slots
from function_calling.errors import EngineError


class Engine:
    """Runs one generation at once; each lasts until the test ends it.

    Attributes:
        begun: Whose generations have begun, in their order.
    """

    def __init__(self, queue_length: int = 64) -> None:
        self.slots = Slots(1, queue_length)
        self.begun: list[Client] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._ends: list[asyncio.Event] = []

    async def ask(self, *client: str, begun: bool = False) -> asyncio.Task[None]:
        """A request of the client, as far as it comes by itself."""
        CLIENT.set(client)
        self._tasks.append(asyncio.create_task(self._generate(client, begun)))
        await self.settle()
        return self._tasks[-1]

    async def end(self, generations: int = 1) -> None:
        """End so many generations, one after the other, those first that began first."""
        for _ in range(generations):
            self._ends.pop(0).set()
            await self.settle()

    async def settle(self) -> None:
        """Let all tasks come as far as they do by themselves."""
        for _ in range(5):
            await asyncio.sleep(0)

    async def _generate(self, client: Client, begun: bool) -> None:
        async with self.slots.taken(begun=begun):
            self.begun.append(client)
            self._ends.append(asyncio.Event())
            await self._ends[-1].wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel all, after which nothing runs or waits."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert (self.slots.running, self.slots.waiting) == (0, 0)
        assert not self.slots._served


def refused(task: asyncio.Task[None]) -> bool:
    """Whether it was turned away."""
    return task.done() and isinstance(task.exception(), EngineError)


async def test_clients_take_turns() -> None:
    """Each is served in the order in which it asked."""
    async with Engine() as one:
        for client in "aaaabbcd":
            await one.ask(client)
        await one.end(7)
        assert "".join(client for (client,) in one.begun) == "aabcdaba"


async def test_a_client_that_comes_again_and_again_keeps_none_waiting() -> None:
    """It comes anew each time that it was answered, as a loop of requests does."""
    async with Engine() as one:
        for client in ("a", "b", "b", "b"):
            await one.ask(client)
        for _ in range(5):
            await one.end()
            await one.ask("a")
            await one.ask("c")
        assert one.begun.count(("b",)) >= 2


async def test_the_clients_of_a_peer_share_its_turn() -> None:
    """However many names it gives them; among themselves they take turns too."""
    async with Engine() as one:
        await one.ask("other")
        for name in "aabc":
            await one.ask("peer", name)
        for _ in range(3):
            await one.ask("other")
        await one.end(7)
        assert ["".join(client[1:]) or "-" for client in one.begun] == list("-a-b-c-a")


async def test_a_reply_that_has_begun_goes_first() -> None:
    """And is never turned away, nor is one that waits for its sake."""
    async with Engine(queue_length=2) as one:
        await one.ask("a")
        waiting = await one.ask("b")
        first, second = [await one.ask("a", begun=True) for _ in range(2)]
        assert refused(await one.ask("c"))
        await one.end()
        assert not any(task.done() for task in (waiting, first, second))
        await one.end(2)
        assert one.begun == [("a",), ("a",), ("a",), ("b",)]


async def test_what_is_cancelled_gives_its_place_back() -> None:
    """While it waits, and also at the moment at which its turn comes."""
    async with Engine() as one:
        await one.ask("a")
        waiting = [await one.ask("b") for _ in range(3)]
        waiting[0].cancel()
        await one.settle()
        assert one.slots.waiting == 2
        one._ends.pop(0).set()
        await asyncio.sleep(0)
        assert one.slots.waiting == 1
        waiting[1].cancel()
        await one.settle()
        assert (one.begun, one.slots.running) == ([("a",), ("b",)], 1)
        assert [task.cancelled() for task in waiting] == [True, True, False]


@pytest.mark.parametrize(
    ("client", "held", "places", "more"),
    [
        ((), [], 0, False),
        (("a",), [("a",)] * 31, 64, True),
        (("a",), [("a",)] * 32, 64, False),
        (("p", "y"), [("p", "x")] * 22, 64, True),
        (("p", "new"), [("p", str(name)) for name in range(32)], 64, False),
        (("q",), [("p", str(name)) for name in range(32)], 64, True),
    ],
)
def test_what_one_holds_leaves_room_for_the_next(
    client: Client, held: list[Client], places: int, more: bool
) -> None:
    """Half of the places for one client alone; a peer's clients share the peer's half."""
    assert fits(client, held, places) is more
