"""Help texts and captions link to the words of the glossary, by its table."""

from __future__ import annotations

import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.diffusion.recipe.guidance.methods import METHODS
from core.diffusion.recipe.settings_table import SETTINGS
from core.glossary.glossary import GLOSSARY, words_of_figure, words_of_setting
from tests.pages.conftest import App
from ui.help import help_of, links_of_figure


@pytest.mark.parametrize("name", SETTINGS)
def test_the_help_of_every_setting_links_to_its_words(name: str) -> None:
    text = help_of(SETTINGS[name])
    assert text.startswith(SETTINGS[name].help)
    linked = re.findall(r"\(Glossary\?term=([a-z0-9-]+)\)", text)
    assert linked == [term.key for term in words_of_setting(name)] != []
    assert set(linked) <= set(GLOSSARY)


def _form() -> None:
    from core.diffusion.models.load import describe
    from ui.settings.controls import settings_form
    from ui.settings.mask_controls import mask_controls
    from ui.settings.source_controls import strength_controls

    settings_form(describe("bundled"), "gen")
    strength_controls("gen", has_posterior=True)
    mask_controls("gen")


def test_every_control_of_a_setting_has_the_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.settings.file_controls.list_loras", lambda: ["ink"])
    monkeypatch.setattr("ui.settings.file_controls.list_vaes", lambda: ["sharp"])
    at = AppTest.from_function(_form, default_timeout=60).run()
    texts: dict[str, str] = {}
    said = " ".join(one.value for one in at.caption)

    def read() -> None:
        for kind in (
            *("text_input", "text_area", "number_input", "selectbox", "toggle", "slider"),
            "button_group",
        ):
            for one in at.get(kind):
                key = str(getattr(one, "key", ""))
                if key.removeprefix("gen_") in SETTINGS:
                    texts[key.removeprefix("gen_")] = _help(one)

    for scheduler in ("DPM++ 2M", "DDIM", "Euler"):
        at.selectbox(key="gen_scheduler").set_value(scheduler).run()
        read()
    for method in METHODS:
        at.selectbox(key="gen_guidance_method").set_value(method).run()
        read()
    below = {"exact_steps", "match_noise"}  # explained in the form, not in a tooltip
    from_sidebar = {"model"}
    assert set(texts) | from_sidebar >= set(SETTINGS) - {"prompt", "init_image", "mask_image"}
    for name, text in texts.items():
        if name in from_sidebar:
            continue
        where = said if name in below else text
        for term in words_of_setting(name):
            assert f"(Glossary?term={term.key})" in where, name


def _help(one: Any) -> str:
    return str(one.proto.help)


def test_figures_and_measures_link_to_their_words(app: App) -> None:
    at = app.open("pages/Schedulers.py")
    captions = " ".join(one.value for one in at.caption)
    for name in ("places", "order"):
        assert links_of_figure(name) in captions
        for term in words_of_figure(name):
            assert f"(Glossary?term={term.key})" in captions
