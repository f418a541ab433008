"""The scheduler lab's controls: which schedulers, how many steps, which spacings side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product

import streamlit as st

from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.sampler import AUTOMATIC, SIGMA_SCHEDULES, SPACINGS
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.timetable import (
    Call,
    Timetable,
    takes_schedule,
    takes_spacing,
    timetable,
)
from core.diffusion.settings import MAX_STEPS
from core.sweeps.values import ValuesError, parse_values
from ui.catalog import SCHEDULER_LAB
from ui.links import BOUND, Parameter
from ui.views import show_error, show_warning

PREFIX = SCHEDULER_LAB.prefix
MOST = 24
FIRST = ["DDIM", "PNDM", "Euler", "Heun", "DPM++ 2M", "DPM++ 2M Karras"]
AS_IS = "As the model"
OWN = "Own"
SCHEDULES = {name.capitalize(): name for name in SIGMA_SCHEDULES if name != AUTOMATIC}
SCHEDULES_HELP = (
    "Karras, exponential and beta space the noise levels themselves: between the first and the "
    "last one of the chosen spacing, and for DPM++, UniPC and DEIS over the model's whole range, "
    "whatever the spacing. Uniform is the spacing of the timesteps alone."
)
MEASURES = {"Timestep": "timestep", "Sigma": "sigma", "log-SNR": "log_snr"}


def parameters() -> tuple[Parameter, ...]:
    return (
        Parameter(field="names", kind="text"),
        Parameter(field="steps", kind="text"),
        Parameter(field="spacing", kind="text"),
        Parameter(field="levels", kind="text"),
        Parameter(field="over", kind="choice", choices=tuple(MEASURES)),
    )


def lab_form(model: ModelInfo) -> list[Timetable]:
    """The timetables asked for; what cannot be laid out is said, and left out."""
    _check_lists()
    names = st.multiselect(
        "Schedulers",
        list(SCHEDULERS),
        default=FIRST,
        key=f"{PREFIX}_names",
        **BOUND,
    )
    own = str(model.scheduler_config.get("timestep_spacing", "leading"))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        text = st.text_input(
            "Steps",
            "10",
            key=f"{PREFIX}_steps",
            width=160,
            help="One number, a list or a range: 10 or 5, 10, 20 or 10-30 (+10)",
            **BOUND,
        )
        spacings = st.pills(
            "Timestep spacing",
            [AS_IS, *SPACINGS],
            default=[AS_IS],
            selection_mode="multi",
            key=f"{PREFIX}_spacing",
            help=f"How the steps are spaced over the timesteps. The bundled model has {own}.",
            **BOUND,
        )
        levels = st.pills(
            "Sigma schedule",
            [OWN, *SCHEDULES],
            default=[OWN],
            selection_mode="multi",
            key=f"{PREFIX}_levels",
            help=SCHEDULES_HELP,
            **BOUND,
        )
    counts = _counts(text or "")
    if not names or not counts:
        return []
    wanted = _wanted(names, counts, spacings or [AS_IS], levels or [OWN])
    config = json.dumps(model.scheduler_config, sort_keys=True)
    tables = [_timetable(*one, config) for one in wanted]
    for table in tables:
        if table.problem:
            show_warning("Left out", f"{table.problem}.")
    distinct = _distinct([table for table in tables if not table.problem])
    if len(distinct) > MOST:
        st.info(f"The first {MOST} of {len(distinct)} combinations are shown.")
    return distinct[:MOST]


def _distinct(tables: Sequence[Timetable]) -> list[Timetable]:
    """Return, of a scheduler's timetables that are the same calls, the first; the others are
    said.
    """
    first: dict[tuple[str, tuple[Call, ...]], Timetable] = {}
    same: dict[str, list[str]] = {}
    for table in tables:
        kept = first.setdefault((table.scheduler, table.calls), table)
        if kept is not table:
            same.setdefault(kept.label, []).append(table.label)
    for label, others in same.items():
        st.caption(f"The same calls, shown once as {label}: {', '.join(others)}.")
    return list(first.values())


def _wanted(
    names: Sequence[str], counts: Sequence[int], spacings: Sequence[str], levels: Sequence[str]
) -> list[tuple[str, int, str | None, str | None]]:
    """Every combination, but an option that a scheduler does not have makes no second one."""
    found: dict[tuple[str, int, str | None, str | None], None] = {}
    without: dict[str, set[str]] = {"spacing": set(), "levels": set()}
    for name, count, spacing, level in product(names, counts, spacings, levels):
        if spacing != AS_IS and not takes_spacing(name):
            without["spacing"].add(name)
            spacing = AS_IS
        if level != OWN and not takes_schedule(name):
            without["levels"].add(name)
            level = OWN
        key = (
            name,
            count,
            None if spacing == AS_IS else spacing,
            SCHEDULES.get(level),
        )
        found[key] = None
    for option, lacking in without.items():
        if lacking:
            what = (
                "The timestep spacing makes no difference for"
                if option == "spacing"
                else "diffusers gives no sigma schedule to choose for"
            )
            listed = ", ".join(name for name in names if name in lacking)
            st.caption(f"{what}: {listed}. Shown once, as they are.")
    return list(found)


def _counts(text: str) -> list[int]:
    try:
        counts = [int(count) for count in parse_values(text, int)]
    except ValuesError as error:
        show_error("These steps cannot be read", str(error), "Write a number, a list or a range.")
        return []
    bad = [str(count) for count in counts if not 1 <= count <= MAX_STEPS]
    if bad:
        show_error("These steps cannot be run", f"{', '.join(bad)} is outside 1 to {MAX_STEPS}.")
    return [count for count in counts if 1 <= count <= MAX_STEPS]


def _check_lists() -> None:
    """Say what a link names that there is not: the controls drop it without a word."""
    known = {"names": SCHEDULERS, "spacing": (AS_IS, *SPACINGS), "levels": (OWN, *SCHEDULES)}
    unknown = [
        value
        for field, choices in known.items()
        for value in st.query_params.get_all(f"{PREFIX}_{field}")
        if value not in choices
    ]
    if unknown:
        named = ", ".join(repr(value) for value in unknown)
        show_warning("Part of the link could not be used", f"{named}: there is none of that name.")


@st.cache_data(show_spinner=False, max_entries=512)
def _timetable(
    name: str, steps: int, spacing: str | None, schedule: str | None, config: str
) -> Timetable:
    return timetable(name, steps, json.loads(config), spacing=spacing, schedule=schedule)
