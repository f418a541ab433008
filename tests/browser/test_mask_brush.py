"""The brush of Image to image in a real browser: a mask painted by hand is what is inpainted."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from core.diffusion.engine import Engine
from core.diffusion.models.load import LoadedModel
from tests.browser.conftest import Server, Visitor, settle, wait_for_value
from tests.browser.measure import overflow

PAGE = (
    "/Image_to_image?img2img_masked=true&img2img_mask_from=Brush&img2img_prompt=an+owl"
    "&img2img_num_inference_steps=4&img2img_guidance_scale=1&img2img_scheduler=DDIM"
)
CANVAS = re.compile("^Mask over the source")


def brush(page: Page) -> Locator:
    canvas = page.get_by_role("application", name=CANVAS)
    canvas.scroll_into_view_if_needed()
    expect(canvas).to_be_visible()
    return canvas


def stroke(page: Page, *points: tuple[float, float]) -> None:
    """Draw a line through points given as shares of the canvas."""
    box = brush(page).bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def painted(page: Page) -> np.ndarray:
    """Where the canvas is painted: bool (128, 128)."""
    alpha = brush(page).evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(0, 0, 128, 128).data]"
    )
    return np.array(alpha, np.uint8).reshape(128, 128, 4)[..., 3] >= 128


def share(page: Page, words: str) -> None:
    expect(page.get_by_text(f"{words} of the picture is inpainted")).to_be_visible()
    settle(page)


def test_what_is_painted_is_inpainted_and_the_rest_stays(
    visitor: Visitor, server: Server, model: LoadedModel
) -> None:
    page = visitor.open(PAGE)
    expect(page.get_by_text("there is none yet: paint over the picture")).to_be_visible()
    expect(page.get_by_role("button", name="Run")).to_be_disabled()
    page.get_by_label("Brush size in pixels").fill("40")
    stroke(page, (0.25, 0.25), (0.25, 0.75))
    wanted = painted(page)
    across = np.flatnonzero(wanted.any(axis=0))
    assert (across[0], across[-1]) == (12, 51), "a line of 40 pixels about a quarter of 128"
    share(page, f"{wanted.mean():.0%}")
    page.get_by_role("button", name="Run").click()
    page.locator("img[alt='After']").wait_for()
    settle(page)
    made = server.store.search(limit=1)[0]
    mask = server.store.inputs.read(made.settings.mask_image)
    assert np.array_equal(mask > 0, wanted)
    # The source through the VAE alone, with the same draw from its posterior.
    engine = Engine(model, inputs=server.store.inputs.read)
    before = engine.generate([replace(made.settings, strength=0.0)])[0].image
    after = Image.open(io.BytesIO(server.store.image_bytes(made.digest))).convert("RGB")
    changed = np.abs(np.asarray(after, dtype=int) - np.asarray(before, dtype=int)).max(axis=2)
    # Away from the seam; the decoder's norms and attention see the whole picture.
    assert np.median(changed[:, 80:]) <= 4
    assert np.median(changed[wanted]) > 10


def test_undo_erase_clear_and_the_keys(visitor: Visitor) -> None:
    page = visitor.open(PAGE)
    size = page.get_by_label("Brush size in pixels")
    size.fill("20")
    stroke(page, (0.5, 0.5))
    dot = painted(page)
    assert abs(dot.sum() - np.pi * 10**2) < 20
    page.keyboard.press("]")
    assert size.input_value() == "25"
    page.keyboard.press("[")
    page.keyboard.press("[")
    assert size.input_value() == "16"
    stroke(page, (0.1, 0.9), (0.9, 0.9))
    assert painted(page).sum() > dot.sum() + 1000
    page.keyboard.press("Control+z")
    assert np.array_equal(painted(page), dot)
    page.keyboard.press("Control+Shift+z")
    both = painted(page)
    assert both.sum() > dot.sum() + 1000
    page.get_by_role("button", name="Erase").click()
    stroke(page, (0.1, 0.9), (0.9, 0.9))
    assert np.array_equal(painted(page), dot)
    page.get_by_role("button", name="Clear").click()
    assert not painted(page).any()
    expect(page.get_by_text("there is none yet: paint over the picture")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    assert np.array_equal(painted(page), dot)
    share(page, f"{dot.mean():.0%}")


def test_a_mask_is_painted_with_the_keys_alone(visitor: Visitor, server: Server) -> None:
    page = visitor.open(PAGE)
    size = page.get_by_label("Brush size in pixels")
    size.focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
        if size.input_value() == "24":
            break
    page.keyboard.press("Tab")  # the last control before the canvas
    expect(page.get_by_role("application", name=CANVAS)).to_be_focused()
    ring = page.locator(".brush .ring")
    expect(ring).to_be_visible()
    canvas = page.get_by_role("application")
    expect(canvas).to_have_accessible_name(re.compile("Not painting, 50 % from the left, 50 %"))
    for _ in range(10):
        page.keyboard.press("ArrowLeft")  # 3 of 128 pixels each
    expect(canvas).to_have_accessible_name(re.compile("Not painting, 27 % from the left"))
    page.keyboard.press("Space")
    expect(canvas).to_have_accessible_name(re.compile("Painting, 27 %"))
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    expect(canvas).to_have_accessible_name(re.compile("Not painting, 73 % from the left"))
    wanted = painted(page)
    down, across = (np.flatnonzero(wanted.any(axis=side)) for side in (1, 0))
    assert (across[0], across[-1]) == (22, 105), "from 34 to 94, and half of 24 at both ends"
    assert (down[0], down[-1]) == (52, 76), "about 64, and one pixel down at the end"
    share(page, f"{wanted.mean():.0%}")
    page.keyboard.press("ArrowUp")
    assert np.array_equal(painted(page), wanted), "the brush is lifted"
    page.keyboard.press("Space")
    page.keyboard.press("Shift+Tab")  # the stroke ends where the canvas is left
    expect(canvas).to_have_accessible_name(re.compile("Not painting"))
    expect(ring).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    assert np.array_equal(painted(page), wanted)
    share(page, f"{wanted.mean():.0%}")
    page.get_by_role("button", name="Run").press("Enter")
    page.locator("img[alt='After']").wait_for()
    settle(page)
    made = server.store.search(limit=1)[0]
    assert np.array_equal(server.store.inputs.read(made.settings.mask_image) > 0, wanted)


@pytest.mark.parametrize("has_touch", [False, True], ids=["mouse", "finger"])
def test_it_outlives_reruns_and_another_theme_on_a_phone(
    visitor: Visitor, *, has_touch: bool
) -> None:
    page = visitor.open(PAGE, width=400, height=800, has_touch=has_touch)
    page.get_by_label("Brush size in pixels").fill("50")
    if has_touch:
        box = brush(page).bounding_box()
        assert box is not None
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    else:
        stroke(page, (0.5, 0.5))
    dot = painted(page)
    assert dot.any()
    share(page, f"{dot.mean():.0%}")
    assert overflow(page) <= 0
    page.emulate_media(color_scheme="dark")
    page.get_by_role("spinbutton", name="Mask blur").fill("2")
    page.keyboard.press("Tab")
    settle(page)
    assert np.array_equal(painted(page), dot), "a rerun leaves it alone"


def test_it_begins_from_an_uploaded_mask(visitor: Visitor, tmp_path: Path) -> None:
    half = Image.new("L", (128, 128), 0)
    half.paste(255, (0, 0, 64, 128))
    half.save(tmp_path / "half.png")
    page = visitor.open(PAGE.replace("=Brush", "=Upload"))
    page.locator("input[type=file]").last.set_input_files(tmp_path / "half.png")
    share(page, "50%")
    page.get_by_role("radio", name="Brush", exact=True).click()
    settle(page)
    wait_for_value(lambda: float(painted(page).mean()), 0.5)
    page.get_by_label("Brush size in pixels").fill("64")
    stroke(page, (0.75, 0.0), (0.75, 1.0))
    share(page, "100%")
    page.get_by_role("link", name="Schedulers").first.click()
    expect(page.get_by_role("heading", name="Schedulers", level=1)).to_be_visible()
    page.get_by_role("link", name="Image to image").first.click()
    wait_for_value(lambda: float(painted(page).mean()), 1.0)
