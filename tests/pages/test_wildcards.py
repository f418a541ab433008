"""Choices and wildcards on the pages: drawn by the seed, said, and listed beside the prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.diffusion.recipe.prompt.marks import Marks
from core.diffusion.recipe.prompt.wildcards import Wildcards
from core.diffusion.settings import GenerationSettings
from core.sweeps.drawn import draw_prompts
from tests.pages.conftest import GALLERY, GENERATE, App, measured, messages, unescaped
from ui.catalog import SWEEP, VARIATIONS

TYPED = "an __animal__ in {snow|rain|fog}"
SWEPT = {"sweep_prompt": TYPED, "sweep_x": "Seed", "sweep_x_values": "1-4"}


@pytest.fixture
def folder(app: App) -> Path:
    found = app.store.folder / "wildcards"
    found.mkdir()
    (found / "animal.txt").write_text("owl\ncat\nfox\n")
    return found


def drawn(folder: Path, seed: int, typed: str = TYPED) -> tuple[str, str]:
    """The prompt of a seed, and its words in a line."""
    settings = GenerationSettings(prompt=typed, seed=seed)
    found = draw_prompts(settings, Marks(Wildcards(folder=folder).lines))
    return found.settings.prompt, ", ".join(found.words)


def click(at: AppTest) -> AppTest:
    return at.button(key="generate:go").click().run()


def captions(at: AppTest) -> list[str]:
    return [unescaped(box.value) for box in at.caption]


def codes(at: AppTest) -> str:
    return "\n".join(code.value for code in at.code)


def cells(at: AppTest) -> list[dict[str, Any]]:
    (component,) = at.get("bidi_component")
    return json.loads(component.proto.json)["cells"]


def test_every_picture_of_a_batch_has_the_words_of_its_seed(app: App, folder: Path) -> None:
    at = app.open(GENERATE, generate_prompt=TYPED, generate_seed="5", generate_count="3")
    click(at)
    assert [one.prompt for one in app.asked()] == [drawn(folder, s)[0] for s in (5, 6, 7)]
    assert len({one.prompt for one in app.asked()}) > 1
    app.finish()
    at.run()
    assert [cell["caption"] for cell in cells(at)] == [
        f"{s} · {drawn(folder, s)[1]}" for s in (5, 6, 7)
    ]
    assert f"Drawn: {drawn(folder, 5)[1]}" in captions(at)
    assert at.text_area(key="generate_prompt").value == TYPED
    assert not messages(at)


def test_a_reload_finds_the_picture_of_the_drawn_words(app: App, folder: Path) -> None:
    default = app.model.default_guidance_scale
    settings = {"prompt": drawn(folder, 8)[0], "guidance_scale": default}
    app.put(
        8,
        **settings,
        num_inference_steps=app.model.default_num_inference_steps,
        scheduler=app.model.default_scheduler,
    )
    at = app.open(GENERATE, generate_prompt=TYPED, generate_seed="8")
    assert f"Drawn: {drawn(folder, 8)[1]}" in captions(at)
    at.text_area(key="generate_prompt").set_value(TYPED.replace("fog", "sun")).run()
    other = drawn(folder, 8, TYPED.replace("fog", "sun"))[0]
    shown = any(one.startswith("Drawn: ") for one in captions(at))
    assert shown == (other == settings["prompt"]), "only of what made the picture"


def test_what_cannot_be_drawn_is_said_below_the_box_and_nothing_runs(app: App) -> None:
    typed = "a __zebra__ and {red|blue"
    at = app.open(GENERATE, generate_prompt=typed)
    (said,) = [one for one in messages(at) if one.startswith("The prompt cannot be drawn")]
    place = str(app.store.folder / "wildcards" / "zebra.txt")
    assert place in said
    assert "{red|blue has no end" in said
    at.number_input(key="generate_num_inference_steps").set_value(0).run()
    click(at)
    (error,) = [one for one in messages(at) if one.startswith("These settings cannot run")]
    assert place in error
    assert "{red|blue has no end" in error
    assert "0 is outside" in error, "with all else that is wrong"
    assert not app.queue.jobs()
    assert at.text_area(key="generate_prompt").value == typed


def test_the_tokens_and_unknown_words_are_those_of_the_seed(app: App, folder: Path) -> None:
    typed = "a {red|blue|green} __animal__"
    at = app.open(GENERATE, generate_prompt=typed, generate_seed="5")
    assert " · ".join(drawn(folder, 5, typed)[0].split()) in codes(at)
    assert "__" not in codes(at).replace("__animal__", "")
    assert "Of the words that this seed draws." in captions(at)
    at.text_area(key="generate_prompt").set_value("an owl").run()
    assert "Of the words that this seed draws." not in captions(at)


def test_without_a_file_the_list_says_where_to_put_one(app: App) -> None:
    at = app.open(GENERATE)
    assert any(box.value.startswith("No wildcards yet") for box in at.markdown)
    assert str(app.store.folder / "wildcards") in codes(at)


def test_the_list_names_each_wildcard_and_its_lines(
    app: App, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "place").mkdir()
    (folder / "place" / "cold.txt").write_text("snow")
    assert "__animal__  3 lines\n__place/cold__  1 line" in codes(app.open(GENERATE))
    assert "__animal__  3 lines" in codes(app.open(SWEEP.path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "hat.txt").write_text("a hat")
    monkeypatch.setenv("LIGHTBOX_WILDCARDS", str(tmp_path / "mine"))
    at = app.open(GENERATE, generate_prompt="__hat__")
    assert "__hat__  1 line" in codes(at)
    assert "__animal__" not in codes(at)
    click(at)
    assert [one.prompt for one in app.asked()] == ["a hat"]


def test_a_sweep_over_seeds_draws_for_each_and_says_so(app: App, folder: Path) -> None:
    at = app.open(SWEEP.path, sweep_captions="true", **SWEPT)
    words = [drawn(folder, seed)[1] for seed in (1, 2, 3, 4)]
    assert f"Drawn: {' · '.join(dict.fromkeys(words))}" in captions(at)
    at.button(key="sweep:run").click().run()
    assert [one.prompt for one in app.asked()] == [drawn(folder, s)[0] for s in (1, 2, 3, 4)]
    app.finish()
    at.run()
    assert [cell["caption"] for cell in cells(at)] == [f"{n + 1} · {words[n]}" for n in range(4)]
    assert not any("Only the noise" in one for one in captions(at)), "the words differ too"
    assert [cell["title"] for cell in cells(at)] == [f"Seed {n + 1}\n{words[n]}" for n in range(4)]
    measured(at.segmented_control(key="sweep_view").set_value("Numbers").run())
    (table,) = (frame.value for frame in at.dataframe)
    assert list(table["Drawn"]) == words
    assert at.text_area(key="sweep_prompt").value == TYPED
    saved = app.queue.sweep(app.newest_job().id)
    assert saved is not None
    assert saved.base.prompt == TYPED


def test_a_sweep_without_marks_has_no_word_of_them(app: App) -> None:
    at = app.open(SWEEP.path, **SWEPT | {"sweep_prompt": "an owl"})
    at.button(key="sweep:run").click().run()
    app.finish()
    at.run()
    assert not any(one.startswith("Drawn") for one in captions(at))
    assert any("Only the noise" in one for one in captions(at))
    assert [cell["title"] for cell in cells(at)] == [f"Seed {n}" for n in (1, 2, 3, 4)]


def test_another_file_is_drawn_from_at_once(app: App, folder: Path) -> None:
    at = app.open(SWEEP.path, **SWEPT | {"sweep_prompt": "an __animal__"})
    assert any(one.startswith("Drawn: ") for one in captions(at))
    (folder / "animal.txt").write_text("pig\n")
    at.run()
    assert "Drawn: pig" in captions(at)
    at.button(key="sweep:run").click().run()
    assert {one.prompt for one in app.asked()} == {"an pig"}
    (folder / "animal.txt").unlink()
    at.run()
    (said,) = messages(at)
    assert "__animal__ has no file" in said


def test_an_axis_takes_one_value_a_line_and_a_choice(app: App, folder: Path) -> None:
    at = app.open(
        SWEEP.path,
        sweep_prompt="a red apple",
        sweep_x="Prompt",
        sweep_x_values="{big|small} __animal__",
    )
    animals = ("owl", "cat", "fox")
    assert [c for c in captions(at) if c.startswith("6: big owl · big cat")]
    at.button(key="sweep:run").click().run()
    wanted = [f"{size} {animal}" for size in ("big", "small") for animal in animals]
    assert [one.prompt for one in app.asked()] == wanted
    assert at.text_input(key="sweep_x_values").value == "{big|small} __animal__"


def test_a_bad_mark_of_an_axis_is_said_with_its_value(app: App) -> None:
    at = app.open(
        SWEEP.path, sweep_prompt="owl", sweep_x="Prompt", sweep_x_values="a __zebra__, {a|b"
    )
    (message,) = messages(at)
    assert "a __zebra__: cannot be read: __zebra__ has no file" in message
    assert "{a|b: cannot be read" in message
    assert at.button(key="sweep:run").disabled


def test_orders_of_terms_run_and_begin_with_words_of_the_prompt(app: App) -> None:
    at = app.open(SWEEP.path, sweep_prompt="a red apple on a blue background")
    at.selectbox(key="sweep_x").set_value("prompt_order").run()
    assert at.text_input(key="sweep_x_values").value == "red, apple, blue"
    at.button(key="sweep:run").click().run()
    assert [one.prompt for one in app.asked()][:2] == [
        "a red apple on a blue background",
        "a red blue on a apple background",
    ]
    assert len(app.asked()) == 6


def test_a_picture_whose_prompt_has_braces_goes_on_as_it_is(app: App, folder: Path) -> None:
    prompt = "a {red|blue} __animal__"
    image = app.put(3, prompt=prompt)
    at = app.open(GALLERY, gallery_open=image.digest)
    at.menu_button(key=f"send:{image.digest}").set_value(GENERATE).run()
    assert at.text_area(key="generate_prompt").value == r"a \{red|blue\} \__animal__"
    click(app.turn_to(at, GENERATE))
    assert [one.prompt for one in app.asked()] == [prompt]
    at = app.open(VARIATIONS.path, variations_images=image.digest, variations_children="2")
    at.button(key="variations:make:children").click().run()
    assert [one.prompt for one in app.asked()] == [prompt, prompt]


def test_a_source_from_a_seed_is_drawn_too(app: App, folder: Path) -> None:
    at = app.open(VARIATIONS.path, variations_prompt=TYPED, variations_seed="6")
    at.button(key="variations:begin").click().run()
    assert [one.prompt for one in app.asked()] == [drawn(folder, 6)[0]]
    app.finish()
    at = app.open(VARIATIONS.path, variations_prompt="__zebra__", variations_seed="6")
    assert at.button(key="variations:begin").disabled
    assert any("__zebra__ has no file" in one for one in captions(at))
