"""How fast real architectures are on this device, against plain diffusers and the bare UNet.

python -m benchmarks.gpu [--repeats 5] [--only seeds] [--compile] [--peak-tflops 989]

The models have SD 1.5's, SD-Turbo's and SDXL's published configurations and random weights: nothing
is downloaded. All in one process, interleaved, synchronised and warmed; figures are medians. On
CUDA in bfloat16 at full size; on a CPU with narrow models, few steps and small pictures, which says
that the script runs, and nothing of a GPU.

A is diffusers' pipeline, one picture a call; B its batched call where one call can hold the work
(equal settings but for the seed); C our engine as the app runs it, norms recorded; R the bare UNet
at the same rows and calls. A' and D are A and C with a compiled UNet (`--compile`). Aims: C at
least 2.5 times A on SD 1.5 at 16 cells, 0.95 of R; D 40 % of the card's dense rate; SDXL never
slower than A.

The last line is one JSON object.
"""

from __future__ import annotations

import gc
import os
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.random_models import random_model
from benchmarks.timing import parser_of, report, timed
from core.diffusion.engine import Engine
from core.diffusion.events import Finished, Request, Stepped
from core.diffusion.models.load import LoadedModel
from core.diffusion.recipe.schedule import unet_calls
from core.diffusion.sampling.compute.compiled import compiled_unet
from core.diffusion.settings import GenerationSettings
from core.sweeps.work import runs_of

TERAFLOP = {"SD 1.x": (0.803, 2.52), "SD-Turbo": (0.803, 2.52), "SDXL": (6.76, 10.08)}
"""Of one UNet row and one decoding at full size; SDXL's VAE is SD's on four times the pixels."""

PEAKS = {
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "A100": 312.0,
    "RTX 4090": 165.0,
    "L4": 121.0,
}
"""Dense bfloat16 teraflops a second, from the makers' data sheets; the first that is in a name."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One measurement: a family at a size, and the cells."""

    family: str
    side: int
    cells: tuple[GenerationSettings, ...]


def works(is_small: bool) -> dict[str, Work]:
    """The six works, or their like for a CPU."""
    side, large = (64, 64) if is_small else (512, 1024)
    steps, most = (3, 4) if is_small else (30, 64)
    base = GenerationSettings(
        prompt="a red apple",
        width=side,
        height=side,
        num_inference_steps=steps,
        guidance_scale=7.5,
        scheduler="DDIM",
    )
    count = min(16, most)
    source = replace(base, init_image="5e" * 32)
    turbo = replace(base, num_inference_steps=1, guidance_scale=1.0, scheduler="Euler")
    xl = replace(base, width=large, height=large)
    lengths = (2, 3) if is_small else (10, 20, 30, 40, 50)
    # Each runs at least one step: diffusers' pipeline has no picture of none.
    strengths = (0.4, 0.7, 1.0) if is_small else tuple((i + 1) / 10 for i in range(10))
    cells: dict[str, tuple[str, int, list[GenerationSettings]]] = {
        "guidance": ("SD 1.x", side, [replace(base, guidance_scale=2.0 + i) for i in range(count)]),
        "steps": ("SD 1.x", side, [replace(base, num_inference_steps=n) for n in lengths]),
        "seeds": ("SD 1.x", side, [replace(base, seed=i) for i in range(count)]),
        "strengths": (
            "SD 1.x",
            side,
            [replace(source, strength=strength) for strength in strengths],
        ),
        "turbo": ("SD-Turbo", side, [replace(turbo, seed=i) for i in range(most)]),
        "sdxl": ("SDXL", large, [replace(xl, seed=i) for i in range(4 if most > 4 else 2)]),
    }
    return {
        name: Work(family=family, side=size, cells=tuple(settings))
        for name, (family, size, settings) in cells.items()
    }


def by_pipeline(model: LoadedModel, cells: tuple[GenerationSettings, ...]) -> Any:
    """One call of diffusers' pipeline: one cell, or several that differ in seed alone."""
    first = cells[0]
    arguments: dict[str, Any] = {"width": first.width, "height": first.height}
    if first.init_image:
        arguments = {"image": _picture(first.init_image), "strength": first.strength}
    pipe = model.pipeline(first.scheduler, image_to_image=bool(first.init_image))
    return pipe(
        prompt=[one.prompt for one in cells],
        num_inference_steps=first.num_inference_steps,
        guidance_scale=first.guidance_scale,
        generator=[torch.Generator("cpu").manual_seed(one.seed) for one in cells],
        output_type="pil",
        **arguments,
    ).images


def _array(side: int) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (side, side, 3))
    return values.astype(np.uint8)


_SOURCES: dict[str, np.ndarray] = {}


def _read(digest: str) -> np.ndarray:
    return _SOURCES[digest]


def _picture(digest: str) -> Any:
    from PIL import Image

    return Image.fromarray(_SOURCES[digest])


def bare_unet(model: LoadedModel, cells: tuple[GenerationSettings, ...]) -> None:
    """The UNet alone, as often and with as many rows as the cells need together."""
    family = model.info.family
    rows = [family.rows(one) for one in cells]
    calls = [unet_calls(one, model.info.scheduler_config) for one in cells]
    options: dict[str, Any] = {"device": model.device, "dtype": model.dtype}
    width = model.unet.config.cross_attention_dim
    side = cells[0].width // 8
    for call in range(max(calls)):
        count = sum(n for n, total in zip(rows, calls, strict=True) if call < total)
        added = None
        if family.base == "SDXL":
            pooled = model.text_encoder_2.config.projection_dim
            added = {
                "text_embeds": torch.zeros(count, pooled, **options),
                "time_ids": torch.zeros(count, 6, **options),
            }
        with torch.no_grad():
            model.unet(
                torch.zeros(count, 4, side, side, **options),
                torch.full((count,), 500.0, device=model.device),
                torch.zeros(count, 77, width, **options),
                added_cond_kwargs=added,
                return_dict=False,
            )


def first_times(model: LoadedModel, cells: tuple[GenerationSettings, ...]) -> dict[str, float]:
    """Seconds to the first preview and the first finished picture of the batch."""
    engine = Engine(model, inputs=_read)
    start = time.perf_counter()
    found: dict[str, float] = {}
    requests = (Request(key=str(i), settings=one) for i, one in enumerate(cells))
    for event in engine.run(requests, preview=lambda key: True):
        if isinstance(event, Stepped) and event.preview is not None:
            found.setdefault("first_preview_seconds", time.perf_counter() - start)
        if isinstance(event, Finished):
            found.setdefault("first_image_seconds", time.perf_counter() - start)
    return found


def measure(work: Work, options: Any, device: str, peak: float | None) -> dict[str, Any]:
    """One work's table; the model lives no longer than this call."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    is_small = device != "cuda"
    model = random_model(work.family, side=work.side, device=device, dtype=dtype, narrow=is_small)
    _SOURCES["5e" * 32] = _array(work.side)
    cells = work.cells

    def synchronised(run: Callable[[], object]) -> Callable[[int], object]:
        def timed_run(repeat: int) -> None:
            run()
            if device == "cuda":
                torch.cuda.synchronize()

        return timed_run

    def ours() -> None:
        Engine(model, inputs=_read).generate(list(cells))

    def ours_compiled() -> None:
        with patch.dict(os.environ, {"LIGHTBOX_COMPILE": "1"}):
            ours()
            made = compiled_unet(model)
            assert made is not None
            if not made.wait():
                raise SystemExit("The compiled UNet was refused: see the message above.")

    runs: dict[str, Callable[[int], object]] = {
        "A": synchronised(lambda: [by_pipeline(model, (one,)) for one in cells]),
        "C": synchronised(ours),
        "R": synchronised(lambda: bare_unet(model, cells)),
    }
    if len({replace(one, seed=0) for one in cells}) == 1:
        runs["B"] = synchronised(lambda: by_pipeline(model, cells))
    if options.compile:
        compiled = replace(model, unet=torch.compile(model.unet, dynamic=False))
        runs["A'"] = synchronised(lambda: [by_pipeline(compiled, (one,)) for one in cells])
        runs["D"] = synchronised(ours_compiled)
    seconds = timed(runs, options.repeats, time.perf_counter)
    middle = {name: statistics.median(found) for name, found in seconds.items()}
    row, decode = TERAFLOP[work.family]
    calls = sum(rows for _, rows in runs_of(cells, {cells[0].model: model.info}))
    unet_teraflop = calls * row
    whole_teraflop = unet_teraflop + len(cells) * decode
    figures: dict[str, Any] = {"cells": len(cells), "unet_rows": calls}
    figures |= {f"cells_per_second_{name}": len(cells) / s for name, s in middle.items()}
    figures |= {"C_over_A": middle["A"] / middle["C"], "C_over_R": middle["R"] / middle["C"]}
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    figures |= first_times(model, cells)
    if device == "cuda":
        figures["peak_bytes"] = torch.cuda.max_memory_allocated()
    if peak and not is_small:
        figures |= {
            f"share_{name}": (unet_teraflop if name == "R" else whole_teraflop) / s / peak
            for name, s in middle.items()
        }
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--only", action="append", help="one of the works, may be repeated")
    parser.add_argument("--compile", action="store_true", help="A' and D: takes minutes to warm")
    parser.add_argument("--peak-tflops", type=float, help="the card's dense bfloat16 rate")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    known = next((rate for card, rate in PEAKS.items() if re.search(rf"\b{card}\b", name)), None)
    peak = options.peak_tflops or known
    table = works(is_small=device != "cuda")
    wanted = options.only or list(table)
    figures: dict[str, Any] = {}
    for work in wanted:
        print(f"{work} on {name}", flush=True)
        figures[work] = measure(table[work], options, device, peak)
        gc.collect()  # the closures over the model stand in a circle
        if device == "cuda":
            torch.cuda.empty_cache()
    is_full = device == "cuda"
    report("gpu", options, {"device": name, "full_size": is_full, "peak_tflops": peak} | figures)


if __name__ == "__main__":
    main()
