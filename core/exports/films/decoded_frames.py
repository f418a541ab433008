"""The frames of one run's x_t or predicted x0, decoded once and kept on disk.

A film of one run and films of any sweep with that run use the same decoded frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from core.diffusion.named_files import digest_of
from core.diffusion.sampling.frames import decode_frames, preview_frames, vp_latents
from core.output.film.film import FilmError
from core.runs.store.shelf import Shelf
from core.runs.store.store import Store, StoredImage
from core.runs.worker.tasks.work import TaskError

if TYPE_CHECKING:
    from core.diffusion.models.load import LoadedModel

Kind = Literal["latents", "x0"]
Decoder = Literal["vae", "preview"]

VERSION = 1
"""Raised when the same latents would give other frames, so that no kept file is mistaken."""

KEPT_BYTES = 2_000_000_000
FOLDER = "films/reels"
"""In the store. The name stays, so that frames decoded by older versions are found."""


def reels(store: Store) -> Shelf:
    """The folder of decoded frames, with at most KEPT_BYTES."""
    return Shelf(store.folder / FOLDER, most_bytes=KEPT_BYTES)


class FrameCache:
    """The decoded frames kept in a store's folder, by image, kind and decoder."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shelf = reels(store)

    def find(self, image: StoredImage, kind: Kind, decoder: Decoder) -> DecodedFrames | None:
        """Return the frames; None where they are not decoded, or no longer kept."""
        path = self._shelf.find(_name(image, kind, decoder))
        return DecodedFrames(path) if path is not None else None

    def missing(
        self, image: StoredImage, kinds: Sequence[Kind], decoder: Decoder
    ) -> tuple[Kind, ...]:
        """Return the kinds whose frames are not kept."""
        return tuple(kind for kind in kinds if not self._shelf.find(_name(image, kind, decoder)))

    def decode(
        self, model: LoadedModel, image: StoredImage, kinds: Sequence[Kind], decoder: Decoder
    ) -> Iterator[int]:
        """Decode the frames of these kinds; yield the number of frames done, a piece at a time.

        Raises TaskError where the model is another than the one that made the picture, or where
        no tensors were recorded; StoreError, ModelError, OSError.
        """
        if model.info.fingerprint != image.model_fingerprint:
            raise TaskError(
                f"{image.model_name} has changed since it made this picture: it would decode other "
                "frames. Generate the picture again."
            )
        if image.settings.vae and decoder == "vae":
            from core.diffusion.models.vae.loading import model_for

            if digest_of(image.settings, image.model_fingerprint) != image.digest:
                raise TaskError(
                    f"The VAE {image.settings.vae} has changed since it made this picture, or is "
                    "not here: it would decode other frames. Choose the preview instead."
                )
            model = model_for(model, image.settings)
        trajectory = self._store.trajectory(image.digest)
        if trajectory is None or trajectory.latents is None:
            raise TaskError("The steps of this picture are not recorded any more.")
        x_t, x0 = vp_latents(trajectory, image.settings.scheduler), trajectory.pred_original_sample
        before = 0
        for kind in kinds:
            latents = x_t if kind == "latents" else x0
            if latents is None:
                raise TaskError("The predictions of this run were not recorded.")
            path = self._shelf.place(_name(image, kind, decoder))
            for done in write_frames(model, latents, decoder, path):
                yield before + done
            before += len(latents)

    def tidy(self, images: Sequence[StoredImage], kinds: Sequence[Kind], decoder: Decoder) -> None:
        """Remove the files least recently used, beyond KEPT_BYTES; never these."""
        names = {_name(image, kind, decoder) for image in images for kind in kinds}
        self._shelf.tidy(keep={self._shelf.folder / name for name in names})


class DecodedFrames(Sequence[np.ndarray]):
    """The frames of a file, uint8 (H, W, 3), read one at a time: no file stays open. Raises
    FilmError where the file is gone or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._length = len(self._open())

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, index: Any) -> Any:
        return np.array(self._open()[index])

    def _open(self) -> np.ndarray:
        try:
            found: np.ndarray = np.load(self._path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            self._path.unlink(missing_ok=True)  # so that the next film decodes it again
            raise FilmError("The frames are no longer kept: make the film again.") from error
        return found


def _name(image: StoredImage, kind: Kind, decoder: Decoder) -> str:
    return f"{image.digest}-{kind}-{decoder}-{VERSION}.npy"


def write_frames(
    model: LoadedModel, latents: np.ndarray, decoder: Decoder, path: Path
) -> Iterator[int]:
    """Stream the frames of scaled latents (N, C, h, w) into a file, which has its name only when it
    is whole; yield the number of those done. Raises ModelError and OSError.
    """
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:

            def write(index: int, frame: np.ndarray) -> None:
                if index == 0:
                    header = {
                        "descr": "|u1",
                        "fortran_order": False,
                        "shape": (len(latents), *frame.shape),
                    }
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(np.ascontiguousarray(frame).tobytes())

            if decoder == "vae":
                pieces = decode_frames(model, latents, write)
            else:
                pieces = preview_frames(model.info, latents, write)
            for done, _ in pieces:
                yield done
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
