"""The chosen tools for MCP clients, through the SDK's own client."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import httpx2
import mcp_types as types
import pytest
from command_line import PYTHON_M, Command, commands
from conftest import SERVERS_ENVIRONMENT
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from served import Served, assistant_app

import service
from function_calling.errors import SettingsError
from function_calling.mcp_tools.server import McpServer
from function_calling.mcp_tools.servers_file import read_servers
from function_calling.settings import Settings
from function_calling.todo.store import TodoStore
from function_calling.todo.tools import todo_tools
from function_calling.toolbox.schema import Said
from function_calling.toolbox.tool_sets import ToolSet, load_tool_sets
from function_calling.toolbox.toolbox import Toolbox, changes_something, needs_approval
from tools import TOOL_SETS

ROOT = Path(__file__).resolve().parent.parent.parent
MODES = pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
"""Without a handshake and with one."""
command = pytest.fixture(commands)


@changes_something
def order(total: Annotated[Decimal, Said()]) -> dict[str, Decimal]:
    """Order things."""
    return {"total": total, "paid": Decimal("131.90")}


def say(what: str) -> str:
    """Say something."""
    return what


def hang() -> None:
    """Hang."""
    Event().wait()


SHOP = ToolSet(functions=[order, say, hang])


class Person:
    """Answers the client's questions."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self.read: list[str] = []

    async def __call__(self, _: Any, params: types.ElicitRequestFormParams) -> types.ElicitResult:
        """Answer one, and remember it."""
        self.read.append(params.message)
        return types.ElicitResult(action=self._answer)  # type: ignore[arg-type]


@asynccontextmanager
async def client(
    tools: ToolSet, mode: str, person: Person | None = None, **settings: Any
) -> AsyncIterator[Client]:
    """A client of a server of the tools, in memory."""
    server = McpServer(tools, Settings(**settings))
    async with Client(server.protocol, mode=mode, elicitation_callback=person) as connected:
        yield connected


async def read(connected: Client, tool: str, /, **arguments: Any) -> tuple[bool, str, Any]:
    """Whether a call went wrong, its text, and its object."""
    result = await connected.call_tool(tool, arguments)
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return result.is_error, content.text, result.structured_content


async def test_the_chosen_tools_are_listed_as_a_model_gets_them() -> None:
    """But for the one that turns a message away; hints say what changes and what asks first."""
    known = {name: partial(make, Settings()) for name, make in TOOL_SETS.items()}
    tools = load_tool_sets("currency,todo", known)
    *offered, turning_away = Toolbox(tools.functions).schemas
    async with client(tools, "2026-07-28") as connected:
        listed = (await connected.list_tools()).tools
        with pytest.raises(MCPError, match=r"There is no tool .reply_without_tool.. The tools"):
            await connected.call_tool(turning_away["function"]["name"], {})
    tools.close()
    assert [(each.name, each.description, each.input_schema) for each in listed] == [
        tuple(each["function"].values()) for each in offered
    ]
    hints = {each.name: each.annotations for each in listed}
    reading = [name for name, each in hints.items() if each and each.read_only_hint]
    assert reading == ["convert_currency", "calculate", "list_tasks"]
    assert [name for name, each in hints.items() if each and each.destructive_hint] == [
        "delete_task"
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "wrong", "text"),
    [
        ("order", {"total": 2}, False, '{"total": 2, "paid": 131.90}'),
        ("say", {"what": '{"half": "\\ud83d"}'}, False, '{"half": "\\ud83d"}'),
        ("order", {"total": 1, "by": 2}, True, "order was not called: its arguments are wrong. by"),
        ("hang", {}, True, "Tool hang took longer than 0.05 seconds and was given up; whether it "),
    ],
)
async def test_a_result_is_text_and_an_object_is_one_too(
    name: str, arguments: Any, wrong: bool, text: str
) -> None:
    """The toolbox's own, also of what goes wrong; nothing is looked for in a conversation."""
    bounds = {"tool_timeout": 0.05} if name == "hang" else {}
    async with client(SHOP, "2026-07-28", **bounds) as connected:
        is_error, told, value = await read(connected, name, **arguments)
    assert (is_error, told[: len(text)] if wrong else told) == (wrong, text)
    assert value == (None if wrong or name == "say" else {"total": 2, "paid": 131.9})


@MODES
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("accept", '{"id": 1, "title": "Buy milk", '),
        ("decline", "delete_task was not called: the user said no."),
        ("", "delete_task was not called: nobody can say the yes it needs."),
    ],
)
async def test_a_tool_that_needs_a_yes_runs_on_one_alone(
    mode: str, answer: str, told: str, store: TodoStore
) -> None:
    """The person at the client reads the call; a client that can't ask gets no yes."""
    person = Person(answer)
    async with client(
        todo_tools(store), mode, person if answer else None, approval="given"
    ) as connected:
        wrong, text, _ = await read(connected, "delete_task", id=1)
        assert (wrong, text[: len(told)]) == (answer != "accept", told)
        await read(connected, "delete_task", id="one")
    assert person.read == ['May delete_task run with {"id": 1}?'] * bool(answer)
    assert len(store.tasks()) == (1 if answer == "accept" else 2)


async def test_a_yes_is_for_the_arguments_that_were_shown(store: TodoStore) -> None:
    """With others, the question is asked anew; where nobody can be asked, a sent yes counts not."""
    yes = types.ElicitResult(action="accept")
    async with client(todo_tools(store), "2026-07-28", Person("decline")) as connected:
        asked = await connected.session.call_tool(
            "delete_task", {"id": 1}, allow_input_required=True
        )
        assert isinstance(asked, types.InputRequiredResult)
        answers = dict.fromkeys(asked.input_requests or {}, yes)
        result = await connected.call_tool("delete_task", {"id": 2}, input_responses=answers)
        assert result.is_error
    async with client(todo_tools(store), "2026-07-28") as connected:
        result = await connected.call_tool("delete_task", {"id": 1}, input_responses=answers)
        assert result.is_error
    assert len(store.tasks()) == 2


async def test_a_name_can_not_forge_the_question() -> None:
    """Line ends and marks that turn text around are shown as what they are."""

    @needs_approval
    def erase(name: str) -> str:
        """Erase."""
        return name

    person = Person("decline")
    async with client(ToolSet(functions=[erase]), "2026-07-28", person) as connected:
        await read(connected, "erase", name="a\nb\u202e")
    assert person.read == ['May erase run with {"name": "a\\nb\\u202e"}?']


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """The assistant, with tools of both kinds."""
    with assistant_app(tools="currency,todo") as served:
        yield served


@MODES
async def test_the_assistant_serves_its_tools_over_http(mode: str, served: Served) -> None:
    """One request at a time, without a session or a stream. Older clients can't be asked."""
    over = httpx2.ASGITransport(served.http.app)
    async with httpx2.AsyncClient(transport=over) as http:
        transport = streamable_http_client("http://127.0.0.1:3000/mcp", http_client=http)
        async with Client(transport, mode=mode, elicitation_callback=Person("accept")) as connected:
            assert len((await connected.list_tools()).tools) == 6
            assert (await http.get("http://127.0.0.1:3000/mcp")).status_code == 405
            wrong, _, task = await read(connected, "create_task", title="Buy milk")
            assert not wrong
            wrong, text, _ = await read(connected, "delete_task", id=task["id"])
            assert wrong == (mode == "legacy"), text
            with pytest.raises(MCPError) as caught:
                await connected.call_tool("nothing", {})
    assert caught.value.code == types.INVALID_PARAMS


def test_without_the_package_each_door_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, served: Served, command: Command
) -> None:
    """In OpenAI's shape, or in one line; the rest of the assistant is there."""
    for each in ("mcp", "mcp_types"):
        monkeypatch.setitem(sys.modules, each, None)
    monkeypatch.delitem(sys.modules, "function_calling.mcp_tools.server")
    missing = "The package mcp is not installed here: `make mcp` installs it."
    with pytest.raises(SettingsError, match=f"MCP_SERVERS='mcp.json': t{missing[1:]}"):
        read_servers("mcp.json")
    service.mcp_endpoint.offer(served.assistant.tools, served.assistant.settings)
    response = served.http.post("/mcp", json={})
    assert (response.status_code, response.json()["error"]["message"]) == (501, missing)
    done = command("mcp")
    assert (done.status, done.out, done.err) == (1, "", f"{missing}\n")


NOISY = '''
import subprocess
print("imported")


def shout(text: str) -> str:
    """Shout."""
    print("called")
    subprocess.run(["echo", "started"])
    return text.upper()
'''


@pytest.mark.serve
@MODES
async def test_the_configuration_that_is_shown_starts_a_server(mode: str, tmp_path: Path) -> None:
    """On standard input and output, where nothing else is written, whatever tools print."""
    (tmp_path / "noisy.py").write_text(NOISY)
    shown = (ROOT / "docs/mcp.md").read_text(encoding="utf-8").split("```json\n")[1].split("```")[0]
    entry = json.loads(shown.replace("/path/to/checkout", str(ROOT)))["mcpServers"]["exchange"]
    entry["args"][-1] += ",noisy:shout"
    with (tmp_path / "log").open("w") as log:
        started = stdio_client(StdioServerParameters(**entry, cwd=tmp_path), errlog=log)
        async with Client(started, mode=mode, elicitation_callback=Person("accept")) as connected:
            assert await read(connected, "shout", text="hi") == (False, "HI", None)
            _, _, task = await read(connected, "create_task", title="Buy milk")
            assert (await read(connected, "delete_task", id=task["id"]))[0] is False
    assert (tmp_path / "log").read_text().split() == ["imported", "called", "started"]


@pytest.mark.serve
def test_a_client_that_goes_back_to_an_older_version_is_served() -> None:
    """As one whose question for the newest found the server still starting."""
    about = {"capabilities": {}, "clientInfo": {"name": "a client", "version": "1"}}
    newest = {f"io.modelcontextprotocol/{name}": value for name, value in about.items()}
    newest["io.modelcontextprotocol/protocolVersion"] = "2026-07-28"
    asked = [
        {"id": 0, "method": "server/discover", "params": {"_meta": newest}},
        {"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", **about}},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
    ]
    lines = "".join(json.dumps({"jsonrpc": "2.0", **each}) + "\n" for each in asked)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*PYTHON_M, "mcp"], cwd=ROOT, env=SERVERS_ENVIRONMENT, **pipes) as server:
        assert server.stdin
        assert server.stdout
        server.stdin.write(lines)
        server.stdin.flush()
        told: dict[int, Any] = {}
        while 2 not in told:
            answer = json.loads(server.stdout.readline())
            told[answer["id"]] = answer
        assert told[1]["result"]["protocolVersion"] == "2025-11-25"
        assert told[2]["result"]["tools"]
        server.stdin.close()
        assert server.wait(30) == 0


@pytest.mark.serve
def test_a_signal_ends_a_server_whose_client_stays() -> None:
    """At once, and without a trace."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*PYTHON_M, "mcp"], cwd=ROOT, env=SERVERS_ENVIRONMENT, **pipes) as server:
        assert server.stdin
        assert server.stdout
        assert server.stderr
        try:
            server.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
            server.stdin.flush()
            assert json.loads(server.stdout.readline())["id"] == 1
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == -signal.SIGTERM
            assert server.stderr.read() == b""
        finally:
            with suppress(ProcessLookupError):
                server.kill()
