"""Which engine is chosen, and what is said where it can't run."""

from pathlib import Path

import pytest

from function_calling import engines
from function_calling.engines import check_engine, choose_engine, load_engine
from function_calling.errors import SettingsError
from function_calling.settings import Settings

GPU = "GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-0)"
AUTO = Settings()
LMDEPLOY = Settings(engine="lmdeploy")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where NVIDIA's `nvidia-smi` would be; there is none yet."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    return tmp_path / "nvidia-smi"


def lists(driver: Path, text: str, status: int = 0) -> None:
    """Have the driver list this."""
    driver.write_text(f"#!/bin/sh\necho '{text}'\nexit {status}\n")
    driver.chmod(0o755)


def test_the_engine_follows_the_gpus_that_the_driver_lists(driver: Path) -> None:
    """No driver, a driver without a GPU, and one with."""
    assert choose_engine(AUTO) == "llamacpp"
    lists(driver, "No devices were found", 6)
    assert choose_engine(AUTO) == "llamacpp"
    lists(driver, GPU)
    assert choose_engine(AUTO) == "lmdeploy"


def test_an_engine_that_is_set_is_taken(driver: Path) -> None:
    """Whatever there is."""
    assert choose_engine(LMDEPLOY) == "lmdeploy"
    lists(driver, GPU)
    assert choose_engine(Settings(engine="llamacpp")) == "llamacpp"


@pytest.mark.usefixtures("driver")
def test_without_a_gpu_the_sentence_says_so_and_what_to_do() -> None:
    """Before anything is imported; loading says the same."""
    for refuse in (check_engine, load_engine):
        with pytest.raises(SettingsError) as caught:
            refuse(LMDEPLOY)
        assert str(caught.value) == (
            "ENGINE=lmdeploy: no NVIDIA GPU is visible here. Set ENGINE=llamacpp for the embedded "
            "model, which needs no GPU, or LLAMA_URL to the address of another server."
        )


def test_without_its_package_the_sentence_names_the_file_that_has_it(
    driver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For either engine, also where `auto` chose it."""
    monkeypatch.setattr(engines, "find_spec", lambda _: None)
    lists(driver, GPU)
    with pytest.raises(SettingsError, match=r"lmdeploy is not installed .* requirements\.txt"):
        check_engine(AUTO)
    with pytest.raises(SettingsError, match=r"xllamacpp is not .* requirements-cpu\.txt"):
        check_engine(Settings(engine="llamacpp"))
