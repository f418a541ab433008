"""The app's pages run in this process, over a fake engine: no weights, no browser."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from core.diffusion.models.load import ModelInfo, describe
from core.diffusion.settings import GenerationSettings
from core.runs.queue.queue import Job, Queue
from core.runs.store.store import Store, StoredImage
from core.runs.worker.worker import Worker
from tests.core.runs.doubles import FakeModel, Lab, finish, generation

ROOT = Path(__file__).resolve().parents[2]
GENERATE = "pages/Generate.py"
GALLERY = "pages/Gallery.py"

# Every AppTest reads the metadata of all installed packages again, a second each, for components
# that they may bring. No test installs one: they are read once a process.
_once = functools.cache(manifest_scanner.scan_component_manifests)
mock.patch.object(manifest_scanner, "scan_component_manifests", _once).start()


@dataclasses.dataclass(eq=False)
class App:
    """One data folder, its worker, and what a test asks of a page."""

    lab: Lab
    store: Store
    queue: Queue
    model: ModelInfo

    def open(self, page: str | None = None, **query: str) -> AppTest:
        """As a browser does: through the entrypoint, then on to the page."""
        at = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=30)
        if page is None:
            for name, value in query.items():
                at.query_params[name] = value
            return at.run()
        at.run()
        return self.turn_to(at, page, **query)

    def turn_to(self, at: AppTest, page: str, **query: str) -> AppTest:
        at.switch_page(page)
        for name, value in query.items():
            at.query_params[name] = value
        return at.run()

    def put(self, seed: int = 0, **changes: Any) -> StoredImage:
        guidance_scale = self.model.default_guidance_scale
        values = {"prompt": "a red apple", "seed": seed, "guidance_scale": guidance_scale} | changes
        made = generation(GenerationSettings(**values), record="none")
        return self.store.put(made, self.model, clip_score=27.5)

    def newest_job(self) -> Job:
        return self.queue.jobs(limit=1)[0]

    def asked(self) -> list[GenerationSettings]:
        """The settings of the newest job."""
        return [cell.settings for cell in self.queue.cells(self.newest_job().id)]

    def finish(self) -> Job:
        return finish(self.queue, self.newest_job().id)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setenv("LIGHTBOX_DATA", str(tmp_path / "data"))
    lab, store = Lab(), Store(tmp_path / "data")
    worker = lab.worker(
        store, describe=describe, load=lambda source: FakeModel(info=describe(source))
    )
    monkeypatch.setattr(Worker, "shared", lambda folder=None: worker)
    worker.start()
    yield App(lab=lab, store=store, queue=Queue(store), model=describe("bundled"))
    lab.gate.set()
    assert worker.stop(), "the worker did not stop"


def unescaped(text: str) -> str:
    """What a reader sees of a text that was escaped for Markdown."""
    return text.replace("\\", "")


def messages(at: AppTest) -> list[str]:
    """Title and body of every error and warning on the page."""
    return [f"{box.proto.title}: {unescaped(box.value)}" for box in (*at.error, *at.warning)]


def measured(at: AppTest) -> AppTest:
    """The page once its pictures are measured, by a task beside the page, and in a table."""
    for _ in range(400):
        if at.dataframe or messages(at):
            return at
        time.sleep(0.05)
        at.run()
    raise AssertionError("the pictures were never measured")
