"""Step by step in a real browser: the sliders, both futures, the maps, the notebook."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import ARTEFACTS, Visitor, settle, wait_until
from tests.browser.measure import overflow

PICTURE = "[data-testid=stImage] img"


def link(**parameters: object) -> str:
    quick = {"num_inference_steps": 6, "scheduler": "DDIM"} | parameters
    return "/Step_by_step?" + urlencode({f"steps_{k}": v for k, v in quick.items()})


def opened(visitor: Visitor, **parameters: object) -> Page:
    page = visitor.open(link(**parameters))
    page.get_by_role("radiogroup").first.wait_for()
    return page


def slider(page: Page, label: str) -> Locator:
    return page.get_by_test_id("stSlider").filter(has_text=label).get_by_role("slider")


def pixels(page: Page, title: str) -> str:
    """What the picture of that name shows, as a data: address, whatever its own address is."""
    return page.get_by_role("img", name=title, exact=True).first.evaluate(
        """async image => {
            await image.decode();
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext("2d").drawImage(image, 0, 0);
            return canvas.toDataURL();
        }"""
    )


def test_the_sliders_show_another_call_and_the_next_x0_of_another_guidance(
    visitor: Visitor,
) -> None:
    page = opened(visitor, call=3)
    page.get_by_text("4 · Guidance is a vector").wait_for()
    timestep = page.get_by_test_id("stMetricValue").first
    before = timestep.inner_text()
    slider(page, "UNet call").focus()
    page.keyboard.press("ArrowRight")
    expect(timestep).not_to_have_text(before)
    page.wait_for_url("**steps_call=4**")

    first = pixels(page, "Predicted x0 at scale 5")
    slider(page, "Guidance scale").focus()
    page.keyboard.press("PageUp")
    page.get_by_text("They differ by").wait_for()
    page.wait_for_url("**steps_scale=*")
    settle(page)
    scale = float(slider(page, "Guidance scale").input_value())
    assert scale > 5
    assert pixels(page, f"Predicted x0 at scale {scale:g}") != first
    assert pixels(page, "The run's own, at 5") == first
    assert page.locator(".js-plotly-plot").count() == 1


def test_both_futures_stand_side_by_side(visitor: Visitor) -> None:
    page = opened(visitor, view="Changed run", prompt="a red apple")
    page.get_by_text("Nothing has changed yet").wait_for()
    page.get_by_role("button", name="Ideas").click()
    page.get_by_text("Another prompt from here").click()
    page.get_by_text("Changed from call 2 on").wait_for()
    settle(page)
    before = pixels(page, "The original run")
    after = pixels(page, "The changed run")
    assert before != after
    expect(page.get_by_label("Prompt from there on")).to_have_value("a yellow apple")
    one, other = (
        page.get_by_role("img", name=name).bounding_box()
        for name in ("The original run", "The changed run")
    )
    assert one is not None
    assert other is not None
    assert abs(one["y"] - other["y"]) < 2, "side by side"
    assert other["x"] > one["x"] + one["width"]

    slider(page, "From UNet call").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.get_by_text("Changed from call 5 on").wait_for()
    settle(page)
    later = pixels(page, "The changed run")
    assert later != after
    again = visitor.open(page.url.removeprefix(visitor.url))
    again.get_by_text("Changed from call 5 on").wait_for()
    settle(again)
    assert pixels(again, "The changed run") == later, "the address says it all"


def test_maps_come_when_they_are_asked_for(visitor: Visitor) -> None:
    page = opened(visitor, view="Attention", prompt="a red apple")
    page.get_by_role("button", name="Compute the maps").click()
    page.get_by_role("img", name="Attention to apple").wait_for()
    settle(page)
    assert pixels(page, "Attention to red") != pixels(page, "Attention to a")


def test_the_effect_of_a_word_is_its_own_picture(visitor: Visitor) -> None:
    page = opened(visitor, view="Attention", prompt="a red apple on a blue background")
    page.get_by_role("button", name="Compute the effects").click()
    page.get_by_role("img", name="What blue changes in the picture").wait_for()
    settle(page)
    without = page.get_by_role("img", name="a red apple on a background", exact=True)
    assert without.count() == 1
    assert pixels(page, "What blue changes in the picture") != pixels(
        page, "What red changes in the picture"
    )
    assert overflow(page) <= 0


def test_the_notebook_can_be_taken_home(visitor: Visitor, tmp_path: Path) -> None:
    page = opened(visitor, prompt="an owl & a cat", seed=11)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Notebook").click()
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    assert file.suffix == ".ipynb"
    book = json.loads(file.read_text(encoding="utf-8"))
    code = "\n".join("".join(cell["source"]) for cell in book["cells"])
    assert "'an owl & a cat'" in code
    assert "manual_seed(11)" in code


def test_every_mistake_has_its_two_pictures(visitor: Visitor) -> None:
    page = opened(visitor, view="Mistakes", num_inference_steps=3)
    wait_until(lambda: page.get_by_role("img", name="Wrong").count() == 6, "the mistakes")
    settle(page)
    assert page.get_by_role("img", name="Right").count() == 6


VIEWS = {
    "The run": "6 · The decoder makes the picture",
    "Changed run": "Changed from call 3 on",
    "Attention": "Compute the maps",
    "Mistakes": "They differ by",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_it_fits_a_phone(visitor: Visitor, view: str, scheme: str) -> None:
    path = link(
        view=view,
        num_inference_steps=3,
        **{"from": 3, "other_prompt": "an owl"},
    )
    page = visitor.open(path, width=400, height=850, color_scheme=scheme)
    page.get_by_text(VIEWS[view]).last.wait_for()
    if view == "Mistakes":
        wait_until(lambda: page.get_by_role("img", name="Wrong").count() == 6, "the mistakes")
    settle(page)
    name = view.lower().replace(" ", "-")
    page.screenshot(path=str(ARTEFACTS / f"steps-{name}-phone-{scheme}.png"), full_page=True)
    assert overflow(page) <= 0
    for picture in page.locator(PICTURE).all():
        box = picture.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 400


def test_code_is_read_without_scrolling_sideways(visitor: Visitor) -> None:
    page = opened(visitor)  # 1280 pixels wide
    page.get_by_text("6 · The decoder makes the picture").wait_for()
    settle(page)
    cut = page.locator("[data-testid=stCode] pre").evaluate_all(
        "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.innerText)"
    )
    assert cut == []
