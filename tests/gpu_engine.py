"""LMDeploy with a real model on a real GPU, where there is one."""

import os
from typing import Any

import pytest

from function_calling.engines import LoadedModel, check_engine, load_engine
from function_calling.errors import SettingsError
from function_calling.settings import Settings


def gpu_engine(**settings: Any) -> LoadedModel:
    """The GPU's own model, or the one in the folder that GPU_TEST_MODEL names; or the test is left.

    The weights are of some 40 GB, and fetched from the hub if they are not in MODELS_DIR yet.
    """
    wanted = Settings(
        engine="lmdeploy",
        model_path=os.environ.get("GPU_TEST_MODEL", ""),
        models_dir=os.environ.get("MODELS_DIR", ""),
        **settings,
    )
    try:
        check_engine(wanted)
    except SettingsError as error:
        pytest.skip(str(error))
    return load_engine(wanted)
