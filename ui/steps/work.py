"""The model's work for the Step by step page, and the code that stands beside it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import streamlit as st

from core.diffusion.inside.anatomy import Run
from core.diffusion.models.load import describe
from core.diffusion.recipe.guidance.methods import is_plain as has_plain_guidance
from core.diffusion.recipe.prompt.texts import has_marks
from core.diffusion.settings import GenerationSettings
from core.output.programs.excerpts import ExcerptError, excerpt
from core.output.programs.notebook import lines_by_hand, notebook
from core.runs.queue.tasks import TaskRequest
from core.sweeps.drawn import draw_prompts, said
from ui.runs.result import loadable
from ui.runs.tasks import await_task, request_of
from ui.runtime import Runtime, owner_id
from ui.views import plain

TASK = "steps:task "
RUN = "run"
VIEW = "steps:view worked on"


def turn_to(runtime: Runtime, view: str) -> None:
    """Stop what this session began for another view: nobody looks at it any more."""
    if st.session_state.get(VIEW) == view:
        return
    st.session_state[VIEW] = view
    places = [str(name) for name in st.session_state if str(name).startswith(TASK)]
    for place in places:
        if place != TASK + RUN and (name := st.session_state.pop(place)) is not None:
            runtime.tasks.cancel(name)


def work_on(
    runtime: Runtime,
    kind: str,
    request: TaskRequest,
    label: str = "",
) -> Any | None:
    """`await_task`, after a task of this `kind` that this session began with other settings is
    stopped: nobody looks at it any more.
    """
    info = describe(request.settings.model)
    request.settings.require_valid(vae_scale_factor=info.vae_scale_factor)
    name, tasks, place = request.key, runtime.tasks, TASK + kind
    before: str | None = st.session_state.get(place)
    if before != name:
        if before is not None:
            tasks.cancel(before)
        # Another session's task is joined, and left alone when this one turns away.
        known = tasks.state(name)
        is_joined = known is not None and known.state != "cancelled"
        tasks.submit(request, owner_id())
        st.session_state[place] = None if is_joined else name
    return await_task(runtime, request, label)


def drawn(runtime: Runtime, typed: GenerationSettings) -> GenerationSettings:
    """The settings with their prompts drawn, which is said. Raises SettingsError."""
    found = draw_prompts(typed, runtime.marks())
    if found.words:
        st.caption(plain(f"Drawn: {said(found.words)}"))
    return found.settings


def take_apart(runtime: Runtime, settings: GenerationSettings) -> Run | None:
    """The run of these settings with every tensor; None while it is computed."""
    return work_on(runtime, RUN, request_of("run", replace(settings, snapshot=0)))


def offer_notebook(settings: GenerationSettings) -> None:
    """The run for Jupyter, to download; settings that cannot run have none."""
    info = describe(settings.model)
    problems = settings.validate(vae_scale_factor=info.vae_scale_factor)
    help = "This run for Jupyter, on plain diffusers: the same picture, to the last bit."
    st.download_button(
        "Notebook",
        lambda: make_notebook(settings),
        file_name=f"lightbox-{settings.seed}.ipynb",
        mime="application/x-ipynb+json",
        icon=":material/download:",
        on_click="ignore",
        disabled=bool(problems),
        help="These settings cannot run: there is no notebook of them." if problems else help,
    )


def make_notebook(settings: GenerationSettings) -> bytes:
    """The run for Jupyter; written by hand too where the model's loop is the plain one."""
    return notebook(settings, *loadable(settings.model), by_hand=_is_plain(settings))


def plain_lines(settings: GenerationSettings) -> dict[str, str]:
    """Each block's lines on plain diffusers, by its name; {} where the model has another loop."""
    return lines_by_hand(settings) if _is_plain(settings) else {}


def _is_plain(settings: GenerationSettings) -> bool:
    family = describe(settings.model).family
    is_loop = family.guidance == "free" and not family.added
    return is_loop and has_plain_guidance(settings) and not has_marks(settings)


@contextmanager
def block(
    title: str,
    words: str,
    code: str,
    plain: Mapping[str, str] = MappingProxyType({}),
    *,
    shown: str = "",
) -> Generator[None]:
    """One part of the pipeline: its title, what it does, and beside it the code that does it: as
    `plain` diffusers has it, and as this app does (`shown`, where that goes by another name).
    """
    with st.container(border=True):
        st.subheader(title, anchor=False)
        left, right = st.columns([0.56, 0.44], gap="medium")
        with right:
            if code in plain:
                on_diffusers, ours = st.tabs(["On diffusers", "In this app"])
                with on_diffusers:
                    st.code(plain[code], language="python", wrap_lines=True)
                    st.caption("As in the notebook above, which makes the same picture.")
                with ours:
                    show_code(shown or code)
            else:
                show_code(shown or code)
        with left:
            st.caption(words)
            yield


def show_code(name: str) -> None:
    """The lines of `core.output.programs.excerpts.EXCERPTS[name]`, and where they stand."""
    try:
        found = excerpt(name)
    except (ExcerptError, OSError):
        st.caption("The source of this part is not installed here.")
        return
    st.code(found.source, language="python", wrap_lines=True)
    st.caption(f"`{found.file}`, line {found.line}")
