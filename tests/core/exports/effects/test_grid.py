"""A stored sweep as statistics see it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.exports.effects.baselines import AGAINST, base_places
from core.exports.effects.grid import OWN, MeasuredGrid, measure_note, measured_grid
from core.runs.store.store import Store
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import Sweep
from tests.core.exports.effects.doubles import MISSING, Stored, guidance_by_seed, put_sweep
from tests.core.runs.doubles import colour, settings


def gridded(stored: Stored, against: str = "baseline", **own: dict[str, float]) -> MeasuredGrid:
    return measured_grid(
        stored.sweep,
        stored.plan,
        stored.known(against),
        reasons=stored.reasons,
        bases=stored.bases(against),
        own=own,
    )


def test_the_seed_is_the_block_and_the_other_axes_are_factors(tmp_path: Path) -> None:
    stored = put_sweep(Store(tmp_path), guidance_by_seed())
    grid = gridded(stored).grid
    (factor,) = grid.factors
    assert (factor.name, factor.label) == ("guidance_scale", "Guidance scale")
    assert (factor.levels, factor.numbers) == (("3", "7"), (3.0, 7.0))
    assert (grid.blocks(), grid.block_label) == (("1", "2", "3"), "seed")
    assert grid.values("clip_score").tolist() == [[20, 21], [21, 22], [22, 23]]
    assert not grid.missing
    assert {one.digest for one in grid.observations} == set(stored.plan.digests)


def test_a_cell_is_compared_with_the_first_values_of_its_own_seed(tmp_path: Path) -> None:
    stored = put_sweep(Store(tmp_path), guidance_by_seed("3, 7", "1, 200"))
    assert gridded(stored).grid.values("rmse").tolist() == [[0, 0], [0, 0]]
    by_column = gridded(stored, "column").grid.values("rmse")
    cells = {(cell.x, cell.y): cell.settings for cell in stored.plan.cells}
    a, b = (np.array(colour(cells[0, y]), float) for y in (0, 1))
    apart = np.sqrt(np.mean((a - b) ** 2))
    assert by_column == pytest.approx(np.array([[0, 0], [apart, apart]]))


@pytest.mark.parametrize(
    ("against", "place"),
    [("baseline", (0, 2, 0)), ("row", (0, 2, 1)), ("column", (1, 0, 1)), ("reference", (1, 1, 0))],
)
def test_every_way_to_compare_names_its_cell(against: str, place: tuple[int, int, int]) -> None:
    sweep = replace(guidance_by_seed(), z=parse_axis("num_inference_steps", "4, 5"))
    assert base_places(sweep, against, (1, 1, 0))[1, 2, 1] == place
    assert AGAINST[against] in measure_note("rmse", against)


def test_cells_without_a_picture_are_named_and_no_observations(tmp_path: Path) -> None:
    stored = put_sweep(Store(tmp_path), guidance_by_seed(), without=(1, 2, 3, 4))
    grid = gridded(stored).grid
    assert len(grid.observations) == 2
    (sentence,) = grid.missing
    assert sentence.startswith("4 cells are missing (Guidance scale 7, Seed 1; ")
    assert sentence.endswith(f"and 1 more): {MISSING}.")


def test_one_seed_is_one_block_and_one_cell_a_grid_too(tmp_path: Path) -> None:
    store = Store(tmp_path)
    grid = gridded(put_sweep(store, guidance_by_seed(seeds=""))).grid
    assert (len(grid.blocks()), grid.shape()) == (1, (2,))
    single = Sweep(base=settings(1, width=16, height=16), x=parse_axis("guidance_scale", "3"))
    grid = gridded(put_sweep(store, single)).grid
    assert (len(grid.blocks()), grid.shape()) == (1, (1,))


def test_a_persons_numbers_are_a_measure(tmp_path: Path) -> None:
    stored = put_sweep(Store(tmp_path), guidance_by_seed())
    first = stored.plan.digests[0]
    grid = gridded(stored, Rating={first: 4.0}, Elsewhere={"0" * 64: 1.0}).grid
    assert grid.measure(f"{OWN}Rating").label == "Rating"
    assert np.isnan(grid.values(f"{OWN}Rating")).sum() == 5
    assert f"{OWN}Elsewhere" not in {measure.name for measure in grid.measures}


def test_measures_that_nobody_could_take_are_left_out_by_name(tmp_path: Path) -> None:
    stored = put_sweep(Store(tmp_path), guidance_by_seed())
    grid = gridded(stored).grid
    assert "clip_cosine" not in {measure.name for measure in grid.measures}
    assert "CLIP cosine is left out: no CLIP is here for this model." in grid.left_out
    assert any(one.startswith("LPIPS is left out") for one in grid.left_out)
    units = {measure.name: (measure.label, measure.unit) for measure in grid.measures}
    assert units["jpeg_size"] == ("JPEG size", "kB")


@pytest.mark.parametrize("new_seed", ["column", ""])
def test_seeds_that_move_with_an_axis_are_said(tmp_path: Path, new_seed: str) -> None:
    sweep = replace(guidance_by_seed(seeds=""), new_seed=new_seed)
    found = gridded(put_sweep(Store(tmp_path), sweep))
    assert len(found.notes) == bool(new_seed)
    assert all("Guidance scale" in note and "cannot be told apart" in note for note in found.notes)


def test_pictures_lie_where_their_pixels_say(tmp_path: Path) -> None:
    stored = put_sweep(Store(tmp_path), guidance_by_seed("3, 7", "1, 200"))
    (space,) = gridded(stored).spaces
    assert space.embedding is not None
    apart = np.linalg.norm(space.embedding[0] - space.embedding[2])
    a, b = (np.array(colour(stored.plan.cells[n].settings), float) for n in (0, 2))
    assert apart == pytest.approx(np.sqrt(np.mean((a - b) ** 2)), rel=1e-5)
