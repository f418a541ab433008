"""The film of a walk: every stored picture in its order, by a task, and kept."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from core.diffusion.settings import GenerationSettings
from core.exports.films.kept import kept_films
from core.exports.films.walk import WalkFilm, make_walk_film, walk_arguments
from core.runs.store.store import Store
from core.runs.worker.tasks.work import TaskContext, TaskError
from tests.core.exports.films.doubles import put_run, settings
from tests.core.exports.films.test_film import carry_out


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


def walk_of(store: Store, *, back: bool = True) -> WalkFilm:
    images = [put_run(store, settings(seed)).image for seed in range(3)]
    digests = tuple(image.digest for image in images if image is not None)
    return WalkFilm(digests=digests, format="webp", fps=8, there_and_back=back)


def test_it_shows_every_picture_there_and_back(store: Store) -> None:
    walk = walk_of(store)
    context = TaskContext(store=store, source=lambda digest: np.zeros((1, 1, 3), np.uint8))
    name, said = carry_out(
        make_walk_film(context, GenerationSettings(), **walk_arguments(walk)), None
    )
    assert said == [(done, 4) for done in (1, 2, 3, 4)]
    path = walk.find(store)
    assert path is not None
    assert path.name == name


@pytest.mark.parametrize(
    "change", [{"fps": 9}, {"there_and_back": False}, {"format": "gif"}, {"digests": ("a", "b")}]
)
def test_another_film_is_another_file(change: dict[str, object]) -> None:
    walk = WalkFilm(digests=("b", "a"), format="webp", fps=8, there_and_back=True)
    assert replace(walk, **change).name != walk.name
    assert WalkFilm(**asdict(walk)).name == walk.name


def test_a_picture_that_is_gone_is_said_and_leaves_no_file(store: Store) -> None:
    walk = walk_of(store)
    store.delete([walk.digests[1]])
    context = TaskContext(store=store, source=lambda digest: np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(TaskError, match="deleted"):
        carry_out(make_walk_film(context, GenerationSettings(), **walk_arguments(walk)), None)
    assert not list(kept_films(store).folder.iterdir())
