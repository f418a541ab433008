"""The runs of the Latents page: what was recorded of the chosen pictures."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.output.step_runs import Run
from core.runs.store import StoredImage
from ui.recording import recorded
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
        st.info("No step was run for a picture chosen here, so there is nothing to draw of it.")
    return [run for run in runs if run.records]


def image_of(images: Sequence[StoredImage], run: Run) -> StoredImage:
    return next(image for image in images if image.digest == run.digest)
