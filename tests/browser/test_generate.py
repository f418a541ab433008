"""Generating in a real browser, from the first keystroke to the file on the disk."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import (
    ARTEFACTS,
    PATIENCE,
    Server,
    Visitor,
    generate,
    prompt_box,
    serve,
    settle,
    wait_for_value,
    wait_until,
)

PROGRESS = "[data-testid=stProgress]"
PICTURE = "[data-testid=stMain] [data-testid=stImage] img"
STEP = re.compile(r"Step (\d+) of (\d+)")


def link(**parameters: object) -> str:
    return "/Generate?" + urlencode({f"generate_{k}": v for k, v in parameters.items()})


def wait_for_result(page: Page) -> None:
    page.get_by_role("button", name="Download PNG").wait_for()
    settle(page)


def wait_for_step(page: Page, least: int) -> None:
    page.wait_for_function(
        "least => { const bar = document.querySelector('[data-testid=stProgress]');"
        " const found = bar && bar.innerText.match(/Step (\\d+) of/);"
        " return found && Number(found[1]) >= least }",
        arg=least,
    )


def test_a_deep_link_as_the_first_request(chromium: Browser, tmp_path: Path) -> None:
    with serve(tmp_path / "data", tmp_path / "server.log") as cold:
        visitor = Visitor(chromium, cold.url)
        page = visitor.open(link(prompt="an owl", seed=5))
        assert page.title() == "Generate · Diffusion Lightbox"
        assert prompt_box(page).input_value() == "an owl"
        for name in ("Home", "Generate", "Gallery"):
            expect(page.get_by_test_id("stSidebar").get_by_role("link", name=name)).to_be_visible()
        visitor.close()
        assert not visitor.complaints


def test_the_picture_is_seen_developing(visitor: Visitor, server: Server) -> None:
    page = visitor.open(link(prompt="a red apple on a blue background", num_inference_steps=100))
    generate(page)
    seen: list[str] = []
    steps: list[int] = []

    def look() -> bool:
        found = page.evaluate(
            f"""() => {{
                const bar = document.querySelector('{PROGRESS}');
                const image = document.querySelector('{PICTURE}');
                return [bar ? bar.innerText : '', image ? image.src : ''];
            }}"""
        )
        match = STEP.search(found[0])
        if match and found[1]:
            steps.append(int(match.group(1)))
            seen.append(found[1])
        return len(set(seen)) >= 3

    wait_until(look, "three different previews")
    assert steps == sorted(steps), "steps only go up"
    assert len(set(steps)) >= 3
    wait_for_result(page)
    size = page.eval_on_selector(PICTURE, "image => [image.naturalWidth, image.naturalHeight]")
    assert size == [128, 128], "the result is the stored picture, not a preview"
    assert server.newest_job().state == "done"
    assert page.get_by_text("CLIP score").is_visible()


def test_stop_ends_within_a_step_and_says_so(visitor: Visitor, server: Server) -> None:
    page = visitor.open(link(prompt="a penguin", num_inference_steps=900))
    generate(page)
    wait_for_step(page, 3)
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped", exact=True).first.wait_for()
    job = server.newest_job()
    assert job.state == "cancelled"
    stopped_at = server.queue.cells(job.id)[0].step
    assert stopped_at < 1000
    page.get_by_test_id("stSidebar").get_by_text("Ready").wait_for()
    wait_until(lambda: server.queue.worker_status().state == "idle", "the worker to rest")
    assert server.queue.cells(job.id)[0].step == stopped_at
    (stopped,) = server.queue.stopped(job.id).values()
    page.get_by_text(f"Stopped at step {stopped.step} of 900").first.wait_for()
    expect(page.get_by_alt_text(f"Stopped at step {stopped.step} of 900")).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("button", name="Download").click()
    assert taken.value.path().read_bytes() == stopped.png
    page.screenshot(path=ARTEFACTS / "generate-stopped.png")
    assert not page.locator(PROGRESS).count(), "nothing polls any more"


def test_ctrl_enter_takes_the_text_just_typed(visitor: Visitor, server: Server) -> None:
    page = visitor.open("/Generate?generate_num_inference_steps=2")
    jobs = len(server.queue.jobs())
    prompt_box(page).click()
    page.keyboard.type("a yellow robot")
    page.keyboard.press("Control+Enter")
    wait_for_result(page)
    assert [one.prompt for one in server.asked()] == ["a yellow robot"]
    prompt_box(page).click()
    page.keyboard.press("End")
    page.keyboard.type(", glossy")
    page.keyboard.press("Control+Enter")
    wait_until(lambda: len(server.queue.jobs()) >= jobs + 2, "the second job")
    assert [one.prompt for one in server.asked()] == ["a yellow robot, glossy"]
    wait_for_result(page)
    assert len(server.queue.jobs()) == jobs + 2, "each press is one job"


def test_the_button_takes_the_text_just_typed(visitor: Visitor, server: Server) -> None:
    page = visitor.open("/Generate?generate_num_inference_steps=2")
    prompt_box(page).click()
    page.keyboard.type("a sunflower")
    generate(page)
    wait_for_result(page)
    assert [one.prompt for one in server.asked()] == ["a sunflower"]


def test_a_reload_finds_the_running_job(visitor: Visitor, server: Server) -> None:
    page = visitor.open(link(prompt="a cat", num_inference_steps=900))
    generate(page)
    wait_for_step(page, 2)
    job = server.newest_job().id
    page.reload()
    settle_on_progress(page)
    assert server.newest_job().id == job, "nothing was submitted again"
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped", exact=True).first.wait_for()
    assert server.queue.jobs(limit=1)[0].state == "cancelled"


def settle_on_progress(page: Page) -> None:
    page.locator(PROGRESS).wait_for()


def test_parameters_after_a_page_change_and_in_a_copied_address(visitor: Visitor) -> None:
    page = visitor.open("/Generate")
    prompt_box(page).fill("an owl & a cat, 100% flat")
    page.get_by_label("Steps", exact=True).fill("33")
    page.get_by_label("Seed", exact=True).fill("4294967295")
    page.get_by_label("Guidance scale", exact=True).fill("4.25")
    page.keyboard.press("Enter")
    page.wait_for_url("**generate_guidance_scale=4.25**")
    expected = ("an owl & a cat, 100% flat", "33", "4294967295", "4.25")
    address, query_before = page.url, query(page)
    assert len(query_before) == 4

    def values(of: Page) -> tuple[str, ...]:
        return (
            prompt_box(of).input_value(),
            of.get_by_label("Steps", exact=True).input_value(),
            of.get_by_label("Seed", exact=True).input_value(),
            of.get_by_label("Guidance scale", exact=True).input_value(),
        )

    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_role("link", name="Gallery").click()
    page.get_by_role("heading", name="Gallery").wait_for()
    settle(page)
    sidebar.get_by_role("link", name="Generate").click()
    page.get_by_role("heading", name="Generate").wait_for()
    settle(page)
    wait_for_value(lambda: values(page), expected)
    wait_for_value(lambda: query(page), query_before)
    other = visitor.open(address.removeprefix(visitor.url))
    assert values(other) == expected


def test_the_download_is_the_stored_file_and_can_be_dropped_back(
    visitor: Visitor, server: Server, tmp_path: Path
) -> None:
    page = visitor.open(
        link(prompt="a pizza, detailed", seed=11, num_inference_steps=3, guidance_scale=2.5)
    )
    generate(page)
    wait_for_result(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download PNG").click()
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    (cell,) = server.queue.cells(server.newest_job().id)
    assert cell.digest
    stored = server.store.get(cell.digest)
    assert stored is not None
    assert file.read_bytes() == stored.path.read_bytes()

    again = visitor.open("/Generate")
    again.get_by_text("Settings from a picture").click()
    drop(again, file)
    again.get_by_role("button", name="Use all").click()
    expect(prompt_box(again)).to_have_value("a pizza, detailed")
    expect(again.get_by_label("Seed", exact=True)).to_have_value("11")
    expect(again.get_by_label("Steps", exact=True)).to_have_value("3")
    settle(again)
    wait_for_result(again)  # the very picture is stored: it is shown at once


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def drop(page: Page, file: Path) -> None:
    """As a person drops a file: a drop event with its bytes."""
    transfer = page.evaluate_handle(
        """([name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
            return transfer;
        }""",
        [file.name, list(file.read_bytes())],
    )
    zone = page.get_by_test_id("stFileUploaderDropzone")
    zone.wait_for(timeout=PATIENCE)
    zone.dispatch_event("drop", {"dataTransfer": transfer})


@pytest.mark.parametrize("name", ["notes.png"])
def test_a_dropped_file_that_is_no_picture(visitor: Visitor, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text("not a picture")
    page = visitor.open("/Generate")
    page.get_by_text("Settings from a picture").click()
    drop(page, file)
    page.get_by_text("This file cannot be used").wait_for()
    assert not page.get_by_text("Traceback").count()
