"""The Image to image page: sources, strip, grids, masks. The VAE is the bundled model's own."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.diffusion.models.load import BUNDLED_FOLDER, LoadedModel, describe
from core.diffusion.recipe.images import MaskShape, draw_mask, input_digest, prepare
from core.diffusion.settings import GenerationSettings
from core.output.texts.infotext import write_png
from core.runs.queue.queue import Queue
from core.runs.queue.tasks import Tasks
from core.runs.store.store import Store, StoredImage
from core.runs.worker.worker import Worker
from tests.core.diffusion.models.lora.test_adapters import save_lora
from tests.core.runs.doubles import Lab, generation, wait_for
from tests.pages.conftest import GALLERY, GENERATE, App, messages, unescaped
from ui.catalog import IMAGE_TO_IMAGE, SWEEP
from ui.img2img.brush import PAINTED
from ui.img2img.form import CROSSINGS, INVERSION, VIEWS
from ui.img2img.mask import FILE as MASK_FILE
from ui.img2img.samples import SAMPLES
from ui.img2img.source import UPLOAD

PAGE = IMAGE_TO_IMAGE.path


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: LoadedModel) -> Iterator[App]:
    """The pages' app whose tasks run on the bundled model, whatever name it was asked for by,
    while cells are made by the fake.
    """
    monkeypatch.setenv("LIGHTBOX_DATA", str(tmp_path / "data"))
    lab, store = Lab(), Store(tmp_path / "data")

    def load(source: str) -> LoadedModel:
        return replace(model, info=describe(source))

    worker = lab.worker(store, describe=describe, load=load)
    monkeypatch.setattr(Worker, "shared", lambda folder=None: worker)
    worker.start()
    yield App(lab=lab, store=store, queue=Queue(store), model=describe("bundled"))
    lab.gate.set()
    assert worker.stop(), "the worker did not stop"


def settled(at: AppTest) -> AppTest:
    """The page once every task and job that it waits for is over."""
    tasks = Tasks(Worker.shared(None).store)
    for _ in range(16):
        wait_for(lambda: not tasks.unfinished())
        at.run()
        if not at.progress:
            assert not at.exception
            return at
    raise AssertionError("the page still waits")


def opened(app: App, **query: str) -> AppTest:
    words = {"img2img_prompt": "an owl", "img2img_num_inference_steps": "10"}
    return settled(app.open(PAGE, **(words | query)))


def run(app: App, at: AppTest) -> AppTest:
    """Presses Run and waits for the pictures."""
    at.button(key="img2img:run").click().run()
    app.finish()
    return settled(at)


def asked(app: App) -> GenerationSettings:
    """The one picture that was asked for."""
    (settings,) = app.asked()
    return settings


def shown(at: AppTest) -> str:
    """Every word on the page."""
    boxes = (*at.caption, *at.info, *at.markdown)
    return unescaped(" ".join(str(box.value) for box in boxes))


def png(size: tuple[int, int] = (200, 100), colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def sample(name: str) -> Image.Image:
    return Image.open(next(one.path for one in SAMPLES if one.name == name)).convert("RGB")


@pytest.mark.parametrize("one", SAMPLES, ids=lambda one: one.name)
def test_a_sample_is_what_its_code_draws(one: Any) -> None:
    assert np.array_equal(np.asarray(Image.open(one.path)), np.asarray(one.draw()))
    assert one.path.stat().st_size < 20_000


def test_it_opens_with_a_sample_and_says_what_the_run_will_be(app: App) -> None:
    at = opened(app)
    assert not messages(at)
    assert "What the VAE gets: 128 × 128" in shown(at)
    assert "Encoded and decoded by the VAE: what strength 0 looks like" in shown(at)
    assert "8 of 10 steps · from timestep" in shown(at)
    assert at.button(key="img2img:run").label == "Run"
    assert not list((app.store.folder / "inputs").rglob("*.png")), "nothing is kept before Run"


def test_a_run_starts_from_exactly_the_picture_that_is_shown(app: App) -> None:
    at = run(app, opened(app))
    source = prepare(sample("apple"), 128, 128, "crop")
    settings = asked(app)
    assert settings.init_image == input_digest(source)
    assert (settings.strength, settings.posterior, settings.seed) == (0.8, "sample", 1)
    assert np.array_equal(app.store.inputs.read(settings.init_image), source)
    assert not messages(at)
    assert any("Init image hash" in code.value for code in at.code)
    assert any("StableDiffusionImg2ImgPipeline" in code.value for code in at.code)
    labels = [button.proto.label for button in at.get("download_button")]
    assert labels[:2] == ["Download PNG", "Source"]
    assert at.button(key="img2img:run").disabled


def test_a_choice_in_the_prompt_is_drawn_and_said(app: App) -> None:
    at = run(app, opened(app, img2img_prompt="an {owl|cat}", img2img_seed="3"))
    word = asked(app).prompt.removeprefix("an ")
    assert word in ("owl", "cat")
    assert f"Drawn: {word}" in shown(at)
    assert at.text_area(key="img2img_prompt").value == "an {owl|cat}"
    at.segmented_control(key="img2img_view").set_value(VIEWS[1]).run()
    assert f"Drawn: {word}" in shown(settled(at)), "one seed, one word"


def test_every_control_reaches_the_settings(app: App) -> None:
    at = opened(app, img2img_sample="Fish", img2img_seed="5", img2img_guidance_scale="2.5")
    at.slider(key="img2img_strength").set_value(0.45).run()
    at.toggle(key="img2img_exact_steps").set_value(True).run()
    at.toggle(key="img2img_match_noise").set_value(True).run()
    at.segmented_control(key="img2img_posterior").set_value("mean").run()
    at.slider(key="img2img_across").set_value(0).run()
    run(app, settled(at))
    settings = asked(app)
    assert (settings.strength, settings.exact_steps, settings.match_noise) == (0.45, True, True)
    assert (settings.posterior, settings.seed, settings.guidance_scale) == ("mean", 5, 2.5)
    assert settings.init_image == input_digest(
        prepare(sample("fish"), 128, 128, "crop", (0.0, 0.5))
    )


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_each_fit_and_any_size(app: App, fit: Any) -> None:
    at = opened(
        app, img2img_sample="Mushroom", img2img_width="96", img2img_height="64", img2img_down="20"
    )
    at.segmented_control(key="img2img_fit").set_value(fit).run()
    assert "What the VAE gets: 96 × 64" in shown(settled(at))
    run(app, at)
    assert (asked(app).width, asked(app).height) == (96, 64)
    where = (0.5, 0.2) if fit == "crop" else (0.5, 0.5)
    assert asked(app).init_image == input_digest(prepare(sample("mushroom"), 96, 64, fit, where))


def test_an_upload_is_prepared_and_forgotten_on_request(app: App) -> None:
    at = opened(app, img2img_from="Yours")
    assert "Choose one in the panel" in shown(at)
    at.file_uploader(key="img2img:file").upload("any name.png", png()).run()
    assert "What the VAE gets" in shown(settled(at))
    run(app, at)
    red = np.zeros((128, 128, 3), np.uint8)
    red[..., 0] = 255
    assert asked(app).init_image == input_digest(red)


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"#!/bin/sh", "not a PNG"), (png((1, 500)), "too few"), (png((8, 2000)), "strip")],
)
def test_what_is_no_picture_is_said(app: App, data: bytes, words: str) -> None:
    at = opened(app, img2img_from="Yours")
    at.file_uploader(key="img2img:file").upload("fake.png", data).run()
    assert [m for m in messages(at) if words in m]
    assert not at.exception


def test_a_pasted_picture_is_a_source(app: App) -> None:
    """The browser hands its bytes to `_take_pasted`, which keeps them as an upload is kept."""
    at = opened(app, img2img_from="Yours")
    at.session_state[UPLOAD] = png(colour="blue")
    assert "What the VAE gets" in shown(settled(at.run()))


def test_the_source_of_an_earlier_run_is_found_by_its_link(app: App) -> None:
    kept = app.store.inputs.keep(prepare(sample("face"), 128, 128, "crop"))
    at = opened(app, img2img_from="Yours", img2img_init_image=kept)
    assert "The source of an earlier run" in shown(at)
    run(app, at)
    assert asked(app).init_image == kept
    gone = opened(app, img2img_from="Yours", img2img_init_image="5e" * 32)
    assert [m for m in messages(gone) if "needs its source picture" in m]


def test_the_strip(app: App) -> None:
    at = opened(app, img2img_view="Strength strip", img2img_strengths="0.05, 0.3, 0.35, 1")
    assert at.button(key="img2img:run").label == "Run 3 pictures"
    run(app, at)
    assert [one.strength for one in app.asked()] == [0.05, 0.3, 1.0]
    words = shown(at)
    for steps in ("0 of 10 steps", "3 of 10 steps", "10 of 10 steps"):
        assert steps in words
    assert "**0.35**" in words
    assert "Where no step is left" in words
    at.segmented_control(key="img2img_look").set_value("Compare").run()
    assert at.table[0].value["Differs in"].tolist() == ["Strength"]
    at.segmented_control(key="img2img_look").set_value("Distances").run()
    charts = settled(at).get("plotly_chart")
    assert len(charts) == 3
    points = json.loads(charts[0].proto.spec)["data"][0]
    assert points["mode"] == "lines+markers"
    assert not messages(at)


def test_a_picture_of_the_strip_opens(app: App) -> None:
    at = opened(app, img2img_view="Strength strip", img2img_strengths="0.5, 1")
    run(app, at)
    at.session_state["img2img:strip:opened"] = (1, 0, 0)
    at.run()
    assert any("Denoising strength: 1" in code.value for code in at.code), "the cell is open"


def test_run_asks_for_a_prompt(app: App) -> None:
    """An empty prompt runs only where that is said once more."""
    at = opened(app, img2img_prompt=" ")
    at.button(key="img2img:run").click().run()
    assert "Write a prompt first" in shown(at)
    assert not app.queue.jobs(limit=1)
    at.text_area(key="img2img_prompt").set_value("an owl").run()
    assert "Write a prompt first" not in shown(at)
    at.text_area(key="img2img_prompt").set_value("").run()
    assert "Write a prompt first" not in shown(at), "nothing was asked for again"
    at.button(key="img2img:run").click().run()
    at.button(key="img2img:run blank").click().run()
    app.finish()
    assert asked(app).prompt == ""
    assert "Write a prompt first" not in shown(settled(at))


def test_strength_0_says_one_thing(app: App) -> None:
    """No step is run, so nothing on the page speaks of noise or of the prompt's part."""
    at = opened(app, img2img_strength="0", img2img_prompt="")
    words = shown(at)
    assert "0 of 10 steps" in words
    assert "the source encoded and decoded by the VAE, whatever the prompt" in words
    for wrong in ("noise is added", "What the loop starts from", "from timestep", "σ"):
        assert wrong not in words, wrong
    run(app, at)
    assert asked(app).strength == 0


def test_both_ends_of_the_strength_are_explained(app: App) -> None:
    assert "rounds down to no step" in shown(opened(app, img2img_strength="0.05"))
    assert "Strength 1 is not pure noise: 0." in shown(opened(app, img2img_strength="1.0"))
    masked = opened(app, img2img_strength="1.0", img2img_masked="true")
    assert "starts from noise alone" in shown(masked)


def test_the_strip_explains_strength_1_with_and_without_a_mask(app: App) -> None:
    strip = {"img2img_view": "Strength strip", "img2img_strengths": "0.5, 1"}
    plain = shown(opened(app, **strip))
    assert "Strength 1 is not pure noise: 0." in plain
    assert "√ᾱ 0 " not in plain + " "
    masked = shown(opened(app, img2img_masked="true", **strip))
    assert "With a mask, strength 1 starts from noise alone" in masked
    assert "not pure noise" not in masked
    assert masked.count("√ᾱ 0 ") == 1, "the source has no part in it"
    assert masked.count("√ᾱ 0.") == 1


@pytest.mark.parametrize("name", CROSSINGS)
def test_each_grid(app: App, name: str) -> None:
    at = opened(app, img2img_view="Grids", img2img_columns="0.5, 1")
    at.segmented_control(key="img2img_cross").set_value(name).run()
    at.text_input(key=f"img2img_rows_{name}").set_value("2, 4").run()
    run(app, at)
    found = {(one.strength, getattr(one, name)) for one in app.asked()}
    assert found == {(0.5, 2), (1.0, 2), (0.5, 4), (1.0, 4)}
    at.session_state["img2img:grids:opened"] = (1, 1, 0)
    at.run()
    assert any("Denoising strength: 1" in code.value for code in at.code), "the cell is open"
    assert not messages(at)


def test_a_list_that_cannot_be_read_is_said_and_nothing_runs(app: App) -> None:
    at = opened(app, img2img_view="Strength strip", img2img_strengths="0.5, many")
    assert "many" in shown(at)
    assert at.button(key="img2img:run").disabled
    over = opened(app, img2img_view="Strength strip", img2img_strengths="0.5, 1.5")
    assert [m for m in messages(over) if "1.5" in m]


def test_a_drawn_mask(app: App) -> None:
    at = opened(app, img2img_masked="true")
    at.segmented_control(key="img2img_shape_0").set_value("Rectangle").run()
    at.slider(key="img2img_shape_across_0").set_value((0, 50)).run()
    at.toggle(key="img2img_inverted").set_value(True).run()
    run(app, settled(at))
    mask = app.store.inputs.read(asked(app).mask_image)
    assert (mask[40:80, :64] == 0).all()
    assert (mask[:, 64:] == 255).all()
    assert "75% of the picture" in shown(at)
    assert {"Before", "Mask", "After"} <= {str(box.value) for box in at.caption}
    assert not messages(at)


def test_several_shapes_make_one_mask(app: App) -> None:
    at = opened(app, img2img_masked="true", img2img_shapes="2")
    at.slider(key="img2img_shape_across_1").set_value((90, 100)).run()
    run(app, settled(at))
    mask = app.store.inputs.read(asked(app).mask_image)
    assert mask[64, 64] == 255
    assert mask[64, 121] == 255
    assert mask[64, 108] == 0


def test_an_uploaded_mask(app: App) -> None:
    at = opened(app, img2img_masked="true", img2img_mask_from="Upload")
    assert "White is inpainted" in shown(at)
    half = Image.new("L", (32, 32), 0)
    half.paste(255, (0, 0, 32, 16))
    buffer = io.BytesIO()
    half.save(buffer, "PNG")
    at.session_state[MASK_FILE] = buffer.getvalue()
    run(app, settled(at.run()))
    mask = app.store.inputs.read(asked(app).mask_image)
    assert mask[:60].min() == 255
    assert mask[70:].max() == 0
    again = opened(
        app,
        img2img_masked="true",
        img2img_mask_from="Upload",
        img2img_mask_image=asked(app).mask_image,
    )
    assert "The mask of an earlier run" in shown(again)


@pytest.mark.parametrize("way", ["Upload", "Brush"])
def test_an_inverted_mask_stays_as_it_was_after_a_reload(way: str, app: App) -> None:
    """What is kept has been inverted already; switching it back gives the mask before."""
    used = 255 - np.asarray(Image.open(io.BytesIO(mask_png(128, 32))))
    kept = app.store.inputs.keep(np.ascontiguousarray(used))
    at = opened(
        app,
        img2img_masked="true",
        img2img_mask_from=way,
        img2img_inverted="true",
        img2img_mask_image=kept,
    )
    assert "75% of the picture" in shown(at)
    run(app, at)
    assert asked(app).mask_image == kept
    at.toggle(key="img2img_inverted").set_value(False).run()
    assert "25% of the picture" in shown(settled(at))


def test_what_becomes_of_a_mask_reaches_the_settings(app: App) -> None:
    at = opened(app, img2img_masked="true", img2img_mask_blur="4")
    at.number_input(key="img2img_mask_grow").set_value(-5).run()
    assert "14% of the picture is inpainted" in shown(at), "a disk of 32 - 5 pixels"
    at.selectbox(key="img2img_mask_mode").set_value("differential").run()
    run(app, settled(at))
    found = asked(app)
    assert (found.mask_grow, found.mask_blur, found.mask_mode) == (-5, 4, "differential")
    kept = app.store.inputs.read(found.mask_image)
    assert set(np.unique(kept).tolist()) == {0, 255}, "it is kept as it was made"
    assert not messages(at)


def test_a_grey_mask_is_kept_as_it_is_where_grey_has_a_meaning(app: App) -> None:
    grey = Image.fromarray(np.tile(np.arange(128, dtype=np.uint8), (128, 1)))
    buffer = io.BytesIO()
    grey.save(buffer, "PNG")
    at = opened(app, img2img_masked="true", img2img_mask_from="Upload")
    at.session_state[MASK_FILE] = buffer.getvalue()
    run(app, settled(at.run()))
    assert app.store.inputs.read(asked(app).mask_image).max() == 0, "nowhere half white"
    at.selectbox(key="img2img_mask_mode").set_value("differential").run()
    run(app, settled(at))
    assert np.array_equal(app.store.inputs.read(asked(app).mask_image), np.asarray(grey))


def test_a_mask_that_shrinks_away_is_said_and_nothing_runs(app: App) -> None:
    at = opened(app, img2img_masked="true", img2img_mask_grow="-40")
    (said,) = messages(at)
    assert "Mask grow: -40 shrinks the mask until nothing of it is left: choose a number" in said
    assert at.button(key="img2img:run").disabled
    at.number_input(key="img2img_mask_grow").set_value(-4).run()
    assert not messages(settled(at))
    assert not at.button(key="img2img:run").disabled


def test_a_mask_that_shrinks_away_is_said_under_its_control_too(app: App) -> None:
    at = opened(app, img2img_masked="true", img2img_mask_grow="-40")
    lines = [one.value for one in at.caption if ":red[" in one.value]
    assert any("-40 shrinks the mask until nothing of it is left" in line for line in lines)


def test_a_mask_that_the_latents_miss_is_a_warning(app: App) -> None:
    """Rows 42 to 44: between those of the latents, 40 and 48."""
    mask = np.zeros((128, 128), np.uint8)
    mask[42:45, 20:100] = 255
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    at = opened(app, img2img_masked="true", img2img_mask_from="Upload")
    at.session_state[MASK_FILE] = buffer.getvalue()
    settled(at.run())
    lines = [one.value for one in at.caption if ":orange[" in one.value]
    assert any("covers no place of the latents" in line for line in lines)
    assert not at.button(key="img2img:run").disabled
    at.segmented_control(key="img2img_view").set_value("Strength strip").run()
    (said,) = messages(settled(at))
    assert "The latents miss a part of the mask: Mask: covers no place of the latents" in said
    at.number_input(key="img2img_mask_grow").set_value(8).run()
    assert not messages(settled(at))


def test_only_masked_reaches_the_settings_and_says_its_area(app: App) -> None:
    at = opened(app, img2img_masked="true")
    assert at.number_input(key="img2img_masked_padding").disabled
    at.toggle(key="img2img_masked_only").set_value(True).run()
    at.number_input(key="img2img_masked_padding").set_value(8).run()
    assert "An area of 80 × 80 px is enlarged to 128 × 128." in shown(at), "64 and 8 each side"
    run(app, settled(at))
    found = asked(app)
    assert (found.masked_only, found.masked_padding) == (True, 8)
    assert not messages(at)


def test_a_mask_that_is_not_there_yet_is_said_and_nothing_runs(app: App) -> None:
    """Else the whole picture would be made anew."""
    at = opened(app, img2img_masked="true", img2img_mask_from="Upload")
    (said,) = messages(at)
    assert "Mask: there is none yet" in said
    assert at.button(key="img2img:run").disabled
    at.toggle(key="img2img_masked").set_value(False).run()
    assert not messages(settled(at))
    assert not at.button(key="img2img:run").disabled


def test_a_sweep_of_a_masked_picture_has_the_masks_settings(app: App) -> None:
    at = opened(app, img2img_masked="true", img2img_mask_blur="3", img2img_view="Strength strip")
    at.text_input(key="img2img_strengths").set_value("0.5, 1").run()
    settled(at)
    at.button(key="img2img:as_sweep").click().run()
    app.turn_to(at, SWEEP.path)
    assert at.number_input(key="sweep_mask_blur").value == 3
    at.number_input(key="sweep_mask_blur").set_value(6).run()
    at.button(key="sweep:run").click().run()
    app.finish()
    assert {one.mask_blur for one in app.asked()} == {6}


def mask_png(right: int, bottom: int, size: tuple[int, int] = (128, 128)) -> bytes:
    """A mask that is white from the upper left to there."""
    mask = Image.new("L", size, 0)
    mask.paste(255, (0, 0, right, bottom))
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_painted_mask(app: App) -> None:
    """The browser hands it over as `_take` keeps it; it outlives another page."""
    at = opened(app, img2img_masked="true", img2img_mask_from="Brush")
    assert [m for m in messages(at) if "paint over the picture" in m]
    at.session_state[PAINTED] = mask_png(128, 64)
    settled(at.run())
    assert "50% of the picture" in shown(at)
    app.turn_to(at, SWEEP.path)
    settled(app.turn_to(at, PAGE))
    run(app, at)
    mask = app.store.inputs.read(asked(app).mask_image)
    assert (mask[:64] == 255).all()
    assert (mask[64:] == 0).all()
    assert not messages(at)


def test_a_painted_mask_of_another_size_is_stretched_and_that_is_said(app: App) -> None:
    at = opened(app, img2img_masked="true", img2img_mask_from="Brush")
    at.session_state[PAINTED] = mask_png(32, 64, size=(64, 64))
    settled(at.run())
    assert "It was painted at 64 × 64 and is stretched to 128 × 128." in shown(at)
    assert "50% of the picture" in shown(at)


def test_the_brush_begins_from_what_there_is(app: App) -> None:
    """The uploaded mask, else that of an earlier run; a new upload takes the painting's place."""
    kept = app.store.inputs.keep(np.asarray(Image.open(io.BytesIO(mask_png(128, 32)))))
    brush = {"img2img_masked": "true", "img2img_mask_from": "Brush"}
    at = opened(app, img2img_mask_image=kept, **brush)
    assert "25% of the picture" in shown(at)
    at.session_state[MASK_FILE] = mask_png(128, 64)
    assert "50% of the picture" in shown(settled(at.run()))
    at.session_state[PAINTED] = mask_png(128, 96)
    assert "75% of the picture" in shown(settled(at.run()))
    at.segmented_control(key="img2img_mask_from").set_value("Upload").run()
    assert "50% of the picture" in shown(settled(at))
    at.file_uploader(key="img2img:mask_file").upload("x.png", mask_png(128, 24)).run()
    at.segmented_control(key="img2img_mask_from").set_value("Brush").run()
    assert "19% of the picture" in shown(settled(at))


def test_a_painted_mask_that_is_no_picture_is_said(app: App) -> None:
    at = opened(app, img2img_masked="true", img2img_mask_from="Brush")
    at.session_state[PAINTED] = b""
    at.run()
    assert [m for m in messages(at) if "The file is empty. Paint it again." in m]
    assert at.button(key="img2img:run").disabled


def test_without_a_source_there_is_nothing_to_paint_on(app: App) -> None:
    at = opened(app, img2img_from="Yours", img2img_masked="true", img2img_mask_from="Brush")
    assert "A mask goes over a picture: choose one above first." in shown(at)
    assert not messages(at)
    at.file_uploader(key="img2img:file").upload("any.png", png()).run()
    assert [m for m in messages(settled(at)) if "paint over the picture" in m]


def test_a_mask_counts_pixels_by_their_centres() -> None:
    box = MaskShape(kind="rectangle", left=0.25, top=0.0, right=0.75, bottom=0.5)
    assert (draw_mask([box], 8, 4) == 255).sum() == 4 * 2
    disc = MaskShape(kind="ellipse", left=0.0, top=0.0, right=1.0, bottom=1.0)
    share = (draw_mask([disc], 200, 100) == 255).mean()
    assert abs(share - np.pi / 4) < 0.01
    empty = MaskShape(kind="ellipse", left=0.5, top=0.0, right=0.5, bottom=1.0)
    assert draw_mask([empty], 8, 8).max() == 0


def test_one_click_from_a_stored_picture_starts_from_its_own_latents(app: App) -> None:
    settings = GenerationSettings(prompt="a cat", width=16, height=16, num_inference_steps=4)
    image = app.store.put(generation(settings, record="norms"), app.model)
    at = app.open(GALLERY, gallery_open=image.digest)
    at.menu_button(key=f"send:{image.digest}").set_value(PAGE).run()
    wait_for(lambda: bool(app.queue.jobs()))
    assert app.newest_job().label.startswith("Recording")
    app.finish()
    settled(app.turn_to(at, PAGE))
    assert not messages(at)
    assert at.text_area(key="img2img_prompt").value == "a cat"
    at.text_area(key="img2img_prompt").set_value("a dog").run()
    run(app, at)
    found = asked(app)
    trajectory = app.store.trajectory(image.digest)
    assert trajectory is not None
    assert trajectory.latents is not None
    assert found.posterior == "latents"
    assert found.prompt == "a dog"
    assert np.array_equal(app.store.inputs.read(found.init_image), trajectory.latents[-1])


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A second model, "copy": the bundled one with other words in a configuration."""
    root = tmp_path / "models"
    folder = Path(shutil.copytree(BUNDLED_FOLDER, root / "copy"))
    config = folder / "unet" / "config.json"
    config.write_text(config.read_text() + "\n")
    monkeypatch.setenv("LIGHTBOX_MODELS", str(root))
    return folder


def sent(app: App, image: StoredImage) -> AppTest:
    """Image to image after "Send to" in the Gallery."""
    at = app.open(GALLERY, gallery_open=image.digest)
    at.menu_button(key=f"send:{image.digest}").set_value(PAGE).run()
    wait_for(lambda: bool(app.queue.jobs()))
    app.finish()
    return settled(app.turn_to(at, PAGE))


def test_latents_go_with_the_model_that_made_them(app: App, copy: Path, model: LoadedModel) -> None:
    save_lora(copy.parent, "ink", model, 1)
    settings = GenerationSettings(
        prompt="a cat",
        model="copy",
        scheduler="DDIM",
        width=16,
        height=24,
        num_inference_steps=4,
        loras="ink:0.5",
    )
    image = app.store.put(generation(settings, record="norms"), describe("copy"))
    at = sent(app, image)
    assert not messages(at)
    assert at.selectbox(key="img2img_model").value == "copy"
    assert at.selectbox(key="img2img_scheduler").value == "DDIM"
    sides = [at.number_input(key=f"img2img_{side}").value for side in ("width", "height")]
    assert sides == [16, 24], "for its pixels, should they be wanted"
    run(app, at)
    found = asked(app)
    assert (found.model, found.loras, found.posterior) == ("copy", "ink:0.5", "latents")


def test_another_model_is_offered_the_pixels_alone(app: App, copy: Path) -> None:
    settings = GenerationSettings(prompt="a cat", width=16, height=16, num_inference_steps=4)
    image = app.store.put(generation(settings, record="norms"), app.model)
    at = sent(app, image)
    at.selectbox(key="img2img_model").set_value("copy").run()
    settled(at)
    words = f"Its latents are those of {app.model.name}: another model's VAE would decode"
    assert words in shown(at)
    assert not [one for one in at.segmented_control if one.key == "img2img_start"]
    run(app, at)
    assert (asked(app).model, asked(app).posterior) == ("copy", "sample")
    assert app.store.inputs.read(asked(app).init_image).dtype == np.uint8
    at.selectbox(key="img2img_model").set_value("bundled").run()
    assert at.segmented_control(key="img2img_start").value == "Its own latents"


def test_latents_are_as_large_as_the_chosen_models_vae_makes_them(app: App, copy: Path) -> None:
    config = copy / "vae" / "config.json"
    values = json.loads(config.read_text())
    values["block_out_channels"] = values["block_out_channels"][:3]
    config.write_text(json.dumps(values))
    assert describe("copy").vae_scale_factor == 4
    kept = app.store.inputs.keep(np.zeros((4, 16, 16), np.float32))
    at = opened(app, img2img_from="Yours", img2img_init_image=kept, img2img_model="copy")
    run(app, at)
    assert (asked(app).width, asked(app).height) == (64, 64)


def test_a_broken_model_is_said_and_asked_for_nothing(app: App, copy: Path) -> None:
    (copy / "vae" / "config.json").unlink()
    for view in VIEWS:
        at = opened(app, img2img_model="copy", img2img_view=view)
        assert [m for m in messages(at) if "copy" in m and "config.json" in m]
        begin = "invert" if view == INVERSION else "run"
        assert at.button(key=f"img2img:{begin}").disabled
        assert not [b for b in at.button if str(b.key).startswith("task again")]
    assert app.queue.worker_status().message == "", "the worker was not asked to load it"


def test_a_model_that_is_none_is_the_default(app: App) -> None:
    at = opened(app, img2img_model="no-such-model")
    assert [m for m in messages(at) if "img2img_model = 'no-such-model' is not one" in m]
    assert at.selectbox(key="img2img_model").value == "bundled"


def test_the_tokens_are_counted_by_the_chosen_model(app: App, copy: Path) -> None:
    config = copy / "tokenizer" / "tokenizer_config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"model_max_length": 5}))
    at = opened(app, img2img_model="copy", img2img_prompt="an owl on a branch at night")
    assert [m for m in messages(at) if "reads 3 tokens" in m]


def test_the_newest_picture_stays_the_source_when_there_are_newer_ones(app: App) -> None:
    image = app.put(3)
    at = opened(app, img2img_from="Stored", img2img_start="Its pixels")
    run(app, at)
    assert at.session_state["img2img_images"] == [image.digest]
    assert at.button(key="img2img:run").disabled


def test_a_picture_made_from_another_comes_back_with_its_settings(app: App) -> None:
    at = opened(app, img2img_strength="0.4", img2img_masked="true")
    run(app, at)
    made = asked(app)
    digest = made.digest(app.model.fingerprint)
    gallery = app.open(GALLERY, gallery_open=digest)
    gallery.menu_button(key=f"send:{digest}").set_value(GENERATE).run()
    assert gallery.title[0].value == "Image to image"
    settled(app.turn_to(gallery, PAGE))
    assert gallery.title[0].value == "Image to image"
    assert not messages(gallery)
    assert gallery.slider(key="img2img_strength").value == 0.4
    assert gallery.button(key="img2img:run").disabled, "it is the stored picture itself"


def test_a_dropped_picture_that_was_made_from_another_is_sent_on(app: App) -> None:
    source = app.store.inputs.keep(prepare(sample("face"), 128, 128, "crop"))
    for init_image in (source, "5e" * 32):
        settings = GenerationSettings(prompt="a cat", init_image=init_image, strength=0.3)
        data = write_png(Image.new("RGB", (128, 128)), settings, app.model, {})
        at = app.open(GENERATE)
        at.file_uploader(key="generate:drop").upload("made.png", data).run()
        if init_image == source:
            at.button(key="generate:open_source").click().run()
            assert settled(app.turn_to(at, PAGE)).slider(key="img2img_strength").value == 0.3
        else:
            assert "is not stored here" in shown(at)
            assert not [b for b in at.button if b.key == "generate:use_all"]


def test_the_grid_goes_on_as_a_sweep_with_its_source(app: App) -> None:
    at = run(app, opened(app, img2img_view="Strength strip", img2img_strengths="0.5, 1"))
    source = app.asked()[0].init_image
    at.button(key="img2img:as_sweep").click().run()
    app.turn_to(at, SWEEP.path)
    assert at.title[0].value == "Sweep"
    assert "nothing to compute" in shown(at)
    assert at.session_state["sweep_init_image"] == source
    assert not messages(at)
    at.button(key="sweep:without_source").click().run()
    assert [m for m in messages(at) if "there is no source picture" in m]


def test_a_sweep_link_with_a_source_that_is_gone_says_so(app: App) -> None:
    at = app.open(
        SWEEP.path,
        sweep_init_image="5e" * 32,
        sweep_x="Strength",
        sweep_x_values="0.5, 1",
        sweep_prompt="a cat",
    )
    assert "needs its source picture" in shown(at)
    assert not at.exception


def test_a_broken_link_is_mended(app: App) -> None:
    at = opened(app, img2img_strength="7", img2img_from="Nowhere", img2img_colour="red")
    said = " ".join(messages(at))
    for name in ("img2img_strength", "img2img_from", "img2img_colour"):
        assert name in said
    assert at.slider(key="img2img_strength").value == 0.8
