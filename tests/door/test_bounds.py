"""What a request and a client may take, as the client sees it."""

import asyncio
import re
import select
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import AsyncMock

import httpx2
import pytest
from hosts import Host, served_by_uvicorn
from served import Served
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from function_calling.agent.model_call import llama_client
from function_calling.asking import CLIENT, Client
from function_calling.door import bounds, connections
from function_calling.door.access import Access
from function_calling.door.bounds import Bounds
from function_calling.door.paths import UNKNOWN
from function_calling.settings import Settings
from function_calling.telemetry.logs import request_id
from service import Llama

KEYS = [f"key-of-{number}" for number in range(4)]
MOST = 10_000
PART = b" " * 1000
POST: Scope = {"type": "http", "method": "POST", "headers": [], "path": "/"}


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


async def parts(count: int, taken: list[bytes]) -> AsyncIterator[bytes]:
    """A body that does not say how long it is; `taken` gets the parts that are read of it."""
    for _ in range(count):
        taken.append(PART)
        yield PART


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
    """Whether it says how long it is, lies, or says nothing; the largest comes whole."""
    app, taken = Reader(), []
    async with bounded(app) as http:
        response = await http.post("/", content=parts(200_000, taken), headers=length)
        assert error_of(response, 413)["message"] == f"The body is larger than {MOST} bytes."
        assert len(taken) <= most // len(PART) + 2
        assert not app.clients
        assert (await http.post("/", content=parts(MOST // len(PART), []))).text == str(MOST)


async def test_a_client_that_leaves_while_it_sends_is_no_failure_of_ours() -> None:
    """Nothing runs, and there is nobody to be answered."""
    app = Reader()
    begun: Message = {"type": "http.request", "body": b"{", "more_body": True}
    receive = AsyncMock(side_effect=[begun, {"type": "http.disconnect"}])
    send = AsyncMock()
    await Bounds(app, most_bytes=MOST, most_requests=1)(POST, receive, send)
    assert not app.clients
    send.assert_not_called()


def test_the_assistant_refuses_it_too(app: Served) -> None:
    """By its setting."""
    most = Settings().max_body_bytes
    large = iter([b" " * (most // 2)] * 3)
    headers = {"content-type": "application/json", "host": "localhost"}
    error = error_of(app.http.post("/mcp", content=large, headers=headers), 413)
    assert error["message"] == f"The body is larger than {most} bytes."


# Requests at once


async def test_one_client_leaves_room_for_others() -> None:
    """Of four places one client may have two, the next one and a third one one each.

    What has no body to work on takes none.
    """
    end = asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            await end.wait()
        await Response()(scope, receive, send)

    async with bounded(wait, keyed=True) as http:

        async def ask(client: int, method: str = "POST") -> int:
            response = await http.request(method, "/docs", headers={"x-api-key": KEYS[client]})
            if response.status_code == 503:
                assert error_of(response, 503)["code"] == "server_overloaded"
                assert response.headers["retry-after"] == "5"
            return response.status_code

        asked, told = [], [200, 200, 503, 200, 503, 200, 503]
        for client, status in zip((0, 0, 0, 1, 1, 2, 3), told, strict=True):
            asked.append(asyncio.create_task(ask(client)))
            for _ in range(50):
                await asyncio.sleep(0)
            assert asked[-1].done() == (status == 503)
        assert await ask(0, "GET") == 200
        end.set()
        assert await asyncio.gather(*asked) == told
        assert await ask(0) == 200


# Who asks


async def test_a_client_is_its_key_or_its_address() -> None:
    """A key that nobody checked could be made up, so it counts for nothing; nor is it kept."""
    app = Reader()
    keys = ({"authorization": f"Bearer {KEYS[0]}"}, {"x-api-key": KEYS[0]}, {"x-api-key": KEYS[1]})
    for keyed, headers in (*((True, key) for key in keys), (False, keys[0])):
        async with bounded(app, keyed=keyed) as http:
            await http.post("/exchange", headers=headers)
    first, again, second, address = app.clients
    assert first == again != second
    assert address == ("127.0.0.1",)
    assert KEYS[0] not in str(app.clients)


async def test_a_peer_says_for_whom_it_asks() -> None:
    """The assistant does, without a name of theirs; each of its clients is another to the model.

    Which of its own requests it is for, it says by the id.
    """
    app, before = Reader(), request_id.set("abc")
    for asker in ((), ("10.0.0.1",), ("10.0.0.2",)):
        CLIENT.set(asker)
        async with llama_client("http://127.0.0.1", Settings()) as sdk, bounded(app) as http:
            (hook,) = sdk._client.event_hooks["request"]
            request = http.build_request("POST", "/v1")
            await hook(request)
            assert request.headers["x-request-id"] == "abc"
            await http.send(request)
    request_id.reset(before)
    nobody, first, second = app.clients
    assert nobody == ("127.0.0.1",)
    assert first[:1] == second[:1] == nobody
    assert first != second
    assert "10.0" not in str((first[1:], second[1:]))


# Connections


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A client that knows no HTTP."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        yield client


def heard(client: socket.socket, part: bytes = b"") -> bytes:
    """What the server says while `part` is sent on and on; nothing where it closes instead."""
    ending = time.monotonic() + 20
    while time.monotonic() < ending:
        try:
            client.sendall(part)
            if select.select([client], [], [], 0.02)[0]:
                return client.recv(100)
        except ConnectionError:
            return b""
    pytest.fail("the server waits on")


def test_connections_that_ask_nothing_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent or dribbling, at first or after a response; a slow answer is waited for."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.4)
        await PlainTextResponse("42")(scope, receive, send)

    with served_by_uvicorn(slow) as port, connected(port) as silent, connected(port) as dribbling:
        dribbling.sendall(b"GET / HTTP/1.1\r\n")
        assert heard(silent) == heard(dribbling, b"x: y\r\n") == b""
        with connected(port) as good:
            good.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
            answer = b""
            while not answer.endswith(b"42"):
                answer += good.recv(1000)
            good.sendall(b"GET / HT")
            assert heard(good) == b""


async def test_an_answer_that_does_not_begin_in_time_is_a_504() -> None:
    """One that has begun may take longer.

    The services have no other clock: BentoML's own keeps whatever belongs to a request for as long.
    """

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun"
            await asyncio.sleep(0.1)
            yield b" and ended"

        if scope["path"] == "/late":
            await asyncio.sleep(20)
        await StreamingResponse(parts())(scope, receive, send)

    (own,) = [each for each in Llama.to_asgi().user_middleware if "timeout" in each.kwargs]
    door = own.cls(slow, timeout=0.05)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(door)) as http:
        late = await http.get("http://door/late")
        assert error_of(late, 504)["message"] == "No answer within 0.05 seconds."
        assert (await http.get("http://door/")).text == "begun and ended"


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

    with served_by_uvicorn(StreamingResponse(endless())) as port, connected(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        assert ended.wait(20)


def test_a_slow_reader_gets_the_whole_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it reads at all."""
    monkeypatch.setattr(connections, "READ_SECONDS", 0.15)
    length = 8_000_000
    with served_by_uvicorn(PlainTextResponse("x" * length)) as port, connected(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
        told = 0
        while part := client.recv(400_000):
            told += len(part)
            time.sleep(0.02)
        assert told > length


def test_bodies_are_refused_on_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client reads why, though it still sends, however often a byte comes."""
    monkeypatch.setattr(bounds, "BODY_SECONDS", 0.3)
    head = b"POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n"
    door = Bounds(Reader(), most_bytes=MOST, most_requests=4)
    with served_by_uvicorn(door) as port, connected(port) as late, connected(port) as large:
        late.sendall(head)
        large.sendall(head + b"%x\r\n" % (MOST + 1) + b" " * (MOST + 1))
        assert heard(late, b"1\r\nx\r\n").startswith(b"HTTP/1.1 408 ")
        assert heard(large).startswith(b"HTTP/1.1 413 ")


# Metrics


@pytest.mark.serve
@pytest.mark.timeout(600)
def test_unknown_paths_do_not_make_metrics_grow(default_servers: tuple[Host, Host]) -> None:
    """BentoML counts by route; the routes themselves see what was asked."""
    (_, model), route = default_servers, "/v1/models/{name:path}"
    (known,) = httpx2.get(f"{model.url}/v1/models").json()["data"]
    assert httpx2.get(f"{model.url}/v1/models/{known['id']}").json()["id"] == known["id"]
    for server in default_servers:
        for at in ("", "exchange/", "v1/", "v1/models/"):
            assert httpx2.get(f"{server.url}/{at}zanzibar").status_code == 404
        counted = set(re.findall('endpoint="([^"]*)"', httpx2.get(f"{server.url}/metrics").text))
        assert (UNKNOWN in counted, route in counted) == (True, server == model)
        assert not [path for path in counted if "zanzibar" in path or known["id"] in path]
