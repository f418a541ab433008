"""The lock on a data folder: one worker a folder, whatever process it lives in."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.runs.store.database import StoreError, explain_os_error


class FolderInUse(StoreError):  # noqa: N818 - named for what the person sees, not for its kind
    """Another worker has the folder; `pid` and `host` say which, as far as it left its name."""

    def __init__(self, folder: Path, pid: int | None, host: str) -> None:
        self.pid, self.host = pid, host
        who = f" (process {pid} on {host})" if pid is not None else ""
        super().__init__(
            f"The data folder {folder} is in use by another Diffusion Lightbox{who}. Use that "
            "one, close it, or name another folder in LIGHTBOX_DATA."
        )


class FolderLock:
    """Held by the process, so that the system frees it even when the process is killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._holder = folder / "worker.json"
        # Taken in one thread and released in another.
        self._lock = FileLock(folder / "worker.lock", thread_local=False)

    def acquire(self) -> None:
        """Raises FolderInUse at once when another holds it."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise FolderInUse(self._folder, *self._read_holder()) from None
        except OSError as error:
            raise explain_os_error(error, self._folder) from error
        with suppress(OSError):  # only the name in a message depends on it
            name = {"pid": os.getpid(), "host": socket.gethostname()}
            self._holder.write_text(json.dumps(name), encoding="utf-8")

    def release(self) -> None:
        if self._lock.is_locked:
            with suppress(OSError):
                self._holder.unlink()
            self._lock.release()

    def _read_holder(self) -> tuple[int | None, str]:
        try:
            found: dict[str, Any] = json.loads(self._holder.read_text(encoding="utf-8"))
            return int(found["pid"]), str(found["host"])
        except (OSError, ValueError, KeyError, TypeError):
            return None, ""
