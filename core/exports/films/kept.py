"""The films' folder in the store: films are written there once, and found again by their names."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np

from core.output.film.film import FilmError, film_pieces, zip_pieces
from core.output.sheet.sheet import SheetError
from core.runs.store.shelf import Shelf
from core.runs.store.store import Store, StoreError
from core.runs.worker.tasks.work import TaskError, Work

FileFormat = Literal["mp4", "gif", "webp", "zip"]

KEPT_FILMS = 20


def kept_films(store: Store) -> Shelf:
    """The folder, with at most KEPT_FILMS files."""
    return Shelf(store.folder / "films", most_files=KEPT_FILMS)


def write_kept(
    store: Store,
    name: str,
    frames: Iterator[np.ndarray],
    count: int,
    format: FileFormat,
    fps: int,
) -> Work:
    """The part of a task that writes `count` frames, uint8 (H, W, 3), to the file `name`, which
    is its result. Raises what `frames` raise, FilmError and OSError.
    """
    films = kept_films(store)
    path = films.place(name)
    for done in (
        zip_pieces(frames, path) if format == "zip" else film_pieces(frames, path, format, fps)
    ):
        yield done, count
    films.tidy(keep=[path])
    return path.name


@contextmanager
def as_task_errors() -> Generator[None]:
    """Raise what can be said to a person as TaskError."""
    try:
        yield
    except (FilmError, SheetError, StoreError) as error:
        raise TaskError(str(error)) from error
    except OSError as error:
        raise TaskError(f"The film could not be written ({error.strerror or error}).") from error
