"""The changed run: the same run with another prompt, guidance or scheduler from a call on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import streamlit as st

from core.diffusion.inside.anatomy import Change, Future, Run
from core.diffusion.models.info import preview_rgb
from core.diffusion.models.load import ModelInfo
from core.diffusion.recipe.guidance.methods import is_guided
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import MAX_GUIDANCE, GenerationSettings
from core.output.figures.tiles import png, strip
from core.output.numbers.metrics import rmse
from ui.frame import safe
from ui.links import BOUND
from ui.runs.tasks import request_of
from ui.runtime import Runtime
from ui.settings.controls import key
from ui.settings.fields import bounded
from ui.steps.form import PREFIX
from ui.steps.work import show_code, work_on
from ui.views import show_warning

SIDE = 288  # pixels of a picture on the screen
COLUMNS = 10
TILE = 64
UNCHANGED = "Unchanged"
FROM, TO, PROMPT, GUIDANCE, SCHEDULER = (
    key(name, PREFIX)
    for name in ("from", "to", "other_prompt", "other_guidance", "other_scheduler")
)


def show_future(runtime: Runtime, run: Run, info: ModelInfo) -> None:
    """The controls, and both futures side by side."""
    with st.container(border=True):
        change = _controls(run)
    if change is None:
        st.caption(
            "Nothing has changed yet. Change the prompt, the guidance or the scheduler above, or "
            "try one of the ideas."
        )
        return
    request = request_of("branch", run.settings, change=asdict(change))
    future = work_on(runtime, "another future", request)
    if future is not None:
        _show_both(run, future, info)
        with st.expander("The code that does it", icon=":material/code:", key="steps:code branch"):
            show_code("branch" if change.scheduler is None else "hand over")


def _controls(run: Run) -> Change | None:
    """What is to be different; None where nothing is."""
    _hold(run)
    settings, last = run.settings, run.calls
    left, right = st.columns(2, gap="medium")
    with left:
        start = 1
        if last > 1:
            start = int(st.slider("From UNet call", 1, last, _third(last), key=FROM, **BOUND))
        prompt = st.text_area(
            "Prompt from there on",
            key=PROMPT,
            height=76,
            placeholder=f"{UNCHANGED}: {settings.prompt}",
            **BOUND,
        )
    with right:
        end = _end_control(settings, start, last)
        guidance, scheduler = _sampler_controls(settings)
    _ready_changes(run)
    words = (prompt or "").strip()
    change = Change(
        start=start - 1,
        end=end if end < last else None,
        prompt=words if words and words != settings.prompt else None,
        guidance_scale=None if _is_same_guidance(guidance, settings) else guidance,
        scheduler=scheduler if scheduler != settings.scheduler else None,
    )
    kept = (change.prompt, change.guidance_scale, change.scheduler)
    return change if any(value is not None for value in kept) else None


def _end_control(settings: GenerationSettings, start: int, last: int) -> int:
    """The last call that is different, counted from 1."""
    scheduler: str | None = st.session_state.get(SCHEDULER, st.query_params.get(SCHEDULER))
    if scheduler not in (None, settings.scheduler) or start >= last:
        st.caption("A new scheduler stays to the end." if scheduler else "The last call.")
        return last
    end = st.slider(
        "Up to and with call",
        start,
        last,
        last,
        key=TO,
        help="After it the run's own settings apply again: guidance in an interval, a word for "
        "some steps.",
        **BOUND,
    )
    return int(end)


def _sampler_controls(settings: GenerationSettings) -> tuple[float | None, str | None]:
    """Guidance and scheduler from there on; None is as before."""
    left, right = st.columns(2, gap="small")
    guidance = bounded(
        "Guidance",
        0.0,
        MAX_GUIDANCE,
        None,
        place=left,
        step=0.5,
        key=GUIDANCE,
        placeholder=f"{settings.guidance_scale:g}",
        help="1 is off, but with CFG++ and PAG.",
        **BOUND,
    )
    scheduler = right.selectbox(
        "Scheduler",
        list(SCHEDULERS),
        None,
        key=SCHEDULER,
        placeholder=settings.scheduler,
        **BOUND,
    )
    return guidance, scheduler


def _ready_changes(run: Run) -> None:
    """Changes to begin with, and taking every change back."""
    with st.container(horizontal=True, gap="small"):
        st.menu_button(
            "Ideas",
            list(_ideas(run)),
            key="steps:idea",
            icon=":material/lightbulb:",
            on_click=_use_idea,
            args=(run,),
        )
        st.button(
            "Reset",
            key="steps:as before",
            icon=":material/undo:",
            help="Undo every change.",
            on_click=_put,
            args=({PROMPT: "", GUIDANCE: None, SCHEDULER: None, TO: run.calls},),
        )


def _is_same_guidance(wanted: float | None, settings: GenerationSettings) -> bool:
    """Whether another guidance scale guides as the settings' own does: where neither has an effect
    they are off, whatever the numbers say.
    """
    if wanted is None or wanted == settings.guidance_scale:
        return True
    other = replace(settings, guidance_scale=wanted)
    return not other.matters("guidance_scale") and not settings.matters("guidance_scale")


def _hold(run: Run) -> None:
    """Brings calls beyond the end, from a link or a longer run, back into it; says so of a link."""
    for name, default in ((FROM, _third(run.calls)), (TO, run.calls)):
        asked = st.session_state.get(name, st.query_params.get(name, default))
        number = int(asked) if str(asked).isdigit() else default
        if number > run.calls:
            if name not in st.session_state:
                show_warning(
                    "There is no such call",
                    f"Call {number} is beyond the end: this run has {run.calls}.",
                    "The last one is used.",
                )
            st.session_state[name] = run.calls
    start, end = (st.session_state.get(name) for name in (FROM, TO))
    if start is not None and end is not None and end < start:
        st.session_state[TO] = run.calls


def _third(calls: int) -> int:
    """Return where objects are decided but not yet drawn: about a third of the way."""
    return max(1, calls // 3)


def _ideas(run: Run) -> Mapping[str, Mapping[str, Any]]:
    calls, guidance = run.calls, run.settings.guidance_scale
    plain = {PROMPT: "", GUIDANCE: None, SCHEDULER: None, FROM: _third(calls), TO: calls}
    other = "Euler a" if run.settings.scheduler != "Euler a" else "DDIM"
    words = run.settings.prompt
    swapped = words.replace("red", "yellow") if "red" in words else f"{words}, yellow"
    # CFG++ and PAG guide at 1 too.
    off = {"Guidance off from here": plain | {GUIDANCE: 1.0}}
    return (off if not is_guided(replace(run.settings, guidance_scale=1.0)) else {}) | {
        "Three times the guidance for a while": plain
        | {GUIDANCE: min(3 * guidance, MAX_GUIDANCE), TO: max(_third(calls), 2 * calls // 3)},
        "Another prompt from here": plain | {PROMPT: swapped},
        "Another scheduler from here": plain | {SCHEDULER: other},
    }


def _use_idea(run: Run) -> None:
    _put(_ideas(run)[st.session_state["steps:idea"]])


def _put(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        st.session_state[name] = value


def _show_both(run: Run, future: Future, info: ModelInfo) -> None:
    change = future.change
    before, after = st.columns(2, gap="medium")
    with before, st.container(horizontal_alignment="center"):
        st.markdown("**The original run**", text_alignment="center")
        st.image(png(run.image), width=SIDE, output_format="PNG", alt="The original run")
    with after, st.container(horizontal_alignment="center"):
        st.markdown(f"**Changed from call {change.start + 1} on**", text_alignment="center")
        st.image(png(future.image), width=SIDE, output_format="PNG", alt="The changed run")
    apart = rmse(run.image, future.image)
    st.caption(f"The pictures differ by {apart:.1f} of 255 (RMSE). " + _what_happened(run, future))
    _show_strips(run, future, info)


def _what_happened(run: Run, future: Future) -> str:
    calls = len(future.sigmas)
    if future.bridged is not None:
        here, there = future.bridged
        return (
            f"{future.change.scheduler} has no level at sigma {here:.3g}, where it takes over: one "
            f"plain step, a UNet call of its own, led to its next, {there:.3g}. {calls} calls in "
            "all."
        )
    if future.change.scheduler is not None and future.shared:
        return f"{future.change.scheduler} took over at the same noise level. {calls} calls in all."
    if future.change.end is not None:
        return f"After call {future.change.end} the run's own settings apply again."
    return ""


def _show_strips(run: Run, future: Future, info: ModelInfo) -> None:
    """What the model believed at the same noise levels, above as it was, below as it became."""

    @st.fragment
    @safe
    def strips() -> None:
        calls = len(future.sigmas)
        chosen = sorted({round(i) for i in np.linspace(0, calls - 1, min(COLUMNS, calls))})
        nearest = [
            min(range(run.calls), key=lambda i: abs(run.sigmas[i] - future.sigmas[call]))
            for call in chosen
        ]
        rows = [
            [preview_rgb(run.x0[i], info) for i in nearest],
            [preview_rgb(future.x0[i], info) for i in chosen],
        ]
        mark = next((i for i, call in enumerate(chosen) if call >= future.shared), None)
        st.caption(
            "The predicted pictures call by call: the original run above, the changed run below. "
            "The line marks the first changed call."
        )
        st.image(
            png(strip(rows, TILE, mark)),
            width="content",
            output_format="PNG",
            alt="Predicted pictures of both runs, call by call",
        )
        numbers = ", ".join(str(call + 1) for call in chosen)
        st.caption(f"Calls {numbers}.")

    strips()
