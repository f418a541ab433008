"""Every family, on tiny random models of its real shape: strict equals diffusers' own pipeline."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from core.diffusion.engine import Engine, GenerationError
from core.diffusion.models.errors import ModelError
from core.diffusion.models.families import FAMILIES, Configs
from core.diffusion.models.files import single_file
from core.diffusion.models.files.folder_family import family_of
from core.diffusion.models.load import LoadedModel, describe, list_models, load_model
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.text_encoder import guidance_embedding
from core.diffusion.settings import GenerationSettings
from tests.conftest import max_difference
from tests.core.diffusion.models.test_origins import cached
from tests.core.diffusion.tiny import KINDS, build, published, save_single_file

SIDE = 64
BASE = GenerationSettings(
    prompt="a red apple on a blue table",
    width=SIDE,
    height=SIDE,
    seed=11,
    num_inference_steps=2,
    guidance_scale=4.0,
    scheduler="Euler",
)
PICTURE = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder in diffusers layout for each family, as diffusers saves it."""
    root = tmp_path_factory.mktemp("families")
    found: dict[str, Path] = {}
    for number, family in enumerate(KINDS):
        found[family] = root / f"model-{number}"
        build(family).save_pretrained(found[family])
    return found


@pytest.fixture(scope="module")
def engines(folders: dict[str, Path]) -> dict[str, Engine]:
    return {
        family: Engine(load_model(str(folder), device="cpu"), inputs=lambda _: PICTURE)
        for family, folder in folders.items()
    }


def settings_for(family: str, **changes: Any) -> GenerationSettings:
    row = FAMILIES[family]
    scale = 4.0 if row.guidance != "distilled" else row.default_guidance_scale
    scheduler = row.default_scheduler
    return replace(BASE, **({"guidance_scale": scale, "scheduler": scheduler} | changes))


def arguments(settings: GenerationSettings) -> dict[str, Any]:
    return {
        "prompt": settings.prompt,
        "negative_prompt": settings.negative_prompt or None,
        "num_inference_steps": settings.num_inference_steps,
        "guidance_scale": settings.guidance_scale,
        "generator": torch.Generator("cpu").manual_seed(settings.seed),
    }


def own_pipeline(folder: Path, name: str, settings: GenerationSettings) -> Any:
    """diffusers' own way from the folder to a pipeline: none of our code."""
    pipe = getattr(diffusers, name).from_pretrained(folder, local_files_only=True)
    return prepared(pipe, settings)


def prepared(pipe: Any, settings: GenerationSettings) -> Any:
    """With the settings' scheduler, as diffusers makes it."""
    row = SCHEDULERS[settings.scheduler]
    pipe.scheduler = getattr(diffusers, row.class_name).from_config(
        pipe.scheduler.config, **row.config
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def own_image(folder: Path, family: str, settings: GenerationSettings) -> Image.Image:
    pipe = own_pipeline(folder, FAMILIES[family].text_to_image, settings)
    return pipe(width=settings.width, height=settings.height, **arguments(settings)).images[0]


def strict(engine: Engine, settings: GenerationSettings) -> Image.Image:
    return engine.generate([settings], strict=True)[0].image


def test_every_family_is_tested() -> None:
    assert set(KINDS) == set(FAMILIES)


@pytest.mark.parametrize("family", KINDS)
def test_a_family_is_known_by_its_configurations(family: str, engines: dict[str, Engine]) -> None:
    info = engines[family].model.info
    assert info.family_name == family
    row = FAMILIES[family]
    assert info.default_scheduler == row.default_scheduler
    trained = published(family, "unet")["sample_size"] * 8
    assert (info.default_width, info.default_height) == (row.default_side or trained,) * 2
    assert info.latent_format.preview_weight == row.latent_format.preview_weight


def test_sizes_are_those_that_the_families_were_trained_on(engines: dict[str, Engine]) -> None:
    sizes = {family: engine.model.info.default_width for family, engine in engines.items()}
    assert sizes == {
        "SD 1.x": 512,
        "SD 2.x": 512,
        "SD 2.x (v-prediction)": 768,
        "SD-Turbo": 512,
        "SDXL": 1024,
        "SDXL-Turbo": 512,
        "LCM of SD 1.x": 512,
        "LCM of SDXL": 1024,
    }


# LCM's UNets are published in diffusers layout alone.
SINGLE = [family for family in KINDS if "LCM" not in family]
FILES = {
    "SD 1.x": "dream",
    "SD 2.x": "v2-1_512-ema-pruned",
    "SD 2.x (v-prediction)": "v2-1_768-ema-pruned",
    "SD-Turbo": "sd_turbo",
    "SDXL": "photo-xl",
    "SDXL-Turbo": "sd_xl_turbo_1.0_fp16",
}


@dataclass(frozen=True)
class Place:
    """Where a model is: the name that it is loaded by, and diffusers' own way to a pipeline."""

    source: str
    open: Callable[[str], Any]


def in_a_folder(family: str, folder: Path, tmp_path: Path, monkeypatch: Any) -> Place:
    shutil.copytree(folder, tmp_path / "models" / "tiny")
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path / "models"))
    return Place("tiny", lambda name: of(name).from_pretrained(folder, local_files_only=True))


def in_a_file(family: str, folder: Path, tmp_path: Path, monkeypatch: Any) -> Place:
    """Under the original names, read back with the family's configurations."""
    configs = tmp_path / "configs" / KINDS[family][0]
    shutil.copytree(folder, configs)
    for weights in configs.glob("*/*.safetensors"):
        weights.unlink()
    monkeypatch.setattr(single_file, "CONFIGS", configs.parent)
    roots = tmp_path / "models"
    roots.mkdir()
    file = roots / f"{FILES[family]}.safetensors"
    save_single_file(of(KINDS[family][1]).from_pretrained(folder), file)
    monkeypatch.setenv("LIGHTBOX_MODELS", str(roots))

    def open(name: str) -> Any:
        return of(name).from_single_file(str(file), config=str(configs), local_files_only=True)

    return Place(file.name, open)


def in_the_cache(family: str, folder: Path, tmp_path: Path, monkeypatch: Any) -> Place:
    hub = tmp_path / "hub"
    cached(hub, "somebody/tiny", folder)
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there

    def open(name: str) -> Any:
        return of(name).from_pretrained("somebody/tiny", cache_dir=hub, local_files_only=True)

    return Place("somebody/tiny", open)


def of(name: str) -> Any:
    return getattr(diffusers, name)


PLACES = {"folder": in_a_folder, "single file": in_a_file, "hub cache": in_the_cache}


@pytest.mark.parametrize(
    ("family", "place"),
    [(f, p) for f in KINDS for p in PLACES if f in SINGLE or p != "single file"],
)
def test_every_family_from_every_place_equals_the_pipeline(
    family: str,
    place: str,
    folders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Text to image and image to image, to the last pixel."""
    at = PLACES[place](family, folders[family], tmp_path, monkeypatch)
    assert at.source in list_models()
    model = load_model(at.source, device="cpu")
    assert model.info.family_name == family
    engine, row = Engine(model, inputs=lambda _: PICTURE), FAMILIES[family]
    settings = settings_for(family)
    text = strict(engine, settings)
    assert np.asarray(text).std() > 1, "a picture of one colour would prove nothing"
    pipe = prepared(at.open(row.text_to_image), settings)
    theirs = pipe(width=SIDE, height=SIDE, **arguments(settings)).images[0]
    assert max_difference(text, theirs) == 0
    settings = replace(settings, init_image="0" * 64, strength=0.7, num_inference_steps=3)
    pipe = prepared(at.open(row.image_to_image), settings)
    options = arguments(settings) | {"strength": 0.7, "image": Image.fromarray(PICTURE)}
    assert max_difference(strict(engine, settings), pipe(**options).images[0]) == 0


@pytest.mark.parametrize("family", ["SDXL", "SD 2.x (v-prediction)"])
def test_negative_prompts_schedulers_and_sides_equal_the_pipeline(
    family: str, folders: dict[str, Path], engines: dict[str, Engine]
) -> None:
    settings = settings_for(
        family, negative_prompt="green", scheduler="DPM++ 2M Karras", width=96, height=64
    )
    settings = replace(settings, guidance_rescale=0.5)
    ours = strict(engines[family], settings)
    pipe = own_pipeline(folders[family], FAMILIES[family].text_to_image, settings)
    options = arguments(settings) | {"guidance_rescale": 0.5}
    theirs = pipe(width=96, height=64, **options).images[0]
    assert max_difference(ours, theirs) == 0


def test_lcm_equals_the_pipeline_of_its_own(
    folders: dict[str, Path], engines: dict[str, Engine]
) -> None:
    settings = settings_for("LCM of SD 1.x", num_inference_steps=4, guidance_scale=8.0)
    ours = strict(engines["LCM of SD 1.x"], settings)
    pipe = own_pipeline(folders["LCM of SD 1.x"], "LatentConsistencyModelPipeline", settings)
    options = arguments(settings)
    del options["negative_prompt"]
    theirs = pipe(width=SIDE, height=SIDE, **options).images[0]
    assert max_difference(ours, theirs) == 0
    other = strict(engines["LCM of SD 1.x"], replace(settings, guidance_scale=2.0))
    assert max_difference(ours, other) > 0


@pytest.mark.parametrize("width", [8, 9])
@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_the_guidance_embedding_is_diffusers(scale: float, width: int) -> None:
    pipeline: Any = diffusers.StableDiffusionPipeline
    theirs = pipeline.get_guidance_scale_embedding(
        None, torch.tensor([scale - 1]), embedding_dim=width
    )
    assert torch.equal(guidance_embedding(scale, width), theirs)
    assert torch.equal(guidance_embedding(0.5, 8), guidance_embedding(1.0, 8))


@pytest.mark.parametrize("family", ["SDXL", "LCM of SDXL", "SD 2.x (v-prediction)"])
def test_rows_of_one_batch_are_told_their_own(family: str, engines: dict[str, Engine]) -> None:
    """Different prompts and guidance side by side, in halves too, as each of them alone."""
    engine = engines[family]
    wanted = [
        settings_for(family),
        settings_for(family, prompt="a glass sphere", guidance_scale=1.0),
        settings_for(family, prompt="a cat", seed=5, guidance_scale=7.0, negative_prompt="dog"),
    ]
    alone = [strict(engine, settings) for settings in wanted]
    for max_rows in (32, 2):
        batch = Engine(engine.model, max_rows=max_rows)
        together = [generation.image for generation in batch.generate(wanted)]
        for one, other in zip(together, alone, strict=True):
            assert max_difference(one, other) <= 1


def test_pooled_prompt_and_size_are_heard(engines: dict[str, Engine]) -> None:
    """Of two prompts the pooled ones alone differ, then of two sizes the micro-conditioning."""
    model = engines["SDXL"].model
    from core.diffusion.sampling.batch import Batch

    def run(index: int, value: torch.Tensor | None) -> torch.Tensor:
        batch = Batch(model, max_rows=2)
        cell = batch.admit(settings_for("SDXL"), strict=True)
        if value is not None:
            (states, *added) = cell.condition.conds[0]
            added[index] = value
            told = replace(cell.condition, conds=((states, *added),))
            cell.conditions = [told] * len(cell.conditions)
        batch.step()
        return cell.latents

    plain = run(0, None)
    pooled, sizes = batch_added(model)
    assert not torch.equal(run(0, pooled + 1), plain)
    assert not torch.equal(run(1, sizes * 4), plain)


def batch_added(model: LoadedModel) -> tuple[torch.Tensor, ...]:
    from core.diffusion.sampling.text_encoder import PromptEncoder

    (told,) = PromptEncoder(model).condition(settings_for("SDXL"), 1)
    return told.conds[0][1:]


def test_an_empty_negative_prompt_of_sdxl_is_none_at_all(
    folders: dict[str, Path], engines: dict[str, Engine], tmp_path: Path
) -> None:
    """SDXL says in its model_index.json that it was trained so; another fingerprint without."""
    copy = tmp_path / "copy"
    shutil.copytree(folders["SDXL"], copy)
    index = copy / "model_index.json"
    index.write_text(index.read_text().replace('prompt": true', 'prompt": false'))
    other = load_model(str(copy), device="cpu")
    assert other.info.fingerprint != describe(str(folders["SDXL"])).fingerprint
    settings = settings_for("SDXL")
    ours = strict(Engine(other), settings)
    assert max_difference(ours, own_image(copy, "SDXL", settings)) == 0
    assert max_difference(ours, strict(engines["SDXL"], settings)) > 0


@pytest.mark.filterwarnings("ignore:`upcast_vae` is deprecated:FutureWarning")  # diffusers' own
@pytest.mark.parametrize("family", ["SDXL", "SD 1.x"])
def test_half_precision_equals_the_pipeline_in_half_precision(
    family: str, folders: dict[str, Path]
) -> None:
    """SDXL's VAE is kept in float32, where diffusers takes it for each picture."""
    model = load_model(str(folders[family]), device="cpu", dtype=torch.float16)
    assert model.vae.dtype == (torch.float32 if family == "SDXL" else torch.float16)
    engine = Engine(model, inputs=lambda _: PICTURE)
    settings = settings_for(family, scheduler="Euler")
    row = FAMILIES[family]
    for name, changes in (
        (row.text_to_image, {}),
        (row.image_to_image, {"init_image": "0" * 64, "strength": 0.6}),
    ):
        one = replace(settings, **changes)
        pipe = getattr(diffusers, name).from_pretrained(folders[family], dtype=torch.float16)
        pipe.scheduler = SCHEDULERS["Euler"].build(pipe.scheduler.config)
        pipe.set_progress_bar_config(disable=True)
        sized = (
            {"image": Image.fromarray(PICTURE), "strength": one.strength}
            if one.init_image
            else {"width": SIDE, "height": SIDE}
        )
        theirs = pipe(**sized, **arguments(one)).images[0]
        assert max_difference(strict(engine, one), theirs) == 0, name


def test_a_vae_that_overflows_in_half_precision_decodes_in_float32(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(str(folders["SD 1.x"]), device="cpu", dtype=torch.bfloat16)
    engine, plain = Engine(model), model.vae.decode
    seen: list[torch.dtype] = []

    def overflowing(latents: torch.Tensor, **options: Any) -> Any:
        seen.append(latents.dtype)
        found = plain(latents, **options)
        return found if latents.dtype == torch.float32 else (found[0] * torch.inf,)

    monkeypatch.setattr(model.vae, "decode", overflowing)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    picture = engine.decode(latents.to(torch.bfloat16))
    assert seen == [torch.bfloat16, torch.float32]
    assert np.asarray(picture).std() > 1
    assert model.vae.dtype == torch.bfloat16, "it goes back to what it was"
    monkeypatch.setattr(model.vae, "decode", lambda latents, **_: (latents * torch.nan,))
    with pytest.raises(GenerationError, match="VAE gave no finite numbers"):
        engine.generate([settings_for("SD 1.x")])


@pytest.mark.parametrize("family", SINGLE)
def test_a_single_file_has_the_weights_of_the_folder(
    family: str,
    folders: dict[str, Path],
    engines: dict[str, Engine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = in_a_file(family, folders[family], tmp_path, monkeypatch)
    model = load_model(place.source, device="cpu")
    assert (model.info.family_name, model.info.name) == (family, FILES[family])
    for part in model.info.family.weighed_parts:
        ours = getattr(model, part).state_dict()
        theirs = getattr(engines[family].model, part).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": "FluxPipeline"}, r"FLUX\.1"),
        ({"_class_name": "StableDiffusion3Pipeline"}, "Stable Diffusion 3"),
        ({"_class_name": "KandinskyV22Pipeline"}, "Kandinsky"),
        ({"_class_name": "SomethingNewPipeline"}, "SomethingNewPipeline"),
        ({"_class_name": "StableDiffusionXLPipeline", "text_encoder": [None, None]}, "refiner"),
    ],
)
def test_other_families_are_named(changes: dict[str, Any], words: str) -> None:
    index = {"_class_name": "StableDiffusionPipeline"} | changes
    with pytest.raises(ModelError, match=words) as caught:
        family_of("some-model", Configs(index=index, unet={}, scheduler={}))
    assert str(caught.value).startswith("some-model is ")
    assert all(family in str(caught.value) for family in FAMILIES)
