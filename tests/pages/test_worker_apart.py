"""The app's worker runs in another process than its pages: they share tables and files alone."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.diffusion.models.load import describe
from core.diffusion.recipe.schedule import step_range
from core.diffusion.recipe.variations import parent_of
from core.diffusion.settings import GenerationSettings
from core.exports.films.film import Film
from core.exports.films.film_settings import FilmedRun, FilmSettings
from core.exports.films.film_task import film_arguments
from core.exports.films.inversion_film import InversionFilm
from core.exports.films.walk import WalkFilm, walk_arguments
from core.exports.measuring import known_of
from core.runs.queue.queue import Queue
from core.runs.queue.task_table import TASKS
from core.runs.queue.tasks import TaskRequest, Tasks
from core.runs.store.store import Store, StoredImage
from core.runs.worker.worker import Worker
from tests.conftest import max_difference
from tests.core.runs.doubles import finish, wait_for
from tests.pages.conftest import ROOT, messages, unescaped
from ui.catalog import (
    FILM,
    GALLERY,
    GENERATE,
    IMAGE_TO_IMAGE,
    LATENTS,
    SCHEDULER_LAB,
    STEPS,
    SWEEP,
    VARIATIONS,
)
from ui.runtime import _shared

PATIENCE = 300.0
SMALL = GenerationSettings(
    prompt="an owl", seed=1, width=64, height=64, num_inference_steps=3, guidance_scale=3.0
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder whose worker is another process."""
    found = tmp_path_factory.mktemp("apart")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.pages.apart_worker", str(found)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    yield found
    process.stdin.close()
    assert process.wait(120) == 0


@pytest.fixture
def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    def refuse(*_: object) -> Worker:
        raise AssertionError("a page asked for a worker of its own")

    monkeypatch.setattr(Worker, "shared", refuse)
    monkeypatch.setenv("LIGHTBOX_DATA", str(folder))
    monkeypatch.setenv("LIGHTBOX_WORKER", "off")
    _shared.clear()
    yield Store(folder)
    _shared.clear()


def opened(page: str, **query: str) -> AppTest:
    at = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60).run()
    at.switch_page(page)
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def settled(at: AppTest, store: Store) -> AppTest:
    """The page once every task that it waits for is over."""
    for _ in range(12):
        wait_for(lambda: not Tasks(store).unfinished(), PATIENCE)
        at.run()
        if not at.progress:
            assert not at.exception
            assert not messages(at)
            return at
    raise AssertionError("the page still waits")


def done_names(store: Store) -> set[str]:
    rows = store.database.read("SELECT DISTINCT name FROM tasks WHERE state = 'done'")
    return {row[0] for row in rows}


def test_step_by_step_takes_a_run_apart(store: Store) -> None:
    at = opened(STEPS.path, steps_num_inference_steps="3")
    settled(at, store)
    assert "run" in done_names(store)


def test_every_task_of_the_table_runs_in_the_other_process(store: Store) -> None:
    """Each with the arguments that its page gives; results are read here."""
    queue, tasks = Queue(store), Tasks(store)
    seeds = [SMALL, GenerationSettings(**(SMALL.to_dict() | {"seed": 2}))]
    job = queue.submit(seeds, owner="me", token="1", record="latents")
    assert finish(queue, job, PATIENCE).state == "done"
    one, other = (cell.digest or "" for cell in queue.cells(job))
    image, trajectory = store.get(one), store.trajectory(one)
    assert image is not None
    assert trajectory is not None
    film = Film(
        store=store,
        settings=FilmSettings(kinds=("x0",)),
        runs=(FilmedRun(image=image, records=tuple(trajectory.records)),),
    )
    walk = WalkFilm(digests=(one, other), format="gif", fps=8, there_and_back=False)
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    source = tasks.keep_source(picture)
    begin = GenerationSettings(**(SMALL.to_dict() | {"init_image": source, "strength": 0.9}))
    fingerprint = describe("bundled").fingerprint
    asked = {
        "run": (SMALL, {}),
        "attention": (SMALL, {}),
        "effects": (SMALL, {"replacement": ""}),
        "branch": (SMALL, {"change": {"start": 1, "guidance_scale": 1.0}}),
        "mistake": (SMALL, {"mistake": "unscaled"}),
        "round trip": (SMALL, {"source": source}),
        "noised inputs": (begin, {"changes": [{}, {"strength": 0.5}]}),
        "inversion": (begin, {"edit": "a blue apple"}),
        "inversion errors": (begin, {"steps": [2, 3]}),
        "inversion film": (begin, {"edit": "a blue apple", "fingerprint": fingerprint}),
        "noise numbers": (SMALL, {}),
        "measures": (SMALL, {"digests": [one], "pairs": [[one, other]], "unseen": [one]}),
        "likeness": (SMALL, {"pairs": [[one, other]], "with_clip": True}),
        "likeness to source": (SMALL, {"source": source, "digests": [one]}),
        "film": (SMALL, film_arguments(film, "mp4")),
        "walk film": (SMALL, walk_arguments(walk)),
    }
    assert set(asked) == set(TASKS)
    requests = {
        name: TaskRequest(name=name, settings=one, arguments=arguments, fingerprint=fingerprint)
        for name, (one, arguments) in asked.items()
    }
    for request in requests.values():
        tasks.submit(request)
    wait_for(lambda: not tasks.unfinished(), PATIENCE)
    found = {}
    for name, request in requests.items():
        state = tasks.state(request.key)
        assert state is not None
        assert state.state == "done", f"{name}: {state.reason}"
        found[name] = tasks.result(request.key)
    # Alone, and in a batch of two: floating-point order may differ by processor.
    assert max_difference(found["run"].image, image_of(store, one)) <= 1
    assert found["attention"].maps.shape[0] == len(found["attention"].prompt.places)
    assert found["noised inputs"][1].start.num_executed_steps == 1
    assert [error.steps for error in found["inversion errors"]] == [2, 3]
    assert found["inversion"].edited is not None
    filmed = InversionFilm(settings=begin, edit="a blue apple", fingerprint=fingerprint)
    assert filmed.find(store) is not None
    assert found["inversion film"] == filmed.name
    assert found["measures"] == 3
    assert known_of(store, [one], [(one, other)], model="bundled").is_whole
    assert found["likeness"][one, other].rmse > 0
    assert found["likeness to source"][one].rmse > 0
    assert film.find("mp4") is not None
    assert found["film"] == film.name("mp4")
    assert found["walk film"] == walk.name
    assert walk.find(store) is not None


def image_of(store: Store, digest: str) -> Image.Image:
    return Image.open(io.BytesIO(store.image_bytes(digest))).convert("RGB")


def run(store: Store, at: AppTest, button: str) -> list[StoredImage]:
    """Click, wait for the job of the click and for the page's tasks; the job's pictures."""
    queue = Queue(store)
    before = {job.id for job in queue.jobs()}
    at.button(key=button).click().run()
    (job,) = (job.id for job in queue.jobs() if job.id not in before)
    assert finish(queue, job, PATIENCE).state == "done"
    settled(at, store)
    images = [store.get(cell.digest or "") for cell in queue.cells(job)]
    assert all(images), "every cell of the job is stored"
    return [image for image in images if image is not None]


def quick(prefix: str, **more: str) -> dict[str, str]:
    """Settings of a page in its address: four steps of 64 x 64 pixels."""
    small = {"num_inference_steps": "4", "width": "64", "height": "64", "prompt": "an owl"}
    return {f"{prefix}_{name}": value for name, value in (small | more).items()}


def pictures(at: AppTest) -> str:
    return "".join(str(image.proto) for image in at.get("image"))


def test_generate_makes_a_picture(store: Store) -> None:
    at = opened(GENERATE.path, **quick("generate", seed="11"))
    (image,) = run(store, at, "generate:go")
    assert (image.settings.seed, image.settings.num_inference_steps) == (11, 4)
    assert any("Download PNG" in button.proto.label for button in at.get("download_button"))


def test_sweep_fills_two_cells(store: Store) -> None:
    at = opened(SWEEP.path, **quick("sweep", x="Seed", x_values="21, 22"))
    images = run(store, at, "sweep:run")
    assert [image.settings.seed for image in images] == [21, 22]
    (grid,) = at.get("bidi_component")
    assert [cell["state"] for cell in json.loads(grid.proto.json)["cells"]] == ["done", "done"]


def test_image_to_image_starts_from_a_sample(store: Store) -> None:
    at = settled(opened(IMAGE_TO_IMAGE.path, **quick("img2img", strength="0.5")), store)
    (image,) = run(store, at, "img2img:run")
    assert image.settings.init_image
    assert step_range(image.settings).num_executed_steps == 2
    assert "round trip" in done_names(store)


def test_variations_makes_children(store: Store) -> None:
    source = made(store, seed=31)
    at = opened(VARIATIONS.path, variations_images=source.digest, variations_children="2")
    images = run(store, at, "variations:make:children")
    assert {parent_of(image.settings) for image in images} == {source.settings}


def test_film_plays_a_run(store: Store) -> None:
    image = made(store, seed=41)
    at = settled(opened(FILM.path, film_images=image.digest, film_decoder="Preview"), store)
    assert at.slider(key="film_frame").max == 5, "four calls and the finished picture"
    assert list((store.folder / "films").glob("*.mp4"))
    at.slider(key="film_frame").set_value(2).run()
    assert "Frame 2 of 5" in pictures(at)


def test_latents_shows_the_steps_of_a_run(store: Store) -> None:
    image = made(store, seed=51)
    at = settled(opened(LATENTS.path, latents_images=image.digest), store)
    assert at.get("plotly_chart")
    at.slider(key="latents_step").set_value(2).run()
    assert not at.exception
    assert any("Step 2 of 4" in text for text in texts(at))


def test_schedulers_compares_timetables(store: Store) -> None:
    at = opened(SCHEDULER_LAB.path)
    before = len(at.get("plotly_chart"))
    at.text_input(key="schedulers_steps").set_value("4, 8").run()
    assert not at.exception
    assert not messages(at)
    assert len(at.get("plotly_chart")) == before > 0


def test_gallery_opens_and_deletes_a_picture(store: Store) -> None:
    image = made(store, seed=61)
    at = opened(GALLERY.path, gallery_open=image.digest)
    assert not messages(at)
    at.button(key="gallery:delete_one").click().run()
    at.button(key="gallery:really").click().run()
    assert store.get(image.digest) is None


def made(store: Store, seed: int) -> StoredImage:
    """A picture of four recorded steps."""
    queue = Queue(store)
    settings = replace(SMALL, seed=seed, num_inference_steps=4)
    job = queue.submit([settings], owner="me", token=f"made {seed}", record="latents")
    assert finish(queue, job, PATIENCE).state == "done"
    image = store.get(queue.cells(job)[0].digest or "")
    assert image is not None
    return image


def texts(at: AppTest) -> list[str]:
    return [unescaped(one.value) for one in (*at.caption, *at.markdown)]
