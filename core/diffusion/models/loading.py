"""The parts of a model from its files, in main memory. Safetensors only, nothing from the net."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.diffusion.models.errors import ModelError
from core.diffusion.models.info import ModelInfo
from core.diffusion.models.tokenizers import read_tokenizer
from core.diffusion.models.weights import first_line, weights_of

if TYPE_CHECKING:
    import torch


def load_folder(info: ModelInfo, dtype: torch.dtype) -> dict[str, Any]:
    """Part name -> part, of a folder in diffusers layout. Raises ModelError."""
    import transformers
    from diffusers import AutoencoderKL, UNet2DConditionModel

    classes: dict[str, Any] = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}
    parts: dict[str, Any] = {}
    for row in info.family.text_encoders:
        classes[row.encoder] = getattr(transformers, row.class_name)
        parts[row.tokenizer] = _tokenizer(info, row.tokenizer)
    for name, cls in classes.items():
        variant = weights_of(info.folder, name, info.name).variant
        try:
            parts[name] = cls.from_pretrained(
                info.folder / name,
                use_safetensors=True,
                dtype=dtype,
                local_files_only=True,
                **({"variant": variant} if variant else {}),
            )
        except Exception as error:
            raise _unloadable(info, name, error) from error
    return parts


def load_file(info: ModelInfo, dtype: torch.dtype) -> dict[str, Any]:
    """Part name -> part, of a single .safetensors checkpoint. Raises ModelError."""
    import diffusers

    assert info.file is not None
    family = info.family
    parts: dict[str, Any] = {
        row.tokenizer: _tokenizer(info, row.tokenizer) for row in family.text_encoders
    }
    pipeline: Any = getattr(diffusers, family.text_to_image)
    without: dict[str, Any] = (
        {} if family.base == "SDXL" else {"safety_checker": None, "feature_extractor": None}
    )
    try:
        whole = pipeline.from_single_file(
            str(info.file),
            config=str(info.folder),
            local_files_only=True,
            dtype=dtype,
            **parts,
            **without,
        )
    except Exception as error:
        raise _unloadable(info, "checkpoint", error) from error
    return parts | {name: getattr(whole, name) for name in family.weighed_parts}


def _tokenizer(info: ModelInfo, name: str) -> Any:
    try:
        return read_tokenizer(info.folder, name)
    except Exception as error:
        raise _unloadable(info, name, error) from error


def _unloadable(info: ModelInfo, part: str, error: Exception) -> ModelError:
    return ModelError(
        f"{info.name}: its {part} could not be loaded ({first_line(error)}). The files may be "
        "incomplete: copy or download the model again."
    )
