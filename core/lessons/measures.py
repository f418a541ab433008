"""MEASURES: what a question can ask of a run, a row each. A new measure is a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

from core.diffusion.events import Record
from core.diffusion.trajectory import StepRecord
from core.lessons import of_pictures, of_steps, of_tasks
from core.lessons.measured import Argument, Measured
from core.output.numbers.quantities import QUANTITIES

AXES_OF_A_RUN = ("x", "y")
RECORDED = tuple(one.name for one in fields(StepRecord) if not one.name.startswith("channel_"))
"""The quantities of a step that are plain numbers."""


@dataclass(frozen=True, kw_only=True)
class MeasureRow:
    """One measure: what it says, its arguments, what of the steps is to be recorded, and the named
    task whose results it reads.

    `measure` is called with the run and every argument.
    """

    measure: Callable[..., Measured]
    about: str
    arguments: Mapping[str, Argument] = field(default_factory=dict[str, Argument])
    record: Record = "norms"
    task: str = ""


_ALONG = Argument(default="x", choices=AXES_OF_A_RUN)

MEASURES: Mapping[str, MeasureRow] = {
    "quantity": MeasureRow(
        measure=of_pictures.of_pictures,
        about="the mean of a quantity of the pictures, for each value of an axis",
        arguments={
            "along": _ALONG,
            "quantity": Argument(default="colourfulness", choices=tuple(QUANTITIES)),
        },
    ),
    "distance": MeasureRow(
        measure=of_pictures.distance,
        about="how far the pictures are from those of a reference value, RMSE from 0 to 255",
        arguments={"along": _ALONG, "reference": Argument(default=-1)},
    ),
    "neighbours": MeasureRow(
        measure=of_pictures.neighbours,
        about="how far neighbours along an axis are apart, for each value of the other axis",
        arguments={"along": _ALONG},
    ),
    "recorded": MeasureRow(
        measure=of_steps.recorded,
        about="a recorded quantity of one UNet call, for each value of an axis",
        arguments={
            "along": _ALONG,
            "field": Argument(default="latent_rms", choices=RECORDED),
            "call": Argument(default=1),
        },
    ),
    "calls": MeasureRow(
        measure=of_steps.calls,
        about="the UNet calls that were made, for each value of an axis",
        arguments={"along": _ALONG},
    ),
    "difference": MeasureRow(
        measure=of_pictures.difference,
        about="a quantity at the last value of an axis minus at the first, for each of the other",
        arguments={
            "along": _ALONG,
            "quantity": Argument(default="colourfulness", choices=tuple(QUANTITIES)),
        },
    ),
    "share": MeasureRow(
        measure=of_pictures.share,
        about="how much of all differences goes with each axis and with the seed",
    ),
    "change by place": MeasureRow(
        measure=of_pictures.change_by_place,
        about="how much each of nine places changes from the first value of an axis to the last",
        arguments={"along": _ALONG},
    ),
    "wrongness": MeasureRow(
        measure=of_steps.wrongness,
        about="how far noise, picture and v that one call predicts are from those of the end",
        arguments={"call": Argument(default=1)},
        record="latents",
    ),
    "order": MeasureRow(
        measure=of_pictures.order,
        about="the order of convergence, for each value of the axis beside the steps",
    ),
    "mistakes": MeasureRow(
        measure=of_tasks.mistakes,
        about="how far each mistake of the tasks moves the picture, RMSE from 0 to 255",
        task="mistake",
    ),
    "inversion": MeasureRow(
        measure=of_tasks.inversion,
        about="how far the source comes back from its noise, without guidance and with it",
        task="inversion errors",
    ),
}
