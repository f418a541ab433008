"""Files of the model roots that are called by name: found once for many questions."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class Walked(Generic[T]):
    """What `walk` finds in the model roots by name, found anew for each question but within
    `once`.
    """

    def __init__(self, walk: Callable[[], Mapping[str, T]]) -> None:
        self._walk = walk
        self._kept: ContextVar[list[Mapping[str, T]] | None] = ContextVar("_kept", default=None)

    def __call__(self) -> Mapping[str, T]:
        kept = self._kept.get()
        if kept is None:
            return self._walk()
        if not kept:
            kept.append(self._walk())
        return kept[0]

    @contextmanager
    def once(self) -> Generator[None]:
        """Search the model roots once while this lasts, when something is first asked for."""
        token = self._kept.set([])
        try:
            yield
        finally:
            self._kept.reset(token)


def leads_within(path: Path, root: Path) -> bool:
    """Whether a path stays in `root` once its links are followed; nothing is opened for it."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a circle of links
        return False


def entries(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    """What lies in a root and in its folders of these names, each in alphabetical order. A link
    that leads out of the root is not followed.
    """
    try:
        places = [root, *(one for one in sorted(root.iterdir()) if one.name.lower() in folders)]
    except OSError:
        return
    for place in places:
        if place.is_dir() and leads_within(place, root):
            yield from (one for one in sorted(place.iterdir()) if leads_within(one, root))
