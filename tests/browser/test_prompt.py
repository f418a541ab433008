"""What is said of a prompt stands below its box, and not at the end of the page."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Server, Visitor, settle

TEXTS = {"marks": "a [red:blue:0.5 cat", "cut": "owl " * 90}
SAID = {"marks": "plain words", "cut": "never sees"}


@pytest.mark.parametrize("what", TEXTS)
@pytest.mark.parametrize(
    ("path", "prefix"), [("Generate", "generate"), ("Image_to_image", "img2img")]
)
def test_it_is_said_below_the_box(path: str, prefix: str, what: str, visitor: Visitor) -> None:
    page = visitor.open(f"/{path}?" + urlencode({f"{prefix}_prompt": TEXTS[what]}))
    settle(page)
    said = page.get_by_test_id("stAlert").filter(has_text=SAID[what]).first
    expect(said).to_be_visible()
    after = page.get_by_text("Negative prompt", exact=True).first.bounding_box()
    box = said.bounding_box()
    assert box is not None
    assert after is not None
    assert box["y"] + box["height"] <= after["y"]


def test_a_prompt_that_changes_is_shown_by_its_steps_and_run(
    visitor: Visitor, server: Server
) -> None:
    asked = {"prompt": "a [red:blue:0.5] apple AND an owl :0.5", "num_inference_steps": 4}
    small = {"width": 64, "height": 64, "seed": 8}
    page = visitor.open(
        "/Generate?" + urlencode({f"generate_{name}": one for name, one in (asked | small).items()})
    )
    settle(page)
    expect(page.get_by_text("plain words")).to_have_count(0)
    page.get_by_role("button", name="tokens").click()
    for words in ("Steps 1-2", "Steps 3-4", "All steps", "blue · apple"):
        expect(page.get_by_text(words).first).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Generate").click()
    page.get_by_role("button", name="Download PNG").wait_for()
    (made,) = server.asked()
    assert made.prompt == asked["prompt"]
