"""What a single file says of its training: tensors that are marks, its header, a YAML beside it.

The marks are ComfyUI's (tensors named v_pred, ztsnr, edm_...; modelspec in the header), the header
is ModelSpec's (github.com/Stability-AI/ModelSpec), the YAML is the original code's configuration,
as AUTOMATIC1111's web UI reads it. Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.diffusion.models.errors import ModelError
from core.diffusion.models.families import unsupported
from core.diffusion.models.files.weights import Tensors

_OTHER_TRAINING: tuple[tuple[str, str], ...] = (
    ("edm_vpred.", "trained in EDM's preconditioning with v-prediction (CosXL)"),
    ("edm_mean", "trained in EDM's preconditioning (Playground 2.5)"),
    ("edm_std", "trained in EDM's preconditioning (Playground 2.5)"),
)
"""Beginnings of tensors' names that stand for a training which no row of FAMILIES means."""

_PREDICTIONS: Mapping[str, str] = {
    "": "",
    "epsilon": "epsilon",
    "eps": "epsilon",
    "v": "v_prediction",
    "v_prediction": "v_prediction",
    "v-prediction": "v_prediction",
    "v_pred": "v_prediction",
}
_ARCHITECTURES: Mapping[str, str] = {
    "stable-diffusion-v2-512": "epsilon",
    "stable-diffusion-v2-768-v": "v_prediction",
}


@dataclass(frozen=True, kw_only=True)
class Markers:
    """What is said: diffusers' `prediction_type`, "" where nothing is. `is_beside` that it is said
    by a file beside the checkpoint, so that the same bytes elsewhere are another model.
    """

    prediction_type: str = ""
    has_zero_snr: bool = False
    is_beside: bool = False


def yaml_beside(file: Path) -> Path:
    """Name the configuration that may lie beside a checkpoint: NAME.yaml."""
    return file.with_suffix(".yaml")


def read_markers(file: Path, tensors: Tensors) -> Markers:
    """Read a checkpoint's marks: tensors before the header before the YAML beside it.

    Raises ModelError, by name, for a training that no family here means.
    """
    for start, what in _OTHER_TRAINING:
        if any(name.startswith(start) for name in tensors.shapes):
            raise unsupported(file.name, what)
    has_zero_snr = "ztsnr" in tensors.shapes
    if "v_pred" in tensors.shapes:
        return Markers(prediction_type="v_prediction", has_zero_snr=has_zero_snr)
    architecture = tensors.metadata.get("modelspec.architecture", "").lower()
    if "edm" in re.split(r"[^a-z0-9]+", architecture):
        raise unsupported(file.name, f"trained in EDM's preconditioning ({architecture})")
    for key in ("modelspec.prediction_type", "modelspec.predict_key"):
        said = tensors.metadata.get(key, "").strip().lower()
        if said not in _PREDICTIONS:
            raise unsupported(file.name, f"trained to predict {said!r} (its header's {key})")
        if found := _PREDICTIONS[said]:
            return Markers(prediction_type=found, has_zero_snr=has_zero_snr)
    if found := _ARCHITECTURES.get(architecture.split("/")[0], ""):
        return Markers(prediction_type=found, has_zero_snr=has_zero_snr)
    found = _parameterization(file)
    return Markers(prediction_type=found, has_zero_snr=has_zero_snr, is_beside=bool(found))


def _parameterization(file: Path) -> str:
    """The YAML's `parameterization`: the original code's word for what is predicted."""
    beside = yaml_beside(file)
    try:
        text = beside.read_text(encoding="utf-8") if beside.is_file() else ""
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{beside.name} beside {file.name} cannot be read: it says how the model was trained. "
            "Copy it again, or move it away."
        ) from error
    match = re.search(r"^\s*parameterization:\s*[\"']?([\w-]*)", text, re.MULTILINE)
    said = match[1].lower() if match else ""
    if said not in _PREDICTIONS:
        raise unsupported(file.name, f"trained to predict {said!r} (says {beside.name} beside it)")
    return _PREDICTIONS[said]
