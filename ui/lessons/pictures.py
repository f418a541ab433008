"""The pictures that are seen before a prediction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import streamlit as st

from core.lessons.lesson import Challenge, Lesson
from core.sweeps.plan import Plan
from ui.lessons.names import name_of
from ui.runs.progress import follow_job
from ui.runtime import Runtime, owner_id
from ui.views import picture_bytes, plain, show_error

WIDTH = 164  # pixels on the screen: two fit beside each other on a phone


def indices(challenge: Challenge, plan: Plan) -> list[int]:
    """The plan's cells that are shown."""
    at = {(cell.x, cell.y): index for index, cell in reversed(list(enumerate(plan.cells)))}
    return [at[place] for place in challenge.shown]


def shown_digests(challenge: Challenge, plan: Plan) -> list[str]:
    """Their pictures."""
    return [plan.digests[index] for index in indices(challenge, plan)]


def show_pictures(
    runtime: Runtime, lesson: Lesson, part: str, plan: Plan, *, draws: bool = True
) -> bool:
    """Draw them with what each is, computed first where they are not stored; False until then.
    Without `draws` they are only computed, for who draws them otherwise.
    """
    challenge = lesson.part(part)
    digests = shown_digests(challenge, plan)
    missing = [digest for digest in digests if digest not in runtime.store.holds(digests)]
    if missing:
        _compute(runtime, lesson, part, plan, missing)
        return False
    if not draws:
        return True
    with st.container(horizontal=True, gap="small"):
        for digest, caption in zip(digests, captions(challenge, plan), strict=True):
            with st.container(width=WIDTH, gap="xsmall"):
                if (data := picture_bytes(runtime.store, digest)) is not None:
                    st.image(data, width="stretch", output_format="PNG", alt=caption)
                st.caption(plain(caption))
    return True


def captions(challenge: Challenge, plan: Plan) -> list[str]:
    """What each shown cell is: its values; an order's pictures have the options' names."""
    if challenge.ask.kind == "order":
        return list(challenge.ask.options)
    axes = challenge.sweep.axes()
    found: list[str] = []
    for index in indices(challenge, plan):
        cell = plan.cells[index]
        words = [
            f"{axis.label()} {axis.value_label(getattr(cell, side))}"
            if axis.name != "prompt"
            else axis.value_label(getattr(cell, side))
            for side, axis in axes.items()
        ]
        found.append(" · ".join(words) or cell.settings.prompt)
    return found


def _compute(
    runtime: Runtime, lesson: Lesson, part: str, plan: Plan, missing: Sequence[str]
) -> None:
    name = name_of(lesson, part, "shown")
    job_id = st.session_state.get(name)
    if job_id is None:
        by_digest = dict(zip(plan.digests, plan.cells, strict=True))
        job_id = runtime.queue.submit(
            [by_digest[digest].settings for digest in dict.fromkeys(missing)],
            owner=owner_id(),
            token=uuid.uuid4().hex,
            label=f"Lesson: {lesson.title}",
            watched=True,
        )
        st.session_state[name] = job_id
    job = runtime.queue.job(job_id)
    if job is not None and not job.is_over:
        follow_job(runtime, job_id, key=f"{name}:stop", before="The first pictures · ")
        return
    reasons = {cell.reason for cell in runtime.queue.cells(job_id) if cell.reason}
    if job is None or job.state == "done":
        st.session_state.pop(name, None)
        st.rerun()  # its pictures were deleted meanwhile
    show_error("The first pictures are missing", " ".join(sorted(reasons)) or "It was stopped.")
    st.button(
        "Try again",
        key=f"{name}:again",
        icon=":material/refresh:",
        on_click=lambda: st.session_state.pop(name, None),
    )
