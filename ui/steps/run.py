"""The run itself, part by part: tokens, noise, one UNet call, guidance, the step, the decoder."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from core.diffusion.inside.anatomy import Call, EmbeddedPrompt, Run
from core.diffusion.models.load import ModelInfo
from core.diffusion.models.preview import preview_rgb
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.frames import to_vp
from core.output.figures.arrow import arrow, arrow_figure
from core.output.figures.latent_pictures import enlarged_png
from core.output.figures.tiles import channel_tiles, png
from core.output.programs.formula import WRITTEN_OUT, reached_sigma, step_formula
from ui.frame import safe
from ui.links import forget_problems
from ui.settings.controls import BOUND, key
from ui.steps.form import PREFIX
from ui.steps.work import block
from ui.views import plain, show_warning

TILES = 136  # pixels of a tensor's picture
UNIT = 3.0  # the colours' ends for what has unit variance
CALL = key("call", PREFIX)
BEYOND = f"{PREFIX}:beyond"


def show_run(run: Run, info: ModelInfo) -> None:
    """Every block, in the order of the pipeline; one slider says which call is looked at."""
    _show_prompt(run)
    _show_noise(run, info)
    hold_call(run)

    @st.fragment
    @safe
    def at_one_call() -> None:
        call = _call_slider(run)
        _show_call(run, call)
        _show_guidance(run, info, call)
        _show_step(run, info, call)

    at_one_call()
    _show_decode(run)


def hold_call(run: Run) -> None:
    """Brings a call beyond the end, from a link or a longer run, back to the last one."""
    asked = st.session_state.get(CALL, st.query_params.get(CALL, "1"))
    number = int(asked) if str(asked).isdigit() else 1
    if number > run.calls:
        st.session_state[BEYOND] = number, run.calls
        st.session_state[CALL] = run.calls
    if said := st.session_state.get(BEYOND):
        show_warning(
            "There is no such call",
            f"Call {said[0]} is beyond the end: this run has {said[1]}.",
            "Its last one is shown.",
        )


def _call_slider(run: Run) -> int:
    """The chosen call, counted from 0."""
    if run.calls == 1:
        st.caption("This run has one call of the UNet.")
        return 0
    number = st.slider(
        "UNet call",
        1,
        run.calls,
        min(6, run.calls),
        key=CALL,
        on_change=_forget_beyond,
        help="The three blocks below show this call. Heun and DPM2 make two calls a step.",
        **BOUND,
    )
    return int(number) - 1


def _forget_beyond() -> None:
    st.session_state.pop(BEYOND, None)
    forget_problems(PREFIX)


def _show_prompt(run: Run) -> None:
    words = (
        "The tokenizer cuts the text into pieces with numbers; the text encoder turns each of its "
        f"{len(run.prompt.places)} places into {run.prompt.width} numbers that know their "
        "neighbours."
    )
    with block("1 · The prompt becomes vectors", words, "prompt"):
        if run.negative is None:
            _token_table(run.prompt)
            st.caption("Without guidance by a second prediction, no negative prompt is encoded.")
            return
        of_prompt, of_negative = st.tabs(["Prompt", "Negative prompt"])
        with of_prompt:
            _token_table(run.prompt)
        with of_negative:
            _token_table(run.negative)


def _token_table(prompt: EmbeddedPrompt) -> None:
    shown = [place for place in prompt.places if place.kind != "padding"]
    padding = len(prompt.places) - len(shown)
    rows = [
        {
            "Place": place.position,
            "Token": place.text,
            "Id": place.id,
            "Norm": place.norm,
        }
        for place in shown
    ]
    top = max(place.norm for place in prompt.places)
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        width="stretch",
        height="content" if len(rows) <= 14 else 480,
        column_config={
            "Id": st.column_config.NumberColumn(format="%d"),
            "Norm": st.column_config.ProgressColumn(
                "Embedding's norm", format="%.3f", min_value=0.0, max_value=top
            ),
        },
    )
    lengths = [place.norm for place in prompt.places]
    spread = (max(lengths) - min(lengths)) / max(lengths)
    said = f"The other {padding} places are padding. " if padding else ""
    if spread < 0.1:
        said += (
            f"The lengths differ by {100 * spread:.1f} % at most: the encoder's last layer norm "
            "makes them alike, and what a word says is in the direction."
        )
    st.caption(said)
    if prompt.cut_off:
        st.caption(f"Cut off, and never seen: {plain(prompt.cut_off)}")


def _show_noise(run: Run, info: ModelInfo) -> None:
    settings = run.settings
    words = (
        f"Seed {settings.seed} draws {run.noise.size:,} numbers, mean 0 and deviation 1: the "
        "latents, an eighth of the picture's size with "
        f"{len(run.noise)} channels. Blue is below zero, red above."
    )
    if info.vae_scale_factor != 8:
        words = words.replace("an eighth", f"1/{info.vae_scale_factor}")
    with block("2 · The seed becomes noise", words, "noise"):
        with st.container(horizontal=True, gap="small"):
            _tensor("Noise, by channel", run.noise, UNIT)
            _preview("As colours", run.noise, info)
        numbers = " · ".join(
            f"channel {i}: {channel.mean():+.2f} ± {channel.std():.2f}"
            for i, channel in enumerate(run.noise)
        )
        st.caption(numbers)
        if settings.variation_strength > 0:
            st.caption("With the variation of the noise that the settings ask for.")


def _show_call(run: Run, call: int) -> None:
    sigma = run.sigmas[call]
    words = (
        "The UNet is shown the noisy latents, what time it is and the words, and says which part "
        "is noise. With guidance it is asked twice, in one call: without the words and with them."
    )
    with block("3 · One call of the UNet", words, "call"):
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
            _tensor("Input (unit variance)", run.x_vp[call], UNIT)
            if seen.eps_uncond is not None:
                _tensor("eps_u, without the words", seen.eps_uncond, UNIT)
            _tensor("eps_c, with the words", seen.eps_cond, UNIT)
            if seen.eps_uncond is not None:
                gap = seen.eps_cond - seen.eps_uncond
                limit = float(np.abs(gap).max())
                _tensor(f"eps_c − eps_u, colours to ±{limit:.2g}", gap, limit)
                _tensor("Guided eps", seen.eps_guided, UNIT)
        if run.prediction_type != "epsilon":
            st.caption(
                f"This model predicts {plain(run.prediction_type)}; its answers are shown as the "
                "noise that they imply."
            )


def _show_guidance(run: Run, info: ModelInfo, call: int) -> None:
    words = (
        "Guidance goes from eps_u through eps_c and on in the same direction; the scale says how "
        "far. The part along eps_c makes the picture louder, the part across it changes what it is."
    )
    with block("4 · Guidance is an arrow", words, "guidance"):
        if run.pred_uncond is None:
            why = (
                "This model is told its guidance as a number"
                if run.settings.uses_guidance
                else ("Guidance is 1 or less")
            )
            st.info(
                f"{why}, so the UNet was never asked without the words: there is no eps_u, and "
                "nothing to go away from.",
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
            help="Computed at once from the two stored predictions: the model is not asked again.",
            **BOUND,
        )
        chosen = look_at(run, call, float(scale))
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
                    f"eps_c − eps_u: {abs(found.parallel):.3f} along eps_c, "
                    f"{found.orthogonal:.3f} across it (RMS). The dotted circle is as long as "
                    "eps_c: outside it the prediction has grown."
                )
        with picture:
            _preview(f"Predicted x0 at scale {scale:g}", chosen.x0, info)
            difference = float(np.sqrt(np.square(chosen.x0 - run.x0[call]).mean()))
            if scale == own:
                st.caption("This is the run's own scale: the x0 that the run recorded.")
            else:
                _preview(f"The run's own, at {own:g}", run.x0[call], info)
                st.caption(f"They differ by {difference:.3f} (RMS of the latents).")


def _show_step(run: Run, info: ModelInfo, call: int) -> None:
    name = run.settings.scheduler
    words = (
        f"{name} takes the latents from noise level {run.sigmas[call]:.3g} to "
        f"{reached_sigma(run, call):.3g}. " + SCHEDULERS[name].note
    )
    with block("5 · The scheduler takes a step", words, "step"):
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
            _preview("Before the step", run.x_vp[call], info)
            _preview("Predicted x0", run.x0[call], info)
            _preview("After the step", after_step(run, call), info)


def _before_and_after(run: Run, call: int) -> None:
    before, after = run.latents[call], run.latents[call + 1]

    def rms(values: np.ndarray) -> float:
        return float(np.sqrt(np.square(values).mean()))

    st.dataframe(
        pd.DataFrame(
            {
                "": ["Before", "After"],
                "Sigma": [run.sigmas[call], reached_sigma(run, call)],
                "RMS as the scheduler keeps it": [rms(before), rms(after)],
                "RMS at unit variance": [rms(run.x_vp[call]), rms(after_step(run, call))],
                "Change (RMS)": [None, rms(after - before)],
            }
        ),
        hide_index=True,
        width="stretch",
        column_config={
            name: st.column_config.NumberColumn(format="%.4f")
            for name in (
                "Sigma",
                "RMS as the scheduler keeps it",
                "RMS at unit variance",
                "Change (RMS)",
            )
        },
    )


def after_step(run: Run, call: int) -> np.ndarray:
    """The latents after a step in variance-preserving coordinates, (C, h, w)."""
    return to_vp(run.latents[call + 1], run.sigmas[call + 1], run.settings.scheduler)


def _show_decode(run: Run) -> None:
    words = (
        "The latents are brought back to the VAE's own scale and its decoder paints them, "
        f"{run.image.width // run.latents.shape[-1]} times as large each way."
    )
    with block("6 · The decoder makes the picture", words, "decode"):
        last = run.latents[-1]
        with st.container(horizontal=True, gap="medium"):
            with st.container(width="content"):
                st.caption("Last latents, by channel")
                st.image(channel_tiles(last, max(UNIT, _limit(last)), TILES), output_format="PNG")
            with st.container(width="content"):
                st.caption("The picture")
                st.image(
                    png(run.image),
                    width=256,
                    output_format="PNG",
                    alt=run.settings.prompt or "A picture without a prompt",
                )
        st.code(
            f"latents  {tuple(last.shape)}  divided by {run.scaling_factor:g}\n"
            f"picture  {run.image.height} x {run.image.width}, 3 colours of 0 to 255",
            language=None,
        )


def look_at(run: Run, call: int, scale: float | None = None) -> Call:
    """`unrolled.look`, imported when a run is there: torch is loaded by then."""
    from core.diffusion.inside.unrolled import look

    return look(run, call, scale)


def _tensor(title: str, values: np.ndarray, limit: float) -> None:
    with st.container(width=TILES, gap="xsmall"):
        st.caption(title)
        st.image(channel_tiles(values, limit, TILES), output_format="PNG", alt=title)


def _preview(title: str, latents: np.ndarray, info: ModelInfo) -> None:
    with st.container(width=TILES, gap="xsmall"):
        st.caption(title)
        st.image(enlarged_png(preview_rgb(latents, info), TILES), width=TILES, alt=title)


def _limit(values: np.ndarray) -> float:
    return float(np.quantile(np.abs(values), 0.995))


_GIVES = {"epsilon": "noise", "v_prediction": "velocity", "sample": "x0"}
