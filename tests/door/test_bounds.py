"""What a request and a client may take, as the client sees it."""

import asyncio
import gc
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from weakref import WeakSet

import httpx2
import pytest
import uvicorn
from conftest import SERVERS_ENVIRONMENT
from scripted_engine import ScriptedEngine, chatml_model
from served import Served
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from v1_client import CHAT, USER, Serve, serving

from function_calling.agent.model_call import llama_client
from function_calling.asking import CLIENT, ON_BEHALF_OF, Client
from function_calling.door import bounds, connections
from function_calling.door.access import Access
from function_calling.door.bounds import AnswerTimeout, Bounds
from function_calling.door.paths import UNKNOWN
from function_calling.engines.slots import Slots
from function_calling.model.words import Piece, Sampling
from function_calling.settings import Settings
from openai_endpoints import error_response, openai_api_app
from service import ExchangeAssistant, Llama

ROOT = Path(__file__).resolve().parent.parent.parent
KEYS = [f"key-of-{number}" for number in range(64)]
MOST = 10_000
PART = b" " * 1000
POST: Scope = {"type": "http", "method": "POST", "headers": [], "path": "/"}
serve = pytest.fixture(serving)


def bounded(app: ASGIApp, *, keyed: bool = False, **options: Any) -> httpx2.AsyncClient:
    """A client of the app behind its bounds, and behind a check of keys if it is keyed."""
    door: ASGIApp = Bounds(app, **{"most_bytes": MOST, "most_requests": 4} | options)
    if keyed:
        door = Access(door, Settings(), KEYS)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(door), base_url="http://door")


class Reader:
    """An app that reads its body."""

    def __init__(self) -> None:
        self.clients: list[Client] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the length of the body."""
        self.clients.append(CLIENT.get())
        text = str(len(await Request(scope, receive).body()))
        await PlainTextResponse(text)(scope, receive, send)


class Parts:
    """A body that does not say how long it is; `taken` tells how many parts were read of it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.taken == self.count:
            raise StopAsyncIteration
        self.taken += 1
        return PART


def error_of(response: Any, status: int) -> dict[str, Any]:
    """The error in OpenAI's shape, with this status."""
    assert response.status_code == status
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


# Bodies


@pytest.mark.parametrize(
    ("length", "most"),
    [({}, MOST), ({"content-length": "7"}, MOST), ({"content-length": "200000000"}, 0)],
)
async def test_a_body_too_large_is_refused_before_it_is_held(
    length: dict[str, str], most: int
) -> None:
    """Whether it says how long it is, lies, or says nothing; nothing runs then."""
    app, large = Reader(), Parts(200_000)
    async with bounded(app) as http:
        response = await http.post("/", content=large, headers=length)
    assert error_of(response, 413)["message"] == f"The body is larger than {MOST} bytes."
    assert large.taken <= most // len(PART) + 2
    assert not app.clients


async def test_the_largest_body_comes_whole() -> None:
    """Though it comes in parts."""
    async with bounded(Reader()) as http:
        assert (await http.post("/", content=Parts(MOST // len(PART)))).text == str(MOST)


async def test_a_client_that_leaves_while_it_sends_is_no_failure_of_ours() -> None:
    """Nothing runs, and there is nobody to be answered."""
    app, sent = Reader(), []
    coming: Iterator[Message] = iter(
        [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> Message:
        return next(coming)

    async def send(message: Message) -> None:
        sent.append(message)

    await Bounds(app, most_bytes=MOST, most_requests=1)(POST, receive, send)
    assert not app.clients
    assert not sent


async def test_a_body_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However often a byte of it comes."""
    monkeypatch.setattr(bounds, "BODY_SECONDS", 0.1)
    sent: list[Message] = []

    async def dribble() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    await Bounds(Reader(), most_bytes=MOST, most_requests=1)(POST, dribble, send)
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/exchange", "/chat", "/mcp"])
def test_the_assistant_refuses_it_too(app: Served, path: str) -> None:
    """On each of its routes."""
    most = Settings().max_body_bytes
    large = iter([b" " * (most // 2)] * 3)
    headers = {"content-type": "application/json", "host": "localhost"}
    error = error_of(app.http.post(path, content=large, headers=headers), 413)
    assert error["message"] == f"The body is larger than {most} bytes."


# Requests at once


async def test_one_client_leaves_room_for_others() -> None:
    """Of four places two are for one client; what has no body to work on takes none."""
    end = asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            await end.wait()
        await Response()(scope, receive, send)

    async with bounded(wait) as http:

        async def post(asker: str) -> int:
            response = await http.post("/", headers={ON_BEHALF_OF: asker} if asker else {})
            if response.status_code == 503:
                assert error_of(response, 503)["code"] == "server_overloaded"
                assert response.headers["retry-after"] == "5"
            return response.status_code

        first = [asyncio.create_task(post("")) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert [task.done() for task in first] == [False, False, True]
        assert (await http.get("/")).status_code == 200
        end.set()
        assert await asyncio.gather(*first) == [200, 200, 503]
        assert await post("") == 200


class Slotted(ScriptedEngine):
    """Scripted, with slots and a queue as real engines have them."""

    def __init__(self) -> None:
        super().__init__(*["42 dollars."] * 64, piece_length=30)
        self._slots = Slots(4, 16)

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        async with self._slots.taken(begun=sampling.begun):
            await asyncio.sleep(0.01)
            async for piece in super().generate(prompt, sampling):
                yield piece


async def test_64_clients_at_once_are_answered_or_turned_away(serve: Serve) -> None:
    """Streams and whole replies; as many run and wait as may, whoever asks."""
    serve(make=lambda _: chatml_model(Slotted()))
    async with bounded(openai_api_app, most_requests=40, keyed=True) as http:

        async def ask(name: int) -> int:
            body = {"messages": [USER], "stream": bool(name % 2)}
            key = {"authorization": f"Bearer {KEYS[name]}"}
            response = await http.post(CHAT, json=body, headers=key)
            if response.status_code == 200:
                assert "42 dollars." in response.text
            else:
                error_of(response, 503)
            return response.status_code

        async with asyncio.timeout(60):
            told = await asyncio.gather(*map(ask, range(64)))
    assert (told.count(200), told.count(503)) == (4 + 16, 44)


async def test_a_refusal_has_the_shape_of_the_api_that_was_asked() -> None:
    """Anthropic's clients read another one than OpenAI's."""
    async with bounded(Reader(), most_bytes=10, refuse=error_response) as http:
        told = [(await http.post(path, content=PART)).json() for path in (CHAT, "/v1/messages")]
    assert told[0]["error"]["type"] == "invalid_request_error"
    assert (told[1]["type"], told[1]["error"]["type"]) == ("error", "request_too_large")


# Who asks


async def test_a_client_is_its_key_or_its_address() -> None:
    """A key that nobody checked could be made up, so it counts for nothing; nor is it kept."""
    app = Reader()
    mine, yours = ({"authorization": f"Bearer {key}"} for key in KEYS[:2])
    same = {"authorization": f"Bearer   {KEYS[0]}", "x-api-key": "made up"}
    for keyed, headers in ((True, mine), (True, yours), (True, same), (False, mine)):
        async with bounded(app, keyed=keyed) as http:
            await http.post("/exchange", headers=headers)
    first, second, again, address = app.clients
    assert first == again != second
    assert address == ("127.0.0.1",)
    assert KEYS[0] not in str(app.clients)


async def test_a_peer_says_for_whom_it_asks() -> None:
    """The assistant does, without a name of theirs; each of its clients is another to the model."""
    app = Reader()
    door = Bounds(app, most_bytes=MOST, most_requests=4)
    for asker in ((), ("10.0.0.1",), ("10.0.0.2",)):
        CLIENT.set(asker)
        sdk = llama_client("http://127.0.0.1", Settings())
        (hook,) = sdk._client.event_hooks["request"]
        request = httpx2.Request("POST", "http://model/v1")
        await hook(request)
        await sdk.close()
        transport = httpx2.ASGITransport(door)
        async with httpx2.AsyncClient(transport=transport) as http:
            await http.send(request)
    nobody, first, second = app.clients
    assert nobody == ("127.0.0.1",)
    assert first[:1] == second[:1] == nobody
    assert first != second
    assert "10.0" not in str((first[1:], second[1:]))


# Connections


@contextmanager
def uvicorn_server(app: ASGIApp) -> Iterator[int]:
    """A real server in a thread, as BentoML makes one; its port."""
    connections.use()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A client that knows no HTTP."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        yield client


def closed(client: socket.socket) -> bool:
    """Whether the server closes the connection without a word, before it is given up."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def test_connections_that_ask_nothing_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent or dribbling, at first or after a response; a slow answer is waited for."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.9)
        await PlainTextResponse("42")(scope, receive, send)

    with uvicorn_server(slow) as port, connected(port) as silent, connected(port) as dribbling:
        dribbling.sendall(b"GET / HTTP/1.1\r\n")
        assert closed(silent)
        with pytest.raises(ConnectionError):  # noqa: PT012
            for _ in range(200):
                dribbling.sendall(b"x: y\r\n")
                time.sleep(0.02)
        with connected(port) as good:
            good.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
            answer = b""
            while not answer.endswith(b"42"):
                answer += good.recv(1000)
            good.sendall(b"GET / HT")
            assert closed(good)


async def test_an_answer_that_does_not_begin_in_time_is_a_504() -> None:
    """One that has begun may take longer."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun"
            await asyncio.sleep(0.2)
            yield b" and ended"

        if scope["path"] == "/late":
            await asyncio.sleep(20)
        await StreamingResponse(parts())(scope, receive, send)

    door = AnswerTimeout(slow, 0.1)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(door)) as http:
        late = await http.get("http://door/late")
        assert error_of(late, 504)["message"] == "No answer within 0.1 seconds."
        assert (await http.get("http://door/")).text == "begun and ended"


@pytest.mark.parametrize("service", [Llama, ExchangeAssistant])
async def test_nothing_is_held_of_a_request_that_was_answered(service: Any) -> None:
    """However long its answer might have taken: BentoML's own timer keeps what belongs to it."""

    class Belonging:
        pass

    belonging: ContextVar[Belonging] = ContextVar("belonging")
    held: WeakSet[Belonging] = WeakSet()
    made = [each for each in service.to_asgi().user_middleware if "timeout" in each.kwargs]
    (timeout,) = made
    app = timeout.cls(PlainTextResponse("42"), **timeout.kwargs)

    async def ask(http: httpx2.AsyncClient) -> None:
        belonging.set(Belonging())
        held.add(belonging.get())
        assert (await http.get("http://door/")).text == "42"

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app)) as http:
        for _ in range(1000):
            await asyncio.create_task(ask(http))
    gc.collect()
    # The event loop forgets cancelled timers a hundred at a time.
    assert len(held) <= 200


def test_a_stream_that_nobody_reads_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What made it is closed, as if the client had gone."""
    monkeypatch.setattr(connections, "READ_SECONDS", 0.3)
    ended = threading.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
                await asyncio.sleep(0)
        finally:
            ended.set()

    with uvicorn_server(StreamingResponse(endless())) as port, connected(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        assert ended.wait(20)


def test_a_slow_reader_gets_the_whole_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it reads at all."""
    monkeypatch.setattr(connections, "READ_SECONDS", 0.3)
    length = 8_000_000
    with uvicorn_server(PlainTextResponse("x" * length)) as port, connected(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
        told = 0
        while part := client.recv(400_000):
            told += len(part)
            time.sleep(0.05)
        assert told > length


def test_bodies_are_refused_on_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client reads why, though it still sends."""
    monkeypatch.setattr(bounds, "BODY_SECONDS", 0.3)
    head = b"POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n"
    door = Bounds(Reader(), most_bytes=MOST, most_requests=4)
    with uvicorn_server(door) as port, connected(port) as late, connected(port) as large:
        late.sendall(head)
        large.sendall(head + b"%x\r\n" % (MOST + 1) + b" " * (MOST + 1))
        assert late.recv(100).startswith(b"HTTP/1.1 408 ")
        assert large.recv(100).startswith(b"HTTP/1.1 413 ")


# Metrics

COUNTED = """
import re, sys
import service
from scripted_engine import ScriptedEngine, chatml_model
from served import assistant_app
from starlette.testclient import TestClient

def counted(http):
    unknown = [f"/{at}{n}" for n in range(50) for at in ("", "exchange/", "v1/", "v1/models/")]
    for path in [*unknown, "/livez", "/ui", "/v1/models/scripted"]:
        last = http.get(path)
    print(last.text)
    print(*set(re.findall('endpoint="([^"]*)"', http.get("/metrics").text)))

if sys.argv[1] == "Llama":
    service.load_chat_model = lambda settings: chatml_model(ScriptedEngine())
    service.with_weights = lambda settings, weights: settings
    app = service.Llama.to_asgi()
    with TestClient(app, "http://localhost", client=("127.0.0.1", 5000)) as http:
        counted(http)
else:
    with assistant_app() as app:
        counted(app.http)
"""


@pytest.mark.serve
@pytest.mark.parametrize(
    ("name", "last", "counted"),
    [
        ("Llama", '"id":"scripted"', {"/livez", "/v1/models/{name:path}"}),
        ("ExchangeAssistant", "Not Found", {"/livez", "/ui"}),
    ],
)
def test_unknown_paths_do_not_make_metrics_grow(
    tmp_path: Path, name: str, last: str, counted: set[str]
) -> None:
    """BentoML counts by route; the routes themselves see what was asked."""
    environ = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT}/tests"}
    ran = subprocess.run(
        [sys.executable, "-c", COUNTED, name],
        env=SERVERS_ENVIRONMENT | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told, paths = ran.stdout.splitlines()
    assert last in told
    assert set(paths.split()) == {UNKNOWN, *counted}
