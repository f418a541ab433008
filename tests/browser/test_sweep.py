"""Sweeps in a real browser: a grid develops, is compared, extended, exported and restored."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from core.output.sheet.sheet import read_sweep
from tests.browser.conftest import ARTEFACTS, Server, Visitor, choose, settle, wait_until
from tests.browser.measure import overflow

SMALL = {"width": 64, "height": 64, "prompt": "a red apple", "seed": 3}
THREE_BY_THREE = {
    **SMALL,
    "num_inference_steps": 40,
    "x": "Guidance scale",
    "x_values": "1, 3, 6",
    "y": "Seed",
    "y_values": "1, 2, 3",
}
TWO_BY_TWO = {
    **SMALL,
    "num_inference_steps": 3,
    "x": "Guidance scale",
    "x_values": "2, 5",
    "y": "Seed",
    "y_values": "4, 5",
}
FORMATS = ["PNG", "JPEG", "WebP", "PDF", "Web page", "CSV", "Cells (ZIP)"]


def link(**parameters: object) -> str:
    return "/Sweep?" + urlencode({f"sweep_{k}": v for k, v in parameters.items()})


def cells(page: Page, state: str = "") -> Locator:
    return page.locator(f".cell[data-state={state}]" if state else ".cell")


def run(page: Page) -> None:
    page.get_by_role("button", name="Run").click()


def unfold(page: Page) -> None:
    """Open the controls, which a run has folded above the grid."""
    page.locator("[data-testid=stExpander] summary").first.click()
    page.get_by_label("Values of columns").wait_for()


def finish(page: Page, count: int) -> None:
    expect(cells(page, "done")).to_have_count(count)
    settle(page)


def show(page: Page, view: str) -> None:
    page.get_by_test_id("stMain").get_by_role("radio", name=view, exact=True).click()
    settle(page)


def download(page: Page, title: str, folder: Path) -> Path:
    with page.expect_download() as found:
        page.get_by_test_id("stMain").get_by_role("button", name=title, exact=True).click()
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


@pytest.fixture
def ready(visitor: Visitor) -> Page:
    """The page with a finished sweep of 2 x 2."""
    page = visitor.open(link(**TWO_BY_TWO))
    expect(cells(page)).to_have_count(4)
    if cells(page, "missing").count():
        run(page)
    finish(page, 4)
    return page


def test_a_grid_develops_together_and_grows(visitor: Visitor, server: Server) -> None:
    page = visitor.open(link(**THREE_BY_THREE))
    expect(cells(page, "missing")).to_have_count(9)
    run(page)
    previews = page.locator(".cell img[src^='data:image/png']")
    expect(previews.nth(1)).to_be_visible()
    expect(previews.first).not_to_have_attribute("src", str(previews.first.get_attribute("src")))
    finish(page, 9)
    assert len(server.asked()) == 9

    unfold(page)
    page.get_by_label("Values of columns").fill("1, 3, 6, 9")
    expect(cells(page, "missing")).to_have_count(3)
    page.get_by_label("Values of rows").fill("1, 2, 3, 4")
    expect(cells(page, "missing")).to_have_count(7)
    run(page)
    finish(page, 16)
    assert len(server.asked()) == 7, "only the new column and the new row"

    page.reload()
    finish(page, 16)


def test_ctrl_enter_takes_what_was_just_typed(ready: Page, server: Server) -> None:
    prompt = ready.get_by_label("Prompt", exact=True)
    prompt.fill("a blue owl")
    prompt.press("Control+Enter")
    wait_until(lambda: server.asked()[0].prompt == "a blue owl", "the owl")
    finish(ready, 4)
    assert len(server.asked()) == 4


def test_a_preset_keeps_the_seed_that_it_drew(visitor: Visitor) -> None:
    page = visitor.open(link(**{**SMALL, "seed": -1, "num_inference_steps": 2}))
    page.get_by_role("button", name="Guidance", exact=False).first.click()
    finish(page, 5)
    assert "sweep_seed=-1" not in page.url
    page.reload()
    finish(page, 5)


def test_stopping_keeps_the_page_alive(visitor: Visitor, server: Server) -> None:
    page = visitor.open(link(**{**THREE_BY_THREE, "num_inference_steps": 300, "seed": 8}))
    run(page)
    page.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    page.get_by_text("Resume computes only the others").wait_for()
    wait_until(lambda: server.newest_job().state == "cancelled", "the job to stop")
    expect(page.get_by_role("button", name="Resume 9 cells")).to_be_enabled()
    page.get_by_text("Stopped at step").first.wait_for()
    page.screenshot(path=ARTEFACTS / "sweep-stopped.png")


def test_a_cell_opens_and_goes_to_generate(ready: Page) -> None:
    cells(ready).nth(3).focus()
    ready.keyboard.press("Enter")
    dialog = ready.get_by_role("dialog")
    expect(dialog.get_by_text("Guidance scale 5")).to_be_visible()
    dialog.get_by_role("button", name="Open in Generate").click()
    expect(ready.get_by_label("Seed", exact=True)).to_have_value("5")
    ready.get_by_role("button", name="Download PNG").wait_for()


def test_two_cells_are_compared(ready: Page) -> None:
    show(ready, "Compare")
    picture = ready.get_by_role("region", name="Picture A")
    expect(picture).to_be_visible()
    over, line = picture.locator("img.b"), picture.locator(".line")
    expect(over).to_have_css("clip-path", "inset(0px 0px 0px 50%)")
    pair = picture.locator(".pair")
    box = pair.bounding_box()
    assert box is not None
    pair.hover(position={"x": box["width"] / 2, "y": 20})
    ready.mouse.down()
    pair.hover(position={"x": box["width"] / 4, "y": 20})
    ready.mouse.up()
    assert abs(float(line.evaluate("line => parseFloat(line.style.left)")) - 25) < 2
    expect(over).to_have_attribute("style", re.compile(r"clip-path: inset\(.* 2\d(\.\d+)?%\)"))
    ready.get_by_label("Split").press("End")
    expect(over).to_have_css("clip-path", "inset(0px 0px 0px 100%)")
    ready.get_by_role("radio", name="Difference").click()
    expect(ready.get_by_text("Mean")).to_contain_text("of 255")
    ready.get_by_role("radio", name="Side by side").click()
    expect(ready.get_by_role("region", name="Picture B")).to_be_visible()
    ready.get_by_role("radio", name="Blink").click()
    expect(ready.get_by_role("region", name="Picture B")).to_be_hidden()
    show(ready, "Flipbook")
    picture = ready.get_by_role("region", name="The picture").locator("img")
    first = picture.get_attribute("src")
    ready.get_by_role("slider", name="Seed").press("ArrowRight")
    expect(picture).not_to_have_attribute("src", str(first))
    show(ready, "Numbers")
    ready.get_by_text("Mean of all").wait_for()


def test_every_format_comes_home_and_the_picture_restores_the_sweep(
    ready: Page, tmp_path: Path, chromium: Browser, visitor: Visitor
) -> None:
    show(ready, "Export")
    files = {title: download(ready, title, tmp_path) for title in FORMATS}
    sweep = read_sweep(files["PNG"].read_bytes())
    assert sweep.shape() == (2, 2, 1)
    for title in ("PNG", "JPEG", "WebP"):
        with Image.open(files[title]) as image:
            assert image.width > 128
            assert image.height > 128
    assert files["PDF"].read_bytes().startswith(b"%PDF-")
    assert len(files["CSV"].read_text("utf-8-sig").splitlines()) == 5
    with zipfile.ZipFile(io.BytesIO(files["Cells (ZIP)"].read_bytes())) as archive:
        assert len([name for name in archive.namelist() if name.endswith(".png")]) == 4

    offline = chromium.new_context(offline=True).new_page()
    offline.on("console", lambda message: visitor.complaints.append(message.text))
    offline.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    offline.goto(files["Web page"].as_uri())
    assert offline.locator("img").count() >= 4
    offline.context.close()

    fresh = visitor.open("/Sweep")
    fresh.get_by_text("Sweep from a picture").click()
    fresh.get_by_test_id("stFileUploaderDropzoneInput").first.set_input_files(files["PNG"])
    fresh.get_by_role("button", name="Use this sweep").click()
    finish(fresh, 4)


def test_the_film_of_the_grid(ready: Page, tmp_path: Path) -> None:
    show(ready, "Export")
    ready.get_by_role("button", name=re.compile("^(.* )?(Record 4 cells|MP4)$")).first.wait_for()
    record = ready.get_by_role("button", name="Record 4 cells")
    if record.count():
        record.click()
    ready.get_by_role("button", name="MP4").wait_for()
    settle(ready)
    assert b"ftyp" in download(ready, "MP4", tmp_path).read_bytes()[:32]
    assert download(ready, "GIF", tmp_path).read_bytes().startswith(b"GIF89a")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(visitor: Visitor, scheme: str) -> None:
    page = visitor.open(link(**TWO_BY_TWO), width=400, height=850, color_scheme=scheme)
    assert overflow(page) <= 0
    expect(page.get_by_role("button", name="Guidance × Steps")).to_be_visible()


def widths(page: Page) -> set[int]:
    return {round(box["width"]) for box in map(boxed, cells(page).all())}


def boxed(cell: Locator) -> Any:
    return cell.locator(".frame").bounding_box()


def test_a_run_gives_the_grid_the_whole_width(visitor: Visitor) -> None:
    """Eight columns fit, are larger than beside the controls, and stay so after a reload."""
    wanted = {**TWO_BY_TWO, "x_values": "1-8"}
    page = visitor.open(link(**wanted), width=1440)
    expect(cells(page)).to_have_count(16)
    (beside,) = widths(page)
    run(page)
    finish(page, 16)
    expect(page.get_by_label("Values of columns")).not_to_be_visible()
    expect(page.get_by_text("Guidance scale 1-8")).to_be_visible()
    (over,) = widths(page)
    assert over > 1.3 * beside
    scroll = page.locator(".scroll")
    assert scroll.evaluate("box => box.scrollWidth - box.clientWidth") <= 0
    page.reload()
    finish(page, 16)
    assert widths(page) == {over}
    unfold(page)


def test_on_a_phone_pictures_keep_a_size_and_the_grid_says_that_it_scrolls(
    visitor: Visitor,
) -> None:
    page = visitor.open(link(**{**TWO_BY_TWO, "x_values": "1-8"}), width=400, height=850)
    expect(cells(page)).to_have_count(16)
    assert min(widths(page)) >= 96
    expect(page.get_by_text("Scroll sideways")).to_be_visible()


def test_the_grid_alone_on_a_full_screen(ready: Page) -> None:
    """Keys move among the pictures, Enter shows one alone, F leaves; nothing opens beneath."""
    (before,) = widths(ready)
    ready.get_by_role("button", name="Full screen").click()
    expect(ready.get_by_role("button", name="Leave")).to_be_visible()
    assert min(widths(ready)) > before
    lens = ready.locator(".lens")
    expect(lens).not_to_be_visible()
    ready.keyboard.press("ArrowRight")
    ready.keyboard.press("Enter")
    expect(lens).to_contain_text("Guidance scale 5 · Seed 4")
    ready.keyboard.press("ArrowDown")
    expect(lens).to_contain_text("Guidance scale 5 · Seed 5")
    ready.keyboard.press("Enter")
    expect(lens).not_to_be_visible()
    ready.keyboard.press("f")
    expect(ready.get_by_role("button", name="Full screen")).to_be_visible()
    expect(ready.get_by_role("dialog")).to_have_count(0)


def test_a_linked_axis_is_gone_once_a_preset_is_loaded(visitor: Visitor) -> None:
    page = visitor.open(link(**{**SMALL, "num_inference_steps": 2, "x": "Seed", "x_values": "1,2"}))
    expect(cells(page)).to_have_count(2)
    choose(page, "Move together with", "Steps")
    expect(page.get_by_label("with Steps")).to_be_visible()
    page.get_by_role("button", name="Guidance", exact=False).first.click()
    finish(page, 5)
    for view in ("Numbers", "Grid", "Numbers", "Grid"):
        show(page, view)
    expect(page.get_by_label("with Steps")).to_have_count(0)
    expect(cells(page, "done")).to_have_count(5)
    assert "_link" not in page.url
