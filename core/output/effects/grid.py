"""A grid as statistics see it: factors, blocks (seeds), and what was measured of every cell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Factor:
    """An axis whose effect is asked for. `levels` are its values as texts, as people read them.

    `numbers` are the same values where they are numbers: figures place them at true distances, and
    neighbours are neighbours by size. None for names. Raises ValueError where they are not as many.
    """

    name: str
    label: str
    levels: tuple[str, ...]
    numbers: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.numbers is not None and len(self.numbers) != len(self.levels):
            raise ValueError(f"{self.name}: {len(self.levels)} levels, {len(self.numbers)} numbers")

    def order(self) -> list[int]:
        """The indices of the levels by size; as they stand where they are names."""
        indices = list(range(len(self.levels)))
        numbers = self.numbers
        return indices if numbers is None else sorted(indices, key=numbers.__getitem__)

    def neighbours(self) -> list[tuple[int, int]]:
        """Each level (an index) and the next one by `order`."""
        order = self.order()
        return list(itertools.pairwise(order))


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number of a picture: `label` as in a sentence ("CLIP score"), `digits` after the point,
    `unit` as it follows a number ("s"), "" for none.
    """

    name: str
    label: str
    digits: int = 2
    unit: str = ""

    def show(self, value: float) -> str:
        """The number with its unit, and no minus before zero."""
        text = f"{value:.{self.digits}f}"
        if float(text) == 0:
            text = text.lstrip("-")
        return f"{text} {self.unit}" if self.unit else text


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One cell. `levels` has an index for each factor, in their order; `block` is what it is
    paired by (the seed as text). `values` by the measures' names: a measure that is not there, or
    is not finite, was not measured of this cell.
    """

    levels: tuple[int, ...]
    block: str
    values: Mapping[str, float]
    digest: str = ""

    def value(self, measure: str) -> float:
        """NaN where it was not measured."""
        value = self.values.get(measure, math.nan)
        return float(value) if math.isfinite(value) else math.nan


@dataclass(frozen=True, kw_only=True)
class EffectGrid:
    """All cells that have a picture. A cell that failed is no observation: `missing` names it, one
    sentence each, and `left_out` names each measure that could not be taken, and why.

    `block_label` is the singular of what the cells are paired by; a grid without repeated seeds
    has one block. Raises ValueError for levels that do not exist and for a cell that comes twice.
    """

    factors: tuple[Factor, ...]
    measures: tuple[Measure, ...]
    observations: tuple[Observation, ...]
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    block_label: str = "seed"

    def __post_init__(self) -> None:
        shape = self.shape()
        seen: set[tuple[str, tuple[int, ...]]] = set()
        for one in self.observations:
            if len(one.levels) != len(shape) or not all(
                0 <= level < length for level, length in zip(one.levels, shape, strict=True)
            ):
                raise ValueError(f"{one.levels} is no cell of a grid of {shape}")
            if (one.block, one.levels) in seen:
                raise ValueError(f"{one.levels} of {self.block_label} {one.block} comes twice")
            seen.add((one.block, one.levels))

    def shape(self) -> tuple[int, ...]:
        """How many levels each factor has."""
        return tuple(len(factor.levels) for factor in self.factors)

    def blocks(self) -> tuple[str, ...]:
        """The blocks by size where all are whole numbers, else by their text: never by the order
        of the observations.
        """
        found = {one.block for one in self.observations}
        if all(block.lstrip("-").isdecimal() for block in found):
            return tuple(sorted(found, key=lambda block: (int(block), block)))
        return tuple(sorted(found))

    def factor(self, name: str) -> Factor:
        """Raises KeyError for a name that no factor has."""
        return {factor.name: factor for factor in self.factors}[name]

    def measure(self, name: str) -> Measure:
        """Raises KeyError for a name that no measure has."""
        return {measure.name: measure for measure in self.measures}[name]

    def values(self, measure: str) -> np.ndarray:
        """The measure of every cell, float64 (blocks, levels of each factor...), NaN for a gap."""
        places = {block: index for index, block in enumerate(self.blocks())}
        found = np.full((len(places), *self.shape()), np.nan)
        for one in self.observations:
            found[(places[one.block], *one.levels)] = one.value(measure)
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureSpace:
    """Where pictures lie, one row an observation, in the order of the grid's observations: either
    an `embedding` (N, d), whose Euclidean distances count, or `distances` (N, N), symmetric.

    A row of NaN has no picture. `label` as in "distances of CLIP embeddings". Raises ValueError
    where both or none are given, and for distances that are not square.
    """

    name: str
    label: str
    embedding: np.ndarray | None = field(default=None, repr=False)
    distances: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        given = [one for one in (self.embedding, self.distances) if one is not None]
        if len(given) != 1 or given[0].ndim != 2:
            raise ValueError(f"{self.name}: either embedding (N, d) or distances (N, N)")
        if self.distances is not None and len(set(self.distances.shape)) != 1:
            raise ValueError(f"{self.name}: distances are square, not {self.distances.shape}")
