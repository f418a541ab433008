"""Work: what a named task is to the worker: a generator that yields what it needs next."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from core.runs.store.store import Store

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class OnModel:
    """Yielded by a task whose next piece needs the model `source`, which it is then sent."""

    source: str


@dataclass(frozen=True, kw_only=True)
class InPool:
    """Yielded by a task that needs no model any more."""


Work: TypeAlias = "Generator[tuple[int, int] | OnModel | InPool, Any, Any]"
"""Yields (done, total) about every tenth of a second; what it returns is the task's result. It may
be carried on by another thread after any yield: it holds nothing that belongs to one.
"""


class TaskError(Exception):
    """A task that cannot go on, in words for the person who asked for it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskContext:
    """What a task works with. `model` is that of its settings, where its row of TASKS needs one;
    `source` reads a picture by its digest (`Tasks.keep_source`) and raises InputError.
    """

    store: Store
    source: Callable[[str], np.ndarray]
    model: Any = None
