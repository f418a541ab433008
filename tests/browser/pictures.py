"""Takes the pictures of the app that the README shows, into ui/assets.

    python -m tests.browser.pictures

Starts the app on an empty folder, generates with the bundled model, and looks at each page.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from core.diffusion.models.load import BUNDLED, describe
from core.diffusion.settings import GenerationSettings
from tests.browser.conftest import (
    ARTEFACTS,
    CHROMIUM_ARGUMENTS,
    CHROMIUM_NAMES,
    Server,
    Visitor,
    serve,
    settle,
    wait_until,
)
from ui.catalog import ASSETS

SIZE = {"width": 1280, "height": 800}
TALL = {"width": 1280, "height": 900}
SEED = 3
PROMPTS = [
    "a red apple on a blue background, flat style",
    "glossy robot, yellow background",
    "a detailed owl on purple",
    "pink background, flat penguin",
    "a glossy emoji of a rocket on a black background",
    "sunflower, detailed style, green background",
    "a small ghost on an orange background, glossy style",
    "a flat pizza on a white background",
    "a glossy cat on a red background",
    "detailed house, blue background",
    "a flat lion on a green background",
    "a glossy strawberry on a yellow background",
]


def main() -> None:
    found = next(path for name in CHROMIUM_NAMES if (path := shutil.which(name)))
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder), ARTEFACTS / "pictures-server.log") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM_ARGUMENTS)
        visitor = Visitor(browser, server.url)
        visitor.open("/")  # the first page starts the worker
        shown = make(server)
        page = visitor.open(f"/Generate?{query(shown)}", **TALL)
        save(page, ASSETS / "app.png", TALL["width"])
        page = visitor.open("/Sweep", width=SIZE["width"], height=1250)
        page.get_by_role("button", name="Guidance × Steps").click()
        wait_until(lambda: len(server.queue.jobs()) > 1, "the sweep to begin")
        wait_until(lambda: server.newest_job().is_over, "the sweep", 600)
        page.get_by_text("nothing to compute").wait_for()
        settle(page)
        save(page, ASSETS / "sweep.png", SIZE["width"])
        visitor.close()
        browser.close()


def make(server: Server) -> GenerationSettings:
    """A picture a prompt; the last one is returned."""
    guidance = describe(BUNDLED).default_guidance_scale
    wanted = [
        GenerationSettings(prompt=prompt, seed=SEED, guidance_scale=guidance) for prompt in PROMPTS
    ]
    job_id = server.queue.submit(wanted, owner="pictures", token="pictures")

    def is_over() -> bool:
        job = server.queue.job(job_id)
        return job is not None and job.is_over

    wait_until(is_over, "the pictures", 900)
    return wanted[-1]


def query(one: GenerationSettings) -> str:
    return urlencode({"generate_prompt": one.prompt, "generate_seed": one.seed})


def save(page: Page, path: Path, width: int) -> None:
    page.mouse.move(0, 0)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    height = round(picture.height * width / picture.width)
    picture.resize((width, height), Image.Resampling.LANCZOS).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
