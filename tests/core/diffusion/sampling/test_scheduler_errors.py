"""A scheduler that a model's configuration does not build is a sentence about the scheduler."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.diffusion.engine import Engine
from core.diffusion.models.load import LoadedModel
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.timetable import timetable
from core.diffusion.settings import GenerationSettings, SettingsError


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_constructors_error_names_the_scheduler(model: LoadedModel, scheduler: str) -> None:
    config = {**model.info.scheduler_config, "beta_schedule": "zigzag"}
    odd = replace(model, info=replace(model.info, scheduler_config=config))
    settings = GenerationSettings(scheduler=scheduler, num_inference_steps=2, width=64, height=64)
    with pytest.raises(SettingsError) as caught:
        Engine(odd).generate([settings])
    (problem,) = caught.value.problems
    assert problem.field == "scheduler"
    assert problem.reason.startswith(f"{scheduler} cannot be built")
    assert "zigzag" in problem.reason
    assert timetable(scheduler, 5, config).problem == problem.reason
