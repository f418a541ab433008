"""Variations in a real browser: a child becomes the parent, the tree leads back, a walk plays."""

from __future__ import annotations

import io
import re
import zipfile

from PIL import Image
from playwright.sync_api import Page, expect

from core.diffusion.recipe.variations import parent_of
from core.diffusion.settings import GenerationSettings
from core.runs.store.store import StoredImage
from tests.browser.conftest import Server, Visitor, settle, wait_until

SOURCE = GenerationSettings(
    prompt="a red apple on a blue background, flat style",
    seed=31,
    num_inference_steps=2,
    guidance_scale=1.0,
    scheduler="DDIM",
)


def made(visitor: Visitor, server: Server, settings: GenerationSettings) -> StoredImage:
    """A stored picture of the bundled model; the first page starts the worker."""
    visitor.open("/Gallery")
    job = server.queue.submit([settings], owner="test", token=repr(settings))

    def image() -> StoredImage | None:
        (cell,) = server.queue.cells(job)
        return server.store.get(cell.digest or "")

    wait_until(image, "the source")
    found = image()
    assert found is not None
    return found


def crumbs(page: Page, digest: str) -> str:
    return f".st-key-variations-to-{digest} button"


def test_a_child_becomes_the_parent_and_the_tree_leads_back(
    visitor: Visitor, server: Server
) -> None:
    source = made(visitor, server, SOURCE)
    page = visitor.open(f"/Variations?variations_images={source.digest}&variations_children=2")
    page.get_by_role("button", name="Make 2 children").click()
    expect(page.locator(".cell[data-state=done]")).to_have_count(2)
    settle(page)
    page.locator(".cell").nth(1).click()
    page.get_by_role("button", name="Make parent").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="1002 · 0.2")).to_be_disabled()
    page.get_by_role("button", name="Make 2 children").click()
    expect(page.locator(".cell[data-state=done]")).to_have_count(2)
    child, other = (parent_of(one) for one in server.asked())
    assert child == other
    assert child is not None
    assert parent_of(child) == source.settings

    page.get_by_role("radio", name="Tree").click()
    chart = page.locator(".js-plotly-plot")
    expect(chart.locator("image")).to_have_count(5)
    page.get_by_role("button", name="Seed 31").wait_for()
    root = chart.locator(".points path").first
    root.click(force=True)
    expect(page.get_by_role("button", name="Seed 31")).to_be_disabled()
    page.reload()
    settle(page)
    expect(page.get_by_role("button", name="Seed 31")).to_be_disabled()


def test_a_walk_plays_and_is_exported(visitor: Visitor, server: Server) -> None:
    source = made(visitor, server, SOURCE)
    page = visitor.open(
        f"/Variations?variations_images={source.digest}&variations_view=Walk&variations_frames=4"
    )
    page.get_by_role("button", name="Make 3 frames").click()
    page.get_by_role("button", name="Play").wait_for()
    settle(page)
    picture = page.locator(".looking img.a")
    slider = page.get_by_role("slider", name="Variation strength")
    seen = {picture.get_attribute("src")}
    slider.press("ArrowRight")
    seen.add(picture.get_attribute("src"))
    assert len(seen) == 2, "the slider steps through the frames"
    page.get_by_role("button", name="Play").click()

    def another() -> bool:
        seen.add(picture.get_attribute("src"))
        page.wait_for_timeout(20)
        return len(seen) == 4

    wait_until(another, "every frame of the film")
    page.get_by_role("button", name="Pause").click()
    value = slider.input_value()
    page.wait_for_timeout(500)
    assert slider.input_value() == value, "it stands still"

    with page.expect_download() as waiting:
        page.get_by_role("button", name="Frames (ZIP)").click()
    archive = zipfile.ZipFile(waiting.value.path())
    names = archive.namelist()
    assert names == [f"frame-{number:04}.png" for number in (1, 2, 3, 4)]
    assert archive.read(names[0]) == server.store.image_bytes(source.digest), "byte for byte"
    page.get_by_test_id("stButtonGroup").get_by_text("GIF", exact=True).click()
    button = page.get_by_role("button", name=re.compile("Download GIF, .* MB"))
    button.wait_for()
    settle(page)  # a click while the script runs asks for the file of the run before
    with page.expect_download() as waiting:
        button.click()
    film = Image.open(waiting.value.path())
    assert getattr(film, "n_frames", 0) == 6, "four there, two on the way back"
    assert film.size == (128, 128)
    buffer = io.BytesIO()
    film.save(buffer, "PNG")
    assert buffer.getbuffer().nbytes > 1000
