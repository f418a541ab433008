"""Sweep: base settings and up to three axes, and its cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, Literal

from core.diffusion.recipe.prompt.marks import Marks
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import MAX_SEED, GenerationSettings
from core.sweeps.axes import AXES, AxisError, AxisRow
from core.sweeps.axis import (
    SIDE_NAMES,
    SIDES,
    Axis,
    SweepError,
    axis_from,
    axis_to_dict,
    in_order,
    row_of,
)
from core.sweeps.problems import NO_RANDOM_SEED, SweepProblem, grouped

MAX_CELLS = 10_000
NewSeed = Literal["", "column", "row", "page"]
NEW_SEEDS: tuple[NewSeed, ...] = ("", "column", "row", "page")


@dataclass(frozen=True, kw_only=True)
class SweepCell:
    """One place of the grid; x, y, z count columns, rows and pages from 0. `drawn` are the words
    that were drawn for its texts, in order: () where they are as they were typed.
    """

    x: int
    y: int
    z: int
    settings: GenerationSettings
    drawn: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Base settings and up to three axes: x the columns, y the rows, z the pages.

    `new_seed` gives every column, row or page the next seed, unless seed is an axis.
    """

    base: GenerationSettings
    x: Axis | None = None
    y: Axis | None = None
    z: Axis | None = None
    new_seed: NewSeed = ""

    def axes(self) -> dict[str, Axis]:
        """Side -> axis, of the sides in use."""
        return {side: axis for side in SIDES if (axis := getattr(self, side)) is not None}

    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, pages."""
        counts = [len(a.values) if (a := getattr(self, side)) else 1 for side in SIDES]
        return counts[0], counts[1], counts[2]

    def size(self) -> int:
        columns, rows, pages = self.shape()
        return columns * rows * pages

    def cells(self, *, vae_scale_factor: int = 8) -> list[SweepCell]:
        """Every cell, page by page, row by row. Raises SweepError where `problems` finds any."""
        problems, cells = self.lay_out(vae_scale_factor=vae_scale_factor)
        if problems:
            raise SweepError("; ".join(map(str, problems)))
        return cells

    def swapped(self) -> Sweep:
        """Columns and rows exchanged: the same images in another order."""
        seeds: dict[NewSeed, NewSeed] = {"column": "row", "row": "column"}
        return replace(self, x=self.y, y=self.x, new_seed=seeds.get(self.new_seed, self.new_seed))

    def problems(self, *, vae_scale_factor: int = 8) -> list[SweepProblem]:
        """Everything wrong, at once. Looks at each value, not at each cell, where it can."""
        return self.lay_out(vae_scale_factor=vae_scale_factor)[0]

    def lay_out(self, *, vae_scale_factor: int = 8) -> tuple[list[SweepProblem], list[SweepCell]]:
        """Either everything that is wrong, or every cell, page by page, row by row."""
        found = [
            *self._structure_problems(),
            *self._base_problems(vae_scale_factor),
            *self._value_problems(vae_scale_factor),
        ]
        if found:
            return grouped(found, "value"), []
        found, cells = self._cells(vae_scale_factor)
        return (grouped(found, "cell"), []) if found else ([], cells)

    def _structure_problems(self) -> list[SweepProblem]:
        found: list[SweepProblem] = []

        def add(axis: str, reason: str) -> None:
            found.append(SweepProblem(axis=axis, value="", reason=reason))

        names: Counter[str] = Counter()
        for side, axis in self.axes().items():
            for part in axis.parts():
                if part.name not in AXES:
                    add(part.name, "is not an axis")
                    continue
                names[part.name] += 1
                if not part.values:
                    add(AXES[part.name].label, "has no values")
                elif len(part.values) != len(axis.values):
                    add(
                        axis.label(),
                        f"{len(axis.values)} and {len(part.values)} values cannot move together: "
                        f"give the {SIDE_NAMES[side]} equally many",
                    )
        for name, count in names.items():
            if count > 1:
                add(AXES[name].label, f"is used {count} times: an axis can vary one way only")
        for name, other in self._set_twice():
            add(AXES["settings"].label, f"{name} is set by {other} too: leave it out of one")
        if self.new_seed not in NEW_SEEDS:
            add("new_seed", f"{self.new_seed!r} is none of column, row, page")
        elif self.new_seed and "seed" in self.varied():
            add("Seed", "is an axis already: switch the new seeds off")
        if self.size() > MAX_CELLS:
            columns, rows, pages = self.shape()
            add("Sweep", f"{columns} x {rows} x {pages} are more than {MAX_CELLS} cells")
        return found

    def _set_twice(self) -> list[tuple[str, str]]:
        """Labels of the settings that an axis of several settings names and of the axis that sets
        them too; an axis that only replaces a word in them is none.
        """
        known = [
            part for axis in self.axes().values() for part in axis.parts() if part.name in AXES
        ]
        named = {name for part in known for name in _named(part)}
        return [
            (SETTINGS[name].label, row_of(part).label)
            for part in known
            if part.name != "settings" and not row_of(part).after
            for name in row_of(part).changes(part.values)
            if name in named
        ]

    def _base_problems(self, vae_scale_factor: int) -> list[SweepProblem]:
        """What no axis sets: those settings are judged by their values, and those that depend on
        others cell by cell.
        """
        used = self.varied() | {name for name, row in SETTINGS.items() if row.is_relative}
        return [
            SweepProblem(axis=problem.field, value="", reason=problem.reason)
            for problem in self.base.validate(vae_scale_factor=vae_scale_factor)
            if problem.severity == "error" and problem.field not in used
        ]

    def _value_problems(self, vae_scale_factor: int) -> list[SweepProblem]:
        """What is wrong with single values, of the axes whose structure is sound."""
        found: list[SweepProblem] = []
        for axis in self.axes().values():
            is_known = all(part.name in AXES for part in axis.parts())
            if is_known and len({len(part.values) for part in axis.parts()}) == 1:
                for index in range(len(axis.values)):
                    found += self._problems_of_value(axis, index, vae_scale_factor)
        return found

    def _problems_of_value(
        self, axis: Axis, index: int, vae_scale_factor: int
    ) -> list[SweepProblem]:
        found: list[SweepProblem] = []
        settings = self.base
        for part in in_order(axis.parts()):
            row, value = row_of(part), part.values[index]
            if row.is_relative or any(map(self._has, row.after)):
                continue  # it depends on another axis: judged cell by cell
            try:
                settings = row.apply(settings, value, part.values[0])
            except AxisError as error:
                found.append(SweepProblem(axis=row.label, value=row.show(value), reason=str(error)))
                continue
            found += [
                SweepProblem(
                    axis=row.label,
                    value=row.show(value),
                    reason=NO_RANDOM_SEED
                    if problem.field == "seed" and settings.seed == -1
                    else row.reason(problem),
                )
                for problem in settings.validate(vae_scale_factor=vae_scale_factor)
                if problem.field in row.judged(value) and problem.severity == "error"
            ]
        return found

    def _cells(self, vae_scale_factor: int) -> tuple[list[SweepProblem], list[SweepCell]]:
        """The sound cells, and what only shows where two axes meet."""
        found: list[SweepProblem] = []
        cells: list[SweepCell] = []
        moves = self._moves()
        for at in self._places():
            settings, label = self._seeded(at), ""
            try:
                for part, row, side in moves:
                    label = row.label
                    settings = row.apply(settings, part.values[at[side]], part.values[0])
            except AxisError as error:
                found.append(SweepProblem(axis=label, value=self._place(at), reason=str(error)))
                continue
            cells.append(SweepCell(x=at["x"], y=at["y"], z=at["z"], settings=settings))
            found += [
                SweepProblem(axis=problem.field, value=self._place(at), reason=problem.reason)
                for problem in settings.validate(vae_scale_factor=vae_scale_factor)
                if problem.severity == "error"
            ]
        return found, cells

    def varied(self) -> set[str]:
        """The settings that an axis changes."""
        parts = [part for axis in self.axes().values() for part in axis.parts()]
        return {n for p in parts if p.name in AXES for n in AXES[p.name].changes(p.values)}

    def effective(self) -> set[str]:
        """The settings that have an effect in any of the cells; those that cannot be are none."""
        found: set[str] = set()
        moves = self._moves()
        for at in self._places():
            settings = self._seeded(at)
            with suppress(AxisError):
                for part, row, side in moves:
                    settings = row.apply(settings, part.values[at[side]], part.values[0])
                unseen = SETTINGS.keys() - found
                found |= {name for name in unseen if SETTINGS[name].matters(settings)}
        return found

    def _moves(self) -> list[tuple[Axis, AxisRow, str]]:
        """Each part of an axis with its row and its side, in the order to apply them."""
        side_of = {part: side for side, axis in self.axes().items() for part in axis.parts()}
        return [(part, row_of(part), side_of[part]) for part in in_order(list(side_of))]

    def _places(self) -> Iterator[dict[str, int]]:
        """Side -> index of every cell, page by page, row by row."""
        columns, rows, pages = self.shape()
        for z, y, x in product(range(pages), range(rows), range(columns)):
            yield {"x": x, "y": y, "z": z}

    def _seeded(self, at: Mapping[str, int]) -> GenerationSettings:
        """The base settings with the seed of a place."""
        if not self.new_seed:
            return self.base
        step = at[{"column": "x", "row": "y", "page": "z"}[self.new_seed]]
        return replace(self.base, seed=(self.base.seed + step) % (MAX_SEED + 1))

    def _place(self, at: Mapping[str, int]) -> str:
        """ "Snapshot at step 6, Steps 5"."""
        sides = self.axes().items()
        return ", ".join(f"{axis.label()} {axis.value_label(at[side])}" for side, axis in sides)

    def _has(self, name: str) -> bool:
        """Whether an axis of that name is used, or one of several settings that names it."""
        parts = [part for axis in self.axes().values() for part in axis.parts()]
        return any(p.name == name or name in _named(p) for p in parts)

    def to_dict(self) -> dict[str, Any]:
        axes = {side: axis_to_dict(axis) for side, axis in self.axes().items()}
        return {"base": asdict(self.base), **axes, "new_seed": self.new_seed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], marks: Marks | None = None) -> Sweep:
        """A sweep from `to_dict`'s form, in which an axis' values may also be text in the value
        syntax. With `marks` choices and wildcards in values stand for one value each; what is kept
        has none. Raises SweepError or SettingsError.
        """
        unknown = set(values) - {"base", "new_seed", *SIDES}
        if unknown:
            raise SweepError(f"{', '.join(sorted(unknown))}: no part of a sweep")
        base = values.get("base", {})
        if not isinstance(base, Mapping):
            raise SweepError("base: must be a table of settings")
        axes = {side: axis_from(values[side], side, marks) for side in SIDES if side in values}
        return cls(
            base=GenerationSettings.from_dict(base),
            new_seed=values.get("new_seed", ""),
            **axes,
        )


def _named(part: Axis) -> tuple[str, ...]:
    """The settings that an axis of several settings names."""
    return row_of(part).changes(part.values) if part.name == "settings" else ()
