"""What recording a run costs: its numbers at every step, and the tensors besides.

python -m benchmarks.trajectory [--repeats 5] [--steps 20] [--busy]

One image and a batch of 16 on the bundled model, recording nothing, norms and latents, in one
process and interleaved, so that whatever else the machine does hits all alike; figures are medians
of the repeats' ratios. `norms_seconds` times the measuring itself within a run: a share of a busy
machine's noise it is not. On a machine that does other work, `--busy` counts the seconds of CPU of
one thread instead of the clock's.

The last line is one JSON object. Aims: `norms_cost` and `norms_share` at most 0.02, `latents_cost`
at most 0.05.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.timing import Clock, clock_of, paired, parser_of, report, timed
from core.diffusion.engine import Engine
from core.diffusion.models.load import load_model
from core.diffusion.sampling import batch, recording
from core.diffusion.settings import GenerationSettings

ROWS = 16


def measure(repeats: int, steps: int, clock: Clock) -> dict[str, Any]:
    model = load_model("bundled", device="cpu")
    info = model.info
    engine = Engine(model)
    base = GenerationSettings(
        prompt="a red apple, flat style",
        width=info.default_width,
        height=info.default_height,
        num_inference_steps=steps,
        guidance_scale=info.default_guidance_scale,
        scheduler=info.default_scheduler,
    )

    def run(count: int, record: Any) -> Callable[[int], object]:
        def once(repeat: int) -> object:
            first = ROWS * (repeat + 1)
            wanted = [replace(base, seed=first + index) for index in range(count)]
            return engine.generate(wanted, record=record)

        return once

    figures: dict[str, Any] = {"steps": steps}
    for count in (1, ROWS):
        runs = {f"{record}, {count}": run(count, record) for record in ("none", "norms", "latents")}
        seconds = timed(runs, repeats, clock)
        none, norms, latents = seconds.values()
        end = "_one" if count == 1 else ""
        figures |= {
            f"none_seconds{end}": statistics.median(none),
            f"norms_cost{end}": paired(norms, none) - 1,
            f"latents_cost{end}": paired(latents, none) - 1,
        }
    spent, whole = time_of_measuring(run(1, "norms"), repeats, clock)
    figures |= {"norms_seconds": spent, "norms_share": spent / whole}
    return figures


def time_of_measuring(
    once: Callable[[int], object], repeats: int, clock: Clock
) -> tuple[float, float]:
    """Seconds that one image spends in `measure` and `build_records`, and seconds it takes in all:
    medians.
    """
    spent: list[float] = []
    places: tuple[tuple[Any, str], ...] = ((batch, "measure"), (recording, "build_records"))
    kept = [(module, name, getattr(module, name)) for module, name in places]

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            start = clock()
            try:
                return function(*args, **options)
            finally:
                spent[-1] += clock() - start

        return call

    whole: list[float] = []
    try:
        for module, name, function in kept:
            setattr(module, name, watched(function))
        for repeat in range(repeats):
            spent.append(0.0)
            start = clock()
            once(repeat)
            whole.append(clock() - start)
    finally:
        for module, name, function in kept:
            setattr(module, name, function)
    return statistics.median(spent), statistics.median(whole)


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    report("trajectory", options, measure(options.repeats, options.steps, clock_of(options)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
