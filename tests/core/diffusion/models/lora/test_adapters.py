"""LoRAs: none at weight 0, diffusers' own at weight 1, one choice of them a batch."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file, save_file

from core.diffusion.engine import Engine
from core.diffusion.events import Request
from core.diffusion.models.load import BUNDLED_FOLDER, LoadedModel, describe, load_model
from core.diffusion.models.lora import adapters
from core.diffusion.models.lora import files as lora_files
from core.diffusion.models.lora.adapters import active_loras, use_loras
from core.diffusion.models.lora.files import (
    LoraFile,
    canonical_loras,
    list_loras,
    missing_loras,
    used_loras,
    wanted_loras,
)
from core.diffusion.named_files import digest_of
from core.diffusion.recipe.prompt.lora_text import LoraError, loras_text, parse_loras
from core.diffusion.sampling.text_encoder import PromptEncoder
from core.diffusion.settings import GenerationSettings, SettingsError
from core.output.programs.snippet import snippet
from core.output.texts.a1111.parameters import a1111_text, parse_a1111
from core.sweeps.axes import AXES, AxisError
from core.sweeps.axis import Axis
from core.sweeps.plan import make_plan
from core.sweeps.sweep import Sweep
from tests.conftest import max_difference
from tests.core.output.programs.places import placed

SETTINGS = GenerationSettings(
    prompt="a red apple", seed=3, num_inference_steps=2, width=64, height=64
)
RANK = 2

# diffusers' own loading of a second LoRA, to compare with.
pytestmark = pytest.mark.filterwarnings("ignore:Already found a `peft_config`")


def save_lora(
    folder: Path, name: str, model: LoadedModel, seed: int, parts: tuple[str, ...] = ("unet",)
) -> None:
    """A LoRA of random numbers over every projection of attention, as diffusers names them."""
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for part in parts:
        for key, module in getattr(model, part).named_modules():
            if key.rsplit(".", 1)[-1] in ("to_q", "to_k", "to_v", "q_proj", "v_proj"):
                out, into = module.weight.shape
                for letter, shape in (("A", (RANK, into)), ("B", (out, RANK))):
                    tensors[f"{part}.{key}.lora_{letter}.weight"] = 0.3 * torch.randn(
                        shape, generator=generator
                    )
    save_file(tensors, folder / f"{name}.safetensors")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("roots")
    (folder / "loras").mkdir()
    model = load_model("bundled", device="cpu")
    save_lora(folder, "ink", model, 1)
    save_lora(folder / "loras", "paper", model, 2, ("unet", "text_encoder"))
    return folder


@pytest.fixture(autouse=True)
def named_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTBOX_MODELS", str(root))


@pytest.fixture(scope="module")
def fresh() -> LoadedModel:
    """A model of its own: nobody else's has peft's layers in it."""
    return load_model("bundled", device="cpu")


def picture(model: LoadedModel, loras: str) -> Image.Image:
    return Engine(model).generate([replace(SETTINGS, loras=loras)], strict=True)[0].image


def by_diffusers(root: Path, loras: dict[str, float]) -> Image.Image:
    pipe = load_model("bundled", device="cpu").pipeline(SETTINGS.scheduler)
    for name in loras:
        file = next(root.rglob(f"{name}.safetensors"))
        pipe.load_lora_weights(str(file), adapter_name=name)
    if loras:
        pipe.set_adapters(list(loras), list(loras.values()))
    return pipe(
        prompt=SETTINGS.prompt,
        width=64,
        height=64,
        num_inference_steps=2,
        guidance_scale=SETTINGS.guidance_scale,
        generator=torch.Generator("cpu").manual_seed(SETTINGS.seed),
    ).images[0]


def test_the_text_is_read_and_written() -> None:
    loras = parse_loras(" ink:0.8, paper , x:-1e0,")
    assert [(lora.name, lora.weight) for lora in loras] == [("ink", 0.8), ("paper", 1), ("x", -1)]
    assert loras_text(loras) == "ink:0.8, paper:1, x:-1"
    assert parse_loras("") == ()
    for wrong in ("ink:much", ":1", "ink:inf", "ink:99", "ink:1, ink:2"):
        with pytest.raises(LoraError):
            parse_loras(wrong)


def test_files_are_found_and_others_are_not(root: Path, tmp_path: Path) -> None:
    assert list_loras() == ["ink", "paper"]
    (root / "broken.safetensors").write_bytes(b"no tensors")
    save_file({"model.diffusion_model.out.weight": torch.zeros(2)}, root / "whole.safetensors")
    save_lora(tmp_path, "outside", load_model("bundled", device="cpu"), 3)
    (root / "link.safetensors").symlink_to(tmp_path / "outside.safetensors")
    try:
        assert list_loras() == ["ink", "paper"]
    finally:
        for name in ("broken", "whole", "link"):
            (root / f"{name}.safetensors").unlink()


def test_problems_are_told_of_the_field() -> None:
    problems = replace(SETTINGS, loras="ink:x").validate()
    assert [p.field for p in problems] == ["loras"]
    assert "not a number" in problems[0].reason
    assert replace(SETTINGS, loras="gone:0, ink:1").validate() == []


def test_a_value_reads_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which files there are is looked up once, where settings are submitted."""
    one = replace(SETTINGS, loras="ink:0.5")
    found = canonical_loras(one.loras)
    expected = digest_of(one, "m")

    def refuse(*_: object) -> None:
        raise AssertionError("the model roots were read")

    monkeypatch.setattr(lora_files, "_walked", refuse)
    assert one.validate() == []
    assert one.digest("m", found) == expected != one.digest("m")
    assert replace(SETTINGS, loras="gone:1").digest("m") != SETTINGS.digest("m")


def test_what_is_not_here_is_said_where_it_is_asked_for() -> None:
    gone = replace(SETTINGS, loras="pape:1")
    assert gone.validate() == []
    with pytest.raises(SettingsError, match="did you mean paper"):
        wanted_loras(gone)
    assert "did you mean paper" in missing_loras(gone.loras)
    assert missing_loras("gone:0, ink:1") == ""
    plan = make_plan(
        Sweep(base=SETTINGS, x=Axis(name="loras", values=("ink:1", "pape:1"))),
        describe=describe,
        holds=lambda digests: (),
    )
    (problem,) = plan.problems
    assert (problem.axis, problem.value) == ("LoRA", "pape:1")
    assert "did you mean paper" in problem.reason


def test_the_digest_holds_what_matters(root: Path) -> None:
    plain = digest_of(SETTINGS, "m")
    assert plain == digest_of(replace(SETTINGS, loras="ink:0, paper:0"), "m")
    ink = digest_of(replace(SETTINGS, loras="ink:0.5"), "m")
    assert ink == digest_of(replace(SETTINGS, loras=" paper:0,ink:.50"), "m") != plain
    both = digest_of(replace(SETTINGS, loras="ink:0.5, paper:1"), "m")
    assert both == digest_of(replace(SETTINGS, loras="paper, ink:0.5"), "m") != ink
    # The file's content counts, not its name.
    file = root / "ink.safetensors"
    file.rename(root / "other.safetensors")
    try:
        assert digest_of(replace(SETTINGS, loras="other:0.5"), "m") == ink
        assert digest_of(replace(SETTINGS, loras="ink:0.5"), "m") not in (ink, plain)
    finally:
        (root / "other.safetensors").rename(file)


@pytest.mark.parametrize("loras", ["ink:1", "paper:1", "ink:0.5, paper:-0.7"])
def test_weights_are_those_of_diffusers(root: Path, fresh: LoadedModel, loras: str) -> None:
    ours = picture(fresh, loras)
    theirs = by_diffusers(root, {file.path.stem: file.weight for file in used_loras(loras)})
    assert max_difference(ours, theirs) == 0
    assert max_difference(ours, picture(fresh, "")) > 0


def test_weight_zero_is_none_pixel_for_pixel(model: LoadedModel, fresh: LoadedModel) -> None:
    untouched = picture(model, "")
    for loras in ("ink:0", "", "paper:0, ink:0"):
        picture(fresh, "ink:1, paper:1")  # loaded and on before
        assert max_difference(picture(fresh, loras), untouched) == 0, loras


def test_each_is_loaded_once(fresh: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError):  # after which nothing is loaded any more
        use_loras(fresh, [LoraFile(sha="0" * 64, weight=1.0, path=Path("gone.safetensors"))])
    loads: list[str] = []
    plain_load = adapters.load_file
    monkeypatch.setattr(
        adapters, "load_file", lambda path: loads.append(path.stem) or plain_load(path)
    )
    sweep = [AXES["lora_weight"].apply(replace(SETTINGS, loras="ink:1"), w, 0) for w in (0, 0.5, 1)]
    made = Engine(fresh).generate([*sweep, *sweep, replace(SETTINGS, loras="paper:1, ink:1")])
    assert loads == ["ink", "paper"]
    assert len({one.image.tobytes() for one in made[:3]}) == 3
    assert [one.image.tobytes() for one in made[:3]] == [one.image.tobytes() for one in made[3:6]]


def test_cells_of_different_loras_go_through_the_unet_apart(fresh: LoadedModel) -> None:
    """Within one step, each choice of LoRAs by itself: as many rows as alone, and equal pixels."""
    chosen = ("ink:0.5", "", "paper:1", "ink:0.5, paper:1")
    alone = {loras: picture(fresh, loras) for loras in chosen}
    together = Engine(fresh).generate([replace(SETTINGS, loras=loras) for loras in chosen])
    for made in together:
        assert max_difference(made.image, alone[made.settings.loras]) == 0, made.settings.loras
    assert Engine(fresh).has_room(replace(SETTINGS, loras="gone:1")), "and admit says why not"


def test_two_batches_over_one_model_do_not_mix(fresh: LoadedModel) -> None:
    """A page's task runs between the steps of the queue's batch."""
    alone = {loras: picture(fresh, loras) for loras in ("ink:1", "paper:1", "")}
    engines = {loras: Engine(fresh) for loras in alone}
    for loras, engine in engines.items():
        settings = replace(SETTINGS, loras=loras)
        engine.admit(Request(key=loras, settings=settings, strict=True))
    done: dict[str, Image.Image] = {}
    while len(done) < len(engines):
        for loras, engine in engines.items():
            for event in engine.step():
                if generation := getattr(event, "generation", None):
                    done[loras] = generation.image
    for loras, expected in alone.items():
        assert max_difference(done[loras], expected) == 0, loras


def test_a_prompt_is_encoded_anew_for_another_lora(fresh: LoadedModel) -> None:
    encode = PromptEncoder(fresh)
    found: dict[str, torch.Tensor] = {}
    for loras in ("", "ink:1", "paper:1", ""):
        (told,) = encode.condition(replace(SETTINGS, loras=loras), 1)
        found[loras] = told.conds[0][0]
    assert torch.equal(found[""], found["ink:1"])  # it leaves the text encoder alone
    assert not torch.equal(found[""], found["paper:1"])


def refused(model: LoadedModel, loras: str) -> str:
    with pytest.raises(SettingsError) as told:
        use_loras(model, wanted_loras(replace(SETTINGS, loras=loras)))
    assert [problem.field for problem in told.value.problems] == ["loras"]
    return str(told.value)


def test_what_does_not_fit_is_one_message_and_leaves_no_trace(
    root: Path, fresh: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    untouched = picture(fresh, "")
    tensors = load_file(root / "ink.safetensors")
    key = next(key for key in tensors if "attn2.to_k.lora_A" in key)
    wide = {name: tensor for name, tensor in tensors.items() if name != key}
    wide[key] = torch.zeros(RANK, 2048)
    odd = {
        key: t[:, :-1] if "lora_A" in key and "attn1" in key else t for key, t in tensors.items()
    }
    nowhere = {f"transformer.blocks.0.attn.{i}.lora_A.weight": torch.zeros(2, 8) for i in range(2)}
    broken: dict[str, Callable[[Path], object]] = {
        "wide": lambda file: save_file(wide, file),
        "odd": lambda file: save_file({k: t.contiguous() for k, t in odd.items()}, file),
        "nowhere": lambda file: save_file(nowhere, file),
    }
    words = {"wide": "2048 wide, this model's 256", "odd": "does not fit", "nowhere": "not fit"}
    for name, write in broken.items():
        file = root / f"{name}.safetensors"
        write(file)
        try:
            with caplog.at_level(logging.WARNING):
                message = refused(fresh, f"ink:1, {name}:1")
            assert words[name] in message
            assert "another family" in message
            assert "\n" not in message
        finally:
            file.unlink()
        assert active_loras(fresh) == ()
        assert max_difference(picture(fresh, ""), untouched) == 0, name
    assert max_difference(picture(fresh, "ink:1"), untouched) > 0


def test_axes_say_what_they_cannot_take() -> None:
    weight, whole = AXES["lora_weight"], AXES["loras"]
    base = replace(SETTINGS, loras="ink:1, paper:0.5")
    assert weight.apply(base, 0.25, 0).loras == "ink:0.25, paper:0.5"
    assert whole.apply(base, "paper", "").loras == "paper:1"
    assert whole.apply(base, "", "").loras == ""
    with pytest.raises(AxisError, match="name no LoRA"):
        weight.apply(SETTINGS, 1.0, 0)
    with pytest.raises(AxisError, match="not a number"):
        whole.apply(SETTINGS, "ink:x", "")


def test_pictures_name_their_loras_as_the_web_ui_does() -> None:
    settings = replace(SETTINGS, loras="ink:0.8, paper:1")
    text = a1111_text(settings, "m", "h")
    assert text.startswith("a red apple <lora:ink:0.8> <lora:paper:1>\n")
    parsed = parse_a1111(text)
    assert parsed is not None
    assert (parsed.values["prompt"], parsed.values["loras"]) == ("a red apple", settings.loras)
    foreign = parse_a1111("a cat <lora:other:1>\nSteps: 9, Sampler: Euler, Seed: 3")
    assert foreign is not None
    assert "<lora:other:1>" in foreign.values["prompt"]
    assert any("LoRA" in note for note in foreign.notes)


def test_the_program_makes_the_same_pixels(
    root: Path, fresh: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in root.rglob("*.safetensors"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = replace(SETTINGS, loras="paper:0.4, ink:-0.7")
    exec(placed(snippet(settings, BUNDLED_FOLDER), BUNDLED_FOLDER), {})
    made = Image.open(tmp_path / "image.png")
    assert max_difference(made, picture(fresh, settings.loras)) == 0
    assert json.dumps("lora") not in snippet(SETTINGS, BUNDLED_FOLDER)
    assert StableDiffusionPipeline.__name__ in snippet(SETTINGS, BUNDLED_FOLDER)
