"""Image to image in a real browser: upload, crop preview, paste, strip, compare."""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import urljoin

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.diffusion.recipe.images import open_picture, prepare
from tests.browser.conftest import Server, Visitor, settle, wait_for_value, wait_until
from tests.browser.measure import overflow

QUICK = "img2img_num_inference_steps=4&img2img_guidance_scale=1&img2img_scheduler=DDIM"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Twice as wide as high: red on the left, blue on the right."""
    image = Image.new("RGB", (256, 128), "red")
    image.paste((0, 0, 255), (128, 0, 256, 128))
    path = tmp_path / "photo.png"
    image.save(path)
    return path


def preview(page: Page) -> np.ndarray:
    """The pixels of what the VAE gets, as the browser has them.

    Asked again where the server gave the address up for a newer picture in between.
    """
    image = page.locator("img[alt^='What the VAE gets']")
    expect(image).to_be_visible()
    found: list[bytes] = []

    def is_there() -> bool:
        settle(page)
        answer = page.request.get(urljoin(page.url, image.get_attribute("src")))
        if answer.ok:
            found.append(answer.body())
        return answer.ok

    wait_until(is_there, "the picture that the VAE gets")
    return np.asarray(Image.open(io.BytesIO(found[0])).convert("RGB"))


def test_an_upload_is_previewed_as_it_is_cropped(
    visitor: Visitor, server: Server, photo: Path
) -> None:
    page = visitor.open(f"/Image_to_image?img2img_from=Yours&img2img_prompt=an+owl&{QUICK}")
    page.locator("input[type=file]").first.set_input_files(photo)
    upload = open_picture(photo.read_bytes())
    assert np.array_equal(preview(page), prepare(upload, 128, 128, "crop"))
    moved = page.get_by_role("slider", name="Left to right")
    moved.focus()
    moved.press("Home")
    page.get_by_text("Encoded and decoded by the VAE").first.wait_for()
    wait_until(lambda: bool((preview(page)[:, :, 2] == 0).all()), "the left part, all red")
    page.get_by_role("radio", name="Pad", exact=True).click()
    wait_until(lambda: bool((preview(page)[0] == 255).all()), "white above")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Download PNG").wait_for()
    settle(page)
    made = server.store.search(limit=1)[0]
    source = server.store.inputs.read(made.settings.init_image)
    assert np.array_equal(source, prepare(upload, 128, 128, "pad"))
    expect(page.get_by_role("radio", name="Side by side")).to_be_visible()


def test_a_picture_from_the_clipboard(visitor: Visitor, photo: Path) -> None:
    page = visitor.open("/Image_to_image?img2img_from=Yours")
    page.get_by_role("button", name="Paste a picture").wait_for()
    page.evaluate(
        """async bytes => {
            const clipboard = new DataTransfer()
            clipboard.items.add(new File([new Uint8Array(bytes)], "x.png", {type: "image/png"}))
            document.dispatchEvent(
                new ClipboardEvent("paste", {clipboardData: clipboard, bubbles: true}))
        }""",
        list(photo.read_bytes()),
    )
    upload = open_picture(photo.read_bytes())
    assert np.array_equal(preview(page), prepare(upload, 128, 128, "crop"))


def test_pictures_stand_side_by_side_on_a_phone(visitor: Visitor) -> None:
    page = visitor.open(
        f"/Image_to_image?img2img_masked=true&img2img_prompt=an+owl&{QUICK}", width=400, height=800
    )
    rows = (
        (
            "What the VAE gets: 128 × 128",
            "The mask: white is inpainted",
            "Encoded and decoded by the VAE",
        ),
        ("Before", "Mask", "After"),
    )
    page.locator("img[alt^='Encoded and decoded by the VAE']").wait_for()
    page.get_by_role("button", name="Run").click()
    page.locator("img[alt='After']").wait_for()
    settle(page)
    for row in rows:
        boxes = [page.locator(f"img[alt^='{words}']").bounding_box() for words in row]
        tops = {round(box["y"]) for box in boxes if box is not None}
        assert len(tops) == 1, row
    assert overflow(page) <= 0


def test_a_strip_develops_and_is_compared(visitor: Visitor, server: Server) -> None:
    page = visitor.open(
        f"/Image_to_image?img2img_view=Strength+strip&img2img_strengths=0.25,0.5,1"
        f"&img2img_prompt=a+red+heart&img2img_sample=Face&{QUICK}"
    )
    page.get_by_role("button", name="Run 3 pictures").click()
    page.locator("img[alt='What strength 1 starts from']").wait_for()
    settle(page)
    for steps in ("1 of 4 steps", "2 of 4 steps", "4 of 4 steps"):
        expect(page.get_by_text(steps)).to_be_visible()
    page.get_by_role("button", name="0.5: done").click()
    expect(page.get_by_role("dialog").get_by_text("Denoising strength: 0.5")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog").get_by_text("Denoising strength: 1")).to_be_visible()
    page.keyboard.press("Escape")
    wait_for_value(
        lambda: {image.settings.strength for image in server.store.search(limit=3)},
        {0.25, 0.5, 1.0},
    )
    page.get_by_role("radio", name="Compare", exact=True).click()
    expect(page.get_by_role("radio", name="Difference")).to_be_visible()
    page.get_by_role("radio", name="Distances", exact=True).click()
    expect(page.locator(".js-plotly-plot")).to_have_count(3)
    settle(page)
    page.get_by_role("button", name="Open as a sweep").click()
    page.wait_for_url("**/Sweep*")
    expect(page.get_by_text("nothing to compute")).to_be_visible()
    again = visitor.open("/Sweep?" + page.url.partition("?")[2])
    expect(again.get_by_text("every cell starts from this source")).to_be_visible()
    expect(again.get_by_text("nothing to compute")).to_be_visible()
