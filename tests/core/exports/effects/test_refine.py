"""What is proposed for a stored grid: values, seeds, and why where neither can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from core.exports.effects.found import find_effects, stored_grid
from core.exports.effects.grid import MeasuredGrid
from core.exports.effects.refine import SEEDS, Refinement, refinements, smallest_budget
from core.output.effects.grid import PictureSpace
from core.runs.store.store import Store
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import MAX_CELLS, Sweep
from tests.core.exports.effects.doubles import guidance_by_seed, put_sweep


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def measured_of(store: Store, sweep: Sweep, *, without: tuple[int, ...] = ()) -> MeasuredGrid:
    stored = put_sweep(store, sweep, without=without)
    return stored_grid(store, sweep, stored.plan, stored.reasons)


def placed(measured: MeasuredGrid, places: dict[int, float]) -> MeasuredGrid:
    """Its pictures on a line, by their value's index, and a little aside by their seed."""
    points = [
        [places[one.levels[0]] * (1 + 0.1 * index)]
        for index, one in enumerate(measured.grid.observations)
    ]
    space = PictureSpace(name="clip", label="CLIP embedding", embedding=np.array(points))
    return replace(measured, spaces=(space,))


def ways(sweep: Sweep, measured: MeasuredGrid, budget: int) -> dict[str, Refinement]:
    effects = find_effects(measured, ["clip_score"], with_pictures=False)
    return {one.name: one for one in refinements(sweep, measured, effects, budget)}


def test_the_value_goes_where_pictures_differ_most(store: Store) -> None:
    sweep = guidance_by_seed("3, 7, 9", "1, 2")
    measured = placed(measured_of(store, sweep), {0: 1.0, 1: 1.2, 2: 5.0})
    found = ways(sweep, measured, 5)
    way = found["guidance_scale"]
    assert way.sweep is not None
    assert way.sweep.x is not None
    # Two columns of two cells are within five; 8 first, then one half of that gap.
    assert way.added == ("8", "7.5")
    assert way.sweep.x.values == (3.0, 7.0, 7.5, 8.0, 9.0)
    assert (way.cells, way.sweep.size()) == (4, 10)
    clip = measured.spaces[0].embedding
    assert clip is not None
    column = {
        (one.levels[0], one.block): float(clip[index, 0])
        for index, one in enumerate(measured.grid.observations)
    }
    mean = np.mean([abs(column[2, block] - column[1, block]) for block in ("1", "2")])
    assert f"8: the pictures of 7 and 9 are on average {mean:.3g} apart" in way.reasons[0]
    assert f"taken to be {mean / 2:.3g} apart, half of the gap before" in way.reasons[1]
    assert next(iter(found)) == "guidance_scale"


def test_seeds_narrow_the_widest_interval_to_what_is_expected(store: Store) -> None:
    sweep = guidance_by_seed("3, 7", "1, 2, 3")
    stored = put_sweep(store, sweep)
    own = {
        digest: 10.0 * cell.x + cell.y * cell.x
        for digest, cell in zip(stored.plan.digests, stored.plan.cells, strict=True)
    }
    measured = stored_grid(store, sweep, stored.plan, {})
    grid = measured.grid
    observations = tuple(
        replace(one, values={**one.values, "clip_score": own[one.digest]})
        for one in grid.observations
    )
    measured = replace(measured, grid=replace(grid, observations=observations))
    way = ways(sweep, measured, 11)[SEEDS]
    assert way.added == ("4", "5", "6", "7", "8"), "five seeds of two cells are within eleven"
    assert way.cells == 10
    half = stats.t.ppf(0.975, 7) * np.std([10, 11, 12], ddof=1) / np.sqrt(8)
    assert "The widest interval is that of Guidance scale 3 → 7: CLIP score +11" in way.reasons[0]
    assert f"With 8 seeds instead of 3 it is expected to be its mean ± {half:.1f}" in way.reasons[0]


def test_one_seed_gets_an_axis_of_seeds(store: Store) -> None:
    sweep = guidance_by_seed("3, 7", "")
    way = ways(sweep, measured_of(store, sweep), 6)[SEEDS]
    assert way.sweep is not None
    assert way.sweep.y is not None
    assert way.sweep.y.values == (1, 2, 3, 4)
    assert (way.added, way.cells) == (("2", "3", "4"), 6)
    assert "what happened once" in way.reasons[0]


def test_differences_that_never_vary_need_no_seeds(store: Store) -> None:
    sweep = guidance_by_seed("3, 7", "1, 2, 3")  # its CLIP scores are 20 + column + row
    way = ways(sweep, measured_of(store, sweep), 6)[SEEDS]
    assert way.sweep is None
    assert "exactly the same with each seed" in way.problem


def test_a_gap_without_a_pair_is_named_and_left(store: Store) -> None:
    sweep = guidance_by_seed("3, 7, 9", "1, 2")
    # No picture of 9: 3 -> 7 is all that is known.
    measured = measured_of(store, sweep, without=(2, 5))
    way = ways(sweep, placed(measured, {0: 1.0, 1: 2.0}), 2)["guidance_scale"]
    assert way.added == ("5",)
    assert way.reasons[-1] == (
        "Guidance scale 7 → 9: no pair of pictures is there, so it is not judged."
    )
    assert "of the pairs that exist" in way.reasons[0]


@pytest.mark.parametrize(
    ("sweep", "budget", "name", "words"),
    [
        (guidance_by_seed("3, 7", "1, 2, 3"), 2, "guidance_scale", "one value more is 3 cells"),
        (guidance_by_seed("3, 7", "1, 2, 3"), 1, SEEDS, "one more for the whole grid is 2 cells"),
        (guidance_by_seed("3, 7", ""), 1, SEEDS, "is 2 cells: allow at least as many"),
        (guidance_by_seed("3, 3.005", "1, 2"), 9, "guidance_scale", "as close as they can be"),
        (
            replace(guidance_by_seed("3, 7"), x=parse_axis("scheduler", "DDIM, Euler")),
            9,
            "scheduler",
            "its values are names",
        ),
        (
            replace(
                guidance_by_seed("3, 7", ""),
                y=parse_axis("num_inference_steps", "2, 3"),
                z=parse_axis("scheduler", "DDIM, Euler"),
            ),
            9,
            SEEDS,
            "columns, rows and pages all vary",
        ),
    ],
)
def test_what_cannot_be_added_says_why(
    store: Store, sweep: Sweep, budget: int, name: str, words: str
) -> None:
    measured = placed(measured_of(store, sweep), {0: 1.0, 1: 2.0, 2: 3.0})
    way = ways(sweep, measured, budget)[name]
    assert way.sweep is None
    assert words in way.problem


def test_pictures_that_are_all_the_same_need_no_value(store: Store) -> None:
    sweep = guidance_by_seed("3, 7", "1, 2")
    measured = placed(measured_of(store, sweep), {0: 0.0, 1: 0.0})
    assert "all the same" in ways(sweep, measured, 9)["guidance_scale"].problem
    unseen = replace(measured, spaces=())
    assert "no picture of it is measured" in ways(sweep, unseen, 9)["guidance_scale"].problem


def test_an_extended_sweep_keeps_its_cells_and_can_be_written_and_read(store: Store) -> None:
    sweep = guidance_by_seed("3, 7", "1, 2")
    measured = placed(measured_of(store, sweep), {0: 1.0, 1: 2.0})
    for way in ways(sweep, measured, 8).values():
        if way.sweep is None:
            continue
        assert Sweep.from_dict(way.sweep.to_dict()) == way.sweep
        kept = {cell.settings for cell in sweep.cells()}
        assert kept < {cell.settings for cell in way.sweep.cells()}
        assert way.cells == way.sweep.size() - sweep.size() <= 8


def test_a_budget_past_the_largest_sweep_ends_there(store: Store) -> None:
    sweep = guidance_by_seed("3, 7", "")
    way = ways(sweep, measured_of(store, sweep), MAX_CELLS)[SEEDS]
    assert way.sweep is not None
    assert MAX_CELLS - 2 < way.sweep.size() <= MAX_CELLS


def test_the_smallest_budget_is_a_value_or_a_seed() -> None:
    assert smallest_budget(guidance_by_seed("3, 7", "1, 2, 3")) == 3
    assert smallest_budget(guidance_by_seed("3, 5, 7, 9", "1, 2, 3")) == 4
    assert smallest_budget(guidance_by_seed("3, 5, 7, 9", "")) == 4
