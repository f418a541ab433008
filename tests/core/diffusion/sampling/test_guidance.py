import torch

from core.diffusion.sampling.guidance import guide
from core.diffusion.sampling.prediction import to_epsilon, to_x0
from core.diffusion.settings import GenerationSettings


def test_guidance_in_bfloat16_equals_the_scalar_formula_bit_for_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    uncond, cond = (torch.randn(1, 4, 16, 16, generator=generator).bfloat16() for _ in range(2))
    for scale in (1.1, 3.3, 7.5, 11.7):
        guided = guide(uncond, cond, GenerationSettings(guidance_scale=scale))
        assert torch.equal(guided, uncond + scale * (cond - uncond))


def test_every_prediction_type_gives_back_the_noise_and_the_picture() -> None:
    """Closed form: x = sqrt(abar) x0 + sqrt(1 - abar) eps, v = sqrt(abar) eps - sqrt(1-abar) x0."""
    generator = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(3, 4, 8, 8, generator=generator).double() for _ in range(2))
    sigma = torch.tensor([0.1, 1.0, 9.0]).double()
    abar = (1 / (1 + sigma**2)).view(-1, 1, 1, 1)
    x = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    velocity = abar.sqrt() * eps - (1 - abar).sqrt() * x0
    for kind, prediction in (("epsilon", eps), ("v_prediction", velocity), ("sample", x0)):
        found = to_epsilon(prediction, x, sigma, kind)
        torch.testing.assert_close(found, eps)
        torch.testing.assert_close(to_x0(found, x, sigma), x0)
