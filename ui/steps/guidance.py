"""Guidance in one call of the model: its formula, its numbers, its arrow, and another scale."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import streamlit as st

from core.diffusion.inside.anatomy import Call, Run
from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.guidance.methods import (
    CFG,
    CFG_PP,
    METHODS,
    PAG,
    GuidanceMethod,
    acting_method,
)
from core.output.figures.arrow import arrow, arrow_figure
from core.output.figures.guidance_numbers import guidance_numbers
from core.output.figures.guidance_parts import BOTH, CHOICES, split_guidance
from ui.links import BOUND
from ui.settings.controls import key
from ui.steps.form import PREFIX
from ui.steps.tensors import show_preview, show_x0
from ui.steps.work import block

_IN_THE_PLANE = 1e-3
"""RMS up to which a prediction is drawn where it is."""


def show_guidance(run: Run, info: ModelInfo, call: int, lines: Mapping[str, str]) -> None:
    """The block of guidance in call `call`, counted from 0, with its lines on plain diffusers."""
    method = METHODS[acting_method(run.settings)]
    words = (
        "Guidance goes from eps_u through eps_c and on in the same direction; the scale says how "
        "far. In the predicted picture the difference has a part along the conditional x0, which "
        "makes it larger and more saturated, and a part across it, which changes what it shows "
        "(Sadat et al. 2024)."
        if method.name == CFG
        else f"{method.name}. {method.note} {method.source}."
    )
    shown = f"guidance {method.name}"
    with block("4 · Guidance is a vector", words, "guidance", lines, shown=shown):
        if why := _why_unguided(run, call, info):
            st.info(why, icon=":material/arrow_outward:")
            return
        _show_method(run, call, method)
        if run.pred_uncond is None:
            show_x0(run, call, info)
            return
        own = run.settings.guidance_scale
        top = float(max(2 if method.name == CFG_PP else 20, math.ceil(2 * own)))
        scale = st.slider(
            "Guidance scale, for this call",
            0.0,
            top,
            float(own),
            0.1 if method.name == CFG_PP else 0.5,
            key=key("scale", PREFIX),
            help="Computed at once from the stored predictions: the model does not run again.",
            **BOUND,
        )
        chosen = look_at(run, call, float(scale))
        kept = _choose_parts() if method.name == CFG else BOTH
        figure, picture = st.columns([0.6, 0.4], gap="medium")
        with figure:
            _show_arrow(chosen, float(scale))
        with picture:
            if chosen.eps_uncond is not None:
                _show_parts(run, info, call, float(scale), chosen, kept)
            if scale == own:
                show_x0(run, call, info)
            show_preview(f"Predicted x0 at scale {scale:g}", chosen.x0, info)
            difference = float(np.sqrt(np.square(chosen.x0 - run.x0[call]).mean()))
            if scale == own:
                st.caption("This is the run's own scale: the x0 that the run recorded.")
            else:
                show_preview(f"The run's own, at {own:g}", run.x0[call], info)
                st.caption(f"They differ by {difference:.3f} (RMS of the latents).")


def _why_unguided(run: Run, call: int, info: ModelInfo) -> str:
    """Why the UNet made one prediction alone in this call; "" where it made more."""
    if run.guided[call]:
        return ""
    acts = [number + 1 for number, is_guided in enumerate(run.guided) if is_guided]
    if acts:
        return (
            f"Guidance acts in calls {acts[0]} to {acts[-1]} of {run.calls} here. In this one the "
            "UNet makes one prediction, with the prompt, and that is the result."
        )
    settings = run.settings
    if info.family.guidance == "embedded":
        why = "This model takes the guidance scale as an input"
    elif (settings.guidance_start, settings.guidance_end) != (0, 1):
        share = f"{settings.guidance_start:g} to {settings.guidance_end:g}"
        why = f"No call lies in the guidance interval, {share} of the steps"
    else:
        why = "Guidance is 1 or less"
    return (
        f"{why}, so the UNet made no prediction without the prompt: there is no eps_u to move away "
        "from."
    )


def _show_method(run: Run, call: int, method: GuidanceMethod) -> None:
    """The method's formula with the numbers of this call."""
    st.latex(method.formula)
    also = ", p that with perturbed attention and s the PAG scale" if method.name == PAG else ""
    st.caption(
        "u and c are the predictions without and with the prompt, d is c − u, g the guidance scale"
        f"{also}."
    )
    said = guidance_numbers(run, call)
    if not said:
        return
    with st.container(horizontal=True, gap="medium"):
        for label, value in said:
            st.metric(label, f"{value:.3g}", width="content")


def _show_arrow(seen: Call, scale: float) -> None:
    if seen.eps_uncond is None:
        return
    found = arrow(seen.eps_uncond, seen.eps_cond, seen.eps_guided)
    st.plotly_chart(
        arrow_figure(found, scale),
        width="stretch",
        key="steps:arrow",
        config={"displayModeBar": False},
    )
    beside = (
        f" The guided prediction lies {found.beside:.3f} beside the plane that is drawn."
        if found.beside > _IN_THE_PLANE
        else ""
    )
    st.caption(
        f"eps_c − eps_u: {abs(found.parallel):.3f} along eps_c, {found.orthogonal:.3f} across it "
        "(RMS). The dotted circle is as long as eps_c: outside it the prediction is larger."
        f"{beside}"
    )


def _choose_parts() -> str:
    """Which parts of guidance are kept."""
    return st.segmented_control(
        "Guidance",
        list(CHOICES),
        default=BOTH,
        required=True,
        key=key("parts", PREFIX),
        help="Of x0_c − x0_u, the part along the conditional x0, or the one across it.",
        **BOUND,
    )


def _show_parts(run: Run, info: ModelInfo, call: int, scale: float, seen: Call, kept: str) -> None:
    """The predicted x0 with one part of guidance alone."""
    if kept == BOTH or seen.eps_uncond is None:
        return
    sigma = run.sigmas[call]
    x = run.x_vp[call] * math.sqrt(1 + sigma**2)
    parts = split_guidance(x - sigma * seen.eps_cond, x - sigma * seen.eps_uncond)
    x0 = parts.guided(scale, kept)
    show_preview(f"{kept}, at scale {scale:g}", x0, info)

    st.caption(
        f"RMS {rms(x0):.3f}; without guidance {rms(parts.cond):.3f}, with both parts "
        f"{rms(parts.guided(scale)):.3f}."
    )


def rms(values: np.ndarray) -> float:
    """The root of the mean square of all entries."""
    return float(np.sqrt(np.square(values).mean()))


def look_at(run: Run, call: int, scale: float | None = None) -> Call:
    """`unrolled.look`, imported when a run is there: torch is loaded by then."""
    from core.diffusion.inside.unrolled import look

    return look(run, call, scale)
