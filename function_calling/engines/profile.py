"""Which engine and which model run here: by the settings, else by what the machine can run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from function_calling.engines.gpu_memory import gpu_memory, memory_needed
from function_calling.errors import SettingsError, WeightsError
from function_calling.settings import GPU_MODEL_ID, Settings
from function_calling.weights.sources import Hub

_PACKAGES = {
    "lmdeploy": ("lmdeploy", "requirements.txt, which `make gpu` installs"),
    "llamacpp": ("xllamacpp", "requirements-cpu.txt"),
}
"""What each adapter imports, and the file that has it."""
_INSTEAD = {
    "lmdeploy": "Set ENGINE=llamacpp for the embedded model, ENGINE=auto and no model for the "
    "largest one that this machine can run, or LLAMA_URL to the address of another server.",
    "llamacpp": "Install it, or set LLAMA_URL to the address of another server.",
}
"""What can be done where it can't run."""
SMALL_GPU_MODEL_ID = "hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4"
_LLAMA = {
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128},
}


@dataclass(frozen=True, slots=True)
class GpuModel:
    """A hub model that is chosen by a GPU's memory, with what of its config.json tells its size."""

    id: str
    name: str
    config: Mapping[str, Any]

    def needs(self, settings: Settings) -> float:
        """GB of memory, for a context as the settings have it."""
        return memory_needed(self.config, settings.gpu_context_length)


GPU_MODELS = (
    GpuModel(
        GPU_MODEL_ID,
        "Llama 3.1 70B",
        _LLAMA
        | {"hidden_size": 8192, "intermediate_size": 28672}
        | {"num_hidden_layers": 80, "num_attention_heads": 64},
    ),
    GpuModel(
        SMALL_GPU_MODEL_ID,
        "Llama 3.1 8B",
        _LLAMA
        | {"hidden_size": 4096, "intermediate_size": 14336}
        | {"num_hidden_layers": 32, "num_attention_heads": 32},
    ),
)
"""The larger one first."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What runs.

    Attributes:
        engine: `lmdeploy` or `llamacpp`.
        model_id: LMDeploy's model on the hub, or its folder's name; "" for the embedded engine,
            whose file is `weights.resolve`'s to find.
        why: A line for whoever starts it: what runs where, and what would give more.
    """

    engine: str
    model_id: str
    why: str


def choose_profile(settings: Settings) -> Profile:
    """What the settings name, else the largest model that this machine can run.

    Asks the driver at most: neither is an engine imported nor the hub asked.
    """
    named = settings.model_id or Path(settings.llama_model_dir).name
    if settings.engine == "lmdeploy":
        return _on_gpu(named or GPU_MODEL_ID)
    if settings.engine == "llamacpp" or settings.model_path or named.endswith(".gguf"):
        return _embedded(settings)
    return _on_gpu(named) if named else _by_machine(settings)


def check_engine(settings: Settings) -> Profile:
    """The profile, if it can run here; no engine is imported, which would take seconds.

    Of a model that we don't know by heart, config.json is read, from its folder or from the hub;
    without that its size is not judged.

    Raises:
        SettingsError: It can't run here; says what is missing, and what to do instead.
    """
    profile = choose_profile(settings)
    if problem := _problem(settings, profile):
        named = {"MODEL_ID": settings.model_id, "LLAMA_MODEL_DIR": settings.llama_model_dir}
        told = [f"{name}={value}" for name, value in named.items() if value]
        said = told[0] if told and settings.engine == "auto" else f"ENGINE={profile.engine}"
        raise SettingsError(f"{said}: {problem} {_INSTEAD[profile.engine]}")
    return profile


def _by_machine(settings: Settings) -> Profile:
    gpu = gpu_memory()
    fitting = [model for model in GPU_MODELS if model.needs(settings) <= (gpu or 0)]
    more = f"The GPU here has {gpu or 0:.3g} GB."
    if fitting and find_spec("lmdeploy"):
        for larger in GPU_MODELS[: -len(fitting)]:
            more += f" {larger.name} would need {larger.needs(settings):.3g} GB."
        return _on_gpu(fitting[0].id, more)
    if gpu is None:
        more = "No NVIDIA GPU is visible here, which could run a larger one."
    elif not gpu:
        more = "The driver doesn't tell the GPU's memory; ENGINE=lmdeploy tries it."
    elif fitting:
        more += f" It could run {fitting[0].name}: `make gpu` installs LMDeploy."
    else:
        smallest = GPU_MODELS[-1]
        more += f" {smallest.name} would need {smallest.needs(settings):.3g} GB."
    return _embedded(settings, more)


def _on_gpu(model: str, more: str = "") -> Profile:
    names = {each.id: each.name for each in GPU_MODELS}
    why = f"LMDeploy runs {names.get(model, model)} on the GPU. {more}"
    return Profile("lmdeploy", model, why.strip())


def _embedded(settings: Settings, more: str = "") -> Profile:
    file = settings.model_path or settings.model_id.rpartition(":")[2]
    name = Path(file).name or "Qwen2.5-Coder-1.5B"
    why = f"The embedded model {name} runs on this machine's CPU. {more}"
    return Profile("llamacpp", "", why.strip())


def _problem(settings: Settings, profile: Profile) -> str:
    """Why the profile can't run here; "" if it can."""
    gpu = gpu_memory() if profile.engine == "lmdeploy" else 0
    if gpu is None:
        return "no NVIDIA GPU is visible here."
    package, file = _PACKAGES[profile.engine]
    if find_spec(package) is None:
        return f"the package {package} is not installed here; it is in {file}."
    needed = _needed(settings, profile) if gpu else 0
    if needed <= gpu:
        return ""
    return (
        f"{profile.model_id} needs {needed:.3g} GB of GPU memory for a context of "
        f"{settings.gpu_context_length} tokens, and the GPU here has {gpu:.3g} GB."
    )


def _needed(settings: Settings, profile: Profile) -> float:
    """GB of GPU memory that the profile's model needs; 0 if that can't be told."""
    for model in GPU_MODELS:
        if model.id == profile.model_id and not settings.llama_model_dir:
            return model.needs(settings)
    try:
        if folder := settings.llama_model_dir:
            path = Path(folder) / "config.json"
        else:
            path = Hub(profile.model_id, "config.json").newest()
        return memory_needed(json.loads(path.read_bytes()), settings.gpu_context_length)
    except (WeightsError, OSError, ValueError, LookupError, TypeError, AttributeError):
        return 0
