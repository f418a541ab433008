"""The film: made on the worker, played, stepped through, and exported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from core.diffusion.recipe.prompt.texts import switches as prompt_switches
from core.diffusion.settings import GenerationSettings
from core.exports.films.film import Film
from core.exports.films.film_task import film_arguments
from core.exports.films.kept import FileFormat
from core.exports.formats import FORMATS, film_files
from core.output.film.film import FilmError
from core.output.film.plot import Curve, norm_figure
from core.output.sheet.sheet import SheetError
from core.runs.store.store import StoreError
from ui.catalog import FILM
from ui.film.form import PREFIX, key
from ui.film.source import ChosenRuns
from ui.frame import safe
from ui.links import BOUND
from ui.runs.film_files import film_download, film_file
from ui.runs.tasks import request_of
from ui.runtime import Runtime
from ui.send import send_menu
from ui.views import show_error, show_warning

FRAME = key("frame")
BEYOND = f"{PREFIX}:beyond"
MOST_CURVES = 64
WIDEST_STILL = 780  # pixels: a picture given wider is sent as it is, and shown smaller
FRAMES = "PNG frames"
FILES: dict[str, tuple[FileFormat, str]] = {
    **film_files(),
    FRAMES: ("zip", FORMATS["zip"].mime),
}


def show_film(runtime: Runtime, film: Film, chosen: ChosenRuns) -> None:
    """The film as it plays, then frame by frame, then as files. Errors are said in its place."""
    try:
        path = made(runtime, film, "mp4")
        if path is None:
            return
        width = film.frames.frame(0).shape[1]
        with st.container(horizontal_alignment="center"):
            st.video(
                path,
                autoplay=True,
                loop=True,
                muted=True,
                width=width,
                alt=f"Film of {film.count} frames: {chosen.title}",
            )
        if film.note:
            st.caption(film.note)
        show_frames(film, curves_of(film, chosen), _switches(film, chosen))
        _show_files(runtime, film)
    except (FilmError, SheetError, StoreError) as error:
        show_error("This film cannot be made", str(error))


def made(runtime: Runtime, film: Film, format: FileFormat) -> Path | None:
    """The film's file, made where it is not kept; until then its progress with Stop, and None."""
    settings = film.filmed[0][0].settings if film.filmed else GenerationSettings()
    request = request_of("film", settings, **film_arguments(film, format))
    label = f"Making the {'frames' if format == 'zip' else format.upper()}"

    def find() -> Path | None:
        return None if film.not_decoded() else film.find(format)

    return film_file(runtime, request, find, label)


def curves_of(film: Film, chosen: ChosenRuns) -> list[Curve]:
    """Return the RMS of x_t and of its predicted x0 of one run; one of them a cell of a sweep."""
    curves: list[Curve] = []
    for run, name in zip(chosen.runs, chosen.names, strict=True):
        calls = [film.call(run, index) for index in range(film.count)]
        records = [run.records[call] if call < len(run.records) else None for call in calls]
        x_t = [record.latent_rms if record else None for record in records]
        x0 = [record.x0_rms if record else None for record in records]
        if film.sweep is None:
            return [Curve(name="x_t", values=x_t), Curve(name="Predicted x₀", values=x0)]
        if run.records:
            curves.append(Curve(name=name, values=x0 if film.settings.kinds == ("x0",) else x_t))
    return curves[:MOST_CURVES]


def _switches(film: Film, chosen: ChosenRuns) -> dict[float, str]:
    """Where the prompt of a film of one run is another from there on, by the frame, from 1."""
    run = chosen.runs[0]
    if film.sweep is not None or run.image is None:
        return {}
    calls = [film.call(run, index) for index in range(film.count)]
    found = prompt_switches(run.image.settings, len(run.records))
    return {calls.index(call) + 1: text for call, text in found.items() if call in calls}


@st.fragment
@safe
def show_frames(film: Film, curves: list[Curve], switches: Mapping[float, str]) -> None:
    """A slider over every frame, the frame itself, and the cursor of the norms beneath."""
    in_link = _number(st.query_params.get(FRAME, ""))
    if FRAME not in st.session_state and in_link > film.count:
        st.session_state[BEYOND] = in_link
    if st.session_state.get(FRAME, in_link) > film.count:
        st.session_state[FRAME] = film.count
    if asked := st.session_state.get(BEYOND):
        show_warning(
            "There is no such frame",
            f"The link asks for frame {asked}; this film has {film.count}. The last is shown.",
        )
    frame = st.slider(
        "Frame",
        1,
        film.count,
        key=FRAME,
        help="The last frame is the finished picture, as it is stored.",
        on_change=st.session_state.pop,
        args=(BEYOND, None),
        **BOUND,
    )
    try:
        picture = film.frames.frame(frame - 1)
    except (FilmError, StoreError) as error:
        show_error("This frame cannot be shown", str(error))
        return
    still, plot = st.columns(2, gap="medium")
    still.image(
        picture,
        output_format="PNG",
        width=min(picture.shape[1], WIDEST_STILL),
        alt=f"Frame {frame} of {film.count}",
    )
    figure = norm_figure(curves, frame, "RMS of the latents", switches)
    plot.plotly_chart(figure, key=f"{PREFIX}:norms", width="stretch")
    plot.caption(_what_to_see(film))


def _show_files(runtime: Runtime, film: Film) -> None:
    """One file of each kind; what is not made yet is made when its kind is chosen."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.segmented_control(
            "Export",
            list(FILES),
            default="MP4",
            required=True,
            key=f"{PREFIX}:file",
            help="GIF plays everywhere, with 256 colours per frame; WebP is smaller and has all "
            "colours; PNG frames are one file per frame, in a ZIP.",
        )
        place = st.container(width="content")
        if film.sweep is None:
            send_menu(runtime, film.filmed[0][0], FILM)
    kind = chosen or "MP4"
    format, mime = FILES[kind]
    path = made(runtime, film, format)
    if path is not None:
        film_download(place, path, kind, f"lightbox-film-{path.stem[:8]}.{format}", mime)


def _what_to_see(film: Film) -> str:
    if film.sweep is None:
        return (
            "x_t, variance preserving, stays near 1, as noise has it. The predicted x₀ changes "
            "until the picture is decided."
        )
    which = "predicted x₀" if film.settings.kinds == ("x0",) else "noisy latents"
    cells = "each cell" if len(film.filmed) <= MOST_CURVES else f"the first {MOST_CURVES} cells"
    return f"The {which} of {cells}, from blue to red in the order of the grid."


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 1
