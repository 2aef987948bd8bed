"""LMDeploy with its real Python half, over the native half of `native_turbomind`."""

from pathlib import Path
from typing import Any

import native_turbomind
import tiny_model

native_turbomind.install()

from lmdeploy.serve.core import AsyncEngine  # noqa: E402, as what it imports is put in place above

from function_calling.engines.lmdeploy import LMDeploy  # noqa: E402

AsyncEngine._build_turbomind = native_turbomind.build


def lmdeploy_engine(folder: Path, **options: Any) -> LMDeploy:
    """The engine with a tiny model, which is made in the folder."""
    return LMDeploy(tiny_model.make(folder), backend="turbomind", **options)


def native(engine: LMDeploy) -> native_turbomind.Model:
    """The engine's native half."""
    model: native_turbomind.Model = engine._engine.engine.model_comm
    return model
