"""The strength strip: pictures side by side, what each one starts from, and how far each goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.diffusion.models.load import describe
from core.diffusion.recipe.schedule import Start, step_range
from core.diffusion.settings import GenerationSettings
from core.exports.likeness import Likeness
from core.output.figures.genealogy_figure import distance_figure
from ui.grid.board import Board, BoardCell
from ui.grid.compare import show_compare
from ui.grid.grid import show_grid
from ui.img2img.form import LOOKS, PREFIX, Form, key
from ui.links import BOUND
from ui.runs.tasks import await_task, request_of
from ui.runtime import Runtime

if TYPE_CHECKING:
    from core.diffusion.inside.round_trip import NoisedInput


def show_strip(runtime: Runtime, form: Form, board: Board) -> None:
    """The finished strip, compared, or measured."""
    look = st.segmented_control(
        "View",
        list(LOOKS),
        default=LOOKS[0],
        required=True,
        key=key("look"),
        label_visibility="collapsed",
        **BOUND,
    )
    if look == LOOKS[1]:
        show_compare(runtime, board)
    elif look == LOOKS[2]:
        _show_distances(runtime, form, board)
    else:
        _show_pictures(runtime, form, board)


def noised_inputs(
    runtime: Runtime, form: Form, strip: Sequence[GenerationSettings]
) -> list[NoisedInput] | None:
    """What each of these settings starts from; None while the decoder looks."""
    # The prompt has no part in it yet: another one asks for nothing again.
    strip = [
        replace(one, prompt="", negative_prompt="", prompt_blend=0.0, guidance_scale=1.0)
        for one in strip
    ]
    for digest in {strip[0].init_image, strip[0].mask_image} - {""}:
        runtime.tasks.keep_source(form.read(digest))
    first = strip[0].to_dict()
    changes = [
        {name: value for name, value in one.to_dict().items() if value != first[name]}
        for one in strip
    ]
    return await_task(runtime, request_of("noised inputs", strip[0], changes=changes))


def say_start(settings: GenerationSettings, start: Start) -> None:
    """Steps and noise in a line, and in words what surprises at both ends."""
    st.caption(" · ".join(_facts(settings, start)))
    if start.num_executed_steps == 0:
        st.info(
            f"Strength {settings.strength:g} of {settings.num_inference_steps} steps rounds down "
            "to no step: the result is the source encoded and decoded by the VAE, whatever the "
            "prompt.",
            icon=":material/info:",
        )
    elif words := _about_the_end(settings, start):
        st.caption(words)


def _about_the_end(settings: GenerationSettings, start: Start) -> str:
    """What surprises of the largest strength, "" of any other."""
    if _is_noise_alone(settings, start):
        strength = f"{settings.strength:g}"
        return f"With a mask, strength {strength} starts from noise alone, as diffusers has it."
    if settings.strength == 1:
        return f"Strength 1 is not pure noise: {start.sqrt_abar:.3f} of the source is still in it."
    return ""


def _is_noise_alone(settings: GenerationSettings, start: Start) -> bool:
    """Return whether the loop leaves the source out, as it does where a masked run has every
    step.
    """
    if not settings.mask_image or start.num_executed_steps == 0:
        return False
    return step_range(settings, describe(settings.model).scheduler_config).first_step == 0


def _facts(settings: GenerationSettings, start: Start) -> list[str]:
    steps = f"{start.num_executed_steps} of {settings.num_inference_steps} steps"
    if start.num_executed_steps == 0:
        return [steps]  # no noise is added, so there is no level that it begins at
    return [
        steps,
        f"from timestep {start.timestep:.0f}",
        f"σ {start.sigma:.2f}",
        "√ᾱ 0" if _is_noise_alone(settings, start) else f"√ᾱ {start.sqrt_abar:.3f}",
    ]


def _show_pictures(runtime: Runtime, form: Form, board: Board) -> None:
    show_grid(runtime, board)
    begins = noised_inputs(runtime, form, [cell.at.settings for cell in board.cells])
    if begins is None:
        return
    st.caption("What each starts from: the source with the noise of its first step, decoded.")
    grid = st.grid("auto", min_column_width=96, gap="small")
    for cell, begin in zip(board.cells, begins, strict=True):
        settings = cell.at.settings
        with grid.cell(), st.container(gap="xxsmall"):
            words = f"What strength {settings.strength:g} starts from"
            st.image(begin.picture, width="stretch", output_format="PNG", alt=words)
            facts = "  \n".join(_facts(settings, begin.start))
            st.markdown(f"**{settings.strength:g}**")
            st.caption(facts)
    if any(begin.start.num_executed_steps == 0 for begin in begins):
        st.caption("Where no step is left, it is the source encoded and decoded by the VAE.")
    for cell, begin in zip(board.cells, begins, strict=True):
        if words := _about_the_end(cell.at.settings, begin.start):
            st.caption(words)


def _show_distances(runtime: Runtime, form: Form, board: Board) -> None:
    """How far each strength goes from the source, and how near it comes to the prompt."""
    done = board.done()
    source = form.source.picture
    if len(done) < 2 or source is None:
        st.info(
            "Run the strip first: the distances to the source and to the prompt are plotted here."
        )
        return
    digests = sorted({cell.digest for cell in done})
    found: dict[str, Likeness] | None = await_task(
        runtime,
        request_of(
            "likeness to source",
            GenerationSettings(model=form.settings.model),
            source=runtime.tasks.keep_source(form.source.array),
            digests=digests,
        ),
    )
    if found is None:
        return
    scores = {digest: runtime.store.get(digest) for digest in digests}
    figures: list[tuple[str, str, list[tuple[float, float]]]] = [
        (
            "SSIM to the source",
            "1 is the same picture: it compares structure in small windows.",
            _line(done, lambda digest: found[digest].ssim),
        ),
        (
            "CLIP cosine to the source",
            "1 is the same to CLIP: it compares what the pictures show.",
            _line(done, lambda digest: found[digest].clip),
        ),
        (
            "CLIP score to the prompt",
            "100 times the cosine of picture and prompt: higher fits better.",
            _line(done, lambda digest: getattr(scores[digest], "clip_score", None)),
        ),
    ]
    columns = st.columns(len(figures), gap="small")
    for column, (title, note, points) in zip(columns, figures, strict=True):
        with column:
            if not points:
                st.caption(f"{title}: cannot be measured here.")
                continue
            st.plotly_chart(
                distance_figure({title: points}, "Strength", title),
                key=f"{PREFIX}:distance:{title}",
                width="stretch",
            )
            st.caption(note)


def _line(done: Sequence[BoardCell], of: Any) -> list[tuple[float, float]]:
    points = [(cell.at.settings.strength, of(cell.digest)) for cell in done]
    return sorted((strength, value) for strength, value in points if value is not None)
