"""Inputs: the sources of image-to-image as files named by their content. No index, none to lose."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from core.diffusion.recipe.images import InputError, input_digest
from core.diffusion.recipe.source_names import knows_name, plain_name, remember_name
from core.runs.store.database import Database
from core.runs.store.files import Files

_DIGEST = re.compile("[0-9a-f]{64}")
_ENDINGS = ("png", "npy")
_NAME = "txt"
"""The ending of the file with a source's name, beside the source."""


class Inputs:
    """Prepared pictures and masks as PNG, latents as NumPy arrays. Raises StoreError."""

    def __init__(self, database: Database, files: Files) -> None:
        self._database = database
        self._files = files
        for path in sorted((files.folder / "inputs").glob(f"??/*.{_NAME}")):
            self._learn_name(path.stem)

    def keep(self, source: np.ndarray, name: str = "") -> str:
        """Store a source once and return its digest; `name` is that of the file it came from."""
        digest = input_digest(source)
        if found := plain_name(name):
            path = self._files.input(digest, _NAME)
            if self._files.read(path) != found.encode():
                self._files.write(path, found.encode())
            remember_name(digest, found)
        if self._sound(digest) is not None:
            return digest
        buffer = io.BytesIO()
        if source.dtype == np.uint8:
            Image.fromarray(source).save(buffer, "PNG")
            self._files.write(self._files.input(digest, "png"), buffer.getvalue())
        else:
            np.save(buffer, source, allow_pickle=False)
            self._files.write(self._files.input(digest, "npy"), buffer.getvalue())
        return digest

    def read(self, digest: str) -> np.ndarray:
        """Raises InputError for a source that was deleted, or whose file is damaged."""
        found = self._sound(digest) if _DIGEST.fullmatch(digest) else None
        if found is None:
            raise InputError(
                "To compute again needs its source picture, which is not stored here any more "
                f"(SHA-256 {digest[:12]}…). Choose the picture again on the Image to image page."
            )
        if not knows_name(digest):
            self._learn_name(digest)
        return found

    def holds(self, digest: str) -> bool:
        return self.file(digest) is not None

    def file(self, digest: str) -> Path | None:
        """The file of a source, PNG or NumPy's, as the program of its images opens it."""
        if not _DIGEST.fullmatch(digest):
            return None
        paths = (self._files.input(digest, ending) for ending in _ENDINGS)
        return next((path for path in paths if path.exists()), None)

    def forget_unused(self, digests: Iterable[str]) -> None:
        """Remove those that no stored image and no unfinished cell names any more."""
        for digest in set(digests) - {""}:
            named = f'"{digest}"'
            images = "SELECT 1 FROM images WHERE instr(settings, ?) LIMIT 1"
            cells = (
                "SELECT 1 FROM cells WHERE state IN ('pending', 'running')"
                " AND instr(settings, ?) LIMIT 1"
            )
            if not any(self._database.read(sql, (named,)) for sql in (images, cells)):
                for ending in (*_ENDINGS, _NAME):
                    self._files.remove(self._files.input(digest, ending))

    def _learn_name(self, digest: str) -> None:
        data = self._files.read(self._files.input(digest, _NAME))
        if data is not None:
            remember_name(digest, data.decode(errors="replace"))

    def _sound(self, digest: str) -> np.ndarray | None:
        for ending in _ENDINGS:
            data = self._files.read(self._files.input(digest, ending))
            if data is None:
                continue
            try:
                if ending == "png":
                    found = np.asarray(Image.open(io.BytesIO(data), formats=("PNG",)))
                else:
                    found = np.load(io.BytesIO(data), allow_pickle=False)
            except (OSError, SyntaxError, ValueError, EOFError):
                continue
            if input_digest(found) == digest:
                return found
        return None
