"""Lessons in a browser: one of each kind of answer, by keys and by names for a screen reader."""

from __future__ import annotations

from urllib.parse import quote_plus

from playwright.sync_api import Page, expect

from core.lessons.shelf import find_lessons
from tests.browser.conftest import Visitor, settle

TITLES = {one.name: one.title for one in find_lessons().lessons}


def open_lesson(visitor: Visitor, name: str, **look: int) -> Page:
    page = visitor.open(f"/Lessons?lessons_lesson={quote_plus(TITLES[name])}", **look)
    expect(page.get_by_role("button", name="Predict and run")).to_be_visible()
    settle(page)
    return page


def predict(page: Page) -> None:
    """By keys: the button has the focus."""
    button = page.get_by_role("button", name="Predict and run").first
    expect(button).to_be_enabled()
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The run says", exact=True).first).to_be_visible()
    expect(page.get_by_role("heading", name="Why")).to_be_visible()


def test_a_number_by_keys(visitor: Visitor) -> None:
    page = open_lesson(visitor, "07-strength")
    expect(page.get_by_text("The run says", exact=True)).to_have_count(0)
    slider = page.get_by_role("slider", name="Your prediction")
    slider.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    settle(page)
    predict(page)
    expect(page.get_by_text("You said", exact=True)).to_be_visible()
    expect(page.get_by_text("At this strength there were 3 steps.")).to_be_visible()
    expect(page.get_by_text("That is what you predicted")).to_be_visible()
    page.reload()
    expect(page.get_by_text("At this strength there were 3 steps.")).to_be_visible()


def test_an_order_on_a_phone(visitor: Visitor) -> None:
    page = open_lesson(visitor, "03-guidance", width=400, height=850)
    page.get_by_role("button", name="Scale 1 up").click()
    settle(page)
    page.get_by_role("button", name="Scale 1 up").click()
    settle(page)
    expect(page.get_by_role("button", name="Scale 1 up")).to_be_disabled()
    predict(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    expect(page.get_by_text("Scale 1, Scale 5, Scale 20", exact=True)).to_have_count(2)


def test_a_place_by_click_and_by_arrow_keys(visitor: Visitor) -> None:
    page = open_lesson(visitor, "09-words")
    places = page.get_by_role("group", name="Places in the picture")
    expect(places.get_by_role("button")).to_have_count(9)
    places.get_by_role("button", name="Top left").click()
    settle(page)
    chosen = places.get_by_role("button", name="Top left")
    expect(chosen).to_have_attribute("aria-pressed", "true")
    chosen.focus()
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    settle(page)
    centre = places.get_by_role("button", name="Centre", exact=True)
    expect(centre).to_have_attribute("aria-pressed", "true")
    predict(page)
    expect(page.get_by_text("centre", exact=True)).to_have_count(2)


def test_a_choice_that_is_not_what_the_run_says(visitor: Visitor) -> None:
    page = open_lesson(visitor, "06-prediction")
    page.get_by_text("For teachers").click()  # it stays open while the answer and pictures come
    page.get_by_role("radio", name="The picture").focus()
    page.keyboard.press("Space")
    settle(page)
    predict(page)
    expect(page.get_by_text("there is something to learn")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Worksheet (PDF)").click()
    assert download.value.suggested_filename == "06-prediction.pdf"
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name=TITLES["07-strength"])).to_be_visible()
