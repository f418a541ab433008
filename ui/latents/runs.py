"""The runs of the Latents page: what was recorded of the chosen pictures."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.output.figures.step_runs import Run
from core.runs.store.store import Store, StoredImage, StoreError
from ui.runs.recording import recorded
from ui.runtime import Runtime


def runs_of(runtime: Runtime, images: Sequence[StoredImage]) -> list[Run]:
    """Those of the pictures whose numbers are stored; for the others the page says what it needs.

    A picture that took no step at all (image-to-image of strength 0) has nothing to draw.
    """
    found = recorded(runtime, images, "norms")
    runs = [
        Run(digest=image.digest, settings=image.settings, records=found[image.digest])
        for image in images
        if image.digest in found
    ]
    empty = [run for run in runs if not run.records]
    if empty:
        st.info("No step was run for a picture chosen here, so there is nothing to plot.")
    return [run for run in runs if run.records]


def channel_square(store: Store, run: Run, channel: int) -> float | None:
    """Mean square of one channel of the run's last predicted x0; None without its tensors."""
    if not store.holds([run.digest], "latents"):
        return None
    try:
        squares = _channel_squares(store, str(store.folder), run.digest)
    except StoreError:  # the step's pictures beside the figures say so
        return None
    return squares[channel] if channel < len(squares) else None


@st.cache_data(show_spinner=False, max_entries=1024)
def _channel_squares(_store: Store, folder: str, digest: str) -> tuple[float, ...]:
    trajectory = _store.trajectory(digest)
    if trajectory is None or trajectory.pred_original_sample is None:
        raise StoreError("The recording of this picture no longer exists.")
    last = trajectory.pred_original_sample[-1].astype(float)
    return tuple((last**2).mean((1, 2)).tolist())


def image_of(images: Sequence[StoredImage], run: Run) -> StoredImage:
    return next(image for image in images if image.digest == run.digest)
