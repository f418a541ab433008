"""A person writes a choice and a wildcard, presses Generate, and reads what was drawn."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Server, Visitor, generate, prompt_box, settle, wait_until


@pytest.fixture
def folder(server: Server) -> Path:
    found = server.store.folder / "wildcards"
    found.mkdir(exist_ok=True)
    return found


def test_a_prompt_is_drawn_and_its_box_keeps_the_marks(
    visitor: Visitor, server: Server, folder: Path
) -> None:
    typed = "a {red|yellow} __creature__"
    page = visitor.open("/Generate?generate_seed=5&generate_num_inference_steps=3")
    page.get_by_role("button", name="Wildcards").click()
    expect(page.get_by_text(str(folder)).first).to_be_visible()
    page.keyboard.press("Escape")
    prompt_box(page).fill(typed)
    prompt_box(page).press("Control+Enter")
    expect(page.get_by_text("has no file").first).to_be_visible()
    (folder / "creature.txt").write_text("owl\nrobot\n")
    try:
        settle(page)
        generate(page)
        drawn = page.get_by_text(re.compile(r"^Drawn: (red|yellow), (owl|robot)$"))
        expect(drawn).to_be_visible()
        words = drawn.inner_text().removeprefix("Drawn: ").split(", ")
        assert [one.prompt for one in server.asked()] == [f"a {' '.join(words)}"]
        expect(prompt_box(page)).to_have_value(typed)
        expect(page.get_by_text("has no file")).to_have_count(0)
        page.get_by_role("button", name="Wildcards").click()
        expect(page.get_by_text("__creature__ 2 lines")).to_be_visible()
    finally:
        (folder / "creature.txt").unlink()


def test_a_sweep_of_orders_shows_each_order(visitor: Visitor, server: Server) -> None:
    page = visitor.open(
        "/Sweep?sweep_prompt=a+red+apple,+an+owl&sweep_num_inference_steps=3"
        "&sweep_x=Prompt+order&sweep_x_values=red,+owl"
    )
    expect(page.get_by_text("2: red, owl · owl, red")).to_be_visible()
    before = server.newest_id()
    page.get_by_role("button", name="Run 2 cells").click()
    wait_until(lambda: server.newest_id() != before, "the job of the click")
    wait_until(lambda: server.newest_job().is_over, "both cells")
    assert [one.prompt for one in server.asked()] == [
        "a red apple, an owl",
        "a owl apple, an red",
    ]
    settle(page)
    expect(page.get_by_text("nothing to compute")).to_be_visible()
