"""Ratings by keys in the Gallery, and a blind test of two voters at once, by keys alone."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from core.diffusion.settings import GenerationSettings
from core.output.preferences.votes import FIRST, SECOND, TIE, Vote, key_of
from core.runs.store.opinions.ballots import Ballots
from core.runs.store.opinions.ratings import Rating, Ratings
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import Sweep
from tests.browser.conftest import ARTEFACTS, Server, Visitor, settle, wait_for_value, wait_until
from tests.browser.measure import overflow
from tests.browser.test_sweep import link

SWEEP = {
    "width": 64,
    "height": 64,
    "prompt": "a green pear",
    "seed": 3,
    "num_inference_steps": 3,
    "x": "Guidance scale",
    "x_values": "2, 5, 8",
    "y": "Seed",
    "y_values": "4, 5",
}
KEYS = {"1": FIRST, "2": SECOND, "0": TIE}


def computed(server: Server) -> list[str]:
    """The digests of the sweep's pictures, which are stored."""
    base = GenerationSettings(
        prompt="a green pear", width=64, height=64, seed=3, num_inference_steps=3
    )
    sweep = Sweep(
        base=base, x=parse_axis("guidance_scale", "2, 5, 8"), y=parse_axis("seed", "4, 5")
    )
    job = server.queue.submit(
        [cell.settings for cell in sweep.cells()], owner="test", token="pears", sweep=sweep
    )

    def digests() -> list[str]:
        return [cell.digest or "" for cell in server.queue.cells(job)]

    wait_until(lambda: len(server.store.holds(digests())) == 6, "the six pictures")
    return digests()


def press(page: Page, key: str, count: int) -> None:
    """One answer by its key, and the next pair."""
    page.keyboard.press(key)
    page.get_by_text(f"{count} vote").first.wait_for()
    settle(page)


def test_two_vote_at_once_by_keys_alone(visitor: Visitor, server: Server) -> None:
    visitor.open("/")  # the first page starts the worker
    test = key_of(computed(server))
    ballots = Ballots(server.store.database)

    def votes() -> list[Vote]:
        return ballots.votes(test)

    address = link(**SWEEP, view="Blind test")
    one = visitor.open(address, width=1440)
    other = visitor.open(address, width=400, color_scheme="dark")
    for page in (one, other):
        page.get_by_role("img", name="Picture 2").wait_for()
        settle(page)
    one.screenshot(path=ARTEFACTS / "blind-test.png")
    other.screenshot(path=ARTEFACTS / "blind-test-narrow.png", full_page=True)
    assert overflow(other) <= 0
    for count, key in enumerate("1021", start=1):
        press(one, key, count)
        press(other, "1", count)
    own = [vote for vote in votes() if vote.voter == votes()[0].voter]
    assert [vote.choice for vote in own] == [KEYS[key] for key in "1021"]
    assert len(votes()) == 8
    assert len({vote.voter for vote in votes()}) == 2

    press(one, "Backspace", 3)
    wait_for_value(lambda: len(votes()), 7)
    box = one.get_by_label("Prompt", exact=True).first
    box.click()
    one.keyboard.press("End")
    one.keyboard.type(" 12")  # a text field keeps its digits
    one.keyboard.press("Backspace")
    one.keyboard.press("Backspace")
    one.keyboard.press("Backspace")
    expect(box).to_have_value("a green pear")
    assert len(votes()) == 7

    expect(other.get_by_text("of 2 voters")).to_have_count(0)
    for page in (one, other):
        stop = page.get_by_role("button", name="Stop and see results")
        stop.focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Export votes").wait_for()
    other.get_by_text("7 votes of 2 voters").wait_for()
    one.get_by_text("3 votes of 1 voter").wait_for()  # the other had not finished then
    other.locator(".js-plotly-plot").first.wait_for()
    settle(other)
    other.screenshot(path=ARTEFACTS / "blind-test-results.png", full_page=True)
    with other.expect_download() as download:
        other.get_by_role("button", name="Export votes").click()
    assert len(download.value.path().read_text(encoding="utf-8-sig").splitlines()) == 8


def test_stars_and_the_mark_by_keys(visitor: Visitor, server: Server) -> None:
    visitor.open("/")
    first = computed(server)[0]
    ratings = Ratings(server.store.database)
    page = visitor.open(f"/Gallery?gallery_open={first}", width=1440)
    page.get_by_role("dialog").get_by_role("button", name="Download PNG").wait_for()
    settle(page)
    page.keyboard.press("4")
    wait_for_value(lambda: ratings.of(first), Rating(stars=4))
    page.keyboard.press("f")
    wait_for_value(lambda: ratings.of(first), Rating(stars=4, is_favourite=True))
    settle(page)
    page.screenshot(path=ARTEFACTS / "gallery-rated.png")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    search = page.get_by_label("Search in prompts")
    search.click()
    page.keyboard.type("f5")  # no picture is open, and the field has the keys
    expect(search).to_have_value("f5")
    assert ratings.of(first) == Rating(stars=4, is_favourite=True)

    page = visitor.open("/Gallery?gallery_grouped=false&gallery_search=green+pear", width=1440)
    page.get_by_text("Select", exact=True).click()
    page.get_by_role("button", name="All on this page").click()
    page.get_by_role("button", name="Rate 6").click()
    page.get_by_text("★★ 2 stars", exact=True).click()
    digests = computed(server)
    wait_for_value(lambda: {one.stars for one in ratings.of_all(digests).values()}, {2})
    assert len(ratings.of_all(digests)) == 6
    page = visitor.open("/Gallery?gallery_grouped=false&gallery_rating=Favourites")
    expect(page.locator(".cell")).to_have_count(1)
