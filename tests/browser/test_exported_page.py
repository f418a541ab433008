"""A sweep's exported page, opened from disk in Chromium without any network."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from core.exports.report import ReportCell, numbers, write_html, write_html_zip
from core.sweeps.axis import Axis
from core.sweeps.sweep import Sweep
from tests.core.output.sweep_doubles import BASE, color_of, grid_sweep, noise

HOSTILE = '</script><script>document.title="broken"</script><img src=x onerror=alert(1)>'


def stored(sweep: Sweep, folder: Path) -> list[ReportCell]:
    cells: list[ReportCell] = []
    for cell in sweep.cells():
        path = folder / f"{cell.x}-{cell.y}-{cell.z}.png"
        Image.new("RGB", (64, 48), color_of(cell.x, cell.y, cell.z)).save(path)
        digest = cell.settings.digest("model")
        cells.append(
            ReportCell(
                x=cell.x, y=cell.y, z=cell.z, settings=cell.settings, digest=digest, image=path
            )
        )
    return cells


@pytest.fixture(params=["light", "dark"])
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Offline; anything on the console and any request beyond the disk fails the test."""
    complaints: list[str] = []
    context = chromium.new_context(offline=True, color_scheme=request.param)
    opened = context.new_page()
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "request",
        lambda asked: (
            None if asked.url.startswith(("file:", "data:")) else complaints.append(asked.url)
        ),
    )
    yield opened
    context.close()
    assert complaints == []


def color_shown(page: Page, selector: str) -> tuple[int, ...]:
    data = page.locator(selector).screenshot()
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    found = picture.getpixel((picture.width // 2, picture.height // 4))
    assert isinstance(found, tuple)
    return found


def close(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 3


def test_the_keyboard_reaches_every_cell_of_the_page(page: Page, tmp_path: Path) -> None:
    sweep = grid_sweep(3, 2, 2)
    cells = stored(sweep, tmp_path)
    cells[5] = replace(cells[5], image=None, reason="Not finite at step 3")
    found = numbers(cells, (0, 0, 0))
    (tmp_path / "page.html").write_bytes(write_html(sweep, cells, found, title="Two pages"))
    page.goto((tmp_path / "page.html").as_uri())
    assert page.title() == "Two pages"
    page.locator('button[data-at="0-0-0"]').focus()
    for key in ("ArrowRight", "ArrowDown", "PageDown", "Enter"):
        page.keyboard.press(key)
    assert page.locator("#value-x").text_content() == "2"
    assert page.locator("#value-z").text_content() == "6"
    assert close(color_shown(page, "#flip-picture"), color_of(1, 1, 1))
    for key in ("ArrowRight", "PageUp"):
        page.keyboard.press(key)
    assert page.locator("#flip-reason").text_content() == "Not finite at step 3"
    page.locator("#dial-x").fill("0")
    assert close(color_shown(page, "#flip-picture"), color_of(0, 1, 0))
    assert "2" in page.locator("#flip-settings").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#grid").is_visible()
    page.select_option("#quantity", "rmse")
    assert page.locator('output[data-at="0-0-0"]').text_content() == "0.00"


def test_two_cells_are_compared_in_every_way(page: Page, tmp_path: Path) -> None:
    sweep = grid_sweep(3, 1)
    (tmp_path / "page.html").write_bytes(write_html(sweep, stored(sweep, tmp_path)))
    page.goto((tmp_path / "page.html").as_uri())
    page.locator('button[data-at="2-0-0"]').focus()
    page.keyboard.press("b")
    assert page.locator('button[data-at="2-0-0"]').get_attribute("data-chosen") == "B"
    page.get_by_role("tab", name="Compare").click()
    rows = page.locator("#differences tr").all_inner_texts()
    assert [row.split() for row in rows] == [["Guidance", "scale", "1", "(off)", "3"]]
    page.locator("#edge").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator("#edge").get_attribute("aria-valuenow") == "56"
    page.get_by_role("tab", name="Difference").click()
    expected = tuple(abs(a - b) for a, b in zip(color_of(0, 0), color_of(2, 0), strict=True))
    assert close(color_shown(page, "#pair"), expected)
    page.select_option("#pick-B", "0-0-0")
    assert close(color_shown(page, "#pair"), (0, 0, 0))
    page.get_by_role("tab", name="Side by side").click()
    boxes = [page.locator(f"#picture-{letter}").bounding_box() for letter in "AB"]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    assert boxes[0]["width"] == boxes[1]["width"]


def test_words_of_a_prompt_are_words_on_the_page(page: Page, tmp_path: Path) -> None:
    sweep = Sweep(base=BASE, x=Axis(name="prompt", values=(HOSTILE, "a" * 300)))
    cells = stored(sweep, tmp_path)
    (tmp_path / "page.html").write_bytes(write_html(sweep, cells, title=HOSTILE))
    page.goto((tmp_path / "page.html").as_uri())
    assert page.title() == HOSTILE
    assert page.locator("h1").text_content() == HOSTILE
    page.set_viewport_size({"width": 400, "height": 700})
    page.locator('button[data-at="0-0-0"]').click()
    assert HOSTILE in page.locator("#flip-settings").inner_text()
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 400  # nothing sticks out on a phone


def test_drawn_words_stand_below_a_picture_and_among_what_differs(
    page: Page, tmp_path: Path
) -> None:
    sweep = Sweep(base=BASE, x=Axis(name="seed", values=(1, 2)))
    words = ("a red owl", "a fox")
    cells = [
        replace(cell, drawn=one) for cell, one in zip(stored(sweep, tmp_path), words, strict=True)
    ]
    (tmp_path / "page.html").write_bytes(write_html(sweep, cells))
    page.goto((tmp_path / "page.html").as_uri())
    for at, one in zip(("0-0-0", "1-0-0"), words, strict=True):
        picture, below = page.locator(f"#p-{at}"), page.get_by_text(one, exact=True)
        box, under = picture.bounding_box(), below.bounding_box()
        assert box is not None
        assert under is not None
        assert under["y"] >= box["y"] + box["height"] - 1
        assert abs(under["x"] - box["x"]) <= 8
    page.locator('button[data-at="0-0-0"]').click()
    assert page.locator("#flip-settings").inner_text().startswith("Drawn")
    page.locator('[data-view="compare"]').click()
    assert words[1] in page.locator("#differences").inner_text()


def test_a_page_with_its_pictures_beside_it(page: Page, tmp_path: Path) -> None:
    sweep = grid_sweep(3, 1)
    cells = stored(sweep, tmp_path)
    noise(64).save(tmp_path / "noise.png")
    cells[1] = replace(cells[1], image=tmp_path / "noise.png")
    with zipfile.ZipFile(io.BytesIO(write_html_zip(sweep, cells))) as archive:
        archive.extractall(tmp_path / "page")
    page.goto((tmp_path / "page" / "index.html").as_uri())
    sizes = page.evaluate("[...document.querySelectorAll('.cell img')].map(i => i.naturalWidth)")
    assert sizes == [64, 64, 64]
