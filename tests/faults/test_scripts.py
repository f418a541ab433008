"""Scripts and beacons in every text that comes from outside: nothing runs, nothing is asked for."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page

from core.diffusion.models.load import describe
from core.diffusion.settings import GenerationSettings
from core.exports.report import write_html
from core.output.texts.infotext import write_png
from tests.browser.conftest import Server, Visitor, chromium, serve, settle
from tests.browser.test_exported_page import stored
from tests.core.output.sweep_doubles import grid_sweep
from tests.core.runs.doubles import generation
from tests.faults.campaign import Count, counted, tries

__all__ = ["chromium"]

HOST = "http://beacon.example"
RUN = "window.hacked=1"
WRAPPED = (
    "{}",
    "a cat {} on a hill",
    "</script>{}",
    "\"'>{}",
    "`{}`",
    "**{}**",
    "](x){}",
    "</textarea></title></style>{}",
    "$${}$$",
    "<!--{}-->",
)
SCRIPTS = (
    f"<script>{RUN}</script>",
    f"<img src=x onerror={RUN}>",
    f"<svg/onload={RUN}>",
    f"[click](javascript:{RUN})",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<img src={HOST}/a.png>",
    f"![beacon]({HOST}/b.png)",
    f"<link rel=stylesheet href={HOST}/c.css>",
    f"<style>@import '{HOST}/d.css';body{{background:url({HOST}/e.png)}}</style>",
    f"{{{{7*7}}}}{{% raw %}}<video src={HOST}/f.mp4 autoplay>",
)
PAYLOADS = [wrap.replace("{}", script) for wrap, script in itertools.product(WRAPPED, SCRIPTS)]


def chosen() -> list[str]:
    """All of them in the long form; ten that hold each script and each wrapping in the short."""
    few = [WRAPPED[n].replace("{}", SCRIPTS[n]) for n in range(len(SCRIPTS))]
    return PAYLOADS if tries(0, 1) else few


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("scripts")
    with serve(folder / "data", folder / "server.log") as running:
        yield running


def named(payload: str, seed: int) -> GenerationSettings:
    """A picture whose every text is the payload."""
    return GenerationSettings(
        prompt=payload,
        negative_prompt=payload,
        loras=f"{payload.replace(':', ' ').replace(',', ' ')}:0.5",
        seed=seed,
        num_inference_steps=4,
    )


def check(page: Page, visitor: Visitor, payload: str) -> None:
    settle(page)
    assert page.evaluate("window.hacked") is None, payload
    outside = [said for said in visitor.complaints if HOST in said]
    assert not outside, (payload, outside)


def visit(server: Server, visitor: Visitor, count: Count, payloads: list[str]) -> None:
    info = replace(describe("bundled"), name=payloads[0])
    digests = {
        payload: server.store.put(generation(named(payload, seed)), info).digest
        for seed, payload in enumerate(payloads)
    }
    for number in range(1, 2 + len(payloads) // 12):
        page = visitor.open(f"/Gallery?gallery_page={number}")
        with count.one():
            check(page, visitor, "the gallery")
        page.context.close()
    page = visitor.open("/")
    check(page, visitor, "home")
    for payload, digest in digests.items():
        for address in (
            f"/Gallery?gallery_open={digest}",
            f"/Variations?variations_images={digest}",
            f"/Film?film_images={digest}",
            "/Generate?" + urlencode({"generate_prompt": payload, "generate_loras": payload}),
            "/Sweep?"
            + urlencode(
                {
                    "sweep_prompt": payload,
                    "sweep_x": "Prompt search and replace",
                    "sweep_x_values": f'a, "{payload}"',
                }
            ),
        ):
            with count.one():
                page.goto(server.url + address)
                page.locator("h1").first.wait_for()
                check(page, visitor, f"{address}: {payload}")


@pytest.mark.timeout(3600)
def test_pages_run_no_script_and_ask_nobody(server: Server, chromium: Browser) -> None:
    visitor = Visitor(chromium, server.url)
    with counted("scripts and beacons on pages") as count:
        visit(server, visitor, count, chosen())
    visitor.close()
    assert "Traceback" not in server.log.read_text()


def test_a_dropped_picture_runs_no_script(
    server: Server, chromium: Browser, tmp_path: Path
) -> None:
    """Its text chunk and its own name."""
    chance = random.Random(1)
    visitor = Visitor(chromium, server.url)
    with counted("scripts and beacons in dropped pictures") as count:
        for payload in chance.sample(PAYLOADS, tries(2, 20)):
            made = generation(named(payload, 1))
            file = tmp_path / f"{payload.replace('/', '∕')[:100]}.png"
            file.write_bytes(
                write_png(made.image, made.settings, describe("bundled"), made.computed)
            )
            page = visitor.open("/Generate")
            with count.one():
                page.locator("input[type=file]").first.set_input_files(str(file))
                check(page, visitor, payload)
            page.context.close()
    visitor.close()


def test_an_exported_page_runs_no_script(chromium: Browser, tmp_path: Path) -> None:
    """Opened from disk, where nothing but the page itself protects its reader."""
    context = chromium.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with counted("scripts and beacons in exported pages") as count:
        for payload in chosen():
            sweep = grid_sweep()
            sweep = replace(
                sweep, base=replace(sweep.base, prompt=payload, negative_prompt=payload)
            )
            cells = stored(sweep, tmp_path)
            target = tmp_path / "page.html"
            target.write_bytes(write_html(sweep, cells, title=payload))
            with count.one():
                page.goto(target.as_uri())
                page.wait_for_load_state()
                assert page.evaluate("window.hacked") is None, payload
                assert not [url for url in asked if url.startswith("http")], payload
    context.close()


def test_a_script_that_runs_is_noticed(chromium: Browser, tmp_path: Path) -> None:
    """What the tests above look for does happen where nothing is escaped."""
    page = chromium.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    (tmp_path / "page.html").write_text(f"<p>{SCRIPTS[1]}{SCRIPTS[5]}</p>", encoding="utf-8")
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("window.hacked == 1")
    assert any(url.startswith(HOST) for url in asked)
    page.close()
