"""Every cell of a sweep as a choice of runs: this browser's last sweeps, and the saved ones."""

from __future__ import annotations

import streamlit as st

from core.diffusion.models.load import ModelError, describe
from core.diffusion.named_files import digest_of
from core.diffusion.recipe.prompt.marks import Marks
from core.runs.queue.jobs import Job
from core.sweeps.axis import SweepError
from core.sweeps.drawn import draw_cells
from core.sweeps.sweep import Sweep
from ui.catalog import SWEEP
from ui.runs.sweeps import LABEL, describe_sweep, is_sweep
from ui.runtime import Runtime, owner_id
from ui.send import choose_runs
from ui.views import ago, plain

LAST = 3
LOOK_BACK = 12  # jobs of this browser, single pictures among them


def show_sweeps(runtime: Runtime, prefix: str) -> bool:
    """A button a sweep, which shows all its stored cells in one figure. True after a click."""
    last = [job for job in runtime.queue.jobs(owner=owner_id(), limit=LOOK_BACK) if is_sweep(job)]
    saved = runtime.store.sweeps()
    if not last and not saved:
        st.caption("No sweep has been run in this browser, and none is saved.")
        st.page_link(SWEEP.path, label="Run one", icon=SWEEP.icon)
        return False
    clicked = False
    for job in last[:LAST]:
        clicked |= st.button(
            plain(job.label.removeprefix(LABEL)),
            key=f"{prefix}:sweep:{job.id}",
            type="tertiary",
            icon=SWEEP.icon,
            help=plain(f"Run {ago(job.created_at)}: {job.done_cells} of {job.total_cells} cells"),
            on_click=_take_job,
            args=(runtime, prefix, job),
        )
    for one in saved:
        clicked |= st.button(
            plain(one.name),
            key=f"{prefix}:saved:{one.name}",
            type="tertiary",
            icon=":material/bookmark:",
            help=plain(describe_sweep(one.sweep)),
            on_click=_take_sweep,
            args=(runtime, prefix, one.sweep),
        )
    if said := st.session_state.pop(f"{prefix}:no_sweep", None):
        st.info(said)
        return False
    return clicked


def cell_digests(sweep: Sweep, marks: Marks) -> list[str]:
    """A digest a cell, each once. Raises ModelError or SweepError."""
    problems, cells = draw_cells(sweep.cells(), marks)
    if problems:
        raise SweepError("; ".join(map(str, problems)))
    models = {cell.settings.model for cell in cells}
    prints = {model: describe(model).fingerprint for model in models}
    return list(dict.fromkeys(digest_of(c.settings, prints[c.settings.model]) for c in cells))


def _take_job(runtime: Runtime, prefix: str, job: Job) -> None:
    sweep = runtime.queue.sweep(job.id)
    if sweep is not None:  # its job has only the cells that were not stored yet
        _take_sweep(runtime, prefix, sweep)
    else:
        choose_runs(runtime, prefix, [c.digest for c in runtime.queue.cells(job.id) if c.digest])


def _take_sweep(runtime: Runtime, prefix: str, sweep: Sweep) -> None:
    try:
        choose_runs(runtime, prefix, cell_digests(sweep, runtime.marks()))
    except (ModelError, SweepError) as error:
        st.session_state[f"{prefix}:no_sweep"] = f"This sweep cannot be shown. {error}"
