"""Single .safetensors checkpoints: what one is, and the configurations it is read with.

Such a file holds weights under the names of the original code and says nothing else. Its family
shows in which text encoders it holds; what does not show there (v-prediction, Turbo) is taken
from the file's own metadata, else from its name. The configurations are those of the published
models, in configs/: nothing is downloaded. Imports no torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.diffusion.models.errors import ModelError
from core.diffusion.models.families import FAMILIES, Family, supported, unsupported
from core.diffusion.models.weights import Tensors, read_header

CONFIGS = Path(__file__).resolve().parent / "configs"

UNET = "model.diffusion_model."
_SD1_TEXT = "cond_stage_model.transformer."
_SD2_TEXT = "cond_stage_model.model."
_XL_TEXT = ("conditioner.embedders.0.transformer.", "conditioner.embedders.1.model.")
_REFINER_TEXT = "conditioner.embedders.0.model."
_VAE = "first_stage_model."

_FOREIGN = (("joint_blocks.", "Stable Diffusion 3"), ("double_blocks.", "a Flux model"))
_PIECES = (
    ("lora", "a LoRA"),
    ("hada_w1", "a LoRA"),
    ("control_model.", "a ControlNet"),
    ("controlnet_", "a ControlNet"),
    ("string_to_param", "a textual inversion"),
    ("emb_params", "a textual inversion"),
    ("clip_l", "a textual inversion"),
    ("down_blocks.", "a part of a model in diffusers layout"),
    ("decoder.conv_in.", "a VAE alone"),
    ("text_model.", "a text encoder alone"),
)
"""What a piece of a tensor's name says of a file that is none of ours."""


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """What a checkpoint file is. `folder` has its family's configurations; `scheduler_changes`
    are what the file says of its training; `by_name` that its name alone decided.
    """

    family: Family
    folder: Path
    scheduler_changes: dict[str, Any] = field(default_factory=dict[str, Any])
    by_name: bool = False


def is_checkpoint(file: Path) -> bool:
    """Whether a .safetensors file is to be listed as a model: LoRAs and the like are not, broken
    files are, so that choosing one says what is wrong with it.
    """
    try:
        shapes = read_header(file).shapes
    except ModelError:
        return True
    return any(name.startswith(UNET) for name in shapes)


def recognise(file: Path) -> Recognised:
    """The family of a checkpoint file. Raises ModelError for what is none, with what it is."""
    if file.suffix != ".safetensors":
        raise ModelError(
            f"{file.name} is no .safetensors file. Other checkpoints (.ckpt, .pt, .bin) can run "
            "code when opened and are never loaded: look for the model as safetensors."
        )
    tensors = read_header(file)
    shapes = tensors.shapes

    def has(start: str) -> bool:
        return any(name.startswith(start) for name in shapes)

    def told(table: tuple[tuple[str, str], ...]) -> str:
        found = (what for piece, what in table if any(piece in name for name in shapes))
        return next(found, "")

    if foreign := told(_FOREIGN):
        raise unsupported(file.name, foreign)
    if not has(UNET):
        what = told(_PIECES) or "no checkpoint of Stable Diffusion"
        raise ModelError(
            f"{file.name} is {what}, not a whole model. Choose a checkpoint with UNet, VAE and "
            f"text encoder; these are run: {supported()}."
        )
    first = shapes.get(f"{UNET}input_blocks.0.0.weight", (0, 4))
    if first[1] != 4:
        what = f"an inpainting or editing model (its UNet takes {first[1]} channels)"
        raise unsupported(file.name, what)
    is_xl = all(has(start) for start in _XL_TEXT)
    if not is_xl and has(_REFINER_TEXT):
        raise unsupported(file.name, "the SDXL refiner, which finishes pictures of the base model")
    is_text = is_xl or has(_SD1_TEXT) or has(_SD2_TEXT)
    missing = ["its text encoder"] * (not is_text) + ["its VAE"] * (not has(_VAE))
    if missing:
        raise ModelError(
            f"{file.name} lacks {' and '.join(missing)}: it is the UNet of a model. Look for the "
            "whole checkpoint."
        )
    return _kind(file, tensors, "sdxl" if is_xl else "sd1" if has(_SD1_TEXT) else "sd2")


def _kind(file: Path, tensors: Tensors, configs: str) -> Recognised:
    said = tensors.metadata.get("modelspec.prediction_type", "").lower()
    changes: dict[str, Any] = {}
    name, by_name = file.stem.lower(), False
    if re.match(r"sd[-_]?(xl)?[-_]?turbo", name) and configs != "sd1":
        configs, by_name = f"{'sdxl' if configs == 'sdxl' else 'sd'}-turbo", True
    elif configs == "sd2":
        # As diffusers: 2.1 at 768 pixels, unless something says otherwise.
        is_base = bool(re.search(r"512|base|eps", name))
        by_name = not said
        configs = "sd2" if said.startswith("eps") or (not said and is_base) else "sd2-v"
    elif said.startswith("v") or "v_pred" in tensors.shapes:
        changes["prediction_type"] = "v_prediction"
    if "ztsnr" in tensors.shapes:
        changes |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    family = next(family for family in FAMILIES.values() if family.configs == configs)
    return Recognised(
        family=family, folder=CONFIGS / configs, scheduler_changes=changes, by_name=by_name
    )
