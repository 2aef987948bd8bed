"""Mixed traffic on both doors for minutes, and what the servers' processes make of it.

    python benchmarks/soak.py --minutes 10 --clients 32

Clients ask in each protocol, whole and streamed, read slowly, leave in the queue and in mid-stream,
hold connections half open, and send what is wrong. The exit status is 1 unless each request ended
rightly, was refused as it should be or was ended by its client, all slots are free again, memory
stayed where it was in the second minute, and no file was left open. SmolLM2 is served, or what
`MODEL_PATH` says. `--fairness` instead tells how many generations of a client with 100 requests
another client's single request waits for.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryFile
from typing import Any, TypeAlias

import httpx2
import psutil
from jsonschema import Draft202012Validator

# Run as a script, Python looks for modules in this folder instead of the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.capacity import positive
from benchmarks.command_line import positive as count
from benchmarks.run_eval import HOST, free_port, stop
from function_calling.cli.serve import Doors, serving
from function_calling.errors import FunctionCallingError
from function_calling.settings import Settings
from function_calling.weights.catalogue import SMOLLM2, fetch

OTHER_CLIENT = "127.0.0.2"
CROWD = 100
"""Requests of one client that another's single one comes behind."""
REQUEST_SECONDS = 300
SAMPLE_SECONDS = 2
IDLE_SECONDS = 7
"""Until a server has closed the connections that its clients left."""
FREE_SECONDS = 60
"""Until the last generation that nobody reads has been stopped."""
MOST_GROWTH = 0.05
MOST_FILES = 4
"""Open files more than before the traffic that are no leak: a pool's, or a log's."""

RIGHT, REFUSED, BUSY, ABORTED, UNEXPLAINED = OUTCOMES = (
    *("right", "refused (4xx)", "busy (429, 503)", "ended by us", "unexplained"),
)
CURRENCY = {"type": "string", "enum": ["USD", "CAD", "EUR", "JPY"]}
SCHEMA = {
    "type": "object",
    "properties": {"source": CURRENCY, "target": CURRENCY, "amount": {"type": "number"}},
    "required": ["source", "target", "amount"],
    "additionalProperties": False,
}
FUNCTION = {"name": "convert", "description": "Convert money.", "parameters": SCHEMA}
TOOLS = [{"type": "function", "function": FUNCTION}]
FLAT_TOOLS = [{"type": "function", **FUNCTION}]
INPUT_TOOLS = [{"name": "convert", "description": "Convert money.", "input_schema": SCHEMA}]

OVERLOADED = '"code":"engine_overloaded"'

Body: TypeAlias = dict[str, Any]
IsRight: TypeAlias = Callable[[str], bool]


def ends(pattern: str) -> IsRight:
    """A reply is right that has its end, and tells of no error."""

    def is_right(text: str) -> bool:
        return bool(re.search(pattern, text)) and not re.search(r'"error": ?\{', text)

    return is_right


def calls(text: str) -> bool:
    """Whether a whole chat completion calls the tool with valid arguments, as far as they go."""
    choice = json.loads(text)["choices"][0]
    called = [each["function"]["arguments"] for each in choice["message"]["tool_calls"]]
    valid = Draft202012Validator(SCHEMA).is_valid
    whole = called if choice["finish_reason"] == "tool_calls" else called[:-1]
    return bool(called) and all(valid(json.loads(each)) for each in whole)


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends; `text` makes its body, from what is said."""

    path: str
    body: Callable[[str], Body]
    is_right: IsRight


def _said(text: str) -> list[Body]:
    return [{"role": "user", "content": text}]


def _on_chat(is_right: IsRight, **fields: Any) -> Request:
    fields = {"max_tokens": 24, "temperature": 1, **fields}
    return Request(
        "/v1/chat/completions", lambda text: {"messages": _said(text), **fields}, is_right
    )


FINISH = r'"finish_reason": ?"(stop|length|tool_calls)"'
STATUS = r'"status": ?"(completed|incomplete)"'
STREAM_END = r"data: \[DONE\]\n\n$"
REQUESTS: Mapping[str, Request] = {
    "chat": _on_chat(ends(FINISH)),
    "chat, streamed": _on_chat(
        ends(STREAM_END), stream=True, stream_options={"include_usage": True}
    ),
    "chat, streamed with logprobs": _on_chat(
        ends(STREAM_END), stream=True, logprobs=True, top_logprobs=20, max_tokens=64
    ),
    "chat, two replies": _on_chat(ends(FINISH), n=2),
    "chat, forced call": _on_chat(
        calls, tools=TOOLS, tool_choice="required", parallel_tool_calls=False, max_tokens=80
    ),
    "chat, streamed forced call": _on_chat(
        ends(STREAM_END), tools=TOOLS, tool_choice="required", stream=True, max_tokens=80
    ),
    "chat, free to call": _on_chat(ends(FINISH), tools=TOOLS),
    "chat, JSON": _on_chat(ends(FINISH), response_format={"type": "json_object"}),
    "completions": Request(
        "/v1/completions", lambda text: {"prompt": text, "max_tokens": 16}, ends(FINISH)
    ),
    "responses": Request(
        "/v1/responses", lambda text: {"input": text, "max_output_tokens": 24}, ends(STATUS)
    ),
    "responses, streamed with tools": Request(
        "/v1/responses",
        lambda text: {"input": text, "max_output_tokens": 48, "tools": FLAT_TOOLS, "stream": True},
        ends(r"event: response\.(completed|incomplete)\n"),
    ),
    "messages": Request(
        "/v1/messages",
        lambda text: {"messages": _said(text), "max_tokens": 24},
        ends(r'"stop_reason": ?"\w+"'),
    ),
    "messages, streamed with tools": Request(
        "/v1/messages",
        lambda text: {
            **{"messages": _said(text), "max_tokens": 48, "stream": True},
            **{"tools": INPUT_TOOLS, "tool_choice": {"type": "any"}},
        },
        ends("event: message_stop\n"),
    ),
    "/exchange": Request("/exchange", lambda text: {"query": text}, bool),
    "/chat": Request(
        "/chat", lambda text: {"messages": _said(text)}, ends(r'data: \{"type": ?"done"')
    ),
}
_HELLO = {"messages": _said("Hello")}
WRONG: Sequence[tuple[str, str, bytes | Body, int]] = (
    ("POST", "/v1/chat/completions", b"", 400),
    ("POST", "/v1/chat/completions", b"\xff{", 400),
    ("POST", "/v1/chat/completions", b"[" * 100_000, 400),
    ("POST", "/v1/chat/completions", {"messages": []}, 400),
    ("POST", "/v1/chat/completions", {"messages": "Hello"}, 400),
    ("POST", "/v1/chat/completions", {"messages": _said("dollar " * 20_000)}, 400),
    ("POST", "/v1/chat/completions", {**_HELLO, "temperature": "hot"}, 400),
    ("POST", "/v1/chat/completions", {**_HELLO, "max_tokens": -1}, 400),
    ("POST", "/v1/chat/completions", {**_HELLO, "tools": TOOLS, "tool_choice": {"a": 1}}, 400),
    ("POST", "/v1/chat/completions", b" " * (9 * 2**20), 413),
    ("POST", "/v1/responses", {"input": "Hello", "previous_response_id": "resp_1"}, 400),
    ("POST", "/v1/messages", {"messages": _said("Hello")}, 400),
    ("GET", "/v1/models/another", b"", 404),
    ("GET", "/v1/chat/completions", b"", 405),
    ("GET", "/v1/unknown", b"", 404),
    ("GET", "/unknown", b"", 404),
    ("POST", "/exchange", b"", 400),
    ("POST", "/exchange", {"query": 42}, 400),
    ("POST", "/exchange", {"query": "dollar " * 1000}, 400),
    ("POST", "/chat", {"messages": [{"role": "nobody", "content": "Hello"}]}, 400),
    ("GET", "/chat", b"", 405),
)


class Unexplained(Exception):
    """A request ended as none should; the text says how."""


def outcome(response: httpx2.Response, text: str, is_right: IsRight, wanted: int) -> str:
    """How a request ended whose reply was read to its end.

    Args:
        wanted: The status that it should have, unless the server is busy.

    Raises:
        Unexplained: It ended in another way.
    """
    status = response.status_code
    # A stream that has begun tells its status no more.
    if status in (429, 503) and "retry-after" in response.headers or OVERLOADED in text:
        return BUSY
    if status == wanted and (status != httpx2.codes.OK or is_right(text)):
        return REFUSED if status != httpx2.codes.OK else RIGHT
    raise Unexplained(f"{status} {text[-300:]!r}")


class Client:
    """One client of both doors, who asks by chance.

    Args:
        doors: Where the services answer.
        number: Its own; the same number asks the same.
        ended: Where each request is counted, by what it was and how it ended.
        problems: Where is told what was unexplained.
    """

    def __init__(
        self, doors: Doors, number: int, ended: Counter[tuple[str, str]], problems: list[str]
    ) -> None:
        self._doors = doors
        self._chance = Random(number)
        self._ended = ended
        self._problems = problems
        # Shorter than the servers keep a connection: they would close one that is just being used.
        limits = httpx2.Limits(keepalive_expiry=2)
        self._http = httpx2.AsyncClient(timeout=REQUEST_SECONDS, limits=limits)

    async def ask_until(self, end: float) -> None:
        """Send requests, one after the other, until the monotonic clock says `end`."""
        async with self._http:
            while time.monotonic() < end:
                name = self._chance.choice([*REQUESTS, "wrong", "wrong", "half open"])
                if name == "wrong":
                    await self._count(name, self._wrong())
                elif name == "half open":
                    await self._count(name, self._half_open())
                else:
                    await self.ask(name)

    async def ask(self, name: str, patience: str | None = None) -> None:
        """Send the request of that name, and read the reply in one of several ways."""
        ways = ("to its end", "slowly", "leaves soon", "leaves in mid-stream")
        patience = patience or self._chance.choices(ways, (12, 1, 2, 2))[0]
        shown = name if patience == ways[0] else f"any, {patience}"
        await self._count(shown, self._asked(REQUESTS[name], patience))

    async def _count(self, name: str, ending: Any) -> None:
        try:
            how: str = await ending
        except (Unexplained, httpx2.HTTPError, OSError, ValueError, LookupError) as error:
            how = UNEXPLAINED
            self._problems.append(f"{name}: {type(error).__name__} {error}")
        self._ended[name, how] += 1
        if how == BUSY:
            await asyncio.sleep(self._chance.uniform(1, 5))

    async def _asked(self, request: Request, patience: str) -> str:
        leaves = self._chance.uniform(0, 3) if patience == "leaves soon" else None
        try:
            async with asyncio.timeout(leaves):
                return await self._read(request, patience)
        except TimeoutError:
            return ABORTED

    async def _read(self, request: Request, patience: str) -> str:
        url, text = self._url(request.path), ""
        async with self._http.stream("POST", url, json=request.body(self._text())) as response:
            async for piece in response.aiter_text():
                text += piece
                if patience == "leaves in mid-stream" and text.count("\n\n") > 2:
                    return ABORTED
                if patience == "slowly":
                    await asyncio.sleep(0.3)
        return outcome(response, text, request.is_right, httpx2.codes.OK)

    async def _wrong(self) -> str:
        method, path, body, status = self._chance.choice(WRONG)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = await self._http.request(method, self._url(path), content=content)
        try:
            return outcome(response, response.text, bool, status)
        except Unexplained as error:
            raise Unexplained(f"{method} {path} {content[:60]!r}: {error}") from None

    async def _half_open(self) -> str:
        """Send half a request, say nothing more, and leave, unless the server does first."""
        url = httpx2.URL(self._url(self._chance.choice(("/v1/chat/completions", "/exchange"))))
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = f"POST {url.path} HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 100\r\n\r\n{{"
        writer.write(head[: self._chance.randrange(len(head))].encode())
        try:
            async with asyncio.timeout(self._chance.uniform(0, 10)):
                await reader.read()
        except (TimeoutError, ConnectionError):
            pass
        writer.close()
        return ABORTED

    def _url(self, path: str) -> str:
        return (self._doors.v1 if path.startswith("/v1") else self._doors.assistant) + path

    def _text(self) -> str:
        """A question that was not asked before, with up to 200 words before it."""
        amount = self._chance.randrange(1, 10**6)
        before = " ".join(self._chance.choices(("money", "rate", "bank", "trip"), k=200))
        told = before[: self._chance.choice((0, 0, 200, 1000))]
        return f"{told} What are {amount} US dollars in Canadian dollars?".strip()


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process holds at a time, in seconds from the start; `rss` in bytes."""

    seconds: float
    rss: int
    files: int
    threads: int


Samples: TypeAlias = defaultdict[str, list[Sample]]


def sample(samples: Samples, seconds: float) -> None:
    """Add what each server process holds now; those that come and go are not servers."""
    for process in psutil.Process().children(recursive=True):
        try:
            command = " ".join(process.cmdline())
            if service := re.search(r"service:(\w+)", command):
                name = f"{service[1]} {'supervisor' if ' serve ' in command else 'worker'}"
                held = process.memory_info().rss, process.num_fds(), process.num_threads()
                samples[name].append(Sample(seconds, *held))
        except psutil.NoSuchProcess:
            continue


@asynccontextmanager
async def watched(samples: Samples) -> AsyncIterator[None]:
    """Sample the server processes meanwhile."""
    begun = time.monotonic()

    async def watch() -> None:
        while True:
            sample(samples, time.monotonic() - begun)
            await asyncio.sleep(SAMPLE_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


async def busy_slots(doors: Doors) -> int:
    """Generations that run now."""
    async with httpx2.AsyncClient(timeout=30) as http:
        told = (await http.get(f"{doors.v1}/metrics")).text
    return int(float(re.findall(r"^llama_slots_busy (\S+)$", told, re.MULTILINE)[-1]))


async def free_again(doors: Doors, slots: int) -> str:
    """What is wrong with the slots once nobody asks any more; "" if each serves a request."""
    until = time.monotonic() + FREE_SECONDS
    while busy := await busy_slots(doors):
        if time.monotonic() > until:
            return f"{busy} slots are still busy after {FREE_SECONDS} s"
        await asyncio.sleep(0.5)
    ended: Counter[tuple[str, str]] = Counter()
    problems: list[str] = []
    clients = [Client(doors, -1 - number, ended, problems) for number in range(slots)]
    try:
        async with asyncio.timeout(FREE_SECONDS):
            await asyncio.gather(*(each.ask("chat", "to its end") for each in clients))
    except TimeoutError:
        return f"of {slots} requests at once, {ended.total()} were served in {FREE_SECONDS} s"
    return "; ".join(problems)


@dataclass(frozen=True, slots=True)
class Held:
    """What a process held, by the samples of one run."""

    name: str
    second_minute: float
    last_minute: float
    before: Sample
    after: Sample

    @property
    def growth(self) -> float:
        """Of its memory after the second minute, as a share."""
        return self.last_minute / self.second_minute - 1


def held(name: str, before: Sample, loaded: Sequence[Sample], after: Sample) -> Held:
    """The medians of memory under load, and the idle process before and after."""
    end = loaded[-1].seconds
    second = [each.rss for each in loaded if 60 <= each.seconds < 120] or [loaded[-1].rss]
    last = [each.rss for each in loaded if each.seconds >= end - 60]
    return Held(name, median(second), median(last), before, after)


def wrongs(processes: Iterable[Held], *, minutes: float) -> list[str]:
    """What the processes kept that they should not have; memory is judged from three minutes on."""
    told = []
    for each in processes:
        if minutes >= 3 and each.growth > MOST_GROWTH:
            told.append(f"{each.name}: memory grew by {each.growth:.1%} after the second minute")
        if each.after.files - each.before.files > MOST_FILES:
            told.append(
                f"{each.name}: {each.after.files} open files, {each.before.files} before the traffic"
            )
    return told


def report(ended: Mapping[tuple[str, str], int], processes: Iterable[Held]) -> list[str]:
    """Both tables, in Markdown."""
    rows = [["request", *OUTCOMES]]
    for name in sorted({name for name, _ in ended}):
        rows.append([name, *(str(ended.get((name, how), "")) for how in OUTCOMES)])
    totals = [sum(n for (_, how), n in ended.items() if how == each) for each in OUTCOMES]
    rows.append([f"**all {sum(totals)}**", *map(str, totals)])
    kept = [["process", "MB, 2nd minute", "last", "idle", "growth", "files", "threads"]]
    for each in processes:
        sizes = (each.second_minute, each.last_minute, each.after.rss)
        kept.append(
            [
                *(each.name, *(f"{size / 1e6:.0f}" for size in sizes), f"{each.growth:+.1%}"),
                f"{each.before.files} → {each.after.files}",
                f"{each.before.threads} → {each.after.threads}",
            ]
        )
    return [*_table(rows), "", *_table(kept)]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return [head, "|" + "---|" * len(rows[0]), *body]


async def soaked(doors: Doors, slots: int, minutes: float, clients: int) -> list[str]:
    """Send the traffic and print the tables; what did not hold."""
    ended: Counter[tuple[str, str]] = Counter()
    problems: list[str] = []
    before, loaded, after = (defaultdict[str, list[Sample]](list) for _ in range(3))
    # What is opened or loaded once, for the first of its kind, is no leak.
    first = Client(doors, 0, Counter(), problems)
    for name in REQUESTS:
        await first.ask(name, "to its end")
    await asyncio.sleep(IDLE_SECONDS)
    sample(before, 0)
    async with watched(loaded):
        end = time.monotonic() + 60 * minutes
        asking = (Client(doors, number, ended, problems) for number in range(1, clients + 1))
        await asyncio.gather(*(each.ask_until(end) for each in asking))
    if wrong := await free_again(doors, slots):
        problems.append(wrong)
    await asyncio.sleep(IDLE_SECONDS)
    sample(after, 0)
    processes = [
        held(name, before[name][0], loaded[name], after[name][0]) for name in sorted(before)
    ]
    print(*report(ended, processes), sep="\n")
    return problems + wrongs(processes, minutes=minutes)


async def waited(doors: Doors) -> int:
    """Generations of a client with many requests that another client's single one waits for."""
    ended = 0

    async def ask(http: httpx2.AsyncClient) -> None:
        nonlocal ended
        body = {**_HELLO, "max_tokens": 24}
        (await http.post(f"{doors.v1}/v1/chat/completions", json=body)).raise_for_status()
        ended += 1

    def client(address: str) -> httpx2.AsyncClient:
        transport = httpx2.AsyncHTTPTransport(
            local_address=address, limits=httpx2.Limits(max_connections=CROWD)
        )
        headers = {"authorization": f"Bearer {address}"}
        return httpx2.AsyncClient(transport=transport, headers=headers, timeout=REQUEST_SECONDS)

    async with client(HOST) as many, client(OTHER_CLIENT) as one:
        crowd = asyncio.gather(*(ask(many) for _ in range(CROWD)))
        while not ended:
            await asyncio.sleep(0.05)
        before = ended
        await ask(one)
        told = ended - before - 1
        await crowd
    return told


async def run(wanted: argparse.Namespace, settings: Settings, doors: Doors) -> list[str]:
    """Soak or probe; what did not hold."""
    if wanted.fairness:
        print(f"One request waited for {await waited(doors)} of another client's {CROWD}.")
        return []
    return await soaked(doors, settings.parallel_slots, float(wanted.minutes), wanted.clients)


def main(arguments: list[str]) -> int:
    """Serve, soak and tell; the exit status."""
    parser = argparse.ArgumentParser(description="Soak both services in mixed traffic.")
    parser.add_argument("--minutes", type=positive, default=positive("10"), metavar="N")
    parser.add_argument("--clients", type=count, default=32, metavar="N")
    parser.add_argument("--default-model", action="store_true", help="instead of SmolLM2")
    parser.add_argument("--fairness", action="store_true", help="tell how long one client waits")
    wanted = parser.parse_args(arguments)
    # A queue that is full at times, or one that holds the crowd.
    environ = {"QUEUE_LENGTH": str(CROWD if wanted.fairness else wanted.clients // 2), **os.environ}
    try:
        if not (wanted.default_model or "MODEL_PATH" in environ):
            environ["MODEL_PATH"] = str(fetch(SMOLLM2))
        with (
            TemporaryFile() as log,
            serving(HOST, free_port(), environ, log=log.fileno()) as (doors, processes),
        ):
            ready = processes.wait_ready(doors)
            wrong = asyncio.run(run(wanted, Settings.from_env(environ), doors)) if ready else []
            log.seek(0)
            logged = log.read().decode(errors="replace")
    except FunctionCallingError as error:
        print(error, file=sys.stderr)
        return 2
    if not ready:
        print(logged, file=sys.stderr)
        return 2
    if "Traceback" in logged:
        wrong.append("a server logged a traceback: …" + logged[logged.index("Traceback") :][:2000])
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
