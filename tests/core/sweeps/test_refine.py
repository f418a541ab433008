"""Values between those of an axis: which, where, and that every cell is kept."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from core.diffusion.settings import GenerationSettings
from core.sweeps.axis import Axis, parse_axis
from core.sweeps.refine import cells_of_value, neighbours, only_new, why_not, with_values
from core.sweeps.sweep import Sweep

BASE = GenerationSettings(prompt="a red apple", seed=5)


def of(name: str, values: str, **others: object) -> Sweep:
    return replace(Sweep(base=BASE), x=parse_axis(name, values), **others)


def linked(first: tuple[str, str], other: tuple[str, str]) -> Axis:
    axis = parse_axis(*first, is_linked=True)
    return replace(axis, linked=parse_axis(*other, is_linked=True))


def values_of(sweep: Sweep) -> tuple[object, ...]:
    assert sweep.x is not None
    return sweep.x.values


def by_loop(values: list[int], distances: list[float], count: int) -> list[int]:
    """The greedy choice once more, with exact halves and no list of gaps kept."""
    known = {(low, high): Fraction(d) for low, high, d in zip(values, values[1:], distances)}  # noqa: B905
    found: list[int] = []
    while len(found) < count:
        able = {gap: d for gap, d in known.items() if d > 0 and gap[1] - gap[0] > 1}
        if not able:
            break
        low, high = min(able, key=lambda gap: (-able[gap], gap[0]))
        middle = low + (high - low) // 2
        half = known.pop((low, high)) / 2
        known |= {(low, middle): half, (middle, high): half}
        found.append(middle)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_the_largest_gap_is_cut_first_as_an_independent_loop_has_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = sorted(rng.choice(60, size=int(rng.integers(2, 8)), replace=False).tolist())
    values = [1 + value for value in values]
    # Quarters: halves of them are exact, and ties occur.
    distances = [float(d) / 4 for d in rng.integers(0, 9, len(values) - 1)]
    count = int(rng.integers(1, 9))
    sweep = of("num_inference_steps", ", ".join(map(str, values)))
    refined = with_values(
        sweep,
        "x",
        {(index, index + 1): distance for index, distance in enumerate(distances)},
        count,
    )
    expected = by_loop(values, distances, count)
    assert [int(one.value) for one in refined.added] == expected
    assert list(values_of(refined.sweep)) == sorted([*values, *expected])
    kept = {cell.settings for cell in sweep.cells()}
    assert kept <= {cell.settings for cell in refined.sweep.cells()}


def test_a_gap_that_was_cut_counts_half_until_it_is_measured() -> None:
    refined = with_values(of("guidance_scale", "1, 3, 7"), "x", {(0, 1): 1.0, (1, 2): 3.0}, 4)
    assert [(one.value, one.distance, one.is_assumed) for one in refined.added] == [
        ("5", 3.0, False),
        ("4", 1.5, True),
        ("6", 1.5, True),
        ("2", 1.0, False),
    ]
    assert (refined.added[1].low, refined.added[1].high) == ("3", "5")
    assert values_of(refined.sweep) == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)


def test_the_middle_is_the_arithmetic_one_also_of_values_that_double() -> None:
    refined = with_values(of("guidance_scale", "1, 2, 4"), "x", {(1, 2): 1.0}, 1)
    assert refined.added[0].value == "3"


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("num_inference_steps", "5, 6", []),
        ("num_inference_steps", "5, 8", ["6", "7"]),
        ("guidance_scale", "3, 3.005", []),
        ("guidance_scale", "3, 3.01", ["3.005"]),
        ("strength", "0.5, 0.5005", []),
    ],
)
def test_an_axis_at_its_finest_step_stays_as_it_is(
    name: str, values: str, expected: list[str]
) -> None:
    refined = with_values(of(name, values), "x", {(0, 1): 1.0}, 50)
    assert [one.value for one in refined.added] == expected
    shown = values_of(refined.sweep)
    assert len(set(shown)) == len(shown) == 2 + len(expected)


def test_a_falling_axis_goes_on_falling_and_an_unsorted_one_keeps_its_order() -> None:
    falling = of("num_inference_steps", "20, 10")
    assert neighbours(parse_axis("num_inference_steps", "20, 10")) == [(1, 0)]
    assert values_of(with_values(falling, "x", {(1, 0): 1.0}, 3).sweep) == (20, 17, 15, 12, 10)
    mixed = of("num_inference_steps", "9, 1, 5")
    refined = with_values(mixed, "x", {(1, 2): 2.0, (2, 0): 1.0}, 2)
    assert values_of(refined.sweep) == (9, 1, 2, 3, 5)


def test_what_is_not_known_or_does_not_differ_is_not_cut() -> None:
    sweep = of("guidance_scale", "1, 3, 7, 9")
    refined = with_values(sweep, "x", {(0, 1): 0.0, (2, 3): 0.5}, 1)
    assert [one.value for one in refined.added] == ["8"]
    assert with_values(sweep, "x", {}, 5).added == ()
    assert with_values(sweep, "x", {}, 5).sweep == sweep


def test_a_value_that_may_not_be_is_passed_over() -> None:
    def allowed(alone: Sweep) -> bool:
        assert alone.size() == 1
        return values_of(alone) != (10,)

    sweep = of("num_inference_steps", "5, 15, 19")
    refined = with_values(sweep, "x", {(0, 1): 9.0, (1, 2): 1.0}, 5, allowed=allowed)
    assert 10 not in values_of(refined.sweep)
    assert refined.added[0].value == "17"


def test_axes_that_move_together_are_cut_together() -> None:
    axis = linked(("num_inference_steps", "5, 8, 9"), ("guidance_scale", "3, 7, 3"))
    sweep = Sweep(base=BASE, x=axis)
    refined = with_values(sweep, "x", {(0, 1): 2.0, (1, 2): 1.5}, 2)
    assert refined.sweep.x is not None
    assert refined.sweep.x.linked is not None
    # A whole number that is one apart is repeated: the other part is new.
    assert refined.sweep.x.values == (5, 6, 8, 8, 9)
    assert refined.sweep.x.linked.values == (3.0, 5.0, 7.0, 5.0, 3.0)
    assert refined.added[0].value == "6, 5"
    assert not refined.sweep.problems()


def test_a_name_that_moves_along_is_cut_only_where_it_stays() -> None:
    axis = linked(("num_inference_steps", "4, 8, 12"), ("scheduler", "DDIM, DDIM, Euler"))
    refined = with_values(Sweep(base=BASE, x=axis), "x", {(0, 1): 1.0, (1, 2): 9.0}, 1)
    assert [one.value for one in refined.added] == ["6, DDIM"]


def test_pages_and_rows_are_refined_like_columns() -> None:
    sweep = of("scheduler", "DDIM, Euler", z=parse_axis("num_inference_steps", "4, 8"))
    assert (cells_of_value(sweep, "x"), cells_of_value(sweep, "z")) == (2, 2)
    refined = with_values(sweep, "z", {(0, 1): 1.0}, 1).sweep
    assert refined.z is not None
    assert refined.z.values == (4, 6, 8)
    assert refined.size() == 6


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        (of("scheduler", "DDIM, Euler"), "Scheduler: its values are names"),
        (of("prompt", "an owl, a fox"), "its values are names"),
        (of("seed", "1, 9"), "nothing lies between two seeds"),
        (of("guidance_scale", "3"), "one value has no neighbour"),
        (of("guidance_scale", "3, 7", new_seed="column"), "a seed of its own"),
        (
            Sweep(base=BASE, x=linked(("guidance_scale", "3, 7"), ("seed", "1, 5"))),
            "nothing lies between two seeds",
        ),
    ],
)
def test_what_cannot_be_refined_says_why(sweep: Sweep, words: str) -> None:
    assert words in why_not(sweep, "x")


def test_new_seeds_along_another_side_are_no_hindrance() -> None:
    assert why_not(of("guidance_scale", "3, 7", new_seed="row"), "x") == ""
    axis = linked(("num_inference_steps", "4, 8"), ("scheduler", "DDIM, Euler"))
    assert why_not(Sweep(base=BASE, x=axis), "x") == ""


def test_what_is_new_is_every_cell_but_those_there_were() -> None:
    before = of("guidance_scale", "3, 7", y=parse_axis("num_inference_steps", "5, 6"))
    with_seeds = replace(of("guidance_scale", "3, 7"), y=parse_axis("seed", "5, 6, 7"))
    for one, after in (
        (before, with_values(before, "x", {(0, 1): 1.0}, 3).sweep),
        (of("guidance_scale", "3, 7"), with_seeds),
        (of("num_inference_steps", "5, 9"), of("num_inference_steps", "5, 7, 9, 8")),
    ):
        old = [cell.settings for cell in one.cells()]
        new = [cell.settings for cell in only_new(one, after).cells()]
        everything = [cell.settings for cell in after.cells()]
        assert len(old) + len(new) == len(everything)
        assert {*old, *new} == {*everything}
    axis = linked(("num_inference_steps", "5, 8, 9"), ("guidance_scale", "3, 7, 3"))
    moved = Sweep(base=BASE, x=axis)
    after = with_values(moved, "x", {(0, 1): 2.0, (1, 2): 1.5}, 2).sweep
    assert only_new(moved, after).size() == 2
    assert only_new(before, before) == before
    # New seeds along the columns are lost with an axis of seeds: its first row is new too.
    assert only_new(of("guidance_scale", "3, 7", new_seed="column"), with_seeds) == with_seeds
