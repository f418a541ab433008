"""The table of schedulers: what it builds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.diffusion.models.load import describe
from core.diffusion.recipe.schedulers import SCHEDULERS


@pytest.mark.parametrize("name", SCHEDULERS)
def test_each_scheduler_that_is_built_keeps_its_state_to_itself(name: str) -> None:
    """They are copies of one that was built once, which stays as it was."""
    row, config = SCHEDULERS[name], describe("bundled").scheduler_config
    fresh = row._build(config)  # pyright: ignore[reportPrivateUsage]
    used = row.build(config)
    used.set_timesteps(7)
    sample = torch.ones(1, 4, 8, 8)
    used.step(sample, used.timesteps[0], sample)
    again = row.build(config)
    assert again is not used
    assert dict(again.config) == dict(fresh.config)
    for key, value in vars(fresh).items():
        other = vars(again)[key]
        if isinstance(value, torch.Tensor | np.ndarray):
            np.testing.assert_array_equal(np.asarray(value), np.asarray(other), key)
        else:
            assert value == other, key
