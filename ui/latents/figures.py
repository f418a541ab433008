"""The figures of the Latents page, each with its sentence, and its exports."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from core.output.figures.step_figure_rows import STEP_FIGURES, StepFigure
from core.output.figures.step_figures import NO_GUIDANCE, data_mean_square, step_figure
from core.output.figures.step_runs import Run
from core.output.figures.step_table import write_figure_page, write_step_csv, write_step_parquet
from core.runs.store.store import Store
from ui.help import links_of_figure
from ui.latents.form import PREFIX, Look, norm_form
from ui.latents.runs import channel_square
from ui.views import plain

FIGURES = f"{PREFIX}-figure-"
"""What the keys of the figures' containers begin with; Streamlit makes them class names."""

LEAST_WIDTH = 350  # pixels of a card, so that its plot has 320
PICTURE_KINDS = {"PNG": "png", "SVG": "svg"}


def show_figures(store: Store, runs: Sequence[Run], look: Look) -> None:
    """A grid of cards: title, what to look for, the figure."""
    kind = PICTURE_KINDS.get(str(st.session_state.get(f"{PREFIX}:camera")), "png")
    grid = st.grid(3, min_column_width=LEAST_WIDTH, gap="small")
    for name in look.figures:
        with grid.cell(), st.container(border=True, height="stretch", gap="xsmall"):
            _show_one(store, runs, STEP_FIGURES[name], look, kind)


def _show_one(store: Store, runs: Sequence[Run], row: StepFigure, look: Look, kind: str) -> None:
    title, note = st.container(), st.container()
    place, channel, square = row.name, None, None
    if row.name == "latent_rms":
        is_raw, channel = norm_form(runs)
        row = STEP_FIGURES["raw_norm" if is_raw else "latent_rms"]
        if channel is not None:
            square = channel_square(store, runs[look.focus], channel)
    draw = partial(
        step_figure,
        runs,
        row.name,
        look.along,
        look.colouring,
        focus=look.focus,
        channel=channel,
        channel_square=square,
    )
    with title.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{row.title}**", width="stretch")
        st.download_button(
            "HTML",
            lambda: write_figure_page(draw(), row),
            file_name=f"lightbox-{row.name}.html",
            mime="text/html",
            key=f"{PREFIX}:html:{place}",
            type="tertiary",
            icon=":material/download:",
            help="This figure as a page that works offline",
            on_click="ignore",
        )
    said = plain(row.look + _note(runs, row, look, channel, square))
    note.caption(f"{said}  \n{links_of_figure(row.name)}")
    with st.container(key=f"{FIGURES}{place}"):
        st.plotly_chart(
            draw(names_runs=False),
            key=f"{PREFIX}:plot:{place}",
            width="stretch",
            config={
                "displaylogo": False,
                "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
                "toImageButtonOptions": {
                    "format": kind,
                    "filename": f"lightbox-{row.name}",
                    "scale": 2,
                },
            },
            alt=f"{row.title} over the steps of {len(runs)} run{'s' if len(runs) > 1 else ''}",
        )


def _note(
    runs: Sequence[Run], row: StepFigure, look: Look, channel: int | None, square: float | None
) -> str:
    """What holds of these runs in particular. `square` is v of one channel."""
    if row.name == "latent_rms":
        if channel is None:
            square = data_mean_square(runs[look.focus])
        if square is None:
            return " The dashed curve of one channel needs the tensors of the run in view."
        return f" Here v = {square:.3g}, from the last predicted x₀ of the run in view."
    without = [run for run in runs if not run.settings.uses_guidance]
    if row.needs_guidance and without:
        if len(without) == len(runs):
            return f" {NO_GUIDANCE}."
        return f" Guidance is off in {len(without)} of the {len(runs)} runs: they have no curve."
    return ""


def show_downloads(runs: Sequence[Run]) -> None:
    """Every number of every step, and how the figures' own camera saves."""
    count = sum(len(run.records) for run in runs)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.download_button(
            "CSV",
            lambda: write_step_csv(runs),
            file_name="lightbox-steps.csv",
            mime="text/csv",
            key=f"{PREFIX}:csv",
            icon=":material/table:",
            help=f"{count} rows: every recorded step of every run, with all settings",
            on_click="ignore",
        )
        st.download_button(
            "Parquet",
            lambda: write_step_parquet(runs),
            file_name="lightbox-steps.parquet",
            mime="application/vnd.apache.parquet",
            key=f"{PREFIX}:parquet",
            icon=":material/database:",
            help="The same table for pandas.read\\_parquet and its like",
            on_click="ignore",
        )
        st.segmented_control(
            "The camera in a figure's corner saves",
            list(PICTURE_KINDS),
            default="PNG",
            required=True,
            key=f"{PREFIX}:camera",
            persist_state="session",
        )
