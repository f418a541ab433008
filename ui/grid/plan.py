"""Before a sweep runs: its plan, what it will cost, every problem at once, and submitting it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.diffusion.models.load import describe
from core.diffusion.recipe.images import ReadInput
from core.diffusion.recipe.prompt.marks import MarkError
from core.diffusion.recipe.prompt.wildcards import Wildcards
from core.exports.sweep import planned_sheet
from core.output.sheet.sheet import SheetError
from core.runs.queue.jobs import Job
from core.sweeps.drawn import said_of
from core.sweeps.plan import Plan, make_plan
from core.sweeps.sweep import Sweep, SweepProblem
from ui.grid.jobs import current_job, submit_sweep
from ui.grid.state import GridState
from ui.runtime import Runtime, tokenizer
from ui.views import FIELD_NAMES, duration, plain, show_error, show_warning

MOST_LINES = 20


@dataclass(frozen=True, kw_only=True)
class SweepForm:
    """What a page's controls say; `sweep` leaves out each axis that could not be read, and `read`
    gives its sources where they are not stored yet.
    """

    sweep: Sweep
    problems: tuple[SweepProblem, ...]
    draws_seed: bool
    read: ReadInput | None = None


def prepare(
    runtime: Runtime, state: GridState, form: SweepForm, *, goes_on: bool = False
) -> tuple[Plan, Job | None]:
    """The plan, submitted if the page's button was clicked, and the job that computes it.

    With `goes_on` a click that finds every cell stored is left to the next grid of this run.
    """
    plan = plan_of(runtime, state, form)
    if plan.problems or plan.to_compute or not goes_on:
        submit(runtime, state, form, plan)
    return plan, current_job(runtime, plan)


def plan_of(runtime: Runtime, state: GridState, form: SweepForm) -> Plan:
    """The plan of what the form says, with the problems of axes that could not be read."""
    plan = _planned(runtime, state, form)
    if form.problems or not form.sweep.axes():
        hint = SweepProblem(axis="Columns", value="", reason="choose what varies, or a preset")
        first = form.problems or ((hint,) if not plan.problems else ())
        return Plan(problems=(*first, *plan.problems), merged={})
    return plan


def _planned(runtime: Runtime, state: GridState, form: SweepForm) -> Plan:
    """The plan, computed again only when the sweep or what is stored of it has changed."""
    kept, sweep = state.planned, form.sweep
    if kept is not None and kept[0] == sweep and not kept[2].problems:
        _, stored, plan = kept
        is_current = _are_current(plan, runtime.wildcards)
        if is_current and runtime.store.holds(plan.digests) == stored:
            return plan
    plan = make_plan(
        sweep,
        describe=describe,
        holds=runtime.store.holds,
        find_pace=runtime.queue.find_pace,
        read=tokenizer,
        wildcards=runtime.wildcards,
        read_source=form.read or runtime.store.inputs.read,
    )
    state.keep_plan(sweep, set(runtime.store.holds(plan.digests)), plan)
    return plan


def _are_current(plan: Plan, wildcards: Wildcards) -> bool:
    """Whether the wildcards that a plan was drawn from still have the same lines."""
    try:
        return all(wildcards.lines(name) == lines for name, lines in plan.lines.items())
    except MarkError:
        return False


def show_plan(form: SweepForm, plan: Plan, job: Job | None = None) -> None:
    """What it will cost in one line, or all that is wrong with it; no time while `job` runs."""
    if plan.problems:
        if form.sweep.axes() or form.problems:
            show_error("Cannot run yet", _lines(plan.problems))
        return
    if plan.cut:
        show_warning(
            "Some text is cut off", _lines(plan.cut), "Shorten it, or put what matters first."
        )
    if plan.foreign:
        show_warning("Not read as a mark in a prompt", _lines(plan.foreign))
    if plan.missed:
        show_warning("The latents miss a part of the mask", _lines(plan.missed))
    columns, rows, pages = form.sweep.shape()
    shape = f"{columns} × {rows}" + (f" × {pages}" if pages > 1 else "")
    parts = [f"**{shape}** = {len(plan.cells):,} cell{'s' if len(plan.cells) != 1 else ''}"]
    if plan.merged:
        parts.append(f"{plan.distinct:,} distinct")
    if plan.stored:
        parts.append(f"{plan.stored:,} already stored")
    if plan.to_compute:
        parts.append(f"{plan.unet_rows:,} UNet rows")
        if plan.estimate is not None and (job is None or job.is_over):
            parts.append(f"{plan.estimate.about} {duration(plan.estimate.seconds, rough=True)}")
    else:
        parts.append("nothing to compute")
    if size := _sheet_size(form.sweep, plan):
        parts.append(size)
    if form.draws_seed:
        parts.append(f"random seed {form.sweep.base.seed}")
    st.caption(" · ".join(parts))
    if words := said_of(plan.cells):
        st.caption(plain(f"Drawn: {words}"))


def _sheet_size(sweep: Sweep, plan: Plan) -> str:
    try:
        size = planned_sheet(sweep, plan)
    except SheetError:
        return "too large for one picture"
    return f"picture {size.width} × {size.height} px"


def submit(runtime: Runtime, state: GridState, form: SweepForm, plan: Plan) -> None:
    """Queue the cells that are missing as one job, if the page's button was clicked."""
    with state.click() as token:
        if token is None:
            return
        stored = set(runtime.store.holds(plan.digests))
        missing = set(plan.digests) - stored
        if missing and missing <= _in_flight(runtime, plan):
            st.toast("Already running.")
        elif missing:
            submit_sweep(runtime, form.sweep, plan.submission(stored), token=token)
        elif not plan.problems:
            st.toast("Every cell is already stored.")


def _in_flight(runtime: Runtime, plan: Plan) -> set[str]:
    """What the job of the grid in view is computing already."""
    job = current_job(runtime, plan)
    if job is None or job.is_over:
        return set()
    waits = ("pending", "running")
    return {c.digest for c in runtime.queue.cells(job.id) if c.digest and c.state in waits}


def _lines(problems: Sequence[SweepProblem]) -> str:
    """A line each, of not too many."""
    lines = [_problem_line(problem) for problem in problems[:MOST_LINES]]
    if len(problems) > MOST_LINES:
        lines.append(f"And {len(problems) - MOST_LINES} more.")
    return "\n\n".join(lines)


def _problem_line(problem: SweepProblem) -> str:
    name = FIELD_NAMES.get(problem.axis, problem.axis)
    value = f" {problem.value}" if problem.value else ""
    return f"{name}{value}: {problem.reason.rstrip('.')}."
