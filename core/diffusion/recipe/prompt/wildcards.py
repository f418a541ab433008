"""The wildcards folder: text files, a line an option. `__animal__` stands for a line of animal.txt.

The one thing of the recipe that looks on the disk, and only when it is asked for a wildcard.
"""

from __future__ import annotations

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
        if not path.is_file():
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
            try:
                count = len(_read(path))
            except MarkError:
                count = 0
            found.append((path.relative_to(self.folder).with_suffix("").as_posix(), count))
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
    try:
        if path.stat().st_size > MAX_BYTES:
            raise MarkError(f"{path} is larger than {MAX_BYTES // 1_000_000} MB: shorten it")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MarkError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise MarkError(f"{path} is not UTF-8 text: save it as that") from error
    lines = (line.strip() for line in text.split("\n"))
    return tuple(line for line in lines if line and not line.startswith(COMMENT))
