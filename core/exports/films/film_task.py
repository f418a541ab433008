"""The task that makes a film, from arguments of JSON: it needs no page that stays open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import StepRecord
from core.exports.films.film import Cut, FileFormat, Film, Shot
from core.output.film.film import FilmError
from core.runs.store.store import Store
from core.runs.worker.tasks.runner import TaskContext, TaskError, Work
from core.sweeps.axis import SweepError
from core.sweeps.sweep import Sweep


def film_arguments(film: Film, format: FileFormat) -> dict[str, Any]:
    """What `make_film` needs to make this film again elsewhere, as JSON."""
    return {
        "format": format,
        "cut": asdict(film.cut) | {"kinds": list(film.cut.kinds)},
        "shots": [_written(shot) for shot in film.shots],
        "sweep": film.sweep.to_dict() if film.sweep else None,
        "z": film.z,
    }


def make_film(
    context: TaskContext,
    settings: GenerationSettings,
    format: FileFormat,
    cut: Mapping[str, Any],
    shots: Sequence[Mapping[str, Any]],
    sweep: Mapping[str, Any] | None,
    z: int,
) -> Work:
    """A task: the film of `film_arguments`, in the films' folder. Its result is the file's name.

    `settings` are those of any of its runs: each is decoded by its own model.
    """
    try:
        film = Film(
            store=context.store,
            cut=replace(Cut(**cut), kinds=tuple(cut["kinds"])),
            shots=tuple(_read(context.store, shot) for shot in shots),
            sweep=Sweep.from_dict(sweep) if sweep else None,
            z=z,
        )
    except (FilmError, SweepError) as error:
        raise TaskError(str(error)) from error
    return (yield from film.work(format))


def _written(shot: Shot) -> dict[str, Any]:
    return {
        "digest": shot.image.digest if shot.image else None,
        "moves": bool(shot.records),
        "place": [shot.x, shot.y, shot.z],
        "reason": shot.reason,
    }


def _read(store: Store, written: Mapping[str, Any]) -> Shot:
    x, y, z = written["place"]
    image = store.get(written["digest"]) if written["digest"] else None
    if written["digest"] and image is None:
        raise TaskError("A picture of this film has been deleted: choose the runs again.")
    records: tuple[StepRecord, ...] = ()
    if image is not None and written["moves"]:
        trajectory = store.trajectory(image.digest)
        if trajectory is None:
            raise TaskError("The steps of this picture are not recorded any more.")
        records = tuple(trajectory.records)
    return Shot(image=image, records=records, x=x, y=y, z=z, reason=written["reason"])
