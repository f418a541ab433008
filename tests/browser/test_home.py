"""A newcomer's first screen: a picture within one click, and back to it."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Server, Visitor, settle, wait_for_value


def test_a_first_picture_is_a_click_away_and_home_leads_back(
    visitor: Visitor, server: Server
) -> None:
    before = server.newest_id()
    page = visitor.open("/")
    door = page.get_by_role("button", name="Rocket", exact=True)
    door.click()
    page.wait_for_url(re.compile("/Generate"))
    expect(page.get_by_text("Computing time").first).to_be_visible()
    assert server.newest_id() != before
    wait_for_value(lambda: server.newest_job().state, "done")
    prompt = "a glossy emoji of a rocket on a black background"
    assert [one.prompt for one in server.asked()] == [prompt]
    page.get_by_role("link", name="Home").first.click()
    expect(page.get_by_role("heading", name="Where you left off")).to_be_visible()
    settle(page)
    page.get_by_role("button", name=prompt, exact=True).click()
    page.wait_for_url(re.compile("/Generate"))
    expect(page.get_by_text("Computing time").first).to_be_visible()
    assert len(server.asked()) == 1, "nothing is made again"


def test_a_phone_has_the_doors_below_each_other(visitor: Visitor) -> None:
    page = visitor.open("/", width=400, height=800, color_scheme="dark")
    headings = [page.get_by_role("heading", name=name) for name in ("Compare", "Learn")]
    places = [one.bounding_box() for one in headings]
    assert places[0] is not None
    assert places[1] is not None
    assert places[0]["x"] == places[1]["x"]
    assert places[0]["y"] < places[1]["y"]
    main = page.get_by_test_id("stMain")
    assert main.evaluate("one => one.scrollWidth <= one.clientWidth"), "nothing is cut off"
