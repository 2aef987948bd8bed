"""`deploy/kubernetes`: valid, whole, and speaking of the services as the code knows them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

import service
from function_calling.settings import GPU_MODEL_ID, Settings
from openai_endpoints import openai_api_app

FOLDER = Path(__file__).resolve().parent.parent / "deploy/kubernetes"
STAGES = (FOLDER, FOLDER / "weights")
OLDEST, NEWEST = "1.29", "1.37"
"""Kubernetes' versions whose schemas the files obey."""
NOT_OURS = {"BENTOML_DO_NOT_TRACK", "BENTOML_HOME", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_OFFLINE"}
NOT_OURS |= {"HOME", "NVIDIA_DRIVER_CAPABILITIES"}


def documents(folder: Path) -> Iterator[dict[str, Any]]:
    """The objects that a kustomization names, in order."""
    for name in read(folder / "kustomization.yaml")["resources"]:
        yield from yaml.safe_load_all((folder / name).read_text(encoding="utf-8"))


def read(path: Path) -> Any:
    """One YAML document."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


OBJECTS = [each for stage in STAGES for each in documents(stage)]
KUSTOMIZATIONS = [read(stage / "kustomization.yaml") for stage in STAGES]
(NAMESPACE,) = {each["namespace"] for each in KUSTOMIZATIONS}


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    """The objects of a kind, by name."""
    return {each["metadata"]["name"]: each for each in OBJECTS if each["kind"] == kind}


PODS = {
    name: each["spec"]["template"]
    for name, each in (of_kind("Deployment") | of_kind("Job")).items()
}
SERVED = {"llama": service.Llama, "exchange-assistant": service.ExchangeAssistant}
served = pytest.mark.parametrize("name", SERVED)


def container(name: str) -> dict[str, Any]:
    """The one container of a Deployment's or a Job's pods."""
    (only,) = PODS[name]["spec"]["containers"]
    return dict(only)


def environment(name: str) -> dict[str, str]:
    """What is set for that container; what a Secret holds is any key."""
    return {
        each["name"]: "any-key-here" if "valueFrom" in each else each["value"]
        for each in container(name).get("env", ())
    }


def selected(labels: dict[str, str]) -> set[str]:
    """Whose pods have these labels."""
    return {
        name for name, pod in PODS.items() if labels.items() <= pod["metadata"]["labels"].items()
    }


def test_each_object_obeys_its_schema() -> None:
    """To the letter: a key that Kubernetes does not know is an error."""
    for item in OBJECTS:
        for version in (OLDEST, NEWEST):
            kubernetes_validate.validate(scaler(item), version, strict=True)


def scaler(item: dict[str, Any]) -> dict[str, Any]:
    """What KEDA makes of a ScaledObject, which is none of Kubernetes' own; others as they are."""
    if item["kind"] != "ScaledObject":
        return item
    spec = item["spec"]
    limits = {f"{each}Replicas": spec[f"{each}ReplicaCount"] for each in ("min", "max")}
    target = {"apiVersion": "apps/v1", "kind": "Deployment"} | spec["scaleTargetRef"]
    rules = spec["advanced"]["horizontalPodAutoscalerConfig"] if "advanced" in spec else {}
    kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    made = {"scaleTargetRef": target, **limits, **rules}
    return {**kind, "metadata": item["metadata"], "spec": made}


def test_every_file_is_applied_with_the_one_image() -> None:
    """Both stages use it."""
    for stage, listed in zip(STAGES, KUSTOMIZATIONS, strict=True):
        there = {path.name for path in stage.glob("*.yaml")} - {"kustomization.yaml"}
        assert set(listed["resources"]) == there
        assert listed["images"] == KUSTOMIZATIONS[0]["images"]
        (image,) = listed["images"]
        assert {container(name)["image"] for name in PODS} == {image["name"]}


def test_selectors_find_the_pods_that_they_mean() -> None:
    """Deployment, Service, disruption budget and scaling, each under the name of its pods."""
    for kind in ("Deployment", "PodDisruptionBudget"):
        for name, item in of_kind(kind).items():
            assert selected(item["spec"]["selector"]["matchLabels"]) == {name}
    for name, item in of_kind("Service").items():
        assert selected(item["spec"]["selector"]) == {name}
        ports = {each["name"] for each in container(name)["ports"]}
        assert {each["targetPort"] for each in item["spec"]["ports"]} <= ports
    for name, item in of_kind("ScaledObject").items():
        assert item["spec"]["scaleTargetRef"]["name"] == name
    for kind in ("Deployment", "Service", "PodDisruptionBudget", "ScaledObject"):
        assert of_kind(kind).keys() == SERVED.keys()


def test_what_is_set_is_a_setting() -> None:
    """Each variable is one that the code reads, with a value that it takes."""
    known = {each.name.upper() for each in Settings.__dataclass_fields__.values()}
    for name in PODS:
        assert environment(name).keys() <= known | NOT_OURS
        Settings.from_env(environment(name))


@served
def test_a_container_serves_the_service_of_its_name(name: str) -> None:
    """On the port that it declares, for all addresses; the model with a GPU."""
    command, *options = container(name)["args"]
    assert command == "start-http-server"
    told = dict(zip(options[::2], options[1::2], strict=True))
    (port,) = container(name)["ports"]
    assert told == {
        "--service-name": SERVED[name].name,
        "--host": "0.0.0.0",
        "--port": str(port["containerPort"]),
    }
    scraped = PODS[name]["metadata"]["annotations"]
    assert scraped["prometheus.io/port"] == str(port["containerPort"])
    gpus = container(name)["resources"]["limits"].get("nvidia.com/gpu")
    assert gpus == ("1" if name == "llama" else None)


def test_the_assistant_finds_the_model_and_has_its_key() -> None:
    """At its Service; one Secret has the key of both, and the page says how it is made."""
    address = urlsplit(environment("exchange-assistant")["LLAMA_URL"])
    (port,) = of_kind("Service")["llama"]["spec"]["ports"]
    assert (address.scheme, address.hostname, address.port) == ("http", "llama", port["port"])
    given = {
        (name, each["name"]): each["valueFrom"]["secretKeyRef"]
        for name in SERVED
        for each in container(name)["env"]
        if "valueFrom" in each
    }
    services = [("llama", "API_KEYS"), ("exchange-assistant", "API_KEYS")]
    assert given.keys() == {*services, ("exchange-assistant", "LLAMA_API_KEY")}
    (secret,) = {(each["name"], each["key"]) for each in given.values()}
    told = (FOLDER.parents[1] / "docs/deploy.md").read_text(encoding="utf-8")
    assert "create secret generic {} --from-literal={}=".format(*secret) in told


def test_the_weights_are_fetched_to_where_the_model_looks() -> None:
    """Once, by a Job; the pods that serve only read them."""
    args = container("llama-weights")["args"]
    assert args[:3] == ["hf", "download", GPU_MODEL_ID]
    folder = environment("llama")["LLAMA_MODEL_DIR"]
    assert f"--local-dir={folder}" in args
    assert environment("llama")["ENGINE"] == "lmdeploy"
    claims = [
        volume["persistentVolumeClaim"]
        for name in ("llama", "llama-weights")
        for volume in PODS[name]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert {each["claimName"] for each in claims} == of_kind("PersistentVolumeClaim").keys()
    assert claims[0]["readOnly"]
    for name in ("llama", "llama-weights"):
        mounts = {each["name"]: each["mountPath"] for each in container(name)["volumeMounts"]}
        assert Path(folder).is_relative_to(mounts["weights"])


@served
def test_a_pod_is_given_the_time_that_it_needs(name: str) -> None:
    """Loading 70B may take half an hour; at its end, it has longer than the longest request."""
    probes = container(name)
    start = probes["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] >= (1800 if name == "llama" else 60)
    longest = SERVED[name].config["traffic"]["timeout"]
    (_, waiting) = probes["lifecycle"]["preStop"]["exec"]["command"]
    ending = float(environment(name)["STOP_TIMEOUT"])
    assert longest < ending < PODS[name]["spec"]["terminationGracePeriodSeconds"] - int(waiting)


@served
def test_scaling_counts_the_requests_of_the_service(name: str) -> None:
    """By the labels that BentoML gives them, on the routes that are served."""
    spec = of_kind("ScaledObject")[name]["spec"]
    (trigger,) = spec["triggers"]
    told = trigger["metadata"]
    metric, labels = re.fullmatch(r"sum\((\w+)\{(.*)\}\)", told["query"]).groups()
    assert metric == "bentoml_service_request_in_progress"
    wanted = dict(re.findall(r'(\w+)=~?"([^"]*)"', labels))
    assert (wanted["namespace"], wanted["runner_name"]) == (NAMESPACE, SERVED[name].name)
    api = {method.route for method in SERVED[name].apis.values()}
    app = {f"/v1{route.path}" for route in openai_api_app.routes if "POST" in route.methods}
    counted = {each for each in api | app if re.fullmatch(wanted["endpoint"], each)}
    assert counted == (app if name == "llama" else api)
    assert 0 < spec["minReplicaCount"] < spec["maxReplicaCount"]
    assert "replicas" not in of_kind("Deployment")[name]["spec"], "applying it would undo scaling"
