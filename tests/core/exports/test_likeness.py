"""Distances between stored pictures, and frames spaced evenly in them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.diffusion.settings import GenerationSettings
from core.exports.likeness import evenness, likeness, likeness_to_source, spaced_evenly, way
from core.runs.queue.tasks import Tasks
from core.runs.store.store import Store
from core.runs.worker.tasks.work import TaskContext, TaskError, Work
from tests.core.runs.doubles import colour, generation, info, settings


def context(store: Store) -> TaskContext:
    return TaskContext(store=store, source=Tasks(store).source)


def result_of(work: Work) -> dict[Any, Any]:
    steps: list[tuple[int, int]] = []
    while True:
        try:
            steps.append(next(work))  # type: ignore[arg-type]
        except StopIteration as end:
            return {"steps": steps, **end.value}


def test_the_likeness_of_stored_pictures(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = [store.put(generation(settings(seed)), info()) for seed in (1, 2)]
    one, other = (image.digest for image in made)
    pairs = [(one, one), (one, other)]
    found = result_of(likeness(context(store), GenerationSettings(), pairs, True))
    assert found["steps"] == [(1, 2), (2, 2)]
    same, apart = found[one, one], found[one, other]
    assert (same.rmse, same.ssim, same.clip) == (0, 1, pytest.approx(1))
    a, b = (np.array(colour(image.settings), dtype=float) for image in made)
    assert apart.rmse == pytest.approx(np.sqrt(np.mean((a - b) ** 2)))
    assert apart.ssim < 1
    assert apart.clip < 1
    without = result_of(likeness(context(store), GenerationSettings(), pairs))
    assert without[one, other].clip is None


def test_the_likeness_to_a_source_that_is_not_stored(tmp_path: Path) -> None:
    store = Store(tmp_path)
    image = store.put(generation(settings(1)), info())
    pixels = np.full((image.settings.height, image.settings.width, 3), colour(image.settings))
    digest = Tasks(store).keep_source(pixels.astype(np.uint8))
    given = (context(store), GenerationSettings(), digest, [image.digest])
    found = result_of(likeness_to_source(*given))[image.digest]
    assert (found.rmse, found.ssim, found.clip) == (0, 1, pytest.approx(1))
    assert not store.inputs.holds(digest), "what was only looked at is no input of a picture"


def test_a_deleted_picture_ends_the_task_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="deleted"):
        result_of(likeness(context(Store(tmp_path)), GenerationSettings(), [("0" * 64, "1" * 64)]))


def test_frames_are_spaced_evenly_along_a_way_of_known_length() -> None:
    """The way is x = t squared: equal steps in x are at the roots."""
    places = [i / 100 for i in range(101)]
    steps = [b**2 - a**2 for a, b in pairwise(places)]
    found = spaced_evenly(places, steps)
    assert found[:2] == [0, pytest.approx(0.1, abs=1e-3)]
    assert found == pytest.approx(np.sqrt(places), abs=6e-3)
    assert evenness(steps) == pytest.approx(1.99)
    assert evenness([b**2 - a**2 for a, b in pairwise(found)]) < 1.05


def test_a_way_that_closes_is_spaced_over_its_last_step_too() -> None:
    found = spaced_evenly([0.0, 0.25, 0.5, 0.75], [3.0, 1.0, 1.0, 1.0])
    assert found == [0.0, 0.125, 0.25, 0.625]
    assert way(["a", "b", "c"], closes=True) == [("a", "b"), ("b", "c"), ("c", "a")]
    assert way(["a", "b", "c"], closes=False) == [("a", "b"), ("b", "c")]


def test_standing_still_does_no_harm() -> None:
    assert spaced_evenly([0.0, 0.5, 1.0], [0.0, 0.0]) == [0.0, 0.5, 1.0]
    assert spaced_evenly([0.0, 0.5, 1.0], [0.0, 2.0]) == [0.0, 0.75, 1.0]
    assert evenness([0.0, 0.0]) == 1
