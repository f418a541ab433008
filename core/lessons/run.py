"""LessonRun: the stored cells of a question's run, as measures look at them."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from core.diffusion.models.load import describe
from core.diffusion.recipe.prompt.wildcards import Wildcards
from core.diffusion.trajectory import Trajectory
from core.exports.measuring import Known, measure_missing
from core.lessons.lesson import Challenge
from core.output.numbers.metrics import rmse
from core.output.numbers.quantities import QUANTITIES
from core.runs.queue.tasks import TaskRequest
from core.runs.store.data_folder import wildcards_folder
from core.runs.store.measured.kept import Pair
from core.runs.store.store import Store, StoreError
from core.sweeps.axis import Axis
from core.sweeps.plan import Plan, make_plan
from core.sweeps.sweep import Sweep


class LessonError(ValueError):
    """A run that gives no answer; the message says why."""


def plan_of(challenge: Challenge, store: Store) -> Plan:
    """What its run computes; its problems are in it."""
    return make_plan(
        challenge.sweep,
        describe=describe,
        holds=store.holds,
        wildcards=Wildcards(folder=wildcards_folder(store.folder)),
        read_source=store.inputs.read,
    )


def requests_of(challenge: Challenge, plan: Plan) -> list[TaskRequest]:
    """The tasks that its measure needs beside the cells. Raises ModelError."""
    settings = plan.cells[0].settings
    return [
        TaskRequest(
            name=task.name,
            settings=settings,
            arguments=dict(task.arguments),
            fingerprint=describe(settings.model).fingerprint,
        )
        for task in challenge.tasks
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class LessonRun:
    """A question's run with every cell stored. `results` are those of its tasks, in order."""

    store: Store
    challenge: Challenge
    plan: Plan
    results: tuple[Any, ...] = ()
    _trajectories: dict[str, Trajectory] = field(default_factory=dict[str, Trajectory])

    @property
    def sweep(self) -> Sweep:
        return self.challenge.sweep

    def axis(self, along: str) -> Axis:
        """The axis along which the candidates lie: "x" or "y". Raises LessonError."""
        axis = self.sweep.axes().get(along)
        if axis is None:
            raise LessonError(f"the run has no {along}")
        return axis

    def digests(self, along: str) -> list[list[str]]:
        """Return the pictures of each value of that axis, in the order of the other axes."""
        axis = self.axis(along)
        found: list[list[str]] = [[] for _ in axis.values]
        for cell, digest in zip(self.plan.cells, self.plan.digests, strict=True):
            found[getattr(cell, along)].append(digest)
        return found

    def names(self, along: str) -> tuple[str, ...]:
        """What the candidates are called."""
        axis = self.axis(along)
        return tuple(axis.value_label(index) for index in range(len(axis.values)))

    def numbers(self, along: str) -> tuple[float, ...] | None:
        """The values of that axis where they are numbers."""
        values = self.axis(along).values
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
            return None
        return tuple(float(value) for value in values)

    def known(self, pairs: list[Pair] | None = None) -> Known:
        """What is measured of its pictures, with what was lacking measured now; CLIP scores are
        those that were stored with the pictures.
        """
        return measure_missing(self.store, sorted(set(self.plan.digests)), pairs or [])

    def trajectory(self, digest: str) -> Trajectory:
        """The recorded steps of a picture. Raises LessonError."""
        if digest not in self._trajectories:
            try:
                found = self.store.trajectory(digest)
            except StoreError as error:
                raise LessonError(str(error)) from error
            if found is None or not found.records:
                raise LessonError("a picture's steps were not recorded")
            self._trajectories[digest] = found
        return self._trajectories[digest]

    def picture(self, digest: str) -> Image.Image:
        """A stored picture, RGB. Raises LessonError."""
        try:
            with Image.open(io.BytesIO(self.store.image_bytes(digest))) as image:
                return image.convert("RGB")
        except (StoreError, OSError, ValueError) as error:
            raise LessonError(str(error)) from error

    def apart(self, one: str, other: str) -> float:
        """The RMSE of two stored pictures, 0 to 255. Raises LessonError."""
        try:
            return rmse(self.picture(one), self.picture(other))
        except ValueError as error:
            raise LessonError(str(error)) from error

    def of_quantity(self, name: str, digest: str, known: Known) -> float:
        """What was measured of a picture. Raises LessonError where nothing was."""
        value = known.values.get(digest, {}).get(name)
        if value is None:
            raise LessonError(f"{QUANTITIES[name].label} was not measured of every picture")
        return value
