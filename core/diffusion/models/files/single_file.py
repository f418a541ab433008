"""Single .safetensors checkpoints: what one is, and the configurations it is read with.

Such a file holds weights under the names of the original code and says nothing else. Its family
shows in which text encoders it holds; what does not show there (v-prediction, Turbo) is told by
markers.py, or by its name. The configurations are those of the published models, in configs/:
nothing is downloaded. Imports no torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.diffusion.models.errors import ModelError
from core.diffusion.models.families import FAMILIES, Family, supported, unsupported
from core.diffusion.models.files.markers import read_markers
from core.diffusion.models.files.weights import Tensors, read_header, refuse_scaled

CONFIGS = Path(__file__).resolve().parent / "configs"

UNET = "model.diffusion_model."
SD1_TEXT = "cond_stage_model.transformer."
SD2_TEXT = "cond_stage_model.model."
_XL_TEXT = ("conditioner.embedders.0.transformer.", "conditioner.embedders.1.model.")
FIRST_OPEN_CLIP = "conditioner.embedders.0.model."
_ADDED = f"{UNET}label_emb."
_VAE = "first_stage_model."

_FOREIGN = (("joint_blocks.", "Stable Diffusion 3"), ("double_blocks.", "a Flux model"))
_SMALL = (
    ("lora", "a LoRA"),
    ("hada_w1", "a LoRA"),
    ("control_model.", "a ControlNet"),
    ("controlnet_", "a ControlNet"),
    ("string_to_param", "a textual inversion"),
    ("emb_params", "a textual inversion"),
    ("clip_l", "a textual inversion"),
    ("down_blocks.", "a part of a model in diffusers layout"),
)
_PARTS = (
    ("decoder.conv_in.", "a VAE"),
    ("text_model.", "a text encoder"),
)
"""What a piece of a tensor's name says of a file that is none of ours; a file may be two parts."""


_BASE_WORDS = frozenset(("512", "base", "eps", "epsilon"))
"""Words of a name by which a Stable Diffusion 2 predicts the noise itself."""


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """What a checkpoint file is. `folder` has its family's configurations; `scheduler_changes`
    are what the file says of its training; `by_name` that its name, or a file beside it, decided.
    """

    family: Family
    folder: Path
    scheduler_changes: dict[str, Any] = field(default_factory=dict[str, Any])
    by_name: bool = False


def is_checkpoint(file: Path) -> bool:
    """Return whether a .safetensors file is to be listed as a model: LoRAs and the like are not,
    broken files are, so that choosing one says what is wrong with it.
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

    def told(table: tuple[tuple[str, str], ...]) -> list[str]:
        found = (what for piece, what in table if any(piece in name for name in shapes))
        return list(dict.fromkeys(found))

    if foreign := told(_FOREIGN):
        raise unsupported(file.name, foreign[0])
    if not has(UNET):
        whole = told(_SMALL)[:1] or told(_PARTS)
        alone = " alone" if len(whole) == 1 and whole[0] in dict(_PARTS).values() else ""
        what = " and ".join(whole) + alone or "no checkpoint of Stable Diffusion"
        raise ModelError(
            f"{file.name} is {what}, not a whole model. Choose a checkpoint with UNet, VAE and "
            f"text encoder; these are run: {supported()}."
        )
    first = shapes.get(f"{UNET}input_blocks.0.0.weight", (0, 4))
    if first[1] != 4:
        what = f"an inpainting or editing model (its UNet takes {first[1]} channels)"
        raise unsupported(file.name, what)
    is_xl = all(has(start) for start in _XL_TEXT)
    if not is_xl and has(FIRST_OPEN_CLIP) and has(_ADDED):
        raise unsupported(file.name, "the SDXL refiner, which finishes pictures of the base model")
    refuse_scaled(file.name, tensors)
    is_text = is_xl or any(has(start) for start in (SD1_TEXT, SD2_TEXT, FIRST_OPEN_CLIP))
    missing = ["its text encoder"] * (not is_text) + ["its VAE"] * (not has(_VAE))
    if missing:
        with_it = (
            " with its VAE" if has(_VAE) else " with its text encoder" if is_text else " alone"
        )
        raise ModelError(
            f"{file.name} lacks {' and '.join(missing)}: it is the UNet of a model"
            f"{with_it}. Look for the whole checkpoint."
        )
    return _kind(file, tensors, "sdxl" if is_xl else "sd1" if has(SD1_TEXT) else "sd2")


def _kind(file: Path, tensors: Tensors, configs: str) -> Recognised:
    """What the file's markers say of its training, and where they say nothing its name."""
    marks = read_markers(file, tensors)
    changes: dict[str, Any] = {}
    words, by_name = set(re.split(r"[^a-z0-9]+", file.stem.lower())), False
    is_v = marks.prediction_type == "v_prediction"
    if re.match(r"sd[-_]?(xl)?[-_]?turbo", file.stem.lower()) and configs != "sd1":
        configs, by_name = f"{'sdxl' if configs == 'sdxl' else 'sd'}-turbo", True
    elif configs == "sd2":
        if marks.prediction_type:
            configs = "sd2-v" if is_v else "sd2"
        else:
            # As diffusers: 2.1 at 768 pixels, unless something says otherwise.
            configs, by_name = "sd2" if words & _BASE_WORDS else "sd2-v", True
    elif is_v:
        changes["prediction_type"] = "v_prediction"
    if marks.has_zero_snr:
        changes |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    family = next(family for family in FAMILIES.values() if family.configs == configs)
    return Recognised(
        family=family,
        folder=CONFIGS / configs,
        scheduler_changes=changes,
        by_name=by_name or marks.is_beside,
    )
