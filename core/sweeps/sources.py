"""Source pictures of a spec by the names of their files, read and kept as the app keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.diffusion.recipe.images import PictureError, open_picture, prepare
from core.diffusion.recipe.settings_table import SETTINGS
from core.sweeps.axis import SIDES, Axis, SweepError
from core.sweeps.sweep import Sweep
from core.sweeps.values import MAX_VALUES

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

Keep = Callable[[np.ndarray, str], str]
"""A prepared picture and the name of its file -> its digest."""


def with_source_files(sweep: Sweep, beside: Path, keep: Keep) -> Sweep:
    """The sweep with a digest for each source picture that is the name of a file, or of a folder
    of them, seen from the folder `beside`; each is cropped to the size of the base settings.

    Raises SweepError with a line for each file that cannot be used.
    """
    problems: list[str] = []
    label, base = SETTINGS["init_image"].label, sweep.base

    def digests(text: str) -> list[str]:
        found: list[str] = []
        try:
            files = _files(text, beside)
        except SweepError as error:
            problems.append(f"{label}: {error}")
            return []
        for path in files:
            try:
                picture = open_picture(path.read_bytes())
                array = prepare(picture, base.width, base.height, "crop")
                found.append(keep(array, path.name))
            except (PictureError, OSError) as error:
                why = error.strerror if isinstance(error, OSError) else error
                problems.append(f"{label}: {path}: {why}")
        return found

    def read(axis: Axis) -> Axis:
        linked = read(axis.linked) if axis.linked else None
        if axis.name != "init_image":
            return replace(axis, linked=linked)
        values = [one for value in axis.values for one in _each(str(value), digests)]
        once = values if linked else list(dict.fromkeys(values))
        return replace(axis, values=tuple(once), linked=linked)

    changed: dict[str, Axis] = {}
    for side in SIDES:
        if (axis := sweep.axes().get(side)) is not None:
            changed[side] = read(axis)
    sources = _each(base.init_image, digests) if base.init_image else [""]
    if len(sources) > 1:
        problems.append(f"{label}: {base.init_image} is a folder: name one of its pictures")
    if problems:
        raise SweepError("\n".join(problems))
    return replace(sweep, base=replace(base, init_image=sources[0]), **changed)


def _each(value: str, digests: Callable[[str], list[str]]) -> list[str]:
    return digests(value) if SETTINGS["init_image"].problem(value) else [value]


def _files(text: str, beside: Path) -> list[Path]:
    """The file of that name, or the pictures of that folder by their names. Raises SweepError."""
    path = beside / Path(text).expanduser()
    try:
        if path.is_dir():
            found = sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES)
            if not found:
                raise SweepError(f"{path} has no PNG, JPEG or WebP picture")
            if len(found) > MAX_VALUES:
                raise SweepError(f"{path} has {len(found)} pictures: up to {MAX_VALUES} are read")
            return found
        if path.is_file():
            return [path]
    except (OSError, ValueError) as error:
        raise SweepError(f"{text!r} cannot be read: {error}") from error
    raise SweepError(f"{path} is neither a picture nor a folder of pictures")
