"""What is burned into the frames of a film: where the runs stand at each."""

from __future__ import annotations

from collections.abc import Sequence

from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import StepRecord

Moment = tuple[GenerationSettings, tuple[StepRecord, ...], int]
"""A run in one frame: its settings, its records, and the call shown (their number at the end)."""


def caption(moments: Sequence[Moment], frame: int, count: int) -> list[str]:
    """The fields of frame `frame` of `count`: step, timestep, sigma, guidance gap.

    Of several runs, what they all share, and the gap from the least to the largest; of runs with
    different numbers of calls the frame instead of the step.
    """
    if all(call >= len(records) for _, records, call in moments):
        return ["Finished", "", "", ""]
    running = [
        (settings, records, call) for settings, records, call in moments if call < len(records)
    ]
    now = [records[call] for _, records, call in running]
    fields = [f"Frame {frame + 1} of {count}"]
    if len({(len(records), call) for _, records, call in moments}) == 1:
        settings, records, call = moments[0]
        fields = [f"{_word(settings)} {call + 1} of {len(records)}"]
    for name, values in (
        ("timestep", [f"{record.timestep:.0f}" for record in now]),
        ("σ", [_short(record.sigma) for record in now]),
    ):
        fields.append(f"{name} {values[0]}" if len(set(values)) == 1 else "")
    fields.append(_gap([r.guidance_gap for r in now if r.guidance_gap is not None]))
    return fields


def _word(settings: GenerationSettings) -> str:
    """Heun, DPM2 and PNDM call the UNet more often than they step."""
    steps = settings.num_inference_steps
    return "Step" if SCHEDULERS[settings.scheduler].calls(steps) == steps else "Call"


def _gap(gaps: Sequence[float]) -> str:
    if not gaps:
        return ""
    low, high = f"{min(gaps):.3f}", f"{max(gaps):.3f}"
    return f"guidance gap {low}" if low == high else f"guidance gap {low} to {high}"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"
