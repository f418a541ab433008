"""Loading a model: safetensors only, no code from the model. Importing this imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.diffusion.models.describe import describe, ensure_here, is_on_its_hub
from core.diffusion.models.download import Report
from core.diffusion.models.errors import ModelError
from core.diffusion.models.files.weights import first_line
from core.diffusion.models.info import ModelInfo
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.models.origins import BUNDLED, BUNDLED_FOLDER, list_models
from core.diffusion.recipe.libraries import library

if TYPE_CHECKING:
    import torch

__all__ = [
    "BUNDLED",
    "BUNDLED_FOLDER",
    "LoadedModel",
    "ModelError",
    "ModelInfo",
    "describe",
    "ensure_here",
    "is_on_its_hub",
    "list_models",
    "load_model",
]


def load_model(
    source: str,
    *,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    report: Report | None = None,
) -> LoadedModel:
    """Load the parts of a Stable Diffusion model: safetensors only, no code from the model.

    `device` defaults to LIGHTBOX_DEVICE, else CUDA where there is one, else the CPU; `dtype` to
    LIGHTBOX_DTYPE, else float16 on CUDA and float32 elsewhere; LIGHTBOX_OFFLOAD says which parts
    wait in main memory. A hub id whose files are not all
    in the cache is downloaded; `report` is told how far that is. Raises ModelError.
    """
    for name in ("transformers", "diffusers"):
        library(name)  # pages may be importing them at this very moment
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    from core.diffusion.models.loading import load_file, load_folder
    from core.diffusion.models.placement import choose_device, choose_dtype, offload_mode, place

    # Their bars would run through the server's output and the command line's own progress.
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    info = ensure_here(source, report)
    target = choose_device(device)
    kind = dtype or choose_dtype(target)
    mode = offload_mode(target)
    parts = (load_file if info.file else load_folder)(info, kind)
    try:
        place(info, parts, target, kind, mode)
    # A tensor without data, as where a part is incomplete, cannot be moved: NotImplementedError.
    except (NotImplementedError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"{info.name} could not be brought to {target} ({first_line(error)}). The files may "
            "be incomplete: copy or download the model again."
        ) from error
    return LoadedModel(info=info, device=target, dtype=kind, **parts)
