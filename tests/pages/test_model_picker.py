"""The model's control: families set their own size and steps; models come from the hub."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

from core.diffusion.models.download import DownloadProgress, Report
from core.diffusion.models.families import ModelError
from core.runs.worker.model.downloads import Downloads
from tests.core.diffusion.models.test_origins import COMMIT, cached
from tests.core.runs.doubles import wait_for
from tests.pages.conftest import GALLERY, GENERATE, App, messages, unescaped
from ui.settings import model_picker

PINNED = f"somebody/toy@{COMMIT[:12]}"
NAMES = ("cond_stage_model.transformer.x", "first_stage_model.x", "model.diffusion_model.x")


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a checkpoint of SD 1 (by its names) and one that is cut short; an empty cache."""
    root = tmp_path / "models"
    root.mkdir()
    save_file({name: torch.zeros(1) for name in NAMES}, root / "dream.safetensors")
    (root / "half.safetensors").write_bytes((root / "dream.safetensors").read_bytes()[:-1])
    monkeypatch.setenv("LIGHTBOX_MODELS", str(root))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return root


def choose(at: AppTest, name: str) -> AppTest:
    return at.selectbox(key="generate_model").set_value(name).run()


def shown(at: AppTest) -> tuple[object, ...]:
    numbers = ("width", "height", "num_inference_steps", "guidance_scale")
    return tuple(at.number_input(key=f"generate_{name}").value for name in numbers)


def test_another_family_brings_its_own_settings(app: App) -> None:
    at = app.open(GENERATE)
    before = shown(at)
    assert at.selectbox(key="generate_model").options == [
        "bundled",
        "dream.safetensors",
        "half.safetensors",
    ]
    at = choose(at, "dream.safetensors")
    assert shown(at) == (512, 512, 25, 7.5)
    assert "SD 1.x · 512 × 512 pixels" in [unescaped(caption.value) for caption in at.caption]
    assert shown(choose(at, "bundled")) == before


def test_a_link_keeps_the_settings_that_it_names(app: App) -> None:
    at = app.open(GENERATE, generate_model="dream.safetensors", generate_width="256")
    assert at.selectbox(key="generate_model").value == "dream.safetensors"
    assert at.number_input(key="generate_width").value == 256


def test_a_broken_file_says_what_is_wrong_with_it(app: App) -> None:
    at = choose(app.open(GENERATE), "half.safetensors")
    assert any("was not copied or downloaded to the end" in text for text in messages(at))


class Hub:
    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.error: Exception | None = None

    def fetch(self, source: str, report: Report) -> None:
        report(DownloadProgress(source=source, done=10**9, total=4 * 10**9))
        assert self.go_on.wait(60)
        if self.error:
            raise self.error
        report(DownloadProgress(source=source, done=4 * 10**9, total=4 * 10**9))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    found = Hub()
    monkeypatch.setattr(model_picker, "downloads", Downloads(found.fetch))
    yield found
    found.go_on.set()


def ask(app: App, source: str) -> AppTest:
    at = app.open(GENERATE)
    return at.text_input(key="generate:hub").set_value(source).run()


def state(source: str) -> str:
    download = model_picker.downloads.state(source)
    return download.state if download else ""


def test_what_is_no_id_cannot_be_asked_for(app: App, hub: Hub) -> None:
    at = ask(app, "no id")
    assert at.button(key="generate:hub go").disabled
    assert not ask(app, "somebody/toy").button(key="generate:hub go").disabled


def test_a_download_shows_progress_and_can_be_stopped(app: App, hub: Hub) -> None:
    at = ask(app, "somebody/toy").button(key="generate:hub go").click().run()
    wait_for(lambda: (d := model_picker.downloads.state("somebody/toy")) and d.total)
    at = at.run()
    at = at.button(key="generate:hub stop").click().run()
    hub.go_on.set()
    wait_for(lambda: state("somebody/toy") == "stopped")
    assert any("resume it" in caption.value for caption in at.run().caption)


def test_a_download_that_fails_says_why(app: App, hub: Hub) -> None:
    hub.error = ModelError("somebody/toy is FLUX.1.")
    hub.go_on.set()
    at = ask(app, "somebody/toy").button(key="generate:hub go").click().run()
    wait_for(lambda: state("somebody/toy") == "failed")
    assert any("somebody/toy is FLUX.1." in text for text in messages(at.run()))


def test_what_came_can_be_used(app: App, hub: Hub, tmp_path: Path) -> None:
    cached(tmp_path / "hub", "somebody/toy")
    hub.go_on.set()
    at = ask(app, "somebody/toy").button(key="generate:hub go").click().run()
    wait_for(lambda: state("somebody/toy") == "done")
    at = at.run().button(key="generate:hub use").click().run()
    assert at.selectbox(key="generate_model").value == PINNED
    assert state("somebody/toy") == ""


def test_a_model_of_the_hub_is_named_by_its_commit(app: App, tmp_path: Path) -> None:
    """In the settings, in the link, and in the picture: a bare id means another one tomorrow."""
    cached(tmp_path / "hub", "somebody/toy")
    at = app.open(GENERATE, generate_model="somebody/toy", generate_prompt="a cat")
    assert not messages(at)
    box = at.selectbox(key="generate_model")
    assert box.value == PINNED
    assert [name for name in box.options if "toy" in name] == [PINNED]
    at.button(key="generate:go").click().run()
    assert [one.model for one in app.asked()] == [PINNED]
    again = app.open(GENERATE, generate_model=PINNED)
    assert not messages(again)
    assert again.selectbox(key="generate_model").value == PINNED
    long = app.open(GENERATE, generate_model=f"somebody/toy@{'x' * 5000}")
    assert long.selectbox(key="generate_model").value == "bundled"
    assert not long.exception


def test_a_picture_of_a_bare_id_is_sent_on_by_its_commit(app: App, tmp_path: Path) -> None:
    cached(tmp_path / "hub", "somebody/toy")
    image = app.put(3, model="somebody/toy")
    at = app.open(GALLERY, gallery_open=image.digest)
    at.menu_button(key=f"send:{image.digest}").set_value(GENERATE).run()
    assert at.selectbox(key="generate_model").value == PINNED
    assert any(image.digest in code.value for code in at.code), "the very same picture"
