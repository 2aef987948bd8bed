"""Mixed traffic on both doors for minutes, and what it leaves behind in the servers' processes.

    python -m benchmarks.soak --minutes 10 --clients 32

Clients ask in each protocol, whole and streamed, read slowly, leave in the queue and in mid-stream,
hold connections half open, and send what is wrong. The exit status is 1 unless each request ended
rightly, was refused as it should be or was ended by its client, all slots are free again, memory
stayed where it was in the second minute, and no file was left open. SmolLM2 is served, or what
`MODEL_PATH` says.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from random import Random
from statistics import median
from tempfile import TemporaryFile
from typing import Any, NamedTuple, TypeAlias

import httpx2
import psutil

from benchmarks.command_line import markdown, positive, run, tool
from benchmarks.servers import served
from function_calling.cli.serve import Doors
from function_calling.settings import Settings
from function_calling.weights.catalogue import SMOLLM2, fetch

BOUNDS = {"PROMPT_CACHE": "8", "QUERY_TIMEOUT": "60", "MAX_REPLY_TOKENS": "64"}
"""Settings with which the cache is full in the first minute, and no query takes many."""
REQUEST_SECONDS = 310
"""Longer than a server gives any request."""
SAMPLE_SECONDS = 2
IDLE_SECONDS = 7
"""Until a server has closed the connections that its clients left."""
FREE_SECONDS = 60
"""Until generations that nobody reads have been stopped, and new ones are served."""
MOST_GROWTH = 0.05
MOST_FILES = 4
"""Open files more than before the traffic that are no leak: a pool's, or a log's."""

OUTCOMES = ("right", "refused (4xx)", "busy (429, 503)", "ended by us", "unexplained")
RIGHT, REFUSED, BUSY, ABORTED, UNEXPLAINED = OUTCOMES
BUSY_SLOTS = r"^llama_num_requests_running\b.*$"
OVERLOADED = '"code":"engine_overloaded"'

CONVERT = tool("convert", "Convert money.", source=["USD", "CAD", "EUR", "JPY"], amount="number")
FUNCTION = CONVERT["function"]
TOOLS = {"tools": [CONVERT]}
FLAT_TOOLS = {"tools": [{"type": "function", **FUNCTION}]}
INPUT_TOOLS = {"tools": [{"name": "convert", "input_schema": FUNCTION["parameters"]}]}
STREAM = {"stream": True}
FORCED = {**TOOLS, "tool_choice": "required", "parallel_tool_calls": False, "max_tokens": 80}

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
FINISH = r'"finish_reason":"(stop|length|tool_calls)"'
STREAM_END = FINISH + r".*\n\n(data: .*\n\n)?data: \[DONE\]\n\n$"
# Each with its path, the fields beside what is asked, and how a right reply is known.
REQUESTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "chat": (CHAT, {"max_tokens": 24}, FINISH),
    "chat, streamed": (CHAT, {"max_tokens": 24, **STREAM}, STREAM_END),
    "chat, streamed with logprobs": (
        *(CHAT, {"max_tokens": 64, "logprobs": True, "top_logprobs": 20, **STREAM}, STREAM_END),
    ),
    "chat, two replies": (CHAT, {"max_tokens": 24, "n": 2}, f"{FINISH}.*{FINISH}"),
    "chat, forced call": (CHAT, FORCED, f'(?=.*"name":"convert").*{FINISH}'),
    "chat, forced call, streamed": (
        *(CHAT, {**FORCED, **STREAM}, r'(?s)"name":"convert".*' + STREAM_END),
    ),
    "chat, free to call": (CHAT, {"max_tokens": 24, **TOOLS}, FINISH),
    "chat, JSON": (CHAT, {"max_tokens": 24, "response_format": {"type": "json_object"}}, FINISH),
    "completions": ("/v1/completions", {"max_tokens": 16}, FINISH),
    "responses": (RESPONSES, {"max_output_tokens": 24}, r'"status":"(completed|incomplete)"'),
    "responses, streamed with tools": (
        *(RESPONSES, {"max_output_tokens": 48, **FLAT_TOOLS, **STREAM}),
        r"event: response\.(completed|incomplete)\n.*\n\n$",
    ),
    "messages": (MESSAGES, {"max_tokens": 24}, r'"stop_reason":"\w+"'),
    "messages, streamed with tools": (
        *(MESSAGES, {"max_tokens": 48, "tool_choice": {"type": "any"}, **INPUT_TOOLS, **STREAM}),
        r"event: message_stop\n.*\n\n$",
    ),
    "/exchange": ("/exchange", {}, r"\w"),
    "/chat": ("/chat", {}, r'data: \{"type":"done".*\n\n$'),
}
HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
MANY_WORDS = "dollar " * 20_000
# Each with the status that it should have.
WRONG: Sequence[tuple[str, str, bytes | dict[str, Any], int]] = (
    ("POST", CHAT, b"\xff{", 400),
    ("POST", CHAT, b"[" * 100_000, 400),
    ("POST", CHAT, b" " * (9 * 2**20), 413),
    ("POST", CHAT, {"messages": [{"role": "user", "content": MANY_WORDS}]}, 400),
    ("POST", CHAT, {**HELLO, "temperature": "hot"}, 400),
    ("POST", CHAT, {**HELLO, **TOOLS, "tool_choice": {"a": 1}}, 400),
    ("POST", RESPONSES, {"input": "Hello", "previous_response_id": "resp_1"}, 400),
    ("POST", MESSAGES, HELLO, 400),
    ("GET", CHAT, b"", 405),
    ("GET", "/v1/unknown", b"", 404),
    ("POST", "/exchange", {"query": 42}, 400),
    ("POST", "/exchange", {"query": MANY_WORDS}, 400),
    ("POST", "/chat", {"messages": [{"role": "nobody", "content": "Hello"}]}, 400),
)

Ended: TypeAlias = Counter[tuple[str, str]]
"""How many requests, by what they were and how they ended."""


class UnexplainedError(Exception):
    """A request ended as none should; the text says how."""


def outcome(response: httpx2.Response, text: str, wanted: int = 200, right: str = "") -> str:
    """How a request ended whose reply was read to its end.

    Args:
        wanted: The status that it should have, unless the server is busy.
        right: A pattern that is in a right reply.

    Raises:
        UnexplainedError: It ended in another way.
    """
    text = text.replace('": ', '":')
    # A stream that has begun tells its status no more.
    clear = response.status_code in (429, 503) and "retry-after" in response.headers
    if clear or OVERLOADED in text:
        return BUSY
    if response.status_code == wanted != httpx2.codes.OK:
        return REFUSED
    if response.status_code == wanted and re.search(right, text) and '"error":{' not in text:
        return RIGHT
    raise UnexplainedError(f"{response.status_code} …{text[-300:]!r}")


class Client:
    """One client of both doors, who asks by chance.

    Args:
        number: Its own; the same number asks the same.
        ended: Where its requests are counted.
        problems: Where is told what was unexplained.
    """

    def __init__(self, doors: Doors, number: int, ended: Ended, problems: list[str]) -> None:
        self._doors = doors
        self._chance = Random(number)
        self._ended = ended
        self._problems = problems
        # Shorter than servers keep a connection: they would close one that is just being used.
        limits = httpx2.Limits(keepalive_expiry=2)
        self._http = httpx2.AsyncClient(timeout=REQUEST_SECONDS, limits=limits)

    async def ask_until(self, end: float) -> None:
        """Send requests, one after the other, until the monotonic clock says `end`."""
        async with self._http:
            while time.monotonic() < end:
                match self._chance.choice([*REQUESTS, "wrong", "wrong", "half open"]):
                    case "wrong":
                        await self._count("wrong", self._wrong())
                    case "half open":
                        await self._count("half open", self._half_open())
                    case name:
                        ways = ("whole", "slowly", "leaves soon", "leaves in mid-stream")
                        await self.ask(name, self._chance.choices(ways, (12, 1, 2, 2))[0])

    async def ask(self, name: str, way: str = "whole") -> None:
        """Send the request of that name, and read the reply in one of several ways."""
        seconds = self._chance.uniform(0, 3) if way == "leaves soon" else REQUEST_SECONDS
        await self._count(name if way == "whole" else f"any, {way}", self._read(name, way, seconds))

    async def _count(self, name: str, ending: Awaitable[str]) -> None:
        try:
            how = await ending
        except (UnexplainedError, httpx2.HTTPError, OSError, ValueError) as error:
            how = UNEXPLAINED
            self._problems.append(f"{name}: {type(error).__name__} {error}")
        self._ended[name, how] += 1
        if how == BUSY:
            await asyncio.sleep(self._chance.uniform(1, 5))

    async def _read(self, name: str, way: str, seconds: float) -> str:
        path, fields, right = REQUESTS[name]
        text, body = "", {**self._asked(path), **fields}
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(seconds),
                self._http.stream("POST", self._url(path), json=body) as response,
            ):
                async for piece in response.aiter_text():
                    text += piece
                    if way == "leaves in mid-stream" and text.count("\n\n") > 2:
                        return ABORTED
                    if way == "slowly":
                        await asyncio.sleep(0.3)
                return outcome(response, text, right=right)
        if seconds == REQUEST_SECONDS:
            raise UnexplainedError(f"not ended after {seconds} s …{text[-300:]!r}")
        return ABORTED

    async def _wrong(self) -> str:
        method, path, body, status = self._chance.choice(WRONG)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = await self._http.request(method, self._url(path), content=content)
        try:
            return outcome(response, response.text, status)
        except UnexplainedError as error:
            raise UnexplainedError(f"{method} {path} {content[:60]!r}: {error}") from None

    async def _half_open(self) -> str:
        """Send a part of a request, say nothing more, and leave, unless the server does first."""
        url = httpx2.URL(self._url(self._chance.choice((CHAT, "/exchange"))))
        reader, writer = await asyncio.open_connection(url.host, url.port)
        text = f"POST {url.path} HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 100\r\n\r\n{{"
        writer.write(text[: self._chance.randrange(len(text))].encode())
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(self._chance.uniform(0, 10)):
                await reader.read()
        writer.close()
        return ABORTED

    def _url(self, path: str) -> str:
        return (self._doors.v1 if path.startswith("/v1") else self._doors.assistant) + path

    def _asked(self, path: str) -> dict[str, Any]:
        """A question that was not asked before, with up to 1000 letters before it."""
        words = " ".join(self._chance.choices(("money", "rate", "bank", "trip"), k=300))
        before = words[: self._chance.choice((0, 0, 200, 1000))]
        amount = self._chance.randrange(1, 10**6)
        text = f"{before} What are {amount} US dollars in Canadian dollars?"
        fields = {"/v1/completions": "prompt", RESPONSES: "input", "/exchange": "query"}
        if field := fields.get(path):
            return {field: text}
        return {"messages": [{"role": "user", "content": text}]}


class Sample(NamedTuple):
    """What a process holds at a time, in seconds from the start.

    `memory` is its resident bytes without those of files, as of its weights and libraries: the
    system drops these when they are not used, and reads them again.
    """

    seconds: float
    pid: int
    memory: int
    files: int
    threads: int


Samples: TypeAlias = defaultdict[str, list[Sample]]
"""By process: before the traffic, meanwhile, and after it."""


def sample(samples: Samples, seconds: float = 0) -> None:
    """Add what each server process holds now; what compiles a grammar and ends is none."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            command = " ".join(process.cmdline())
            if service := re.search(r"service:(\w+)", command):
                name = f"{service[1]}, {'supervisor' if ' serve ' in command else 'worker'}"
                memory = process.memory_info().rss - process.memory_info().shared
                files, threads = process.num_fds(), process.num_threads()
                samples[name].append(Sample(seconds, process.pid, memory, files, threads))


async def watch(samples: Samples) -> None:
    """Sample the server processes until this is cancelled."""
    begun = time.monotonic()
    while True:
        sample(samples, time.monotonic() - begun)
        await asyncio.sleep(SAMPLE_SECONDS)


async def free_again(doors: Doors, slots: int, problems: list[str]) -> None:
    """Tell of slots that do not come free once nobody asks, or then serve no request."""
    ended: Ended = Counter()
    clients = [Client(doors, -1 - number, ended, problems) for number in range(slots)]
    busy = ""
    try:
        async with asyncio.timeout(FREE_SECONDS), httpx2.AsyncClient() as http:
            while not re.search(r" 0(\.0)?$", busy):
                told = await http.get(f"{doors.v1}/metrics")
                found = re.findall(BUSY_SLOTS, told.text, re.MULTILINE)
                busy = found[-1] if found else f"/metrics answers {told.status_code}"
                await asyncio.sleep(0.2)
            await asyncio.gather(*(each.ask("chat") for each in clients))
    except TimeoutError:
        served = ended["chat", RIGHT]
        problems.append(f"after {FREE_SECONDS} s: {busy}; of {slots} requests {served} served")


def judged(held: Samples, problems: list[str]) -> list[list[str]]:
    """A row for each process: memory under load and idle, and what was open before and after.

    Memory is judged where there is a minute behind the second.
    """
    rows = []
    for name, samples in sorted(held.items()):
        first, loaded, idle = samples[0], samples[1:-1] or samples, samples[-1]
        end = loaded[-1].seconds
        second = median(each.memory for each in loaded if 60 <= each.seconds < 120 or end < 120)
        middle = median(each.memory for each in loaded if abs(each.seconds - end / 2) <= 30)
        last = median(each.memory for each in loaded if each.seconds >= end - 60)
        growth = last / second - 1
        if len({each.pid for each in samples}) > 1:
            problems.append(f"{name}: the process is another one")
        if growth > MOST_GROWTH and end >= 180:
            problems.append(f"{name}: memory grew by {growth:.1%} after the second minute")
        if idle.files > first.files + MOST_FILES:
            problems.append(f"{name}: {idle.files} open files, {first.files} before the traffic")
        sizes = (f"{size / 1e6:.0f}" for size in (first.memory, second, middle, last, idle.memory))
        pairs = (f"{first.files} → {idle.files}", f"{first.threads} → {idle.threads}")
        rows.append([name, *sizes, f"{growth:+.1%}", *pairs])
    return rows


async def soaked(doors: Doors, slots: int, minutes: float, clients: int) -> list[str]:
    """Send the traffic and print the tables; what did not hold."""
    ended: Ended = Counter()
    problems: list[str] = []
    held: Samples = defaultdict(list)
    # What is opened or loaded once, for the first of its kind, is no leak.
    first = Client(doors, 0, Counter(), problems)
    for name in REQUESTS:
        await first.ask(name)
    await asyncio.sleep(IDLE_SECONDS)
    sample(held)
    watching = asyncio.create_task(watch(held))
    end = time.monotonic() + 60 * minutes
    asking = (Client(doors, number, ended, problems) for number in range(1, clients + 1))
    await asyncio.gather(*(each.ask_until(end) for each in asking))
    watching.cancel()
    await free_again(doors, slots, problems)
    await asyncio.sleep(IDLE_SECONDS)
    sample(held)
    names = sorted({name for name, _ in ended})
    counts = [[name, *(str(ended[name, how] or "") for how in OUTCOMES)] for name in names]
    totals = [str(sum(ended[name, how] for name in names)) for how in OUTCOMES]
    print(*markdown(["request", *OUTCOMES], [*counts, [f"all {ended.total()}", *totals]]), sep="\n")
    memory = ("MB before", "in the 2nd minute", "half-way", "in the last", "idle", "growth")
    processes = judged(held, problems)
    print(*markdown(["process", *memory, "open files", "threads"], processes), sep="\n")
    return problems


def main(arguments: list[str]) -> int:
    """Serve, soak and tell; the exit status."""
    parser = argparse.ArgumentParser(description="Soak both services in mixed traffic.")
    parser.add_argument("--minutes", type=float, default=10.0, metavar="N")
    parser.add_argument("--clients", type=positive, default=32, metavar="N")
    wanted = parser.parse_args(arguments)
    environ = {**BOUNDS, "QUEUE_LENGTH": str(wanted.clients // 2), **os.environ}
    if "MODEL_PATH" not in environ:
        environ["MODEL_PATH"] = str(fetch(SMOLLM2))
    slots = Settings.from_env(environ).parallel_slots
    with TemporaryFile() as log:
        with served(log, **environ) as doors:
            wrong = asyncio.run(soaked(doors, slots, wanted.minutes, wanted.clients))
        log.seek(0)
        logged = log.read().decode(errors="replace")
    if (at := logged.find("Traceback")) >= 0:
        wrong.append(f"a server logged: {logged[at : at + 8000]}")
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    run(main)
