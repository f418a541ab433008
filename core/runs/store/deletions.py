"""Deletions under way, written down before anything goes: one that was cut short is finished."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.runs.store.database import StoreError
from core.runs.store.files import Files

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """What one deletion takes: pictures by their digests, and the sources that they name."""

    digests: tuple[str, ...]
    sources: tuple[str, ...]
    note: Path | None
    """The file that remembers it; None where the disk was too full for one."""


class Deletions:
    """Notes beside the index, not in it: a new index must not bring deleted pictures back."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._folder = files.folder / "deleting"

    def begin(self, digests: Iterable[str], sources: Iterable[str]) -> Deletion:
        """Remembers a deletion on the disk. One that is full is no reason not to delete."""
        note = self._folder / f"{uuid.uuid4().hex}.json"
        taken = {"digests": sorted(digests), "sources": sorted(sources)}
        try:
            self._files.write(note, json.dumps(taken).encode())
        except StoreError as error:
            log.warning("A deletion could not be noted, and goes on: %s", error)
            note = None
        return Deletion(digests=tuple(taken["digests"]), sources=tuple(taken["sources"]), note=note)

    def end(self, deletion: Deletion) -> None:
        """Forgets it, unless a file of it is still there."""
        left = [
            digest
            for digest in deletion.digests
            if self._files.picture(digest).exists() or self._files.trajectory(digest).exists()
        ]
        if deletion.note is not None and not left:
            self._files.remove(deletion.note)

    def give_up(self, deletion: Deletion) -> None:
        """Forgets one that could not be begun: nothing of it was deleted."""
        if deletion.note is not None:
            self._files.remove(deletion.note)

    def unfinished(self) -> list[Deletion]:
        """Those that were cut short."""
        found: list[Deletion] = []
        for note in sorted(self._folder.glob("*.json")):
            with suppress(OSError, ValueError, LookupError, TypeError):
                taken = json.loads(note.read_text(encoding="utf-8"))
                digests, sources = tuple(taken["digests"]), tuple(taken["sources"])
                found.append(Deletion(digests=digests, sources=sources, note=note))
        return found

    def keep(self, digest: str) -> None:
        """Take a picture out of every deletion that was cut short: it is stored again."""
        for deletion in self.unfinished():
            if digest in deletion.digests and deletion.note is not None:
                others = [one for one in deletion.digests if one != digest]
                taken = {"digests": others, "sources": list(deletion.sources)}
                self._files.write(deletion.note, json.dumps(taken).encode())
