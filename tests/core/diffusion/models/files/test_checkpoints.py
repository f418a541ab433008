"""Checkpoints as they are in the wild: what is missing or of another kind is never guessed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.diffusion.models.errors import IncompleteError, ModelError
from core.diffusion.models.files import single_file
from core.diffusion.models.files.tokenizers import read_tokenizer
from core.diffusion.models.load import BUNDLED_FOLDER, describe, load_model
from core.diffusion.recipe.schedulers import SCHEDULERS
from tests.core.diffusion.models.test_origins import SD1, weights, without
from tests.core.diffusion.tiny import build, save_single_file

SD2 = without("cond_stage_model") | {"cond_stage_model.model.x": (1,)}
XL = without("cond_stage_model") | {
    "conditioner.embedders.0.transformer.x": (1,),
    "conditioner.embedders.1.model.x": (1,),
}


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "sd1"
    build("SD 1.x").save_pretrained(folder)
    return folder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("LIGHTBOX_MODELS", str(folder))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


@pytest.fixture
def copy(root: Path, sd1: Path) -> Path:
    return Path(shutil.copytree(sd1, root / "copy"))


@pytest.fixture
def bundled(root: Path) -> Path:
    return Path(shutil.copytree(BUNDLED_FOLDER, root / "copy"))


def weights_file(folder: Path, part: str) -> Path:
    return next((folder / part).glob("*.safetensors"))


def rewrite(file: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, {"format": "pt"})


def edit(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


def as_file(folder: Path, family: str, file: Path, patch: pytest.MonkeyPatch) -> Path:
    """The folder's model under the original names, and read with its own configurations."""
    kinds = {"SD 1.x": "sd1", "SD 2.x": "sd2", "SD-Turbo": "sd-turbo"}
    configs = file.parent.parent / "configs" / kinds[family]
    shutil.copytree(folder, configs, ignore=shutil.ignore_patterns("*.safetensors"))
    patch.setattr(single_file, "CONFIGS", configs.parent)
    save_single_file(diffusers.StableDiffusionPipeline.from_pretrained(folder), file)
    return file


@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae"])
def test_a_tensor_that_a_folder_lacks_is_named_and_never_made_up(copy: Path, part: str) -> None:
    lost: list[str] = []

    def lose(tensors: dict[str, torch.Tensor]) -> None:
        lost.append(sorted(tensors)[5])
        del tensors[lost[0]]

    rewrite(weights_file(copy, part), lose)
    with pytest.raises(IncompleteError, match=f"its {part} lacks ") as caught:
        load_model("copy", device="cpu")
    assert lost[0].removeprefix("text_model.") in str(caught.value)


@pytest.mark.parametrize(
    ("part", "start"),
    [
        ("text_encoder", "cond_stage_model.transformer.text_model.encoder"),
        ("unet", "model.diffusion_model.middle_block.1.norm"),
        ("unet", "model.diffusion_model.input_blocks.1.0.in_layers"),
        ("vae", "first_stage_model.decoder.up"),
    ],
)
def test_a_tensor_that_a_file_lacks_is_named(
    root: Path, sd1: Path, part: str, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = as_file(sd1, "SD 1.x", root / "dream.safetensors", monkeypatch)
    load_model(file.name, device="cpu")
    rewrite(
        file, lambda tensors: tensors.pop(next(k for k in sorted(tensors) if k.startswith(start)))
    )
    with pytest.raises(ModelError, match=f"dream: its {part} lacks"):
        load_model(file.name, device="cpu")


def test_a_tensor_that_no_unet_here_has_is_not_dropped(
    root: Path, sd1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = as_file(sd1, "SD 1.x", root / "dream.safetensors", monkeypatch)
    odd = "model.diffusion_model.middle_block.1.motion.weight"
    rewrite(file, lambda tensors: tensors.update({odd: torch.zeros(2)}))
    with pytest.raises(ModelError, match=odd):
        load_model(file.name, device="cpu")


@pytest.mark.parametrize("ending", ["scale_weight", "weight_scale", "comfy_quant"])
def test_eight_bits_with_scales_are_refused_by_name(root: Path, copy: Path, ending: str) -> None:
    scale = f"model.diffusion_model.middle_block.1.proj_in.{ending}"
    weights(root / "dream.safetensors", SD1 | {scale: (1,)})
    with pytest.raises(ModelError, match=rf"eight bits .*{ending}"):
        describe("dream.safetensors")
    weights(root / "dream.safetensors", SD1 | {"scaled_fp8": (2,)})
    with pytest.raises(ModelError, match=r"eight bits .*scaled_fp8"):
        describe("dream.safetensors")
    rewrite(weights_file(copy, "unet"), lambda tensors: tensors.update({scale: torch.ones(1)}))
    with pytest.raises(ModelError, match=rf"copy/unet holds .*eight bits .*{ending}"):
        describe("copy")


OUTDATED: list[dict[str, Any]] = [
    {"steps_offset": 0},
    {"steps_offset": ...},
    {"clip_sample": True},
    {"clip_sample": ...},
    {"steps_offset": 0, "clip_sample": True},
    {"steps_offset": ..., "clip_sample": ...},
]


@pytest.mark.filterwarnings("ignore::FutureWarning")  # what the constructor mends it tells of
@pytest.mark.parametrize("changes", OUTDATED, ids=str)
@pytest.mark.parametrize("trained", ["DDIMScheduler", "PNDMScheduler"])
def test_outdated_scheduler_configurations_are_mended_as_the_pipeline_does(
    bundled: Path, trained: str, changes: dict[str, Any]
) -> None:
    """Every scheduler, as `Class.from_config(pipe.scheduler.config)` makes it."""
    config = bundled / "scheduler" / "scheduler_config.json"
    if trained == "PNDMScheduler":
        keys = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "steps_offset")
        kept = {key: json.loads(config.read_text())[key] for key in keys}
        config.write_text(json.dumps(kept | {"skip_prk_steps": True, "set_alpha_to_one": False}))
    edit(config, _class_name=trained, **changes)
    index = bundled / "model_index.json"
    edit(index, scheduler=["diffusers", trained])
    built = getattr(diffusers, trained).from_pretrained(bundled, subfolder="scheduler")
    pipe = diffusers.StableDiffusionPipeline(
        **dict.fromkeys(
            ("vae", "text_encoder", "tokenizer", "unet", "safety_checker", "feature_extractor")
        ),
        scheduler=built,
        requires_safety_checker=False,
    )
    info = describe("copy")
    for row in SCHEDULERS.values():
        cls = getattr(diffusers, row.class_name)
        theirs = cls.from_config(pipe.scheduler.config, **row.config)
        ours = row.build(info.scheduler_config)
        assert _used(ours) == _used(theirs), row.name
    is_mended = any(value is not ... for value in changes.values())
    if trained == "DDIMScheduler":
        plain = describe("bundled").fingerprint
        assert (info.fingerprint != plain) or not is_mended


def _used(scheduler: Any) -> dict[str, Any]:
    """What the scheduler's own class knows of its configuration."""
    import inspect

    known = inspect.signature(type(scheduler).__init__).parameters
    return {key: scheduler.config[key] for key in known if key in scheduler.config}


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ({"edm_vpred.sigma_max": (1,)}, "CosXL"),
        ({"edm_mean": (4,), "edm_std": (4,)}, r"Playground 2\.5"),
    ],
)
def test_marks_of_another_training_are_refused_by_name(
    root: Path, marks: dict[str, tuple[int, ...]], words: str
) -> None:
    weights(root / "photo.safetensors", XL | marks)
    with pytest.raises(ModelError, match=words):
        describe("photo.safetensors")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("modelspec.predict_key", "x0", "trained to predict 'x0'"),
        ("modelspec.prediction_type", "flow", "trained to predict 'flow'"),
        ("modelspec.architecture", "stable-diffusion-xl-v1-edm", "EDM"),
    ],
)
def test_headers_of_another_training_are_refused(
    root: Path, key: str, value: str, words: str
) -> None:
    weights(root / "photo.safetensors", XL, **{key: value})
    with pytest.raises(ModelError, match=words):
        describe("photo.safetensors")


def prediction_of(file: Path) -> str:
    return str(describe(file.name).scheduler_config["prediction_type"])


@pytest.mark.parametrize(
    ("name", "said", "expected"),
    [
        ("any-512-base", {"modelspec.predict_key": "v"}, "v_prediction"),
        ("any", {"modelspec.predict_key": "epsilon"}, "epsilon"),
        ("any", {"modelspec.architecture": "stable-diffusion-v2-512"}, "epsilon"),
        ("any-base", {"modelspec.architecture": "stable-diffusion-v2-768-v"}, "v_prediction"),
        ("deepspace-768-v", {}, "v_prediction"),
        ("baseball-v2", {}, "v_prediction"),
        ("steps15120", {}, "v_prediction"),
        ("v2-1_512-ema-pruned", {}, "epsilon"),
        ("my_base", {}, "epsilon"),
        ("good-eps", {}, "epsilon"),
    ],
)
def test_what_a_stable_diffusion_2_predicts(
    root: Path, name: str, said: dict[str, str], expected: str
) -> None:
    """Its header before its name, and of the name whole words alone."""
    assert prediction_of(weights(root / f"{name}.safetensors", SD2, **said)) == expected


@pytest.mark.parametrize("names", [SD1, SD2, XL], ids=["SD 1.x", "SD 2.x", "SDXL"])
def test_marks_among_the_tensors_come_before_the_name(
    root: Path, names: dict[str, tuple[int, ...]]
) -> None:
    file = weights(root / "a-base.safetensors", names | {"v_pred": (1,), "ztsnr": (1,)})
    config = describe(file.name).scheduler_config
    assert config["prediction_type"] == "v_prediction"
    assert config["rescale_betas_zero_snr"] is True
    assert config["timestep_spacing"] == "trailing"


@pytest.mark.parametrize("names", [SD1, SD2, XL], ids=["SD 1.x", "SD 2.x", "SDXL"])
def test_a_yaml_beside_says_what_is_predicted(
    root: Path, names: dict[str, tuple[int, ...]]
) -> None:
    file = weights(root / "a-base.safetensors", names)
    plain = describe(file.name)
    assert plain.scheduler_config["prediction_type"] == "epsilon"
    beside = root / "a-base.yaml"
    beside.write_text('model:\n  params:\n    parameterization: "v"\n    timesteps: 1000\n')
    told = describe(file.name)
    assert told.scheduler_config["prediction_type"] == "v_prediction"
    assert told.fingerprint != plain.fingerprint
    beside.write_text("model:\n  params:\n    parameterization: x0\n")
    with pytest.raises(ModelError, match=r"'x0' \(says a-base\.yaml"):
        describe(file.name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, "flow matching"),
        ({"_class_name": "EDMEulerScheduler"}, "EDM"),
        ({"prediction_type": "flow_prediction"}, "'flow_prediction'"),
        ({"use_flow_sigmas": True}, "use_flow_sigmas"),
    ],
)
def test_scheduler_configurations_of_another_training_are_refused(
    bundled: Path, changes: dict[str, Any], words: str
) -> None:
    edit(bundled / "scheduler" / "scheduler_config.json", **changes)
    with pytest.raises(ModelError, match=words):
        describe("copy")


@pytest.mark.parametrize(
    ("part", "library", "name"),
    [
        ("tokenizer", "transformers", "T5Tokenizer"),
        ("text_encoder", "transformers", "BertModel"),
        ("text_encoder", "transformers", "CLIPTextModelWithProjection"),
        ("vae", "diffusers", "AutoencoderTiny"),
        ("unet", "diffusers", "UNetMotionModel"),
    ],
)
def test_parts_of_other_classes_are_refused_by_name(
    bundled: Path, part: str, library: str, name: str
) -> None:
    edit(bundled / "model_index.json", **{part: [library, name]})
    with pytest.raises(ModelError, match=f"{part} is of the class {name}"):
        load_model("copy", device="cpu")


@pytest.mark.parametrize("file", ["spiece.model", "vocab.txt"])
def test_foreign_vocabularies_never_become_clips(bundled: Path, file: str) -> None:
    (bundled / "tokenizer" / "tokenizer.json").unlink()
    (bundled / "tokenizer" / file).write_text("x")
    with pytest.raises(ModelError, match=f"no CLIP tokenizer .{file}"):
        load_model("copy", device="cpu")


def test_a_tokenizer_says_its_class_or_has_a_vocabulary(bundled: Path) -> None:
    config = bundled / "tokenizer" / "tokenizer_config.json"
    edit(config, tokenizer_class="T5Tokenizer")
    with pytest.raises(ModelError, match=r"no CLIP tokenizer .T5Tokenizer"):
        load_model("copy", device="cpu")
    (bundled / "tokenizer" / "tokenizer.json").unlink()
    config.write_text("{}")
    with pytest.raises(ModelError, match="holds no vocabulary"):
        load_model("copy", device="cpu")


def test_a_tokenizer_without_a_length_reads_what_the_encoder_does(bundled: Path) -> None:
    edit(bundled / "tokenizer" / "tokenizer_config.json", model_max_length=...)
    assert read_tokenizer(bundled).model_max_length == 77


def test_novelais_text_encoder_is_a_level_less_deep(
    root: Path, sd1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = as_file(sd1, "SD 1.x", root / "dream.safetensors", monkeypatch)
    plain = load_model(file.name, device="cpu")
    tensors = load_file(file)
    save_file({k.replace(".text_model.", "."): v for k, v in tensors.items()}, file)
    found = load_model(file.name, device="cpu")
    for name, tensor in plain.text_encoder.state_dict().items():
        assert torch.equal(tensor, found.text_encoder.state_dict()[name]), name


def test_sd_turbo_as_published_is_no_refiner(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text encoder stands where SDXL's first does."""
    folder = tmp_path / "turbo"
    build("SD-Turbo").save_pretrained(folder)
    file = as_file(folder, "SD-Turbo", root / "sd_turbo.safetensors", monkeypatch)
    plain = load_model(file.name, device="cpu")
    tensors = load_file(file)
    moved = {
        k.replace("cond_stage_model.", "conditioner.embedders.0."): v for k, v in tensors.items()
    }
    save_file(moved, file)
    found = load_model(file.name, device="cpu")
    assert found.info.family_name == "SD-Turbo"
    for name, tensor in plain.text_encoder.state_dict().items():
        assert torch.equal(tensor, found.text_encoder.state_dict()[name]), name


@pytest.mark.parametrize("variant", ["bf16", "fp32", "non_ema"])
def test_the_only_variant_that_is_there_is_taken(copy: Path, variant: str) -> None:
    for part in ("unet", "vae", "text_encoder"):
        file = weights_file(copy, part)
        file.rename(file.with_name(f"{file.stem}.{variant}.safetensors"))
    assert load_model("copy", device="cpu").info.family_name == "SD 1.x"


@pytest.mark.parametrize(
    "pipeline",
    [
        "StableDiffusionInpaintPipeline",
        "StableDiffusionControlNetPipeline",
        "StableDiffusionPipelineSafe",
    ],
)
def test_four_channels_saved_from_another_pipeline_are_a_model(
    bundled: Path, pipeline: str
) -> None:
    edit(bundled / "model_index.json", _class_name=pipeline)
    assert describe("copy").family_name == "SD 1.x"
    edit(bundled / "unet" / "config.json", in_channels=9)
    with pytest.raises(ModelError, match="takes 9 channels"):
        describe("copy")


def test_a_stable_diffusion_2_with_zero_snr_is_no_turbo(root: Path, tmp_path: Path) -> None:
    pipe = build("SD 2.x")
    pipe.save_pretrained(root / "two")
    config = root / "two" / "scheduler" / "scheduler_config.json"
    edit(config, timestep_spacing="trailing")
    assert describe("two").family_name == "SD-Turbo", "as it is published"
    edit(config, rescale_betas_zero_snr=True)
    assert describe("two").family_name == "SD 2.x"
    edit(config, prediction_type="v_prediction")
    assert describe("two").family_name == "SD 2.x (v-prediction)"


def test_parts_alone_say_what_else_is_in_the_file(root: Path) -> None:
    cases: list[tuple[dict[str, tuple[int, ...]], str]] = [
        ({"decoder.conv_in.weight": (1,), "text_model.x": (1,)}, "a VAE and a text encoder, not"),
        (without("cond_stage_model"), "lacks its text encoder: .* UNet of a model with its VAE"),
        (without("first_stage_model"), "lacks its VAE: .* UNet of a model with its text encoder"),
    ]
    for names, words in cases:
        weights(root / "thing.safetensors", names)
        with pytest.raises(ModelError, match=words):
            load_model(
                "thing.safetensors"
                if "model.diffusion" in str(names)
                else str(root / "thing.safetensors")
            )
