"""Schedules that begin without any signal, sqrt(abar) = 0: Lin et al. 2023, sec. 3.1."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from core.diffusion.engine import Engine, GenerationError
from core.diffusion.inside.unrolled import unroll
from core.diffusion.models.load import LoadedModel, load_model
from core.diffusion.sampling.prediction import PREDICTIONS
from core.diffusion.settings import GenerationSettings
from tests.core.diffusion.inside.taken_apart import finish
from tests.core.diffusion.tiny import build

SETTINGS = GenerationSettings(
    prompt="a red apple",
    seed=5,
    width=64,
    height=64,
    num_inference_steps=3,
    guidance_scale=4.0,
    scheduler="DDIM",
)


@pytest.fixture(scope="module")
def zero_snr(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("zero") / "v"
    pipe = build("SD 2.x (v-prediction)")
    pipe.scheduler.register_to_config(rescale_betas_zero_snr=True, timestep_spacing="trailing")
    pipe.save_pretrained(folder)
    return load_model(str(folder), device="cpu")


@pytest.mark.parametrize("scheduler", ["DDIM", "LCM"])
def test_every_quantity_of_the_first_step_is_a_number(
    zero_snr: LoadedModel, scheduler: str
) -> None:
    settings = replace(SETTINGS, scheduler=scheduler)
    generation = Engine(zero_snr).generate([settings], record="latents")[0]
    assert generation.trajectory is not None
    records = generation.trajectory.records
    assert math.isinf(records[0].sigma), "no signal at all"
    for record in records:
        unknown = {
            name: value
            for name, value in asdict(record).items()
            if isinstance(value, float) and math.isnan(value)
        }
        assert not unknown, (scheduler, record.step_index)
    assert generation.trajectory.pred_original_sample is not None
    assert np.isfinite(generation.trajectory.pred_original_sample).all()
    assert records[0].guidance_gap_x0 is not None
    assert records[0].guidance_gap_x0 > 0
    assert records[0].guidance_gap == pytest.approx(0, abs=1e-6), "all of x is noise"


def test_the_first_x0_is_minus_v_and_a_snapshot_shows_it(zero_snr: LoadedModel) -> None:
    run = finish(unroll(zero_snr, SETTINGS))
    np.testing.assert_array_equal(run.x0[0], -run.pred_guided[0])
    engine = Engine(zero_snr)
    shown = engine.generate([replace(SETTINGS, snapshot=1)], strict=True)[0].image
    x0 = torch.from_numpy(run.x0[0])[None]
    assert np.array_equal(np.asarray(shown), np.asarray(engine.decode(x0)))
    assert np.asarray(shown).std() > 1


def test_a_prediction_of_the_noise_says_nothing_there_and_the_advice_is_another(
    zero_snr: LoadedModel,
) -> None:
    config = {**zero_snr.info.scheduler_config, "prediction_type": "epsilon"}
    model = replace(zero_snr, info=replace(zero_snr.info, scheduler_config=config))
    with pytest.raises(GenerationError, match="begins without any signal") as caught:
        Engine(model).generate([SETTINGS])
    assert "guidance" not in str(caught.value)


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_noise_and_picture_come_back_at_every_level(kind: str) -> None:
    """What an exact model of each kind says, from hardly any noise to nothing but noise."""
    generator = torch.Generator().manual_seed(0)
    x0, epsilon = (torch.randn(4, 4, 8, 8, generator=generator) for _ in range(2))
    sigma = torch.tensor([1e-3, 0.5, 80.0, math.inf])
    prediction = PREDICTIONS[kind]
    x = prediction.add_noise(x0, epsilon, sigma)
    alpha = prediction.alpha(sigma)
    noise = (1 - alpha.square()).sqrt()
    said = {
        "epsilon": epsilon,
        "v_prediction": alpha * epsilon - noise * x0,
        "sample": x0,
    }[kind]
    torch.testing.assert_close(
        prediction.to_epsilon(said, x, sigma)[1:], epsilon[1:], atol=1e-4, rtol=1e-4
    )
    known = slice(0, 3) if kind == "epsilon" else slice(0, 4)
    torch.testing.assert_close(
        prediction.to_x0(said, x, sigma)[known], x0[known], atol=1e-3, rtol=1e-3
    )
    torch.testing.assert_close(x[3], epsilon[3])
