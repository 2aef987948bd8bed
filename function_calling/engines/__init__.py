"""Engines: one adapter a file, chosen by the settings and the machine."""

import shutil
from importlib import import_module
from types import ModuleType

from function_calling.engines.engine import Engine, LoadedModel
from function_calling.errors import SettingsError
from function_calling.settings import Settings

__all__ = ["Engine", "LoadedModel", "choose_engine", "find_adapter", "load_engine"]


def choose_engine(settings: Settings) -> str:
    """The engine's name: the one set, else `lmdeploy` where an NVIDIA GPU is visible."""
    if settings.engine != "auto":
        return settings.engine
    return "lmdeploy" if shutil.which("nvidia-smi") else "llamacpp"


def find_adapter(settings: Settings) -> ModuleType:
    """The chosen engine's adapter; no other is imported, so each needs its own packages alone.

    Raises:
        SettingsError: The engine can't run here; says what to do instead.
    """
    name = choose_engine(settings)
    try:
        return import_module(f"function_calling.engines.{name}")
    except ImportError as error:
        raise SettingsError(
            f"ENGINE={name}: this engine can't be imported here ({error}). Set ENGINE=llamacpp "
            "for the embedded model, which needs no GPU."
        ) from error


def load_engine(settings: Settings) -> LoadedModel:
    """Load the model; blocks until it is in memory.

    Raises:
        SettingsError: The engine can't run here.
        WeightsError: The model's file can't be had.
    """
    loaded: LoadedModel = find_adapter(settings).load(settings)
    return loaded
