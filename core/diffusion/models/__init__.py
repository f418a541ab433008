"""Models: which there are, what one is, and loading it. Reading a description imports no torch."""

from core.diffusion.models.errors import ModelError
from core.diffusion.models.load import LoadedModel, ModelInfo, describe, load_model
from core.diffusion.models.origins import BUNDLED, list_models

__all__ = [
    "BUNDLED",
    "LoadedModel",
    "ModelError",
    "ModelInfo",
    "describe",
    "list_models",
    "load_model",
]
