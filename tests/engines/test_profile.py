"""Which engine and model are chosen on which machine, and what is said where they can't run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from function_calling.engines import check_engine, choose_profile, load_engine, profile
from function_calling.engines.gpu_memory import GB, gpu_memory, memory_needed
from function_calling.engines.profile import GPU_MODELS, SMALL_GPU_MODEL_ID
from function_calling.errors import SettingsError
from function_calling.settings import GPU_MODEL_ID, Settings

LMDEPLOY = Settings(engine="lmdeploy")
EMBEDDED = "The embedded model Qwen2.5-Coder-1.5B runs on this machine's CPU."
BIG = "acme/Big"
DENSE_70B = {**GPU_MODELS[0].config, "quantization_config": None}

Machine = Callable[..., None]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Has an `nvidia-smi` that prints this, and these packages; until it is called, no driver.

    The hub's config.json of any model is that in the test's folder.
    """
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(profile.Hub, "newest", lambda _: tmp_path / "config.json")
    monkeypatch.setattr(profile, "find_spec", lambda name: name)

    def has(*lines: object, status: int = 0, packages: str = "lmdeploy xllamacpp") -> None:
        monkeypatch.setattr(profile, "find_spec", lambda name: name in packages.split() or None)
        script = tmp_path / "nvidia-smi"
        told = "".join(f"echo '{line}'\n" for line in lines)
        script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n{told}exit {status}\n')
        script.chmod(0o755)

    return has


@pytest.mark.parametrize(
    ("memory", "packages", "model", "told"),
    [
        (46068, "lmdeploy", GPU_MODEL_ID, "Llama 3.1 70B on the GPU. The GPU here has 45 GB."),
        (40960, "lmdeploy", SMALL_GPU_MODEL_ID, "Llama 3.1 70B would need 42.5 GB."),
        (8188, "lmdeploy", SMALL_GPU_MODEL_ID, "Llama 3.1 8B on the GPU. The GPU here has 8 GB."),
        (6144, "lmdeploy", "", "The GPU here has 6 GB. Llama 3.1 8B would need 7.83 GB."),
        ("[N/A]", "lmdeploy", "", "doesn't tell the GPU's memory; ENGINE=lmdeploy tries it."),
        (12288, "", "", "It could run Llama 3.1 8B: `make gpu` installs LMDeploy."),
    ],
)
def test_auto_takes_the_largest_model_that_fits_the_gpu(
    machine: Machine, memory: object, packages: str, model: str, told: str
) -> None:
    """Else the embedded one; and says what would give more."""
    machine(memory, packages=f"xllamacpp {packages}")
    chosen = check_engine(Settings())
    assert (chosen.engine, chosen.model_id) == ("lmdeploy" if model else "llamacpp", model)
    assert chosen.why.startswith(EMBEDDED) == (not model)
    assert told in chosen.why


def test_without_a_gpu_the_embedded_model_runs(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No driver, a driver that finds none, or one that is hidden from us; all else is an error."""
    assert choose_profile(Settings()).why.startswith(f"{EMBEDDED} No NVIDIA GPU is visible")
    for refuse in (check_engine, load_engine):
        with pytest.raises(SettingsError, match=r"ENGINE=lmdeploy: no NVIDIA .* Set ENGINE="):
            refuse(LMDEPLOY)
    with pytest.raises(SettingsError, match=f"MODEL_ID={BIG}: no NVIDIA GPU "):
        check_engine(Settings(model_id=BIG))
    machine("No devices were found", status=6)
    assert choose_profile(Settings()).engine == "llamacpp"
    machine(81920)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert choose_profile(Settings()).engine == "llamacpp"


def test_of_several_gpus_the_one_that_cuda_takes_counts(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The large one beside a display's, or the first of those that are left visible."""
    machine(2048, 49140)
    assert gpu_memory() == pytest.approx(48, abs=0.1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    gpu_memory()
    asked = "--query-gpu=memory.total --format=csv,noheader,nounits"
    assert (tmp_path / "asked").read_text().splitlines() == [asked, f"{asked} --id=1"]


def test_what_is_named_decides(machine: Machine) -> None:
    """The engine that runs it, whatever the machine is."""
    machine(81920)
    for settings, engine, model, why in (
        (Settings(engine="llamacpp"), "llamacpp", "", EMBEDDED),
        (Settings(model_path="/m/tiny.gguf"), "llamacpp", "", "The embedded model tiny.gguf"),
        (Settings(model_id="a/tiny:q/tiny.gguf"), "llamacpp", "", "The embedded model tiny.gguf"),
        (Settings(model_id="tiny.gguf"), "llamacpp", "", "The embedded model tiny.gguf"),
        (LMDEPLOY, "lmdeploy", GPU_MODEL_ID, "LMDeploy runs Llama 3.1 70B on the GPU."),
        (Settings(model_id=BIG), "lmdeploy", BIG, f"LMDeploy runs {BIG} on the GPU."),
        (Settings(llama_model_dir="/models/llama"), "lmdeploy", "llama", "LMDeploy runs llama"),
    ):
        chosen = choose_profile(settings)
        assert (chosen.engine, chosen.model_id) == (engine, model)
        assert chosen.why.startswith(why)


def test_what_does_not_fit_says_so(machine: Machine, tmp_path: Path) -> None:
    """The model, what it needs, what there is, and what to set: before anything is downloaded."""
    machine(24564)
    (tmp_path / "config.json").write_text(json.dumps(DENSE_70B))
    for settings, said in (
        (LMDEPLOY, f"ENGINE=lmdeploy: {GPU_MODEL_ID} needs 42.5 GB of GPU memory for a context of"),
        (Settings(model_id=BIG), f"MODEL_ID={BIG}: {BIG} needs 137 GB"),
        (Settings(llama_model_dir=str(tmp_path)), f"LLAMA_MODEL_DIR={tmp_path}: {tmp_path.name}"),
    ):
        wanted = f"{said} .*GPU here has 24 GB. Set ENGINE=llamacpp .*ENGINE=auto and no model"
        with pytest.raises(SettingsError, match=wanted):
            check_engine(settings)


@pytest.mark.parametrize("config", [None, "[]", "{}", '{"hidden_size": "4096"}'])
def test_a_model_whose_size_is_not_told_is_tried(
    machine: Machine, tmp_path: Path, config: str | None
) -> None:
    """There is no config.json, or it says nothing that we understand."""
    machine(8188)
    if config:
        (tmp_path / "config.json").write_text(config)
    assert check_engine(Settings(model_id=BIG)).model_id == BIG


def test_sizes_are_those_of_the_files() -> None:
    """The hub has 39.8 and 5.7 GB (of 10^9 bytes) of files; a context adds its keys and values."""
    for model, files, token in zip(GPU_MODELS, (39.77e9, 5.73e9), (320, 128), strict=True):
        weights = memory_needed(model.config, 0) - 0.5
        assert weights * GB == pytest.approx(files, rel=0.001)
        assert memory_needed(model.config, 1024) - weights - 0.5 == pytest.approx(token / 1024)


def test_other_models_are_estimated_by_their_config() -> None:
    """Whole or in 8 bits, one matrix for both ends, mixtures of experts, eyes beside the text."""
    for config, gigabytes in (
        ({"quantization_config": {"quant_method": "fp8"}}, 67.7),
        ({"tie_word_embeddings": True}, 129.5),
        ({"num_local_experts": 8}, 131.4 + 7 * 105),
        ({"n_routed_experts": 2, "moe_intermediate_size": 14336}, 131.4),
        ({"hidden_size": None, "text_config": {"hidden_size": 8192}}, 131.4),
    ):
        weights = memory_needed(DENSE_70B | config, 0) - 0.5
        assert weights == pytest.approx(gigabytes, rel=0.002)


def test_without_its_package_the_sentence_names_the_file_that_has_it(machine: Machine) -> None:
    """For either engine."""
    machine(81920, packages="")
    with pytest.raises(SettingsError, match=r"lmdeploy is not .* requirements\.txt, which `make g"):
        check_engine(LMDEPLOY)
    for settings in (Settings(), Settings(engine="llamacpp")):
        with pytest.raises(SettingsError, match=r"xllamacpp is not .*-cpu\.txt\. Install it, or"):
            check_engine(settings)
