"""Engines: one adapter a file, chosen by the settings and the machine."""

from importlib import import_module

from function_calling.engines.engine import Engine, LoadedModel
from function_calling.engines.profile import Profile, check_engine, choose_profile
from function_calling.settings import Settings

__all__ = ["Engine", "LoadedModel", "Profile", "check_engine", "choose_profile", "load_engine"]


def load_engine(settings: Settings) -> LoadedModel:
    """Load the model; blocks until it is in memory.

    Raises:
        SettingsError: The engine can't run here.
        WeightsError: The model's file can't be had.
    """
    # No other adapter is imported, so each needs its own packages alone.
    adapter = import_module(f"function_calling.engines.{check_engine(settings).engine}")
    loaded: LoadedModel = adapter.load(settings)
    return loaded
