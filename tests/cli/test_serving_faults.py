"""Real servers that are stopped, that hang, or that can't start; SmolLM2 is their model."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import psutil
import pytest
from hosts import QUERY, Host, both, listening, until

from function_calling.cli.watchdog import is_ready
from function_calling.weights.catalogue import SMOLLM2, fetch

pytestmark = [pytest.mark.serve, pytest.mark.timeout(900)]

NEVER_ENDS = {"logit_bias": {"2": -100}, "max_tokens": 3500}
"""SmolLM2's end of a turn is its token 2."""
MESSAGES = [{"role": "user", "content": "Count."}]


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for temporary files, whose name leaves room for that of a socket in it."""
    with TemporaryDirectory(prefix="tmp-") as folder:
        yield Path(folder)


def small(folder: Path, **settings: str) -> AbstractContextManager[tuple[Host, Host]]:
    """The assistant and SmolLM2."""
    return both(folder, MODEL_PATH=str(fetch(SMOLLM2)), **settings)


def streamed(url: str, body: Any, told: list[str]) -> None:
    """All that a stream tells, line by line, as it comes."""
    with httpx2.stream("POST", url, json=body, timeout=120) as response:
        assert response.status_code == 200
        told.extend(line for line in response.iter_lines() if line)


def test_a_signal_lets_replies_end_and_tells_the_others_that_it_ends_them(
    tmp_path: Path, short: Path
) -> None:
    """Each protocol in its own way, within the documented 15 seconds, however often it comes.

    Nothing is left running or lying about, and the ports are free again.
    """
    chat, message, response, brief, answer = told = [[] for _ in range(5)]
    with (
        ThreadPoolExecutor() as pool,
        small(tmp_path, PARALLEL_SLOTS="8", TMPDIR=str(short)) as (assistant, model),
    ):
        endless = {"model": "any", "stream": True}
        asked = [
            (f"{model.url}/v1/chat/completions", {**endless, "messages": MESSAGES, **NEVER_ENDS}),
            (f"{model.url}/v1/messages", {**endless, "messages": MESSAGES, "max_tokens": 3500}),
            (f"{model.url}/v1/responses", {**endless, "input": "Count."}),
            (f"{model.url}/v1/completions", {**endless, "prompt": "One", "max_tokens": 60}),
            (f"{assistant.url}/chat", {"messages": [{"role": "user", "content": QUERY}]}),
        ]
        streams = [
            pool.submit(streamed, *each, lines) for each, lines in zip(asked, told, strict=True)
        ]
        until(lambda: chat and brief)
        family = assistant.process.children(recursive=True)
        assert len(family) >= 4
        began = time.monotonic()
        for _ in range(10):
            for number in (signal.SIGTERM, signal.SIGINT):
                assistant.process.send_signal(number)
                time.sleep(0.01)
        refused = httpx2.post(f"{assistant.url}/exchange", json={"query": QUERY}, timeout=20)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert refused.json()["error"]["code"] == "server_stopping"
        assert assistant.process.wait(60) == 130
        assert time.monotonic() - began < 15
        for each in streams:
            each.result()
        psutil.wait_procs(family, timeout=5)
        assert not [each for each in family if each.is_running()]
        assert not is_ready(assistant.url)
        assert not is_ready(model.url)
        assert not list(short.iterdir())
    assert chat[-1] == "data: [DONE]"
    assert json.loads(chat[-2].removeprefix("data: "))["error"]["code"] == "server_stopping"
    ends = ("message_stop", "response.completed", '"type":"done"')
    for lines, end in zip((message, response, answer), ends, strict=True):
        assert "The server was stopped before its answer" in lines[-1] or end in lines[-1]
    assert brief[-1] == "data: [DONE]"
    assert "error" not in brief[-2]


def test_a_model_that_hangs_is_told_and_replaced(tmp_path: Path) -> None:
    """Whoever waits for it hears of it, and the next one is answered."""
    with ThreadPoolExecutor() as pool, small(tmp_path) as (assistant, model):
        bentoml = next(
            each for each in assistant.process.children() if str(model.port) in each.cmdline()
        )
        (worker,) = bentoml.children()
        until(lambda: "Ready." in assistant.log.read_text())  # it is looked after from now on
        worker.send_signal(signal.SIGSTOP)
        response = pool.submit(assistant.exchange)
        assert response.result().status_code == 503
        assert "The model server hangs" in response.result().text
        until(lambda: is_ready(model.url), 120)
        assert not worker.is_running()
        assert assistant.exchange().status_code == 200


def test_weights_that_are_cut_off_end_the_start(tmp_path: Path) -> None:
    """Of the model alone, or of both under one supervisor: one line, and no new try."""
    weights = tmp_path / "cut.gguf"
    weights.write_bytes(fetch(SMOLLM2).read_bytes()[:50_000_000])
    told = f"Llama can't start: llama.cpp can't load {weights}: wanted"
    with ExitStack() as stack:
        hosts = []
        for service in ("Llama", "ExchangeAssistant"):
            command = [sys.executable, "-m", "bentoml", "serve", f"service:{service}"]
            command += ["--port", "{port}"]
            settings = {"MODEL_PATH": str(weights), "BENTOML_HOME": str(tmp_path / service)}
            hosts.append(stack.enter_context(listening(tmp_path, command, "127.0.0.1", **settings)))
        for host in hosts:
            assert host.process.wait(120) == 1
            said = host.log.read_text()
            assert said.count(told) == 1
            assert "Traceback" not in said
