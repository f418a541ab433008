"""Shelf: files that could be made again, kept by name while there is room; the oldest go first."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path


class Shelf:
    """A folder of at most `most_files` files and `most_bytes` bytes. What is asked for is young
    again. Files are put there by renaming: one that is found is whole.
    """

    def __init__(
        self, folder: Path, *, most_files: int = 10_000, most_bytes: int = 2_000_000_000
    ) -> None:
        self.folder = folder
        self._most_files, self._most_bytes = most_files, most_bytes

    def place(self, name: str) -> Path:
        """Return where the file of this name is or will be; makes the folder. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / name

    def find(self, name: str) -> Path | None:
        """The file of this name, young again; None where there is none."""
        path = self.folder / name
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    def tidy(self, keep: Collection[Path] = ()) -> None:
        """Remove the files not asked for longest, until the rest is within bounds; never `keep`,
        nor what is being written (".part").
        """
        found: list[tuple[float, int, Path]] = []
        with suppress(OSError):
            for path in self.folder.iterdir():
                with suppress(OSError):
                    about = path.stat()
                    if path.is_file() and path.suffix != ".part":
                        found.append((about.st_mtime, about.st_size, path))
        found.sort(key=lambda one: (one[2] in keep, one[0]), reverse=True)
        in_all = 0
        for count, (_, size, path) in enumerate(found, start=1):
            in_all += size
            if (count > self._most_files or in_all > self._most_bytes) and path not in keep:
                with suppress(OSError):
                    path.unlink()
