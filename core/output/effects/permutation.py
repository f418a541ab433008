"""Permutation within blocks: whether a term's part is larger than chance would make it."""

from __future__ import annotations

import math

import numpy as np

from core.output.effects.components import Component

PERMUTATIONS = 999
FEWEST = 199
_MOST_PRODUCTS = 400_000_000  # about 3 s: beyond, fewer permutations are drawn
_AT_ONCE = 4_000_000  # inner products in memory


def permutation_p(
    component: Component, permutations: int = PERMUTATIONS, seed: int = 0
) -> tuple[float, int]:
    """(1 + those at least as large) / (1 + all), and how many were drawn.

    In every block by itself the levels of each of the term's factors change places, alike in all
    cells of the other factors: if the term has no part in common to the blocks, all these grids
    are as likely (Anderson and ter Braak 2003, doi:10.1080/00949650215733). What is compared is
    the sum of squares of the mean over blocks, which orders them as pseudo-F does, since the sum
    within the blocks stays. Each permutation costs blocks x blocks x entries; of more than 400,000
    of these (200 seeds and 10 values) fewer than `permutations` are drawn, at least FEWEST.
    """
    blocks = len(component.parts)
    entries = math.prod(component.levels)
    cost = entries * (blocks if component.parts.ndim == 2 else blocks**2)
    count = min(permutations, max(FEWEST, _MOST_PRODUCTS // cost))
    draw = np.random.default_rng(seed)
    observed = _sums(component, np.broadcast_to(np.arange(entries), (1, blocks, entries)))[0]
    # Sums of the same numbers in another order differ in the last bits.
    bound = observed * (1 - 1e-9)
    larger, done = 0, 0
    while done < count:
        batch = min(count - done, max(1, _AT_ONCE // cost))
        larger += int((_sums(component, _orders(component, batch, draw)) >= bound).sum())
        done += batch
    return (1 + larger) / (1 + count), count


def smallest_p(component: Component) -> float:
    """The p of a term that no permutation surpasses, with all of them: permuting every block alike
    changes nothing. Two factors of two levels, both turned round, leave their interaction as it is.
    """
    pairs = sum(length == 2 for length in component.levels)
    ways = math.prod(math.factorial(length) for length in component.levels) / 2 ** max(pairs - 1, 0)
    return float(ways) ** (1 - len(component.parts))


def _orders(component: Component, count: int, draw: np.random.Generator) -> np.ndarray:
    """Which entry stands at each entry's place: (count, blocks, entries)."""
    blocks = len(component.parts)
    found = np.zeros((count, blocks, 1), dtype=np.int64)
    for length in component.levels:
        identity = np.broadcast_to(np.arange(length), (count, blocks, length))
        order = draw.permuted(identity, axis=-1)
        found = (found[..., :, None] * length + order[..., None, :]).reshape(count, blocks, -1)
    return found


def _sums(component: Component, orders: np.ndarray) -> np.ndarray:
    """blocks² times the squares of the mean over blocks, for each permutation."""
    parts = component.parts
    rows = np.arange(len(parts))
    if parts.ndim == 2:
        return np.square(parts[rows[:, None], orders].sum(axis=1)).sum(axis=-1)
    flat = parts.reshape(parts.shape[0] * parts.shape[1], -1)
    places = orders + rows[:, None] * parts.shape[1]
    # A block with itself gives as much in every order, and two blocks alike both ways round.
    found = np.full(len(orders), np.einsum("alal->", parts))
    for row in rows[:-1]:
        one, others = places[:, row, None, :], places[:, row + 1 :, :]
        found += 2 * flat[one, others].sum(axis=(1, 2))
    return found
