"""LMDeploy with a real model on a real GPU, where there is one; as a script, whether there is."""

import os
import sys
from typing import Any

import pytest

from function_calling.engines import LoadedModel, check_engine, load_engine
from function_calling.errors import SettingsError
from function_calling.settings import Settings
from packing import hub_weights, with_weights


def missing() -> str:
    """Why LMDeploy can't run here, in one sentence; "" if it can."""
    try:
        check_engine(Settings(engine="lmdeploy"))
    except SettingsError as error:
        return str(error)
    return ""


def gpu_engine(**settings: Any) -> LoadedModel:
    """The GPU's own model, or the one in the folder that GPU_TEST_MODEL names; or the test is left.

    The weights are of some 40 GB, and fetched from the hub if they are not in its cache yet.
    """
    if why := missing():
        pytest.skip(why)
    wanted = Settings(
        engine="lmdeploy",
        llama_model_dir=os.environ.get("GPU_TEST_MODEL", ""),
        **settings,
    )
    weights = hub_weights(wanted)
    return load_engine(with_weights(wanted, weights.resolve() if weights else None))


if __name__ == "__main__":
    sys.exit(f"Left out. {why}" if (why := missing()) else 0)
