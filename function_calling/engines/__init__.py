"""Engines: one adapter a file, chosen by the settings and the machine."""

import shutil
from importlib import import_module

from function_calling.engines.engine import Engine, LoadedModel
from function_calling.errors import SettingsError
from function_calling.settings import Settings

__all__ = ["Engine", "LoadedModel", "choose_engine", "load_engine"]


def choose_engine(settings: Settings) -> str:
    """The engine's name: the one set, else `lmdeploy` where an NVIDIA GPU is visible."""
    if settings.engine != "auto":
        return settings.engine
    return "lmdeploy" if shutil.which("nvidia-smi") else "llamacpp"


def load_engine(settings: Settings) -> LoadedModel:
    """Load the model; blocks until it is in memory.

    Only the chosen adapter is imported, so that each profile needs its own packages alone.

    Raises:
        SettingsError: The engine can't run here.
        WeightsError: The model's file can't be had.
    """
    name = choose_engine(settings)
    try:
        adapter = import_module(f"function_calling.engines.{name}")
    except ImportError as error:
        raise SettingsError(
            f"ENGINE={name}: this engine can't be imported here ({error}). "
            "Install its requirements, or set ENGINE=llamacpp for the embedded model, which needs "
            "no GPU."
        ) from error
    loaded: LoadedModel = adapter.load(settings)
    return loaded
