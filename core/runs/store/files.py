"""Files named by digest: written whole or not at all."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

from core.runs.store.database import StoreError, explain_os_error


class Files:
    """The pictures, trajectories and sources of a data folder. Raises StoreError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unfinished = folder / "tmp"

    def prepare(self) -> None:
        """Make the folders and prove that they can be written."""
        try:
            for name in ("images", "trajectories", "inputs", "tmp"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            probe = self._unfinished / f"probe-{uuid.uuid4().hex}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise explain_os_error(error, self.folder) from error

    def picture(self, digest: str) -> Path:
        return self.folder / "images" / digest[:2] / f"{digest}.png"

    def picture_size(self, digest: str) -> int | None:
        """Its bytes, None where there is no file. Asked of every cell of a grid, several times: a
        Path would cost more than the question.
        """
        try:
            return os.stat(f"{self.folder}/images/{digest[:2]}/{digest}.png").st_size
        except OSError:
            return None

    def trajectory(self, digest: str) -> Path:
        return self.folder / "trajectories" / digest[:2] / f"{digest}.safetensors"

    def input(self, digest: str, ending: str) -> Path:
        return self.folder / "inputs" / digest[:2] / f"{digest}.{ending}"

    def pictures(self) -> list[Path]:
        """Every picture file, in the order of digests."""
        return sorted((self.folder / "images").glob("??/*.png"))

    def write(self, target: Path, data: bytes) -> None:
        """Write a file. When this returns it is on the disk; when it raises, `target` is as it
        was.
        """
        unfinished = self._unfinished / f"{target.name}-{uuid.uuid4().hex}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._unfinished.mkdir(exist_ok=True)
            with open(unfinished, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(unfinished, target)
            _sync_folder(target.parent)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            raise explain_os_error(error, self.folder) from error

    def read(self, path: Path) -> bytes | None:
        """None when there is no such file."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read ({error.strerror or error}).") from error

    def remove(self, path: Path) -> None:
        """A file that cannot be removed stays: without its row nothing shows it."""
        with suppress(OSError):
            path.unlink()

    def sweep_unfinished(self) -> None:
        """Remove what a crash left half written. Only for the one process that writes."""
        with suppress(OSError):
            for path in self._unfinished.iterdir():
                self.remove(path)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut; Windows can do without, and does not offer it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
