"""Plan: what a sweep will cost before it runs, and every problem found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.diffusion.models.load import ModelError, ModelInfo
from core.diffusion.named_files import digest_of, file_problems, walked_once
from core.diffusion.recipe.images import ReadInput
from core.diffusion.recipe.masks import MaskChecks
from core.diffusion.recipe.problems import Severity
from core.diffusion.recipe.prompt.foreign import foreign_words
from core.diffusion.recipe.prompt.marks import Marks
from core.diffusion.recipe.prompt.texts import every_text
from core.diffusion.recipe.prompt.wildcards import Wildcards
from core.diffusion.recipe.rows.mask import MASK_ROWS
from core.diffusion.recipe.schedule import denoised
from core.diffusion.recipe.settings_table import PROMPTS, SETTINGS
from core.diffusion.settings import GenerationSettings, PromptReader
from core.sweeps.axes import AXES, AxisError
from core.sweeps.axis import Axis, row_of
from core.sweeps.drawn import draw_cells, mark_problems
from core.sweeps.pace import Estimate, FindPace, estimate
from core.sweeps.sweep import Sweep, SweepCell, SweepProblem
from core.sweeps.work import runs_of

NEVER_CUT = 75
"""Bytes: what CLIP reads is 75 tokens, and a token is at least a byte."""
_EXCERPT = 30


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a sweep will cost before it runs. Nothing is computed while there are problems.

    `merged` maps a cell's index to the index of an earlier cell that comes out the same by
    arithmetic. `unet_rows` counts the rows of every UNet call still to run (more with guidance);
    `estimate` is None while no pace is known. `digests` has one a cell. `cut` names each text that
    the text encoder does not read to its end: it runs, as in diffusers. `foreign` names each text
    with marks of another tool, which are read as plain words; `missed` each mask that is too thin
    for the latents. `lines` are those of the wildcards
    that it was drawn from, by their names.
    """

    problems: tuple[SweepProblem, ...]
    cells: tuple[SweepCell, ...] = ()
    digests: tuple[str, ...] = ()
    merged: Mapping[int, int]
    distinct: int = 0
    stored: int = 0
    unet_rows: int = 0
    estimate: Estimate | None = None
    cut: tuple[SweepProblem, ...] = ()
    foreign: tuple[SweepProblem, ...] = ()
    missed: tuple[SweepProblem, ...] = ()
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @property
    def to_compute(self) -> int:
        return self.distinct - self.stored

    def submission(self, stored: Collection[str] = ()) -> list[GenerationSettings]:
        """Each distinct image but the `stored` ones, in the order to compute them: those of one
        denoising run, snapshots and pictures by several VAEs, follow each other, so that they ride
        in it together.
        """
        runs: dict[GenerationSettings, list[GenerationSettings]] = {}
        for index, (cell, digest) in enumerate(zip(self.cells, self.digests, strict=True)):
            if index not in self.merged and digest not in stored:
                runs.setdefault(denoised(cell.settings), []).append(cell.settings)
        return [settings for run in runs.values() for settings in run]


def make_plan(
    sweep: Sweep,
    *,
    describe: Callable[[str], ModelInfo],
    holds: Callable[[Collection[str]], Collection[str]],
    find_pace: FindPace | None = None,
    read: Callable[[Path], PromptReader] | None = None,
    wildcards: Wildcards | None = None,
    read_source: ReadInput | None = None,
) -> Plan:
    """The plan of a sweep, without any model call; its cells' texts are drawn, each by its seed.

    `holds` gives those of some digests that are stored already; `find_pace` the measured pace of a
    model, without which no time is estimated. `read` gives the tokenizer in a
    model's folder; without it no text is found to be cut. `wildcards` are those of the app;
    `read_source` reads masks, of which nothing is said without it.
    """
    problems, infos = _describe_models(sweep, describe)
    factor = max((info.vae_scale_factor for info in infos.values()), default=8)
    marks = Marks((wildcards or Wildcards()).lines)
    found, cells = sweep.lay_out(vae_scale_factor=factor)
    if found:
        found += mark_problems(sweep, marks)
    else:
        found, cells = draw_cells(cells, marks)
    if problems or found:
        return Plan(problems=(*problems, *found), merged={})
    emptied, missed = _mask_problems(sweep, cells, infos, read_source) if read_source else ([], [])
    with walked_once():
        problems = [*_file_problems(cells, infos), *emptied]
        if problems:
            return Plan(problems=tuple(problems), merged={})
        digests = [
            digest_of(cell.settings, infos[cell.settings.model].fingerprint) for cell in cells
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
    return Plan(
        problems=(),
        cells=tuple(cells),
        digests=tuple(digests),
        merged=merged,
        distinct=len(first),
        stored=len(stored),
        unet_rows=sum(rows for _, rows in runs),
        estimate=estimate(waiting, infos, find_pace) if find_pace and waiting else None,
        cut=_cut_texts(cells, infos, read) if read else (),
        foreign=_foreign_texts(cells),
        missed=tuple(missed),
        lines=marks.lines,
    )


def _file_problems(
    cells: Sequence[SweepCell], infos: Mapping[str, ModelInfo]
) -> list[SweepProblem]:
    """Each text that names a LoRA or a VAE which is not to be had or does not fit, once."""
    alike = {(one.loras, one.vae, one.model): one for one in (cell.settings for cell in cells)}
    found: dict[SweepProblem, None] = {}
    for settings in alike.values():
        for problem in file_problems(settings, infos[settings.model]):
            row = SETTINGS[problem.field]
            value = row.shown(getattr(settings, row.name))
            found[SweepProblem(axis=row.label, value=value, reason=problem.reason)] = None
    return list(found)


def _mask_problems(
    sweep: Sweep, cells: Sequence[SweepCell], infos: Mapping[str, ModelInfo], read: ReadInput
) -> tuple[list[SweepProblem], list[SweepProblem]]:
    """Of each mask, after what is done to it: that nothing is left; that the latents miss it."""
    masks, varied = MaskChecks(read), sweep.varied()
    found: dict[Severity, dict[SweepProblem, None]] = {"error": {}, "warning": {}}
    for settings in (cell.settings for cell in cells):
        problem = masks.problem(settings, infos[settings.model].vae_scale_factor)
        if problem is None:
            continue
        changed = [row for row in MASK_ROWS if row.name in varied]
        words = [f"{row.label} {row.shown(getattr(settings, row.name))}" for row in changed]
        own = SETTINGS[problem.field]
        if own in changed:
            words = [own.shown(getattr(settings, own.name))]
        one = SweepProblem(axis=own.label, value=", ".join(words), reason=problem.reason)
        found[problem.severity][one] = None
    return list(found["error"]), list(found["warning"])


def _foreign_texts(cells: Sequence[SweepCell]) -> tuple[SweepProblem, ...]:
    """Each text that has an effect and another tool's marks, once."""
    texts = {
        (name, getattr(cell.settings, name), cell.settings.num_inference_steps): None
        for cell in cells
        for name in PROMPTS
        if cell.settings.matters(name)
    }
    return tuple(
        SweepProblem(axis=name, value=_excerpt(text), reason=words)
        for name, text, steps in texts
        if (words := foreign_words(text, name, steps))
    )


def _excerpt(text: str) -> str:
    return f"{text[:_EXCERPT]}…" if len(text) > _EXCERPT else text


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
                told = every_text(getattr(settings, name), settings.num_inference_steps, name)
                texts |= {(name, text, folder): None for _, text in told}
    return tuple(
        SweepProblem(
            axis=name,
            value=f"{text[:_EXCERPT]}…",
            reason=f"is too long for the text encoder, which never sees: {lost}",
        )
        for name, text, folder in texts
        if len(text.encode(errors="replace")) > NEVER_CUT and (lost := read(folder).cut_off(text))
    )


def _models_of(sweep: Sweep, part: Axis) -> Iterator[str]:
    """The model of each value that can be read; the sweep says which cannot."""
    for value in part.values:
        with suppress(AxisError):
            yield row_of(part).apply(sweep.base, value, part.values[0]).model


def _describe_models(
    sweep: Sweep, describe: Callable[[str], ModelInfo]
) -> tuple[list[SweepProblem], dict[str, ModelInfo]]:
    sources: list[str] = [sweep.base.model]
    for axis in sweep.axes().values():
        for part in axis.parts():
            if part.name in AXES and "model" in AXES[part.name].changes(part.values):
                sources = list(_models_of(sweep, part))
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
