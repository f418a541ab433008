"""InversionFilm: a source that goes to noise by DDIM inversion and comes back, and the task."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.diffusion.settings import GenerationSettings
from core.exports.films.decoded_frames import DecodedFrames, reels, write_frames
from core.exports.films.kept import as_task_errors, kept_films, write_kept
from core.output.film.frames import Captioned, RunFilm, RunFrames
from core.runs.store.store import Store
from core.runs.worker.tasks.work import InPool, OnModel, TaskContext, Work

VERSION = 1
"""Raised when the same film would be drawn in another way, so that no kept file is mistaken."""

FPS = 8
FEWEST_FRAMES = 24
"""Played: with few steps each frame is shown several times, none is made up between two."""


@dataclass(frozen=True, kw_only=True)
class InversionFilm:
    """The source of `settings` on its way to noise, then what comes back on each way, side by side:
    at guidance 1, at the guidance scale, and there with the prompt `edit`, where there is one.

    `settings` are those of `inverted_settings`; `fingerprint` is the model's.
    """

    settings: GenerationSettings
    edit: str
    fingerprint: str

    @property
    def name(self) -> str:
        """The file's name: a digest of all that determines it."""
        content = ["inversion", VERSION, self.settings.to_dict(), self.edit, self.fingerprint]
        text = json.dumps(content, sort_keys=True)
        return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.mp4"

    def find(self, store: Store) -> Path | None:
        """The file, where it was made before and is still kept."""
        return kept_films(store).find(self.name)

    @property
    def titles(self) -> tuple[str, ...]:
        """What comes back, from left to right."""
        scale = self.settings.guidance_scale
        guided = (f"Guidance {scale:g}",) if scale > 1 else ()
        return ("Guidance 1", *guided, *(("The edit",) if self.edit else ()))

    @property
    def played(self) -> list[int]:
        """The numbers of the frames in the order of playing: the source, the noise and the end
        stand still for a moment.
        """
        steps = self.settings.num_inference_steps
        count = 2 * steps + 1
        times = math.ceil(FEWEST_FRAMES / count)
        held = {0: FPS // 2, steps: FPS // 2, count - 1: FPS}
        return [i for i in range(count) for _ in range(times + held.get(i, 0))]

    def captions(self) -> list[list[str]]:
        """What stands below each frame: where it is on its way."""
        steps = self.settings.num_inference_steps
        there = [["To noise", f"step {i} of {steps}"] for i in range(1, steps + 1)]
        back = [["Back", f"step {i} of {steps}"] for i in range(1, steps + 1)]
        return [["The source", ""], *there, *back]


def make_inversion_film(
    context: TaskContext, settings: GenerationSettings, edit: str, fingerprint: str
) -> Work:
    """A task: write an InversionFilm to the films' folder. Its result is the file's name."""
    film = InversionFilm(settings=settings, edit=edit, fingerprint=fingerprint)
    order = film.played
    with as_task_errors():
        shelf = reels(context.store)
        places = [
            shelf.place(f"inversion-{film.name.removesuffix('.mp4')}-{i}.npy")
            for i in range(len(film.titles))
        ]
        if not all(shelf.find(path.name) for path in places):
            yield from _decode(film, context, places)
            shelf.tidy(keep=places)
        yield InPool()
        frames = _frames(film, [DecodedFrames(path) for path in places], order)
        return (yield from write_kept(context.store, film.name, frames, len(order), "mp4", FPS))


def _decode(film: InversionFilm, context: TaskContext, places: Sequence[Path]) -> Work:
    """Run there and back on the model, and write the frames of each way to its place."""
    from core.diffusion.inside.inversion import inversion_steps
    from core.diffusion.models.vae.loading import model_for

    model = yield OnModel(source=film.settings.model)
    model = model_for(model, film.settings)
    there, back = yield from inversion_steps(model, film.settings, context.source, film.edit)
    total = sum(len(there) + len(one) for one in back)
    done = 0
    for way, path in zip(back, places, strict=True):
        latents = np.concatenate([there, way])
        for here in write_frames(model, latents, "vae", path):
            yield done + here, total
        done += len(latents)


def _frames(
    film: InversionFilm, ways: Sequence[Sequence[np.ndarray]], order: Sequence[int]
) -> Iterator[np.ndarray]:
    """The frames uint8 (H, W, 3) in this order, those that are held drawn once."""
    settings = film.settings
    drawn = Captioned(
        RunFilm(
            RunFrames(
                panels=dict(zip(film.titles, ways, strict=True)),
                size=(settings.width, settings.height),
            ),
            titles=len(ways) > 1,
        ),
        film.captions(),
    )
    last, frame = -1, np.empty(0)
    for index in order:
        if index != last:
            last, frame = index, drawn.frame(index)
        yield frame
