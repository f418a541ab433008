"""A table of settings by hand: a file is opened and run, and edited cell by cell."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as NotInTime

from tests.browser.conftest import Server, Visitor, settle, wait_until
from tests.browser.measure import overflow
from tests.browser.test_sweep import SMALL, cells, download, finish, link, run

TABLE = 'Steps,Seed,Prompt\n2,5,"an owl, sitting"\n3,6,a robot\n2,7,\n'


def unfold_table(page: Page) -> None:
    page.get_by_text("Table of settings").first.click()
    page.get_by_role("button", name="Edit as a table").wait_for()
    settle(page)


def test_a_file_of_three_rows_runs_as_three_cells(
    visitor: Visitor, server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    page = visitor.open(link(**SMALL))
    unfold_table(page)
    page.locator(".st-key-sweep-table_file input[type=file]").set_input_files(path)
    page.get_by_role("button", name="Use this table").click()
    expect(cells(page, "missing")).to_have_count(3)
    written = download(page, "Download as CSV", tmp_path).read_bytes().decode("utf-8-sig")
    assert written.splitlines() == [
        '"prompt","seed","num_inference_steps"',
        '"an owl, sitting",5,2',
        '"a robot",6,3',
        '"a red apple",7,2',
    ]
    run(page)
    finish(page, 3)
    made = [(one.num_inference_steps, one.seed, one.prompt) for one in server.asked()]
    assert made == [(2, 5, "an owl, sitting"), (3, 6, "a robot"), (2, 7, "a red apple")]
    assert {one.width for one in server.asked()} == {64}
    expect(
        page.locator(".cell .caption", has_text="Steps 3, Seed 6, Prompt a robot")
    ).to_be_visible()
    page.reload()
    finish(page, 3)


def type_into(page: Page, table: Locator, row: int, across: float, text: str) -> None:
    """Type into a cell; `row` 0 is the header, `across` a share of the width."""
    editor = page.locator(".gdg-input")

    def opens() -> bool:
        """The table hears no click until it has been drawn, and figures that come move it."""
        table.scroll_into_view_if_needed()
        box = table.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] * across, box["y"] + 35 * row + 17)
        page.keyboard.press("Enter")
        with suppress(NotInTime):
            editor.wait_for(timeout=3000)
            return True
        return False

    wait_until(opens, "the cell's own field")
    editor.fill(text)
    page.keyboard.press("Enter")
    settle(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_grid_is_edited_as_a_table(visitor: Visitor, server: Server, scheme: str) -> None:
    sweep = {"num_inference_steps": 2, "x": "Seed", "x_values": "21, 22"}
    page = visitor.open(link(**SMALL, **sweep), color_scheme=scheme)
    unfold_table(page)
    page.get_by_role("button", name="Edit as a table").click()
    dialog = page.get_by_role("dialog")
    table = dialog.get_by_test_id("stDataFrame")
    table.wait_for()
    settle(page)
    assert overflow(page) == 0
    type_into(page, table, 2, 0.7, "1.5")
    expect(dialog.get_by_text("Row 2, Seed: '1.5' is not a whole number.")).to_be_visible()
    type_into(page, table, 2, 0.7, "23")
    expect(dialog.get_by_text("This table cannot be used yet")).to_have_count(0)
    dialog.get_by_role("button", name="Use this table").click()
    expect(dialog).to_have_count(0)
    run(page)
    finish(page, 2)
    wait_until(lambda: [one.seed for one in server.asked()][-1] == 23, "the seed that was typed")
