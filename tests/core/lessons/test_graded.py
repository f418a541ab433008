"""Every lesson is graded by its own run, and each kind of number by an independent computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from core.diffusion.models.load import describe
from core.lessons.grading import Graded, broken, grade, is_right, said
from core.lessons.lesson import MAIN, PARTS, PLACES, Ask, Challenge, Value
from core.lessons.run import LessonRun
from core.lessons.shelf import find_lessons
from tests.core.lessons.conftest import EXAMPLES, Ran

NAMES = [one.name for one in find_lessons().lessons]
ALL = [*NAMES, *(one.name for one in find_lessons(EXAMPLES).lessons)]
MEASURED_HERE = {
    "share",
    "distance",
    "quantity",
    "neighbours",
    "wrongness",
    "calls",
    "change by place",
    "recorded",
    "difference",
    "mistakes",
    "inversion",
}
"""Measures that a test here or in test_graded_tasks computes in another way."""


def predictions(ask: Ask, graded: Graded, challenge: Challenge) -> tuple[Value, list[Value]]:
    """A right prediction, and wrong ones of every kind that there are."""
    answer = graded.answer
    if ask.kind == "number":
        assert not isinstance(answer, tuple)
        far = [one for one in (ask.low, ask.high) if abs(one - answer) > challenge.answer.tolerance]
        factor = challenge.answer.factor
        if factor > 1:
            far = [one for one in far if max(one / answer, answer / one) > factor]
        return float(answer), list(far)
    if ask.kind == "order":
        assert isinstance(answer, tuple)
        return answer, [tuple(reversed(answer))]
    count = len(PLACES) if ask.kind == "place" else len(ask.options)
    right = graded.also if ask.kind == "place" else (answer,)
    return answer, [one for one in range(count) if one not in right]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ALL)
def test_the_run_gives_the_stated_answer(ran: Ran, name: str, part: str) -> None:
    challenge = ran.lessons[name].part(part)
    graded = grade(ran.run(name, part))
    assert broken(challenge, graded) == ""
    right, wrong = predictions(challenge.ask, graded, challenge)
    assert is_right(challenge.answer, challenge.ask, graded, right)
    assert wrong
    for one in wrong:
        assert not is_right(challenge.answer, challenge.ask, graded, one), said(challenge.ask, one)


def test_every_measure_of_the_lessons_is_computed_here_in_another_way(ran: Ran) -> None:
    used = {one.part(part).answer.measure for one in ran.lessons.values() for part in PARTS}
    assert used == MEASURED_HERE


def pixels(run: LessonRun) -> np.ndarray:
    """The run's pictures, (rows, columns, height, width, 3), float64."""
    columns, rows, _ = run.sweep.shape()
    found: dict[tuple[int, int], np.ndarray] = {}
    for cell, digest in zip(run.plan.cells, run.plan.digests, strict=True):
        found[cell.y, cell.x] = np.asarray(run.picture(digest), np.float64)
    return np.array([[found[y, x] for x in range(columns)] for y in range(rows)])


@pytest.mark.parametrize("part", PARTS)
def test_shares_of_seed_and_scale(ran: Ran, part: str) -> None:
    """Sums of squares of a two-way layout, by their definition, at 32 x 32 pixels."""
    run = ran.run("01-seed", part)
    found = pixels(run)
    rows, columns, side = *found.shape[:2], found.shape[2]
    small = found.reshape(rows, columns, 32, side // 32, 32, side // 32, 3).mean(axis=(3, 5))
    mean = small.mean(axis=(0, 1))
    total = float(((small - mean) ** 2).sum())
    seed = columns * float(((small.mean(axis=1) - mean) ** 2).sum())
    scale = rows * float(((small.mean(axis=0) - mean) ** 2).sum())
    measured = grade(run).measured.values
    expected = [100 * scale / total, 100 * seed / total, 100 * (total - seed - scale) / total]
    assert measured == pytest.approx(expected, abs=0.7)  # small pictures are rounded to 8 bits


def test_distances_to_the_most_steps(ran: Ran) -> None:
    found = pixels(ran.run("02-steps"))
    apart = np.sqrt(((found - found[:, -1:]) ** 2).mean(axis=(2, 3, 4))).mean(axis=0)
    graded = grade(ran.run("02-steps"))
    assert graded.measured.values == pytest.approx(apart.tolist())
    steps = (2, 4, 8, 16, 32)
    enough = [n for n, _ in enumerate(steps) if all(apart[n:] < 10)]
    assert graded.answer == steps[enough[0]]


def test_distances_to_the_run_guided_throughout(ran: Ran) -> None:
    found = pixels(ran.run("04-interval"))
    first, second = (
        float(np.sqrt(((found[:, n] - found[:, 0]) ** 2).mean(axis=(1, 2, 3))).mean())
        for n in (1, 2)
    )
    assert grade(ran.run("04-interval")).answer == (0 if first < second else 1)


def test_clipped_subpixels(ran: Ran) -> None:
    found = pixels(ran.run("03-guidance"))
    share = ((found == 0) | (found == 255)).mean(axis=(0, 2, 3, 4))
    graded = grade(ran.run("03-guidance"))
    assert graded.measured.values == pytest.approx(share.tolist())
    assert graded.answer == tuple(np.argsort(share).tolist())


def test_neighbours_along_the_steps(ran: Ran) -> None:
    found = pixels(ran.run("05-noise"))
    apart = np.sqrt(((found[:, 1:] - found[:, :-1]) ** 2).mean(axis=(2, 3, 4))).mean(axis=1)
    graded = grade(ran.run("05-noise"))
    assert graded.measured.values == pytest.approx(apart.tolist())


def test_errors_of_noise_picture_and_v_by_the_scheduler_of_diffusers(ran: Ran) -> None:
    run = ran.run("06-prediction")
    scheduler = DDIMScheduler.from_pretrained(describe("bundled").folder / "scheduler")
    errors: list[list[float]] = []
    for digest in run.plan.digests:
        trajectory = run.trajectory(digest)
        assert trajectory.latents is not None
        assert trajectory.pred_original_sample is not None
        t = torch.tensor([int(trajectory.records[0].timestep)])
        x = torch.from_numpy(trajectory.latents[:1].copy()).double()
        now, end = (
            torch.from_numpy(trajectory.pred_original_sample[n].copy())[None].double()
            for n in (0, -1)
        )
        abar = scheduler.alphas_cumprod[t].double()
        noise_now, noise_end = ((x - abar.sqrt() * x0) / (1 - abar).sqrt() for x0 in (now, end))
        assert torch.allclose(scheduler.add_noise(end, noise_end, t), x, atol=1e-5)
        v_now, v_end = (
            scheduler.get_velocity(x0, noise, t)
            for x0, noise in ((now, noise_now), (end, noise_end))
        )
        pairs = ((noise_now, noise_end), (now, end), (v_now, v_end))
        errors.append(
            [float((a - b).square().mean().sqrt() / b.std(correction=0)) for a, b in pairs]
        )
    measured = grade(run).measured
    assert measured.values == pytest.approx(np.mean(errors, axis=0).tolist(), rel=1e-3)


def test_the_steps_of_a_strength_are_those_of_diffusers(ran: Ran) -> None:
    run = ran.run("07-strength")
    expected = [min(int(10 * strength), 10) for strength in (0.3, 0.6, 0.9)]
    assert list(grade(run).measured.values) == expected


@pytest.mark.parametrize("part", PARTS)
def test_change_in_nine_places(ran: Ran, part: str) -> None:
    found = pixels(ran.run("09-words", part))
    apart = np.sqrt(((found[:, 1] - found[:, 0]) ** 2).mean(axis=3)).mean(axis=0)  # (h, w)
    cuts = [0, 43, 86, 128]  # 43, 43 and 42 pixels
    expected = [
        float(apart[cuts[y] : cuts[y + 1], cuts[x] : cuts[x + 1]].mean())
        for y in range(3)
        for x in range(3)
    ]
    assert grade(ran.run("09-words", part)).measured.values == pytest.approx(expected)


@pytest.mark.parametrize("part", PARTS)
def test_the_length_of_added_noises(ran: Ran, part: str) -> None:
    """From the two noises as torch draws them; in many dimensions near to sqrt(1 + s^2)."""
    run = ran.run("10-between", part)
    base = run.sweep.base
    one, other = (
        torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(seed))
        for seed in (base.seed, base.variation_seed)
    )
    strength = 1.0 if part == MAIN else 0.5
    expected = float((one + strength * other).norm() / one.norm())
    answer = grade(run).answer
    assert answer == pytest.approx(expected, rel=2e-3)
    assert answer == pytest.approx(math.sqrt(1 + strength**2), abs=0.1)


def colourfulness(picture: np.ndarray) -> float:
    """Hasler and Suesstrunk 2003, their last formula."""
    red, green, blue = (picture[..., n] for n in range(3))
    rg, yb = red - green, (red + green) / 2 - blue
    return math.hypot(rg.std(), yb.std()) + 0.3 * math.hypot(rg.mean(), yb.mean())


def test_in_how_many_seeds_the_higher_scale_is_more_colourful(ran: Ran) -> None:
    found = pixels(ran.run("12-chance"))
    count = sum(colourfulness(row[1]) > colourfulness(row[0]) for row in found)
    assert grade(ran.run("12-chance")).answer == count
