"""Guidance in a real browser: the method and the interval on Generate, and every axis of theirs."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from core.diffusion.recipe.settings_table import SETTINGS
from core.sweeps.axes import AXES
from tests.browser.conftest import Server, Visitor, prompt_box, settle, wait_until
from tests.needs import NEEDS
from ui.settings.guidance_controls import GUIDANCE

SMALL = {"width": 64, "height": 64, "prompt": "a red apple", "seed": 3, "num_inference_steps": 4}
AXIS_NAMES = [name for name in GUIDANCE if name in AXES]


def link(page: str, **parameters: object) -> str:
    prefix = page.lower()
    return f"/{page}?" + urlencode({f"{prefix}_{k}": v for k, v in parameters.items()})


def test_a_method_and_an_interval_are_chosen_and_run(visitor: Visitor, server: Server) -> None:
    page = visitor.open(link("Generate", **SMALL, guidance_method="APG"))
    page.locator("[data-testid=stExpander] summary").filter(has_text="Guidance").click()
    settle(page)
    page.get_by_role("spinbutton", name="APG eta").fill("0.5")
    page.get_by_role("spinbutton", name="Guidance start").fill("0.5")
    page.get_by_role("spinbutton", name="Guidance end").fill("0.25")
    page.get_by_role("spinbutton", name="Guidance end").press("Enter")
    expect(page.get_by_text("0.25 lies before the start, 0.5").first).to_be_visible()
    page.get_by_role("spinbutton", name="Guidance end").fill("0.75")
    page.get_by_role("spinbutton", name="Guidance end").press("Enter")
    expect(page.get_by_text("lies before the start")).to_have_count(0)
    settle(page)
    prompt_box(page).press("Control+Enter")
    page.get_by_role("button", name="Download PNG").wait_for()
    asked = server.asked()[0]
    assert (asked.guidance_method, asked.apg_eta) == ("APG", 0.5)
    assert (asked.guidance_start, asked.guidance_end) == (0.5, 0.75)
    page.reload()
    page.get_by_role("button", name="Download PNG").wait_for()


@pytest.mark.parametrize("name", AXIS_NAMES)
def test_a_sweep_over_each_of_its_axes(name: str, visitor: Visitor, server: Server) -> None:
    row = AXES[name]
    # A seed of its own: a picture that another axis has made is not asked for again.
    beside = {**NEEDS.get(name, {}), "seed": 100 + AXIS_NAMES.index(name)}
    page = visitor.open(
        link("Sweep", **{**SMALL, **beside}, x=SETTINGS[name].label, x_values=row.examples)
    )
    expect(page.locator(".cell").first).to_be_visible()
    settle(page)
    count = page.locator(".cell").count()  # before the click, which draws the grid anew
    before = server.newest_id()
    page.get_by_test_id("stMain").get_by_test_id("stBaseButton-primary").first.click()
    wait_until(lambda: server.newest_id() != before, "the job of the click")
    expect(page.locator(".cell[data-state=done]")).to_have_count(count)
    values = {getattr(one, name) for one in server.asked()}
    assert len(values) >= 2
