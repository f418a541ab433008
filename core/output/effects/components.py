"""A balanced grid taken apart into terms, block by block: factors, their interactions, the rest.

Everything is an inner product of cells, so that a number and a picture are taken apart alike. Of
numbers these are products; of an embedding, dot products; of distances, Gower's centred matrix
(McArdle and Anderson 2001, doi:10.1890/0012-9658(2001)082[0290:FMMTCD]2.0.CO;2).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MANY = 500
"""Points beyond which single precision is enough."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Component:
    """A term's part of every block. `axes` are the factors that make it up (0 is the first) and
    `levels` how many levels each has; `cells` are averaged in each entry.

    `parts` is (blocks, entries) of numbers, or (blocks, entries, blocks, entries) of inner
    products; the mean over any factor of the term is 0.
    """

    axes: tuple[int, ...]
    levels: tuple[int, ...]
    cells: int
    parts: np.ndarray

    @functools.cached_property
    def between(self) -> np.ndarray:
        """(blocks, blocks): the inner products of two blocks' parts, over all cells."""
        if self.parts.ndim == 2:
            return self.cells * (self.parts @ self.parts.T)
        return self.cells * np.einsum("alcl->ac", self.parts)


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """The components of each term of a balanced grid, and what they are parts of: `blocks` the
    inner products of the blocks' means over all cells (blocks, blocks), `total` of each block's
    cells with themselves (blocks,). The origin is the mean of all cells.
    """

    components: tuple[Component, ...]
    blocks: np.ndarray
    total: np.ndarray


def of_numbers(values: np.ndarray) -> Layout:
    """(blocks, levels...) without a gap."""
    centred = values - values.mean()
    cells = centred[0].size
    means = centred.reshape(len(centred), cells).mean(axis=1)
    return Layout(
        components=tuple(
            Component(
                axes=term,
                levels=tuple(values.shape[1 + axis] for axis in term),
                cells=_cells(values.shape[1:], term),
                parts=_part(centred, 1, centred.ndim - 1, term).reshape(len(values), -1),
            )
            for term in terms(values.shape[1:])
        ),
        blocks=cells * np.outer(means, means),
        total=np.square(centred).reshape(len(centred), cells).sum(axis=1),
    )


def of_products(products: np.ndarray, shape: Sequence[int]) -> Layout:
    """(N, N) inner products of cells, N = blocks x levels... in the order of `shape`."""
    mean = products.mean(axis=0)
    centred = products - mean - mean[:, None] + mean.mean()
    both = centred.reshape(*shape, *shape)
    levels = tuple(shape[1:])
    cells = math.prod(levels)
    components: list[Component] = []
    for term in terms(levels):
        one_side = _part(both, 1, len(levels), term)
        part = _part(one_side, one_side.ndim - len(levels), len(levels), term)
        entries = math.prod(levels[axis] for axis in term)
        components.append(
            Component(
                axes=term,
                levels=tuple(levels[axis] for axis in term),
                cells=_cells(levels, term),
                parts=part.reshape(shape[0], entries, shape[0], entries),
            )
        )
    by_block = centred.reshape(shape[0], cells, shape[0], cells)
    return Layout(
        components=tuple(components),
        blocks=cells * by_block.mean(axis=(1, 3)),
        total=np.diag(centred).reshape(shape[0], cells).sum(axis=1),
    )


def of_embedding(points: np.ndarray, shape: Sequence[int]) -> Layout:
    """What `of_products` gives of the inner products of `points` (N, d), with their means taken
    before they are multiplied: N x N numbers are gone through once a term.
    """
    centred = points - points.mean(axis=0)
    levels = tuple(shape[1:])
    cells = math.prod(levels)
    placed = centred.reshape(*shape, -1)
    components: list[Component] = []
    for term in terms(levels):
        entries = math.prod(levels[axis] for axis in term)
        part = _part(placed, 1, len(levels), term).reshape(shape[0] * entries, -1)
        components.append(
            Component(
                axes=term,
                levels=tuple(levels[axis] for axis in term),
                cells=_cells(levels, term),
                parts=_products(part).reshape(shape[0], entries, shape[0], entries),
            )
        )
    by_block = centred.reshape(shape[0], cells, -1)
    means = by_block.mean(axis=1)
    return Layout(
        components=tuple(components),
        blocks=cells * (means @ means.T),
        total=np.square(by_block).sum(axis=(1, 2)),
    )


def products_of_distances(distances: np.ndarray) -> np.ndarray:
    """Gower's matrix but for its centring: half the squared distances, below 0."""
    return -0.5 * np.square(distances)


def terms(levels: Sequence[int]) -> list[tuple[int, ...]]:
    """The factors with more than one level and all their interactions, the smaller ones first."""
    several = [axis for axis, length in enumerate(levels) if length > 1]
    sizes = range(1, len(several) + 1)
    return [term for size in sizes for term in itertools.combinations(several, size)]


def _products(points: np.ndarray) -> np.ndarray:
    """(N, N) inner products. Of many points in single precision, in half the time: 1e-6 of them is
    less than any figure shows.
    """
    if len(points) > MANY:
        points = points.astype(np.float32)
    return (points @ points.T).astype(np.float64)


def _cells(levels: Sequence[int], term: tuple[int, ...]) -> int:
    return math.prod(length for axis, length in enumerate(levels) if axis not in term)


def _part(values: np.ndarray, first: int, count: int, term: tuple[int, ...]) -> np.ndarray:
    """Average over the factors outside the term (their axes go), centre over those in it. The
    `count` factors' axes begin at `first`.
    """
    for axis in reversed(range(count)):
        mean = values.mean(axis=first + axis, keepdims=axis in term)
        values = values - mean if axis in term else mean
    return values
