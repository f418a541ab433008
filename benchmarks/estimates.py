"""How far a sweep's estimated time is from the time that it takes.

python -m benchmarks.estimates [--repeats 2]

The sweeps of `benchmarks.sweep` through queue and worker, each planned before it runs: first where
a single picture is all that was made, then after the others, and once while somebody else makes
single pictures. The last line is one JSON object. Aim: `worst` (the larger of estimate over time
and time over estimate) at most 2.
"""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.sweep import Bench, Loaded, sweeps
from benchmarks.timing import parser_of, report
from core.diffusion.models.load import describe
from core.diffusion.settings import GenerationSettings
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.runs.worker.worker import Worker
from core.sweeps.plan import make_plan
from core.sweeps.sweep import Sweep


def finish(queue: Queue, job_id: str) -> None:
    for _ in queue.follow(job_id, every=0.02):
        pass


def single(queue: Queue, base: GenerationSettings, seed: int) -> str:
    one = replace(base, seed=seed)
    return queue.submit([one], owner="somebody else", token=uuid.uuid4().hex)


def off_by(queue: Queue, sweep: Sweep, *, beside: int = 0) -> float:
    """The ratio, 1 or more, of estimate and time, with so many pictures of somebody else."""
    plan = make_plan(sweep, describe=describe, holds=queue.store.holds, find_pace=queue.find_pace)
    assert plan.estimate is not None
    start = time.perf_counter()
    job_id = queue.submit(plan.submission(), owner="benchmark", token=uuid.uuid4().hex)
    others = [single(queue, sweep.base, 9000 + number) for number in range(beside)]
    finish(queue, job_id)
    seconds = time.perf_counter() - start
    for other in others:
        finish(queue, other)
    about = "about" if plan.estimate.is_like else "up to"
    print(f"  {about} {plan.estimate.seconds:.1f} s, took {seconds:.1f} s", flush=True)
    return max(plan.estimate.seconds / seconds, seconds / plan.estimate.seconds)


def moved(sweep: Sweep, seed: int) -> Sweep:
    """The same sweep of pictures that are not stored yet."""
    axes = {side: axis for side, axis in sweep.axes().items() if axis.name == "seed"}
    changed = {
        side: replace(axis, values=tuple(int(value) + seed for value in axis.values))
        for side, axis in axes.items()
    }
    return replace(sweep, base=replace(sweep.base, seed=seed), **changed)


def main() -> int:
    options = parser_of(__doc__).parse_args()
    bench = Bench()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        queue = Queue(store)
        worker = Worker(store, Loaded(bench.model, store))
        worker.start()
        try:
            for repeat in range(options.repeats):
                finish(queue, single(queue, bench.base, 5000 + repeat))
                for name, sweep in sweeps(bench.base).items():
                    for beside in (0, 3):
                        print(f"{name}, {beside} pictures beside it:", flush=True)
                        seed = 100_000 * (repeat + 1) + 1_000 * beside
                        ratio = off_by(queue, moved(sweep, seed), beside=beside)
                        case = f"{name}_beside_{beside}"
                        figures[case] = max(ratio, figures.get(case, 1.0))
        finally:
            worker.stop()
    figures["worst"] = max(figures.values())
    report("estimates", options, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
