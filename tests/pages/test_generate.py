"""The Generate page: each control, a click, the picture, and what can go wrong."""

from __future__ import annotations

import dataclasses
import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from streamlit.testing.v1 import AppTest

from core.diffusion.models.load import describe, list_models
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import INIT_FIELDS, MAX_SEED, GenerationSettings
from core.output.texts.infotext import write_png
from core.runs.queue.queue import Queue, WorkerStatus
from core.sweeps.sweep import Sweep
from tests.core.diffusion.models.vae.made import kl_file
from tests.core.runs.doubles import generation, wait_for
from tests.needs import NEEDS
from tests.pages.conftest import GALLERY, GENERATE, App, messages, unescaped
from ui.generate.stage import JOB

LONG = " ".join(["apple"] * 90)


def click(at: AppTest) -> AppTest:
    return at.button(key="generate:go").click().run()


def labels(at: AppTest) -> list[str]:
    return [button.label for button in at.button]


def test_the_form_begins_with_the_models_own_defaults(app: App) -> None:
    click(app.open(GENERATE))
    (asked,) = app.asked()
    assert replace(asked, seed=0) == GenerationSettings(
        seed=0,
        width=app.model.default_width,
        height=app.model.default_height,
        num_inference_steps=app.model.default_num_inference_steps,
        guidance_scale=app.model.default_guidance_scale,
        scheduler=app.model.default_scheduler,
    )


WIDGETS: list[tuple[str, str, Any]] = [
    ("text_area", "prompt", "an owl"),
    ("text_area", "negative_prompt", "blurry"),
    ("number_input", "seed", 77),
    ("number_input", "num_inference_steps", 3),
    ("number_input", "guidance_scale", 5.5),
    ("number_input", "guidance_rescale", 0.7),
    ("selectbox", "scheduler", "DPM++ 2M SDE"),
    ("number_input", "width", 96),
    ("number_input", "height", 160),
    ("number_input", "variation_seed", 8),
    ("number_input", "variation_strength", 0.25),
    ("selectbox", "variation_method", "rotate"),
    ("text_input", "variation_region", "0,0,64,64"),
    ("number_input", "variation_channel", 2),
    ("text_input", "variation_chain", "slerp:7:0.2"),
    ("text_input", "prompt_2", "a robot"),
    ("number_input", "prompt_blend", 0.5),
    ("number_input", "snapshot", 2),
    ("number_input", "clip_skip", 1),
    ("selectbox", "emphasis", "No norm"),
    ("selectbox", "sigma_schedule", "exponential"),
    ("selectbox", "timestep_spacing", "trailing"),
    ("number_input", "solver_order", 3),
    ("selectbox", "solver_type", "heun"),
    ("selectbox", "final_sigmas_type", "sigma_min"),
    ("toggle", "lower_order_final", False),
    ("toggle", "rescale_betas_zero_snr", True),
    ("number_input", "eta", 0.5),
    ("number_input", "s_churn", 5.0),
    ("number_input", "noise_multiplier", 1.05),
    ("selectbox", "guidance_method", "PAG"),
    ("number_input", "guidance_start", 0.25),
    ("number_input", "guidance_end", 0.75),
    ("toggle", "guidance_below_1", True),
    ("number_input", "apg_eta", 0.5),
    ("number_input", "apg_norm_threshold", 5.0),
    ("number_input", "apg_momentum", -0.75),
    ("number_input", "zero_init_steps", 1),
    ("number_input", "pag_scale", 2.0),
    ("selectbox", "pag_layers", "up"),
]


def beside(field: str) -> dict[str, str]:
    """What takes a setting that the page's first scheduler and method do not."""
    chosen = ("scheduler", "guidance_method")
    return {f"generate_{name}": v for name, v in NEEDS.get(field, {}).items() if name in chosen}


def in_link(field: str, value: Any) -> str:
    """A value as its control writes it into the address."""
    row = SETTINGS[field]
    if row.link_choices:
        return row.link_choices[row.choices.index(value)]
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(("widget", "field", "value"), WIDGETS, ids=[w[1] for w in WIDGETS])
def test_each_control_reaches_the_image(app: App, widget: str, field: str, value: Any) -> None:
    at = app.open(GENERATE, **beside(field))
    getattr(at, widget)(key=f"generate_{field}").set_value(value)
    click(at)
    (asked,) = app.asked()
    assert getattr(asked, field) == value


@pytest.mark.parametrize(("widget", "field", "value"), WIDGETS, ids=[w[1] for w in WIDGETS])
def test_each_parameter_of_a_link_reaches_the_image(
    app: App, widget: str, field: str, value: Any
) -> None:
    link = {f"generate_{field}": in_link(field, value)}
    at = app.open(GENERATE, **beside(field), **link)
    assert not messages(at)
    click(at)
    (asked,) = app.asked()
    assert getattr(asked, field) == value


BROKEN = [
    ("seed", "many", "is not a whole number"),
    ("seed", str(MAX_SEED + 1), "is outside"),
    ("num_inference_steps", "0", "is outside 1 to 1000"),
    ("num_inference_steps", "7.5", "is not a whole number"),
    ("guidance_scale", "nan", "is outside 0 to 100"),
    ("guidance_scale", "high", "is not a number"),
    ("scheduler", "Euler%20b", "is not one of the choices"),
    ("model", "/nowhere", "is not one of the choices"),
    ("width", "-8", "is outside"),
    ("stepz", "4", "is not a parameter of this page"),
]


@pytest.mark.parametrize(("field", "text", "why"), BROKEN)
def test_a_broken_parameter_is_said_once_and_the_default_used(
    app: App, field: str, text: str, why: str
) -> None:
    at = app.open(GENERATE, **{f"generate_{field}": text})
    (message,) = messages(at)
    assert message.startswith("Part of the link could not be used")
    assert f"generate_{field}" in message
    assert text in message
    assert why in message
    assert len(messages(at.run())) == 1, "the message stays until something is done"
    assert not messages(click(at))
    (asked,) = app.asked()
    default = GenerationSettings().to_dict()
    default["guidance_scale"] = app.model.default_guidance_scale
    if field not in ("seed", "stepz"):
        assert getattr(asked, field) == default[field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_inference_steps", 0),
        ("seed", 1102676403634909),
        ("seed", -2),
        ("guidance_scale", 101.0),
        ("width", 0),
    ],
)
def test_a_number_out_of_bounds_is_said_and_does_not_run(
    app: App, field: str, value: float
) -> None:
    at = app.open(GENERATE)
    at.number_input(key=f"generate_{field}").set_value(value).run()
    assert at.number_input(key=f"generate_{field}").value == value, "what is shown is what is meant"
    assert any(f"{value:.16g} is outside" in box.value for box in at.caption)
    (message,) = messages(click(at))
    assert "These settings cannot run" in message
    assert app.queue.jobs() == []


def test_a_drawn_seed_is_shown_and_can_be_used_again(app: App) -> None:
    at = click(app.open(GENERATE))
    seed = app.asked()[0].seed
    assert 0 <= seed <= MAX_SEED
    assert at.number_input(key="generate_seed").value == -1
    app.finish()
    at.run()
    reuse = at.button(key="generate:reuse")
    assert reuse.label == f"Reuse {seed}"
    reuse.click().run()
    assert at.number_input(key="generate_seed").value == seed
    at.button(key="generate:draw").click().run()
    assert at.number_input(key="generate_seed").value == -1


def test_a_batch_has_consecutive_seeds_and_every_picture_can_be_looked_at(app: App) -> None:
    at = app.open(GENERATE, generate_seed="40", generate_count="3")
    click(at)
    assert [one.seed for one in app.asked()] == [40, 41, 42]
    app.finish()
    at.run()
    (pick,) = at.pills
    assert pick.options == ["40", "41", "42"]
    pick.set_value(42).run()
    assert any("Seed: 42" in code.value for code in at.code)


def test_the_last_seeds_leave_room_for_a_batch(app: App) -> None:
    at = click(app.open(GENERATE, generate_seed=str(MAX_SEED), generate_count="2"))
    (message,) = messages(at)
    assert "These settings cannot run" in message
    assert "Seed" in message


def test_size_presets_and_swap(app: App) -> None:
    at = app.open(GENERATE)
    at.menu_button(key="generate:shape").set_value("Landscape 3:2").run()
    width, height = (at.number_input(key=f"generate_{side}").value for side in ("width", "height"))
    assert width > height
    assert width % 16 == height % 16 == 0
    at.button(key="generate:swap").click().run()
    assert at.number_input(key="generate_width").value == height
    assert at.number_input(key="generate_height").value == width


def test_an_example_becomes_the_prompt(app: App) -> None:
    at = app.open(GENERATE)
    at.menu_button(key="generate:example").set_value(app.model.example_prompts[1]).run()
    assert at.text_area(key="generate_prompt").value == app.model.example_prompts[1]


def test_every_scheduler_says_what_it_is(app: App) -> None:
    at = app.open(GENERATE)
    for name, row in SCHEDULERS.items():
        at.selectbox(key="generate_scheduler").set_value(name).run()
        assert row.note in [unescaped(caption.value) for caption in at.caption]


def test_marks_of_another_tool_are_said(app: App) -> None:
    at = app.open(GENERATE, generate_prompt="a <lora:ink:0.8> cat [red:blue:0.5")
    (message,) = messages(at)
    for mark in ("[red:blue:0.5", "<lora:ink:0.8>", "LoRA setting"):
        assert mark in message
    assert not [one for one in at.button if one.key == "generate:take_loras"], "it is not here"


def test_a_lora_in_the_prompt_moves_to_its_setting(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("ui.settings.prompt", "ui.settings.file_controls"):
        monkeypatch.setattr(f"{module}.list_loras", lambda: ["ink", "paper"])
    words = "a cat <lora:ink:0.8> <lora:paper:1:0.5>"
    at = app.open(GENERATE, generate_prompt=words, generate_loras="ink:0.1, other:1")
    (button,) = [one for one in at.button if one.key == "generate:take_loras"]
    assert "ink:0.8, paper:0.5" in unescaped(button.label)
    button.click().run()
    assert at.text_area(key="generate_prompt").value == "a cat"
    assert at.text_input(key="generate_loras").value == "other:1, ink:0.8, paper:0.5"
    assert not [one for one in at.button if one.key == "generate:take_loras"]


def test_tokens_are_counted_and_what_is_cut_off_is_shown(app: App) -> None:
    at = app.open(GENERATE, generate_prompt="a red apple")
    assert "3 of 75 tokens" in [box.proto.popover.label for box in at.get("popover")]
    assert "a · red · apple" in [code.value for code in at.code]
    assert not at.warning
    at.text_area(key="generate_prompt").set_value(LONG).run()
    (message,) = messages(at)
    assert message.startswith("The prompt is too long")
    assert message.count("apple") == 15
    at.text_area(key="generate_negative_prompt").set_value(f"{LONG} and fog").run()
    at.text_area(key="generate_prompt").set_value("a red apple").run()
    (message,) = messages(at)
    assert message.startswith("The negative prompt is too long")
    assert "and fog" in message


def test_words_that_a_small_model_never_learned_are_named(app: App) -> None:
    def labels(prompt: str) -> list[str]:
        at.text_area(key="generate_prompt").set_value(prompt).run()
        return [unescaped(box.proto.popover.label) for box in at.get("popover")]

    at = app.open(GENERATE)
    assert app.model.vocabulary is not None
    assert "Unknown: zeppelin, quokka" in labels("a zeppelin and a quokka on a blue background")
    assert "Vocabulary" in labels("an apple on a blue background, flat style")


def test_one_click_is_one_job(app: App) -> None:
    at = click(app.open(GENERATE))
    at.run()
    at.run()
    assert len(app.queue.jobs()) == 1
    click(at)
    assert len(app.queue.jobs()) == 2


def test_a_click_run_twice_is_one_job(app: App) -> None:
    """As after a run that was cut short between submitting and remembering the job."""
    at = app.open(GENERATE)
    for _ in range(2):
        at.session_state["generate:click"] = "one and the same"
        at.run()
    assert len(app.queue.jobs()) == 1


def test_progress_then_stop(app: App) -> None:
    app.lab.hold()
    at = click(app.open(GENERATE))
    wait_for(lambda: app.newest_job().state == "running")
    at.run()
    assert at.progress[0].text.startswith("Step 0 of 20")
    job = app.newest_job()
    at.button(key=f"stop:{job.id}").click().run()
    app.lab.gate.set()
    assert app.finish().state == "cancelled"
    at.run()
    assert not at.progress
    assert [box.proto.title for box in at.info] == ["Stopped"]


def test_what_is_stopped_is_shown_and_run_again(app: App) -> None:
    app.lab.step_seconds = 0.01
    at = click(app.open(GENERATE, generate_num_inference_steps="900", generate_seed="4"))
    wait_for(lambda: app.queue.cells(app.newest_job().id)[0].step > 2)
    job = app.newest_job()
    at.run().button(key=f"stop:{job.id}").click().run()
    wait_for(lambda: app.queue.stopped(job.id))
    at.run()
    assert len(at.get("image")) == 1
    step = app.queue.stopped(job.id)[0].step
    assert f"Stopped at step {step} of 900 · predicted x0" in [one.value for one in at.caption]
    assert at.get("download_button")
    assert app.store.count() == 0, "it is not in the gallery"
    app.lab.step_seconds = 0
    at.button(key=f"again:{job.id}").click().run()
    assert app.newest_job().id != job.id
    assert app.finish().state == "done"
    assert [one.seed for one in app.asked()] == [4]


def test_every_setting_has_its_control() -> None:
    """A setting that a page could not show would be lost on the way from another page."""
    fields = {field.name for field in dataclasses.fields(GenerationSettings)}
    # Those of image-to-image have their own page, and such a picture is sent there; the controls of
    # LoRA and VAE files are there where there are any.
    assert fields == {field for _, field, _ in WIDGETS} | {"model", "loras", "vae"} | set(
        INIT_FIELDS
    )


def test_a_vae_is_chosen_of_those_that_are_here(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one there is no control; a link's that is not here stays chosen, and is said."""
    root = tmp_path / "vaes"
    root.mkdir()
    monkeypatch.setenv("LIGHTBOX_MODELS", str(root))
    assert "generate_vae" not in [box.key for box in app.open(GENERATE).selectbox]
    kl_file(root, "soft")
    at = app.open(GENERATE, generate_vae="gone")
    box = at.selectbox(key="generate_vae")
    assert (box.value, box.options) == ("gone", ["(the model's own)", "soft.safetensors", "gone"])
    assert any("gone is not here" in unescaped(one.value) for one in at.caption)
    click(at)
    assert any("gone is not here" in message for message in messages(at))
    at.selectbox(key="generate_vae").set_value("soft.safetensors").run()
    click(at)
    assert [one.vae for one in app.asked()] == ["soft.safetensors"]
    again = app.open(GENERATE, generate_vae="soft.safetensors")
    assert again.selectbox(key="generate_vae").value == "soft.safetensors"


def test_only_what_the_scheduler_takes_is_offered(app: App) -> None:
    """Another scheduler leaves out what it does not take, and says so; nothing of it runs."""
    at = app.open(GENERATE, generate_sigma_schedule="Karras", generate_solver_type="heun")
    assert at.selectbox(key="generate_solver_type").options == ["Automatic", "midpoint", "heun"]
    at.selectbox(key="generate_scheduler").set_value("UniPC").run()
    assert at.selectbox(key="generate_solver_type").options == ["Automatic", "bh1", "bh2"]
    assert at.selectbox(key="generate_solver_type").value == "automatic"
    at.selectbox(key="generate_solver_type").set_value("bh1").run()
    assert any("bh1 divides by zero" in unescaped(one.value) for one in at.caption)
    at.selectbox(key="generate_scheduler").set_value("DDIM").run()
    assert "generate_sigma_schedule" not in [box.key for box in at.selectbox]
    said = [unescaped(caption.value) for caption in at.caption]
    assert any("DDIM has none of these: Sigma schedule, Solver order" in one for one in said)
    click(at)
    (asked,) = app.asked()
    assert (asked.scheduler, asked.sigma_schedule) == ("DDIM", "automatic")
    assert asked.validate() == []


def test_a_running_job_is_found_again_after_a_reload(app: App, monkeypatch: Any) -> None:
    monkeypatch.setattr("ui.generate.stage.owner_id", lambda: "this browser")
    app.lab.hold()
    click(app.open(GENERATE))
    wait_for(lambda: app.newest_job().state == "running")
    again = app.open(GENERATE)
    assert again.progress, "a new session of the same browser shows the running job"


def test_a_running_sweep_is_never_taken_for_a_picture_of_this_page(
    app: App, monkeypatch: Any
) -> None:
    monkeypatch.setattr("ui.generate.stage.owner_id", lambda: "this browser")
    app.lab.hold()
    click(app.open(GENERATE, generate_prompt="Sweep: an owl"))
    picture = app.newest_job().id
    sweep = Sweep(base=GenerationSettings(prompt="a cat"))
    app.queue.submit([sweep.base], owner="this browser", token="1", label="x", sweep=sweep)
    again = app.open(GENERATE)
    assert again.session_state[JOB] == picture


def test_everything_is_asked_of_the_chosen_model(app: App, monkeypatch: Any, tmp_path: Any) -> None:
    other = tmp_path / "models" / "other"
    shutil.copytree(app.model.folder, other)
    config = other / "unet" / "config.json"
    config.write_text(config.read_text() + "\n")
    monkeypatch.setenv("LIGHTBOX_MODELS", str(other.parent))
    source = list_models()[1]
    guidance_scale = app.model.default_guidance_scale
    asked = GenerationSettings(seed=3, model=source, guidance_scale=guidance_scale)
    image = app.store.put(generation(asked, record="none"), describe(source))
    at = app.open(GENERATE, generate_seed="3", generate_model=source)
    assert not messages(at)
    assert any(image.digest in code.value for code in at.code)
    programs = [code.value for code in at.code if "StableDiffusionPipeline" in code.value]
    assert any("model = 'other'" in program for program in programs), "the program names it"
    assert not any(str(tmp_path) in program for program in programs), "but no place of it"
    shutil.rmtree(other / "vae")
    at.button(key="generate:go").click().run()
    assert any(m.startswith("This model cannot be used: other lacks vae") for m in messages(at))
    on_stage = [error.value for column in at.columns for error in column.error]
    assert any("lacks vae" in text for text in on_stage), "where the picture would be"
    assert "generate:click" not in at.session_state
    assert not app.queue.jobs()


def test_a_reload_shows_the_last_picture_but_never_in_place_of_another_link(
    app: App, monkeypatch: Any
) -> None:
    monkeypatch.setattr("ui.generate.stage.owner_id", lambda: "this browser")
    click(app.open(GENERATE, generate_prompt="an owl"))
    app.finish()
    assert app.open(GENERATE, generate_prompt="an owl").get("image")
    assert not app.open(GENERATE, generate_prompt="a cat").get("image")


def test_a_finished_picture_comes_with_all_that_made_it(app: App) -> None:
    at = click(app.open(GENERATE, generate_prompt="an owl", generate_seed="5"))
    app.finish()
    at.run()
    assert len(at.get("image")) == 1
    metrics = {metric.label: metric.value for metric in at.metric}
    assert metrics["Seed"] == "5"
    assert metrics["CLIP score"] == "25.0"
    assert metrics["Computing time"] == "0.50 s"
    (help,) = [metric.help for metric in at.metric if metric.label == "Computing time"]
    assert "Up to 2 rows were in the batch" in help
    texts = [code.value for code in at.code]
    assert any(text.startswith("an owl\nSteps: 20, Sampler: DPM++ 2M") for text in texts)
    (program,) = [text for text in texts if "StableDiffusionPipeline" in text]
    assert "manual_seed(5)" in program
    assert "models/bundled" in program
    assert str(app.model.folder.parent) not in program
    assert at.menu_button(key=f"send:{app.store.search()[0].digest}").options


def test_a_link_to_a_stored_picture_shows_it_at_once(app: App) -> None:
    image = app.put(9)
    at = app.open(GENERATE, generate_prompt="a red apple", generate_seed="9")
    assert len(at.get("image")) == 1
    assert any(image.digest in code.value for code in at.code)
    assert not app.queue.jobs()


def test_a_failed_picture_says_why_and_can_be_tried_again(app: App) -> None:
    app.lab.fails = lambda one: "A *latent* was not finite."
    at = click(app.open(GENERATE))
    app.finish()
    at.run()
    assert messages(at) == ["The picture could not be made: A *latent* was not finite."]
    app.lab.fails = lambda one: ""
    at.button(key=f"retry:{app.newest_job().id}").click().run()
    assert app.finish().state == "done"
    assert not messages(at.run())


def test_the_address_of_a_random_seed_leads_to_its_picture(app: App) -> None:
    at = click(app.open(GENERATE, generate_prompt="an owl"))
    app.finish()
    at.run()
    (one,) = app.asked()
    assert one.seed >= 0
    address = {name: str(at.query_params[name]) for name in at.query_params}
    assert address["generate_made"] == str(one.seed)
    other = app.open(GENERATE, **address)
    assert {metric.label: metric.value for metric in other.metric}["Seed"] == str(one.seed)
    assert other.button(key="generate:reuse").label == f"Reuse {one.seed}"
    assert not other.button(key="generate:reuse").disabled
    assert other.number_input(key="generate_seed").value == -1, "Generate draws another"
    other.text_area(key="generate_prompt").set_value("a fox").run()
    assert not other.get("image"), "it is no picture of that"


def test_a_side_between_two_latents_is_drawn_at_the_nearest_and_said(app: App) -> None:
    at = click(app.open(GENERATE, generate_width="130", generate_height="100"))
    said = [one.value for one in at.caption]
    assert "130 is drawn at 128: sides are multiples of 8" in said
    assert "100 is drawn at 96: sides are multiples of 8" in said
    assert [(one.width, one.height) for one in app.asked()] == [(128, 96)]


def test_settings_that_cannot_run_are_said_and_nothing_is_queued(app: App) -> None:
    at = app.open(GENERATE, generate_scheduler="Euler", generate_clip_skip="2")
    at.number_input(key="generate_width").set_value(5000).run()
    (message,) = messages(click(at))
    assert message.startswith("These settings cannot run")
    assert "Width 5000 is not a multiple of 8 from 8 to" in message
    assert not app.queue.jobs()
    assert not messages(at.run()), "the next run does not submit again"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"rows": 2}, "Plain diffusers: makes the same picture without this app."),
        ({"rows": 8, "strict": True}, "Plain diffusers: makes the same picture"),
        ({"rows": 8}, "Computed in a batch of 8 rows: up to 2/255 from the program's picture."),
        ({"rows": 8, "dtype": "float16"}, "in a batch of 8 rows: in float16, close to"),
    ],
)
def test_a_picture_out_of_a_batch_says_how_near_its_program_comes(
    app: App, how: dict[str, Any], words: str
) -> None:
    guidance_scale = app.model.default_guidance_scale
    asked = GenerationSettings(prompt="a red apple", seed=9, guidance_scale=guidance_scale)
    made = generation(asked, record="none")
    made = replace(made, computed=replace(made.computed, **how))
    app.store.put(made, app.model)
    at = app.open(GENERATE, generate_prompt="a red apple", generate_seed="9")
    assert words in "\n".join(caption.value for caption in at.caption)


def test_a_damaged_stored_picture_is_said_and_nothing_else_is_lost(app: App) -> None:
    image = app.put(9)
    image.path.write_bytes(b"not a picture")
    at = app.open(GENERATE, generate_prompt="a red apple", generate_seed="9")
    assert any("This picture cannot be shown" in message for message in messages(at))
    click(at)
    assert app.finish().state == "done"
    assert not messages(at.run()), "asking again computes it again"


def picture(app: App, **changes: Any) -> bytes:
    one = GenerationSettings(
        prompt="a blue owl", seed=123, guidance_scale=6.0, scheduler="DDIM", width=96, **changes
    )
    made = generation(one)
    return write_png(made.image, one, app.model, made.computed)


@pytest.mark.parametrize(("button", "seed"), [("use_all", 123), ("use_most", -1)])
def test_a_dropped_picture_gives_its_settings(app: App, button: str, seed: int) -> None:
    at = app.open(GENERATE)
    at.file_uploader(key="generate:drop").upload("any name.png", picture(app)).run()
    at.button(key=f"generate:{button}").click().run()
    assert at.text_area(key="generate_prompt").value == "a blue owl"
    assert at.number_input(key="generate_guidance_scale").value == 6.0
    assert at.selectbox(key="generate_scheduler").value == "DDIM"
    assert at.number_input(key="generate_width").value == 96
    assert at.number_input(key="generate_seed").value == seed


def test_a_text_that_cannot_be_read_is_shown(app: App) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Description", "a *fox* in the snow")
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "PNG", pnginfo=info)
    at = app.open(GENERATE)
    at.file_uploader(key="generate:drop").upload("any name.png", buffer.getvalue()).run()
    (message,) = messages(at)
    assert message.startswith("No settings in this picture")
    assert "a *fox* in the snow" in [code.value for code in at.code]


def test_a_dropped_file_that_is_no_picture(app: App) -> None:
    at = app.open(GENERATE)
    at.file_uploader(key="generate:drop").upload("fake.png", b"#!/bin/sh").run()
    (message,) = messages(at)
    assert message.startswith("This file cannot be used")
    assert not at.exception


def test_the_form_outlives_a_visit_to_another_page(app: App) -> None:
    at = app.open(GENERATE)
    drawn = [one for one in WIDGETS if not beside(one[1])]
    for widget, field, value in drawn:
        getattr(at, widget)(key=f"generate_{field}").set_value(value)
    at.run()
    app.turn_to(at, GALLERY)
    app.turn_to(at, GENERATE)
    for widget, field, value in drawn:
        assert getattr(at, widget)(key=f"generate_{field}").value == value, field


def test_a_prompt_is_never_read_as_markdown(app: App) -> None:
    evil = "[link](https://example.com) **bold** $x$ :red[r] <b>b</b> ![i](u)"
    at = click(app.open(GENERATE, generate_prompt=evil, generate_seed="1"))
    app.finish()
    app.turn_to(at.run(), GALLERY)
    app.turn_to(at, GENERATE)
    shown = [element.value for element in (*at.markdown, *at.caption, *at.error, *at.warning)]
    assert not any("example.com" in text for text in shown)


def test_a_full_disk_is_not_called_the_models_fault(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.lab.hold()
    full = "The disk that holds the data folder is full: free some space."
    status = WorkerStatus(
        alive=False, state="failed", device="", dtype="", model="", message=full, waiting=1
    )
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr("ui.runs.progress.show_error", lambda *words: said.append(words))
    monkeypatch.setattr(Queue, "worker_status", lambda self: status)
    click(app.open(GENERATE, generate_prompt="an owl"))
    assert ("Nothing can be computed at the moment", full) in said
