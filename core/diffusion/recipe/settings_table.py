"""SETTINGS: one row a setting, in the order in which a person reads them."""

from __future__ import annotations

from collections.abc import Mapping

from core.diffusion.recipe.rows.guidance import GUIDANCE_ROWS, SCALE_ROWS
from core.diffusion.recipe.rows.mask import MASK_ROWS
from core.diffusion.recipe.rows.noise import NOISE_ROWS
from core.diffusion.recipe.rows.prompt import PROMPT_ROWS, SECOND_PROMPT_ROWS
from core.diffusion.recipe.rows.run import MODEL_ROWS, RUN_ROWS, SIZE_ROWS, SNAPSHOT_ROWS
from core.diffusion.recipe.rows.sampler import SAMPLER_ROWS
from core.diffusion.recipe.rows.source import SOURCE_ROWS
from core.diffusion.recipe.setting import Setting


def _table(*rows: Setting) -> dict[str, Setting]:
    return {row.name: row for row in rows}


SETTINGS: Mapping[str, Setting] = _table(
    *PROMPT_ROWS,
    *MODEL_ROWS,
    *RUN_ROWS,
    *SCALE_ROWS,
    *SIZE_ROWS,
    *GUIDANCE_ROWS,
    *SAMPLER_ROWS,
    *NOISE_ROWS,
    *SECOND_PROMPT_ROWS,
    *SNAPSHOT_ROWS,
    *SOURCE_ROWS,
    *MASK_ROWS,
)

PROMPTS = tuple(row.name for row in SETTINGS.values() if row.is_prompt)
FROM_MODEL = tuple(row.name for row in SETTINGS.values() if row.from_model)
"""The settings for which a model brings a default of its own, as `default_` and the name."""

SOURCE_FIELDS = tuple(row.name for row in SETTINGS.values() if row.group == "source")
"""The settings of image-to-image: without a source picture none of them has an effect."""


def current_name(name: str) -> str:
    """The name that a setting has now, for one it may have had before; else the name itself."""
    if name in SETTINGS:
        return name
    return next((row.name for row in SETTINGS.values() if name in row.earlier), name)


def label_of(name: str) -> str:
    """What a person reads for a setting; another name as it is."""
    return SETTINGS[name].label if name in SETTINGS else name
