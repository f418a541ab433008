"""The numbers beside a method's formula, held against what the run itself predicted."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from core.diffusion.inside.unrolled import unroll
from core.diffusion.models.loaded import LoadedModel
from core.output.figures.arrow import arrow
from core.output.figures.guidance_numbers import guidance_numbers
from tests.core.diffusion.inside.taken_apart import SHORT, finish


@pytest.mark.parametrize("threshold", [0.0, 2.0, 1000.0])
def test_apg_goes_as_far_as_its_parts_say(model: LoadedModel, threshold: float) -> None:
    settings = replace(
        SHORT, guidance_method="APG", apg_norm_threshold=threshold, apg_eta=0.4, guidance_end=0.7
    )
    run = finish(unroll(model, settings))
    assert run.pred_uncond is not None
    for call in range(run.calls):
        said = dict(guidance_numbers(run, call))
        if not run.guided[call]:
            assert said == {}
            continue
        went = np.linalg.norm(run.pred_guided[call] - run.pred_uncond[call])
        far = math.hypot(said["|d⊥|"], 0.4 * said["|d∥|"])
        assert went == pytest.approx(settings.guidance_scale * far, rel=1e-4)
        kept = math.hypot(said["|d⊥|"], said["|d∥|"])
        assert kept == pytest.approx(min(said["|d|"], threshold or math.inf), rel=1e-4)


def test_zero_stars_scale_is_the_least_squares_fit(model: LoadedModel) -> None:
    run = finish(unroll(model, replace(SHORT, guidance_method="CFG-Zero*")))
    assert run.pred_uncond is not None
    for call in range(run.calls):
        uncond, cond = run.pred_uncond[call].ravel(), run.pred_cond[call].ravel()
        fit = np.linalg.lstsq(uncond[:, None].astype(float), cond.astype(float), rcond=None)[0]
        assert dict(guidance_numbers(run, call)) == {"s": pytest.approx(float(fit[0]), rel=1e-6)}


def test_pag_says_how_far_the_perturbed_prediction_lies(model: LoadedModel) -> None:
    """Without a negative prompt the guided prediction goes pag_scale times as far."""
    settings = replace(SHORT, guidance_method="PAG", pag_layers="up", guidance_scale=1.0)
    run = finish(unroll(model, settings))
    for call in range(run.calls):
        (value,) = dict(guidance_numbers(run, call)).values()
        went = np.sqrt(np.square(run.pred_guided[call] - run.pred_cond[call]).mean())
        assert went == pytest.approx(settings.pag_scale * value, rel=1e-4)


def test_plain_guidance_has_no_numbers_of_its_own_and_lies_in_the_plane(
    model: LoadedModel,
) -> None:
    run = finish(unroll(model, SHORT))
    pag = finish(unroll(model, replace(SHORT, guidance_method="PAG", pag_layers="up")))
    for call in range(run.calls):
        assert guidance_numbers(run, call) == []
        for one, is_beside in ((run, False), (pag, True)):
            assert one.pred_uncond is not None
            found = arrow(one.pred_uncond[call], one.pred_cond[call], one.pred_guided[call])
            assert (found.beside > 1e-3) == is_beside
