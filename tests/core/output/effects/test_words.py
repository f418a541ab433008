"""The sentences say what the numbers say: signs, digits, and what could not be shown."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from core.output.effects.effects import find_effects
from core.output.effects.grid import EffectGrid, Factor, Measure, PictureSpace
from core.output.effects.result import Difference, Effects, Interval
from core.output.effects.words import (
    difference_sentence,
    methods,
    once_sentence,
    power_sentence,
    sentences,
    share_sentence,
    term_sentence,
)
from tests.core.output.effects.grids import SCORE, grid_of

GUIDANCE = (
    Factor(name="guidance_scale", label="Guidance scale", levels=("3", "7"), numbers=(3, 7)),
)


def effects_of(values: np.ndarray, measure: Measure = SCORE) -> Effects:
    grid = grid_of(values, known=GUIDANCE, measure=measure)
    return find_effects(grid, resamples=199, permutations=199)


def found(**changes: object) -> tuple[Effects, Difference]:
    values = np.random.default_rng(0).normal(size=(8, 2))
    effects = effects_of(values)
    known = {
        "mean": 1.2,
        "interval": Interval(low=0.4, high=2.0),
        "p": 0.01,
        "p_holm": 0.01,
        "agree": 7,
        "needed": 6,
    }
    return effects, replace(effects.differences[0], **(known | changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "raises the CLIP score by 1.2 (95 % CI 0.4 to 2.0; 7 of 8 seeds)."),
        (
            {"mean": -1.2, "interval": Interval(low=-2.0, high=-0.4)},
            "lowers the CLIP score by 1.2 (95 % CI 0.4 to 2.0; 7 of 8 seeds).",
        ),
        (
            {"mean": 0.01, "interval": Interval(low=0.004, high=0.016)},
            "raises the CLIP score by 0.01 (95 % CI 0.00 to 0.02; 7 of 8 seeds).",
        ),
        (
            {"p_holm": 0.08, "comparisons": 6},
            "raises the CLIP score by 1.2 (95 % CI 0.4 to 2.0; 7 of 8 seeds), "
            "not shown among 6 comparisons: p = 0.080.",
        ),
    ],
)
def test_a_difference(changes: dict[str, object], sentence: str) -> None:
    assert difference_sentence(*found(**changes)) == f"Guidance scale 3 → 7 {sentence}"


def test_a_difference_whose_interval_holds_0() -> None:
    assert difference_sentence(*found(interval=Interval(low=-0.4, high=2.8))) == (
        "Guidance scale 3 → 7: no difference in the CLIP score could be shown "
        "(+1.2, 95 % CI -0.4 to 2.8; 7 of 8 seeds agree)."
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([[1.0, 3.0]], " raises the CLIP score by 2.0 with one seed: this is what happened once."),
        (
            [[1.0, 1.0]],
            " leaves the CLIP score as it is with one seed: this is what happened once.",
        ),
        ([[1.0, 1.0], [2.0, 2.0]], " leaves the CLIP score as it is in all 2 seeds."),
        (
            [[3.0, 1.0], [4.0, 2.0]],
            " lowers the CLIP score by 2.0 in each of 2 seeds, always exactly as much.",
        ),
        ([[1.0, np.nan], [np.nan, 2.0]], ": no seed has the CLIP score of both."),
    ],
)
def test_a_difference_without_an_interval(values: list[list[float]], sentence: str) -> None:
    effects = effects_of(np.array(values))
    said = difference_sentence(effects, effects.differences[0])
    assert said == f"Guidance scale 3 → 7{sentence}"


def test_a_unit_follows_the_number() -> None:
    seconds = Measure(name="seconds", label="Computing time", digits=2, unit="s")
    values = np.array([[1.0, 3.0], [1.0, 3.2], [1.0, 2.8]])
    effects = effects_of(values, seconds)
    assert difference_sentence(effects, effects.differences[0]) == (
        "Guidance scale 3 → 7 raises the computing time by 2.00 s "
        "(95 % CI 1.50 to 2.50 s; 3 of 3 seeds)."
    )


@pytest.mark.parametrize(
    ("needed", "sentence"),
    [
        (6, "For a difference of this size 6 seeds are enough; there are 8."),
        (14, "To show a difference of this size takes 14 seeds (80 % power); there are 8."),
        (None, "Not even 1,000 seeds would show a difference of this size."),
    ],
)
def test_the_power_line(needed: int | None, sentence: str) -> None:
    assert power_sentence(*found(needed=needed)) == sentence
    assert power_sentence(*found(interval=None)) == ""


def pictures() -> tuple[EffectGrid, PictureSpace]:
    draw = np.random.default_rng(1)
    points = draw.normal(size=(8, 2, 2, 6)) + 3 * draw.normal(size=(8, 1, 1, 6))
    points += 4 * np.arange(2)[:, None, None]
    space = PictureSpace(name="clip", label="CLIP embedding", embedding=points.reshape(-1, 6))
    return grid_of(points[..., 0]), space


def test_the_shares_are_said_with_their_own_numbers() -> None:
    grid, space = pictures()
    effects = find_effects(grid, [space], resamples=199, permutations=199)
    table = effects.shares[-1]
    sentence = share_sentence(effects, table)
    shares = {share.label: share.share for share in table.shares}
    largest = max(shares["Guidance scale"], shares["Seed"])
    assert sentence.startswith("Of all differences between these pictures (CLIP embedding) ")
    assert f"{100 * largest:.0f} % go with " in sentence
    assert f"{100 * shares['Seed']:.0f} % " in sentence
    assert "the seed" in sentence
    assert "guidance scale" in sentence
    term = term_sentence(table, table.shares[0])
    assert re.fullmatch(
        r"Guidance scale: \d+ % \(95 % CI \d+ % to \d+ %; p = 0\.0\d\d; "
        r"chance alone gives \d+ %\)\.",
        term,
    ), term
    none = next(share for share in table.shares if share.label == "Scheduler")
    assert term_sentence(table, none).endswith("no more than chance.")


def test_one_seed_says_what_to_do() -> None:
    effects = effects_of(np.array([[1.0, 3.0]]))
    assert once_sentence(effects) == (
        "One seed shows what happened once: no interval can be drawn. Add 7 seeds."
    )
    assert "no interval and no test" in methods(effects)


def test_the_methods_of_a_paper() -> None:
    grid, space = pictures()
    failed = "Guidance scale 1, seed 9 failed: not enough memory."
    effects = find_effects(
        replace(grid, missing=(failed,)), [space], resamples=199, permutations=99
    )
    text = methods(effects)
    for part in (
        "the same 8 seeds for each value of guidance scale (0, 1) and scheduler (0, 1).",
        "Measured: CLIP score.",
        "paired by seed",
        "Holm's method",
        "199 resamples",
        "99 permutations within seeds",
        failed,
    ):
        assert part in text, part


def test_no_sentence_is_longer_than_25_words() -> None:
    grid, space = pictures()
    few = replace(grid, observations=grid.observations[:4])
    small = PictureSpace(name="clip", label="CLIP embedding", embedding=np.eye(4))
    for effects in (find_effects(grid, [space]), find_effects(few, [small])):
        said = [
            *sentences(effects),
            once_sentence(effects),
            *re.split(r"(?<=\.) (?=[A-Z])", methods(effects)),
        ]
        said += [power_sentence(effects, one) for one in effects.differences]
        said += [term_sentence(table, one) for table in effects.shares for one in table.shares]
        assert said
        for sentence in said:
            words = [word for word in sentence.split() if any(map(str.isalnum, word))]
            assert len(words) <= 25, sentence


def test_the_json_has_a_row_for_each_difference_and_share() -> None:
    grid, space = pictures()
    effects = find_effects(grid, [space], resamples=199, permutations=99)
    rows = json.loads(json.dumps(effects.to_dict(), allow_nan=False))
    first = rows["effects"][0]
    one = effects.differences[0]
    assert one.interval is not None
    assert (first["axis"], first["measure"]) == ("guidance_scale", "clip_score")
    assert (first["from"], first["to"]) == ("0", "1")
    assert (first["difference"], first["low"]) == (one.mean, one.interval.low)
    assert (first["agree"], first["seeds"]) == (one.agree, 8)
    axes = [row["axis"] for row in rows["shares"] if row["measure"] == "clip"]
    assert axes == ["guidance_scale", "scheduler", "guidance_scale x scheduler", "block", "rest"]
    assert sum(row["share"] for row in rows["shares"]) == pytest.approx(2)


def test_chosen_pairs_are_compared_and_corrected_by_measure() -> None:
    values = np.random.default_rng(0).normal(size=(6, 3, 2))
    effects = find_effects(
        grid_of(values),
        pairs={"guidance_scale": [(0, 2)]},
        resamples=0,
        permutations=0,
    )
    assert [(one.factor, one.start, one.end) for one in effects.differences] == [
        ("guidance_scale", 0, 2),
        ("scheduler", 0, 1),
    ]
    assert {one.comparisons for one in effects.differences} == {2}
    assert len(effects.curves) == 2
