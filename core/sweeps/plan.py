"""Plan: what a sweep will cost before it runs, and every problem found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.diffusion.models.load import ModelError, ModelInfo
from core.diffusion.models.lora.files import canonical_loras, missing_loras, walked_once
from core.diffusion.recipe.schedule import unet_calls
from core.diffusion.recipe.settings_table import PROMPTS, SETTINGS
from core.diffusion.settings import GenerationSettings, PromptReader
from core.sweeps.axes import AXES
from core.sweeps.sweep import Sweep, SweepCell, SweepProblem

NEVER_CUT = 75
"""Bytes: what CLIP reads is 75 tokens, and a token is at least a byte."""
_EXCERPT = 30


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a sweep will cost before it runs. Nothing is computed while there are problems.

    `merged` maps a cell's index to the index of an earlier cell that comes out the same by
    arithmetic. `unet_rows` counts the rows of every UNet call still to run (two with guidance);
    `seconds` is None while no speed is known. `digests` has one a cell. `cut` names each text that
    the text encoder does not read to its end: it runs, as in diffusers.
    """

    problems: tuple[SweepProblem, ...]
    cells: tuple[SweepCell, ...] = ()
    digests: tuple[str, ...] = ()
    merged: Mapping[int, int]
    distinct: int = 0
    stored: int = 0
    unet_rows: int = 0
    seconds: float | None = None
    cut: tuple[SweepProblem, ...] = ()

    @property
    def to_compute(self) -> int:
        return self.distinct - self.stored

    def submission(self, stored: Collection[str] = ()) -> list[GenerationSettings]:
        """Each distinct image but the `stored` ones, in the order to compute them: snapshots of
        one denoising run follow each other, so that they ride in it together.
        """
        runs: dict[GenerationSettings, list[GenerationSettings]] = {}
        for index, (cell, digest) in enumerate(zip(self.cells, self.digests, strict=True)):
            if index not in self.merged and digest not in stored:
                runs.setdefault(replace(cell.settings, snapshot=0), []).append(cell.settings)
        return [settings for run in runs.values() for settings in run]


def make_plan(
    sweep: Sweep,
    *,
    describe: Callable[[str], ModelInfo],
    holds: Callable[[Collection[str]], Collection[str]],
    row_pixels_per_second: float | None = None,
    read: Callable[[Path], PromptReader] | None = None,
) -> Plan:
    """The plan of a sweep, without any model call.

    `holds` gives those of some digests that are stored already; `row_pixels_per_second` is the
    measured speed: UNet rows times the image's pixels, a second. `read` gives the tokenizer in a
    model's folder; without it no text is found to be cut.
    """
    problems, infos = _describe_models(sweep, describe)
    factor = max((info.vae_scale_factor for info in infos.values()), default=8)
    found, cells = sweep.lay_out(vae_scale_factor=factor)
    if problems or found:
        return Plan(problems=(*problems, *found), merged={})
    problems = _missing_loras(cells)
    if problems:
        return Plan(problems=tuple(problems), merged={})
    with walked_once():
        resolved = {text: canonical_loras(text) for text in {c.settings.loras for c in cells}}
    digests = [
        cell.settings.digest(infos[cell.settings.model].fingerprint, resolved[cell.settings.loras])
        for cell in cells
    ]
    first: dict[str, int] = {}
    merged: dict[int, int] = {}
    for index, digest in enumerate(digests):
        if digest in first:
            merged[index] = first[digest]
        else:
            first[digest] = index
    stored = set(holds(list(first)))
    waiting = [cells[index].settings for digest, index in first.items() if digest not in stored]
    runs = runs_of(waiting, infos)
    work = work_of(waiting, infos)
    return Plan(
        problems=(),
        cells=tuple(cells),
        digests=tuple(digests),
        merged=merged,
        distinct=len(first),
        stored=len(stored),
        unet_rows=sum(rows for _, rows in runs),
        seconds=work / row_pixels_per_second if row_pixels_per_second else None,
        cut=_cut_texts(cells, infos, read) if read else (),
    )


def _missing_loras(cells: Sequence[SweepCell]) -> list[SweepProblem]:
    """Each text that names a LoRA which is not to be had, once."""
    row = SETTINGS["loras"]
    with walked_once():
        return [
            SweepProblem(axis=row.label, value=row.shown(text), reason=reason)
            for text in dict.fromkeys(cell.settings.loras for cell in cells)
            if text and (reason := missing_loras(text))
        ]


def _cut_texts(
    cells: Sequence[SweepCell],
    infos: Mapping[str, ModelInfo],
    read: Callable[[Path], PromptReader],
) -> tuple[SweepProblem, ...]:
    """Each text that is cut off and has an effect, once."""
    texts: dict[tuple[str, str, Path], None] = {}
    for settings in (cell.settings for cell in cells):
        folder = infos[settings.model].folder
        for name in PROMPTS:
            if settings.matters(name):
                texts[name, getattr(settings, name), folder] = None
    return tuple(
        SweepProblem(
            axis=field,
            value=f"{text[:_EXCERPT]}…",
            reason=f"is too long for the text encoder, which never sees: {lost}",
        )
        for field, text, folder in texts
        if len(text.encode(errors="replace")) > NEVER_CUT and (lost := read(folder).cut_off(text))
    )


def work_of(images: Iterable[GenerationSettings], infos: Mapping[str, ModelInfo]) -> int:
    """UNet rows times pixels of these images: what their time is proportional to."""
    return sum(rows * run.width * run.height for run, rows in runs_of(images, infos))


def runs_of(
    images: Iterable[GenerationSettings], infos: Mapping[str, ModelInfo]
) -> list[tuple[GenerationSettings, int]]:
    """The denoising runs that these images need and the UNet rows of each: snapshots of one run
    share it, and it ends at the last of them. `infos` by the settings' model, of those known.
    """
    longest: dict[GenerationSettings, int] = {}
    for settings in images:
        run = replace(settings, snapshot=0)
        info = infos.get(run.model)
        calls = unet_calls(settings, info.scheduler_config if info else None)
        longest[run] = max(longest.get(run, 0), calls)
    return [(run, calls * _rows(run, infos.get(run.model))) for run, calls in longest.items()]


def _rows(run: GenerationSettings, info: ModelInfo | None) -> int:
    """UNet rows of a call; LCM's guidance costs none."""
    return info.family.rows(run.uses_guidance) if info else 2 if run.uses_guidance else 1


def _describe_models(
    sweep: Sweep, describe: Callable[[str], ModelInfo]
) -> tuple[list[SweepProblem], dict[str, ModelInfo]]:
    sources: list[str] = [sweep.base.model]
    for axis in sweep.axes().values():
        for part in axis.parts():
            if part.name in AXES and AXES[part.name].field == "model":
                sources = [str(value) for value in part.values]
    problems: list[SweepProblem] = []
    infos: dict[str, ModelInfo] = {}
    for source in dict.fromkeys(sources):
        try:
            infos[source] = describe(source)
        except ModelError as error:
            problems.append(
                SweepProblem(axis=SETTINGS["model"].label, value=source, reason=str(error))
            )
    return problems, infos
