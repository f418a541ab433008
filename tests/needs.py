"""What a setting needs beside it to have an effect, for tests that walk all settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.diffusion.recipe.guidance.methods import METHODS
from core.diffusion.recipe.settings_table import SETTINGS

DIGEST = "5e" * 32

NEEDS: Mapping[str, Mapping[str, Any]] = {
    "prompt_2": {"prompt_blend": 0.5},
    "variation_seed": {"variation_strength": 0.5},
    "variation_method": {"variation_strength": 0.5},
    "variation_region": {"variation_strength": 0.5, "variation_method": "region"},
    "variation_channel": {"variation_strength": 0.5, "variation_method": "channel"},
    "emphasis": {"prompt": "a (red:1.3) apple"},
    "eta": {"scheduler": "DDIM"},
    "s_churn": {"scheduler": "Euler"},
    "guidance_below_1": {"guidance_scale": 0.5},
    **{
        name: {"guidance_method": method.name}
        for method in METHODS.values()
        for name in method.settings
    },
    **{name: {"init_image": DIGEST} for name, row in SETTINGS.items() if row.group == "source"},
    **{
        name: {"init_image": DIGEST, "mask_image": DIGEST}
        for name in ("mask_grow", "mask_blur", "mask_mode", "masked_only")
    },
    "masked_padding": {"init_image": DIGEST, "mask_image": DIGEST, "masked_only": True},
}
