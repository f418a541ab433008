"""LoRA files of every trainer: header, alphas by layer, layouts of names, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import save_file

from core.diffusion.models.files.hashes import file_sha256
from core.diffusion.models.files.original_names import original_name
from core.diffusion.models.load import LoadedModel, load_model
from core.diffusion.models.lora.adapters import use_loras
from core.diffusion.models.lora.files import LoraFile, canonical_loras, list_loras, used_loras
from core.diffusion.settings import SettingsError
from tests.core.diffusion import tiny

LAYERS = ("down_blocks.0.attentions.0", "mid_block.attentions.0", "up_blocks.1.attentions.1")

Tensors = dict[str, torch.Tensor]
pytestmark = pytest.mark.filterwarnings("ignore:Already found a `peft_config`")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("tiny") / "sd1"
    tiny.build("SD 1.x").save_pretrained(found)
    return found


@pytest.fixture(scope="module")
def tiny_model(folder: Path) -> LoadedModel:
    return load_model(str(folder), device="cpu")


def by_diffusers(folder: Path, file: Path) -> torch.Tensor:
    """The prediction of a pipeline of diffusers' that has loaded the file itself."""
    pipe = load_model(str(folder), device="cpu").pipeline()
    pipe.load_lora_weights(str(file))
    return predict(pipe.unet)


@pytest.fixture
def sd1(tiny_model: LoadedModel) -> Iterator[LoadedModel]:
    yield tiny_model
    use_loras(tiny_model, ())


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of a LoRA: `scale` is what its product is added with."""

    module: str
    down: torch.Tensor
    up: torch.Tensor
    alpha: float

    @property
    def scale(self) -> float:
        return self.alpha / len(self.down)


def layers_of(
    model: LoadedModel, rank: int = 4, alpha: Callable[[int], float] = float
) -> list[Layer]:
    """Projections of attention, a feed-forward and a resnet's convolution, with random numbers."""
    generator = torch.Generator().manual_seed(7)
    found: list[Layer] = []
    wanted = (
        "attn1.to_q",
        "attn2.to_k",
        "attn2.to_out.0",
        "ff.net.2",
        "resnets.0.conv1",
        "proj_in",
    )
    for name, module in model.unet.named_modules():
        if name.endswith(wanted) and name.startswith(("down_blocks.0", "mid_block", "up_blocks.1")):
            out, into, *kernel = module.weight.shape
            down = 0.2 * torch.randn(rank, into, *kernel, generator=generator)
            up = 0.2 * torch.randn(out, rank, *([1] * len(kernel)), generator=generator)
            found.append(Layer(module=name, down=down, up=up, alpha=alpha(len(found))))
    return found


def kohya(layers: list[Layer]) -> Tensors:
    found: Tensors = {}
    for layer in layers:
        name = "lora_unet_" + layer.module.replace(".", "_")
        found[f"{name}.lora_down.weight"] = layer.down
        found[f"{name}.lora_up.weight"] = layer.up
        found[f"{name}.alpha"] = torch.tensor(layer.alpha)
    return found


def predict(unet: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    sample = torch.randn(1, 4, 8, 8, generator=generator)
    words = torch.randn(1, 77, unet.config.cross_attention_dim, generator=generator)
    with torch.no_grad():
        return unet(sample, 500, words, return_dict=False)[0]


def merged(model: LoadedModel, layers: list[Layer], weight: float = 1.0) -> torch.Tensor:
    """The prediction with the products added to the weights by hand."""
    found = [model.unet.get_submodule(layer.module) for layer in layers]
    modules = [getattr(module, "base_layer", module) for module in found]  # peft may be in there
    before = [module.weight.detach().clone() for module in modules]
    try:
        with torch.no_grad():
            for module, layer in zip(modules, layers, strict=True):
                product = layer.up.flatten(1) @ layer.down.flatten(1)
                module.weight += weight * layer.scale * product.reshape(module.weight.shape)
        return predict(model.unet)
    finally:
        with torch.no_grad():
            for module, kept in zip(modules, before, strict=True):
                module.weight.copy_(kept)


def lora_file(folder: Path, tensors: Tensors, **metadata: str) -> Path:
    file = folder / "lora.safetensors"
    save_file({k: v.clone().contiguous() for k, v in tensors.items()}, file, metadata or None)
    return file


def with_file(model: LoadedModel, file: Path, weight: float = 1.0) -> torch.Tensor:
    use_loras(model, [LoraFile(sha=file_sha256(file), weight=weight, path=file)])
    return predict(model.unet)


def refusal(model: LoadedModel, file: Path) -> str:
    with pytest.raises(SettingsError) as told:
        with_file(model, file)
    return str(told.value)


def assert_is_merge(
    model: LoadedModel, file: Path, layers: list[Layer], weight: float = 1.0
) -> None:
    use_loras(model, ())
    expected, plain = merged(model, layers, weight), predict(model.unet)
    found = with_file(model, file, weight)
    assert (expected - plain).abs().max() > 1e-2
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize(
    ("alpha", "use_rslora", "patterns"),
    [(8, False, {}), (1, False, {}), (8, True, {}), (4, False, {"alpha_pattern": {"to_q": 16}})],
)
def test_weight_1_is_diffusers_own_for_what_its_scripts_save(
    sd1: LoadedModel,
    folder: Path,
    tmp_path: Path,
    alpha: int,
    use_rslora: bool,
    patterns: dict[str, Any],
) -> None:
    """Whatever alpha they trained with: they write it into the header."""
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import get_peft_model_state_dict

    pipe = tiny.build("SD 1.x")
    names = ["to_q", "to_k", "to_v", "to_out.0"]
    config = LoraConfig(
        r=4, lora_alpha=alpha, use_rslora=use_rslora, target_modules=names, **patterns
    )
    torch.manual_seed(0)
    config.init_lora_weights = False
    pipe.unet.add_adapter(config)
    StableDiffusionPipeline.save_lora_weights(
        tmp_path,
        unet_lora_layers=convert_state_dict_to_diffusers(get_peft_model_state_dict(pipe.unet)),
        unet_lora_adapter_metadata=pipe.unet.peft_config["default"].to_dict(),
    )
    file = tmp_path / "pytorch_lora_weights.safetensors"
    plain, expected = predict(sd1.unet), by_diffusers(folder, file)
    assert torch.equal(with_file(sd1, file), expected)
    assert (expected - plain).abs().max() > 1e-2


def test_a_foreign_header_says_as_little_as_it_does_to_diffusers(
    sd1: LoadedModel, folder: Path, tmp_path: Path
) -> None:
    tensors: Tensors = {}
    for layer in layers_of(sd1, alpha=lambda index: 4.0):
        tensors[f"unet.{layer.module}.lora_A.weight"] = layer.down
        tensors[f"unet.{layer.module}.lora_B.weight"] = layer.up
    file = lora_file(tmp_path, tensors, lora_alpha="8", r="4")
    assert torch.equal(with_file(sd1, file), by_diffusers(folder, file))


def test_a_minimal_header_of_another_writer_is_honoured(sd1: LoadedModel, tmp_path: Path) -> None:
    layers = layers_of(sd1, alpha=lambda index: 8.0)
    tensors: Tensors = {}
    for layer in layers:
        tensors[f"unet.{layer.module}.lora_A.weight"] = layer.down
        tensors[f"unet.{layer.module}.lora_B.weight"] = layer.up
    for keys in ({"unet.lora_alpha": 8, "unet.r": 4}, {"lora_alpha": 8, "r": 4}):
        file = lora_file(tmp_path, tensors, lora_adapter_metadata=json.dumps(keys))
        assert_is_merge(sd1, file, layers)


def test_alphas_that_differ_by_layer_scale_each_layer(sd1: LoadedModel, tmp_path: Path) -> None:
    layers = layers_of(sd1, alpha=lambda index: 1.0 + index % 5)
    assert_is_merge(sd1, lora_file(tmp_path, kohya(layers)), layers)
    assert_is_merge(sd1, lora_file(tmp_path, kohya(layers)), layers, -0.7)


def test_ranks_and_alphas_that_differ_by_layer(sd1: LoadedModel, tmp_path: Path) -> None:
    """As sd-scripts' resize_lora leaves them."""
    wide, narrow = (
        layers_of(sd1, 6, lambda index: 2.0),
        layers_of(sd1, 3, lambda index: 0.5 + index),
    )
    layers = [pair[index % 2] for index, pair in enumerate(zip(wide, narrow, strict=True))]
    assert_is_merge(sd1, lora_file(tmp_path, kohya(layers)), layers)


def spelled(layers: list[Layer], name: Callable[[str], str], down: str, up: str) -> Tensors:
    pairs = [(f"{name(one.module)}{down}", one.down) for one in layers]
    return dict([*pairs, *((f"{name(one.module)}{up}", one.up) for one in layers)])


A, B = ".lora_A.weight", ".lora_B.weight"
SPELLINGS: dict[str, Callable[[list[Layer], Any], Tensors]] = {
    "PEFT's own save": lambda some, c: spelled(some, lambda m: f"base_model.model.{m}", A, B),
    "PEFT's, of one part": lambda some, c: spelled(
        some, lambda m: f"unet.base_model.model.{m}", A, B
    ),
    "bare module names": lambda some, c: spelled(some, lambda m: m, A, B),
    "with the adapter's name": lambda some, c: spelled(
        some, lambda m: m, ".lora_A.default.weight", ".lora_B.default.weight"
    ),
    "ComfyUI's training": lambda some, c: spelled(
        some, lambda m: f"diffusion_model.{original_name(m, c)}", ".lora_A.weight", ".lora_B.weight"
    ),
    "LyCORIS": lambda some, c: spelled(
        some,
        lambda m: "lycoris_" + m.replace(".", "_"),
        ".lora_down.weight",
        ".lora_up.weight",
    ),
    "OneTrainer": lambda some, c: spelled(some, lambda m: "lora_unet_" + m.replace(".", "_"), A, B),
    "kohya's with an adapter's name": lambda some, c: spelled(
        some,
        lambda m: "lora_unet_" + m.replace(".", "_"),
        ".lora_down.default.weight",
        ".lora_up.default.weight",
    ),
    "kohya's, on the original UNet": lambda some, c: spelled(
        some,
        lambda m: "lora_unet_" + original_name(m, c).replace(".", "_"),
        ".lora_down.weight",
        ".lora_up.weight",
    ),
    "old attention processors": lambda some, c: spelled(
        [one for one in some if ".attn" in one.module],
        lambda m: (
            "unet."
            + m.replace(".attn1.", ".attn1.processor.")
            .replace(".attn2.", ".attn2.processor.")
            .removesuffix(".0")
            + "_lora"
        ),
        ".down.weight",
        ".up.weight",
    ),
}


@pytest.mark.parametrize("trainer", SPELLINGS)
def test_layouts_of_names_that_trainers_write(
    sd1: LoadedModel, tmp_path: Path, trainer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = layers_of(sd1, alpha=lambda index: 4.0)
    if "old" in trainer:
        layers = [one for one in layers if ".attn" in one.module]
    file = lora_file(tmp_path, SPELLINGS[trainer](layers, sd1.unet.config))
    assert_is_merge(sd1, file, layers)
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    assert list_loras() == ["lora"]


def test_a_magnitude_is_the_norm_of_each_row(sd1: LoadedModel, tmp_path: Path) -> None:
    """DoRA: m (W + s B A) / |W + s B A|, by hand."""
    layers = layers_of(sd1, alpha=lambda index: 2.0)
    tensors, expected = kohya(layers), tiny.build("SD 1.x").unet
    for layer in layers:
        module = expected.get_submodule(layer.module)
        with torch.no_grad():
            product = (layer.up.flatten(1) @ layer.down.flatten(1)).reshape(module.weight.shape)
            whole = module.weight + layer.scale * product
            norm = whole.flatten(1).norm(dim=1)
            magnitude = norm * torch.linspace(0.5, 1.5, len(norm))
            ratio = (magnitude / norm).reshape(-1, *[1] * (whole.ndim - 1))
            module.weight.copy_(ratio * whole)
        name = "lora_unet_" + layer.module.replace(".", "_")
        tensors[f"{name}.dora_scale"] = magnitude.reshape(-1, *[1] * (whole.ndim - 1))
    found = with_file(sd1, lora_file(tmp_path, tensors))
    torch.testing.assert_close(found, predict(expected), atol=1e-4, rtol=1e-4)
    by_input = {k: v.reshape(1, -1) if "dora_scale" in k else v for k, v in tensors.items()}
    assert "by input" in refusal(sd1, lora_file(tmp_path, by_input))


def test_tucker_middles_hold_the_kernel(sd1: LoadedModel, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    whole: list[Layer] = []
    tensors: Tensors = {}
    for one in layers_of(sd1):
        if one.down.shape[2:] != (3, 3):
            continue
        down = torch.randn(4, one.down.shape[1], 1, 1, generator=generator)
        middle = 0.1 * torch.randn(4, 4, 3, 3, generator=generator)
        name = "lora_unet_" + one.module.replace(".", "_")
        tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_mid.weight": middle}
        tensors |= {f"{name}.lora_up.weight": one.up, f"{name}.alpha": torch.tensor(4.0)}
        by_hand = torch.stack(
            [sum(middle[r, j] * down[j, :, :, 0, None] for j in range(4)) for r in range(4)]
        )
        whole.append(Layer(module=one.module, down=by_hand, up=one.up, alpha=4.0))
    assert_is_merge(sd1, lora_file(tmp_path, tensors), whole)


def test_a_damaged_layer_is_named(sd1: LoadedModel, tmp_path: Path) -> None:
    tensors = kohya(layers_of(sd1))
    name = next(key for key in tensors if key.endswith("lora_up.weight"))
    broken = tensors[name].clone()
    broken.view(-1)[3] = float("nan")
    message = refusal(sd1, lora_file(tmp_path, tensors | {name: broken}))
    assert name in message
    assert "NaN" in message
    message = refusal(sd1, lora_file(tmp_path, {k: v for k, v in tensors.items() if k != name}))
    assert name.split(".")[0] in message
    assert "lacks the up half" in message
    message = refusal(sd1, lora_file(tmp_path, tensors | {"lora_unet_x.odd": broken}))
    assert "lora_unet_x.odd" in message
    assert "another family" not in message


KINDS = {
    "hada_w1_a": "LoHa",
    "lokr_w1": "LoKr",
    "oft_blocks": "OFT",
    "a1.weight": "GLoRA",
    "diff": "whole weights",
}


@pytest.mark.parametrize("ending", KINDS)
def test_other_kinds_are_named(
    sd1: LoadedModel, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = {f"lora_unet_{LAYERS[0].replace('.', '_')}_proj_in.{ending}": torch.zeros(2, 2)}
    if ending == "diff":
        tensors |= kohya(layers_of(sd1))
    file = lora_file(tmp_path, tensors)
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    assert [one.path for one in used_loras("lora")] == [file], "it is here, and not damaged"
    message = refusal(sd1, file)
    assert KINDS[ending] in message
    assert "another family" not in message


def test_modules_of_another_family_are_never_dropped(sd1: LoadedModel, tmp_path: Path) -> None:
    tensors = kohya(layers_of(sd1))
    odd = "lora_unet_down_blocks_7_attentions_0_proj_in"
    more = {
        f"{odd}.lora_down.weight": torch.zeros(4, 4),
        f"{odd}.lora_up.weight": torch.zeros(4, 4),
    }
    message = refusal(sd1, lora_file(tmp_path, tensors | more))
    assert odd in message
    assert "another family" in message


def test_a_digest_tells_what_was_misread_before(
    sd1: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that an earlier version stored at wrong strengths is not taken for this one's."""
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    even = kohya(layers_of(sd1, alpha=lambda index: 2.0))
    uneven = kohya(layers_of(sd1, alpha=lambda index: 1.0 + index % 2))
    magnitude = {"lora_unet_mid_block_attentions_0_proj_in.dora_scale": torch.ones(64, 1)}
    says = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 8})}
    cases: list[tuple[Tensors, dict[str, str], bool]] = [
        (even, {}, True),
        (uneven, {}, False),
        (even | magnitude, {}, False),
        (even, says, False),
    ]
    for tensors, metadata, is_plain in cases:
        sha = file_sha256(lora_file(tmp_path, tensors, **metadata))
        assert (canonical_loras("lora") == [[sha, 1.0]]) == is_plain
