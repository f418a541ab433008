"""Timing side by side in one process, and the JSON line that every benchmark ends with."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

Clock = Callable[[], float]


def timed(
    runs: Mapping[str, Callable[[int], object]], repeats: int, clock: Clock
) -> dict[str, list[float]]:
    """Seconds of every run in every repeat. One turn to warm up; the order alternates."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(-1, repeats):
        order = list(runs) if repeat % 2 else list(reversed(runs))
        for name in order:
            start = clock()
            runs[name](repeat)
            if repeat >= 0:
                seconds[name].append(clock() - start)
                print(f"{name:>22} {repeat}: {seconds[name][-1]:.3f} s", flush=True)
    return seconds


def paired(over: list[float], under: list[float]) -> float:
    """The median of the ratios of each repeat: neighbours in time share the machine's state."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--busy", action="store_true", help="seconds of CPU of one thread")
    return parser


def clock_of(options: argparse.Namespace) -> Clock:
    """The clock to time with; on a busy machine the CPU's own, with a single thread."""
    if options.busy:
        torch.set_num_threads(1)
        return time.process_time
    return time.perf_counter


def report(name: str, options: argparse.Namespace, figures: Mapping[str, Any]) -> None:
    """The last line: one JSON object."""
    rounded = {
        key: round(value, 4) if isinstance(value, float) else value
        for key, value in figures.items()
    }
    machine = {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "torch": torch.__version__,
    }
    print(
        json.dumps(
            {"benchmark": name, "repeats": options.repeats, "busy": options.busy}
            | rounded
            | machine
        )
    )
