"""What BentoML packs beside the code: the image's packages, the machine, and whose weights.

This is the one place for Python's version and packages: BentoML adds what `bentofile.yaml` declares
to what is declared here.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import bentoml

from function_calling.engines import choose_profile
from function_calling.settings import Settings

# The file pins everything, so there is nothing to look up at an index.
image = bentoml.images.Image(
    python_version="3.11",
    python_requirements=Path(__file__).with_name("requirements.txt").read_text(encoding="utf-8"),
    lock_python_packages=False,
)


def llama_resources(settings: Settings) -> dict[str, Any]:
    """The machine that `Llama` wants for its engine, in BentoML's words."""
    if choose_profile(settings).engine == "lmdeploy":
        return {"gpu": 1, "gpu_type": "nvidia-a100-80gb"}
    return {"cpu": "2"}


def hub_weights(settings: Settings) -> Any:
    """The hub's model that BentoML fetches for LMDeploy; None where the hub must not be asked.

    What names such a model asks the hub when it is built and when it is served. With ENGINE=auto it
    is a model for this machine's GPU, so set ENGINE to build for another one.
    """
    profile = choose_profile(settings)
    if settings.llama_model_dir or profile.engine != "lmdeploy":
        return None
    return bentoml.models.HuggingFaceModel(
        profile.model_id, exclude=["*.pth", "*.pt", "original/*"]
    )


def with_weights(settings: Settings, fetched: str | None) -> Settings:
    """The settings with name and folder of the hub's model, where one was fetched."""
    if fetched is None:
        return settings
    name = choose_profile(settings).model_id
    return replace(settings, model_id=name, llama_model_dir=fetched)
