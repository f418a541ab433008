"""SHA-256 of weights. Those of large files are remembered: reading 7 GB takes seconds."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

LARGE = 64 * 2**20
"""Bytes from which on a file is worth remembering."""

_lock = threading.Lock()


def file_sha256(file: Path) -> str:
    """SHA-256 (hex) of a file's bytes, read again only where its size or its time has changed.

    A large one in the Hugging Face cache is called by it already. Raises OSError.
    """
    blob = file.resolve()
    if blob.parent.name == "blobs" and len(blob.name) == 64:
        return blob.name
    state = blob.stat()
    return _sha256(blob, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _sha256(file: Path, size: int, changed: int) -> str:
    if size < LARGE:
        return _read(file)
    with _lock:
        match _remembered().get(str(file)):
            case [int(of_size), int(of_time), str(sha)] if (of_size, of_time) == (size, changed):
                if re.fullmatch("[0-9a-f]{64}", sha):
                    return sha
            case _:
                pass
        found = _read(file)
        after = file.stat()
        if (after.st_size, after.st_mtime_ns) == (size, changed):  # not while it is being copied
            _remember(str(file), [size, changed, found])
        return found


def _read(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _book() -> Path:
    return Path(platformdirs.user_cache_dir("diffusion-lightbox", appauthor=False)) / "hashes.json"


def _remembered() -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(_book().read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def _remember(file: str, entry: list[Any]) -> None:
    """Keep the hashes of files that are still there. Where the cache cannot be written, it is
    read again.
    """
    with suppress(OSError):
        book = {name: kept for name, kept in _remembered().items() if Path(name).exists()}
        book[file] = entry
        target = _book()
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(book, indent=1), encoding="utf-8")
        part.replace(target)
