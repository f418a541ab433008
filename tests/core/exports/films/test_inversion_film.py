"""The film of an inversion: there and back on the bundled model, every frame a decoded step."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.diffusion.inside.inversion import Inversion, invert
from core.diffusion.inside.inverting import inverted_settings
from core.diffusion.models.load import LoadedModel
from core.diffusion.recipe.images import input_digest
from core.diffusion.sampling import frames
from core.diffusion.settings import GenerationSettings
from core.exports.films.decoded_frames import DecodedFrames, reels
from core.exports.films.inversion_film import InversionFilm, make_inversion_film
from core.runs.store.store import Store
from core.runs.worker.tasks.work import TaskContext
from tests.core.diffusion.inside.taken_apart import finish
from tests.core.diffusion.inside.test_inversion import EDIT, SOURCE
from tests.core.exports.films.test_film import carry_out, ffmpeg_frames

SETTINGS = inverted_settings(
    GenerationSettings(
        prompt="a red apple",
        width=64,
        height=64,
        num_inference_steps=3,
        guidance_scale=4.0,
        init_image=input_digest(SOURCE),
    )
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


def film_of(store: Store, model: LoadedModel | None, film: InversionFilm) -> np.ndarray:
    """Make it and return every frame that ffmpeg finds."""
    context = TaskContext(store=store, source=lambda digest: SOURCE)
    work = make_inversion_film(context, film.settings, film.edit, film.fingerprint)
    name, said = carry_out(work, model)
    assert said[-1] == (len(film.played), len(film.played))
    path = film.find(store)
    assert path is not None
    assert path.name == name
    return ffmpeg_frames(path)


def test_it_goes_to_noise_and_comes_back_on_each_way(store: Store, model: LoadedModel) -> None:
    film = InversionFilm(settings=SETTINGS, edit=EDIT, fingerprint="f")
    assert film.titles == ("Guidance 1", "Guidance 4", "The edit")
    found = film_of(store, model, film)
    assert len(found) == len(film.played) >= 24
    assert found.shape[2] >= 3 * 64
    ways = [DecodedFrames(path) for path in sorted(reels(store).folder.iterdir())]
    assert [len(way) for way in ways] == [7, 7, 7]
    for way in ways[1:]:
        assert np.array_equal(way[3], ways[0][3]), "one way to the noise"
        assert not np.array_equal(way[6], ways[0][6]), "each comes back its own way"
    wanted: Inversion = finish(invert(model, SETTINGS, lambda digest: SOURCE, EDIT))
    assert wanted.edited is not None
    decoded = frames.decode(model, wanted.latents)
    for way, end in zip(ways, (wanted.unguided, wanted.guided, wanted.edited), strict=True):
        for found_frame, one in zip(list(way)[:4], decoded, strict=True):
            assert np.abs(found_frame.astype(int) - one).max() <= 1
        assert np.abs(way[6].astype(int) - np.asarray(end)).max() <= 1
    # What was decoded is kept: the same film again needs no model.
    film_path = film.find(store)
    assert film_path is not None
    film_path.unlink()
    assert np.array_equal(film_of(store, None, film), found)


def test_every_step_is_shown_and_the_ends_stand_still() -> None:
    for steps in (1, 3, 20, 50):
        film = InversionFilm(
            settings=replace(SETTINGS, num_inference_steps=steps), edit="", fingerprint="f"
        )
        times = Counter(film.played)
        assert list(times) == list(range(2 * steps + 1))
        assert len(film.played) >= 24
        assert min(times[0], times[steps], times[2 * steps]) > times[1] or steps == 1
        assert len(film.captions()) == 2 * steps + 1
    assert film.captions()[0] == ["The source", ""]
    assert film.captions()[50] == ["To noise", "step 50 of 50"]
    assert film.captions()[100] == ["Back", "step 50 of 50"]


def test_without_guidance_it_has_one_way_and_another_edit_is_another_file() -> None:
    film = InversionFilm(settings=replace(SETTINGS, guidance_scale=1.0), edit="", fingerprint="f")
    assert film.titles == ("Guidance 1",)
    others = (replace(film, edit="x"), replace(film, fingerprint="g"))
    names = [one.name for one in (film, *others, replace(film, settings=SETTINGS))]
    assert len(set(names)) == 4
