"""A model's scheduler configuration as its pipeline has it once it is loaded. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MENDING = frozenset(
    (
        "StableDiffusionPipeline",
        "StableDiffusionImg2ImgPipeline",
        "StableDiffusionInpaintPipeline",
        "StableDiffusionPipelineSafe",
    )
)
"""The pipelines whose constructor mends outdated scheduler configurations."""

OUTDATED: Mapping[str, Any] = {"steps_offset": 1, "clip_sample": False}
"""What a configuration of Stable Diffusion's first weeks says wrong, and what is right.

Source: diffusers' StableDiffusionPipeline.__init__.
"""

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "num_train_timesteps": int,
    "beta_start": (int, float),
    "beta_end": (int, float),
    "beta_schedule": str,
    "prediction_type": str,
    "timestep_spacing": str,
    "steps_offset": int,
    "trained_betas": list,
    "rescale_betas_zero_snr": bool,
    "set_alpha_to_one": bool,
    "clip_sample": bool,
}
"""What the values of a configuration are that every scheduler here takes over, or null."""

MOST_TIMESTEPS = 100_000


def wrong_value(config: Mapping[str, Any]) -> str:
    """What in a scheduler_config.json no scheduler can be made from, "" if nothing."""
    for key, kind in _KINDS.items():
        value = config.get(key)
        is_kind = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if value is not None and not is_kind:
            return f"scheduler's {key} is {str(value)[:60]}"
        if isinstance(value, int | float) and not abs(value) <= MOST_TIMESTEPS:
            return f"scheduler's {key} is {str(value)[:60]}"
    steps = config.get("num_train_timesteps")
    return f"scheduler's num_train_timesteps is {steps}" if steps is not None and steps < 1 else ""


def as_loaded(config: Mapping[str, Any], pipeline: str) -> tuple[dict[str, Any], bool]:
    """Mend a scheduler_config.json as `pipeline`'s constructor does; say whether anything was.

    A key that is left out stays so: what the constructor puts there is taken for a default of the
    scheduler's class, which `from_config` does not hand on to another scheduler.
    """
    if pipeline not in MENDING:
        return dict(config), False
    mended = {key: right for key, right in OUTDATED.items() if config.get(key, right) != right}
    return {**config, **mended}, bool(mended)
