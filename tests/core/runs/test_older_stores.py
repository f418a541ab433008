"""A store that a released version wrote opens whole: one small folder a version in tests/stores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.diffusion.settings import GenerationSettings
from core.runs.queue.queue import Queue
from core.runs.store.store import Store

STORES = sorted(path for path in (Path(__file__).parents[2] / "stores").iterdir() if path.is_dir())


@pytest.fixture(params=STORES, ids=lambda path: path.name)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(request.param, tmp_path / "data"))


def expected(folder: Path) -> dict[str, dict[str, object]]:
    """What the version that wrote the folder said of each picture, by digest."""
    return json.loads((folder / "expected.json").read_text(encoding="utf-8"))


def test_every_picture_and_its_run_are_read(folder: Path) -> None:
    store, written = Store(folder), expected(folder)
    found = {image.digest: image for image in store.search(limit=100)}
    assert set(found) == set(written)
    for digest, image in found.items():
        read = image.settings.to_dict()
        assert {name: read[name] for name in written[digest]["settings"]} == (
            written[digest]["settings"]
        )
        assert image.settings.digest(image.model_fingerprint) == digest
        assert store.image_bytes(digest).startswith(b"\x89PNG")
        trajectory = store.trajectory(digest)
        assert trajectory is not None
        assert trajectory.records
    assert store.holds(found, "norms") == set(found)
    assert len(store.holds(found, "latents")) == 1


def test_its_jobs_and_saved_sweeps_are_read(folder: Path) -> None:
    store = Store(folder)
    queue = Queue(store)
    assert [job.state for job in queue.jobs()] == ["cancelled", "done", "done"]
    saved = store.sweeps()
    assert [one.name for one in saved] == ["guidance and seeds"]
    assert len(list(saved[0].sweep.cells())) == 4
    assert queue.sweep(queue.jobs()[0].id) == saved[0].sweep


def test_a_lost_index_is_made_anew_from_its_pictures(folder: Path) -> None:
    (folder / "lightbox.sqlite3").unlink()
    store, written = Store(folder), expected(folder)
    assert {image.digest for image in store.search(limit=100)} == set(written)
    assert store.holds(written, "norms") == set(written)


def test_its_settings_are_read_as_they_were_written(folder: Path) -> None:
    for one in expected(folder).values():
        settings = one["settings"]
        assert isinstance(settings, dict)
        GenerationSettings.from_dict(settings)
