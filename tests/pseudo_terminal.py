"""The chat as a process at a pseudo-terminal, as a person sits before it."""

import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pexpect
from conftest import SERVERS_ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent
CHAT = ["-m", "function_calling", "chat"]
READY = "\x1b[?2004h"
"""The terminal is told to mark what is pasted: somebody may type."""
CTRL_C, CTRL_D = "\x03", "\x04"


def environment(state: Path, **settings: str) -> dict[str, str]:
    """For a chat that keeps its history in a folder of the test's own."""
    # Nobody is there to answer where the cursor is.
    own = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "XDG_STATE_HOME": str(state)}
    known = {name: value for name, value in SERVERS_ENVIRONMENT.items() if name[:7] != "OPENAI_"}
    return known | own | settings


def tasks(path: Path) -> list[tuple[int, str, int]]:
    """What a to-do list's file holds: the id and the title of each task, and whether it is done."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT id, title, done FROM tasks ORDER BY id").fetchall()


class Person:
    """Types lines, and waits until something can be read."""

    def __init__(self, child: "pexpect.spawn[str]") -> None:
        self.child = child
        self.seen = ""

    def types(self, keys: str) -> None:
        """Press keys."""
        self.child.send(keys)

    def reads(self, text: str) -> str:
        """Wait for `text`; all that came until then."""
        self.child.expect_exact(text)
        came = self.child.before + self.child.after
        self.seen += came
        return came

    def asks(self, line: str) -> str:
        """Type a line and wait for the next prompt; what came meanwhile."""
        self.types(f"{line}\r")
        # The terminal shows what is typed in pieces.
        self.reads("\x1b[?2004l")
        return self.reads(READY).removesuffix(READY).replace("\r\n", "\n")

    def leaves(self) -> int | None:
        """Press Ctrl-D; the exit status."""
        self.types(CTRL_D)
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus


@contextmanager
def at_terminal(
    state: Path, *arguments: str, timeout: float = 60, **settings: str
) -> Iterator[Person]:
    """A chat that waits for its first line."""
    child = pexpect.spawn(
        sys.executable,
        [*CHAT, *arguments],
        cwd=str(ROOT),
        env=environment(state, **settings),
        encoding="utf-8",
        timeout=timeout,
        dimensions=(40, 200),
    )
    person = Person(child)
    try:
        person.reads(READY)
        yield person
    finally:
        if not child.closed:
            # It ends what it has started, which takes a while.
            child.kill(signal.SIGTERM)
            with suppress(pexpect.TIMEOUT):
                child.expect(pexpect.EOF)
            child.close(force=True)
