"""Before it runs: presets, the Run button, what it will cost, and every problem at once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.diffusion.models.load import ModelInfo, describe
from core.exports.sweep import planned_sheet
from core.output.sheet.sheet import SheetError
from core.runs.queue.jobs import Job
from core.sweeps.plan import Plan, make_plan
from core.sweeps.sweep import Sweep, SweepProblem
from ui.grid.jobs import current_job, submit_sweep
from ui.links import forget_problems
from ui.runtime import Runtime, tokenizer
from ui.sweep.form import PREFIX, SweepForm, key, put_axes, settle_seed
from ui.views import FIELD_NAMES, duration, show_error, show_warning

CLICK = f"{PREFIX}:click"
PLANNED = f"{PREFIX}:planned"
MOST_LINES = 20


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One click from a result: which parameter goes along which side."""

    title: str
    icon: str
    axes: dict[str, str]


PRESETS = (
    Preset(title="Guidance", icon=":material/explore:", axes={"x": "guidance_scale"}),
    Preset(title="Steps", icon=":material/footprint:", axes={"x": "num_inference_steps"}),
    Preset(title="Seeds", icon=":material/casino:", axes={"x": "seed"}),
    Preset(
        title="Guidance × Steps",
        icon=":material/grid_on:",
        axes={"x": "guidance_scale", "y": "num_inference_steps"},
    ),
    Preset(
        title="Scheduler × Steps",
        icon=":material/timeline:",
        axes={"x": "num_inference_steps", "y": "scheduler"},
    ),
    Preset(
        title="Prompt words",
        icon=":material/match_word:",
        axes={"x": "prompt_search_replace", "y": "seed"},
    ),
)


def prompt_box(model: ModelInfo) -> tuple[DeltaGenerator, DeltaGenerator]:
    """The prompt and the presets; returns the places of the Run button and the token count."""
    with st.container(border=True, gap="small"):
        st.text_area(
            "Prompt",
            key=key("prompt"),
            height=76,
            placeholder="Describe the picture, or begin with one of the sweeps below",
            label_visibility="collapsed",
            bind="query-params",
            persist_state="session",
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            run = st.container(width="content")
            counter = st.container(width="content")
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.caption("One click:", width="content")
            for preset in PRESETS:
                st.button(
                    preset.title,
                    key=f"{PREFIX}:preset:{preset.title}",
                    icon=preset.icon,
                    type="tertiary",
                    on_click=_use_preset,
                    args=(model, preset),
                )
    return run, counter


def plan_of(runtime: Runtime, form: SweepForm) -> Plan:
    """The plan of what the form says, with the problems of axes that could not be read."""
    plan = _planned(runtime, form.sweep)
    if form.problems or not form.sweep.axes():
        hint = SweepProblem(axis="Columns", value="", reason="choose what varies, or a preset")
        first = form.problems or ((hint,) if not plan.problems else ())
        return Plan(problems=(*first, *plan.problems), merged={})
    return plan


def _planned(runtime: Runtime, sweep: Sweep) -> Plan:
    """The plan, made anew only when the sweep or what is stored of it has changed."""
    kept: tuple[Sweep, set[str], Plan] | None = st.session_state.get(PLANNED)
    if kept is not None and kept[0] == sweep and not kept[2].problems:
        _, stored, plan = kept
        if runtime.store.holds(plan.digests) == stored:
            return plan
    plan = make_plan(
        sweep,
        describe=describe,
        holds=runtime.store.holds,
        row_pixels_per_second=runtime.queue.measured_speed(),
        read=tokenizer,
    )
    st.session_state[PLANNED] = (sweep, runtime.store.holds(plan.digests), plan)
    return plan


def run_button(place: DeltaGenerator, plan: Plan, job: Job | None) -> None:
    """Its words say how many cells it will compute.

    With nothing to compute it can be pressed all the same: Ctrl+Enter may bring text that was
    typed just before, and a button that is disabled at that moment would not take it.
    """
    is_running = job is not None and not job.is_over
    is_resumed = job is not None and job.state == "cancelled" and plan.to_compute > 0
    words = "Resume" if is_resumed else "Run"
    if plan.to_compute and not is_running:
        words += f" {plan.to_compute} cell{'s' if plan.to_compute > 1 else ''}"
    place.button(
        words,
        key=f"{PREFIX}:run",
        type="primary",
        icon=":material/play_arrow:",
        shortcut="Ctrl+Enter",
        disabled=bool(plan.problems),
        help="See what is wrong below." if plan.problems else None,
        on_click=_note_click,
    )


def show_plan(form: SweepForm, plan: Plan) -> None:
    """What it will cost in one line, or all that is wrong with it."""
    if plan.problems:
        if form.sweep.axes() or form.problems:
            show_error("This cannot run yet", _lines(plan.problems))
        return
    if plan.cut:
        show_warning(
            "Some text is cut off", _lines(plan.cut), "Shorten it, or put what matters first."
        )
    columns, rows, pages = form.sweep.shape()
    shape = f"{columns} × {rows}" + (f" × {pages}" if pages > 1 else "")
    parts = [f"**{shape}** = {len(plan.cells):,} cell{'s' if len(plan.cells) != 1 else ''}"]
    if plan.merged:
        parts.append(f"{plan.distinct:,} distinct")
    if plan.stored:
        parts.append(f"{plan.stored:,} already stored")
    if plan.to_compute:
        parts.append(f"{plan.unet_rows:,} UNet rows")
        if plan.seconds is not None:
            parts.append(f"about {duration(plan.seconds, rough=True)}")
    else:
        parts.append("nothing to compute")
    if size := _sheet_size(form.sweep, plan):
        parts.append(size)
    if form.draws_seed:
        parts.append(f"seed {form.sweep.base.seed} was drawn")
    st.caption(" · ".join(parts))


def _sheet_size(sweep: Sweep, plan: Plan) -> str:
    try:
        size = planned_sheet(sweep, plan)
    except SheetError:
        return "too large for one picture"
    return f"picture {size.width} × {size.height} px"


def submit(runtime: Runtime, form: SweepForm, plan: Plan) -> None:
    """Queues the cells that are missing, if Run or a preset was clicked, as one job."""
    token: str | None = st.session_state.get(CLICK)
    if token is None:
        return
    try:
        stored = set(runtime.store.holds(plan.digests))
        missing = set(plan.digests) - stored
        if missing and missing <= _in_flight(runtime, plan):
            st.toast("It is running already.")
        elif missing:
            submit_sweep(runtime, form.sweep, plan.submission(stored), token=token)
        elif not plan.problems:
            st.toast("Every cell is stored already.")
    except Exception:  # not a rerun of Streamlit, which is none
        st.session_state.pop(CLICK, None)
        raise
    st.session_state.pop(CLICK, None)


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


def _note_click() -> None:
    settle_seed()
    st.session_state[CLICK] = uuid.uuid4().hex
    forget_problems(PREFIX)


def _use_preset(model: ModelInfo, preset: Preset) -> None:
    put_axes(model, preset.axes)
    _note_click()
