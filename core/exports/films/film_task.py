"""The task that makes a film, from arguments of JSON: it needs no page that stays open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import StepRecord
from core.exports.films.film import Film
from core.exports.films.film_settings import FilmedRun, FilmSettings
from core.exports.films.kept import FileFormat
from core.output.film.film import FilmError
from core.runs.store.store import Store
from core.runs.worker.tasks.work import TaskContext, TaskError, Work
from core.sweeps.axis import SweepError
from core.sweeps.sweep import Sweep


def film_arguments(film: Film, format: FileFormat) -> dict[str, Any]:
    """What `make_film` needs to make this film again elsewhere, as JSON."""
    return {
        "format": format,
        "film_settings": asdict(film.settings) | {"kinds": list(film.settings.kinds)},
        "runs": [_written(run) for run in film.runs],
        "sweep": film.sweep.to_dict() if film.sweep else None,
        "z": film.z,
    }


def make_film(
    context: TaskContext,
    settings: GenerationSettings,
    format: FileFormat,
    film_settings: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]],
    sweep: Mapping[str, Any] | None,
    z: int,
) -> Work:
    """A task: the film of `film_arguments`, in the films' folder. Its result is the file's name.

    `settings` are those of any of its runs: each is decoded by its own model.
    """
    try:
        film = Film(
            store=context.store,
            settings=replace(FilmSettings(**film_settings), kinds=tuple(film_settings["kinds"])),
            runs=tuple(_read(context.store, run) for run in runs),
            sweep=Sweep.from_dict(sweep) if sweep else None,
            z=z,
        )
    except (FilmError, SweepError) as error:
        raise TaskError(str(error)) from error
    return (yield from film.work(format))


def _written(run: FilmedRun) -> dict[str, Any]:
    return {
        "digest": run.image.digest if run.image else None,
        "moves": bool(run.records),
        "place": [run.x, run.y, run.z],
        "reason": run.reason,
    }


def _read(store: Store, written: Mapping[str, Any]) -> FilmedRun:
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
    return FilmedRun(image=image, records=records, x=x, y=y, z=z, reason=written["reason"])
