"""Walks: from the source to another seed or prompt, or around a circle; played, measured, kept.

A frame is a stored picture like any other: a walk is a sweep along one axis, and made once.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.diffusion.recipe.variations import ready_to_vary
from core.diffusion.settings import MAX_SEED, GenerationSettings
from core.exports.films.walk import WalkFilm, walk_arguments
from core.exports.formats import film_files
from core.exports.likeness import Likeness, evenness, spaced_evenly, way
from core.output.figures.genealogy_figure import distance_figure
from core.runs.store.store import Store, StoredImage
from core.sweeps.axis import Axis
from core.sweeps.drawn import as_typed
from core.sweeps.sweep import Sweep
from ui.catalog import VARIATIONS
from ui.grid.board import Board, board_of
from ui.grid.compare import show_flipbook
from ui.grid.export import watched
from ui.grid.grid import develop, show_end
from ui.grid.plan import SweepForm, prepare, show_plan
from ui.grid.state import GridState
from ui.links import BOUND
from ui.runs.film_files import film_download, film_file
from ui.runs.tasks import await_task, request_of
from ui.runtime import Runtime
from ui.settings.fields import bounded
from ui.variations.children import make_button
from ui.variations.form import FIRST_CHILD, FRAMES, MOST_FRAMES, PREFIX, TURN, WALKS, key
from ui.views import show_empty, show_error

TO_SEED, TO_PROMPT, CIRCLE = WALKS
SAID = f"{PREFIX}:film_problem"


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass over a walk: what it remembers, and what is said of the frames it has to make."""

    state: GridState
    title: str
    what: str


FIRST_PASS = Pass(
    state=GridState(prefix=PREFIX, grid="walk"),
    title="{count} frames to make",
    what="Each is a picture that is stored, so a walk is made once. Then it plays here.",
)
SECOND_PASS = Pass(
    state=GridState(prefix=PREFIX, grid="even walk"),
    title="Second pass: {count} frames",
    what="The first pass is made and measured. These frames are at the places that space them "
    "evenly.",
)


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A walk from `base` along `axes`, all at the same `places` in [0, 1]; `closes` leads back to
    it.
    """

    base: GenerationSettings
    axes: tuple[str, ...]
    count: int
    closes: bool
    is_even: bool

    def places(self) -> list[float]:
        """Evenly spaced in the parameter; of a circle the end, which is its beginning, is out."""
        steps = self.count if self.closes else self.count - 1
        return [round(index / steps, 5) for index in range(self.count)]

    def form(self, places: Sequence[float]) -> SweepForm:
        """The walk as the sweep that makes its frames."""
        axis: Axis | None = None
        for name in reversed(self.axes):
            axis = Axis(name=name, values=tuple(places), linked=axis)
        return SweepForm(sweep=Sweep(base=self.base, x=axis), problems=(), draws_seed=False)


def walk_form(image: StoredImage) -> Walk:
    """The panel: where to, in how many frames, and how they are spaced."""
    kind = st.segmented_control(
        "Walk", list(WALKS), default=TO_SEED, required=True, key=key("walk"), **BOUND
    )
    settings = as_typed(image.settings)
    base = ready_to_vary(settings)
    axes: tuple[str, ...] = ("variation_strength",)
    if kind == TO_PROMPT:
        base, axes = _to_prompt(settings)
    else:
        seed = _seed("Seed of the second noise" if kind == CIRCLE else "To seed")
        method = TURN if kind == CIRCLE else "slerp"
        base = replace(base, variation_seed=seed, variation_method=method)
        st.caption(
            "A full turn in the plane of the two noises, back to the source: an endless loop."
            if kind == CIRCLE
            else "The noise moves along the arc from the source's to that of the other seed."
        )
    count = st.slider("Frames", 2, MOST_FRAMES, FRAMES, key=key("frames"), **BOUND)
    is_even = st.toggle(
        "Space the frames evenly",
        key=key("even"),
        help="A walk through noise changes little and then jumps. The frames are measured, and "
        "made again at places where each is equally far from the next, in RMSE.",
        **BOUND,
    )
    return Walk(
        base=base, axes=axes, count=int(count), closes=kind == CIRCLE, is_even=bool(is_even)
    )


def _to_prompt(settings: GenerationSettings) -> tuple[GenerationSettings, tuple[str, ...]]:
    prompt = st.text_area("To prompt", settings.prompt, key=key("to_prompt"), height=76, **BOUND)
    base = replace(settings, prompt_2=prompt or "", prompt_blend=0.0)
    if settings.prompt_blend > 0:
        st.info("The source lies between two prompts itself: the walk starts at its first.")
    st.caption("A straight line between the two embeddings.")
    if not st.toggle(
        "And to another seed",
        key=key("too"),
        help="The noise moves along its arc at the same time.",
        **BOUND,
    ):
        return base, ("prompt_blend",)
    moved = replace(ready_to_vary(base), variation_seed=_seed("To seed"), variation_method="slerp")
    return moved, ("prompt_blend", "variation_strength")


def _seed(label: str) -> int:
    return bounded(label, 0, MAX_SEED, FIRST_CHILD, key=key("to_seed"), **BOUND)


def show_walk(runtime: Runtime, walk: Walk, button: DeltaGenerator) -> None:
    """The walk in the parameter's own steps; then, if asked for, spaced evenly. `button` is the
    place of the button that makes what is missing.
    """
    board, steps = _show_made(runtime, walk, walk.form(walk.places()), button, FIRST_PASS)
    if board is None or steps is None:
        return
    if not walk.is_even:
        _show_film(runtime, walk, board, {"As it is": steps})
        return
    even = walk.form(spaced_evenly(walk.places(), [one.rmse for one in steps]))
    board, again = _show_made(runtime, walk, even, button, SECOND_PASS)
    if board is not None and again is not None:
        _show_film(runtime, walk, board, {"Before": steps, "Spaced evenly": again})


def _show_made(
    runtime: Runtime, walk: Walk, form: SweepForm, button: DeltaGenerator, words: Pass
) -> tuple[Board | None, list[Likeness] | None]:
    """The frames, once they are all made, and their steps; until then what is missing."""
    plan, job = prepare(runtime, words.state, form, goes_on=words is FIRST_PASS and walk.is_even)
    if plan.problems:
        show_plan(form, plan)
        return None, None
    board = board_of(runtime, words.state, form.sweep, plan, job)
    if board.is_running or plan.to_compute:
        with button:
            make_button(plan, job, "frames", "walk")
        show_plan(form, plan, job)
    if board.is_running:
        develop(runtime, board, with_grid=True)
        return None, None
    show_end(runtime, board)
    if plan.to_compute:
        show_empty(
            VARIATIONS.icon,
            words.title.format(count=plan.to_compute),
            words.what,
        )
        return None, None
    digests = [cell.digest for cell in board.cells]
    pairs = way(digests, closes=walk.closes)
    measured: dict[tuple[str, str], Likeness] | None = await_task(
        runtime,
        request_of("likeness", GenerationSettings(model=walk.base.model), pairs=pairs),
        "Measuring the distances",
    )
    return board, None if measured is None else [measured[pair] for pair in pairs]


def _show_film(
    runtime: Runtime, walk: Walk, board: Board, measured: dict[str, list[Likeness]]
) -> None:
    show_flipbook(runtime, board, closes=walk.closes)
    _show_files(runtime, walk, board)
    steps = [one.rmse for one in list(measured.values())[-1]]
    words = f"The walk is {sum(steps):.0f} long in RMSE; its longest step is "
    words += f"{evenness(steps):.2f} times the mean."
    if len(measured) > 1:
        before = evenness([one.rmse for one in next(iter(measured.values()))])
        words += f" Before it was {before:.2f}."
    st.caption(words)
    left, right = st.columns(2, gap="small")
    for column, label, of in (
        (left, "RMSE to the next frame", lambda one: one.rmse),
        (right, "SSIM to the next frame", lambda one: one.ssim),
    ):
        lines = {
            name: [
                (float(i), value)
                for i, one in enumerate(found, 1)
                if (value := of(one)) is not None
            ]
            for name, found in measured.items()
        }
        with column:
            st.plotly_chart(
                distance_figure(lines, "Frame", label),
                key=f"{PREFIX}:steps:{label}",
                width="stretch",
            )


def _show_files(runtime: Runtime, walk: Walk, board: Board) -> None:
    digests = [cell.digest for cell in board.cells]
    problems: list[str] = st.session_state.setdefault(SAID, [])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        fps = bounded("Frames per second", 1, 30, 8, key=f"{PREFIX}:fps", width=150)
        back = not walk.closes and st.toggle("Forward and back", value=True, key=f"{PREFIX}:back")
        chosen = st.segmented_control(
            "Export the film",
            list(film_files()),
            key=f"{PREFIX}:file",
            help="A film that loops. GIF plays everywhere, with 256 colours per frame; WebP is "
            "smaller and has all colours.",
        )
        place = st.container(width="content")
        st.download_button(
            "Frames (ZIP)",
            watched(partial(frames_of, runtime.store, digests), problems),
            file_name="lightbox-walk.zip",
            mime="application/zip",
            key=f"{PREFIX}:film:frames",
            icon=":material/download:",
            help="The stored PNG files as they are, each with its settings.",
            on_click="ignore",
        )
    if problems:
        show_error("This file could not be made", " ".join(problems))
    if chosen is None:
        return
    format, mime = film_files()[chosen]
    film = WalkFilm(digests=tuple(digests), format=format, fps=int(fps), there_and_back=bool(back))
    request = request_of(
        "walk film", GenerationSettings(model=walk.base.model), **walk_arguments(film)
    )
    path = film_file(runtime, request, lambda: film.find(runtime.store), f"Making the {chosen}")
    if path is not None:
        film_download(place, path, chosen, f"lightbox-walk.{format}", mime)


def frames_of(store: Store, digests: Sequence[str]) -> bytes:
    """The stored files byte for byte, numbered in a ZIP. Raises StoreError."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, digest in enumerate(digests, start=1):
            archive.writestr(f"frame-{number:04}.png", store.image_bytes(digest))
    return buffer.getvalue()
