"""The home page: its three doors, what the model can draw, and where one left off."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from core.diffusion.engine import Engine
from core.diffusion.models.load import load_model
from core.output.texts.infotext import read_png
from tests.pages.conftest import App, messages, unescaped
from ui.catalog import GLOSSARY, LESSONS, STEPS
from ui.home.examples import COMPARE, EXAMPLES, LEARN, MAKE, Example
from ui.settings.prompt import limits_of

MOST_APART = 4
"""Of 255: the order of floating-point sums differs between machines."""


def said(app: App) -> str:
    at = app.open()
    assert messages(at) == []
    return unescaped(" ".join(one.value for one in (*at.caption, *at.markdown)))


def test_the_example_pictures_are_what_the_bundled_model_makes() -> None:
    """After a new training: `python -m training.results.home` makes them again."""
    model = load_model("bundled")
    made = Engine(model).generate([one.settings for one in EXAMPLES.values()])
    for example, generation in zip(EXAMPLES.values(), made, strict=True):
        stored = np.asarray(Image.open(example.path).convert("RGB"), dtype=int)
        again = np.asarray(generation.image.convert("RGB"), dtype=int)
        assert np.abs(stored - again).max() <= MOST_APART, example.name
        assert read_png(example.path.read_bytes()).settings == example.settings
        assert example.path.stat().st_size < 40_000


def test_each_door_shows_pictures_that_differ_in_what_it_says() -> None:
    assert len({one.settings.prompt for one in MAKE}) == len(MAKE)
    scales = [one.settings.guidance_scale for one in COMPARE]
    assert [float(one.caption) for one in COMPARE] == scales
    calls = [one.settings.snapshot for one in LEARN]
    assert [int(one.caption) for one in LEARN] == calls
    for some, name in ((COMPARE, "guidance_scale"), (LEARN, "snapshot")):
        one = {dataclasses.replace(example.settings, **{name: 1}) for example in some}
        assert len(one) == 1, "nothing else differs"


def test_three_doors_with_real_pictures(app: App) -> None:
    at = app.open()
    headings = [one.value.removeprefix(":material/") for one in at.subheader]
    doors = ["photo_camera: Make a picture", "grid_on: Compare", "school: Learn"]
    assert headings[: len(doors)] == doors
    pictures = at.get("image")
    assert len(pictures) == len(EXAMPLES)
    shown = " ".join(str(image.proto) for image in pictures)
    assert all(f"{one.settings.prompt}: {one.caption}" in shown for one in EXAMPLES.values())


@pytest.mark.parametrize("example", MAKE, ids=lambda one: one.name)
def test_a_first_picture_is_a_click_away(app: App, example: Example) -> None:
    at = app.open()
    at.button(key=f"home:make:{example.name}").click().run()
    app.finish()
    (asked,) = app.asked()
    assert asked.prompt == example.settings.prompt
    assert at.text_area(key="generate_prompt").value == example.settings.prompt


def test_the_vocabulary_and_the_limits_stand_where_the_prompt_is_typed(app: App) -> None:
    words = said(app)
    assert limits_of(app.model) in words
    known = app.model.vocabulary
    assert known is not None
    assert f"one of {len(known.objects)} objects" in words
    at = app.open()
    assert ", ".join(known.objects) in [one.value for one in at.text]
    at.text_input(key="home:prompt").set_value("a zyzzyva").run()
    (popover,) = [one for one in at.get("popover") if "zyzzyva" in one.proto.popover.label]
    assert popover.proto.popover.label.startswith("Unknown")


def test_a_model_of_unknown_words_has_no_limits_to_say(app: App) -> None:
    assert limits_of(dataclasses.replace(app.model, vocabulary=None)) == ""


def test_the_door_to_learning_leads_to_the_pages_that_teach(app: App) -> None:
    labels = [link.label for link in app.open().main.page_link]
    assert labels[:3] == [LESSONS.title, STEPS.title, GLOSSARY.title]


def test_where_one_left_off(app: App) -> None:
    at = app.open()
    assert "Where you left off" not in [one.value for one in at.subheader]
    at.button(key="home:sweep:seed").click().run()
    app.finish()
    owner = app.newest_job().owner
    at = app.turn_to(at, "streamlit_app.py")
    (left,) = [one for one in at.button if str(one.key).startswith("home:left:")]
    assert "Seed (4)" in unescaped(left.label)
    left.click().run()
    assert at.title[0].value == "Sweep"
    assert at.session_state["sweep_x"] == "seed"
    at = app.turn_to(at, "streamlit_app.py")
    at.button(key="home:make:owl").click().run()
    app.finish()
    assert app.newest_job().owner == owner
    at = app.turn_to(at, "streamlit_app.py")
    left = at.button(key=f"home:left:{app.newest_job().id}")
    assert unescaped(left.label) == "a detailed owl on purple"
    left.click().run()
    assert at.title[0].value == "Generate"
    assert at.text_area(key="generate_prompt").value == "a detailed owl on purple"
