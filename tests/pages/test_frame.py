"""What surrounds every page: navigation, status, and errors that never show a traceback."""

from __future__ import annotations

import json
import logging
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from core.diffusion.models.load import BUNDLED_FOLDER, ModelError
from core.diffusion.settings import GenerationSettings
from core.runs.store.store import StoreError
from core.runs.worker.worker import FolderInUse, Worker
from tests.core.runs.doubles import wait_for
from tests.pages.conftest import GALLERY, GENERATE, ROOT, App, messages
from ui.catalog import CATALOG, HOME, IMAGE_TO_IMAGE, STEPS, SWEEP
from ui.home.home import SWEEPS
from ui.links import Parameter
from ui.runs.progress import progress_text
from ui.runtime import _cookie_token  # pyright: ignore[reportPrivateUsage]
from ui.views import ago, display_width, duration, plain

PAGES = [page.path for page in CATALOG]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_with_its_title_and_the_links(app: App, path: str) -> None:
    at = app.open(None if path == HOME.path else path)
    assert not at.exception
    assert not messages(at)
    assert len(at.title) == 1
    links = [link.label for link in at.sidebar.page_link]
    assert links == [page.title for page in CATALOG]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    ("error", "title"),
    [
        (
            FolderInUse("The folder is taken.", pid=12, host="here"),
            "Another app is using the data folder",
        ),
        (StoreError("The folder is read-only."), "The data folder cannot be used"),
    ],
)
def test_an_unusable_folder_is_one_message(
    app: App, path: str, error: Exception, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Any = None) -> Worker:
        raise error

    monkeypatch.setattr(Worker, "shared", refuse)
    at = app.open(None if path == HOME.path else path)
    assert messages(at) == [f"{title}: {error}"]
    assert not at.exception


def test_a_model_that_is_no_model_is_one_message(app: App, monkeypatch: Any) -> None:
    def refuse(source: str) -> None:
        raise ModelError("unet/ holds pickle weights: save it as safetensors.")

    monkeypatch.setattr("ui.runtime.describe", refuse)
    at = app.open(GENERATE)
    (message,) = messages(at)
    assert message.startswith("The model cannot be used: unet/ holds pickle weights")


def test_a_worker_that_is_not_heard_of_needs_no_start_of_the_app(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its app runs: it says whether the worker is busy, or what keeps it from writing."""
    at = app.open(GALLERY)
    monkeypatch.setattr("core.runs.queue.jobs.HEARTBEAT_LOST_SECONDS", -1.0)
    assert app.queue.worker_status().state == "absent"
    texts = [element.value for element in at.run().sidebar.caption]
    assert any("Nothing was reported for 10 s" in text for text in texts)
    assert not any("start the app" in text for text in texts)
    Worker.shared().trouble = "The disk that holds the data is full"
    texts = [element.value for element in at.run().sidebar.caption]
    assert "The disk that holds the data is full" in texts


@pytest.mark.parametrize("path", [GENERATE, GALLERY])
def test_an_unexpected_error_is_a_message_and_a_line_in_the_log(
    app: App, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise ZeroDivisionError("a secret in the message")

    target = "ui.generate.stage.show_stage" if path == GENERATE else "ui.gallery.album.filter_bar"
    app.put(1)
    monkeypatch.setattr(target, fail)
    with caplog.at_level(logging.ERROR, "lightbox.ui"):
        at = app.open(path)
    assert not at.exception
    (message,) = messages(at)
    assert message.startswith("Something went wrong here")
    assert "secret" not in message
    assert "ZeroDivisionError: a secret" in caplog.text


def test_the_status_names_model_and_device(app: App) -> None:
    app.queue.submit([GenerationSettings(prompt="a cat")], owner="test", token="a")
    app.finish()
    wait_for(lambda: app.queue.worker_status().state == "idle")
    at = app.open(GALLERY)
    texts = [element.value for element in (*at.sidebar.markdown, *at.sidebar.caption)]
    assert any("Ready" in text for text in texts)
    assert plain(f"{app.model.name} in memory") in texts
    assert any(text.startswith("cpu") for text in texts)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_that_makes_pictures_chooses_its_model_in_the_sidebar(app: App, path: str) -> None:
    at = app.open(None if path == HOME.path else path)
    page = next(page for page in CATALOG if page.path == path)
    keys = [box.key for box in at.sidebar.selectbox]
    assert keys == ([f"{page.prefix}_model"] if page.has_model else [])
    makes = {GENERATE, SWEEP.path, IMAGE_TO_IMAGE.path, STEPS.path}
    assert page.has_model == (path in makes)


def test_home_shows_every_page_and_the_newest_pictures(app: App) -> None:
    at = app.open()
    assert "No pictures yet" in [box.value for box in at.subheader]
    image = app.put(3)
    at.run()
    (tiles,) = at.get("bidi_component")
    assert [tile["at"] for tile in json.loads(tiles.proto.json)["cells"]] == [image.digest]
    at.session_state["home:opened"] = image.digest  # as a click does
    at.run()
    assert any(image.digest in code.value for code in at.code), "the Gallery opens it"


def test_home_makes_a_picture_at_a_click(app: App) -> None:
    at = app.open()
    at.text_input(key="home:prompt").set_value("an owl")
    at.button(key="home:generate").click().run()
    app.finish()
    (asked,) = app.asked()
    assert asked.prompt == "an owl"
    assert at.text_area(key="generate_prompt").value == "an owl"


@pytest.mark.parametrize("name", SWEEPS)
def test_home_runs_a_sweep_at_a_click(app: App, name: str) -> None:
    at = app.open()
    at.button(key=f"home:sweep:{name}").click().run()
    app.finish()
    asked = app.asked()
    assert len({getattr(one, name) for one in asked}) == len(asked) >= 4
    assert {one.prompt for one in asked} == {app.model.example_prompts[0]}
    at.run()
    (grid,) = at.get("bidi_component")
    assert {cell["state"] for cell in json.loads(grid.proto.json)["cells"]} == {"done"}


def test_home_names_the_model_in_memory(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = Path(shutil.copytree(BUNDLED_FOLDER, tmp_path / "models" / "copy")) / "lightbox.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"name": "Another"}))
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path / "models"))
    app.queue.submit([GenerationSettings(prompt="a cat", model="copy")], owner="test", token="a")
    app.finish()
    metrics = {metric.label: metric.value for metric in app.open().metric}
    assert (metrics["Model"], metrics["Device"]) == ("Another", r"cpu · float32")


def test_the_server_is_closed_to_others_and_tells_no_details() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["enableXsrfProtection"]
    assert config["server"]["enableCORS"]
    assert config["server"]["maxUploadSize"] == 200
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showErrorDetails"] == "none"
    assert config["client"]["showSidebarNavigation"] is False
    assert {"light", "dark"} <= config["theme"].keys()
    assert "://" not in str(config["theme"]), "fonts come from no other host"


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_thin(path: str) -> None:
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= 120


def test_the_owner_is_the_cookies_token_whatever_its_mask() -> None:
    # Two replies' cookies of one browser: the token 00112233 under two masks.
    first, second = "2|ffffffff|ffeeddcc|1700000000", "2|00000000|00112233|1700000000"
    assert _cookie_token(first) == _cookie_token(second) == bytes.fromhex("00112233")
    for broken in ("", "2|zz|00|1", "2||00|1", "no cookie"):
        assert _cookie_token(broken) == b""


def test_words_for_times_and_sizes() -> None:
    assert [duration(s) for s in (0.844, 12.4, 200)] == ["0.84 s", "12 s", "3 min 20 s"]
    assert duration(0.3, rough=True) == "1 s"
    assert [ago(0, now=s) for s in (5, 60, 7300, 90000 * 2)] == [
        "just now",
        "1 minute ago",
        "2 hours ago",
        "2 days ago",
    ]
    assert display_width(160, 96, 512) == 512
    assert display_width(96, 160, 512) == 307


def test_plain_text_means_nothing_to_markdown() -> None:
    assert plain("*a* [b](c) $d$") == r"\*a\* \[b\]\(c\) \$d\$"
    assert plain("größe 3") == "größe 3"


def test_a_parameter_knows_what_it_takes() -> None:
    whole = Parameter(field="n", kind="int", low=1, high=9)
    assert [whole.problem(text) for text in ("1", "9")] == ["", ""]
    assert all(whole.problem(text) for text in ("0", "10", "1.0", "", "x", "nan"))
    real = Parameter(field="x", kind="float", low=0, high=1)
    assert not real.problem("0.5")
    assert all(real.problem(text) for text in ("inf", "nan", "-1", "", "1,5"))


def test_progress_says_step_and_time_left(app: App) -> None:
    app.lab.hold()
    at = app.open(GENERATE, generate_count="2", generate_seed="1")
    at.button(key="generate:go").click().run()
    job = app.newest_job()
    words = progress_text(job, app.queue.cells(job.id))
    assert words == "Waiting for its turn" or words.startswith("Step 0 of 40")
