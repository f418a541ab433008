"""How fast images are made on the bundled model, and how fast the app starts.

python -m benchmarks.generate [--repeats 5] [--skip-startup] [--busy]

Everything runs in one process, interleaved, so that whatever else the machine does hits all
alike; figures are medians of the repeats. On a machine that does other work, `--busy` counts the
seconds of CPU of one thread instead of the clock's.

The last line is one JSON object. Aims: `ratio_one` at most 1.05, `speedup_16` 1.8, `norms_cost` at
most 0.02, `startup_seconds` below 10, `first_image_seconds` below 5.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import Clock, clock_of, paired, parser_of, report, timed
from core.diffusion.engine import Engine
from core.diffusion.models.load import load_model
from core.diffusion.settings import GenerationSettings
from core.runs.store.store import Store

ROOT = Path(__file__).resolve().parents[1]
ROWS = 16


def measure_images(repeats: int, clock: Clock) -> dict[str, Any]:
    model = load_model("bundled", device="cpu")
    info = model.info
    engine = Engine(model)
    pipe = model.pipeline()
    base = GenerationSettings(
        width=info.default_width,
        height=info.default_height,
        num_inference_steps=20,
        guidance_scale=info.default_guidance_scale,
        scheduler=info.default_scheduler,
    )

    def wanted(repeat: int, name: str) -> GenerationSettings:
        # A prompt of its own each time: the engine would know the embedding of a repeated one.
        return replace(base, prompt=f"a red apple, flat style {repeat} {name}", seed=repeat + 1)

    def by_pipeline(settings: GenerationSettings) -> object:
        return pipe(
            prompt=settings.prompt,
            width=settings.width,
            height=settings.height,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(settings.seed),
        ).images[0]

    def seeds(settings: GenerationSettings) -> list[GenerationSettings]:
        return [replace(settings, seed=settings.seed + offset) for offset in range(ROWS)]

    one = timed(
        {
            "pipeline, one": lambda n: by_pipeline(wanted(n, "pipeline")),
            "engine, one": lambda n: engine.generate([wanted(n, "engine")]),
            "without norms, one": lambda n: engine.generate([wanted(n, "bare")], record="none"),
        },
        repeats,
        clock,
    )
    many = timed(
        {
            "pipeline, 16": lambda n: [by_pipeline(each) for each in seeds(wanted(n, "pipeline"))],
            "engine, 16": lambda n: engine.generate(seeds(wanted(n, "engine"))),
            "without norms, 16": lambda n: engine.generate(seeds(wanted(n, "bare")), record="none"),
        },
        repeats,
        clock,
    )
    medians = {name: statistics.median(values) for name, values in (one | many).items()}
    return {
        "pipeline_one_seconds": medians["pipeline, one"],
        "engine_one_seconds": medians["engine, one"],
        "ratio_one": paired(one["engine, one"], one["pipeline, one"]),
        "pipeline_16_seconds": medians["pipeline, 16"],
        "engine_16_seconds": medians["engine, 16"],
        "speedup_16": paired(many["pipeline, 16"], many["engine, 16"]),
        "norms_cost_one": paired(one["engine, one"], one["without norms, one"]) - 1,
        "norms_cost": paired(many["engine, 16"], many["without norms, 16"]) - 1,
    }


def measure_startup() -> dict[str, Any]:
    """From `make run` to a page one can use, and from there to the first image in the store.

    In a fresh data folder, with Chromium as the visitor; empty where there is none.
    """
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        print("no Chromium or Playwright here: startup is not measured")
        return {"startup_seconds": None, "first_image_seconds": None}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        own = {
            "LIGHTBOX_DATA": folder,
            "STREAMLIT_SERVER_PORT": port,
            "STREAMLIT_SERVER_HEADLESS": "true",
        }
        start = time.perf_counter()
        server = subprocess.Popen(
            ["make", "run"],
            cwd=ROOT,
            env=os.environ | own,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_for(lambda: answers(port), 60)
            served = time.perf_counter() - start
            page.goto(f"http://127.0.0.1:{port}/Generate")
            prompt = page.get_by_role("textbox", name="Prompt", exact=True)
            prompt.wait_for(timeout=60_000)
            usable = time.perf_counter() - start
            prompt.fill("a red apple on a blue background, flat style")
            asked = time.perf_counter()
            prompt.press("Control+Enter")
            store = Store(Path(folder))
            wait_for(lambda: store.count() > 0, 120)
            first = time.perf_counter() - asked
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)
            browser.close()
    return {
        "served_seconds": served,
        "startup_seconds": usable,
        "first_image_seconds": first,
    }


def answers(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def wait_for(is_true: Callable[[], bool], seconds: float) -> None:
    deadline = time.perf_counter() + seconds
    while not is_true():
        if time.perf_counter() > deadline:
            raise TimeoutError(f"nothing after {seconds} s")
        time.sleep(0.02)


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--skip-startup", action="store_true")
    options = parser.parse_args()
    figures = measure_images(options.repeats, clock_of(options))
    if not options.skip_startup:
        figures |= measure_startup()
    report("generate", options, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
