"""Export: the grid as a picture or a PDF, as a film, as numbers and as files."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import streamlit as st

from core.diffusion.models.load import ModelError
from core.diffusion.settings import GenerationSettings
from core.exports.formats import FORMATS, Part, of_kind
from core.exports.sweep import SweepExport
from core.output.film.film import FilmError
from core.output.sheet.layout import NARROWEST_CM, WIDEST_CM
from core.output.sheet.sheet import SheetError, SheetOptions, fit_sheet
from core.runs.store.store import StoreError
from core.sweeps.drawn import said
from core.sweeps.seeds import block_side
from ui.catalog import FILM
from ui.frame import SLOW_POLL_SECONDS, safe
from ui.grid.board import Board, reason_of
from ui.grid.jobs import submit_sweep
from ui.grid.numbers import export_of
from ui.grid.state import GridState
from ui.runtime import Runtime
from ui.send import send_film
from ui.settings.fields import bounded
from ui.views import plain, show_error

CELL_SIZES = {"As stored": None, "64": 64, "128": 128, "256": 256, "512": 512}


def show_export(runtime: Runtime, board: Board) -> None:
    """Every export of a sweep; files are made when they are asked for."""
    waiting = len(board.cells) - len(board.done())
    if waiting:
        st.caption(f"{waiting} cells are not finished: they are left empty, with the reason.")
    st.subheader("The grid as a picture", anchor=False)
    options = _sheet_options(board.state)
    export = replace(export_of(runtime.store, board, options), with_effects=_with_effects(board))
    _show_sheets(board, export)
    st.subheader("The grid as a film", anchor=False)
    _show_films(runtime, board, export)
    st.subheader("The cells and their numbers", anchor=False)
    _show_files(board, export)
    _show_problem(board.state)


def _with_effects(board: Board) -> bool:
    """Whether the web page and the PDF say what the axes do; not asked where there is nothing."""
    seeds = block_side(board.sweep)
    if not board.done() or not [side for side in board.sweep.axes() if side != seeds]:
        return False
    return st.checkbox(
        "Effects in the PDF and the web page",
        key=board.state.name("with_effects"),
        help="An appendix: sentences, figures, a table and the methods, from every measure.",
    )


def watched(make: Callable[[], bytes], problem: list[str]) -> Callable[[], bytes]:
    """`make`, which a click runs outside of the page: why it could not is put into `problem`.

    Streamlit itself says only that there is no file.
    """

    def made() -> bytes:
        problem.clear()
        try:
            return make()
        except (SheetError, FilmError, StoreError, ModelError, OSError) as error:
            problem.append(str(error))
            raise

    return made


def _watched(board: Board, make: Callable[[], bytes]) -> Callable[[], bytes]:
    return watched(make, st.session_state.setdefault(_problem_name(board.state), []))


def _problem_name(state: GridState) -> str:
    return state.name("not_made")


@st.fragment(run_every=SLOW_POLL_SECONDS)
@safe
def _show_problem(state: GridState) -> None:
    """A click on a download reruns nothing, so this polls."""
    if problem := st.session_state.get(_problem_name(state)):
        show_error("This file could not be made", " ".join(problem))


def file_name(board: Board, suffix: str) -> str:
    """Ours, from the axes' names: nothing that a person typed."""
    names = [part.name for axis in board.sweep.axes().values() for part in axis.parts()]
    return f"lightbox-{'-'.join(names)}{suffix}".replace("_", "-")


def _sheet_options(state: GridState) -> SheetOptions:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        title = st.text_input("Title", key=state.name("title"), max_chars=200, width=220)
        size = st.selectbox("Cell size", list(CELL_SIZES), key=state.name("sheet_cell"), width=120)
        font = bounded(
            "Font size", 6, 200, None, key=state.name("font"), placeholder="auto", width=110
        )
        margin = bounded(
            "Margin", 0, 200, None, key=state.name("margin"), placeholder="auto", width=110
        )
        width_cm = bounded(
            "PDF width (cm)",
            float(NARROWEST_CM),
            float(WIDEST_CM),
            None,
            key=state.name("width_cm"),
            placeholder="by pixels",
            width=130,
            help="The column of a paper is about 8.5 cm wide, its page 17.5 cm.",
        )
        legend = st.checkbox("Legend", value=True, key=state.name("legend"))
        black = st.checkbox("Black background", key=state.name("black"))
    return SheetOptions(
        title=(title or "").strip(),
        cell_size=CELL_SIZES[size or "As stored"],
        font_size=font,
        margin=margin,
        show_legend=legend,
        background="black" if black else "white",
        width_cm=width_cm,
    )


def _show_sheets(board: Board, export: SweepExport) -> None:
    settings = [cell.at.settings for cell in board.cells]
    width, height = max(s.width for s in settings), max(s.height for s in settings)
    reasons = sorted({reason_of(cell) for cell in board.cells} - {""})
    captions = {cell.place: said(cell.at.drawn) for cell in board.cells if cell.at.drawn}
    with st.container(horizontal=True, gap="small"):
        notes: dict[str, None] = {}
        for row in of_kind("sheet"):
            try:
                medium = row.sheet or "png"
                size = fit_sheet(
                    board.sweep, width, height, export.options, medium, reasons, captions
                )
            except SheetError as error:
                notes[str(error)] = None
                size = None
            if size is not None and size.note:
                notes[size.note] = None
            words = f", {size.width} × {size.height} pixels" if size else ""
            inside = "The file contains the sweep: drop it on this page to restore it."
            if not row.holds(board.sweep):
                able = " and ".join(r.label for r in FORMATS.values() if r.holds(board.sweep))
                inside = f"The sweep is too long for a {row.label} to hold: {able} restore it."
            st.download_button(
                row.label,
                _watched(board, partial(row.write, export, Part())),
                file_name=file_name(board, row.suffixes[0]),
                mime=row.mime,
                key=board.state.name(f"sheet:{row.label}"),
                icon=":material/download:",
                help=f"{row.help.rstrip('.')}{words}. {inside}",
                disabled=size is None,
                on_click="ignore",
            )
    for note in notes:
        st.caption(plain(note))


def _show_films(runtime: Runtime, board: Board, export: SweepExport) -> None:
    done = board.done()
    if st.button(
        "Open in Film",
        key=board.state.name("open_film"),
        icon=FILM.icon,
        help="Play it in the app: decoded by the VAE, with captions, at any speed.",
    ):
        send_film(board.sweep)
    recorded = runtime.store.holds([cell.digest for cell in done], "latents")
    lacking = {cell.digest: cell.at.settings for cell in done if cell.digest not in recorded}
    if lacking:
        st.caption(
            "The film needs every step of every cell. They were not kept: recording computes "
            f"{len(lacking)} cells once more; their pictures stay the same."
        )
        st.button(
            f"Record {len(lacking)} cells",
            key=board.state.name("record"),
            icon=":material/videocam:",
            disabled=board.is_running,
            on_click=_record,
            args=(runtime, board, list(lacking.values())),
        )
        return
    if not done:
        return
    pages = board.sweep.shape()[2]
    z = 0
    if board.sweep.z is not None and pages > 1:
        z = st.selectbox(
            "Page",
            list(range(pages)),
            format_func=board.sweep.z.value_label,
            key=board.state.name("film_z"),
        )
    by_step = st.toggle(
        "One frame per step",
        key=board.state.name("by_step"),
        help="Cells of fewer steps finish earlier. Otherwise all begin and finish together.",
    )
    with st.container(horizontal=True, gap="small"):
        for row in of_kind("film"):
            st.download_button(
                row.label,
                _watched(board, partial(row.write, export, Part(z=z, by_step=by_step))),
                file_name=file_name(board, row.suffixes[0]),
                mime=row.mime,
                key=board.state.name(f"film:{row.label}"),
                icon=":material/movie:",
                help=row.help,
                on_click="ignore",
            )


def _show_files(board: Board, export: SweepExport) -> None:
    with st.container(horizontal=True, gap="small"):
        for row in of_kind("file"):
            ending = row.ending(export)
            st.download_button(
                row.label,
                _watched(board, partial(row.write, export, Part())),
                file_name=file_name(board, ending.suffix),
                mime=ending.mime,
                key=board.state.name(f"file:{row.label}"),
                icon=":material/download:",
                help=row.help,
                on_click="ignore",
            )


def _record(runtime: Runtime, board: Board, settings: list[GenerationSettings]) -> None:
    submit_sweep(runtime, board.sweep, settings, token=uuid.uuid4().hex, record="latents")
