"""`deploy/bentocloud.yaml`, as BentoML's own schemas read it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from _bentoml_sdk.service.config import validate
from bentoml._internal.cloud.schemas.schemasv2 import CreateDeploymentSchema
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.utils.cattr import bentoml_cattr

import service
from function_calling.settings import GPU_MODEL_ID, Settings

FILE = Path(__file__).resolve().parent.parent / "deploy/bentocloud.yaml"
SAID: Any = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES = {"ExchangeAssistant": service.ExchangeAssistant, "Llama": service.Llama}


def test_bentoml_takes_every_key() -> None:
    """It drops what it does not know, at any depth: what it kept is compared to what was said."""
    kept = bentoml_cattr.unstructure(bentoml_cattr.structure(SAID, CreateDeploymentSchema))
    assert kept == SAID
    for each in SAID["services"].values():
        assert validate(each["config_overrides"]) == each["config_overrides"]


def test_both_services_scale_by_themselves() -> None:
    """The model down to none, and no probe wakes it: the assistant's /readyz would ask it."""
    said = SAID["services"]
    assert said.keys() == SERVICES.keys()
    assert said["Llama"]["scaling"]["min_replicas"] == 0
    assistant = said["ExchangeAssistant"]
    assert assistant["config_overrides"]["endpoints"]["readyz"] == "/livez"


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_set_is_a_setting(name: str) -> None:
    """Read as the service will read it."""
    said = SAID["services"][name]
    environ = {each["name"]: each["value"] for each in said["envs"]}
    known = {each.name.upper() for each in Settings.__dataclass_fields__.values()}
    assert environ.keys() <= known
    settings = Settings.from_env(environ)
    assert settings.engine == ("lmdeploy" if name == "Llama" else "llamacpp")
    assert settings.llama_model in ("", GPU_MODEL_ID)
    timeout = said["config_overrides"]["traffic"]["timeout"]
    assert timeout == SERVICES[name].config["traffic"]["timeout"]


def test_the_assistant_says_whom_its_requests_are_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As BentoML's own client does: on BentoCloud one address stands for all services."""
    monkeypatch.setattr(service.ExchangeAssistant.inner.llm, "_resolved", None)
    mapping = BentoMLContainer.remote_runner_mapping
    mapping.set({"Llama": "http://127.0.0.1:1"})
    try:
        headers = service.ExchangeAssistant().assistant.client.default_headers
    finally:
        mapping.reset()
    assert headers["Runner-Name"] == "Llama"
    assert {"Bento-Name", "Bento-Version"} <= headers.keys()
