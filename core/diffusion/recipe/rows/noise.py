"""Rows of SETTINGS: how the seed's noise varies."""

from __future__ import annotations

from collections.abc import Callable

from core.diffusion.recipe.limits import MAX_CHANNEL, MAX_SEED
from core.diffusion.recipe.noise_methods import METHODS
from core.diffusion.recipe.setting import Setting, Settings, Swept, WebUiText


def _is_varied(settings: Settings) -> bool:
    return settings.variation_strength != 0


def _is_used(name: str) -> Callable[[Settings], bool]:
    """Return whether the method that varies the noise here reads a setting."""

    def matters(settings: Settings) -> bool:
        method = METHODS.get(settings.variation_method)
        return _is_varied(settings) and method is not None and method.uses == name

    return matters


def _method_label(name: str) -> str:
    return METHODS[name].label if name in METHODS else name


NOISE_ROWS = (
    Setting(
        name="variation_seed",
        default=0,
        label="Variation seed",
        help="The seed whose noise the variation strength moves towards.",
        group="noise",
        bounds=(0, MAX_SEED),
        step=1,
        matters=_is_varied,
        web_ui=WebUiText(keys=("Variation seed",), read=int),
        swept=(Swept(examples="1-4"),),
    ),
    Setting(
        name="variation_strength",
        default=0.0,
        label="Variation strength",
        help="0 is the seed's own noise, 1 is the variation seed's.",
        group="noise",
        bounds=(0, 1),
        step=0.05,
        matters=_is_varied,
        web_ui=WebUiText(keys=("Variation seed strength",), read=float),
        swept=(Swept(examples="0-1 [5]"),),
    ),
    Setting(
        name="variation_method",
        default="slerp",
        label="Variation method",
        help="How the two noises are mixed; the Variations page shows what each method does.",
        group="noise",
        choices=tuple(METHODS),
        matters=_is_varied,
        tell=_method_label,
        link_choices=tuple(method.label for method in METHODS.values()),
        web_ui=WebUiText(keys=("Variation method",), read=str),
        swept=(
            Swept(
                examples="slerp, blend, add",
                note="How the noise moves towards the variation seed's, at the variation strength.",
            ),
        ),
    ),
    Setting(
        name="variation_region",
        default="",
        label="Variation region",
        help="Left, top, right, bottom in pixels, such as 32,32,96,96. Slerp in a region reads it.",
        group="noise",
        matters=_is_used("variation_region"),
        web_ui=WebUiText(keys=("Variation region",), read=str),
    ),
    Setting(
        name="variation_channel",
        default=0,
        label="Variation channel",
        help="Slerp in one channel reads it; the first is 0.",
        group="noise",
        bounds=(0, MAX_CHANNEL),
        step=1,
        matters=_is_used("variation_channel"),
        web_ui=WebUiText(keys=("Variation channel",), read=int),
    ),
    Setting(
        name="variation_chain",
        default="",
        label="Earlier variations",
        help="What was done to the noise before, one after another: method:seed:strength, such as "
        '"slerp:7:0.2 rotate:9:0.1". The Variations page writes it.',
        group="noise",
        matters=lambda settings: bool(settings.variation_chain),
        web_ui=WebUiText(keys=("Earlier variations",), read=str),
    ),
)
