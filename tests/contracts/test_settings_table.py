"""Every row of SETTINGS over everything that is made from it, so that none forgets a setting."""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.commands import generate
from core.diffusion.models.load import describe
from core.diffusion.recipe.guidance.methods import METHODS
from core.diffusion.recipe.setting import Setting
from core.diffusion.recipe.settings_table import FROM_MODEL, SETTINGS
from core.diffusion.settings import GenerationSettings, SettingsError
from core.exports.webpage import write_html
from core.output.numbers.cell_numbers import ReportCell
from core.output.programs.snippet import snippet
from core.output.texts.a1111.parameters import a1111_text, parse_a1111
from core.output.texts.legend import legend, settings_lines
from core.runs.store import Store
from core.sweeps.axes import AXES
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import Sweep
from tests.needs import NEEDS
from ui.catalog import IMAGE_TO_IMAGE
from ui.links import put_settings, settings_parameters, source_parameters
from ui.views import FIELD_NAMES

PREFIX = IMAGE_TO_IMAGE.prefix
OTHER_DIGEST = "ab" * 32
PLAIN = GenerationSettings(prompt="a red apple", num_inference_steps=8)

# Values for settings whose kind gives none.
VALUES: Mapping[str, Any] = {
    "prompt": "an owl",
    "negative_prompt": "blue",
    "prompt_2": "a robot",
    "model": "another",
    "loras": "ink:0.5",
    "vae": "soft.safetensors",
    "scheduler": "Heun",
    "width": 64,
    "height": 64,
    "variation_region": "0,0,32,32",
    "variation_chain": "slerp:7:0.2",
    "init_image": OTHER_DIGEST,
    "mask_image": OTHER_DIGEST,
    "strength": 0.25,
    "noise_multiplier": 1.05,
    "guidance_method": "APG",
    "guidance_end": 0.5,
}
WRONG: Mapping[str, Any] = {
    "model": " ",
    "loras": "ink:much",
    "vae": "../soft.safetensors",
    "variation_region": "all",
    "variation_chain": "slerp",
    "init_image": "cat.png",
    "mask_image": "cat.png",
}
NOT_SWEPT = {"height", "prompt_2", "variation_region", "variation_channel", "variation_chain"} | {
    name for name, row in SETTINGS.items() if row.group == "source" and not row.swept
}
"""Settings without an axis: the height goes with the width."""

every_row = pytest.mark.parametrize("row", SETTINGS.values(), ids=SETTINGS)


def base_for(row: Setting) -> GenerationSettings:
    """Settings in which a value of this one has an effect."""
    base = replace(PLAIN, **NEEDS.get(row.name, {}))
    return replace(base, variation_region="0,0,8,8") if row.name == "variation_region" else base


def value_for(row: Setting) -> Any:
    """A value that is valid and not the default."""
    if row.name in VALUES:
        return VALUES[row.name]
    if row.kind is bool:
        return not row.default
    if row.choices:
        return next(choice for choice in row.choices if choice != row.default)
    assert row.bounds is not None, f"give {row.name} a value in VALUES"
    return row.kind(min(row.bounds[1], 5)) if row.kind is int else row.bounds[1] / 2


def changed(row: Setting) -> GenerationSettings:
    """`base_for` with the value."""
    return replace(base_for(row), **{row.name: value_for(row)})


def test_every_field_has_a_row_with_its_default_and_every_row_a_field() -> None:
    assert {field.name: field.default for field in fields(GenerationSettings)} == {
        name: row.default for name, row in SETTINGS.items()
    }
    labels = [row.label for row in SETTINGS.values()]
    assert len(set(labels)) == len(labels)
    assert all(row.help.endswith(".") for row in SETTINGS.values())


@every_row
def test_it_has_an_effect_where_the_row_says_so(row: Setting) -> None:
    with_value, without = changed(row), base_for(row)
    assert row.matters(with_value), "its value has an effect"
    if row.name != "model":  # the fingerprint stands for it
        assert with_value.digest("m") != without.digest("m")
    unguided = replace(PLAIN, guidance_scale=1.0)
    alone = replace(unguided, **{row.name: value_for(row)})
    if not row.matters(alone):
        assert alone.digest("m") == unguided.digest("m")


@every_row
def test_a_bad_value_is_found_and_a_good_one_is_not(row: Setting) -> None:
    assert changed(row).validate() == []
    if row.kind is bool:
        return
    wrong: Any = "\x00" if row.is_prompt else WRONG.get(row.name, "none of them")
    if row.bounds is not None:
        wrong = row.kind(2 * row.bounds[1] + 8)
    problems = replace(base_for(row), **{row.name: wrong}).validate()
    assert row.name in [problem.field for problem in problems]


@every_row
def test_it_is_read_from_a_dict_as_its_own_kind_alone(row: Setting) -> None:
    value = value_for(row)
    read = GenerationSettings.from_dict({row.name: value})
    assert getattr(read, row.name) == value
    assert type(getattr(read, row.name)) is row.kind
    with pytest.raises(SettingsError, match=row.name):
        GenerationSettings.from_dict({row.name: 1 if row.kind in (str, bool) else "1"})


@every_row
def test_the_address_takes_its_value(row: Setting) -> None:
    parameters = {
        one.field: one
        for one in (*settings_parameters(["bundled"], ["DDIM", "Heun"]), *source_parameters())
    }
    value = "bundled" if row.name == "model" else value_for(row)
    text = put_settings(PREFIX, {row.name: value})[f"{PREFIX}_{row.name}"]
    assert parameters[row.name].problem(text) == ""
    if row.bounds is not None:
        assert parameters[row.name].problem(str(math.ceil(row.bounds[1]) + 1)) != ""


@every_row
def test_it_has_one_label_and_is_listed_where_it_has_an_effect(row: Setting) -> None:
    assert FIELD_NAMES[row.name] == row.label
    own = AXES.get(row.name)
    assert own is None or own.label == row.label
    lines = dict(settings_lines(changed(row)))
    assert lines[row.label] == row.told(value_for(row))
    assert dict(legend(Sweep(base=changed(row))))[row.label] == lines[row.label]
    unguided = replace(PLAIN, guidance_scale=1.0)
    listed = {label for label, _ in settings_lines(unguided)}
    assert (row.label in listed) <= (row.is_told or row.matters(unguided))


@every_row
def test_the_offline_page_lists_it_where_it_has_an_effect(row: Setting) -> None:
    def listed(settings: GenerationSettings) -> dict[str, str]:
        cell = ReportCell(x=0, y=0, z=0, digest="", settings=settings, image=None)
        page = write_html(Sweep(base=settings), [cell]).decode()
        found = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', page, re.S)
        assert found is not None
        return dict(json.loads(found[1])["cells"]["0-0-0"]["settings"])

    assert listed(changed(row))[row.label] == row.told(value_for(row))
    assert (row.label in listed(PLAIN)) <= (row.is_told or row.matters(PLAIN))


@every_row
def test_the_png_text_holds_it(row: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters, vaes = "core.output.texts.a1111.parameters", ["soft.safetensors"]
    monkeypatch.setattr(f"{parameters}.list_loras", lambda: ["ink"])
    monkeypatch.setattr(f"{parameters}.list_vaes", lambda: vaes)
    parsed = parse_a1111(a1111_text(changed(row), "another", "0123456789"))
    assert parsed is not None
    if row.name == "model":  # another machine's name of a model is said, not taken
        assert any("another" in note for note in parsed.notes)
        return
    assert parsed.values[row.name] == value_for(row)
    assert not any("Not supported here" in note for note in parsed.notes)


@every_row
def test_the_command_line_takes_it(row: Setting) -> None:
    parser = argparse.ArgumentParser()
    generate.add_to(parser.add_subparsers())
    value = value_for(row)
    shown = str(value).lower() if row.kind is bool else str(value)
    words = ["generate", "--prompt", "x", "--out", "a.png", f"--{row.name.replace('_', '-')}"]
    options = parser.parse_args([*words, shown])
    assert getattr(options, row.name) == value
    given = {row.name: value}
    assert getattr(generate.complete(given, describe("bundled")), row.name) == value


@every_row
def test_it_is_an_axis_or_is_known_not_to_be(row: Setting) -> None:
    own = [axis for axis in AXES.values() if axis.field == row.name]
    assert bool(own) != (row.name in NOT_SWEPT)
    for axis in own:
        words = {"prompt": "a red apple", "negative_prompt": "blue, flat style"}
        base = replace(base_for(row), loras="ink:0.25", **words)
        first, *others = parse_axis(axis.name, axis.examples).values
        values = [axis.apply(base, value, first) for value in (first, *others)]
        assert all(getattr(one, row.name) is not None for one in values)
        assert len({getattr(one, row.name) for one in values}) == len(values)
        bounds = axis.bounds
        assert bounds is None or f"From {bounds[0]:g} to {bounds[1]:.10g}" in axis.about()


@every_row
def test_the_program_changes_with_it(row: Setting) -> None:
    if row.name in ("model", "loras", "vae"):
        return  # of these it is given files
    info = describe("bundled")
    before, after = (
        snippet(replace(one, model="bundled"), info.folder, info)
        for one in (base_for(row), changed(row))
    )
    assert before != after


def _form() -> None:
    from core.diffusion.models.load import describe
    from ui.settings.controls import settings_form
    from ui.settings.mask_controls import mask_controls
    from ui.settings.source_controls import strength_controls

    settings_form(describe("bundled"), "gen")
    strength_controls("gen", has_posterior=True)
    mask_controls("gen")


def test_every_setting_has_a_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.settings.file_controls.list_loras", lambda: ["ink"])
    monkeypatch.setattr("ui.settings.file_controls.list_vaes", lambda: ["soft.safetensors"])
    at = AppTest.from_function(_form, default_timeout=60).run()
    assert not at.exception
    elsewhere = {"prompt", "init_image", "mask_image"}  # the page's own box; chosen as pictures
    drawn = {name for name in SETTINGS if f"gen_{name}" in at.session_state}
    info = describe("bundled")
    for name in FROM_MODEL:
        assert at.session_state[f"gen_{name}"] == getattr(info, f"default_{name}")
    for scheduler in ("DDIM", "Euler"):  # between them they take what the first does not
        at.selectbox(key="gen_scheduler").set_value(scheduler).run()
        drawn |= {name for name in SETTINGS if f"gen_{name}" in at.session_state}
    for method in METHODS:
        at.selectbox(key="gen_guidance_method").set_value(method).run()
        drawn |= {name for name in SETTINGS if f"gen_{name}" in at.session_state}
    assert drawn == set(SETTINGS) - elsewhere


def _form_of_lcm() -> None:
    from dataclasses import replace

    from core.diffusion.models.load import describe
    from ui.settings.controls import settings_form

    settings_form(replace(describe("bundled"), family_name="LCM of SD 1.x"), "gen")


def test_a_model_that_guides_itself_is_offered_no_other_guidance() -> None:
    at = AppTest.from_function(_form_of_lcm, default_timeout=60).run()
    assert not at.exception
    drawn = {name for name in SETTINGS if f"gen_{name}" in at.session_state}
    assert drawn & {name for name, row in SETTINGS.items() if row.group == "guidance"} == {
        "guidance_scale"
    }
    assert any("takes the guidance scale as an input" in one.value for one in at.caption)


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if guidance_rescale had once been called cfg_rescale."""
    row = replace(SETTINGS["guidance_rescale"], earlier=("cfg_rescale",))
    monkeypatch.setitem(SETTINGS, row.name, row)  # type: ignore[arg-type]


@pytest.mark.usefixtures("renamed")
def test_an_earlier_name_is_read_everywhere(tmp_path: Path) -> None:
    read = GenerationSettings.from_dict({"cfg_rescale": 0.5})
    assert read.guidance_rescale == 0.5
    both = GenerationSettings.from_dict({"cfg_rescale": 0.5, "guidance_rescale": 0.25})
    assert both.guidance_rescale == 0.25, "today's name is the later word"
    with pytest.raises(SettingsError, match="cfg_rescale"):
        GenerationSettings.from_dict({"cfg_rescale": "much"})
    sweep = Sweep.from_dict({"base": {}, "x": {"axis": "cfg_rescale", "values": "0, 0.5"}})
    assert sweep.x is not None
    assert sweep.x.name == "guidance_rescale"
    parser = argparse.ArgumentParser()
    generate.add_to(parser.add_subparsers())
    options = parser.parse_args(
        ["generate", "--prompt", "x", "--out", "a.png", "--cfg-rescale", "0.5"]
    )
    assert options.guidance_rescale == 0.5
    assert generate.complete({"cfg_rescale": 0.5}, describe("bundled")).guidance_rescale == 0.5


@pytest.mark.usefixtures("renamed")
def test_an_old_store_with_an_earlier_name_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(Path(__file__).parents[1] / "stores" / "0.1", folder)
    written = {image.digest: image.settings for image in Store(folder).search(limit=100)}
    with closing(sqlite3.connect(folder / "lightbox.sqlite3")) as connection, connection:
        connection.execute(
            "UPDATE images SET settings = replace(settings, 'guidance_rescale', 'cfg_rescale')"
        )
    found = {image.digest: image.settings for image in Store(folder).search(limit=100)}
    assert found == written
    assert len(found) == 10


def _checked_address() -> None:
    import streamlit as st

    from ui.links import check_address, settings_parameters

    check_address("gen", settings_parameters(["bundled"], ["DDIM"]))
    st.number_input("Rescale", 0.0, 1.0, key="gen_guidance_rescale", bind="query-params")


@pytest.mark.usefixtures("renamed")
def test_a_link_with_an_earlier_name_is_read() -> None:
    at = AppTest.from_function(_checked_address, default_timeout=60)
    at.query_params["gen_cfg_rescale"] = "0.5"
    at.run()
    assert not at.warning
    assert at.number_input[0].value == 0.5
