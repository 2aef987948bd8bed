"""Which engine and model are chosen on which machine, and what is said where they can't run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from function_calling.engines import check_engine, choose_profile, load_engine, profile
from function_calling.engines.gpu_memory import GB, gpu_memory, memory_needed
from function_calling.engines.profile import GPU_MODELS, SMALL_GPU_MODEL_ID
from function_calling.errors import SettingsError, WeightsError
from function_calling.settings import GPU_MODEL_ID, Settings

LMDEPLOY = Settings(engine="lmdeploy")
EMBEDDED = "The embedded model Qwen2.5-Coder-1.5B runs on this machine's CPU."
BIG = "acme/Big"
DENSE_70B = {**GPU_MODELS[0].config, "quantization_config": None}

Driver = Callable[..., None]
Configs = dict[str, Path]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Puts an `nvidia-smi` on the path that prints this; until then there is none."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def lists(*lines: object, status: int = 0) -> None:
        script = tmp_path / "nvidia-smi"
        told = "".join(f"echo '{line}'\n" for line in lines)
        script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n{told}exit {status}\n')
        script.chmod(0o755)

    return lists


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The packages that are installed here: all, until one is taken away."""
    packages = {"lmdeploy", "xllamacpp"}
    monkeypatch.setattr(profile, "find_spec", lambda name: name if name in packages else None)
    return packages


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Configs:
    """The hub's config.json files by model; there are none yet."""
    configs: Configs = {}

    def newest(asked: profile.Hub) -> Path:
        if asked.repo not in configs or asked.filename != "config.json":
            raise WeightsError("away")
        return configs[asked.repo]

    monkeypatch.setattr(profile.Hub, "newest", newest)
    return configs


@pytest.mark.parametrize(
    ("memory", "package", "model", "told"),
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
    driver: Driver, installed: set[str], memory: object, package: str, model: str, told: str
) -> None:
    """Else the embedded one; and says what would give more."""
    installed &= {package, "xllamacpp"}
    driver(memory)
    chosen = check_engine(Settings())
    assert (chosen.engine, chosen.model_id) == ("lmdeploy" if model else "llamacpp", model)
    assert chosen.why.startswith(EMBEDDED) == (not model)
    assert told in chosen.why


@pytest.mark.usefixtures("installed")
def test_without_a_gpu_the_embedded_model_runs(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No driver, a driver that finds none, or one that is hidden from us; all else is an error."""
    assert choose_profile(Settings()).why.startswith(f"{EMBEDDED} No NVIDIA GPU is visible")
    for refuse in (check_engine, load_engine):
        with pytest.raises(SettingsError, match=r"ENGINE=lmdeploy: no NVIDIA .* Set ENGINE="):
            refuse(LMDEPLOY)
    with pytest.raises(SettingsError, match=f"MODEL_ID={BIG}: no NVIDIA GPU "):
        check_engine(Settings(model_id=BIG))
    driver("No devices were found", status=6)
    assert choose_profile(Settings()).engine == "llamacpp"
    driver(81920)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert choose_profile(Settings()).engine == "llamacpp"


def test_of_several_gpus_the_one_that_cuda_takes_counts(
    driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The large one beside a display's, or the first of those that are left visible."""
    driver(2048, 49140)
    assert gpu_memory() == pytest.approx(48, abs=0.1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    gpu_memory()
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == [
        "--query-gpu=memory.total --format=csv,noheader,nounits",
        "--query-gpu=memory.total --format=csv,noheader,nounits --id=1",
    ]


@pytest.mark.usefixtures("installed")
def test_what_is_named_decides(driver: Driver) -> None:
    """The engine that runs it, whatever the machine is."""
    driver(81920)
    for settings, engine, model, why in (
        (Settings(engine="llamacpp"), "llamacpp", "", EMBEDDED),
        (Settings(model_path="/m/tiny.gguf"), "llamacpp", "", "The embedded model tiny.gguf"),
        (Settings(model_id="a/tiny:q/tiny.gguf"), "llamacpp", "", "The embedded model tiny.gguf"),
        (LMDEPLOY, "lmdeploy", GPU_MODEL_ID, "LMDeploy runs Llama 3.1 70B on the GPU."),
        (Settings(model_id=BIG), "lmdeploy", BIG, f"LMDeploy runs {BIG} on the GPU."),
        (Settings(llama_model_dir="/models/llama"), "lmdeploy", "llama", "LMDeploy runs llama"),
    ):
        chosen = choose_profile(settings)
        assert (chosen.engine, chosen.model_id) == (engine, model)
        assert chosen.why.startswith(why)


@pytest.mark.usefixtures("installed")
def test_what_does_not_fit_says_so(driver: Driver, hub: Configs, tmp_path: Path) -> None:
    """The model, what it needs, what there is, and what to set: before anything is downloaded."""
    driver(24564)
    needs = f"{GPU_MODEL_ID} needs 42.5 GB of GPU memory .* 16384 tokens, .* GPU here has 24 GB"
    with pytest.raises(SettingsError, match=f"{needs}. Set ENGINE=llamacpp"):
        check_engine(LMDEPLOY)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(DENSE_70B))
    hub[BIG] = config
    for settings, said in (
        (Settings(model_id=BIG), f"MODEL_ID={BIG}: {BIG} needs 137 GB"),
        (Settings(llama_model_dir=str(tmp_path)), f"ENGINE=lmdeploy: {tmp_path.name} needs"),
    ):
        with pytest.raises(
            SettingsError, match="ENGINE=auto and no model for the largest"
        ) as caught:
            check_engine(settings)
        assert str(caught.value).startswith(said)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("config", [None, "[]", "{}", '{"hidden_size": "4096"}'])
def test_a_model_whose_size_is_not_told_is_tried(
    driver: Driver, hub: Configs, tmp_path: Path, config: str | None
) -> None:
    """The hub is away, or its config.json says nothing that we understand."""
    driver(8188)
    if config:
        (tmp_path / "config.json").write_text(config)
        hub[BIG] = tmp_path / "config.json"
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


def test_without_its_package_the_sentence_names_the_file_that_has_it(
    driver: Driver, installed: set[str]
) -> None:
    """For either engine."""
    installed.clear()
    driver(81920)
    with pytest.raises(SettingsError, match=r"lmdeploy is not .* requirements\.txt, which `make g"):
        check_engine(LMDEPLOY)
    for settings in (Settings(), Settings(engine="llamacpp")):
        with pytest.raises(SettingsError, match=r"xllamacpp is not .*-cpu\.txt\. Install it, or"):
            check_engine(settings)
