"""What the figures of Latents say, on runs of the bundled model: see dev/CLAIMS.md."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest

from core.diffusion.engine import Engine
from core.diffusion.events import Generation
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import StepRecord

PROMPTS = ("a red apple on a blue background, flat style", "a cat, flat style", "an owl at night")
BASE = GenerationSettings(scheduler="DDIM", num_inference_steps=20)
SCALES = (1.0, 3.0, 12.0)
Runs = dict[float, list[Generation]]


@pytest.fixture(scope="module")
def runs(model: LoadedModel) -> Runs:
    """Guidance scale -> the runs of the prompts, with the tensors of every step."""
    cells = [replace(BASE, prompt=one, guidance_scale=scale) for scale in SCALES for one in PROMPTS]
    made = Engine(model).generate(cells, record="latents")
    return {scale: made[i * len(PROMPTS) :][: len(PROMPTS)] for i, scale in enumerate(SCALES)}


def records(run: Generation) -> tuple[StepRecord, ...]:
    assert run.trajectory is not None
    return run.trajectory.records


def predicted(run: Generation) -> np.ndarray:
    """The x0 of each call, (N, C, h, w)."""
    assert run.trajectory is not None
    assert run.trajectory.pred_original_sample is not None
    return run.trajectory.pred_original_sample


def value(one: float | None) -> float:
    assert one is not None
    return one


def off_the_line(run: Generation) -> float:
    """How far the latent RMS keeps from the dashed curve, as a share of it, on average."""
    steps = records(run)
    square = value(steps[-1].x0_rms) ** 2
    shares = (1 / (1 + one.sigma**2) for one in steps)
    line = [(share * square + 1 - share) ** 0.5 for share in shares]
    return fmean(abs(value(one.latent_rms) / at - 1) for one, at in zip(steps, line, strict=True))


def test_guidance_lifts_the_latent_rms_off_its_line(runs: Runs) -> None:
    by_scale = [fmean(map(off_the_line, runs[scale])) for scale in SCALES]
    assert by_scale == sorted(by_scale)
    assert by_scale[0] < 0.04
    assert by_scale[-1] > 2 * by_scale[0]


def test_only_guidance_lifts_the_predicted_x0_above_its_last_value(runs: Runs) -> None:
    def above(run: Generation) -> float:
        found = [value(one.x0_rms) for one in records(run)]
        return max(found) / found[-1]

    assert max(map(above, runs[1.0])) < 1.05
    assert min(map(above, runs[12.0])) > 1.5


def test_the_predictions_are_nearly_parallel(runs: Runs) -> None:
    for scale in SCALES[1:]:
        for run in runs[scale]:
            assert max(value(one.misalignment) for one in records(run)) < 0.05


def test_guidance_enlarges_the_prediction_more_at_a_higher_scale(
    runs: Runs, model: LoadedModel
) -> None:
    def inflation(made: list[Generation]) -> float:
        return fmean(value(one.std_inflation) for run in made for one in records(run))

    rescaled = [replace(run.settings, guidance_rescale=0.7) for run in runs[12.0]]
    left = inflation(Engine(model).generate(rescaled))
    assert 1 < inflation(runs[3.0]) < inflation(runs[12.0])
    assert left < inflation(runs[12.0])


def test_most_of_the_picture_is_decided_before_a_log_snr_of_0(runs: Runs) -> None:
    """Coarse shapes come before the rest, and after 0 little changes."""

    def coarse(x0: np.ndarray) -> np.ndarray:
        channels, height, width = x0.shape
        return x0.reshape(channels, 4, height // 4, 4, width // 4).mean((2, 4))

    def fine(x0: np.ndarray) -> np.ndarray:
        return x0 - coarse(x0).repeat(x0.shape[1] // 4, 1).repeat(x0.shape[2] // 4, 2)

    def like(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    for scale in (1.0, 3.0):
        early: list[tuple[float, float]] = []
        for run in runs[scale]:
            steps, x0 = records(run), predicted(run)
            at = min(range(len(steps)), key=lambda i: abs(steps[i].log_snr + 4.6))
            early.append((like(coarse(x0[at]), coarse(x0[-1])), like(fine(x0[at]), fine(x0[-1]))))
            changes = [(one.log_snr, value(one.settling)) for one in steps[1:]]
            late = sum(change for log_snr, change in changes if log_snr > 0)
            assert late < 0.3 * sum(change for _, change in changes)
        shapes, rest = np.array(early).mean(0)
        assert shapes > rest


def test_near_1_the_predicted_x0_shows_what_the_run_ends_with(runs: Runs) -> None:
    for made in runs.values():
        for run in made:
            x0 = predicted(run)
            near = [i for i, one in enumerate(records(run)) if value(one.x0_cos_final) > 0.98]
            rest = [np.linalg.norm(x0[i] - x0[-1]) / np.linalg.norm(x0[-1]) for i in near]
            assert len(near) > 1
            assert max(rest) < 0.35


def test_rgb_is_nearly_a_linear_map_of_the_channels(runs: Runs) -> None:
    """Of a picture's mean colours the channels' means explain nearly all."""
    made = [run for scale in SCALES for run in runs[scale]]
    last = [predicted(run)[-1] for run in made]
    cells = np.concatenate([one.reshape(one.shape[0], -1).T for one in last])
    height, width = last[0].shape[1:]
    colours = np.concatenate(
        [np.asarray(run.image.resize((width, height), 4), float).reshape(-1, 3) for run in made]
    )
    inputs = np.c_[cells, np.ones(len(cells))]
    fitted = inputs @ np.linalg.lstsq(inputs, colours, rcond=None)[0]
    explained = 1 - (colours - fitted).var(0) / colours.var(0)
    assert explained.min() > 0.7
