"""How fast sweeps are on the bundled model, against diffusers.

python -m benchmarks.sweep [--repeats 5] [--busy]

Each sweep against (A) a plain loop over diffusers' pipeline, one call a cell, and (B) diffusers'
own batched call where its API allows one (it takes lists of prompts and generators, but one
guidance scale and one number of steps a call). Same process, interleaved, medians of the repeats.

The last line is one JSON object. Aims: every `speedup_*_loop` 1.8 or more, every
`speedup_*_batched` at least 1, `unet_share_16` (the bare UNet's time at the same rows over the
engine's) at least 0.95, `first_preview_seconds` below 0.3, and `interval_time_share` (16 cells
guided in half of their steps over 16 guided throughout) within a tenth of `interval_rows_share`,
which the plan promises.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import Clock, clock_of, paired, parser_of, report, timed
from core.diffusion.engine import Engine
from core.diffusion.events import Finished, Request
from core.diffusion.models.load import LoadedModel, load_model
from core.diffusion.settings import GenerationSettings
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker.model.source import LocalModels
from core.runs.worker.progress import PREVIEWS_PER_SECOND
from core.runs.worker.worker import Worker
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import Sweep
from core.sweeps.work import work_of

GROWTH = (1, 2, 4, 8, 16, 32, 64)


def sweeps(base: GenerationSettings) -> dict[str, Sweep]:
    return {
        "guidance_16": Sweep(base=base, x=parse_axis("guidance_scale", "1.5-9 (+0.5)")),
        "steps_9": Sweep(base=base, x=parse_axis("num_inference_steps", "10-50 (+5)")),
        "seeds_16": Sweep(base=base, x=parse_axis("seed", "1-16")),
        "guidance_by_seed_16": Sweep(
            base=base,
            x=parse_axis("guidance_scale", "2, 4, 6, 8"),
            y=parse_axis("seed", "1-4"),
        ),
    }


class Loaded(LocalModels):
    """A model that is in memory already."""

    def __init__(self, model: LoadedModel, store: Store) -> None:
        super().__init__(store.inputs.read)
        self._model = model

    def load(self, source: str) -> LoadedModel:
        return self._model


class Bench:
    def __init__(self) -> None:
        self.model = load_model("bundled", device="cpu")
        self.engine = Engine(self.model)
        self.pipe = self.model.pipeline()
        info = self.model.info
        self.base = GenerationSettings(
            prompt="a red apple on a blue background, flat style",
            width=info.default_width,
            height=info.default_height,
            num_inference_steps=20,
            guidance_scale=info.default_guidance_scale,
            scheduler=info.default_scheduler,
        )

    def call(self, cells: Sequence[GenerationSettings]) -> object:
        """One call of diffusers' pipeline for cells that differ in their seeds alone."""
        first = cells[0]
        return self.pipe(
            prompt=[cell.prompt for cell in cells],
            width=first.width,
            height=first.height,
            num_inference_steps=first.num_inference_steps,
            guidance_scale=first.guidance_scale,
            generator=[torch.Generator("cpu").manual_seed(cell.seed) for cell in cells],
        ).images

    def loop(self, cells: Sequence[GenerationSettings]) -> None:
        for cell in cells:
            self.call([cell])

    def batched(self, cells: Sequence[GenerationSettings]) -> None:
        """As few calls as diffusers' API allows."""
        groups: dict[GenerationSettings, list[GenerationSettings]] = {}
        for cell in cells:
            groups.setdefault(replace(cell, seed=0), []).append(cell)
        for group in groups.values():
            self.call(group)

    def compare(self, repeats: int, clock: Clock) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        for name, sweep in sweeps(self.base).items():
            cells = [cell.settings for cell in sweep.cells()]
            runs = {
                f"{name} engine": lambda n, cells=cells: self.engine.generate(cells),
                f"{name} loop": lambda n, cells=cells: self.loop(cells),
                f"{name} batched": lambda n, cells=cells: self.batched(cells),
            }
            found = timed(runs, repeats, clock)
            ours = found[f"{name} engine"]
            figures[f"seconds_{name}"] = statistics.median(ours)
            figures[f"speedup_{name}_loop"] = paired(found[f"{name} loop"], ours)
            figures[f"speedup_{name}_batched"] = paired(found[f"{name} batched"], ours)
        return figures

    def guidance(self, repeats: int, clock: Clock) -> dict[str, Any]:
        """An interval against guidance throughout, and eight cells of four methods at once."""
        whole = [replace(self.base, seed=seed) for seed in range(16)]
        half = [replace(cell, guidance_start=0.2, guidance_end=0.7) for cell in whole]
        methods = [
            replace(self.base, guidance_method=name, seed=seed)
            for name in ("CFG", "APG", "CFG-Zero*", "PAG")
            for seed in (1, 2)
        ]
        runs = {
            "interval": lambda n: self.engine.generate(half),
            "throughout": lambda n: self.engine.generate(whole),
            "methods at once": lambda n: self.engine.generate(methods),
            "methods in turn": lambda n: [self.engine.generate([cell]) for cell in methods],
        }
        found = timed(runs, repeats, clock)
        infos = {self.base.model: self.model.info}
        return {
            "interval_rows_share": work_of(half, infos) / work_of(whole, infos),
            "interval_time_share": paired(found["interval"], found["throughout"]),
            "speedup_methods_8": paired(found["methods in turn"], found["methods at once"]),
        }

    def growth(self, repeats: int, clock: Clock) -> dict[str, Any]:
        """Seconds a cell from 1 to 64 cells (two rows each): where batching stops paying."""
        runs = {
            f"{count} cells": lambda n, count=count: self.engine.generate(
                [replace(self.base, seed=seed) for seed in range(count)]
            )
            for count in GROWTH
        }
        found = timed(runs, max(repeats // 2, 1), clock)
        return {
            "seconds_a_cell": {
                str(count): round(statistics.median(found[f"{count} cells"]) / count, 4)
                for count in GROWTH
            }
        }

    def share_of_unet(self, repeats: int, clock: Clock) -> dict[str, Any]:
        """The bare UNet on as many rows, as often, over the whole engine: what else there is."""
        cells = [replace(self.base, seed=seed) for seed in range(16)]
        sample = torch.randn(32, 4, self.base.height // 8, self.base.width // 8)
        width = self.model.unet.config.cross_attention_dim
        embeddings = torch.randn(32, 77, width)

        @torch.no_grad()
        def bare(n: int) -> None:
            for step in range(self.base.num_inference_steps):
                self.model.unet(sample, torch.full((32,), 10.0 * step), embeddings)

        @torch.no_grad()
        def decoding(n: int) -> None:
            for seed in range(16):
                self.engine.decode(sample[seed : seed + 1])

        runs = {
            "bare UNet, 32 rows": bare,
            "decoding, 16 images": decoding,
            "engine, 16 cells": lambda n: self.engine.generate(cells),
        }
        found = timed(runs, repeats, clock)
        whole = found["engine, 16 cells"]
        return {
            "unet_share_16": paired(found["bare UNet, 32 rows"], whole),
            "decode_share_16": paired(found["decoding, 16 images"], whole),
        }

    def first_sight(self, repeats: int) -> dict[str, Any]:
        """Through queue and worker: from the click to the first preview and the first image."""
        previews: list[float] = []
        images: list[float] = []
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            queue = Queue(store)
            worker = Worker(store, Loaded(self.model, store))
            worker.start()
            try:
                for repeat in range(-1, repeats):
                    time.sleep(1 / PREVIEWS_PER_SECOND)  # the last sweep's count for that long
                    cells = [replace(self.base, seed=1000 * (repeat + 2) + n) for n in range(16)]
                    preview, image = self._watch(queue, store, cells)
                    if repeat >= 0:
                        previews.append(preview)
                        images.append(image)
            finally:
                worker.stop()
        return {
            "first_preview_seconds": statistics.median(previews),
            "first_image_seconds": statistics.median(images),
        }

    def _watch(
        self, queue: Queue, store: Store, cells: Sequence[GenerationSettings]
    ) -> tuple[float, float]:
        start = time.perf_counter()
        job_id = queue.submit(cells, owner="benchmark", token=uuid.uuid4().hex, watched=True)
        preview = image = 0.0
        for job in queue.follow(job_id, every=0.01):
            queue.watch(job_id)
            now = time.perf_counter() - start
            if not preview and any(
                queue.preview(job_id, position) for position in range(len(cells))
            ):
                preview = now
            if not image and job.done_cells:
                image = now
        return preview, image


def first_in_the_engine(bench: Bench) -> float:
    """Seconds to the first finished cell of 16 in the engine alone."""
    start = time.perf_counter()
    requests = [Request(key=str(n), settings=replace(bench.base, seed=n)) for n in range(16)]
    for event in bench.engine.run(requests):
        if isinstance(event, Finished):
            return time.perf_counter() - start
    raise RuntimeError("no cell finished")


def main() -> int:
    options = parser_of(__doc__).parse_args()
    clock = clock_of(options)
    bench = Bench()
    figures = bench.compare(options.repeats, clock)
    figures |= bench.guidance(options.repeats, clock)
    figures |= bench.share_of_unet(options.repeats, clock)
    figures |= bench.growth(options.repeats, clock)
    figures |= bench.first_sight(options.repeats)
    figures["first_finished_seconds"] = first_in_the_engine(bench)
    report("sweep", options, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
