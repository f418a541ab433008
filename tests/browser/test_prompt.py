"""What is said of a prompt stands below its box, and not at the end of the page."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitor, settle

TEXTS = {"marks": "a [red:blue:0.5] cat", "cut": "owl " * 90}
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
