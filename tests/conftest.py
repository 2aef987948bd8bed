"""What all tests share: a clean environment for `service`, and no network."""

import ipaddress
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from function_calling.settings import Settings
from function_calling.todo.store import TodoStore

# Tests judge the defaults; only where the weights lie is up to the machine.
for each in fields(Settings):
    if each.name.upper() != "MODELS_DIR":
        os.environ.pop(each.name.upper(), None)
os.environ["BENTOML_DO_NOT_TRACK"] = "True"
# The hub's client looks something up at the hub for its telemetry, whatever endpoint it is given.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
SERVERS_ENVIRONMENT = dict(os.environ)
"""For server processes: without what is meant for this one alone."""

# In this process BentoML registers its metrics once for each app, which a second app would repeat,
# and keeps them in this folder. Both are read when `service` is imported.
_METRICS = tempfile.TemporaryDirectory(prefix="metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _METRICS.name
os.environ["BENTOML_CONFIG_OVERRIDES"] = json.dumps(
    {"services": {name: {"metrics": {"enabled": False}} for name in ("Llama", "ExchangeAssistant")}}
)


def pytest_configure(config: pytest.Config) -> None:
    """Let pass what BentoML does on its own account, and remove its metrics; give tests time."""
    for own in (
        "ignore::DeprecationWarning:(_bentoml|pathspec).*",
        "ignore:Implicitly cleaning up .*bentoml-client:ResourceWarning",
    ):
        config.addinivalue_line("filterwarnings", own)
    config.add_cleanup(_METRICS.cleanup)
    # The tests of published clients run without Hypothesis.
    if config.pluginmanager.hasplugin("hypothesispytest"):
        from hypothesis import settings

        # A busy machine is no failure of what is tested.
        settings.register_profile("busy", deadline=None)
        settings.load_profile("busy")


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that reaches for another machine, also where the code catches the error.

    Tests with real weights may: a first run downloads them.
    """
    if any(request.node.get_closest_marker(name) for name in ("model", "serve")):
        yield
        return
    attempts: list[str] = []

    def guarded(real: Any, host_of: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            host = host_of(*arguments)
            if not _is_here(host):
                attempts.append(str(host))
                raise OSError(f"tests may not reach {host}")
            return real(*arguments, **options)

        return call

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name), _peer))
    lookup = guarded(socket.getaddrinfo, lambda host, *_: host)
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    yield
    assert not attempts, f"reached for {', '.join(attempts)}"


@pytest.fixture(scope="module")
def app() -> Iterator[Any]:
    """The service of a module whose tests ask for it, as `Served`; loaded for them alone."""
    from served import assistant_app

    with assistant_app() as app:
        yield app


@pytest.fixture(scope="session")
def default_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The assistant and the default model, as `hosts.both` starts them, for all who ask alike."""
    from hosts import both

    with both(tmp_path_factory.mktemp("serve")) as servers:
        yield servers


def _peer(own: socket.socket, *arguments: Any) -> Any:
    """The host that a socket is about to reach; None for a Unix socket."""
    return None if own.family == socket.AF_UNIX else arguments[-1][0]


def _is_here(host: str | bytes | None) -> bool:
    """Whether `host` is this machine."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@pytest.fixture
def store() -> Iterator[TodoStore]:
    """A list of two tasks."""
    store = TodoStore()
    store.create("Buy milk")
    store.create("Call Bob")
    yield store
    store.close()
