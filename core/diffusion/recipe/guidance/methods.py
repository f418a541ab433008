"""METHODS: the ways to guide, one row a way, and when guidance acts. Imports no torch.

The arithmetic is in `core.diffusion.sampling.guidance`, by the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from core.diffusion.recipe.prompt.texts import joins, parts_of

Row = Literal["uncond", "cond", "perturbed"]
"""A prediction of the UNet: with the negative prompt, with the prompt, and with the prompt while
each place of the picture attends to itself alone."""

ROW_ORDER: tuple[Row, ...] = ("uncond", "cond", "perturbed")
"""As diffusers' pipelines put them together."""


@dataclass(frozen=True, kw_only=True)
class GuidanceMethod:
    """A way to guide, by `function` of `core.diffusion.sampling.guidance`.

    `note` says in a sentence what it does, `formula` is the same in LaTeX (g: the guidance scale, u
    and c: the predictions without and with the prompt, d = c - u), and `settings` are its own.
    `schedulers` are those it is defined for, all where empty.
    """

    name: str
    function: str
    note: str
    formula: str
    source: str
    settings: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()


PAG_LAYERS = ("mid", "down", "up")
"""Blocks of the UNet whose self-attention PAG perturbs, by diffusers' `pag_applied_layers`."""

CFG, APG, ZERO_STAR, CFG_PP, PAG = "CFG", "APG", "CFG-Zero*", "CFG++", "PAG"
METHODS: Mapping[str, GuidanceMethod] = {
    row.name: row
    for row in (
        GuidanceMethod(
            name=CFG,
            function="cfg",
            note="From the prediction without the prompt through the one with it, and on.",
            formula="u + g\\,d",
            source="Ho and Salimans 2022",
        ),
        GuidanceMethod(
            name=APG,
            function="apg",
            note="The difference is averaged over the steps with a negative momentum, no longer "
            "than a threshold, and its part along the prediction with the prompt is weakened.",
            formula="u + g\\,(d_\\perp + \\eta\\,d_\\parallel)",
            source="Sadat et al. 2024",
            settings=("apg_eta", "apg_norm_threshold", "apg_momentum"),
        ),
        GuidanceMethod(
            name=ZERO_STAR,
            function="zero_star",
            note="The prediction without the prompt is scaled to come closest to the one with it.",
            formula="s\\,u + g\\,(c - s\\,u),\\quad s = \\frac{c \\cdot u}{|u|^2}",
            source="Fan et al. 2025",
            settings=("zero_init_steps",),
        ),
        GuidanceMethod(
            name=CFG_PP,
            function="cfg",
            note="x0 is guided, and the noise that is put back is the one without the prompt. Made "
            "for scales from 0 to 1.",
            formula="x' = \\sqrt{\\bar\\alpha'}\\,x_0(u + g\\,d) + \\sqrt{1 - \\bar\\alpha'}\\,u",
            source="Chung et al. 2024, algorithm 2",
            schedulers=("DDIM", "Euler"),
        ),
        GuidanceMethod(
            name=PAG,
            function="pag",
            note="Also away from a prediction in which the self-attention of some of the UNet's "
            "layers is the identity.",
            formula="u + g\\,d + s\\,(c - p)",
            source="Ahn et al. 2024",
            settings=("pag_scale", "pag_layers"),
        ),
    )
}


class GuidanceSettings(Protocol):
    """The settings that say how a run is guided; `GenerationSettings` are such."""

    @property
    def prompt(self) -> str: ...
    @property
    def scheduler(self) -> str: ...
    @property
    def guidance_scale(self) -> float: ...
    @property
    def guidance_rescale(self) -> float: ...
    @property
    def guidance_below_1(self) -> bool: ...
    @property
    def guidance_method(self) -> str: ...
    @property
    def guidance_start(self) -> float: ...
    @property
    def guidance_end(self) -> float: ...
    @property
    def apg_eta(self) -> float: ...
    @property
    def apg_norm_threshold(self) -> float: ...
    @property
    def apg_momentum(self) -> float: ...
    @property
    def zero_init_steps(self) -> int: ...
    @property
    def pag_scale(self) -> float: ...
    @property
    def pag_layers(self) -> str: ...
    @property
    def eta(self) -> float: ...
    @property
    def s_churn(self) -> float: ...


def acting_method(settings: GuidanceSettings) -> str:
    """The method by which the settings guide: PAG of scale 0 is CFG."""
    is_nothing = settings.guidance_method == PAG and settings.pag_scale == 0
    return CFG if is_nothing else settings.guidance_method


def uses_negative(settings: GuidanceSettings) -> bool:
    """Return whether there is a prediction with the negative prompt: where the scale is above 1
    (diffusers' rule), or is run as it is.
    """
    if not settings.guidance_start < settings.guidance_end:
        return False
    if settings.guidance_method == CFG_PP:
        return True  # at 1 the noise that is put back is still the negative prompt's
    scale = settings.guidance_scale
    return scale > 1 or (settings.guidance_below_1 and scale != 1)


def uses_perturbed(settings: GuidanceSettings) -> bool:
    """Return whether there is a prediction with perturbed attention."""
    return acting_method(settings) == PAG and settings.guidance_start < settings.guidance_end


def rows_of_call(settings: GuidanceSettings) -> tuple[Row, ...]:
    """The UNet's predictions in a call in which guidance acts: with AND one a part."""
    first: tuple[Row, ...] = ("uncond",) if uses_negative(settings) else ()
    last: tuple[Row, ...] = ("perturbed",) if uses_perturbed(settings) else ()
    if joins(settings.prompt):
        return rows_at_rest(settings)
    return (*first, "cond", *last)


def rows_at_rest(settings: GuidanceSettings) -> tuple[Row, ...]:
    """The UNet's predictions in a call without guidance: with AND, which adds up the differences
    from the one without a prompt, that one too.
    """
    if not joins(settings.prompt):
        return ("cond",)
    parts: tuple[Row, ...] = ("cond",) * len(parts_of(settings.prompt))
    return ("uncond", *parts)


def is_guided(settings: GuidanceSettings) -> bool:
    """Return whether guidance acts in any call."""
    return uses_negative(settings) or uses_perturbed(settings)


def guided_calls(settings: GuidanceSettings, calls: int) -> range:
    """The calls of a run of `calls` in which guidance acts, from 0: as diffusers' guiders count,
    from int(start * calls) up to int(end * calls), which is not one of them.
    """
    if not is_guided(settings):
        return range(0)
    return range(int(settings.guidance_start * calls), int(settings.guidance_end * calls))


def is_plain(settings: GuidanceSettings) -> bool:
    """Return whether diffusers' pipelines have this guidance: by the plain rule or none, at every
    step.
    """
    return not is_guided(settings) or (
        acting_method(settings) == CFG
        and (settings.guidance_start, settings.guidance_end) == (0, 1)
        and settings.guidance_scale > 1
    )


def unfit_method(settings: GuidanceSettings) -> str:
    """Why the method does not go with the sampler; "" where it does."""
    method = METHODS.get(settings.guidance_method)
    if method is None:
        return ""
    if method.name == PAG and joins(settings.prompt):
        return "PAG is not available with AND in the prompt: use another method"
    if not method.schedulers:
        return ""
    if settings.scheduler not in method.schedulers:
        return (
            f"{method.name} is not available with {settings.scheduler}, but with "
            f"{' and '.join(method.schedulers)}"
        )
    if settings.eta > 0 or settings.s_churn:
        return f"{method.name} needs a sampler without fresh noise: set eta and churn to 0"
    return ""


def unfit_end(settings: GuidanceSettings) -> str:
    """Why the interval is none; "" where it is one."""
    if settings.guidance_end >= settings.guidance_start:
        return ""
    return f"{settings.guidance_end:g} lies before the start, {settings.guidance_start:g}"
