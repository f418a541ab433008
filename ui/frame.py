"""open_page: what surrounds every page. Page config, navigation, status, and the last net."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Literal, ParamSpec

import streamlit as st

from core.diffusion.models.load import ModelError
from core.diffusion.settings import SettingsError
from core.runs.queue.jobs import HEARTBEAT_LOST_SECONDS, WorkerStatus
from core.runs.store.store import StoreError
from core.runs.worker.worker import FolderInUse
from ui.catalog import ASSETS, CATALOG, HOME, Page
from ui.clicks import forget_clicks, leave_others
from ui.runtime import Runtime, open_runtime
from ui.views import plain, problem_lines, show_error, show_unreadable

NAME = "Diffusion Lightbox"
POLL_SECONDS = 0.25
"""How often what develops is looked at."""
SLOW_POLL_SECONDS = 1.0
"""How often the rest is, and what is costly to draw."""

_log = logging.getLogger("lightbox.ui")
_P = ParamSpec("_P")


@contextmanager
def open_page(page: Page) -> Generator[Runtime]:
    """Draw the frame and yield the runtime; whatever the page raises becomes a message.

    The status is drawn last, below the model that a page chooses in the sidebar, so that it knows
    of what the page has just submitted.
    """
    title = NAME if page is HOME else f"{page.title} · {NAME}"
    st.set_page_config(page_title=title, page_icon=str(ASSETS / "icon.svg"), layout="wide")
    st.logo(str(ASSETS / "logo.svg"), size="large", icon_image=str(ASSETS / "icon.svg"))
    with st.sidebar:
        for entry in CATALOG:
            st.page_link(entry.path, label=entry.title, icon=entry.icon, width="stretch")
    leave_others(page.prefix)
    try:
        runtime = open_runtime()
    except Exception as error:
        show_error(*explain(error))
        st.stop()
    with safely():
        yield runtime
    forget_clicks()
    with safely():
        show_unreadable(runtime.store)
    with safely(), st.sidebar:
        _status(runtime)


@contextmanager
def safely() -> Generator[None]:
    """The last net: an exception becomes one titled message, and its traceback goes to the log."""
    try:
        yield
    except Exception as error:
        title, what, next_step = explain(error)
        show_error(title, what, next_step)


def safe(function: Callable[_P, None]) -> Callable[_P, None]:
    """`safely` as a decorator, for fragments and dialogs: they also run without their page."""

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> None:
        with safely():
            function(*args, **kwargs)

    return wrapped


def explain(error: Exception) -> tuple[str, str, str]:
    """Title, what happened, what to do next. An unexpected error is logged, not shown."""
    match error:
        case FolderInUse():
            return "Another app is using the data folder", str(error), ""
        case StoreError():
            return "The data folder cannot be used", str(error), ""
        case ModelError():
            return "The model cannot be used", str(error), ""
        case SettingsError():
            return "These settings cannot run", problem_lines(error.problems), ""
        case _:
            _log.exception("A page failed", exc_info=error)
            return (
                "Something went wrong here",
                "The page could not be drawn. Nothing that is stored was lost.",
                "Reload the page. If it happens again, look for the reason in its terminal.",
            )


def _status(runtime: Runtime) -> None:
    queue = runtime.queue
    status = queue.worker_status()
    moving = status.state in ("starting", "loading", "busy") or status.waiting > 0
    poll = SLOW_POLL_SECONDS if moving else None

    @st.fragment(run_every=poll)
    @safe
    def status_line() -> None:
        now = queue.worker_status()
        if poll and now.state not in ("starting", "loading", "busy") and not now.waiting:
            st.rerun()  # nothing moves any more: draw once without the clock
        colour, icon, words = _STATES.get(now.state, _STATES["absent"])
        waiting = f" · {now.waiting} waiting" if now.waiting else ""
        with st.container(border=True, gap="xxsmall"):
            st.badge(f"{words}{waiting}", icon=icon, color=colour)
            if now.model:
                st.caption(plain(f"{now.model} in memory"))
            if now.device:
                st.caption(plain(f"{now.device} · {now.dtype}"))
                for line in runtime.worker.vitals().lines() if runtime.worker else ():
                    st.caption(plain(line))
            if message := _message(runtime, now):
                st.caption(plain(message))

    status_line()


def _message(runtime: Runtime, status: WorkerStatus) -> str:
    """What the status says, for one whose app runs: there is no other to start."""
    if status.state != "absent" or runtime.worker is None:
        return status.message
    if runtime.worker.is_running and runtime.worker.trouble:
        return runtime.worker.trouble  # which a disk that is full does not take
    if runtime.worker.is_running:
        return f"Nothing was reported for {HEARTBEAT_LOST_SECONDS:.0f} s: the machine is busy."
    return "It has ended. Reload the page to start it again."


_STATES: dict[str, tuple[Literal["orange", "green", "red", "gray"], str, str]] = {
    "starting": ("orange", ":material/hourglass_top:", "Starting"),
    "loading": ("orange", ":material/hourglass_top:", "Loading the model"),
    "idle": ("green", ":material/check_circle:", "Ready"),
    "busy": ("orange", ":material/cadence:", "Working"),
    "failed": ("red", ":material/error:", "Stopped"),
    "absent": ("gray", ":material/power_off:", "Not running"),
}
