"""The linked cursor of the Latents page and its slider, with real curves in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import pandas
import pytest
from playwright.sync_api import Page

from core.diffusion.settings import GenerationSettings
from core.output.figures.step_figure_rows import STEP_FIGURES
from tests.browser.conftest import ARTEFACTS, Server, Visitor, settle, wait_for_value, wait_until

PROMPT = "a red apple on a blue background, flat style"
DRAWN = [row.name for row in STEP_FIGURES.values() if not row.stands_in_for]
STEPS = {2.0: 5, 6.0: 8}
"""Guidance scale -> steps: two runs of different lengths."""


@pytest.fixture(scope="module")
def digests(server: Server) -> list[str]:
    """Two recorded runs, tensors and all."""
    wanted = [
        GenerationSettings(prompt=PROMPT, seed=4, guidance_scale=scale, num_inference_steps=steps)
        for scale, steps in STEPS.items()
    ]
    job_id = server.queue.submit(wanted, owner="test", token="latents", record="latents")

    def is_over() -> bool:
        job = server.queue.job(job_id)
        return job is not None and job.is_over

    wait_until(is_over, "two recorded runs", 600)
    return [cell.digest for cell in server.queue.cells(job_id) if cell.digest]


@pytest.fixture
def page(visitor: Visitor, request: pytest.FixtureRequest) -> Page:
    visitor.open("/")  # the first page starts the worker
    made = request.getfixturevalue("digests")
    opened = visitor.open(
        f"/Latents?latents_show=All&latents_step=2&latents_images={','.join(made)}", height=1100
    )
    wait_for_value(lambda: lines(opened, "selected"), len(DRAWN))
    return opened


def lines(page: Page, kind: str) -> int:
    return page.locator(f".lightbox-cursor .line.{kind}").count()


def places(page: Page, kind: str) -> list[float]:
    """Where the cursor's line stands in each figure, in its own data's coordinates."""
    return page.evaluate(
        """kind => [...document.querySelectorAll(`.lightbox-cursor .line.${kind}`)].map(line => {
          const axis = line.closest(".js-plotly-plot")._fullLayout.xaxis
          const left = parseFloat(line.style.left)
          return Math.round(100 * axis.p2d(left - axis._offset)) / 100
        })""",
        kind,
    )


def point(page: Page, name: str, run: int, step: int) -> tuple[float, float]:
    """Where on the screen a figure draws a step of a run."""
    plot = page.locator(f".st-key-latents-figure-{name} .js-plotly-plot")
    plot.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    x, y = plot.evaluate(
        """(plot, [run, step]) => {
          const trace = plot.data.find(one => one.meta?.run === run)
          const { xaxis, yaxis } = plot._fullLayout
          const box = plot.getBoundingClientRect()
          return [
            box.left + xaxis._offset + xaxis.d2p(trace.x[step - 1]),
            box.top + yaxis._offset + yaxis.d2p(trace.y[step - 1]),
          ]
        }""",
        [run, step],
    )
    return x, y


def test_one_cursor_runs_through_all_figures(page: Page) -> None:
    """Hovering a point of one figure marks its step in every other, with that run's values."""
    page.mouse.move(*point(page, "x0_rms", 1, 5))
    wait_for_value(lambda: places(page, "hovered"), [5.0] * len(DRAWN))
    # The other figures say their value of that run: one each, two where two parts are drawn.
    values = page.locator(".lightbox-cursor .value").all_inner_texts()
    assert len(values) == len(DRAWN) - 2 + 1, "not the figure under the mouse, nor eight channels"
    page.screenshot(path=str(ARTEFACTS / "latents-cursor.png"))
    page.mouse.move(2, 2)
    wait_for_value(lambda: lines(page, "hovered"), 0)


def test_the_slider_moves_the_line_of_every_figure_and_the_pictures(page: Page) -> None:
    assert places(page, "selected") == [2.0] * len(DRAWN)
    before = page.get_by_alt_text("Predicted x0").get_attribute("src")
    slider = page.get_by_role("slider", name="Step")
    slider.focus()
    slider.press("ArrowRight")
    wait_for_value(lambda: places(page, "selected"), [3.0] * len(DRAWN))
    page.get_by_text("Step 3 of 5").wait_for()
    wait_until(
        lambda: page.get_by_alt_text("Predicted x0").get_attribute("src") != before, "a new x0"
    )
    page.wait_for_function("() => location.search.includes('latents_step=3')")


def test_the_cursor_rests_while_nothing_moves(page: Page) -> None:
    """Each change of the step ends the cursor before it: two would draw for ever, by turns."""
    slider = page.get_by_role("slider", name="Step")
    slider.focus()
    for step in (3, 4):
        slider.press("ArrowRight")
        page.get_by_text(f"Step {step} of 5").wait_for()
        wait_for_value(lambda step=step: places(page, "selected"), [float(step)] * len(DRAWN))
    settle(page)
    changes = page.evaluate(
        """() => new Promise(done => {
          let changes = 0
          const observer = new MutationObserver(records => (changes += records.length))
          for (const layer of document.querySelectorAll(".lightbox-cursor")) {
            observer.observe(layer, { childList: true })
          }
          setTimeout(() => done(changes), 1000)
        })"""
    )
    assert changes == 0


def test_a_click_on_a_curve_chooses_its_run_and_its_step(page: Page) -> None:
    x, y = point(page, "x0_rms", 1, 7)
    page.mouse.move(x, y)
    # Not on the channels, which are those of the run in view: it has no step 7.
    wait_for_value(lambda: places(page, "hovered"), [7.0] * (len(DRAWN) - 1))
    page.mouse.click(x, y)
    page.get_by_text("Step 7 of 8").wait_for()
    wait_for_value(lambda: places(page, "selected"), [7.0] * len(DRAWN))
    drawn = page.locator(".st-key-latents-figure-channels .js-plotly-plot")
    assert drawn.evaluate("plot => plot.data[0].meta.run") == 1, "the channels of that run"


def test_the_line_follows_another_axis(page: Page) -> None:
    """Over log-SNR a step stands where the run in view has it, at the same place everywhere."""
    page.get_by_role("radio", name="log-SNR").click()
    wait_until(lambda: set(places(page, "selected")) not in ({2.0}, set()), "the other axis")
    settle(page)
    wait_until(
        lambda: (found := places(page, "selected")) == found[:1] * len(DRAWN), "one place in all"
    )


def test_numbers_and_figures_come_home(page: Page, tmp_path: Path) -> None:
    for name, read in (("CSV", pandas.read_csv), ("Parquet", pandas.read_parquet)):
        with page.expect_download() as started:
            page.get_by_role("button", name=name, exact=True).click()
        path = tmp_path / started.value.suggested_filename
        started.value.save_as(path)
        assert len(read(path)) == sum(STEPS.values())
    with page.expect_download() as started:
        page.get_by_role("button", name="HTML").first.click()
    started.value.save_as(tmp_path / "figure.html")
    text = (tmp_path / "figure.html").read_text(encoding="utf-8")
    assert "Latent RMS" in text
    assert json.dumps("Guidance scale")[1:-1] in text


def test_it_fits_a_phone_and_the_dark(visitor: Visitor, page: Page, digests: list[str]) -> None:
    for path, name in (
        (f"/Latents?latents_images={','.join(digests)}", "latents"),
        ("/Schedulers", "schedulers"),
    ):
        small = visitor.open(path, width=400, height=800, color_scheme="dark")
        small.locator(".js-plotly-plot").first.wait_for()
        settle(small)
        small.screenshot(path=str(ARTEFACTS / f"{name}-phone-dark.png"), full_page=True)
        assert small.evaluate("document.documentElement.scrollWidth") <= 400


def test_the_step_stays_in_view_and_plots_are_wide(
    visitor: Visitor, page: Page, digests: list[str]
) -> None:
    address = f"/Latents?latents_show=All&latents_images={','.join(digests)}"
    for width, height in ((1440, 900), (1000, 900), (400, 850)):
        opened = visitor.open(address, width=width, height=height)
        opened.locator(".js-plotly-plot").nth(len(DRAWN) - 1).wait_for()
        settle(opened)
        widths = opened.evaluate(
            "[...document.querySelectorAll('.js-plotly-plot')].map(plot => plot.clientWidth)"
        )
        assert min(widths) >= 320, (width, widths)
        if width == 1440:
            opened.locator(".js-plotly-plot").last.scroll_into_view_if_needed()
            settle(opened)
            for shown in (
                opened.get_by_role("slider", name="Step"),
                opened.get_by_alt_text("Predicted x0"),
            ):
                box = shown.bounding_box()
                assert box is not None
                assert 0 <= box["y"] < height / 2
            opened.screenshot(path=str(ARTEFACTS / "latents-pinned.png"))


def test_on_a_phone_the_slider_is_above_the_figures(visitor: Visitor, digests: list[str]) -> None:
    small = visitor.open(f"/Latents?latents_images={digests[0]}", width=400, height=850)
    small.locator(".js-plotly-plot").first.wait_for()
    settle(small)
    slider = small.get_by_role("slider", name="Step").bounding_box()
    picture = small.get_by_alt_text("Predicted x0").bounding_box()
    figure = small.locator(".js-plotly-plot").first.bounding_box()
    assert slider is not None
    assert picture is not None
    assert figure is not None
    assert slider["y"] < picture["y"] < figure["y"]
