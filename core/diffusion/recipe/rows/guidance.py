"""Rows of SETTINGS: how far, by which method and when guidance acts."""

from __future__ import annotations

from collections.abc import Callable

from core.diffusion.recipe.guidance.methods import (
    CFG,
    CFG_PP,
    METHODS,
    PAG_LAYERS,
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
        help="How strongly the prompt acts. At 1 and below there is no guidance, but by CFG++, or "
        "where scales below 1 are run.",
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
        help="Takes the guided prediction back towards the standard deviation of the one with the "
        "prompt (Lin et al. 2023, sec. 3.4). 0 is off, 0.7 is usual.",
        group="guidance",
        bounds=(0, 1),
        step=0.05,
        matters=lambda settings: is_guided(settings) and settings.guidance_rescale != 0,
        web_ui=WebUiText(keys=("CFG Rescale",), read=float),
        swept=(Swept(examples="0-1 [5]", step=0.1),),
    ),
)


def _own(
    name: str,
    default: float | str,
    label: str,
    help: str,
    *,
    examples: str,
    bounds: tuple[float, float] | None = None,
    step: float | None = None,
    choices: tuple[str, ...] = (),
    acts: Callable[[Settings], bool] = lambda settings: True,
) -> Setting:
    """A setting of the method that names it in METHODS: it matters where that one guides."""
    of = next(method.name for method in METHODS.values() if name in method.settings)
    return Setting(
        name=name,
        default=default,
        label=label,
        help=help,
        group="guidance",
        bounds=bounds,
        step=step,
        choices=choices,
        matters=lambda settings: (
            acting_method(settings) == of and is_guided(settings) and acts(settings)
        ),
        is_relative=True,
        web_ui=WebUiText(keys=(label,), read=type(default)),
        swept=(Swept(examples=examples),),
        since=SINCE,
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
    _own(
        "apg_eta",
        0.0,
        "APG eta",
        "How much is kept of the part of guidance along the prediction with the prompt (Sadat et "
        "al. 2024): 1 is all of it.",
        bounds=(0, 1),
        step=0.1,
        examples="0, 0.5, 1",
    ),
    _own(
        "apg_norm_threshold",
        15.0,
        "APG norm threshold",
        "The difference of the two predictions is made no longer than this: 15 in diffusers. Step "
        "by step shows how long it is. 0 is off.",
        bounds=(0, 1000),
        step=1.0,
        examples="2.5, 5, 15",
    ),
    _own(
        "apg_momentum",
        -0.5,
        "APG momentum",
        "How much of the steps before is added to the difference of the two predictions; below 0 "
        "it is subtracted (Sadat et al. 2024).",
        bounds=(-1, 1),
        step=0.1,
        examples="-0.75, -0.5, 0",
    ),
    _own(
        "zero_init_steps",
        0,
        "Zero-init steps",
        "In so many first calls CFG-Zero* predicts nothing (Fan et al. 2025). Made for flow "
        "matching, with 1.",
        bounds=(0, MAX_STEPS),
        step=1,
        examples="0, 1, 2",
        acts=lambda settings: settings.zero_init_steps > 0,
    ),
    _own(
        "pag_scale",
        3.0,
        "PAG scale",
        "How far the picture is pushed away from the prediction with perturbed attention (Ahn et "
        "al. 2024). It also acts without a prompt. 0 is off.",
        bounds=(0, MAX_GUIDANCE),
        step=0.5,
        examples="0, 1, 3, 5",
    ),
    _own(
        "pag_layers",
        PAG_LAYERS[0],
        "PAG layers",
        "Whose self-attention is perturbed: the UNet's middle, as in the paper, its way down or "
        "its way up.",
        choices=PAG_LAYERS,
        examples=", ".join(PAG_LAYERS),
    ),
)
