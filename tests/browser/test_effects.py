"""Effects as a person asks for them: one seed, seven more, a number typed, and files."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Page, expect

from core.runs.store.measured.own import OwnNumbers
from tests.browser.conftest import Server, Visitor, settle, wait_until
from tests.browser.test_sweep_table import type_into

SWEEP = (
    "/Sweep?sweep_prompt=%F0%9F%8D%8E&sweep_num_inference_steps=2"
    "&sweep_x=Guidance+scale&sweep_x_values=1%2C+3&sweep_view=Effects"
)


def ready(visitor: Visitor, seed: int) -> Page:
    """The view of a sweep of one seed that has run."""
    page = visitor.open(f"{SWEEP}&sweep_seed={seed}")
    page.get_by_role("button", name="Run").first.click()
    page.get_by_text("One seed shows what happened once").wait_for()
    settle(page)
    return page


def test_seven_seeds_more_turn_what_happened_into_what_holds(
    visitor: Visitor, server: Server, tmp_path: Path
) -> None:
    page = ready(visitor, 41)
    expect(page.get_by_text("14 cells to compute")).to_be_visible()
    page.get_by_role("button", name="Add 7 seeds").click()
    page.get_by_text("Each point is a mean difference").or_(
        page.get_by_text("The mean difference with its 95 % interval")
    ).first.wait_for()
    assert sorted({one.seed for one in server.asked()}) == list(range(42, 49))
    settle(page)
    expect(page.get_by_text("what happened once")).to_be_hidden()
    expect(page.locator(".js-plotly-plot")).to_have_count(
        5
    )  # a curve, intervals, three sets of shares
    page.get_by_text("Export", exact=True).last.click()
    with page.expect_download() as caught:
        page.get_by_role("button", name="JSON").click()
    target = tmp_path / "effects.json"
    caught.value.save_as(target)
    written = json.loads(target.read_text())
    (row,) = written["effects"]
    assert {one["axis"] for one in written["shares"]} >= {"guidance_scale", "block"}
    assert (row["from"], row["to"], row["seeds"]) == ("1", "3", 8)


def test_a_number_is_typed_and_kept(visitor: Visitor, server: Server) -> None:
    page = ready(visitor, 141)
    page.get_by_text("Numbers of your own").click()
    table = page.get_by_test_id("stDataFrame")
    table.wait_for()
    settle(page)
    table.scroll_into_view_if_needed()
    type_into(page, table, 1, 0.8, "4.5")
    digests = [cell.digest or "" for cell in server.queue.cells(server.newest_job().id)]
    own = OwnNumbers(server.store.database)
    wait_until(lambda: own.of(digests).get("My rating"), "the number")
    assert list(own.of(digests)["My rating"].values()) == [4.5]
    page.reload()
    page.get_by_text("One seed shows what happened once").wait_for()
    settle(page)
    page.get_by_label("Measure", exact=True).first.click()
    expect(page.get_by_role("option", name="My rating")).to_be_visible()


def test_refine_adds_the_value_between_and_computes_nothing_twice(
    visitor: Visitor, server: Server
) -> None:
    page = ready(visitor, 241)
    page.get_by_text("Grid", exact=True).first.click()
    page.get_by_role("button", name="Refine").click()
    page.get_by_text("Adds values in the middle").wait_for()
    settle(page)
    expect(page.get_by_text("Adds 2, 1.5, 2.5,")).to_be_visible()
    budget = page.get_by_label("Cells at most")
    budget.fill("1")
    budget.press("Enter")
    expect(page.get_by_text("Adds 2: 1 cell more.")).to_be_visible()
    expect(page.get_by_text("2: the pictures of 1 and 3 are on average")).to_be_visible()
    expect(page.get_by_text("1 cell to compute")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Refine", exact=True).last.click()
    wait_until(lambda: [one.guidance_scale for one in server.asked()] == [2.0], "the value between")
    page.wait_for_function("decodeURIComponent(location.search).includes('1,+2,+3')")
    page.reload()
    page.get_by_text("One seed shows what happened once").wait_for()
    expect(page.get_by_text("3 × 1 = 3 cells").first).to_be_visible()
