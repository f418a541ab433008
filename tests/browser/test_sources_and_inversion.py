"""Several source pictures in a sweep, and a source inverted, in a real browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import Server, Visitor, choose, settle
from tests.browser.measure import overflow
from tests.browser.test_film import plays_h264


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two pictures, and one that is none."""
    found = [tmp_path / name for name in ("red.png", "broken.png", "blue.png")]
    for path in (found[0], found[2]):
        Image.new("RGB", (96, 64), path.stem).save(path)
    found[1].write_bytes(b"no picture")
    return found


def test_several_pictures_are_the_columns_of_a_sweep(
    visitor: Visitor, server: Server, files: list[Path]
) -> None:
    page = visitor.open(
        "/Sweep?sweep_prompt=an+owl&sweep_num_inference_steps=2&sweep_scheduler=DDIM"
        "&sweep_y=Strength&sweep_y_values=0.5,1",
        width=1440,
    )
    choose(page, "Columns", "Source picture")
    expect(page.get_by_text("2: apple.png · face.png")).to_be_visible()
    page.locator("input[type=file]").first.set_input_files(files)
    expect(page.get_by_text("2: red.png · blue.png")).to_be_visible()
    expect(page.get_by_text("broken.png cannot be used")).to_be_visible()
    expect(page.locator("img[alt='red.png']")).to_be_visible()
    page.get_by_role("button", name="Run 4").click()
    expect(page.get_by_text("4 already stored")).to_be_visible()
    settle(page)
    made = {
        (one.settings.init_image, one.settings.strength) for one in server.store.search(limit=4)
    }
    assert len({source for source, _ in made}) == 2
    assert len(made) == 4
    again = visitor.open("/Sweep?" + page.url.partition("?")[2])
    expect(again.get_by_text("4 already stored")).to_be_visible()


def test_a_source_is_inverted_and_edited_on_a_phone(visitor: Visitor) -> None:
    page = visitor.open(
        "/Image_to_image?img2img_view=Inversion&img2img_prompt=a+red+apple"
        "&img2img_edit=a+green+apple&img2img_num_inference_steps=3&img2img_guidance_scale=3",
        width=400,
        height=800,
    )
    page.get_by_role("button", name="Invert").click()
    page.locator("img[alt^='Guidance 1: PSNR']").wait_for()
    expect(page.locator("img[alt='The edit, guidance 3']")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(1)
    settle(page)
    assert overflow(page) <= 0
    page.get_by_role("button", name="Film", exact=True).click()
    video = page.locator("video")
    video.wait_for()
    video.scroll_into_view_if_needed()  # a muted film plays only where it is seen
    settle(page)
    plays = plays_h264(page)
    assert plays or not os.environ.get("CI"), "CI brings a Chromium that plays H.264"
    if plays:
        page.wait_for_function("document.querySelector('video').currentTime > 0.1")
        seconds = float(video.evaluate("video => video.duration"))
        assert seconds >= 24 / 8, "8 frames a second"
    assert overflow(page) <= 0
