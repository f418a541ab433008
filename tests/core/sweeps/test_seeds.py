"""More seeds of a sweep keep every cell that it has."""

from __future__ import annotations

from dataclasses import replace

from core.diffusion.settings import MAX_SEED, GenerationSettings
from core.sweeps.axis import parse_axis
from core.sweeps.seeds import block_side, with_more_seeds
from core.sweeps.sweep import Sweep

BASE = GenerationSettings(prompt="a red apple", seed=5)
GUIDED = Sweep(base=BASE, x=parse_axis("guidance_scale", "3, 7"))


def settings_of(sweep: Sweep | None) -> set[GenerationSettings]:
    assert sweep is not None
    return {cell.settings for cell in sweep.cells()}


def test_a_sweep_of_one_seed_gets_an_axis_that_begins_with_it() -> None:
    more = with_more_seeds(GUIDED, 7)
    assert more is not None
    assert more.y is not None
    assert more.y.values == tuple(range(5, 13))
    assert settings_of(more) > settings_of(GUIDED)
    assert (block_side(GUIDED), block_side(more)) == (None, "y")


def test_an_axis_of_seeds_goes_on() -> None:
    sweep = replace(GUIDED, y=parse_axis("seed", "9, 11, 10"))
    more = with_more_seeds(sweep, 2)
    assert more is not None
    assert more.y is not None
    assert more.y.values == (9, 11, 10, 12, 13)
    assert settings_of(more) > settings_of(sweep)


def test_past_the_greatest_seed_it_counts_from_0() -> None:
    more = with_more_seeds(Sweep(base=replace(BASE, seed=MAX_SEED)), 2)
    assert more is not None
    assert more.y is not None
    assert more.y.values == (MAX_SEED, 0, 1)


def test_seeds_of_variations_are_seeds_too() -> None:
    sweep = Sweep(base=BASE, x=parse_axis("variation_seed", "1, 2"))
    more = with_more_seeds(sweep, 1)
    assert more is not None
    assert more.x is not None
    assert more.x.values == (1, 2, 3)


def test_a_seed_that_moves_with_something_is_not_what_cells_are_paired_by() -> None:
    linked = replace(parse_axis("seed", "1, 2"), linked=parse_axis("num_inference_steps", "5, 6"))
    assert block_side(Sweep(base=BASE, x=linked)) is None


def test_three_sides_in_use_leave_no_room() -> None:
    full = replace(
        GUIDED,
        y=parse_axis("num_inference_steps", "5, 6"),
        z=parse_axis("scheduler", "Euler, DDIM"),
    )
    assert with_more_seeds(full, 7) is None
