"""Tools of MCP servers beside the assistant's own, through its doors, with a scripted model.

The servers are processes on the SDK: see `mcp_server.py`.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bureau import results
from command_line import PYTHON_M
from hosts import listening
from pseudo_terminal import at_terminal
from scripted_http import scripted_http
from scripted_server import ScriptedServer, Turn, calls, fails, says
from served import Served, chat

import function_calling.mcp_tools.clients as clients
import function_calling.mcp_tools.schemas as schemas
from benchmarks.servers import free_port
from function_calling.agent.events import ToolResultEvent
from function_calling.errors import SettingsError
from function_calling.mcp_tools.servers_file import read_servers
from function_calling.settings import Settings
from function_calling.toolbox.schema import FunctionSchema
from function_calling.toolbox.tool_sets import ToolSet
from tools import TOOL_SETS, mcp_tools

SERVER = Path(__file__).resolve().parent.parent / "mcp_server.py"
RIGHT = ("weather_forecast", {"city": "Oslo", "days": 2})
ANSWER = "It will have 20 degrees in Oslo."
WRONG = "weather_forecast was not called: its arguments are wrong."
UNKNOWN = "whether it did anything is unknown."


class Desk:
    """Asks the assistant, whose model is scripted, and whose servers are those of a file.

    Attributes:
        model: The one that was asked last.
        results: What came of calls of the last question.
    """

    def __init__(
        self, app: Served, patch: pytest.MonkeyPatch, own: Path, shared: tuple[Path, ToolSet]
    ) -> None:
        self.app = app
        self._patch = patch
        self._shared = shared
        self.folder = own
        self.model = ScriptedServer()
        self.results: list[ToolResultEvent] = []

    def connect(self, servers: dict[str, Any] | None = None, **settings: Any) -> None:
        """Have these servers; the one by stdio that tests share where none is given."""
        sets = TOOL_SETS
        if servers is None:
            self.folder, shared = self._shared
            sets = {**TOOL_SETS, "mcp": lambda _: shared}
        settings["mcp_servers"] = write(self.folder, servers)
        self.app.use(self._patch, self.model.client(), sets, **settings)

    def asks(self, *turns: Turn) -> str:
        """Have a question answered by these turns of the model."""
        self.model = ScriptedServer(*turns)
        self._patch.setattr(self.app.assistant, "client", self.model.client())
        told, events = chat(self.app.http, [{"role": "user", "content": "Oslo? Or 42 USD?"}])
        self.results = [each for each in events if isinstance(each, ToolResultEvent)]
        return told

    @property
    def offered(self) -> list[str]:
        """The tools that the model was offered last."""
        return [each["function"]["name"] for each in self.model.requests[-1].get("tools", [])]

    def offers(self, name: str, *, there: bool = True) -> None:
        """Ask until the model is offered a tool, or is not any more."""
        ending = time.monotonic() + 30
        self.asks(says("Hello."))
        while (name in self.offered) != there:
            assert time.monotonic() < ending
            time.sleep(0.1)
            self.asks(says("Hello."))

    @property
    def process(self) -> int:
        """The server that was started last."""
        return int((self.folder / "started").read_text().split()[-1])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ToolSet]]:
    """The folder of a server by stdio, and the tools of it."""
    folder = tmp_path_factory.mktemp("weather")
    env = {"KEY": "${A_KEY:-secret}"}
    entry = {"command": sys.executable, "args": [str(SERVER), str(folder)], "env": env}
    tools = mcp_tools(Settings(mcp_servers=write(folder, {"weather": entry})))
    yield folder, replace(tools, close=lambda: None)
    tools.close()


@pytest.fixture
def desk(
    app: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared: tuple[Path, ToolSet]
) -> Iterator[Desk]:
    """The assistant with servers, which are tried again soon."""
    monkeypatch.setattr(clients, "LONGEST_PAUSE", 0.1)
    desk = Desk(app, monkeypatch, tmp_path, shared)
    yield desk
    app.assistant.close()


def write(folder: Path, servers: Any) -> str:
    """The path of a file that names these servers."""
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}))
    return str(path)


def test_a_servers_tool_is_called_beside_our_own(desk: Desk) -> None:
    """Under the server's name and the tool's, with its own schema; no call is forced.

    A model that must call would call servers' tools for whatever it is asked.
    """
    desk.connect()
    assert desk.asks(calls(RIGHT), says(ANSWER)) == ANSWER
    first = desk.model.requests[0]
    (tool,) = [it["function"] for it in first["tools"] if it["function"]["name"] == RIGHT[0]]
    assert tool["description"] == "Tell the temperature that is forecast for a city."
    assert tool["parameters"]["required"] == ["city"]
    assert results(desk.model) == [ANSWER]
    assert desk.app.http.get("/ui/about").json()["topic"] == "converting money or weather"
    assert desk.asks(says("La la la.")) == "La la la."
    assert desk.model.requests[0]["tool_choice"] == "auto"
    assert {"convert_currency", "weather_note"} < set(desk.offered)
    assert "reply_without_tool" not in desk.offered
    desk.connect(tools="mcp")
    desk.asks(calls(RIGHT), says(ANSWER))
    assert all(each.startswith("weather_") for each in desk.offered)


def test_without_its_servers_the_assistant_is_as_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a command is none, nobody listens at a URL, or one that was started says nothing.

    The first questions wait for a bounded time, the next ones not at all.
    """
    monkeypatch.setattr(clients, "START_SECONDS", 0.2)
    nobody = f"http://127.0.0.1:{free_port()}/mcp"
    silent = {"command": sys.executable, "args": ["-c", "import sys; sys.stdin.read()"]}
    servers = {"none": {"command": "no-such-command"}, "nobody": {"url": nobody}, "silent": silent}
    desk.connect(servers)
    for _ in range(2):
        assert desk.asks(calls(("reply_without_tool", {}))).startswith("I can only convert money")
    assert desk.offered == ["convert_currency", "reply_without_tool"]


@pytest.mark.parametrize(
    ("tool", "arguments", "told", "read"),
    [
        ("fail", {}, "weather_fail failed.", "The station is closed."),
        ("refuse", {}, "weather_refuse failed.", "There is no such city."),
        ("forecast", {"city": 3, "day": 1}, WRONG, "$.city: 3 is not of type 'string'; $: Addit"),
    ],
)
def test_an_error_is_for_the_model_to_read(
    desk: Desk, tool: str, arguments: Any, told: str, read: str
) -> None:
    """A person reads that the tool failed, and nothing of a stranger's words.

    Wrong arguments come back before they leave; what a server refuses by the protocol is in no
    doubt, and the model may try again.
    """
    desk.connect()
    wrong = calls((f"weather_{tool}", arguments))
    assert desk.asks(wrong, calls(RIGHT), says(ANSWER)) == ANSWER
    assert desk.results[0].content.endswith(told)
    assert f"{told} {read}" in results(desk.model)[0]


def test_references_that_double_come_to_an_end() -> None:
    """What they find is told, and where they find nothing, no more than a bounded part is tried."""
    doubling = {f"{n}": {"allOf": [{"$ref": f"#/$defs/{n - 1}"}] * 2} for n in range(1, 60)}
    defs = {"$defs": {"0": {"type": "string"}, **doubling}}
    schema = {"type": "object", "properties": {"text": {"$ref": "#/$defs/59"}}, **defs}
    assert schemas.problems({"text": "right"}, schema) == []
    assert schemas.problems({"text": 1}, schema)[0] == "$.text: 1 is not of type 'string'"


def test_a_schema_that_the_models_server_refuses_costs_its_tool_alone(desk: Desk) -> None:
    """Not the question, nor the server's other tools; the error's `param` is the tool's place."""
    desk.connect()
    desk.offers("weather_note")
    place = f"tools[{desk.offered.index('weather_note')}].function.parameters"
    refused = fails(400, "As weather_forecast?", "invalid_function_parameters", place)
    assert desk.asks(refused, calls(RIGHT), says(ANSWER)) == ANSWER
    assert "weather_forecast" in desk.offered
    assert "weather_note" not in desk.offered


@pytest.mark.parametrize(
    ("tool", "arguments", "read"),
    [
        ("data", {}, '{"key": "secret"}'),
        ("picture", {}, "Clouds.\n[Left out: image]"),
        ("photo", {}, "[Left out: image]"),
        ("file", {}, "[Left out: resource]"),
        ("links", {}, '{"name": "Map", "uri": "geo:59,10", "description": "Of Oslo."}'),
        ("long", {}, "sun " * 25 + "\n[Cut: these are the first 100 of 20000 bytes.]"),
        # Names are OpenAI's, and each is one tool's.
        ("x_y", {}, "x.y was called."),
        ("x_y_2", {}, "x_y was called."),
        # No server can be sent half a pair.
        ("data", '{"any": "\\ud83d"}', '{"key": "secret"}'),
        # A pattern can take for ever, and the server checks it too.
        ("slow", {"text": "a" * 40 + "b"}, "slow was called."),
        ("slow", {"a" * 40 + "b": 1}, "slow was called."),
    ],
)
def test_a_result_is_text_within_its_bound(
    desk: Desk, tool: str, arguments: Any, read: str
) -> None:
    """Or data as JSON; what can't be read is named. The server goes on, whatever it is sent."""
    desk.connect(tool_result_bytes=100)
    desk.offers(f"weather_{tool}")
    server = desk.process
    desk.asks(calls((f"weather_{tool}", arguments)), says("Done."))
    assert results(desk.model) == [read]
    desk.offers(f"weather_{tool}")
    assert desk.process == server


def test_what_may_change_something_needs_a_yes(desk: Desk) -> None:
    """Whatever is not marked as reading only; where nobody can be asked, `APPROVAL` decides."""
    noted = ("weather_note", {"city": "Oslo"})
    desk.connect(approval="refused")
    desk.asks(calls(noted), says("I may not."))
    told = "weather_note was not called: nobody can say the yes it needs."
    assert desk.results[0].content == told
    assert desk.asks(calls(RIGHT), says(ANSWER)) == ANSWER
    assert not (desk.folder / "notes").exists()
    desk.connect(approval="given")
    desk.asks(calls(noted), says("Noted."))
    assert (desk.folder / "notes").read_text() == "Oslo\n"


def test_a_server_that_dies_in_mid_call_is_told_and_comes_back(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Model, person and log; the next question finds the server started anew."""
    desk.connect()
    told = f"Tool weather_die_noting failed; {UNKNOWN}"
    asked = calls(("weather_die_noting", {})), says("I did it.")
    assert desk.asks(*asked) == f"I did it. {told}"
    assert [each.content for each in desk.results] == [told]
    died = desk.process
    desk.offers("weather_forecast")
    assert desk.asks(calls(RIGHT), says(ANSWER)) == ANSWER
    assert desk.process != died
    assert [each.levelname for each in caplog.records if "is away" in each.message] == ["WARNING"]


def test_a_tool_that_hangs_ends_in_its_time(desk: Desk) -> None:
    """And its server goes on."""
    desk.connect(tool_timeout=0.2)
    desk.offers("weather_hang")
    server = desk.process
    told = desk.asks(calls(("weather_hang", {})), says(""))
    assert told.endswith(f"longer than 0.2 seconds and was given up; {UNKNOWN}")
    assert desk.asks(calls(RIGHT), says(ANSWER)) == ANSWER
    assert desk.process == server


async def test_a_list_that_fails_ends_no_call(tmp_path: Path) -> None:
    """Which another question has made; the list is what it was."""
    entry = {"command": sys.executable, "args": [str(SERVER), str(tmp_path)], "tools": ["hang"]}
    tools = mcp_tools(Settings(mcp_servers=write(tmp_path, {"weather": entry})))
    assert tools.guests
    (tool,) = (await tools.guests(())).functions
    assert isinstance(tool, FunctionSchema)
    call = asyncio.create_task(tool.function())
    await asyncio.sleep(0)
    (tmp_path / "failing").touch()
    assert (await tools.guests(())).functions
    assert not call.done()
    tools.close()
    with pytest.raises(CancelledError):
        await call


OLD = """
import json, sys
tool = {"name": "menu", "description": "Caf\u00e9", "inputSchema": {"type": "object"}}
task = {"name": "as_task", "inputSchema": {"type": "object"}}
task["execution"] = {"taskSupport": "required"}
own = {"capabilities": {}, "serverInfo": {"name": "old", "version": "1"}}
began = {"protocolVersion": "2025-11-25", **own}
told = {"tools/list": {"tools": [tool, task]}, "initialize": began}
for asked in map(json.loads, sys.stdin):
    if "id" in asked:
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": told[asked["method"]]}
        line = json.dumps(answer, ensure_ascii=False) + "\\n"
        sys.stdout.buffer.write(line.encode("latin-1"))
        sys.stdout.flush()
"""


def test_an_old_server_is_understood(desk: Desk) -> None:
    """One that ends at a question that it doesn't know, and doesn't write UTF-8.

    A tool that it runs as a task alone can't be called, so it is not offered. Of two with names
    alike, each keeps its own while the other is away.
    """
    old = {"command": sys.executable, "args": ["-c", OLD]}
    desk.connect({"my old": {**old, "command": "no-such-command"}, "my.old": old})
    desk.offers("my_old_2_menu")
    offered = [each["function"] for each in desk.model.requests[-1]["tools"]]
    assert (offered[-1]["name"], offered[-1]["description"]) == ("my_old_2_menu", "Caf\ufffd")


def test_a_list_that_changes_is_followed(desk: Desk) -> None:
    """The next question is offered what there is by then."""
    desk.connect()
    desk.offers("weather_forecast")
    assert "weather_more" not in desk.offered
    (desk.folder / "more").touch()
    desk.asks(calls(("weather_more", {})), says("Done."))
    assert results(desk.model) == ["more was called."]


def test_bounds_hold_for_what_a_server_lists(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Tools, descriptions, schemas, which must hold, and pages; what is left out is logged."""
    monkeypatch.setattr(clients, "MOST_TOOLS", 14)
    monkeypatch.setattr(clients, "LONGEST_DESCRIPTION", 5)
    monkeypatch.setattr(schemas, "LONGEST_SCHEMA", 60)
    (desk.folder / "endless").touch()
    entry = {"command": sys.executable, "args": [str(SERVER), str(desk.folder)]}
    tools = ["hang", "die", "forecast", "broken"]
    desk.connect({"my weather": {**entry, "tools": tools}})
    desk.offers("my_weather_hang_7")
    offered = [each["function"] for each in desk.model.requests[-1]["tools"]]
    foreign = [each for each in offered if each["name"].startswith("my_weather_")]
    assert len(foreign) == 14
    assert {each["description"] for each in foreign} == {"Do ha", "Do di"}
    assert "MCP server my_weather: tools left out: forecast, broken, " in caplog.text


def test_a_server_by_http_is_called_and_found_again(desk: Desk) -> None:
    """Nothing is started for it; while it is away, so are its tools.

    A call of one within a question is told so.
    """
    port = free_port()
    command = [sys.executable, str(SERVER), str(desk.folder), str(port)]

    def serve() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command)

    running = serve()
    try:
        desk.connect({"weather": {"type": "http", "url": f"http://127.0.0.1:{port}/mcp"}})
        desk.offers("weather_forecast")
        assert desk.asks(calls(RIGHT), says(ANSWER)) == ANSWER
        desk.asks(calls(("weather_die", {})), calls(RIGHT), says(""))
        assert desk.results[0].content == "Tool weather_die failed."
        assert not desk.results[1].ok
        desk.offers("weather_forecast", there=False)
        running.wait()
        running = serve()
        desk.offers("weather_forecast")
        assert desk.asks(calls(RIGHT), says(ANSWER)) == ANSWER
    finally:
        running.kill()
        running.wait()


@pytest.mark.parametrize(
    ("servers", "wrong"),
    [
        ({"a": {}}, "a: wanted either command or url."),
        ({"a": []}, "a: input should be a valid dictionary or instance of ServerEntry."),
        ({"a": {"url": "ftp://x"}}, 'a: url="ftp://x": wanted an address of http or https.'),
        ({"a": {"command": "x", "env": {"A": 1}}}, "a.env.A: input should be a valid string."),
        (
            {"a": {"url": "http://x", "headers": {"Authorization": "Bearer secret\n"}}},
            "a.headers.Authorization: wanted printable ASCII, on one line.",
        ),
        (
            {"a": {"url": "http://x", "headers": {"Authorization": "${NO_SUCH_KEY}"}}},
            "a.headers.Authorization: the environment variable NO_SUCH_KEY is not set.",
        ),
        ([], 'it can\'t be read as JSON of an object {"mcpServers": {NAME: {…}}}'),
        (None, "NAME: {…}}} ([Errno 2] No such file or directory: 'nowhere.json')"),
    ],
)
def test_a_wrong_file_ends_the_start(tmp_path: Path, servers: Any, wrong: str) -> None:
    """In one line, with the server, the key and what was wanted."""
    path = "nowhere.json" if servers is None else write(tmp_path, servers)
    with pytest.raises(SettingsError) as caught:
        mcp_tools(Settings(mcp_servers=path))
    (line,) = str(caught.value).splitlines()
    assert line.startswith("MCP_SERVERS")
    assert wrong.rstrip(".") in line


def test_variables_stand_in_a_file_as_other_clients_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a default or without; of a server that is disabled nothing is read."""
    monkeypatch.setenv("A_KEY", "secret")
    path = write(
        tmp_path,
        {
            "one": {"command": "${RUNNER:-uvx}", "env": {"KEY": "${env:A_KEY}"}},
            "two": {"url": "http://x", "headers": {"Authorization": "Bearer ${A_KEY}"}},
            "off": {"disabled": True, "url": "${NO_SUCH_URL}"},
        },
    )
    read = read_servers(path)
    assert list(read) == ["one", "two"]
    assert (read["one"].command, read["one"].env) == ("uvx", {"KEY": "secret"})
    assert read["two"].headers == {"Authorization": "Bearer secret"}


@pytest.mark.slow
def test_a_person_at_the_terminal_says_yes(tmp_path: Path) -> None:
    """Before a server's tool runs that may change something; `/tools` lists it."""
    entry = {"command": sys.executable, "args": [str(SERVER), str(tmp_path)], "tools": ["note"]}
    noted = calls(("weather_note", {"city": "Oslo"}))
    settings = {"MCP_SERVERS": write(tmp_path, {"weather": entry})}
    with scripted_http(noted, says("Noted.")) as server:
        settings["OPENAI_BASE_URL"] = server.url
        with at_terminal(tmp_path, **settings) as person:
            assert "weather_note: Write down a note about a city.\n" in person.asks("/tools")
            person.types("note Oslo\r")
            assert 'weather_note(city="Oslo")' in person.reads("[y/N]")
            assert not (tmp_path / "notes").exists()
            assert person.asks("y").endswith("Noted.\n")
            assert "Ready to serve." not in person.seen
            assert person.leaves() == 0
    assert (tmp_path / "notes").read_text() == "Oslo\n"


@pytest.mark.serve
@pytest.mark.model
@pytest.mark.timeout(900)
def test_the_default_model_calls_a_servers_tool(tmp_path: Path) -> None:
    """Beside our own; where the server is killed in mid-call, the answer says that it failed."""
    entry = {"command": sys.executable, "args": [str(SERVER), str(tmp_path)], "tools": ["forecast"]}
    path = write(tmp_path, {"weather": entry})
    command = [*PYTHON_M, "serve", "--port", "{port}"]
    with listening(tmp_path, command, "127.0.0.1", free_port(), MCP_SERVERS=path) as host:
        host.wait_ready()
        asked = "What temperature will it have in Oslo in 3 days?"
        assert "30" in host.exchange(asked).text
        assert "131.95" in host.exchange().text
        (tmp_path / "deadly").touch()
        told = host.exchange("What temperature will it have in Rome in 3 days?")
        assert "Tool weather_forecast failed." in told.text
