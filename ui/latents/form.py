"""The controls of the Latents page: what the figures are drawn over, and which are shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.output.figures.step_figure_rows import ALONG, GROUPS, STEP_FIGURES
from core.output.figures.step_runs import (
    Colouring,
    Run,
    colouring,
    differing,
    explaining,
    field_label,
    labels,
)
from ui.catalog import LATENTS
from ui.links import BOUND, Parameter

PREFIX = LATENTS.prefix
OVERVIEW, ALL = "Overview", "All"
ALL_CHANNELS = "All channels"
STEP = f"{PREFIX}_step"
RUN = f"{PREFIX}:run"
CHANNEL = f"{PREFIX}:channel"
_ALONG = {row.label.split(" (")[0]: row.name for row in ALONG.values()}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is drawn: over which axis, which figures, whose colours, and the run in view."""

    along: str
    figures: tuple[str, ...]
    colouring: Colouring
    focus: int


def parameters(steps: int) -> tuple[Parameter, ...]:
    """Return the parameters of a run in view with so many recorded steps. A step that a longer run
    has left behind is no broken link: the slider takes the last one.
    """
    is_first = STEP not in st.session_state
    return (
        Parameter(field="images", kind="text"),
        Parameter(field="along", kind="choice", choices=tuple(_ALONG)),
        Parameter(field="show", kind="choice", choices=(OVERVIEW, *GROUPS, ALL)),
        Parameter(field="raw", kind="choice", choices=("true", "false")),
        Parameter(field="step", kind="int", low=1, high=steps if is_first else math.inf),
    )


def defaults(steps: int) -> dict[str, object]:
    return {"step": default_step(steps)}


def default_step(steps: int) -> int:
    """Return where most pictures have just been decided: a third of the way."""
    return max(1, round(steps / 3))


def run_in_view(runs: Sequence[Run]) -> int:
    """Which run the pictures, the channels and the dashed curve are of; the first to begin with."""
    digests = [run.digest for run in runs]
    if st.session_state.get(RUN) not in digests:
        st.session_state[RUN] = digests[0]
    return digests.index(str(st.session_state[RUN]))


def _choose_run(runs: Sequence[Run]) -> None:
    if len(runs) == 1:
        return
    named = dict(zip([run.digest for run in runs], labels(runs), strict=True))
    st.selectbox(
        "Run in view",
        list(named),
        key=RUN,
        format_func=lambda digest: named[digest],
        width=260,
        help="The pictures, the channels and the dashed curve are of this run. A click on a curve "
        "chooses its run, and the step.",
    )


def look_form(runs: Sequence[Run], focus: int, colours: Colouring) -> Look:
    """The row of controls above the figures."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        shown = st.segmented_control(
            "Figures",
            [OVERVIEW, *GROUPS, ALL],
            default=OVERVIEW,
            required=True,
            key=f"{PREFIX}_show",
            help="Overview shows four; the others show every quantity of their kind.",
            **BOUND,
        )
        along = st.segmented_control(
            "X axis",
            list(_ALONG),
            default="Step",
            required=True,
            key=f"{PREFIX}_along",
            help="The step index hides how unevenly schedulers space their steps; sigma and "
            "log-SNR show it.",
            **BOUND,
        )
        _choose_run(runs)
    rows = [row for row in STEP_FIGURES.values() if not row.stands_in_for]
    figures = [
        row.name
        for row in rows
        if shown in (ALL, row.group) or (shown == OVERVIEW and row.in_overview)
    ]
    return Look(
        along=_ALONG[along or "Step"],
        figures=tuple(figures),
        colouring=colours,
        focus=focus,
    )


def norm_form(runs: Sequence[Run]) -> tuple[bool, int | None]:
    """Return whether the raw norm takes the place of the latent RMS, and whose RMS: None is all."""
    count = max(len(run.records[0].channel_mean) for run in runs)
    options = [ALL_CHANNELS, *(f"Channel {index + 1}" for index in range(count))]
    if st.session_state.get(CHANNEL) not in options:
        st.session_state[CHANNEL] = ALL_CHANNELS  # another model has fewer
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        is_raw = st.toggle(
            "Raw norm",
            key=f"{PREFIX}_raw",
            help="The norm as the scheduler stores its latents, instead of the comparable RMS.",
            **BOUND,
        )
        chosen = st.selectbox(
            "RMS of",
            options,
            key=CHANNEL,
            label_visibility="collapsed",
            disabled=is_raw,
            width=140,
        )
    is_one = chosen != ALL_CHANNELS and not is_raw
    return is_raw, options.index(str(chosen)) - 1 if is_one else None


def colour_form(runs: Sequence[Run]) -> Colouring:
    """Which setting the curves' colours stand for, where several differ."""
    varied = differing(runs)
    if len(varied) < 2:
        return colouring(runs)
    if st.session_state.get(f"{PREFIX}:colour") not in varied:
        st.session_state[f"{PREFIX}:colour"] = explaining(runs)
    chosen = st.selectbox(
        "Coloured by",
        varied,
        key=f"{PREFIX}:colour",
        format_func=field_label,
        width=220,
        label_visibility="collapsed",
        help="At first the setting that explains most of how the curves differ.",
    )
    return colouring(runs, chosen)
