"""A person follows a word of a help text to the glossary, and on to the page that shows it."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visitor, settle


def new_tab(page: Page, link: Locator) -> Page:
    with page.context.expect_page() as opened:
        link.click()
    opened.value.locator("h1").first.wait_for()
    settle(opened.value)
    return opened.value


def test_a_help_text_leads_to_its_word_and_on_to_a_sweep(visitor: Visitor) -> None:
    page = visitor.open("/Generate")
    box = page.get_by_test_id("stNumberInput").filter(has_text="Guidance scale")
    box.get_by_test_id("stTooltipIcon").first.hover()
    tip = page.get_by_test_id("stTooltipContent")
    words = new_tab(page, tip.get_by_role("link", name="Guidance scale"))
    expect(words.get_by_role("heading", name="Guidance scale")).to_be_visible()
    card = words.locator(".st-key-glossary-named")
    card.get_by_role("button", name="Saturation").click()
    expect(words).to_have_url(re.compile(r"\?term=saturation"))
    expect(card.get_by_role("heading", name="Saturation")).to_be_visible()
    card.get_by_role("button", name="Guidance scale").click()
    sweep = new_tab(words, card.get_by_role("link", name=re.compile("See it in Sweep")))
    expect(sweep.get_by_label("Values of columns")).to_have_value("1, 3, 7, 15, 30")
    expect(sweep.get_by_text("5: 1 · 3 · 7 · 15 · 30")).to_be_visible()
    assert page.url.endswith("/Generate"), "the page with the help text stays"


def test_a_phone_finds_a_word_in_the_dark(visitor: Visitor) -> None:
    page = visitor.open("/Glossary", width=400, height=800, color_scheme="dark")
    page.get_by_label("Search").fill("seventh root")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 word", exact=True)).to_be_visible()
    settle(page)
    expect(page.get_by_text("Karras schedule")).to_be_visible()
    main = page.get_by_test_id("stMain")
    assert main.evaluate("one => one.scrollWidth <= one.clientWidth"), "nothing is cut off"
