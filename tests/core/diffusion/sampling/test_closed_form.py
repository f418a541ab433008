"""A toy denoiser whose exact answer is known, run through every real scheduler of the table.

The data is a mixture of Gaussians, so E[eps | x] has a closed form; for one Gaussian even the
whole probability-flow ODE has: (x - sqrt(abar) mu) / sqrt(abar s^2 + 1 - abar) never changes.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.diffusion.models.load import LoadedModel
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.batch import Batch
from core.diffusion.sampling.cell import BatchCell
from core.diffusion.sampling.noise import seeded_noise
from core.diffusion.settings import GenerationSettings

MEANS = torch.tensor([-1.0, 1.5], dtype=torch.float64)
SPREAD = 0.5
BASE = GenerationSettings(width=64, height=64, seed=4, num_inference_steps=30, guidance_scale=1.0)


class Mixture:
    """E[eps | x] for x0 entries drawn from equal Gaussians at `means` with deviation SPREAD."""

    config = SimpleNamespace(time_cond_proj_dim=None)

    def __init__(self, log_sigmas: np.ndarray, means: torch.Tensor) -> None:
        self.log_sigmas = log_sigmas
        self.means = means

    def moments(self, x: torch.Tensor, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """E[eps | x] and E[x0 | x], (B, C, h, w) in float64."""
        x = x.double()
        abar = (1 / (1 + sigma.double() ** 2)).view(-1, 1, 1, 1)
        variance = abar * SPREAD**2 + 1 - abar
        away = [x - abar.sqrt() * mean for mean in self.means]
        weights = torch.softmax(torch.stack([-(a**2) / (2 * variance) for a in away]), dim=0)
        score = sum(w * a for w, a in zip(weights, away, strict=True)) / variance
        eps = (1 - abar).sqrt() * score
        return eps, (x - (1 - abar).sqrt() * eps) / abar.sqrt()

    def __call__(
        self, x: torch.Tensor, timesteps: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor]:
        steps = np.arange(len(self.log_sigmas))
        sigma = np.exp(np.interp(timesteps.double().numpy(), steps, self.log_sigmas))
        return (self.moments(x, torch.from_numpy(sigma))[0].float(),)


def run(
    model: LoadedModel, settings: GenerationSettings, means: torch.Tensor
) -> tuple[BatchCell, Mixture]:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    abar = torch.cumprod(1 - betas, 0)
    toy = Mixture(((1 - abar) / abar).sqrt().log().numpy(), means)
    batch = Batch(replace(model, unet=toy), max_rows=4)
    cell = batch.admit(settings, record="latents")
    while not cell.is_done:
        batch.step()
    return cell, toy


@pytest.mark.parametrize("name", SCHEDULERS)
def test_predicted_x0_is_the_closed_form_at_every_call(model: LoadedModel, name: str) -> None:
    cell, toy = run(model, replace(BASE, scheduler=name), MEANS)
    row = SCHEDULERS[name]
    # Karras' spacing rounds the timestep that the model is told: its answer is for another sigma.
    tolerance = 2e-2 if "Karras" in name else 2e-3
    for call, (latents, x0) in enumerate(zip(cell.all_latents, cell.all_x0, strict=False)):
        sigma = torch.tensor([cell.sigmas[call]])
        x_vp = latents / (1 + sigma**2).sqrt() if row.sigma_space else latents
        expected = toy.moments(x_vp, sigma)[1]
        # float32 noise in eps is worth sigma times as much in x0.
        allowed = tolerance * max(1.0, cell.sigmas[call])
        assert (x0 - expected).abs().max() < allowed, (name, call)


@pytest.mark.parametrize("name", [n for n, row in SCHEDULERS.items() if not row.stochastic])
def test_deterministic_schedulers_solve_the_ode(model: LoadedModel, name: str) -> None:
    """One Gaussian: the way from any noise to its picture is known in closed form."""
    mean = MEANS[1:]
    cell, _ = run(model, replace(BASE, scheduler=name, num_inference_steps=200), mean)
    sigma = cell.sigmas[0]
    alpha = 1 / np.sqrt(1 + sigma**2)
    noise = seeded_noise(BASE.seed, (4, 8, 8))[0].double()
    start = noise * float(cell.scheduler.init_noise_sigma)
    if SCHEDULERS[name].sigma_space:
        start = start * alpha
    whitened = (start - alpha * mean) / np.sqrt(alpha**2 * SPREAD**2 + 1 - alpha**2)
    expected = mean + SPREAD * whitened
    error = (cell.latents - expected).square().mean().sqrt()
    assert error < 0.03 * SPREAD, float(error)


@pytest.mark.parametrize("num_inference_steps", [5, 20, 80])
def test_ddim_and_euler_meet(model: LoadedModel, num_inference_steps: int) -> None:
    """DDIM is Euler's method in x / sqrt(abar) (Song et al. 2021, sec. 4.3), at any step count."""
    settings = replace(BASE, num_inference_steps=num_inference_steps)
    ddim = run(model, replace(settings, scheduler="DDIM"), MEANS)[0].latents
    euler = run(model, replace(settings, scheduler="Euler"), MEANS)[0].latents
    second_order = run(model, replace(settings, scheduler="DPM++ 2M"), MEANS)[0].latents
    assert _rms(ddim - euler) < 0.005
    assert _rms(ddim - second_order) > 2 * _rms(ddim - euler)


def _rms(difference: torch.Tensor) -> float:
    return float(difference.square().mean().sqrt())


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_shared_scheduler_would_be_seen(model: LoadedModel, is_shared: bool) -> None:
    """The tests above can fail: with one scheduler for two cells the multistep memory is mixed.

    For a quarter of the run: a shared scheduler counts twice a step, and ends at the half.
    """
    settings = replace(BASE, scheduler="DPM++ 2M", num_inference_steps=200)
    alone, toy = run(model, settings, MEANS[1:])
    batch = Batch(replace(model, unet=toy), max_rows=4)
    one = batch.admit(settings)
    other = batch.admit(replace(settings, seed=9))
    if is_shared:
        other.scheduler = one.scheduler
    for _ in range(50):
        batch.step()
    apart = (one.latents - alone.all_latents[50]).abs().max()
    assert apart > 0.1 if is_shared else apart < 1e-4
