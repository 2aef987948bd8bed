"""`deploy/bentocloud.yaml`, as BentoML's own schemas read it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from _bentoml_sdk.service.config import validate
from bentoml._internal.cloud.schemas.schemasv2 import CreateDeploymentSchema
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.utils.cattr import bentoml_cattr
from pydantic import ValidationError

import service
from function_calling.settings import GPU_MODEL_ID, Settings

FILE = Path(__file__).resolve().parent.parent / "deploy/bentocloud.yaml"
SERVICES = {"ExchangeAssistant": service.ExchangeAssistant, "Llama": service.Llama}


def read() -> Any:
    """What the file says."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def taken(said: Any) -> Any:
    """What is left of it once BentoML has read it."""
    return bentoml_cattr.unstructure(bentoml_cattr.structure(said, CreateDeploymentSchema))


def test_bentoml_takes_every_key() -> None:
    """It drops what it does not know, at any depth: what it kept is compared to what was said."""
    assert taken(read()) == read()
    for path in ((), ("services", "Llama", "scaling", "policy")):
        said = place = read()
        for step in path:
            place = place[step]
        place["max_replica"] = 3
        assert taken(said) != said


@pytest.mark.parametrize("name", SERVICES)
def test_overrides_are_a_services_configuration(name: str) -> None:
    """They go to BentoML as they are; its schema of a service's configuration knows them all."""
    overrides = read()["services"][name]["config_overrides"]
    assert validate(overrides) == overrides
    with pytest.raises(ValidationError):
        validate({"traffic": {"timeout": 0}})


def test_both_services_scale_by_themselves() -> None:
    """By requests under way, the model down to none."""
    said = read()["services"]
    assert said.keys() == SERVICES.keys()
    for each in said.values():
        assert each["config_overrides"]["traffic"]["concurrency"] > 0
        assert each["scaling"]["min_replicas"] < each["scaling"]["max_replicas"]
    assert said["Llama"]["scaling"]["min_replicas"] == 0
    assert said["Llama"]["instance_type"].startswith("gpu.")
    assert said["ExchangeAssistant"]["instance_type"].startswith("cpu.")


def test_a_model_at_zero_is_not_woken_by_probes() -> None:
    """The assistant's /readyz would ask it every few seconds."""
    assistant = read()["services"]["ExchangeAssistant"]
    assert assistant["config_overrides"]["endpoints"]["readyz"] == "/livez"


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_set_is_a_setting(name: str) -> None:
    """Read as the service will read it."""
    said = read()["services"][name]
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
