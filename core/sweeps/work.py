"""The UNet rows that images need: what their time is proportional to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.diffusion.models.info import ModelInfo
from core.diffusion.recipe.guidance.methods import guided_calls, rows_at_rest, rows_of_call
from core.diffusion.recipe.schedule import denoised, unet_calls
from core.diffusion.settings import GenerationSettings


def work_of(images: Iterable[GenerationSettings], infos: Mapping[str, ModelInfo]) -> int:
    """UNet rows times pixels of these images."""
    return sum(rows * run.width * run.height for run, rows in runs_of(images, infos))


def runs_of(
    images: Iterable[GenerationSettings], infos: Mapping[str, ModelInfo]
) -> list[tuple[GenerationSettings, int]]:
    """The denoising runs that these images need and the UNet rows of each: what is decoded of one
    run, snapshots and pictures by several VAEs, shares it, and it ends at the last of them.
    `infos` by the settings' model, of those known.
    """
    longest: dict[GenerationSettings, int] = {}
    for settings in images:
        run = denoised(settings)
        info = infos.get(run.model)
        calls = unet_calls(settings, info.scheduler_config if info else None)
        longest[run] = max(longest.get(run, 0), calls)
    return [(run, _rows_in(run, calls, infos.get(run.model))) for run, calls in longest.items()]


def _rows_in(run: GenerationSettings, calls: int, info: ModelInfo | None) -> int:
    """UNet rows of the first `calls` calls: one each where no AND joins prompts, and more where
    guidance acts.
    """
    guided = guided_calls(run, unet_calls(run, info.scheduler_config if info else None))
    at_rest = len(info.family.rows_at_rest(run) if info else rows_at_rest(run))
    more = rows_of(run, info) - at_rest
    return calls * at_rest + len(range(calls)[guided.start : guided.stop]) * more


def rows_of(run: GenerationSettings, info: ModelInfo | None) -> int:
    """The most UNet rows of a call; LCM's guidance costs none."""
    return info.family.rows(run) if info else len(rows_of_call(run))
