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


def as_loaded(config: Mapping[str, Any], pipeline: str) -> tuple[dict[str, Any], bool]:
    """Mend a scheduler_config.json as `pipeline`'s constructor does; say whether anything was.

    A key that is left out stays so: what the constructor puts there is taken for a default of the
    scheduler's class, which `from_config` does not hand on to another scheduler.
    """
    if pipeline not in MENDING:
        return dict(config), False
    mended = {key: right for key, right in OUTDATED.items() if config.get(key, right) != right}
    return {**config, **mended}, bool(mended)
