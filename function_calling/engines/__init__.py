"""Engines: one adapter a file, chosen by the settings and the machine."""

import shutil
import subprocess
from importlib import import_module
from importlib.util import find_spec

from function_calling.engines.engine import Engine, LoadedModel
from function_calling.errors import SettingsError
from function_calling.settings import Settings

__all__ = ["Engine", "LoadedModel", "check_engine", "choose_engine", "load_engine"]

PACKAGES = {"lmdeploy": "lmdeploy", "llamacpp": "xllamacpp"}
"""What each adapter imports."""
_INSTEAD = (
    "Set ENGINE=llamacpp for the embedded model, which needs no GPU, or LLAMA_URL to the address "
    "of another server."
)


def choose_engine(settings: Settings) -> str:
    """The engine's name: the one set, else `lmdeploy` where an NVIDIA GPU is visible."""
    if settings.engine != "auto":
        return settings.engine
    return "lmdeploy" if gpu_is_visible() else "llamacpp"


def gpu_is_visible() -> bool:
    """Whether NVIDIA's driver lists a GPU here."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return False
    listed = subprocess.run([command, "-L"], capture_output=True, check=False)
    return listed.stdout.startswith(b"GPU ")


def check_engine(settings: Settings) -> None:
    """See whether the chosen engine can run here, without importing it, which takes seconds.

    Raises:
        SettingsError: It can't; says what is missing, and what to do instead.
    """
    name = choose_engine(settings)
    if name == "lmdeploy" and not gpu_is_visible():
        raise SettingsError(f"ENGINE={name}: no NVIDIA GPU is visible here. {_INSTEAD}")
    if find_spec(PACKAGES[name]) is None:
        file = "requirements.txt" if name == "lmdeploy" else "requirements-cpu.txt"
        raise SettingsError(
            f"ENGINE={name}: the package {PACKAGES[name]} is not installed here; it is in {file}. "
            f"{_INSTEAD}"
        )


def load_engine(settings: Settings) -> LoadedModel:
    """Load the model; blocks until it is in memory.

    Raises:
        SettingsError: The engine can't run here.
        WeightsError: The model's file can't be had.
    """
    check_engine(settings)
    # No other adapter is imported, so each needs its own packages alone.
    adapter = import_module(f"function_calling.engines.{choose_engine(settings)}")
    loaded: LoadedModel = adapter.load(settings)
    return loaded
