"""What is found in a stored grid: numbers, sentences, figures and files."""

from __future__ import annotations

import csv
import html
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from core.exports.effects.files import FILES, file_of
from core.exports.effects.found import find_effects, stored_grid
from core.exports.effects.grid import MeasuredGrid
from core.output.effects.grid import EffectGrid, Factor, Measure, Observation
from core.output.effects.words import (
    difference_sentence,
    methods,
    overall,
    power_sentence,
    sentences,
    share_sentence,
)
from core.output.figures.effect_figures import curve_figure, difference_figure, share_figure
from core.runs.store.store import Store
from tests.core.exports.effects.doubles import MISSING, guidance_by_seed, put_sweep

SCORE = Measure(name="clip_score", label="CLIP score", digits=1)


def made(values: np.ndarray, measure: Measure = SCORE) -> MeasuredGrid:
    """(seeds, levels) of a measure as a grid of guidance."""
    factor = Factor(
        name="guidance_scale",
        label="Guidance scale",
        levels=tuple(str(3 + 2 * level) for level in range(values.shape[1])),
        numbers=tuple(float(3 + 2 * level) for level in range(values.shape[1])),
    )
    observations = tuple(
        Observation(
            levels=(level,),
            block=str(seed),
            values={measure.name: float(value)} if np.isfinite(value) else {},
        )
        for seed, row in enumerate(values)
        for level, value in enumerate(row)
    )
    grid = EffectGrid(factors=(factor,), measures=(measure,), observations=observations)
    return MeasuredGrid(grid=grid, spaces=(), notes=())


def noisy(effect: float, seeds: int = 8, levels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(4)
    own = rng.normal(0, 5, (seeds, 1))
    return 25 + own + effect * np.arange(levels) + rng.normal(0, 0.4, (seeds, levels))


def test_a_difference_is_said_with_its_interval_and_seeds() -> None:
    values = noisy(1.0)
    effects = find_effects(made(values))
    apart = values[:, 2] - values[:, 0]
    interval = stats.ttest_1samp(apart, 0).confidence_interval(0.95)
    assert difference_sentence(effects, overall(effects)[0]) == (
        f"Guidance scale 3 → 7 raises the CLIP score by {apart.mean():.1f} (95 % CI "
        f"{interval.low:.1f} to {interval.high:.1f}; 8 of 8 seeds)."
    )
    assert "lowers" in sentences(find_effects(made(noisy(-1.0))))[0]
    # From one end to the other, and each step.
    assert [(one.start, one.end) for one in effects.differences] == [(0, 2), (0, 1), (1, 2)]


def test_a_difference_too_small_for_its_digits_is_no_zero() -> None:
    (sentence,) = sentences(find_effects(made(np.array([[20.0, 19.98]]))))
    assert "lowers the CLIP score by 0.02 with one seed" in sentence
    (sentence,) = sentences(find_effects(made(np.array([[20.0, 20.0]]))))
    assert "leaves the CLIP score as it is with one seed" in sentence


def test_nothing_is_claimed_where_the_interval_holds_0() -> None:
    effects = find_effects(made(noisy(0.1)))
    (one,) = overall(effects)
    sentence = difference_sentence(effects, one)
    assert "no difference in the CLIP score could be shown" in sentence
    assert "raises" not in sentence
    assert one.needed is not None
    assert f"takes {one.needed} seeds" in power_sentence(effects, one)


def test_one_seed_says_what_happened_once() -> None:
    effects = find_effects(made(noisy(1.0, seeds=1)))
    (sentence,) = sentences(effects)
    assert sentence.startswith("Guidance scale 3 → 7 raises the CLIP score by ")
    assert sentence.endswith(" with one seed: this is what happened once.")
    assert "no interval and no test" in methods(effects)
    for figure in (curve_figure(effects, effects.curves[0]),):
        assert len(figure.data) == 1, "the line itself, no mean and no band"
    bars = difference_figure(effects, effects.differences).data
    assert not any(value for trace in bars for value in trace.error_x.array)


def test_what_is_the_same_in_every_seed_has_no_interval() -> None:
    sentence = sentences(find_effects(made(np.full((3, 2), 7.0))))[0]
    assert sentence == "Guidance scale 3 → 5 leaves the CLIP score as it is in all 3 seeds."
    sentence = sentences(find_effects(made(np.array([[1.0, 2.0]] * 3))))[0]
    assert sentence.endswith(
        "raises the CLIP score by 1.0 in each of 3 seeds, always exactly as much."
    )


def test_a_measure_with_gaps_uses_the_pairs_that_exist() -> None:
    values = noisy(1.0)
    values[0, 2] = values[1, 0] = np.nan
    (one,) = overall(find_effects(made(values)))
    assert (one.pairs, one.possible_pairs) == (6, 8)
    assert one.mean == pytest.approx(float((values[2:, 2] - values[2:, 0]).mean()))


def test_figures_have_a_line_a_seed_and_a_point_a_difference() -> None:
    values = noisy(1.0)
    effects = find_effects(made(values))
    figure = curve_figure(effects, effects.curves[0])
    lines = [trace for trace in figure.data if trace.legendgroup == "blocks"]
    assert np.array([line.y for line in lines]) == pytest.approx(values)
    assert list(figure.data[-1].y) == pytest.approx(values.mean(axis=0).tolist())
    assert list(figure.data[-1].x) == [3, 5, 7]
    forest = difference_figure(effects, effects.differences)
    points = {name: x for trace in forest.data for name, x in zip(trace.y, trace.x, strict=True)}
    assert points["Guidance scale 3 → 7"] == pytest.approx((values[:, 2] - values[:, 0]).mean())
    assert len(points) == 3


def test_shares_add_to_1_and_are_said_the_largest_first() -> None:
    values = noisy(1.0)
    effects = find_effects(made(values))
    (table,) = effects.shares
    assert sum(one.share for one in table.shares) == pytest.approx(1)
    means = values.mean(axis=0) - values.mean()
    by_factor = len(values) * np.square(means).sum() / np.square(values - values.mean()).sum()
    (guidance,) = [one for one in table.shares if one.kind == "factor"]
    assert guidance.share == pytest.approx(by_factor)
    sentence = share_sentence(effects, table)
    largest = max(table.shares, key=lambda one: one.share)
    assert largest.kind == "block"
    assert sentence.startswith("Of all differences in the CLIP score ")
    assert f"{100 * largest.share:.0f} % go with the seed" in sentence
    bars = share_figure(table).data[0]
    assert sum(bars.x) == pytest.approx(100)


def test_the_pictures_are_taken_apart_too(tmp_path: Path) -> None:
    stored = put_sweep(Store(tmp_path), guidance_by_seed("3, 7", "1, 100, 200"))
    measured = stored_grid(stored.store, stored.sweep, stored.plan, {})
    effects = find_effects(measured, ["colourfulness"])
    tables = [table for table in effects.shares if table.is_picture]
    assert tables
    for table in tables:  # a colour a seed: all of the differences go with the seed
        shares = {one.kind: one.share for one in table.shares}
        assert shares["block"] == pytest.approx(1)
        assert "100 % go with the seed" in share_sentence(effects, table)
    assert effects.to_dict()["shares"]
    assert b"pictures themselves" in FILES[".html"].write(effects)
    rows = list(
        csv.DictReader(io.StringIO(FILES[".shares.csv"].write(effects).decode("utf-8-sig")))
    )
    assert {row["axis"] for row in rows} >= {"guidance_scale", "block"}


def test_names_that_hold_tags_stay_text() -> None:
    found = made(noisy(1.0))
    hostile = replace(found.grid.factors[0], label="<b>x</b>", levels=("<i>", "b", "c"))
    effects = find_effects(replace(found, grid=replace(found.grid, factors=(hostile,))))
    for figure in (
        curve_figure(effects, effects.curves[0]),
        difference_figure(effects, effects.differences),
    ):
        assert "<b>" not in str(figure.to_dict())


def test_every_file_holds_every_difference() -> None:
    effects = find_effects(made(noisy(1.0)))
    rows = list(csv.DictReader(io.StringIO(FILES[".csv"].write(effects).decode("utf-8-sig"))))
    assert [(row["from"], row["to"]) for row in rows] == [("3", "7"), ("3", "5"), ("5", "7")]
    table = pd.read_parquet(io.BytesIO(FILES[".parquet"].write(effects)))
    assert table["difference"].tolist() == pytest.approx([float(row["difference"]) for row in rows])
    data = json.loads(FILES[".json"].write(effects))
    names = ("axis", "measure", "from", "to", "difference", "low", "high", "agree", "seeds")
    assert set(names) <= set(data["effects"][0])
    assert data["effects"][0]["seeds"] == 8
    page = FILES[".html"].write(effects).decode()
    assert all(html.escape(sentence) in page for sentence in sentences(effects))
    assert page.count("Plotly.newPlot") >= 2, "curves and differences"
    assert 'src="http' not in page
    assert file_of("a.CSV") is FILES[".csv"]
    assert file_of("a.txt") is None


def test_a_stored_grid_is_measured_and_its_missing_cells_are_named(tmp_path: Path) -> None:
    stored = put_sweep(Store(tmp_path), guidance_by_seed(), without=(5,))
    measured = stored_grid(stored.store, stored.sweep, stored.plan, stored.reasons)
    effects = find_effects(measured, ["clip_score", "rmse"])
    assert [measure.name for measure in effects.measures] == ["rmse", "clip_score"]
    assert effects.missing == (f"1 cell is missing (Guidance scale 7, Seed 3): {MISSING}.",)
    (score,) = overall(effects, "clip_score")
    assert (score.mean, score.pairs) == (1.0, 2)
