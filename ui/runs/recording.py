"""What was recorded of stored pictures, and recording more: same digest, same pixels."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Literal

import streamlit as st

from core.diffusion.models.load import ModelError, describe
from core.diffusion.named_files import digest_of
from core.diffusion.recipe.schedule import unet_calls
from core.diffusion.trajectory import StepRecord, Trajectory
from core.runs.store.store import Store, StoredImage, StoreError
from ui.runs.progress import follow_job
from ui.runtime import Runtime, owner_id
from ui.views import show_error, show_warning

JOBS = "recording:jobs"
"""What was asked for -> (token of the click, job id or None until it is submitted)."""

TAKEN = "recording:taken"
"""The offers that were taken without a click."""

Level = Literal["norms", "latents"]

_OFFERS: dict[Level, tuple[str, str]] = {
    "norms": (
        "Record the numbers",
        "No numbers of {pictures} are stored. {They} can be computed again to record the numbers "
        "of every step: the stored pixels stay as they are.",
    ),
    "latents": (
        "Record the tensors",
        "The latents of {pictures} are not stored. To show them, {they} must be computed again: "
        "the stored pixels stay as they are.",
    ),
}


def has_no_step(image: StoredImage) -> bool:
    """Image-to-image of strength 0 decodes its source again: there is nothing to record."""
    return unet_calls(image.settings) == 0


def needs_tensors(
    runtime: Runtime, image: StoredImage, *, at_once: bool = False
) -> Trajectory | None:
    """The trajectory with its tensors. Until it is there: the offer to record them, and None.

    `at_once` takes the offer by itself, once a session: for who has asked by coming here.
    """
    if has_no_step(image):
        st.info("No step was run for this picture: it has no latents of its own.")
        return None
    name = _name_of([image], "latents")
    taken: set[str] = st.session_state.setdefault(TAKEN, set())
    if at_once and name not in taken and can_repeat(image):
        taken.add(name)
        _note_click(name)
    try:
        if runtime.store.holds([image.digest], "latents"):
            kept = runtime.store.trajectory(image.digest)
            if kept is not None:
                return kept
    except StoreError as error:
        _say_damaged([str(error)], 1)
    _offer(runtime, [image], "latents")
    return None


def recorded(
    runtime: Runtime, images: Sequence[StoredImage], level: Level
) -> dict[str, tuple[StepRecord, ...]]:
    """Digest -> records of those that have at least `level`; for the others one offer to compute
    them again, their progress with Stop, or why that cannot be. A run without a step has none.
    """
    store = runtime.store
    found: dict[str, tuple[StepRecord, ...]] = {}
    damaged: list[str] = []
    enough = store.holds([image.digest for image in images], level)
    for image in images:
        if has_no_step(image):
            found[image.digest] = ()
        elif image.digest in enough:
            try:
                found[image.digest] = records_of(store, str(store.folder), image.digest)
            except StoreError as error:
                damaged.append(str(error))
    if damaged:
        _say_damaged(damaged, len(images))
    missing = [image for image in images if image.digest not in found]
    if missing:
        _offer(runtime, missing, level)
    return found


@st.cache_data(show_spinner=False, max_entries=1024)
def records_of(_store: Store, folder: str, digest: str) -> tuple[StepRecord, ...]:
    """What was recorded, without the tensors: those of many runs would fill the memory. Raises
    StoreError, which is not remembered.
    """
    trajectory = _store.trajectory(digest)
    if trajectory is None:
        raise StoreError("The recording of this picture no longer exists.")
    return trajectory.records


def _say_damaged(reasons: Sequence[str], count: int) -> None:
    what = f"{len(reasons)} of {count} trajectories: {reasons[0]}" if count > 1 else reasons[0]
    show_warning("A trajectory cannot be read", what, "No picture is lost.")


def _offer(runtime: Runtime, images: Sequence[StoredImage], level: Level) -> None:
    """One job for all of them."""
    possible = [image for image in images if can_repeat(image)]
    if len(possible) < len(images):
        what = "One picture was" if len(images) == 1 else "Some of these pictures were"
        st.info(
            f"{what} made by a model that is no longer available, or has changed: computing again "
            "would give another picture.",
            title="Not recorded",
            icon=":material/block:",
        )
    if not possible:
        return
    name = _name_of(possible, level)
    asked: dict[str, tuple[str, str | None]] = st.session_state.setdefault(JOBS, {})
    if name in asked:
        _follow(runtime, possible, level, name)
    else:
        _ask(possible, level, name)


def _name_of(images: Sequence[StoredImage], level: Level) -> str:
    """Name it by digests too: what a stopped or failed job left undone is a question of its own."""
    return f"{level}:{','.join(sorted(image.digest for image in images))}"


def can_repeat(image: StoredImage) -> bool:
    """Return whether the model that made it is here unchanged, so that its settings give it
    again.
    """
    try:
        fingerprint = describe(image.settings.model).fingerprint
    except ModelError:
        return False
    return digest_of(image.settings, fingerprint) == image.digest


def _ask(images: Sequence[StoredImage], level: Level, name: str) -> None:
    button, words = _OFFERS[level]
    one = len(images) == 1
    pictures = "this picture" if one else f"{len(images)} pictures"
    they = "it" if one else "they"
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.caption(
            words.format(pictures=pictures, they=they, They=they.capitalize()), width="stretch"
        )
        st.button(
            button,
            key=f"record:{name}",
            icon=":material/radio_button_checked:",
            on_click=_note_click,
            args=(name,),
        )


def _note_click(name: str) -> None:
    st.session_state.setdefault(JOBS, {})[name] = (uuid.uuid4().hex, None)


def _forget(name: str) -> None:
    st.session_state.get(JOBS, {}).pop(name, None)


def _follow(runtime: Runtime, images: Sequence[StoredImage], level: Level, name: str) -> None:
    """Submits on the first call (once a click, by its token); then progress until it is over."""
    token, job_id = st.session_state[JOBS][name]
    if job_id is None:
        job_id = runtime.queue.submit(
            [image.settings for image in images],
            owner=owner_id(),
            token=token,
            strict=all(bool(image.computed.get("strict")) for image in images),
            record=level,
            label=f"Recording: {images[0].settings.prompt}"[:80],
        )
        st.session_state[JOBS][name] = (token, job_id)
    job = runtime.queue.job(job_id)
    if job is None or (job.is_over and job.state != "done"):
        if job is not None and job.state == "failed":
            show_error("The run could not be recorded", job.error)
        _forget(name)
        _ask(images, level, name)
        return
    if job.is_over:
        # Done, and still not there: the trajectory was damaged or deleted since.
        _forget(name)
        st.rerun()

    follow_job(runtime, job_id, key=f"record stop:{name}", before="Recording. ")
