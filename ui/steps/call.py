"""One call of the model, taken apart: what goes in and out, guidance, and the scheduler's step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import streamlit as st

from core.diffusion.inside.anatomy import Run
from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.frames import to_vp
from core.output.figures.formula import WRITTEN_OUT, reached_sigma, step_formula
from ui.steps.guidance import look_at, rms, show_guidance
from ui.steps.tensors import UNIT, show_preview, show_tensor, show_x0
from ui.steps.work import block
from ui.views import plain

_GIVES = {"epsilon": "noise", "v_prediction": "velocity", "sample": "x0"}


def show_one_call(run: Run, info: ModelInfo, call: int, lines: Mapping[str, str]) -> None:
    """The three blocks of call `call`, counted from 0, with their lines on plain diffusers."""
    _show_call(run, call, lines)
    show_guidance(run, info, call, lines)
    _show_step(run, info, call, lines)


def _show_call(run: Run, call: int, lines: Mapping[str, str]) -> None:
    sigma = run.sigmas[call]
    words = (
        "The UNet gets the noisy latents, the timestep and the prompt's embeddings, and predicts "
        "which part is noise. With guidance it makes two predictions in one call: without the "
        "prompt and with it. PAG adds a third."
    )
    with block("3 · One call of the UNet", words, "call", lines):
        with st.container(horizontal=True, gap="medium"):
            st.metric("Timestep", f"{run.timesteps[call]:g}", width="content")
            st.metric("Sigma", f"{sigma:.3g}", width="content")
            st.metric("Log-SNR", f"{-2 * math.log(sigma):.2f}", width="content")
            st.metric("Input's deviation", f"{run.x_vp[call].std():.3f}", width="content")
        rows = run.rows[call]
        first = run.prompts[0]
        shape = "(" + ", ".join(str(n) for n in (rows, *run.x_vp.shape[1:])) + ")"
        st.code(
            f"takes  latents     {shape}\n"
            f"       timestep    {run.timesteps[call]:g}\n"
            f"       embeddings  ({rows}, {len(first.places)}, {first.width})\n"
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
            if run.pred_perturbed is not None and run.guided[call]:
                show_tensor("p, with perturbed attention", run.pred_perturbed[call], UNIT)
            if run.guided[call]:
                show_tensor("Guided eps", seen.eps_guided, UNIT)
        if run.prediction_type != "epsilon":
            st.caption(
                f"This model predicts {plain(run.prediction_type)}; its predictions are shown as "
                "the noise that they imply."
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
                "RMS as the scheduler keeps it": [rms(before), rms(after)],
                "RMS at unit variance": [rms(run.x_vp[call]), rms(after_step(run, call))],
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
    st.caption(f"The step changes them by {rms(after - before):.4f} (RMS, as they are kept).")


def after_step(run: Run, call: int) -> np.ndarray:
    """The latents after a step in variance-preserving coordinates, (C, h, w)."""
    return to_vp(run.latents[call + 1], run.sigmas[call + 1], run.settings.scheduler)
