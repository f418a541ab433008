"""One call of the model, taken apart: what goes in and out, guidance, and the scheduler's step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import streamlit as st

from core.diffusion.inside.anatomy import Call, Run
from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.frames import to_vp
from core.output.figures.arrow import arrow, arrow_figure
from core.output.figures.formula import WRITTEN_OUT, reached_sigma, step_formula
from core.output.figures.guidance_parts import BOTH, CHOICES, split_guidance
from ui.links import BOUND
from ui.settings.controls import key
from ui.steps.form import PREFIX
from ui.steps.tensors import UNIT, show_preview, show_tensor, show_x0
from ui.steps.work import block
from ui.views import plain

_GIVES = {"epsilon": "noise", "v_prediction": "velocity", "sample": "x0"}


def show_one_call(run: Run, info: ModelInfo, call: int, lines: Mapping[str, str]) -> None:
    """The three blocks of call `call`, counted from 0, with their lines on plain diffusers."""
    _show_call(run, call, lines)
    _show_guidance(run, info, call, lines)
    _show_step(run, info, call, lines)


def _show_call(run: Run, call: int, lines: Mapping[str, str]) -> None:
    sigma = run.sigmas[call]
    words = (
        "The UNet gets the noisy latents, the timestep and the prompt's embeddings, and predicts "
        "which part is noise. With guidance it makes two predictions in one call: without the "
        "prompt and with it."
    )
    with block("3 · One call of the UNet", words, "call", lines):
        with st.container(horizontal=True, gap="medium"):
            st.metric("Timestep", f"{run.timesteps[call]:g}", width="content")
            st.metric("Sigma", f"{sigma:.3g}", width="content")
            st.metric("Log-SNR", f"{-2 * math.log(sigma):.2f}", width="content")
            st.metric("Input's deviation", f"{run.x_vp[call].std():.3f}", width="content")
        rows = 1 if run.pred_uncond is None else 2
        shape = "(" + ", ".join(str(n) for n in (rows, *run.x_vp.shape[1:])) + ")"
        st.code(
            f"takes  latents     {shape}\n"
            f"       timestep    {run.timesteps[call]:g}\n"
            f"       embeddings  ({rows}, {len(run.prompt.places)}, {run.prompt.width})\n"
            f"gives  {_GIVES.get(run.prediction_type, 'prediction'):<10}  {shape}",
            language=None,
        )
        seen = look_at(run, call)
        with st.container(horizontal=True, gap="small"):
            show_tensor("Input (unit variance)", run.x_vp[call], UNIT)
            if seen.eps_uncond is not None:
                show_tensor("eps_u, without the prompt", seen.eps_uncond, UNIT)
            show_tensor("eps_c, with the prompt", seen.eps_cond, UNIT)
            if seen.eps_uncond is not None:
                gap = seen.eps_cond - seen.eps_uncond
                limit = float(np.abs(gap).max())
                show_tensor(f"eps_c − eps_u, colours to ±{limit:.2g}", gap, limit)
                show_tensor("Guided eps", seen.eps_guided, UNIT)
        if run.prediction_type != "epsilon":
            st.caption(
                f"This model predicts {plain(run.prediction_type)}; its predictions are shown as "
                "the noise that they imply."
            )


def _show_guidance(run: Run, info: ModelInfo, call: int, lines: Mapping[str, str]) -> None:
    words = (
        "Guidance goes from eps_u through eps_c and on in the same direction; the scale says how "
        "far. In the predicted picture the difference has a part along the conditional x0, which "
        "makes it larger and more saturated, and a part across it, which changes what it shows "
        "(Sadat et al. 2024)."
    )
    with block("4 · Guidance is a vector", words, "guidance", lines):
        if run.pred_uncond is None:
            why = (
                "This model takes the guidance scale as an input"
                if run.settings.uses_guidance
                else ("Guidance is 1 or less")
            )
            st.info(
                f"{why}, so the UNet made no prediction without the prompt: there is no eps_u to "
                "move away from.",
                icon=":material/arrow_outward:",
            )
            return
        own = run.settings.guidance_scale
        top = max(20.0, math.ceil(2 * own))
        scale = st.slider(
            "Guidance scale, for this call",
            0.0,
            top,
            float(own),
            0.5,
            key=key("scale", PREFIX),
            help="Computed at once from the two stored predictions: the model does not run again.",
            **BOUND,
        )
        chosen = look_at(run, call, float(scale))
        kept = _choose_parts()
        figure, picture = st.columns([0.6, 0.4], gap="medium")
        if chosen.eps_uncond is not None:
            found = arrow(chosen.eps_uncond, chosen.eps_cond, chosen.eps_guided)
            with figure:
                st.plotly_chart(
                    arrow_figure(found, float(scale)),
                    width="stretch",
                    key="steps:arrow",
                    config={"displayModeBar": False},
                )
                st.caption(
                    f"eps_c − eps_u: {abs(found.parallel):.3f} along eps_c, {found.orthogonal:.3f} "
                    "across it (RMS). The dotted circle is as long as eps_c: outside it the "
                    "prediction is larger."
                )
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
        f"RMS {_rms(x0):.3f}; without guidance {_rms(parts.cond):.3f}, with both parts "
        f"{_rms(parts.guided(scale)):.3f}."
    )


def _show_step(run: Run, info: ModelInfo, call: int, lines: Mapping[str, str]) -> None:
    name = run.settings.scheduler
    words = (
        f"{name} takes the latents from noise level {run.sigmas[call]:.3g} to "
        f"{reached_sigma(run, call):.3g}. " + SCHEDULERS[name].note
    )
    with block("5 · The scheduler takes a step", words, "step", lines):
        formula = step_formula(run, call)
        if formula.result is not None:
            for line in formula.general:
                st.latex(line)
            with st.container(horizontal=True, gap="medium", horizontal_alignment="center"):
                for name, value in formula.numbers:
                    st.latex(f"{name} = {value:.4g}", width="content")
            channel, row, column = formula.place
            st.caption(f"Filled in for the entry in channel {channel}, row {row}, column {column}:")
            for line in formula.filled:
                st.latex(line)
            real = run.latents[call + 1]
            worst = float(np.abs(formula.result - real).max())
            st.caption(
                f"The scheduler's own step gave {real[formula.place]:.4g} there. Over all "
                f"{real.size:,} entries the formula and the scheduler differ by {worst:.1e} at "
                f"most. {formula.source}."
            )
        else:
            st.caption(
                f"{name} is not written out here ({', '.join(WRITTEN_OUT)} are): before and after "
                "its step."
            )
        _before_and_after(run, call)
        with st.container(horizontal=True, gap="small"):
            show_preview("Before the step", run.x_vp[call], info)
            show_x0(run, call, info)
            show_preview("After the step", after_step(run, call), info)


def _before_and_after(run: Run, call: int) -> None:
    before, after = run.latents[call], run.latents[call + 1]

    st.dataframe(
        pd.DataFrame(
            {
                "": ["Before", "After"],
                "Sigma": [run.sigmas[call], reached_sigma(run, call)],
                "RMS as the scheduler keeps it": [_rms(before), _rms(after)],
                "RMS at unit variance": [_rms(run.x_vp[call]), _rms(after_step(run, call))],
            }
        ),
        hide_index=True,
        width="stretch",
        placeholder="–",
        column_config={
            name: st.column_config.NumberColumn(format="%.4f")
            for name in (
                "Sigma",
                "RMS as the scheduler keeps it",
                "RMS at unit variance",
            )
        },
    )
    st.caption(f"The step changes them by {_rms(after - before):.4f} (RMS, as they are kept).")


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


def after_step(run: Run, call: int) -> np.ndarray:
    """The latents after a step in variance-preserving coordinates, (C, h, w)."""
    return to_vp(run.latents[call + 1], run.sigmas[call + 1], run.settings.scheduler)


def look_at(run: Run, call: int, scale: float | None = None) -> Call:
    """`unrolled.look`, imported when a run is there: torch is loaded by then."""
    from core.diffusion.inside.unrolled import look

    return look(run, call, scale)
