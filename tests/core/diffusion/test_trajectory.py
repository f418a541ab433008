"""The recorded quantities against diffusers' own values, an independent loop and closed forms."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.models.info import preview_rgb
from core.diffusion.models.load import LoadedModel
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.quantities import GUIDANCE_QUANTITIES, QUANTITIES, measure
from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import Trajectory, TrajectoryError

BASE = GenerationSettings(
    prompt="a yellow star", width=64, height=64, seed=3, num_inference_steps=5, guidance_scale=4.0
)


def record(engine: Engine, settings: GenerationSettings, *, strict: bool = True) -> Trajectory:
    trajectory = engine.generate([settings], strict=strict, record="latents")[0].trajectory
    assert trajectory is not None
    return trajectory


@pytest.mark.parametrize("name", SCHEDULERS)
def test_sigma_is_the_noise_level_that_the_model_sees(engine: Engine, name: str) -> None:
    """For sigma-space schedulers `scale_model_input` divides by sqrt(1 + sigma^2): read it off."""
    settings = replace(BASE, scheduler=name)
    records = record(engine, settings).records
    row = SCHEDULERS[name]
    scheduler = row.build(engine.model.info.scheduler_config)
    scheduler.set_timesteps(settings.num_inference_steps)
    assert [r.timestep for r in records] == [float(t) for t in scheduler.timesteps]
    if row.sigma_space:
        latents = torch.ones(1, 4, 2, 2, dtype=torch.float64)
        seen = []
        for t in scheduler.timesteps:
            scale = float(
                scheduler.scale_model_input(latents, t).flatten()[0] / latents.flatten()[0]
            )
            seen.append(math.sqrt(1 / scale**2 - 1))
            latents = scheduler.step(torch.zeros_like(latents), t, latents).prev_sample
        assert [r.sigma for r in records] == pytest.approx(seen, rel=1e-3, abs=1e-4)
    elif "Karras" not in name:
        abar = [float(scheduler.alphas_cumprod[int(t)]) for t in scheduler.timesteps]
        expected = [math.sqrt((1 - a) / a) for a in abar]
        assert [r.sigma for r in records] == pytest.approx(expected, rel=1e-4)
    assert [r.log_snr for r in records] == pytest.approx([-2 * math.log(r.sigma) for r in records])


@pytest.mark.parametrize("name", ["DDIM", "Euler", "Euler a", "LMS", "Heun", "DPM2", "DPM2 a"])
def test_x0_is_the_schedulers_own_pred_original_sample(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """All schedulers that tell their x0."""
    row, theirs = SCHEDULERS[name], []
    cls = type(row.build(engine.model.info.scheduler_config))
    step = cls.step

    def spy(self: object, *args: object, **kwargs: object) -> tuple[torch.Tensor]:
        out = step(self, *args, **kwargs | {"return_dict": True})
        theirs.append(out.pred_original_sample)
        return (out.prev_sample,)

    functools.update_wrapper(spy, step)
    monkeypatch.setattr(cls, "step", spy)
    ours = record(engine, replace(BASE, scheduler=name)).pred_original_sample
    assert ours is not None
    expected = torch.cat(theirs).numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=5e-4)


@pytest.mark.parametrize(
    ("kind", "rescale", "prompt"),
    [
        ("epsilon", 0.0, "a yellow star"),
        ("epsilon", 0.0, "a robot on a pink background"),
        ("epsilon", 0.7, "a yellow star"),
        ("v_prediction", 0.0, "a yellow star"),
        ("v_prediction", 0.7, "a yellow star"),
    ],
)
@pytest.mark.parametrize("name", ["DDIM", "Euler", "DPM++ 2M", "Heun", "UniPC"])
def test_every_quantity_equals_an_independent_loop(
    model: LoadedModel, name: str, kind: str, rescale: float, prompt: str
) -> None:
    """A plain diffusers loop in NumPy's float64, which shares no line with ours.

    The UNet's answer is taken for a velocity where `kind` says so: the numbers are of another
    run then, and no less defined.
    """
    config = {**model.info.scheduler_config, "prediction_type": kind}
    model = replace(model, info=replace(model.info, scheduler_config=config))
    settings = replace(BASE, scheduler=name, prompt=prompt, guidance_rescale=rescale)
    trajectory = record(Engine(model), settings)
    scheduler = SCHEDULERS[name].build(model.info.scheduler_config)
    scheduler.set_timesteps(5)
    pipe = model.pipeline(name)
    cond, uncond = pipe.encode_prompt(prompt, "cpu", 1, True, "")
    generator = torch.Generator("cpu").manual_seed(3)
    latents = torch.randn(1, 4, 8, 8, generator=generator) * scheduler.init_noise_sigma
    previous, x0s = None, []
    with torch.no_grad():
        for index, t in enumerate(scheduler.timesteps):
            scaled = scheduler.scale_model_input(torch.cat([latents] * 2), t)
            out = model.unet(scaled, t, torch.cat([uncond, cond])).sample
            said_u, said_c = (e.double().numpy()[0] for e in out.split(1))
            said = said_u + 4.0 * (said_c - said_u)
            said = rescale * said * (said_c.std() / said.std()) + (1 - rescale) * said
            x = scaled[0].double().numpy()
            r = trajectory.records[index]
            alpha = 1 / np.sqrt(1 + r.sigma**2)
            eps_u, eps_c, guided = said_u, said_c, said
            if kind == "v_prediction":
                eps_u, eps_c, guided = (
                    alpha * v + r.sigma * alpha * x for v in (said_u, said_c, said)
                )
            x0 = (x - r.sigma * alpha * guided) / alpha
            gap, root = eps_c - eps_u, np.sqrt(x.size)
            x0_c = (x - r.sigma * alpha * eps_c) / alpha
            unit, x0_gap = x0_c / np.linalg.norm(x0_c), -r.sigma * gap
            along = (x0_gap * unit).sum()
            cos = (eps_c * eps_u).sum() / np.linalg.norm(eps_c) / np.linalg.norm(eps_u)
            expected = {
                "latent_rms": np.linalg.norm(x) / root,
                "raw_latent_norm": float(latents.double().norm()),
                "x0_rms": np.linalg.norm(x0) / root,
                "guidance_gap": np.linalg.norm(gap) / root,
                "guidance_gap_x0": np.linalg.norm(gap) * r.sigma / root,
                "misalignment": 1 - cos,
                "x0_gap_parallel": abs(along) / root,
                "x0_gap_orthogonal": np.linalg.norm(x0_gap - along * unit) / root,
                "std_inflation": guided.std() / eps_c.std(),
                "saturation": np.isin(preview_rgb(x0, model.info), (0, 255)).mean(),
            }
            for key, value in expected.items():
                got = getattr(r, key)
                # A subpixel or two may lie on the very edge.
                tolerance = 2.5 / (3 * x[0].size) if key == "saturation" else 2e-6
                assert got == pytest.approx(value, rel=1e-3, abs=tolerance), (key, index)
            if previous is None:
                assert r.settling is None
            else:
                change = np.linalg.norm(x0 - previous) / root
                assert r.settling == pytest.approx(change, rel=1e-3)
            assert r.channel_mean == pytest.approx(x.mean((1, 2)), abs=1e-5)
            assert r.channel_std == pytest.approx(x.std((1, 2)), rel=1e-4)
            previous = x0
            x0s.append(x0)
            noise_pred = torch.from_numpy(said)[None].float()
            latents = scheduler.step(noise_pred, t, latents).prev_sample
    last = x0s[-1].ravel() / np.linalg.norm(x0s[-1])
    cosines = [float(x.ravel() @ last / np.linalg.norm(x)) for x in x0s]
    assert [r.x0_cos_final for r in trajectory.records] == pytest.approx(cosines, abs=1e-4)


@pytest.mark.parametrize("num_inference_steps", [1, 2, 5])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_calls_are_recorded_not_steps(engine: Engine, name: str, num_inference_steps: int) -> None:
    settings = replace(
        BASE, scheduler=name, num_inference_steps=num_inference_steps, width=8, height=8
    )
    expected = SCHEDULERS[name].calls(num_inference_steps)
    assert len(record(engine, settings).records) == expected
    if num_inference_steps == 5:
        assert expected == {"PNDM": 6, "Heun": 9, "DPM2": 9, "DPM2 a": 9}.get(name, 5)


def test_without_guidance_there_are_no_guidance_quantities(engine: Engine) -> None:
    records = record(engine, replace(BASE, guidance_scale=1.0)).records
    for name in GUIDANCE_QUANTITIES:
        assert {getattr(r, name) for r in records} == {None}
    assert all(r.latent_rms > 0 for r in records)


def test_recording_changes_no_pixel(engine: Engine) -> None:
    images = [
        engine.generate([BASE], strict=True, record=how)[0].image.tobytes()
        for how in ("none", "norms", "latents")
    ]
    assert len(set(images)) == 1


def test_a_trajectory_survives_the_file(engine: Engine) -> None:
    trajectory = record(engine, BASE)
    data = trajectory.to_bytes()
    back = Trajectory.from_bytes(data)
    assert back.records == trajectory.records
    np.testing.assert_array_equal(back.latents, trajectory.latents)
    np.testing.assert_array_equal(back.pred_original_sample, trajectory.pred_original_sample)
    for cut in (0, 4, 100, len(data) // 2, len(data) - 1):
        with pytest.raises(TrajectoryError, match="Compute the image again"):
            Trajectory.from_bytes(data[:cut])


@pytest.mark.parametrize("tensors", [False, True])
def test_a_run_without_a_step_survives_the_file(tensors: bool) -> None:
    """Its latents (1, C, h, w) are what it began and ended with."""
    latents = np.ones((1, 4, 2, 2), np.float32) if tensors else None
    whole = Trajectory(
        records=(), latents=latents, pred_original_sample=latents[:0] if tensors else None
    )
    back = Trajectory.from_bytes(whole.to_bytes())
    assert back.records == ()
    np.testing.assert_array_equal(back.latents, latents)
    assert (back.pred_original_sample is None) == (not tensors)


def test_saturated_is_what_the_preview_shows_at_0_or_255(model: LoadedModel) -> None:
    weight = torch.eye(4, 3)
    levels = torch.linspace(-1.01, 1.01, 4096).expand(1, 4, 1, -1)
    noise = torch.randn(levels.shape, generator=torch.Generator().manual_seed(0))
    found = measure(
        x_vp=noise,
        raw=noise,
        x0=levels,
        previous_x0=levels,
        x0_cond=levels,
        x0_uncond=levels,
        eps_cond=noise,
        eps_uncond=noise,
        eps_guided=noise,
        preview=(weight, torch.zeros(3)),
    )
    rows = tuple(map(tuple, weight.tolist()))
    form = replace(model.info.latent_format, preview_weight=rows, preview_bias=(0.0,) * 3)
    info = replace(model.info, latent_format=form)
    shown = np.isin(preview_rgb(levels[0].numpy(), info), (0, 255)).mean()
    assert float(found[0, QUANTITIES.index("saturation")]) == pytest.approx(shown, abs=1e-6)
