"""The lessons that are there, read again when a file has changed."""

from __future__ import annotations

from core.lessons.shelf import LESSONS, OWN_FOLDER, Shelf, all_lessons
from ui.runtime import Runtime

_kept: dict[str, tuple[tuple[tuple[str, int], ...], Shelf]] = {}
"""By data folder: the files with their times of change, and what was read of them."""


def shelf_of(runtime: Runtime) -> Shelf:
    """The app's lessons and those in the folder "lessons" of the data folder."""
    folder = runtime.store.folder
    files = [*LESSONS.glob("*"), *(folder / OWN_FOLDER).glob("*")]
    stamps = tuple(sorted((str(path), path.stat().st_mtime_ns) for path in files))
    kept = _kept.get(str(folder))
    if kept is None or kept[0] != stamps:
        kept = stamps, all_lessons(folder, runtime.store.inputs.keep)
        _kept[str(folder)] = kept
    return kept[1]
