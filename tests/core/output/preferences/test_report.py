"""The sentences and the figure of a blind test, and the votes as a table."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from core.diffusion.settings import GenerationSettings
from core.output.preferences.report import (
    intervals_sentence,
    sentences,
    strengths_figure,
    votes_csv,
)
from core.output.preferences.strengths import fit_strengths
from core.output.preferences.votes import FIRST, SECOND, TIE, Vote
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import Sweep
from tests.core.output.preferences.test_strengths import design_of_shape, votes_of

SWEEP = Sweep(
    base=GenerationSettings(prompt="owl"),
    x=parse_axis("guidance_scale", "1, 3, 7"),
    y=parse_axis("seed", "1, 2"),
)
DESIGN = design_of_shape(3, 2)
CLEAR = [
    *votes_of("2.0", "0.0", 30, 2),
    *votes_of("2.1", "1.1", 12, 11),
    *votes_of("1.0", "0.0", 30, 2),
]


def test_a_sentence_names_the_preferred_value_and_what_is_level_with_it() -> None:
    guidance, seed = sentences(SWEEP, fit_strengths(DESIGN, CLEAR))
    assert guidance.startswith("Guidance scale 7 is preferred to 1 (wins 9")
    assert guidance.endswith("it cannot be told apart from 3.")
    assert seed == "Seed: no vote compares its values."


def test_few_votes_tell_nothing_apart() -> None:
    guidance, _ = sentences(SWEEP, fit_strengths(DESIGN, votes_of("2.0", "0.0", 2, 1)))
    assert guidance == ("Guidance scale: 7 is ahead, and cannot be told apart from the others yet.")


def test_the_figure_has_each_value_with_its_interval() -> None:
    fit = fit_strengths(DESIGN, CLEAR)
    figure: Any = strengths_figure(SWEEP, fit)
    (points,) = figure.data  # the seeds were not compared
    found = [fit.of("x", index) for index in range(3)]
    assert list(points.x) == pytest.approx([one.value for one in found if one])
    assert list(points.error_x.array) == pytest.approx(
        [one.high - one.value for one in found if one]
    )
    assert list(figure.layout.yaxis.ticktext) == ["1", "3", "7"]
    assert strengths_figure(SWEEP, fit_strengths(DESIGN, [])) is None


def test_the_table_numbers_voters_and_names_what_was_shown() -> None:
    votes = [
        Vote(voter="zoe's browser", first="a", second="b", choice=SECOND, at=0.0),
        Vote(voter="another", first="b", second="gone", choice=TIE, at=1.0, informed=True),
        Vote(voter="zoe's browser", first="b", second="a", choice=FIRST, at=2.0),
    ]
    text = votes_csv(votes, {"a": "Seed 1", "b": "Seed 2"}).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["voter"] for row in rows] == ["1", "2", "1"]
    assert [row["choice"] for row in rows] == ["second", "tie", "first"]
    assert (rows[0]["first"], rows[0]["second"], rows[1]["second"]) == ("Seed 1", "Seed 2", "")
    assert rows[1]["time"] == "1970-01-01T00:00:01+00:00"
    assert "zoe" not in text


def test_it_says_what_intervals_rest_on() -> None:
    design = design_of_shape(3, 2)

    def said(*voters: str) -> str:
        votes = [
            replace(vote, voter=voter)
            for n, voter in enumerate(voters)
            for vote in votes_of("0.0", "1.0", 4 + n % 3, 2)
        ]
        return intervals_sentence(fit_strengths(design, votes))

    assert "as independent: they tell of this voter alone" in said("a")
    assert said("a", "b", "c").startswith("Intervals are from a bootstrap over the 3 voters. 3 are")
    assert said(*"abcdefgh") == "Intervals are from a bootstrap over the 8 voters."
    apart = [
        replace(vote, voter=voter)
        for voter, two in (("a", ("0.0", "1.0")), ("b", ("1.0", "2.0")))
        for vote in votes_of(*two, 3, 1)
    ]
    assert "too few pairs in common" in intervals_sentence(fit_strengths(design, apart))
