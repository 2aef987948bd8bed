"""The chat in the terminal, at a real pseudo-terminal, over a scripted model or the default one."""

import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from command_line import Done
from pseudo_terminal import CHAT, CTRL_C, READY, ROOT, at_terminal, environment, tasks
from scripted_http import scripted_http
from scripted_server import calls, fails, hangs, says
from wire_server import MODEL, WireServer

from benchmarks.servers import free_port
from function_calling.cli.chat import LEAVE, SHORTENED
from function_calling.todo.store import TodoStore

pytestmark = pytest.mark.slow

NOTED = calls(("create_task", {"title": "fix a bug"}))
LISTED = calls(("list_tasks", {}))
# An id counts when a list has shown it.
DELETED = (LISTED, calls(("delete_task", {"id": 1})))
TOO_LONG = fails(400, "The prompt has 5000 tokens.", "context_length_exceeded")


def said(server: WireServer, request: int = -1) -> list[tuple[str, str | None]]:
    """Role and content of the messages of a request, but for the first, the system's."""
    messages = server.requests[request]["messages"][1:]
    return [(each["role"], each.get("content")) for each in messages]


def chat(server: WireServer, state: Path, **settings: str):
    """A chat over this server that keeps its list in `state`."""
    own = {"OPENAI_BASE_URL": server.url, "TODO_DB": str(state / "todo.db")}
    return at_terminal(state, "--tools", "todo", **own | settings)


def test_a_task_is_written_down_shown_and_deleted_with_a_yes(tmp_path: Path) -> None:
    """Calls, results and answers are on the screen; a no leaves the task where it is."""
    added, kept = (NOTED, says("I noted it.")), (*DELETED, says("Then I leave it."))
    script = (*added, *kept, *DELETED, says("Gone."))
    with scripted_http(*script) as server, chat(server, tmp_path) as person:
        assert f"{MODEL} at {server.url}/v1" in person.seen
        noted = person.asks("Help me to write down it I'm going to fix a bug")
        assert 'create_task(title="fix a bug")\x1b[0m\n' in noted
        assert '→ Added "fix a bug" to the to-do list.\x1b[0m\n' in noted
        assert noted.endswith("I noted it.\n")
        assert tasks(tmp_path / "todo.db") == [(1, "fix a bug", 0)]

        person.types("delete it\r")
        assert "delete_task(id=1)\x1b[0m" in person.reads("[y/N]")
        refused = person.asks("")
        assert "✗ delete_task was not called: the user said no." in refused
        assert refused.endswith("Then I leave it.\n")
        assert server.requests[-1]["tool_choice"] == "auto"
        assert tasks(tmp_path / "todo.db") == [(1, "fix a bug", 0)]

        person.types("delete it now\r")
        person.reads("[y/N]")
        assert person.asks("y").endswith("Gone.\n")
        assert tasks(tmp_path / "todo.db") == []
        assert person.leaves() == 0
    assert said(server, 5) == [
        ("user", "Help me to write down it I'm going to fix a bug"),
        ("assistant", "I noted it."),
        ("user", "delete it"),
        ("assistant", "Then I leave it."),
        ("user", "delete it now"),
    ]


def test_commands_and_keys(tmp_path: Path) -> None:
    """Commands ask no model; what was asked can be asked again the next time."""
    script = (LISTED, says("Nothing."), LISTED, says("Nothing."))
    with scripted_http(*script) as server:
        with chat(server, tmp_path) as person:
            assert "/new " in person.asks("/help")
            assert "delete_task: Delete a task from the to-do list." in person.asks("/tools")
            assert "There is no command /nope it: /help lists them." in person.asks("/nope it")
            person.types(CTRL_C)
            person.reads(LEAVE)
            person.reads(READY)
            person.types(f"what is{CTRL_C}")
            assert LEAVE not in person.reads(READY)
            person.asks("   ")
            assert server.requests == []
            person.asks("/etc/hosts is what?")
            assert "new conversation" in person.asks("/new")
            person.asks("and now?")
            assert said(server, 2) == [("user", "and now?")]
            assert (tmp_path / "function-calling/chat_history").stat().st_mode & 0o777 == 0o600
            person.types("/quit\r")
            person.reads("/quit")
            person.child.expect_exact("\x1b[?2004l")
            assert person.child.wait() == 0
        server.turns += [LISTED, says("Nothing.")]
        with chat(server, tmp_path) as person:
            person.types("\x1b[A\x1b[A")  # the line before /quit
            person.asks("")
            assert said(server)[0] == ("user", "and now?")


def test_ctrl_c_stops_the_turn_and_what_was_shown_stays(tmp_path: Path) -> None:
    """While the model writes, and at the question for a yes; the chat goes on."""
    script = (NOTED, hangs(), *DELETED, LISTED, says("Yes."))
    with scripted_http(*script) as server, chat(server, tmp_path) as person:
        person.types("note it\r")
        person.reads("\x1b[2KWell.")
        assert not server.let_go.is_set()
        person.types(CTRL_C)
        person.reads("Stopped.")
        person.reads(READY)
        assert server.let_go.wait(60)

        person.types("delete it\r")
        person.reads("[y/N]")
        person.types(CTRL_C)
        person.reads("Stopped.")
        person.reads(READY)
        assert tasks(tmp_path / "todo.db") == [(1, "fix a bug", 0)]
        assert person.asks("is it there?").endswith("Yes.\n")
    assert said(server, 4) == [
        ("user", "note it"),
        ("assistant", "Well.…"),
        ("user", "delete it"),
        ("assistant", 'To do: "fix a bug".'),
        ("user", "is it there?"),
    ]


def test_a_signal_to_end_is_no_ctrl_c(tmp_path: Path) -> None:
    """Neither as soon as a line is waited for, nor at the question for a yes."""
    for ending, script in ((signal.SIGHUP, ()), (signal.SIGTERM, (NOTED, *DELETED))):
        with scripted_http(*script) as server, chat(server, tmp_path) as person:
            if script:
                person.types("note it, and delete it\r")
                person.reads("[y/N]")
            person.child.kill(ending)
            person.child.expect(pexpect.EOF)
            person.child.close()
            assert person.child.exitstatus == 130


def test_nothing_that_comes_from_a_server_commands_the_terminal(tmp_path: Path) -> None:
    """Neither in an answer nor in a call, a result or an error, after which the chat goes on."""
    evil = "a\x1b]0;owned\x07b\x9bc [bold]d[/bold] :smile: \u202ee"
    seen = "a␛]0;owned␇b�c [bold]d[/bold] :smile: �e"
    script = (calls(("create_task", {"title": evil})), says(f"Well: {evil.replace('0', 'O')}."))
    with scripted_http(*script, fails(500, evil)) as server, chat(server, tmp_path) as person:
        told = person.asks("note it") + person.asks("and again")
        server.close()
        assert "The model server can't be reached" in person.asks("and then?")
    assert told.count(seen) == 2  # the result and the error
    assert f"The model server failed: {seen}" in told
    assert seen.replace("0", "O") in told
    assert "\\u001b]0;owned\\u0007" in told  # the call's JSON
    assert not [each for each in ("\x1b]", "\x07", "\x9b", "\u202e") if each in told]


def test_the_oldest_turn_is_left_out_of_what_is_too_long(tmp_path: Path) -> None:
    """As many as must be, by OpenAI's code or another server's words; then it is told.

    A change is not made again: its turn ends with what was done.
    """
    in_words = fails(400, "maximum context length is 4096 tokens")
    script = (LISTED, says("One."), LISTED, says("Two."), TOO_LONG, in_words, LISTED, says("Yes."))
    changing = (LISTED, says("Five."), NOTED, TOO_LONG)
    with (
        scripted_http(*script, TOO_LONG, TOO_LONG, *changing) as server,
        chat(server, tmp_path) as person,
    ):
        person.asks("first")
        person.asks("second")
        assert person.asks("third").count(SHORTENED) == 2
        assert said(server)[0] == ("user", "third")
        left = person.asks("fourth")
        assert left.count(SHORTENED) == 1
        assert "The prompt has 5000 tokens." in left
        assert said(server) == [("user", "fourth")]
        person.asks("fifth")
        told = person.asks("note it")
    assert 'Added "fix a bug" to the to-do list.' in told
    assert SHORTENED not in told
    assert tasks(tmp_path / "todo.db") == [(1, "fix a bug", 0)]


def one_shot(
    server: WireServer, state: Path, question: bytes, *arguments: str, **settings: str
) -> Done:
    """The chat with a pipe before and behind it."""
    own = {"OPENAI_BASE_URL": server.url, "TODO_DB": str(state / "todo.db")} | settings
    command, environ = (
        [sys.executable, *CHAT, "--tools", "todo", *arguments],
        environment(state, **own),
    )
    done = subprocess.run(command, input=question, cwd=ROOT, env=environ, capture_output=True)
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_pipe_asks_one_question(tmp_path: Path) -> None:
    """All of it; the answer alone goes on, and whoever has the key of the server uses it.

    Where nobody can say a yes, the setting decides; a failure is told in one line.
    """
    question = "Help me to write down it\nI'm going to fix a bug\n\ud83d".encode(
        errors="surrogatepass"
    )
    own = {"OPENAI_API_KEY": "sesame", "OPENAI_MODEL_NAME": "other"}
    script = (NOTED, says("I noted it."), *DELETED, says("I may not."), *DELETED, says("Gone."))
    with scripted_http(*script, fails(500, "out of memory")) as server:
        done = one_shot(server, tmp_path, question, **own)
        steps = 'create_task(title="fix a bug")\n→ Added "fix a bug" to the to-do list.\n'
        assert done == Done(0, "I noted it.\n", steps)
        assert said(server, 0) == [
            ("user", "Help me to write down it\nI'm going to fix a bug\n���")
        ]
        assert (server.requests[0]["model"], server.keys[0]) == ("other", "Bearer sesame")
        refused = one_shot(server, tmp_path, b"", "delete it", APPROVAL="refused")
        assert refused.out == "I may not.\n"
        assert "nobody can say the yes" in refused.err
        assert len(tasks(tmp_path / "todo.db")) == 1
        assert one_shot(server, tmp_path, b"delete it").out == "Gone.\n"
        assert tasks(tmp_path / "todo.db") == []
        done = one_shot(server, tmp_path, b"hi")
        assert (done.status, done.out) == (1, "")
        assert done.err == "The model server failed: out of memory\n"


# With the default model, which it serves for itself

PATIENCE = 600


@pytest.mark.model
@pytest.mark.timeout(1800)
def test_a_list_is_kept_by_talking(tmp_path: Path) -> None:
    """Added, listed, ticked and deleted: after each step the file holds just what it should."""
    path = tmp_path / "todo.db"
    store = TodoStore(str(path))
    store.create("buy milk")
    store.close()
    port = ("--port", str(free_port()))
    settings = {"TOOLS": "todo", "TODO_DB": str(path), "QUERY_TIMEOUT": str(PATIENCE)}
    with at_terminal(tmp_path, *port, timeout=PATIENCE, **settings) as person:
        person.asks("Help me to write down it I'm going to fix a bug")
        kept, (second, title, open_) = tasks(path)
        assert (kept, second, open_) == ((1, "buy milk", 0), 2, 0)
        assert "bug" in title.lower()

        listed = person.asks("What is on my list?")
        assert f'→ To do: "buy milk", "{title}".' in listed
        assert tasks(path) == [kept, (2, title, 0)]

        person.asks("I fixed the bug, mark it as done")
        assert tasks(path) == [kept, (2, title, 1)]

        person.types("Delete the task about the bug\r")
        assert "delete_task(id=2)" in person.reads("[y/N]")
        assert tasks(path) == [kept, (2, title, 1)]
        person.asks("y")
        assert tasks(path) == [kept]
        assert person.leaves() == 0
