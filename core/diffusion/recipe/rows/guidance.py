"""Rows of SETTINGS: how far, by which method and when guidance acts."""

from __future__ import annotations

from core.diffusion.recipe.guidance.methods import (
    APG,
    CFG,
    CFG_PP,
    METHODS,
    PAG,
    PAG_LAYERS,
    ZERO_STAR,
    acting_method,
    is_guided,
    unfit_end,
    unfit_method,
)
from core.diffusion.recipe.limits import MAX_GUIDANCE, MAX_STEPS
from core.diffusion.recipe.rows.sampler import SINCE, switched, truth
from core.diffusion.recipe.setting import Setting, Settings, Swept, WebUiText

SCALE_ROWS = (
    Setting(
        name="guidance_scale",
        default=3.0,
        label="Guidance scale",
        help="How strongly the prompt acts. At 1 and below there is no guidance.",
        group="guidance",
        bounds=(0, MAX_GUIDANCE),
        step=0.5,
        # diffusers gives the same image for every scale up to 1.
        matters=lambda settings: settings.uses_guidance,
        is_told=True,
        from_model=True,
        web_ui=WebUiText(keys=("CFG scale",), read=float),
        swept=(
            Swept(
                examples="1, 3, 7, 15, 30",
                cost="one image a value; up to 1 it is off and costs half",
            ),
        ),
    ),
    Setting(
        name="guidance_rescale",
        default=0.0,
        label="Guidance rescale",
        help="Reduces the contrast that strong guidance adds. 0 is off, 0.7 is usual.",
        group="guidance",
        bounds=(0, 1),
        step=0.05,
        matters=lambda settings: is_guided(settings) and settings.guidance_rescale != 0,
        web_ui=WebUiText(keys=("CFG Rescale",), read=float),
        swept=(Swept(examples="0-1 [5]", step=0.1),),
    ),
)

GUIDANCE_ROWS = (
    Setting(
        name="guidance_method",
        default=CFG,
        label="Guidance method",
        help="How the predictions with and without the prompt are put together. "
        + " ".join(f"{row.name}: {row.note[0].lower()}{row.note[1:]}" for row in METHODS.values()),
        group="guidance",
        choices=tuple(METHODS),
        matters=lambda settings: acting_method(settings) != CFG and is_guided(settings),
        unfit=unfit_method,
        is_relative=True,
        web_ui=WebUiText(keys=("Guidance method",), read=str),
        swept=(
            Swept(
                examples="CFG, APG, CFG-Zero*, PAG",
                cost="one image a value; PAG costs half as much again",
            ),
        ),
        since=SINCE,
    ),
    Setting(
        name="guidance_start",
        default=0.0,
        label="Guidance start",
        help="The share of the steps after which guidance begins (Kynkäänniemi et al. 2024). "
        "Steps without it cost half.",
        group="guidance",
        bounds=(0, 1),
        step=0.05,
        matters=lambda settings: is_guided(settings) and settings.guidance_start > 0,
        is_relative=True,
        web_ui=WebUiText(keys=("Guidance start",), read=float),
        swept=(
            Swept(examples="0, 0.2, 0.4", cost="one image a value; steps without it cost half"),
        ),
        since=SINCE,
    ),
    Setting(
        name="guidance_end",
        default=1.0,
        label="Guidance end",
        help="The share of the steps after which guidance ends. Steps without it cost half.",
        group="guidance",
        bounds=(0, 1),
        step=0.05,
        # Where it does not lie after the start there is no guidance at all.
        matters=lambda settings: is_guided(settings) and settings.guidance_end < 1,
        unfit=unfit_end,
        is_relative=True,
        web_ui=WebUiText(keys=("Guidance end",), read=float),
        swept=(
            Swept(
                examples="0.4, 0.6, 0.8, 1", cost="one image a value; steps without it cost half"
            ),
        ),
        since=SINCE,
    ),
    Setting(
        name="guidance_below_1",
        default=False,
        label="Guidance below 1",
        help="0 then follows the negative prompt alone. Else 1 and below is no guidance, as in "
        "diffusers.",
        group="guidance",
        matters=lambda settings: (
            settings.guidance_below_1
            and settings.guidance_scale < 1
            and settings.guidance_method != CFG_PP
            and settings.guidance_start < settings.guidance_end
        ),
        web_ui=WebUiText(keys=("Guidance below 1",), write=str, read=truth),
        swept=(switched("guidance_below_1"),),
        since=SINCE,
    ),
    Setting(
        name="apg_eta",
        default=0.0,
        label="APG eta",
        help="How much is kept of the part of guidance along the prediction with the prompt, which "
        "saturates (Sadat et al. 2024): 1 is all of it.",
        group="guidance",
        bounds=(0, 1),
        step=0.1,
        matters=lambda settings: _acts(settings, APG),
        is_relative=True,
        web_ui=WebUiText(keys=("APG eta",), read=float),
        swept=(Swept(examples="0, 0.5, 1"),),
        since=SINCE,
    ),
    Setting(
        name="apg_norm_threshold",
        default=15.0,
        label="APG norm threshold",
        help="The difference of the two predictions is made no longer than this. 15 for Stable "
        "Diffusion XL (Sadat et al. 2024); small pictures need less. 0 is off.",
        group="guidance",
        bounds=(0, 1000),
        step=1.0,
        matters=lambda settings: _acts(settings, APG),
        is_relative=True,
        web_ui=WebUiText(keys=("APG norm threshold",), read=float),
        swept=(Swept(examples="2.5, 5, 15"),),
        since=SINCE,
    ),
    Setting(
        name="apg_momentum",
        default=-0.5,
        label="APG momentum",
        help="How much of the steps before is added to the difference of the two predictions; "
        "below 0 it is subtracted (Sadat et al. 2024).",
        group="guidance",
        bounds=(-1, 1),
        step=0.1,
        matters=lambda settings: _acts(settings, APG),
        is_relative=True,
        web_ui=WebUiText(keys=("APG momentum",), read=float),
        swept=(Swept(examples="-0.75, -0.5, 0"),),
        since=SINCE,
    ),
    Setting(
        name="zero_init_steps",
        default=0,
        label="Zero-init steps",
        help="In so many first calls CFG-Zero* predicts nothing (Fan et al. 2025). Made for flow "
        "matching, with 1.",
        group="guidance",
        bounds=(0, MAX_STEPS),
        step=1,
        matters=lambda settings: _acts(settings, ZERO_STAR) and settings.zero_init_steps > 0,
        is_relative=True,
        web_ui=WebUiText(keys=("Zero-init steps",), read=int),
        swept=(Swept(examples="0, 1, 2"),),
        since=SINCE,
    ),
    Setting(
        name="pag_scale",
        default=3.0,
        label="PAG scale",
        help="How far the picture is pushed away from the prediction with perturbed attention (Ahn "
        "et al. 2024). It also acts without a prompt. 0 is off.",
        group="guidance",
        bounds=(0, MAX_GUIDANCE),
        step=0.5,
        matters=lambda settings: _acts(settings, PAG) and settings.pag_scale != 0,
        is_relative=True,
        web_ui=WebUiText(keys=("PAG scale",), read=float),
        swept=(Swept(examples="0, 1, 3, 5"),),
        since=SINCE,
    ),
    Setting(
        name="pag_layers",
        default=PAG_LAYERS[0],
        label="PAG layers",
        help="Whose self-attention is perturbed: the UNet's middle, as in the paper, its way down "
        "or its way up.",
        group="guidance",
        choices=PAG_LAYERS,
        matters=lambda settings: _acts(settings, PAG) and settings.pag_scale != 0,
        is_relative=True,
        web_ui=WebUiText(keys=("PAG layers",), read=str),
        swept=(Swept(examples=", ".join(PAG_LAYERS)),),
        since=SINCE,
    ),
)


def _acts(settings: Settings, method: str) -> bool:
    return settings.guidance_method == method and is_guided(settings)
