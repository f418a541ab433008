"""The Inversion view of Image to image, on the bundled model itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.exports.films.kept import kept_films
from core.runs.queue.tasks import Tasks
from tests.core.diffusion.tiny import build
from tests.core.exports.films.test_film import ffmpeg_frames
from tests.core.runs.doubles import wait_for
from tests.pages.conftest import App, messages
from tests.pages.test_image_to_image import app, opened, settled, shown
from ui.img2img import inversion

__all__ = ["app"]

VIEW = {"img2img_view": "Inversion", "img2img_num_inference_steps": "2"}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inversion, "LADDER", (1, 3))


def inverted(at: AppTest) -> AppTest:
    at.button(key="img2img:invert").click().run()
    return settled(at)


def test_nothing_is_inverted_before_the_button(app: App) -> None:
    at = opened(app, **VIEW)
    assert "Press Invert" in shown(at)
    assert "It is DDIM's whatever scheduler is chosen" in shown(at)
    assert not Tasks(app.store).unfinished()
    assert not at.get("plotly_chart")


def test_the_source_comes_back_with_its_error_and_an_edit(app: App) -> None:
    at = opened(app, **VIEW, img2img_edit="a blue owl", img2img_guidance_scale="3")
    at = inverted(at)
    assert not messages(at)
    for words in ("Guidance 1: PSNR", "Guidance 3: PSNR", "The edit, guidance 3", "after 2 steps"):
        assert words in shown(at), words
    assert len(at.get("plotly_chart")) == 1
    figure = json.loads(at.get("plotly_chart")[0].proto.spec)
    assert {figure["layout"][axis]["type"] for axis in ("xaxis", "yaxis")} == {"log"}
    assert [line["x"] for line in figure["data"]] == [[1.0, 2.0, 3.0]] * 2
    at.text_input(key="img2img_edit").set_value("a red owl").run()
    assert "Press Invert" in shown(at)
    assert not at.button(key="img2img:invert").disabled
    at.text_input(key="img2img_edit").set_value("a blue owl").run()
    assert "The edit, guidance 3" in shown(at), "what was made is kept"


def test_its_film_is_made_when_it_is_asked_for_and_kept(app: App) -> None:
    at = inverted(opened(app, **VIEW, img2img_edit="a blue owl", img2img_guidance_scale="3"))
    assert not at.get("video")
    assert not kept_films(app.store).folder.exists()
    at.button(key="img2img:inversion film").click().run()
    wait_for(lambda: not Tasks(app.store).unfinished(), seconds=150)  # an encoder on a busy machine
    at = settled(at)
    assert not messages(at)
    (video,) = at.get("video")
    assert "2 steps" in video.proto.alt
    (path,) = kept_films(app.store).folder.glob("*.mp4")
    assert len(ffmpeg_frames(path)) >= 24
    again = opened(app, **VIEW, img2img_edit="a blue owl", img2img_guidance_scale="3")
    again = settled(again)
    assert len(again.get("video")) == 1, "it is there at once"


def test_without_guidance_there_is_one_way_back(app: App) -> None:
    at = inverted(opened(app, **VIEW, img2img_guidance_scale="1"))
    assert "Guidance 1: PSNR" in shown(at)
    assert "there is no guidance that could break it" in shown(at)
    assert "The edit" not in shown(at)


def test_what_cannot_be_inverted_is_said_at_once(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "roots"
    build("LCM of SD 1.x").save_pretrained(root / "lcm")
    monkeypatch.setenv("LIGHTBOX_MODELS", str(root))
    many = VIEW | {"img2img_num_inference_steps": "400"}
    at = opened(app, **many, img2img_model="lcm", img2img_edit="a blue owl")
    (said,) = messages(at)
    assert said.startswith("Cannot be inverted: ")
    assert "Model is of the family LCM of SD 1.x" in said
    assert "Steps 400 is more than 250" in said
    assert at.button(key="img2img:invert").disabled
    assert at.text_input(key="img2img_edit").value == "a blue owl"
