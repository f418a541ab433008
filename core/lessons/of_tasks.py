"""What is measured of the tasks of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.diffusion.inside.anatomy import MadeMistake
from core.diffusion.inside.mistake_table import MISTAKES
from core.lessons.measured import Measured
from core.lessons.run import LessonError, LessonRun
from core.output.numbers.metrics import rmse

if TYPE_CHECKING:
    from core.diffusion.inside.inversion import InversionError


def mistakes(run: LessonRun) -> Measured:
    """The RMSE of the picture with each mistake to the same picture done right, 0 to 255."""
    made: Sequence[MadeMistake] = _results(run)
    names = [str(task.arguments.get("mistake")) for task in run.challenge.tasks]
    return Measured(
        label="RMSE to the right picture, 0 to 255",
        candidates=tuple(MISTAKES[name].title for name in names),
        values=tuple(rmse(one.right, one.wrong) for one in made),
        digits=1,
        pictures=tuple(one.wrong for one in made),
    )


def inversion(run: LessonRun) -> Measured:
    """The RMS of the latents' difference between the source and what comes back from its noise,
    with the most steps of the task: at guidance 1, and at the guidance of the settings.
    """
    errors: Sequence[InversionError] = _results(run)[0]
    last = max(errors, key=lambda error: error.steps)
    return Measured(
        label="RMS error of the latents",
        candidates=("Guidance 1", f"Guidance {run.plan.cells[0].settings.guidance_scale:g}"),
        values=(last.rms_unguided, last.rms_guided),
    )


def _results(run: LessonRun) -> Sequence[Any]:
    if not run.results or len(run.results) != len(run.challenge.tasks):
        raise LessonError("its tasks were not run")
    return run.results
