"""The run itself, part by part: tokens, noise, one call of the model, the decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from core.diffusion.inside.anatomy import EmbeddedPrompt, Run
from core.diffusion.models.load import ModelInfo
from core.output.figures.tiles import channel_tiles, png
from ui.frame import safe
from ui.links import BOUND, forget_problems
from ui.settings.controls import key
from ui.steps.call import show_one_call
from ui.steps.form import PREFIX
from ui.steps.tensors import TILES, UNIT, limit_of, show_preview, show_tensor
from ui.steps.work import block, plain_lines
from ui.views import plain as escaped
from ui.views import show_warning

CALL = key("call", PREFIX)
BEYOND = f"{PREFIX}:beyond"


def show_run(run: Run, info: ModelInfo) -> None:
    """Every block, in the order of the pipeline; one slider says which call is looked at."""
    plain = plain_lines(run.settings)
    _show_prompt(run, plain)
    _show_noise(run, info, plain)
    hold_call(run)

    @st.fragment
    @safe
    def at_one_call() -> None:
        show_one_call(run, info, _call_slider(run), plain)

    at_one_call()
    _show_decode(run, plain)


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


def _show_prompt(run: Run, plain: Mapping[str, str]) -> None:
    first = run.prompts[0]
    words = (
        "The tokenizer splits the text into numbered tokens; the text encoder turns each of its "
        f"{len(first.places)} places into {first.width} numbers that depend on the other "
        "tokens."
    )
    with block("1 · The prompt becomes vectors", words, "prompt", plain):
        if not run.negatives:
            _token_tables(run.prompts, run.settings.prompt)
            st.caption("Without guidance by a second prediction, no negative prompt is encoded.")
            return
        of_prompt, of_negative = st.tabs(["Prompt", "Negative prompt"])
        with of_prompt:
            _token_tables(run.prompts, run.settings.prompt)
        with of_negative:
            _token_tables(run.negatives, run.settings.negative_prompt)


def _token_tables(texts: Sequence[EmbeddedPrompt], typed: str) -> None:
    """The tokens of each text that a prompt has in the run."""
    if len(texts) == 1:
        _token_table(texts[0])
        return
    st.caption(escaped(f"{typed} is {len(texts)} texts in this run."))
    for tab, one in zip(st.tabs([escaped(one.text) or "–" for one in texts]), texts, strict=True):
        with tab:
            _token_table(one)


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
        placeholder="–",
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
            "makes them nearly equal, and the meaning of a word is in the direction."
        )
    st.caption(said)
    if prompt.cut_off:
        st.caption(f"Cut off, and ignored: {escaped(prompt.cut_off)}")


def _show_noise(run: Run, info: ModelInfo, plain: Mapping[str, str]) -> None:
    settings = run.settings
    words = (
        f"Seed {settings.seed} draws {run.noise.size:,} numbers, mean 0 and deviation 1: the "
        "latents, an eighth of the picture's size with "
        f"{len(run.noise)} channels. Blue is below zero, red above."
    )
    if info.vae_scale_factor != 8:
        words = words.replace("an eighth", f"1/{info.vae_scale_factor}")
    with block("2 · The seed becomes noise", words, "noise", plain):
        with st.container(horizontal=True, gap="small"):
            show_tensor("Noise, by channel", run.noise, UNIT)
            show_preview("As colours", run.noise, info)
        numbers = " · ".join(
            f"channel {i}: {channel.mean():+.2f} ± {channel.std():.2f}"
            for i, channel in enumerate(run.noise)
        )
        st.caption(numbers)
        if settings.variation_strength > 0:
            st.caption("With the variation of the noise that the settings ask for.")


def _show_decode(run: Run, plain: Mapping[str, str]) -> None:
    words = (
        "The latents are scaled back to the VAE's own range, and its decoder turns them into "
        f"pixels, {run.image.width // run.latents.shape[-1]} times as large in each direction."
    )
    with block("6 · The decoder makes the picture", words, "decode", plain):
        last = run.latents[-1]
        with st.container(horizontal=True, gap="medium"):
            with st.container(width="content"):
                st.caption("Last latents, by channel")
                st.image(channel_tiles(last, max(UNIT, limit_of(last)), TILES), output_format="PNG")
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
