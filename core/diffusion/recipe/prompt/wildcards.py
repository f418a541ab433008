"""The wildcards folder: text files, a line an option. `__animal__` stands for a line of animal.txt.

The one thing of the recipe that looks on the disk, and only when it is asked for a wildcard.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.diffusion.recipe.prompt.marks import MarkError

SUFFIX = ".txt"
COMMENT = "#"
MAX_BYTES = 4_000_000
"""Of a file: more than any list of words has."""
MAX_FILES = 1000
"""Files that are listed."""


@dataclass(frozen=True, kw_only=True)
class Wildcards:
    """The wildcards of a folder, which need not exist; None is no folder."""

    folder: Path | None = None

    def lines(self, name: str) -> tuple[str, ...]:
        """The options of `__name__`, or of `__folder/name__`: the file's lines without blank ones
        and those that begin with #. Raises MarkError.
        """
        if self.folder is None:
            raise MarkError(f"__{name}__ has no wildcards folder to be looked for in")
        parts = name.split("/")
        if not all(part.strip(" .") for part in parts):
            raise MarkError(f"__{name}__ is no name of a file in {self.folder}")
        path = self.folder.joinpath(*parts[:-1], parts[-1] + SUFFIX)
        if not _is_file(path):
            raise MarkError(
                f"__{name}__ has no file: put one at {path}, or write \\__{name}__ for the words"
            )
        lines = _read(path)
        if not lines:
            raise MarkError(f"__{name}__ has no line to choose: {path} is empty")
        return lines

    def names(self) -> list[tuple[str, int]]:
        """Each wildcard of the folder and how many lines it has, by name; 0 for a file that cannot
        be read. Folders are followed, links to folders are not.
        """
        if self.folder is None:
            return []
        found: list[tuple[str, int]] = []
        for path in _files(self.folder):
            name = path.relative_to(self.folder).with_suffix("").as_posix()
            found.append((name, _count(path)))
            if len(found) == MAX_FILES:
                break
        return sorted(found)


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if name.endswith(SUFFIX) and not name.startswith("."):
                yield Path(place) / name


def _read(path: Path) -> tuple[str, ...]:
    """The lines of a file, read again where it has changed."""
    try:
        found = path.stat()
        return _lines(path, found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise MarkError(f"{path} cannot be read: {error.strerror or error}") from error


def _count(path: Path) -> int:
    try:
        found = path.stat()
        return _line_count(path, found.st_mtime_ns, found.st_size)
    except (OSError, MarkError):
        return 0


@functools.lru_cache(maxsize=64)
def _lines(path: Path, changed: int, size: int) -> tuple[str, ...]:
    if size > MAX_BYTES:
        raise MarkError(f"{path} is larger than {MAX_BYTES // 1_000_000} MB: shorten it")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except ValueError as error:
        raise MarkError(f"{path} is not UTF-8 text: save it as that") from error
    lines = (line.strip() for line in text.split("\n"))
    return tuple(line for line in lines if line and not line.startswith(COMMENT))


@functools.lru_cache(maxsize=4 * MAX_FILES)
def _line_count(path: Path, changed: int, size: int) -> int:
    return len(_lines.__wrapped__(path, changed, size))


def _is_file(path: Path) -> bool:
    """Whether there is such a file; False for a name that no file can have."""
    try:
        return path.is_file()
    except OSError:
        return False
