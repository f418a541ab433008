"""What is said of a computed image: by which versions, and why it is not there."""

from __future__ import annotations

import functools
import math
import platform
from collections.abc import Mapping
from importlib.metadata import version

from core.diffusion.models.loaded import LoadedModel
from core.diffusion.sampling.cell import BatchCell
from core.diffusion.sampling.prediction import prediction_type_of


def why_not_finite(cell: BatchCell, model: LoadedModel) -> str:
    """Why there is no image where latents are NaN or infinite, and what to do."""
    begins_without_signal = bool(cell.sigmas) and math.isinf(cell.sigmas[0])
    if begins_without_signal and prediction_type_of(model.info.scheduler_config) == "epsilon":
        return (
            "The latents are no longer finite numbers, so there is no image: this schedule begins "
            "without any signal (rescale_betas_zero_snr), where a model that predicts the noise "
            "says nothing of the picture. Its scheduler configuration does not go with its "
            "prediction type: try Euler or DPM++ 2M, or mend scheduler_config.json."
        )
    return (
        "The latents are no longer finite numbers (NaN or infinity), so there is no image. Lower "
        "the guidance scale, or use float32 for this model."
    )


def versions() -> dict[str, str]:
    """Return what computed an image, by name: Python and the libraries."""
    return dict(_versions())


@functools.cache
def _versions() -> Mapping[str, str]:
    """Looked up once: it takes 5 ms, a hundredth of a small picture."""
    names = ("torch", "diffusers", "transformers")
    return {"python": platform.python_version()} | {name: version(name) for name in names}
