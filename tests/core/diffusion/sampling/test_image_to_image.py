"""Image-to-image: strict images equal diffusers' pipelines; what is encoded, run and refused."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from PIL import Image, ImageDraw, ImageFilter

from core.diffusion.engine import Engine
from core.diffusion.models.load import LoadedModel
from core.diffusion.recipe.images import InputError, input_digest
from core.diffusion.recipe.masks import enlarged, grown, masked_area
from core.diffusion.recipe.schedule import start_of, step_range, unet_calls
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.batch import Batch
from core.diffusion.sampling.source_latents import SourceLatents
from core.diffusion.settings import GenerationSettings, SettingsError
from core.diffusion.trajectory import Trajectory
from tests.conftest import max_difference


def drawn(width: int = 64, height: int = 64) -> np.ndarray:
    """A picture with edges, flat parts and a slope in it."""
    across = np.linspace(0, 255, width, dtype=np.uint8)
    image = Image.fromarray(np.stack([np.tile(across, (height, 1))] * 3, axis=-1))
    pen = ImageDraw.Draw(image)
    pen.ellipse((width // 4, height // 4, width // 4 * 3, height // 4 * 3), fill=(210, 40, 30))
    pen.rectangle((0, height // 4 * 3, width // 3, height), fill=(20, 90, 200))
    return np.asarray(image)


SOURCE = drawn()
MASK = np.zeros((64, 64), np.uint8)
MASK[16:48, 8:40] = 255
GREY = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (64, 1))
INPUTS = {input_digest(array): array for array in (SOURCE, MASK, GREY)}
STRENGTHS = {0.2: 1, 0.5: 3, 0.58: 4, 0.99: 6, 1.0: 7}
"""Of seven steps those that are run: rounded, 0.5 would run 4 of them and 0.99 all."""
BASE = GenerationSettings(
    prompt="a red apple on a blue background",
    width=64,
    height=64,
    seed=11,
    num_inference_steps=6,
    guidance_scale=4.0,
    init_image=input_digest(SOURCE),
    strength=0.5,
)


@pytest.fixture(scope="module")
def model(narrow: LoadedModel) -> LoadedModel:
    return narrow


@pytest.fixture
def engine(model: LoadedModel) -> Engine:
    return Engine(model, inputs=INPUTS.__getitem__)


@pytest.fixture
def encodes(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each run of the VAE's encoder."""
    seen: list[int] = []
    encode = model.vae.encode

    def counted(pixels: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append(len(pixels))
        return encode(pixels, *args, **kwargs)

    monkeypatch.setattr(model.vae, "encode", counted)
    return seen


@pytest.fixture
def calls(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The timesteps of the rows of every UNet call."""
    seen: list[list[float]] = []
    forward = model.unet.forward

    def counted(sample: torch.Tensor, timesteps: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append(timesteps.reshape(-1).tolist())
        return forward(sample, timesteps, *args, **kwargs)

    monkeypatch.setattr(model.unet, "forward", counted)
    return seen


def pipeline(cls: Any, model: LoadedModel, scheduler: str) -> Any:
    pipe = cls(**model.pipeline(scheduler).components, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def pipeline_image(model: LoadedModel, settings: GenerationSettings, **more: Any) -> Image.Image:
    options: dict[str, Any] = {
        "image": Image.fromarray(SOURCE),
        "strength": settings.strength,
        "num_inference_steps": settings.num_inference_steps,
        "guidance_scale": settings.guidance_scale,
        "negative_prompt": settings.negative_prompt or None,
        "generator": torch.Generator("cpu").manual_seed(settings.seed),
    }
    cls: Any = StableDiffusionImg2ImgPipeline
    if settings.mask_image:
        cls = StableDiffusionInpaintPipeline
        options |= {"mask_image": Image.fromarray(MASK), "width": 64, "height": 64}
    pipe = pipeline(cls, model, settings.scheduler)
    return pipe(settings.prompt, **(options | more)).images[0]


def source_of(model: LoadedModel, settings: GenerationSettings) -> np.ndarray:
    """The clean latents (C, h, w) of a settings' source."""
    sources = SourceLatents(model, INPUTS.__getitem__)
    return sources.latents(settings, torch.Generator())[0].numpy()


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_equals_the_pipeline(
    engine: Engine, scheduler: str, strength: float
) -> None:
    settings = replace(BASE, scheduler=scheduler, strength=strength, num_inference_steps=7)
    assert step_range(settings).num_executed_steps == STRENGTHS[strength]
    ours = engine.generate([settings], strict=True)[0].image
    assert max_difference(ours, pipeline_image(engine.model, settings)) == 0


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_inpainting_equals_the_pipeline_of_a_plain_model(
    engine: Engine, scheduler: str, strength: float
) -> None:
    settings = replace(BASE, scheduler=scheduler, strength=strength, mask_image=input_digest(MASK))
    ours = engine.generate([settings], strict=True)[0].image
    assert max_difference(ours, pipeline_image(engine.model, settings)) == 0


def test_without_guidance_and_with_a_negative_prompt_it_equals_the_pipeline(
    engine: Engine,
) -> None:
    for settings in (
        replace(BASE, guidance_scale=1.0, num_inference_steps=50, strength=0.1),
        replace(BASE, negative_prompt="green", strength=0.7, seed=2**32 - 1),
    ):
        ours = engine.generate([settings], strict=True)[0].image
        assert max_difference(ours, pipeline_image(engine.model, settings)) == 0


def test_exact_steps_are_a_longer_schedule_of_the_pipeline(engine: Engine) -> None:
    """20 steps at strength 0.3: int(20 / 0.3) = 66 of which the last 20 are run."""
    settings = replace(BASE, num_inference_steps=20, strength=0.3, exact_steps=True)
    wanted = pipeline_image(engine.model, settings, num_inference_steps=66, strength=20.5 / 66)
    generation = engine.generate([settings], strict=True)[0]
    assert max_difference(generation.image, wanted) == 0
    assert generation.trajectory is not None
    assert len(generation.trajectory.records) == 20


def test_the_posteriors_mean_draws_nothing(engine: Engine) -> None:
    """diffusers takes latents in a picture's place, and then draws the noise first."""
    settings = replace(BASE, posterior="mean")
    model = engine.model
    with torch.no_grad():
        pipe = pipeline(StableDiffusionImg2ImgPipeline, model, settings.scheduler)
        pixels = pipe.image_processor.preprocess(Image.fromarray(SOURCE))
        mean = model.vae.encode(pixels).latent_dist.mean * model.vae.config.scaling_factor
    ours = engine.generate([settings], strict=True)[0].image
    assert max_difference(ours, pipeline_image(model, settings, image=mean)) == 0
    sampled = engine.generate([replace(settings, posterior="sample")], strict=True)[0].image
    assert max_difference(ours, sampled) > 0


def test_from_the_latents_of_a_generated_picture(model: LoadedModel) -> None:
    """No encoder comes between: with no step left they give the very picture back."""
    text = replace(BASE, init_image="", num_inference_steps=4)
    made = Engine(model).generate([text], strict=True, record="latents")[0]
    assert made.trajectory is not None
    assert made.trajectory.latents is not None
    latents = made.trajectory.latents[-1]
    engine = Engine(model, inputs={input_digest(latents): latents}.__getitem__)
    settings = replace(BASE, init_image=input_digest(latents), posterior="latents")
    kept, changed = engine.generate([replace(settings, strength=0.0), settings], strict=True)
    assert max_difference(kept.image, made.image) == 0
    wanted = pipeline_image(model, settings, image=torch.from_numpy(latents)[None])
    assert max_difference(changed.image, wanted) == 0


def test_a_strip_of_ten_strengths_encodes_once(
    engine: Engine, encodes: list[int], calls: list[list[float]]
) -> None:
    """And every cell starts at its own timestep, in one batch: 1 + 2 + ... + 10 calls in 10."""
    strip = [
        replace(BASE, num_inference_steps=10, strength=k / 10, guidance_scale=1.0, seed=k % 3)
        for k in range(1, 11)
    ]
    generations = engine.generate(strip)
    assert encodes == [1]
    assert [len(rows) for rows in calls] == list(range(10, 0, -1))
    assert len(set(calls[0])) == 10
    executed = [len(g.trajectory.records) for g in generations if g.trajectory]
    assert executed == [unet_calls(one) for one in strip] == list(range(1, 11))
    strict = engine.generate(strip[2:4], strict=True)
    for one, other in zip(strict, generations[2:4], strict=True):
        assert max_difference(one.image, other.image) <= 2


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_where_no_step_is_left_the_source_goes_through_the_vae_and_back(
    engine: Engine, scheduler: str, calls: list[list[float]]
) -> None:
    settings = replace(BASE, scheduler=scheduler, strength=0.1, posterior="mean")
    generation = engine.generate([settings], record="latents")[0]
    assert calls == []
    model = engine.model
    with torch.no_grad():
        mean = Batch(model, max_rows=2).sources.encode(SOURCE).mean
    kept = generation.trajectory
    assert kept is not None
    assert kept.records == ()
    assert kept.latents is not None
    np.testing.assert_allclose(kept.latents, mean.numpy() * model.vae.config.scaling_factor)
    assert Trajectory.from_bytes(kept.to_bytes()).final_latent_rms is None
    with torch.no_grad():
        pixels = model.vae.decode(mean, return_dict=False)[0][0].permute(1, 2, 0)
    wanted = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().numpy()
    assert np.abs(np.asarray(generation.image) - wanted).max() <= 1
    assert unet_calls(settings, model.info.scheduler_config) == 0


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("steps", [1, 7])
def test_the_calls_are_counted_before_they_are_run(
    model: LoadedModel, scheduler: str, steps: int
) -> None:
    config = model.info.scheduler_config
    for strength in (0.0, 0.15, 0.58, 1.0):
        for exact, match in ((False, False), (True, False), (False, True), (True, True)):
            settings = replace(
                BASE,
                scheduler=scheduler,
                num_inference_steps=steps,
                strength=strength,
                exact_steps=exact,
                match_noise=match,
            )
            batch = Batch(model, max_rows=2, inputs=INPUTS.__getitem__)
            cell = batch.admit(settings)
            assert cell.total_calls == unet_calls(settings, config), settings
            start = start_of(settings, config)
            assert start.calls == cell.total_calls
            if exact and strength > 0:
                assert start.num_executed_steps == steps
            if start.calls:
                assert start.timestep == float(cell.timesteps[0])
                assert start.sigma == pytest.approx(cell.sigmas[0])


def test_the_figures_of_the_documentation(model: LoadedModel) -> None:
    """Facts that the page tells: 0.58 of 50 is 28; strength 1 is not pure noise; where Karras
    starts at strength 0.3, and where it does once the noise is matched.
    """
    config = model.info.scheduler_config
    settings = replace(BASE, scheduler="DDIM", num_inference_steps=50)
    assert start_of(replace(settings, strength=0.58), config).num_executed_steps == 28
    assert start_of(replace(settings, strength=1.0), config).sqrt_abar == pytest.approx(
        0.076, abs=0.001
    )
    third = replace(settings, strength=0.3)
    karras = replace(third, scheduler="DPM++ 2M Karras")
    wanted = start_of(third, config)
    assert round(wanted.timestep) == 281
    assert round(start_of(karras, config).timestep) == 90
    matched = start_of(replace(karras, match_noise=True), config)
    assert abs(math.log(matched.sigma / wanted.sigma)) < 0.1
    assert matched.num_executed_steps > 15
    both = start_of(replace(karras, match_noise=True, exact_steps=True), config)
    assert both.num_executed_steps == 50
    assert abs(math.log(both.sigma / wanted.sigma)) < 0.05


def test_noise_is_matched_for_every_scheduler(model: LoadedModel) -> None:
    config = model.info.scheduler_config
    settings = replace(BASE, num_inference_steps=40, strength=0.4, match_noise=True)
    sigmas = [start_of(replace(settings, scheduler=name), config).sigma for name in SCHEDULERS]
    assert max(sigmas) / min(sigmas) < 1.12


def test_a_variation_moves_the_noise_of_image_to_image(engine: Engine) -> None:
    plain, varied, other = engine.generate(
        [
            BASE,
            replace(BASE, variation_seed=5, variation_strength=0.3),
            replace(BASE, variation_seed=6, variation_strength=0.3),
        ]
    )
    assert max_difference(plain.image, varied.image) > 2
    assert max_difference(other.image, varied.image) > 2


def test_the_latents_under_what_is_black_in_the_mask_stay(engine: Engine) -> None:
    settings = replace(BASE, strength=1.0, mask_image=input_digest(MASK), posterior="mean")
    trajectory = engine.generate([settings], record="latents")[0].trajectory
    assert trajectory is not None
    assert trajectory.latents is not None
    source = source_of(engine.model, settings)
    kept = np.ones((8, 8), bool)
    kept[2:6, 1:5] = False
    last = trajectory.latents[-1]
    assert np.array_equal(last[:, kept], source[:, kept])
    assert np.abs(last[:, ~kept] - source[:, ~kept]).mean() > 0.1


def test_grow_and_blur_are_a_mask_that_was_changed_before(engine: Engine) -> None:
    """The pipeline gets the mask that PIL blurs; its own processor cuts it at one half."""
    settings = replace(BASE, mask_image=input_digest(MASK))
    soft = Image.fromarray(MASK).filter(ImageFilter.GaussianBlur(9))
    blurred = engine.generate([replace(settings, mask_blur=9)], strict=True)[0].image
    wanted = pipeline_image(engine.model, settings, mask_image=soft)
    assert max_difference(blurred, wanted) == 0
    grown = engine.generate([replace(settings, mask_grow=8)], strict=True)[0].image
    down, across = np.mgrid[:64, :64]
    # How far each pixel lies from the square of MASK, by Pythagoras.
    far = np.hypot(np.maximum(0, abs(down - 31.5) - 15.5), np.maximum(0, abs(across - 23.5) - 15.5))
    wide = np.where(far <= 8, 255, 0).astype(np.uint8)
    wanted = pipeline_image(engine.model, settings, mask_image=Image.fromarray(wide))
    assert max_difference(grown, wanted) == 0
    plain = engine.generate([settings], strict=True)[0].image
    assert max_difference(plain, blurred) > 2
    assert max_difference(plain, grown) > 2


@pytest.mark.parametrize("strength", [0.7, 1.0])
@pytest.mark.parametrize("scheduler", ["DDIM", "Euler a", "DPM++ 2M", "Heun"])
def test_a_differential_mask_is_cut_by_the_share_of_calls_done(
    engine: Engine, scheduler: str, strength: float
) -> None:
    """The pipeline's own loop, whose callback lays Levin and Fried's mask over what it made: the
    source's noised latents where 1 - grey > i / n.
    """
    settings = replace(BASE, scheduler=scheduler, strength=strength, posterior="mean")
    latents = torch.from_numpy(source_of(engine.model, settings))[None]
    cell = Batch(engine.model, max_rows=2, inputs=INPUTS.__getitem__).admit(settings)
    grey = torch.from_numpy(GREY[::8, ::8] / 255)[None, None]
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(settings.seed))

    def lay(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        following = cell.timesteps[step + 1 : step + 2]
        kept = latents
        if len(following):
            kept = pipe.scheduler.add_noise(latents, noise, following)
        is_kept = (1 - grey > (step + 1) / cell.total_calls) | (grey == 0)
        changes = 1 - is_kept.float()
        return {"latents": (1 - changes) * kept + changes * values["latents"]}

    wanted = pipeline_image(
        engine.model,
        replace(settings, mask_image="is there"),
        image=latents,
        mask_image=Image.new("L", (64, 64), 255),
        masked_image_latents=latents,
        callback_on_step_end=lay,
    )
    masked = replace(settings, mask_image=input_digest(GREY), mask_mode="differential")
    ours, binary = (
        engine.generate([one], strict=True)[0].image
        for one in (masked, replace(masked, mask_mode="binary"))
    )
    assert max_difference(ours, wanted) <= 1, "another layout in memory, other last bits"
    assert max_difference(ours, binary) > 2


def test_a_black_and_white_mask_is_the_same_in_both_modes(engine: Engine) -> None:
    settings = replace(BASE, strength=0.8, mask_image=input_digest(MASK))
    modes = [settings, replace(settings, mask_mode="differential")]
    one, other = (engine.generate([mode], strict=True)[0].image for mode in modes)
    assert max_difference(one, other) == 0


def test_masks_of_several_modes_run_in_one_batch(engine: Engine) -> None:
    settings = replace(BASE, strength=0.8, mask_image=input_digest(GREY))
    cells = [
        replace(settings, mask_mode=mode, num_inference_steps=steps)
        for mode in ("binary", "differential")
        for steps in (5, 8)
    ]
    together = engine.generate(cells)
    for cell, made in zip(cells, together, strict=True):
        assert max_difference(made.image, engine.generate([cell], strict=True)[0].image) <= 2


def boxed(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((64, 64), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


AREA_MASKS = {
    "middle": boxed(20, 24, 44, 40),
    "corner": boxed(0, 0, 12, 9),
    "other corner": boxed(50, 57, 64, 64),
    "edge": boxed(0, 30, 8, 62),
    "whole": boxed(0, 0, 64, 64),
    "grey": GREY[:, ::-1].copy(),
}
INPUTS |= {input_digest(mask): mask for mask in AREA_MASKS.values()}
CHANGES: list[dict[str, Any]] = [
    {},
    {"mask_grow": 5},
    {"mask_grow": -3, "mask_blur": 2},
    {"mask_blur": 6, "strength": 1.0, "scheduler": "Euler a"},
]


def area_masks() -> list[tuple[str, int, dict[str, Any]]]:
    """Each mask with each change, and with each padding."""
    changed = [(name, 8, change) for name in AREA_MASKS for change in CHANGES]
    paddings = zip(AREA_MASKS, (0, 3, 32, 256, 0, 17), strict=True)
    return changed + [(name, padding, {}) for name, padding in paddings]


@pytest.mark.parametrize(("name", "padding", "change"), area_masks())
def test_only_masked_equals_the_pipelines_padding_mask_crop(
    engine: Engine, name: str, padding: int, change: dict[str, Any]
) -> None:
    mask = AREA_MASKS[name]
    settings = replace(
        BASE,
        mask_image=input_digest(mask),
        masked_only=True,
        masked_padding=padding,
        num_inference_steps=3,
        **change,
    )
    ours = engine.generate([settings], strict=True)[0].image
    soft = Image.fromarray(grown(mask, settings.mask_grow))
    if settings.mask_blur:
        soft = soft.filter(ImageFilter.GaussianBlur(settings.mask_blur))
    wanted = pipeline_image(
        engine.model, settings, mask_image=soft, padding_mask_crop=settings.masked_padding
    )
    assert max_difference(ours, wanted) == 0
    kept = np.asarray(soft) == 0
    assert np.array_equal(np.asarray(ours)[kept], SOURCE[kept]), "what is black stays as it was"


def test_only_masked_is_another_picture(engine: Engine) -> None:
    settings = replace(BASE, mask_image=input_digest(AREA_MASKS["corner"]), masked_padding=4)
    area, whole = engine.generate([replace(settings, masked_only=True), settings])
    assert max_difference(area.image, whole.image) > 2


def test_a_differential_mask_lays_back_all_that_may_change(engine: Engine) -> None:
    """The area is that of the grey mask; what comes back takes the place of the source there."""
    grey = AREA_MASKS["grey"].copy()
    grey[:, 40:] = 0
    INPUTS[input_digest(grey)] = grey
    settings = replace(
        BASE,
        strength=0.9,
        mask_image=input_digest(grey),
        mask_mode="differential",
        masked_only=True,
        masked_padding=4,
    )
    ours = np.asarray(engine.generate([settings], strict=True)[0].image)
    area = masked_area(grey, settings)
    assert area is not None
    part, mask = enlarged(SOURCE, area), enlarged(grey, area)
    INPUTS.update({input_digest(one): one for one in (part, mask)})
    cut = replace(
        settings, init_image=input_digest(part), mask_image=input_digest(mask), masked_only=False
    )
    made = engine.generate([cut], strict=True)[0].image
    wide, high = area[2] - area[0], area[3] - area[1]
    small = np.asarray(made.resize((wide, high), Image.Resampling.LANCZOS))
    wanted = SOURCE.copy()
    changes = grey > 0
    box = slice(area[1], area[3]), slice(area[0], area[2])
    wanted[box][changes[box]] = small[changes[box]]
    assert np.array_equal(ours, wanted)


def test_areas_of_several_masks_run_in_one_batch_and_their_snapshots_are_whole(
    engine: Engine,
) -> None:
    cells = [
        replace(
            BASE, mask_image=input_digest(AREA_MASKS[name]), masked_only=True, snapshot=snapshot
        )
        for name in ("middle", "corner")
        for snapshot in (0, 2)
    ]
    for cell, made in zip(cells, engine.generate(cells), strict=True):
        alone = engine.generate([cell], strict=True)[0].image
        assert max_difference(made.image, alone) <= 2
        kept = INPUTS[cell.mask_image] == 0
        assert np.array_equal(np.asarray(made.image)[kept], SOURCE[kept])


def test_the_latents_of_a_source_have_no_area(engine: Engine) -> None:
    settings = replace(BASE, mask_image=input_digest(MASK), masked_only=True, posterior="latents")
    with pytest.raises(SettingsError, match=r"masked_only: needs a picture"):
        engine.generate([settings])


def test_a_mask_of_which_nothing_is_left_is_refused(engine: Engine) -> None:
    settings = replace(BASE, mask_image=input_digest(MASK))
    with pytest.raises(SettingsError, match=r"mask_grow.*shrinks the mask until nothing"):
        engine.generate([replace(settings, mask_grow=-20)])
    with pytest.raises(SettingsError, match=r"mask_blur.*blurs the mask until"):
        engine.generate([replace(settings, mask_blur=64)])
    assert engine.active == ()


def test_a_source_that_is_gone_or_of_another_size_is_said(model: LoadedModel) -> None:
    def gone(digest: str) -> np.ndarray:
        raise InputError("Computing this image again needs its source picture.")

    with pytest.raises(InputError, match="needs its source picture"):
        Engine(model, inputs=gone).generate([BASE])
    with pytest.raises(InputError, match="no source pictures"):
        Engine(model).generate([BASE])
    engine = Engine(model, inputs=INPUTS.__getitem__)
    with pytest.raises(SettingsError, match="another size than 128 x 64"):
        engine.generate([replace(BASE, width=128)])
    swapped = replace(BASE, mask_image=BASE.init_image)
    with pytest.raises(SettingsError, match="mask_image"):
        engine.generate([swapped])
    with pytest.raises(SettingsError, match="latents of another size"):
        engine.generate([replace(BASE, posterior="latents")])
    assert engine.active == ()


def test_a_snapshot_beyond_the_steps_that_are_left_is_refused(engine: Engine) -> None:
    with pytest.raises(SettingsError, match="outside 0 to 3"):
        engine.generate([replace(BASE, snapshot=4)])
    matched = replace(BASE, snapshot=6, match_noise=True, strength=0.2, scheduler="DPM++ 2M Karras")
    with pytest.raises(SettingsError, match="UNet calls left"):
        engine.generate([matched])
    assert engine.active == ()
    assert engine.generate([replace(BASE, snapshot=2)])[0].image.size == (64, 64)
