"""What the film is of: one stored run, or a page of a sweep, with all that it still lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.diffusion.models.load import describe
from core.exports.films.film_settings import FilmedRun
from core.exports.sweep import NOT_COMPUTED
from core.sweeps.axis import Axis, SweepError
from core.sweeps.link import from_word, to_word
from core.sweeps.plan import Plan, make_plan
from core.sweeps.sweep import Sweep
from ui.catalog import SWEEP
from ui.film.form import PREFIX, SOURCES, Source, key
from ui.links import BOUND
from ui.runs.recording import has_no_step, recorded
from ui.runs.run_picker import pick_runs
from ui.runs.sweeps import describe_sweep
from ui.runtime import Runtime, owner_id
from ui.send import send_sweep
from ui.views import show_empty, show_error, show_warning

SEEN = f"{PREFIX}:seen"
LOST = f"{PREFIX}:lost"
PAGE = f"{PREFIX}:page"
CHOICE = f"{PREFIX}:sweep_choice"
NO_STEP = "No step was run: there is nothing to film."
MOST_CELLS = 400
"""Of a page of a sweep in a film: more would be a few pixels each."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ChosenRuns:
    """The runs of a film: `runs` are all cells of page `z` of `sweep`, or the one run. `names`
    has one a run.
    """

    title: str
    runs: tuple[FilmedRun, ...]
    names: tuple[str, ...]
    sweep: Sweep | None = None
    z: int = 0

    @property
    def longest(self) -> int:
        """The longer side of the largest picture, in pixels."""
        settings = [run.image.settings for run in self.runs if run.image is not None]
        return max((max(one.width, one.height) for one in settings), default=1)


def choose_source() -> Source:
    """One run, or a sweep. A picture that was sent here is shown, whatever was shown before."""
    sent: object = st.session_state.get(key("images")) or []
    if SEEN in st.session_state and sent != st.session_state[SEEN]:
        st.session_state[key("source")] = "One run"
    chosen = st.segmented_control(
        "Film of",
        SOURCES,
        default=SOURCES[0],
        required=True,
        key=key("source"),
        label_visibility="collapsed",
        **BOUND,
    )
    return "A sweep" if chosen == "A sweep" else "One run"


def choose_runs(runtime: Runtime, source: Source) -> ChosenRuns | None:
    """What can be filmed now; None after saying what is missing, and offering to make it."""
    if source == "One run":
        found = _run(runtime)
        st.session_state[SEEN] = st.session_state.get(key("images")) or []
        return found
    st.session_state[SEEN] = st.session_state.get(key("images")) or []
    return _sweep(runtime)


def _run(runtime: Runtime) -> ChosenRuns | None:
    _keep_saying_what_is_lost(runtime)
    chosen = pick_runs(runtime, PREFIX, several=False)
    if not chosen:
        return None
    image = chosen[0]
    if has_no_step(image):
        st.info(NO_STEP)
        return None
    records = recorded(runtime, [image], "latents").get(image.digest)
    if records is None:
        return None
    run = FilmedRun(image=image, records=records)
    prompt = image.settings.prompt or "(no prompt)"
    return ChosenRuns(title=prompt, runs=(run,), names=(prompt,))


def _keep_saying_what_is_lost(runtime: Runtime) -> None:
    """`pick_runs` says it once, and the page reruns as soon as the film is made."""
    named: list[str] = st.session_state.get(key("images")) or []
    named = named or [part for part in st.query_params.get(key("images"), "").split(",") if part]
    if not named and st.session_state.get(LOST):
        st.info("The picture that was chosen here cannot be found: this is the newest one.")
    elif named:
        st.session_state[LOST] = any(runtime.store.get(digest) is None for digest in named)


def _sweep(runtime: Runtime) -> ChosenRuns | None:
    sweep = _choose_sweep(runtime)
    if sweep is None:
        return None
    plan = make_plan(
        sweep, describe=describe, holds=runtime.store.holds, wildcards=runtime.wildcards
    )
    if plan.problems:
        show_error("This sweep cannot run", "\n\n".join(map(str, plan.problems)))
        return None
    z = _choose_page(sweep.z)
    columns, rows, _ = sweep.shape()
    if columns * rows > MOST_CELLS:
        show_error(
            "Too many cells for a film",
            f"A film holds up to {MOST_CELLS} cells; a page of this sweep has {columns * rows}.",
        )
        return None
    return _runs_of_page(runtime, sweep, plan, z)


def _runs_of_page(runtime: Runtime, sweep: Sweep, plan: Plan, z: int) -> ChosenRuns | None:
    """What of the page is stored, and the offers to compute and to record the rest."""
    store = runtime.store
    digests = {
        cell: digest for cell, digest in zip(plan.cells, plan.digests, strict=True) if cell.z == z
    }
    images = {digest: image for digest in digests.values() if (image := store.get(digest))}
    missing = sum(digest not in images for digest in digests.values())
    if missing:
        _offer_to_compute(sweep, missing, len(digests))
    records = recorded(runtime, list(images.values()), "latents")
    if images and all(map(has_no_step, images.values())):
        st.info(NO_STEP)
    if not any(records.values()):
        return None
    runs = [
        FilmedRun(
            image=images.get(digest),
            records=records.get(digest, ()),
            x=cell.x,
            y=cell.y,
            z=cell.z,
            reason="" if digest in images else NOT_COMPUTED,
        )
        for cell, digest in digests.items()
    ]
    return ChosenRuns(
        title=describe_sweep(sweep),
        runs=tuple(runs),
        names=_names(sweep, list(digests)),
        sweep=sweep,
        z=z,
    )


def _choose_sweep(runtime: Runtime) -> Sweep | None:
    """The sweep that the address names, else the first of those known here."""
    run = [runtime.queue.sweep(job.id) for job in runtime.queue.jobs(owner=owner_id())]
    known = {to_word(sweep): sweep for sweep in run if sweep}
    names = {to_word(saved.sweep): saved.name for saved in runtime.store.sweeps()}
    known |= {to_word(saved.sweep): saved.sweep for saved in runtime.store.sweeps()}
    word: str = st.session_state.get(key("sweep")) or st.query_params.get(key("sweep"), "")
    if word and word not in known:
        try:
            known = {word: from_word(word), **known}
        except SweepError as error:
            show_warning("Part of the link could not be used", str(error))
            word = ""
    if not known:
        _put_word("")
        show_empty(
            SWEEP.icon,
            "No sweep yet",
            "Run one, and the whole grid plays here as one film. The list has the sweeps run in "
            "this browser and all saved ones.",
        )
        st.page_link(SWEEP.path, label="Run a sweep", icon=SWEEP.icon)
        return None
    st.session_state[CHOICE] = word if word in known else next(iter(known))
    st.selectbox(
        "Sweep",
        list(known),
        format_func=lambda word: names.get(word) or describe_sweep(known[word]),
        key=CHOICE,
        label_visibility="collapsed",
        on_change=_take_choice,
    )
    _put_word(st.session_state[CHOICE])
    return known[st.session_state[CHOICE]]


def _take_choice() -> None:
    st.session_state[key("sweep")] = st.session_state[CHOICE]


def _put_word(word: str) -> None:
    """Kept in the session and in the address, so that a link and a reload show the same."""
    st.session_state[key("sweep")] = word
    if word and st.query_params.get(key("sweep")) != word:
        st.query_params[key("sweep")] = word
    elif not word:
        st.query_params.pop(key("sweep"), None)


def _choose_page(axis: Axis | None) -> int:
    if axis is None or len(axis.values) < 2:
        return 0
    pages = list(range(len(axis.values)))
    if st.session_state.get(PAGE, 0) not in pages:
        st.session_state[PAGE] = 0
    return st.selectbox(
        axis.label(), pages, format_func=axis.value_label, key=PAGE, persist_state="session"
    )


def _offer_to_compute(sweep: Sweep, missing: int, count: int) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        what = "has no picture" if missing == count == 1 else "have no picture yet"
        st.caption(f"{missing} of {count} cells {what}: they stay empty.", width="stretch")
        if st.button("Compute them in Sweep", key=f"{PREFIX}:compute", icon=SWEEP.icon):
            send_sweep(sweep)


def _names(sweep: Sweep, cells: Sequence[object]) -> tuple[str, ...]:
    """ "Guidance scale 3 · Seed 1" of each cell."""
    axes = sweep.axes().items()
    return tuple(
        " · ".join(f"{axis.label()} {axis.value_label(getattr(cell, side))}" for side, axis in axes)
        for cell in cells
    )
