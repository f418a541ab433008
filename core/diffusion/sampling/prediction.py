"""Prediction: what a model says of noisy latents, as noise and as a clean picture.

The functions hold the formulas, plain enough to be quoted by the programs that the app writes. The
class holds where a model stands in noise: a flow-matching model, x = (1 - s) x0 + s eps, would be
one more class beside `VariancePreserving`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch


class Prediction(Protocol):
    """How a model's latents are mixed of picture and noise, and which of them it predicts.

    Latents are (B, C, h, w), `sigma` (B,) is the noise level of each.
    """

    def alpha(self, sigma: torch.Tensor) -> torch.Tensor:
        """Give the share of the clean latents in the noisy ones, (B, 1, 1, 1)."""
        ...

    def add_noise(
        self, x0: torch.Tensor, epsilon: torch.Tensor, sigma: torch.Tensor
    ) -> torch.Tensor:
        """Mix clean latents and noise, as the model is shown them at `sigma`."""
        ...

    def to_epsilon(
        self, prediction: torch.Tensor, x: torch.Tensor, sigma: torch.Tensor
    ) -> torch.Tensor:
        """Give the noise that a prediction implies."""
        ...

    def to_x0(self, prediction: torch.Tensor, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Give the clean latents that a prediction implies."""
        ...


@dataclass(frozen=True, kw_only=True)
class VariancePreserving:
    """x = sqrt(abar) x0 + sqrt(1 - abar) eps with abar = 1 / (1 + sigma^2): Stable Diffusion.

    `name` is diffusers' `prediction_type`: epsilon, v_prediction or sample.
    """

    name: str

    def alpha(self, sigma: torch.Tensor) -> torch.Tensor:
        return alpha_and_noise(sigma)[0]

    def add_noise(
        self, x0: torch.Tensor, epsilon: torch.Tensor, sigma: torch.Tensor
    ) -> torch.Tensor:
        alpha, noise = alpha_and_noise(sigma)
        return alpha * x0 + noise * epsilon

    def to_epsilon(
        self, prediction: torch.Tensor, x: torch.Tensor, sigma: torch.Tensor
    ) -> torch.Tensor:
        return to_epsilon(prediction, x, sigma, self.name)

    def to_x0(self, prediction: torch.Tensor, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return to_x0(prediction, x, sigma, self.name)


PREDICTIONS: Mapping[str, Prediction] = {
    name: VariancePreserving(name=name) for name in ("epsilon", "v_prediction", "sample")
}
"""One row for each of diffusers' `prediction_type`."""


def prediction_type_of(scheduler_config: Mapping[str, Any]) -> str:
    """Say what a model with this `scheduler_config.json` predicts: a key of PREDICTIONS."""
    return str(scheduler_config.get("prediction_type", "epsilon"))


def to_epsilon(
    prediction: torch.Tensor, x_vp: torch.Tensor, sigma: torch.Tensor, prediction_type: str
) -> torch.Tensor:
    """Turn what the model said into the noise in x_VP. (B, C, h, w); sigma (B,).

    v-prediction: Salimans and Ho 2022, appendix D.
    """
    alpha, noise = alpha_and_noise(sigma)
    if prediction_type == "v_prediction":
        return alpha * prediction + noise * x_vp
    if prediction_type == "sample":
        return (x_vp - alpha * prediction) / noise
    return prediction


def to_x0(
    prediction: torch.Tensor,
    x_vp: torch.Tensor,
    sigma: torch.Tensor,
    prediction_type: str = "epsilon",
) -> torch.Tensor:
    """Give the clean latents that a prediction implies. (B, C, h, w); sigma (B,).

    Epsilon: Ho et al. 2020, eq. 15; at infinite sigma the noise says nothing of them. v: Salimans
    and Ho 2022, appendix D, where at infinite sigma, sqrt(abar) = 0, they are -v.
    """
    alpha, noise = alpha_and_noise(sigma)
    if prediction_type == "v_prediction":
        return alpha * x_vp - noise * prediction
    if prediction_type == "sample":
        return prediction
    return (x_vp - noise * prediction) / alpha


def alpha_and_noise(sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Give sqrt(abar) and sqrt(1 - abar) of (B,) noise levels, shaped to multiply (B, C, h, w)."""
    alpha = (1 + sigma.square()).rsqrt()
    noise = torch.where(sigma.isinf(), torch.ones_like(sigma), alpha * sigma)  # not 0 * infinity
    return alpha.view(-1, 1, 1, 1), noise.view(-1, 1, 1, 1)
