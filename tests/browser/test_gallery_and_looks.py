"""The Gallery in a real browser, and every page in light, dark and narrow."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import (
    ARTEFACTS,
    Server,
    Visitor,
    generate,
    serve,
    settle,
    wait_until,
)
from tests.browser.measure import overflow
from ui.catalog import CATALOG, HOME

LOOKS = {"light": (1360, "light"), "dark": (1360, "dark"), "narrow": (400, "light")}


SEED = 730


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An app of its own: what other tests made would be the newest here, sweeps as one tile."""
    folder = tmp_path_factory.mktemp("gallery")
    with serve(folder / "data", folder / "server.log") as running:
        yield running


@pytest.fixture
def pictures(visitor: Visitor, server: Server) -> None:
    """The newest six are pictures by themselves: a sweep of another test would be one tile."""

    def is_newest() -> bool:
        newest = server.store.search(limit=6)
        return {one.settings.seed for one in newest} == set(range(SEED, SEED + 6))

    if not is_newest():
        page = visitor.open(
            "/Generate?generate_count=6&generate_num_inference_steps=4"
            f"&generate_prompt=a+red+apple+on+a+blue+background&generate_seed={SEED}"
        )
        generate(page)
        wait_until(is_newest, "six pictures")
        page.get_by_role("button", name="Download PNG").wait_for()
        settle(page)
        page.screenshot(path=ARTEFACTS / "generate-batch.png")


@pytest.mark.usefixtures("pictures")
def test_open_send_and_delete(visitor: Visitor, server: Server) -> None:
    page = visitor.open("/Gallery")
    newest = server.store.search(limit=1)[0]
    page.locator(".cell").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Download PNG").wait_for()
    settle(page)
    page.screenshot(path=ARTEFACTS / "gallery-opened.png")
    page.wait_for_url(f"**gallery_open={newest.digest}**")

    dialog.get_by_role("button", name="Send to").click()
    page.get_by_role("menuitem", name="Generate").or_(
        page.get_by_role("option", name="Generate")
    ).first.click()
    page.wait_for_url("**/Generate?**")
    expect(page.get_by_label("Seed", exact=True)).to_have_value(str(newest.settings.seed))

    page = visitor.open(f"/Gallery?gallery_open={newest.digest}")
    before = server.store.count()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    dialog.get_by_role("button", name="Cancel").wait_for()
    assert server.store.count() == before
    dialog.get_by_role("button", name="Delete permanently").click()
    wait_until(lambda: server.store.get(newest.digest) is None, "the picture to go")
    expect(dialog).to_have_count(0)
    wait_until(lambda: not newest.path.exists(), "its file to go")
    page.wait_for_function("() => !location.search.includes('gallery_open')")


@pytest.mark.usefixtures("pictures")
def test_pictures_open_and_turn_by_keys_alone(visitor: Visitor, server: Server) -> None:
    """Tab reaches the first tile, arrows the others; Enter opens, arrows turn, Esc closes."""
    newest = [image.digest for image in server.store.search(limit=3)]
    page = visitor.open("/Gallery")
    page.locator(".cell").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**gallery_open={newest[1]}**")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Download PNG").wait_for()
    settle(page)
    page.keyboard.press("ArrowRight")
    page.wait_for_url(f"**gallery_open={newest[2]}**")
    settle(page)
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(f"**gallery_open={newest[1]}**")
    page.keyboard.press("Escape")  # at once, while the dialog is drawn
    expect(dialog).to_have_count(0)
    page.wait_for_function("() => !location.search.includes('gallery_open')")
    expect(page.locator(".cell").nth(1)).to_be_focused()
    page.keyboard.press("Enter")  # where one was: the same picture again
    page.wait_for_url(f"**gallery_open={newest[1]}**")


@pytest.mark.usefixtures("pictures")
def test_ticked_pictures_are_exported_and_compared(
    visitor: Visitor, server: Server, tmp_path: Path
) -> None:
    newest = server.store.search(limit=2)
    page = visitor.open("/Gallery")
    page.get_by_text("Select", exact=True).click()
    for index in range(2):
        page.locator(".cell").nth(index).click()
        expect(page.locator('.cell[data-state="selected"]')).to_have_count(index + 1)
    with page.expect_download() as started:
        page.get_by_role("button", name="Export 2").click()
    started.value.save_as(tmp_path / "pictures.zip")
    with zipfile.ZipFile(tmp_path / "pictures.zip") as archive:
        for image in newest:
            assert archive.read(f"lightbox-{image.digest[:12]}.png") == image.path.read_bytes()
        assert "settings.csv" in archive.namelist()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("dialog").locator(".looking").wait_for()
    settle(page)
    page.screenshot(path=ARTEFACTS / "gallery-compare.png")


@pytest.mark.usefixtures("pictures")
def test_a_picture_on_home_opens_in_the_gallery(visitor: Visitor, server: Server) -> None:
    (newest,) = server.store.search(limit=1)
    page = visitor.open("/")
    page.locator(".cell").first.click()
    page.wait_for_url(f"**/Gallery?**gallery_open={newest.digest}**")
    page.get_by_role("dialog").get_by_text("Download PNG").wait_for()


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("title", [page.title for page in CATALOG])
def test_every_page_in_every_look(visitor: Visitor, server: Server, title: str) -> None:
    one = server.store.search(limit=1)[0].settings
    path = {
        HOME.title: "/",
        "Generate": f"/Generate?generate_prompt={one.prompt}&generate_seed={one.seed}"
        f"&generate_num_inference_steps={one.num_inference_steps}",
    }.get(title, f"/{title.replace(' ', '_')}")
    page = visitor.open(path)
    for look, (width, scheme) in LOOKS.items():
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(
            "isDark => (getComputedStyle(document.querySelector('[data-testid=stApp]'))"
            ".backgroundColor.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + +part, 0)"
            " < 200) == isDark",
            arg=scheme == "dark",
        )
        settle(page)
        page.screenshot(path=ARTEFACTS / f"{title.lower().replace(' ', '-')}-{look}.png")
        assert overflow(page) <= 0, f"{title} is wider than a {look} window"
