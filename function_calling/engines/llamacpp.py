"""llama.cpp inside this process, by the package `xllamacpp`.

llama.cpp runs its own server with continuous batching and a prompt cache in threads of its own.
We talk to it over a Unix socket in a folder that only this user can enter, with a random key, so
no TCP port is opened; closing a response aborts its generation, also while it reads the prompt.

Its `/completion` is described in
https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md.
"""

import asyncio
import ctypes
import json
import os
import secrets
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import httpx2

# Threads that spin for long while they wait for each other starve as soon as another process wants
# a core; those that never spin write a third slower. OpenMP reads this when the library is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
import xllamacpp
from platformdirs import user_cache_path

from function_calling.engines.engine import LoadedModel, prompt_too_long
from function_calling.engines.gguf import control_texts
from function_calling.engines.grammar_guard import GrammarGuard
from function_calling.engines.kept_prompts import KeptPrompts
from function_calling.engines.quoting import parts
from function_calling.engines.slots import Slots
from function_calling.engines.token_logprobs import TokenLogprobs
from function_calling.errors import EngineError, RequestError, WeightsError
from function_calling.line_reader import LineReader
from function_calling.model.words import Piece, Sampling
from function_calling.settings import Settings
from function_calling.weights.catalogue import resolve

# Prompt tokens read at a time. An abort waits for the batch under way, which on two cores takes
# about 4 seconds for 128 tokens and over a minute for llama.cpp's own 2048; 128 reads no slower.
_BATCH = 128
# llama.cpp takes 32 bits of each number: a larger one would be another, and this seed is random.
_MOST_TOKENS = 2**31 - 1
_KEPT_SLOT = 0
_RANDOM_SEED = 2**32 - 1
_M_ARENA_MAX = -8  # https://man7.org/linux/man-pages/man3/mallopt.3.html


class LlamaCpp:
    """One model in llama.cpp, running up to `parallel_slots` requests at once.

    Args:
        path: The GGUF file.
        context_length: Tokens of prompt and reply together, for each request.
        parallel_slots: Requests that run at once; others wait their turn.
        threads: CPU threads; 0 means one for each core.
        queue_length: Requests that wait at most.
        prompt_cache: MiB of main memory for the prompts of earlier requests, beside the slots' own.
        kept: The folder of the prompts that outlive this process; None keeps none.

    Attributes:
        socket: Where llama.cpp's own server listens.
        key: What it is asked with.

    Raises:
        WeightsError: llama.cpp can't load the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        context_length: int,
        parallel_slots: int,
        threads: int = 0,
        queue_length: int = 64,
        prompt_cache: int = 1024,
        kept: Path | None = None,
    ) -> None:
        _share_one_heap()
        self._folder = tempfile.TemporaryDirectory(prefix="llamacpp-")
        socket = os.path.join(self._folder.name, "http.sock")
        key = secrets.token_urlsafe(32)
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = context_length * parallel_slots
        parameters.n_parallel = parallel_slots
        parameters.fit_params = False  # to a GPU's memory, for which it loads the model twice
        parameters.n_batch = parameters.n_ubatch = _BATCH
        parameters.cache_ram_mib = prompt_cache
        parameters.cpuparams.n_threads = threads or os.cpu_count() or 1
        parameters.hostnames = [socket]
        parameters.api_keys = [key]
        parameters.n_threads_http = 2 * parallel_slots + 4
        parameters.endpoint_slots = True  # tests see there what llama.cpp still does
        parameters.ui = False
        parameters.verbosity = 0
        self._kept = None
        if kept:
            with suppress(OSError):  # it only saves time
                self._kept = KeptPrompts(kept, path, xllamacpp.__version__)
                parameters.slot_save_path = f"{kept}/"
        try:
            self._server = xllamacpp.Server(parameters)
        except Exception as error:
            self._folder.cleanup()
            raise WeightsError(
                f"llama.cpp can't load {path}: wanted a whole GGUF file of a model that it knows, "
                f"and memory for it and its context ({error})"
            ) from error
        headers = {"authorization": f"Bearer {key}"}
        self._http: dict[str, Any] = {"base_url": "http://llamacpp", "headers": headers}
        self.socket, self.key = socket, key
        self._slots = Slots(parallel_slots, queue_length)
        self._spelled: dict[str, list[int]] = {}  # the tokens of what has been quoted
        self.properties = self._request("GET", "/props")
        # llama.cpp adds the token itself; a template that writes it too would double it.
        begins = self._request("POST", "/tokenize", {"content": "", "add_special": True})
        self._bos = self.properties["bos_token"] if begins["tokens"] else ""
        # For its first grammar llama.cpp makes a table of all tokens, which takes a second.
        first = {"prompt": "a", "n_predict": 1, "grammar": '%llguidance {}\nstart: "a"'}
        self._request("POST", "/completion", first)
        if self._kept:
            self._restore(self._kept, parallel_slots)

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        transport = httpx2.HTTPTransport(uds=self.socket)
        with httpx2.Client(transport=transport, **self._http) as client:
            return client.request(method, path, json=body, timeout=30).raise_for_status().json()

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, body: Any = None
    ) -> AsyncIterator[httpx2.Response]:
        """A response on a connection of its own: llama.cpp drops kept ones without a word."""
        # There is no TLS here, and reading its certificates would take longer than the rest.
        transport = httpx2.AsyncHTTPTransport(uds=self.socket, verify=False)
        async with (
            httpx2.AsyncClient(transport=transport, timeout=None, **self._http) as client,
            client.stream(method, path, json=body) as response,
        ):
            yield response

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        logprobs = TokenLogprobs(sampling.logprobs)
        # A large schema takes a while to compile, and other requests go on meanwhile.
        guard = await asyncio.to_thread(GrammarGuard, sampling)
        body = completion_request(await self._read(prompt), sampling)
        body |= guard.request() | logprobs.request()
        # Only where nothing else runs: it would have to wait for its slot.
        kept = self._kept if sampling.kept and not self._slots.running else None
        if kept and kept.used(prompt):
            kept = None
        body |= {"id_slot": _KEPT_SLOT} if kept else {}
        async with self._slots.taken(begun=sampling.begun):
            try:
                async with self._response("POST", "/completion", body) as response:
                    if response.status_code != httpx2.codes.OK:
                        raise _read_error(await response.aread())
                    async for piece in _pieces(response, logprobs):
                        guard.read(piece)
                        yield piece
                if kept and self._slots.running == 1:
                    await self._keep(kept, prompt, piece.prompt_tokens + piece.completion_tokens)
            except httpx2.HTTPError as error:
                raise EngineError(f"The engine broke off: {error}") from error

    def _restore(self, kept: KeptPrompts, slots: int) -> None:
        """Load what an earlier process has read of kept prompts."""
        for slot, name in enumerate(kept.names()[:slots]):
            try:
                self._request("POST", f"/slots/{slot}?action=restore", {"filename": name})
            except httpx2.HTTPError:
                kept.drop(name)

    async def _keep(self, kept: KeptPrompts, prompt: str, tokens: int) -> None:
        """Write a file of what was read of the prompt, and of nothing that came behind it."""
        path, written = f"/slots/{_KEPT_SLOT}?action=save", kept.new_name()
        async with self._response("POST", path, {"filename": written}) as response:
            told = json.loads(await response.aread())
        with suppress(OSError):  # it only saves time
            # The last token that was written has not been read.
            if told.get("n_saved") in (tokens - 1, tokens):
                kept.put(written, prompt)
            else:
                kept.drop(written)

    async def count(self, prompt: str) -> int:
        """See `Engine.count`; llama.cpp also answers in the middle of a batch."""
        body = {"content": await self._read(prompt), "add_special": True}
        return len(await self._tokens(body))

    async def _read(self, prompt: str) -> str | list[str | int]:
        """The prompt as llama.cpp takes it: what is quoted stands in it as tokens."""
        split = parts(prompt.removeprefix(self._bos))
        if not any(quoted for _, quoted in split):
            return "".join(text for text, _ in split)
        told: list[str | int] = []
        for text, quoted in split:
            if quoted and text not in self._spelled:
                body = {"content": text, "add_special": False, "parse_special": False}
                self._spelled[text] = await self._tokens(body)
            told += self._spelled[text] if quoted else [text]
        return told

    async def _tokens(self, body: Mapping[str, Any]) -> list[int]:
        try:
            async with self._response("POST", "/tokenize", body) as response:
                return list(json.loads(await response.aread())["tokens"])
        except (httpx2.HTTPError, LookupError, ValueError) as error:
            raise EngineError(f"The engine can't count tokens: {error}") from error

    async def busy(self) -> int:
        """See `Engine.busy`; llama.cpp itself answers between two batches alone."""
        return self._slots.running

    async def waiting(self) -> int:
        """See `Engine.waiting`."""
        return self._slots.waiting

    def close(self) -> None:
        """See `Engine.close`."""
        del self._server
        self._folder.cleanup()


def _share_one_heap() -> None:
    """Have what one thread frees serve the others.

    glibc gives each of llama.cpp's threads a heap of its own, and each keeps what its largest
    request took: 50 MB after some requests of 140,000 characters.
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def completion_request(prompt: str | list[str | int], sampling: Sampling) -> dict[str, Any]:
    """How to go on from the prompt; samplers that nobody asked for are switched off."""
    return {
        "prompt": prompt,
        "stream": True,
        "cache_prompt": True,
        "timings_per_token": True,  # which tell how much of the prompt was in the cache
        "n_predict": -1 if sampling.max_tokens is None else min(sampling.max_tokens, _MOST_TOKENS),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "repeat_penalty": sampling.repetition_penalty,
        "seed": -1 if sampling.seed is None else sampling.seed % _RANDOM_SEED,
        "stop": list(sampling.stop),
        "preserved_tokens": list(sampling.special_tokens),
        "logit_bias": [list(each) for each in sampling.logit_bias],
    }


async def _pieces(
    response: httpx2.Response, logprobs: TokenLogprobs
) -> AsyncGenerator[Piece, None]:
    """The pieces of a streamed completion; an error in their place is raised."""
    lines = LineReader()
    async for part in response.aiter_bytes():
        for line in lines.feed(part):
            kind, _, data = line.partition(": ")
            if kind == "error":
                raise _read_error(data.encode())
            if kind == "data":
                yield _read_piece(data, logprobs)


def _read_piece(data: str, logprobs: TokenLogprobs) -> Piece:
    chunk = json.loads(data)
    if "error" in chunk:
        raise _read_error(data.encode())
    reason: Literal["stop", "length"] | None = None
    if chunk["stop"]:
        reason = "length" if chunk["stop_type"] == "limit" else "stop"
    return Piece(
        text=chunk["content"],
        prompt_tokens=chunk["tokens_evaluated"],
        completion_tokens=chunk["tokens_predicted"],
        finish_reason=reason,
        logprobs=logprobs.of(chunk),
        cached_tokens=chunk.get("timings", {}).get("cache_n", 0),
        stop=chunk.get("stopping_word") or None,
    )


def _read_error(data: bytes) -> RequestError | EngineError:
    """llama.cpp's error as ours."""
    try:
        error = json.loads(data)["error"]
        code, kind, message = error["code"], error.get("type"), error["message"]
    except (ValueError, KeyError, TypeError):
        return EngineError(f"The engine answered {data[:200]!r}")
    if kind == "exceed_context_size_error":
        return prompt_too_long(error["n_prompt_tokens"], error["n_ctx"])
    if code == httpx2.codes.BAD_REQUEST:
        return RequestError(message)
    return EngineError(f"The engine failed: {message}")


def load(settings: Settings) -> LoadedModel:
    """Fetch the weights if they are not here yet, and load them."""
    path = resolve(settings)
    engine = LlamaCpp(
        path,
        context_length=settings.context_length,
        parallel_slots=settings.parallel_slots,
        threads=settings.threads,
        queue_length=settings.queue_length,
        prompt_cache=settings.prompt_cache,
        kept=user_cache_path("function-calling") / "prompts",
    )
    return LoadedModel(
        name=path.stem,
        engine=engine,
        chat_template=engine.properties["chat_template"],
        bos_token=engine.properties["bos_token"],
        eos_token=engine.properties["eos_token"],
        context_length=settings.context_length,
        controls=control_texts(path),
    )
