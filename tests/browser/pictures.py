"""Takes the pictures of the app that the README and the home page show, into ui/assets.

    python -m tests.browser.pictures

Starts the app on an empty folder, generates with the bundled model, and looks at each page.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from dataclasses import replace
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
from ui.catalog import (
    ASSETS,
    FILM,
    GALLERY,
    GENERATE,
    IMAGE_TO_IMAGE,
    LATENTS,
    SCHEDULER_LAB,
    STEPS,
    VARIATIONS,
)

SIZE = {"width": 1280, "height": 800}
TALL = {"width": 1280, "height": 900}
CARD_WIDTH = 800
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
        page.set_viewport_size({"width": SIZE["width"], "height": SIZE["height"]})
        save(page, GENERATE.picture, CARD_WIDTH)
        save(visitor.open("/Gallery", **SIZE), GALLERY.picture, CARD_WIDTH)
        film(visitor, server, shown)
        take_apart(visitor)
        make_variations(visitor, server)
        lay_over(visitor, server, shown)
        save(visitor.open("/Schedulers", **SIZE), SCHEDULER_LAB.picture, CARD_WIDTH)
        noise_a_picture(visitor)
        page = visitor.open("/Sweep", **SIZE)
        page.get_by_role("button", name="Guidance × Steps").click()
        wait_until(lambda: len(server.queue.jobs()) > 1, "the sweep to begin")
        wait_until(lambda: server.newest_job().is_over, "the sweep", 600)
        page.get_by_text("nothing to compute").wait_for()
        settle(page)
        save(page, ASSETS / "sweep.png", CARD_WIDTH)
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


def noise_a_picture(visitor: Visitor) -> None:
    """A strip of strengths, as far as it shows what each one starts from."""
    parameters = {
        "img2img_view": "Strength strip",
        "img2img_sample": "Face",
        "img2img_strengths": "0.2, 0.35, 0.5, 0.65, 0.8",
        "img2img_prompt": "a red apple on a blue background, glossy style",
    }
    page = visitor.open(f"/Image_to_image?{urlencode(parameters)}", **SIZE)
    page.get_by_role("button", name="Run 5 pictures").click()
    page.get_by_text("nothing to compute").wait_for()
    page.locator("img[alt='What strength 0.8 starts from']").wait_for()
    settle(page)
    save(page, IMAGE_TO_IMAGE.picture, CARD_WIDTH)


def film(visitor: Visitor, server: Server, shown: GenerationSettings) -> None:
    """A third of the way: where the prediction is a picture, and the latents are noise still."""
    job_id = server.queue.submit([shown], owner="pictures", token="film", record="latents")
    wait_until(lambda: (job := server.queue.job(job_id)) is not None and job.is_over, "the film")
    (cell,) = server.queue.cells(job_id)
    page = visitor.open(f"/Film?film_images={cell.digest}&film_frame=7", **SIZE)
    page.wait_for_function("document.querySelector('video')?.readyState >= 2")
    page.locator("video").evaluate(
        "video => { video.pause(); video.controls = false; video.currentTime = 0.8; }"
    )
    page.wait_for_function("!document.querySelector('video').seeking")
    settle(page)
    save(page, FILM.picture, CARD_WIDTH)


def lay_over(visitor: Visitor, server: Server, shown: GenerationSettings) -> None:
    """Guidance 1 to 15 over log-SNR: fifteen curves, coloured by guidance."""
    wanted = [replace(shown, guidance_scale=float(scale)) for scale in range(1, 16)]
    job_id = server.queue.submit(wanted, owner="pictures", token="latents", record="latents")
    wait_until(lambda: (job := server.queue.job(job_id)) is not None and job.is_over, "runs", 900)
    digests = [cell.digest for cell in server.queue.cells(job_id) if cell.digest]
    query = f"latents_along=log-SNR&latents_step=8&latents_images={','.join(digests)}"
    page = visitor.open(f"/Latents?{query}", **SIZE)
    page.locator(".lightbox-cursor .line.selected").first.wait_for()
    settle(page)
    save(page, LATENTS.picture, CARD_WIDTH)


def take_apart(visitor: Visitor) -> None:
    """The guidance of one call, with another scale than the run's."""
    page = visitor.open("/Step_by_step?steps_call=8&steps_scale=12", **SIZE)
    heading = page.get_by_text("4 · Guidance is a vector")
    heading.wait_for(timeout=120_000)
    settle(page)
    heading.evaluate("heading => heading.scrollIntoView({ block: 'start' })")
    page.wait_for_timeout(1000)  # Plotly draws once it is seen
    save(page, STEPS.picture, CARD_WIDTH)


def make_variations(visitor: Visitor, server: Server) -> None:
    """A ladder that goes all the way from one seed's lion to another's."""
    lion = next(one for one in server.store.search("lion") if not one.parent)
    address = urlencode(
        {
            "variations_images": lion.digest,
            "variations_layout": "Ladder",
            "variations_amounts": "0.2-1 [5]",
            "variations_children": 5,
        }
    )
    page = visitor.open(f"/Variations?{address}", **SIZE)
    page.get_by_role("button", name="Make 25 children").click()
    page.get_by_text("nothing to compute").wait_for(timeout=600_000)
    settle(page)
    save(page, VARIATIONS.picture, CARD_WIDTH)


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
