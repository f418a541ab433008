"""The Film page: what it is of, every control, making, stopping, stepping, files, bad input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.diffusion.trajectory import Trajectory
from core.exports.films.film import Film
from core.exports.films.film_settings import FilmedRun, FilmSettings
from core.runs.store.store import Store
from core.sweeps.axis import Axis
from core.sweeps.link import to_word
from core.sweeps.sweep import Sweep
from tests.core.exports.films.doubles import pixels, put_run, settings
from tests.core.runs.doubles import generation, wait_for
from tests.pages.conftest import GALLERY, App, messages, unescaped
from ui.catalog import FILM, SWEEP
from ui.film.form import parameters

PAGE = FILM.path


@pytest.fixture(autouse=True)
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The VAE of the fake engine's model; how many latents were decoded each time."""
    counts: list[int] = []

    def decode(model: Any, latents: np.ndarray, write: Any) -> Iterator[tuple[int, int]]:
        counts.append(len(latents))
        for index, one in enumerate(latents):
            write(index, pixels(one))
            yield index + 1, len(latents)

    monkeypatch.setattr("core.exports.films.decoded_frames.decode_frames", decode)
    return counts


def put(app: App, calls: int = 4, **changes: Any) -> FilmedRun:
    return put_run(app.store, settings(**changes), calls, app.model)


def play(at: AppTest) -> AppTest:
    """Runs the page, as its clock does, until the film is there."""
    wait_for(lambda: is_drawn(at.run()))
    assert not at.exception
    return at


def is_drawn(at: AppTest) -> bool:
    return bool(at.get("video")) or bool(at.error)


def film(app: App, at: AppTest) -> Path:
    """The file that the page plays: the newest."""
    assert at.get("video"), messages(at)
    return max(files(app.store, "mp4"), key=lambda path: path.stat().st_mtime_ns)


def files(store: Store, suffix: str) -> list[Path]:
    return list((store.folder / "films").glob(f"*.{suffix}"))


def cursor(at: AppTest) -> float:
    """Where the vertical line of the norms stands."""
    (chart,) = at.get("plotly_chart")
    return json.loads(chart.proto.spec)["layout"]["shapes"][0]["x0"]


def captions(at: AppTest) -> str:
    return unescaped(" ".join(str(caption.value) for caption in at.caption))


def choose(at: AppTest, name: str, value: str) -> AppTest:
    return at.segmented_control(key=f"film_{name}").set_value(value).run()


def test_nothing_is_stored_yet(app: App) -> None:
    at = app.open(PAGE)
    assert not at.exception
    assert "No pictures yet" in [heading.value for heading in at.subheader]


def test_the_newest_run_plays(app: App) -> None:
    put(app)
    at = play(app.open(PAGE))
    video = at.get("video")[0].proto
    assert (video.autoplay, video.loop, video.muted) == (True, True, True)
    assert "Film of 5 frames" in video.alt
    assert at.slider(key="film_frame").max == 5
    assert not messages(at)


def test_a_picture_that_was_sent_here_is_shown(app: App) -> None:
    first = put(app, prompt="the first")
    put(app, prompt="the second")
    assert first.image is not None
    at = play(app.open(PAGE, film_images=first.image.digest))
    assert at.get("video")[0].proto.alt == "Film of 5 frames: the first"


def test_a_sent_picture_comes_before_the_sweep_in_view(app: App) -> None:
    _, word = put_sweep(app)
    at = play(app.open(PAGE, film_source="A sweep", film_sweep=word))
    alone = put(app, prompt="alone")
    assert alone.image is not None
    app.turn_to(at, GALLERY)
    at.session_state["film_images"] = [alone.image.digest]
    play(app.turn_to(at, PAGE))
    assert at.segmented_control(key="film_source").value == "One run"
    assert "alone" in at.get("video")[0].proto.alt


@pytest.mark.parametrize(
    ("name", "value", "differs"),
    [
        ("show", "Latents", {"kinds": ("latents",)}),
        ("show", "Prediction", {"kinds": ("x0",)}),
        ("decoder", "Preview", {"decoder": "preview"}),
        ("order", "Forward and back", {"there_and_back": True}),
        ("size", "2×", {"scale": 2}),
    ],
)
def test_each_choice_is_another_film(
    app: App, name: str, value: str, differs: dict[str, Any]
) -> None:
    run = put(app)
    at = play(app.open(PAGE))
    play(choose(at, name, value))
    assert film(app, at).name == expected(app, run, **differs)


@pytest.mark.parametrize(
    ("name", "value", "differs"),
    [("fps", 12, {"fps": 12}), ("hold", 0.5, {"hold": 0.5})],
)
def test_each_number_is_another_film(
    app: App, name: str, value: float, differs: dict[str, Any]
) -> None:
    run = put(app)
    at = play(app.open(PAGE))
    play(at.number_input(key=f"film_{name}").set_value(value).run())
    assert film(app, at).name == expected(app, run, **differs)


@pytest.mark.parametrize(
    ("name", "differs"), [("caption", {"caption": False}), ("white", {"background": "white"})]
)
def test_each_switch_is_another_film(app: App, name: str, differs: dict[str, Any]) -> None:
    run = put(app)
    at = play(app.open(PAGE))
    switch = at.toggle(key=f"film_{name}")
    play(switch.set_value(not switch.value).run())
    assert film(app, at).name == expected(app, run, **differs)


def expected(app: App, run: FilmedRun, **differs: Any) -> str:
    """The file's name of the film with everything else as it begins: 64 pixels are enlarged."""
    settings = FilmSettings(**({"scale": 4} | differs))
    return Film(store=app.store, settings=settings, runs=(run,)).name("mp4")


def test_a_film_is_finished_after_its_page_was_closed(app: App) -> None:
    """One task decodes the frames and writes the file: nobody asks for it a second time."""
    run = put(app)
    app.open(PAGE)
    path = app.store.folder / "films" / expected(app, run)
    wait_for(path.exists)


def test_a_second_visit_makes_nothing(app: App, decoded: list[int]) -> None:
    put(app)
    made = film(app, play(app.open(PAGE)))
    at = app.open(PAGE)
    assert at.get("video"), "it plays at once"
    assert decoded == [4, 4]
    assert film(app, at) == made


def test_a_film_that_was_removed_is_made_again(app: App) -> None:
    put(app)
    at = play(app.open(PAGE))
    made = film(app, at)
    for file in (app.store.folder / "films" / "reels").iterdir():
        file.unlink()
    play(at)
    assert not messages(at)
    made.unlink()
    play(at)
    assert made.is_file()
    assert not messages(at)


def test_making_can_be_stopped_and_begun_again(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    put(app)
    released: list[int] = []

    def wait(model: Any, latents: np.ndarray, write: Any) -> Iterator[tuple[int, int]]:
        while not released:
            yield 1, 4
        for index, one in enumerate(latents):
            write(index, pixels(one))
            yield index + 1, len(latents)

    monkeypatch.setattr("core.exports.films.decoded_frames.decode_frames", wait)
    at = app.open(PAGE)
    (stop,) = [button for button in at.button if button.label == "Stop"]
    stop.click().run()
    wait_for(lambda: any("stopped" in (box.proto.title or "") for box in at.run().info))
    assert not at.get("video")
    released.append(1)
    (again,) = [button for button in at.button if button.label == "Start again"]
    play(again.click().run())
    assert at.get("video")


def test_the_slider_moves_frame_and_cursor(app: App) -> None:
    put(app)
    at = play(app.open(PAGE))
    assert cursor(at) == 1
    at.slider(key="film_frame").set_value(3).run()
    assert cursor(at) == 3
    assert any("Frame 3 of 5" in str(image.proto) for image in at.get("image"))


@pytest.mark.parametrize(
    ("kind", "suffix"), [("GIF", "gif"), ("WebP", "webp"), ("PNG frames", "zip")]
)
def test_each_file_is_made_when_it_is_asked_for(app: App, kind: str, suffix: str) -> None:
    put(app)
    at = play(app.open(PAGE))
    assert not files(app.store, suffix)
    at.segmented_control(key="film:file").set_value(kind).run()
    wait_for(lambda: at.run().get("download_button"))
    (made,) = files(app.store, suffix)
    (button,) = at.get("download_button")
    assert "Download" in button.proto.label
    assert made.stat().st_size > 100


def put_sweep(app: App, *, recorded: int = 2) -> tuple[Sweep, str]:
    """A sweep of 2 and 4 steps; `recorded` of its cells have their tensors."""
    sweep = Sweep(base=settings(), x=Axis(name="num_inference_steps", values=(2, 4)))
    for cell in sweep.cells()[:recorded]:
        put_run(app.store, cell.settings, cell.settings.num_inference_steps, app.model)
    return sweep, to_word(sweep)


def test_a_sweep_of_different_step_counts_plays(app: App) -> None:
    _, word = put_sweep(app)
    at = play(app.open(PAGE, film_source="A sweep", film_sweep=word))
    assert at.slider(key="film_frame").max == 5
    together = film(app, at)
    play(at.toggle(key="film_by_step").set_value(True).run())
    assert film(app, at) != together
    assert not messages(at)


@pytest.mark.parametrize(
    ("name", "values", "drawn"),
    [
        ("guidance_scale", (2.5, 4.0), ["Guidance scale 2.5", "Guidance scale 4"]),
        ("prompt", ("an apple", "<b>an owl</b>"), None),
    ],
)
def test_the_curves_are_named_as_a_person_reads_them(
    app: App, name: str, values: tuple[Any, ...], drawn: list[str] | None
) -> None:
    """Plotly reads HTML, not Markdown: a dot stays a dot, and a tag is a text."""
    sweep = Sweep(base=settings(), x=Axis(name=name, values=values))
    for cell in sweep.cells():
        put_run(app.store, cell.settings, 2, app.model)
    at = play(app.open(PAGE, film_source="A sweep", film_sweep=to_word(sweep)))
    (chart,) = at.get("plotly_chart")
    names = [trace["name"] for trace in json.loads(chart.proto.spec)["data"]]
    if drawn is None:
        assert names[1].endswith("&lt;b&gt;an owl&lt;/b&gt;")
    else:
        assert names == drawn


def test_what_a_sweep_lacks_is_offered(app: App) -> None:
    sweep, word = put_sweep(app, recorded=1)
    at = play(app.open(PAGE, film_source="A sweep", film_sweep=word))
    assert "1 of 2 cells have no picture yet" in captions(at)
    assert at.get("video"), "the other cell plays"
    second = sweep.cells()[1].settings
    made = app.put(**{name: getattr(second, name) for name in ("seed", "num_inference_steps")})
    assert made is not None
    at.button(key="film:compute").click().run()
    assert at.session_state["sweep_x"] == "num_inference_steps"
    assert at.query_params["sweep_x_values"] == "2, 4"
    assert not at.exception


def test_cells_without_tensors_are_recorded(app: App) -> None:
    sweep, word = put_sweep(app, recorded=0)
    for cell in sweep.cells():
        made = put_run(app.store, cell.settings, 2, app.model)
        assert made.image is not None
        forget_tensors(app, made)
    at = app.open(PAGE, film_source="A sweep", film_sweep=word)
    assert "The latents of 2 pictures are not stored" in captions(at)
    (record,) = [button for button in at.button if button.label == "Record the tensors"]
    record.click().run()
    assert {one.num_inference_steps for one in app.asked()} == {2, 4}


def test_a_sweep_over_strength_films_the_cells_that_took_a_step(app: App) -> None:
    """Strength 0 runs no step: its picture stands still, and nothing is to be recorded of it."""
    base = settings(init_image="0" * 64, num_inference_steps=4)
    sweep = Sweep(base=base, x=Axis(name="strength", values=(0.0, 1.0)))
    still, moving = sweep.cells()
    app.store.put(generation(still.settings, record="none"), app.model)
    word = to_word(sweep)
    at = app.open(PAGE, film_source="A sweep", film_sweep=word)
    assert [box.value for box in at.info] == ["No step was run: there is nothing to film."]
    put_run(app.store, moving.settings, 4, app.model)
    at = play(app.open(PAGE, film_source="A sweep", film_sweep=word))
    assert at.slider(key="film_frame").max == 5
    assert not [button for button in at.button if "Record" in button.label]


def forget_tensors(app: App, run: FilmedRun) -> None:
    assert run.image is not None
    kept = Trajectory(records=run.records).to_bytes()
    app.store.files.write(app.store.files.trajectory(run.image.digest), kept)
    with app.store.database.write() as connection:
        connection.execute("UPDATE images SET recorded = 1")


def test_a_saved_sweep_can_be_chosen(app: App) -> None:
    sweep, _ = put_sweep(app)
    app.store.save_sweep("Two and four", sweep)
    at = play(app.open(PAGE, film_source="A sweep"))
    box = at.selectbox(key="film:sweep_choice")
    assert box.options == ["Two and four"]
    other = replace(sweep, x=Axis(name="num_inference_steps", values=(4, 2)))
    app.store.save_sweep("Four and two", other)
    at.run()
    at.selectbox(key="film:sweep_choice").set_value(to_word(other)).run()
    assert at.query_params["film_sweep"] in (to_word(other), [to_word(other)])


def test_without_any_sweep_it_says_where_they_come_from(app: App) -> None:
    put(app)
    at = app.open(PAGE, film_source="A sweep")
    assert "No sweep yet" in [heading.value for heading in at.subheader]
    assert not at.exception


@pytest.mark.parametrize("word", ["cut", "eJzLSM3JyQcABiwCFQ", "%%%", "x" * 3000])
def test_a_broken_sweep_in_the_link_is_said(app: App, word: str) -> None:
    at = app.open(PAGE, film_source="A sweep", film_sweep=word)
    assert "The sweep in the link cannot be read" in " ".join(messages(at))
    assert not at.exception


def test_a_sweep_that_cannot_run_is_said(app: App) -> None:
    sweep = Sweep(base=settings(model="not here"), x=Axis(name="seed", values=(1, 2)))
    at = app.open(PAGE, film_source="A sweep", film_sweep=to_word(sweep))
    assert "This sweep cannot run" in " ".join(messages(at))


def test_too_many_cells_are_refused(app: App) -> None:
    sweep = Sweep(base=settings(), x=Axis(name="seed", values=tuple(range(500))))
    at = app.open(PAGE, film_source="A sweep", film_sweep=to_word(sweep))
    assert "Too many cells for a film" in " ".join(messages(at))


def test_a_picture_without_tensors_can_be_recorded(app: App) -> None:
    image = app.put(7)
    at = app.open(PAGE)
    assert "the stored pixels stay as they are" in captions(at)
    (record,) = [button for button in at.button if button.label == "Record the tensors"]
    record.click().run()
    assert [one.seed for one in app.asked()] == [image.settings.seed]
    assert not at.get("video")


def test_a_damaged_trajectory_is_said_and_can_be_recorded(app: App) -> None:
    run = put(app)
    assert run.image is not None
    app.store.files.trajectory(run.image.digest).write_bytes(b"cut short")
    at = app.open(PAGE)
    assert "A trajectory cannot be read" in " ".join(messages(at))
    assert any(button.label == "Record the tensors" for button in at.button)
    assert app.store.image_bytes(run.image.digest), "nothing stored is lost"


def test_a_deleted_picture_is_said(app: App) -> None:
    put(app)
    at = play(app.open(PAGE, film_images="0" * 64))
    assert any("cannot be found" in str(box.value) for box in at.info)
    assert at.get("video"), "the newest is shown instead"


def test_a_damaged_picture_is_said(app: App) -> None:
    run = put(app)
    assert run.image is not None
    run.image.path.write_bytes(b"\x89PNG cut")
    at = play(app.open(PAGE))
    assert "damaged" in " ".join(messages(at))


def test_a_frame_beyond_the_end(app: App) -> None:
    put(app)
    at = play(app.open(PAGE, film_frame="99", film_fps="0"))
    assert "this film has 5" in " ".join(messages(at))
    assert at.slider(key="film_frame").value == 5
    assert cursor(at) == 5
    assert "this film has 5" in " ".join(messages(at.run())), "until the slider is moved"
    at.slider(key="film_frame").set_value(2).run()
    assert "this film has" not in " ".join(messages(at))


def test_a_shorter_film_is_shown_to_its_end(app: App) -> None:
    long, short = put(app, calls=8, prompt="long"), put(app, calls=3, prompt="short")
    assert long.image is not None
    assert short.image is not None
    at = play(app.open(PAGE, film_images=long.image.digest))
    at.slider(key="film_frame").set_value(7).run()
    at.session_state["film_images"] = [short.image.digest]
    wait_for(lambda: at.run().get("video") and "short" in at.get("video")[0].proto.alt)
    assert not at.exception
    assert at.slider(key="film_frame").value == 4
    assert not messages(at), "no link asked for it"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fps", "0"),
        ("fps", "31"),
        ("fps", "quick"),
        ("hold", "-1"),
        ("hold", "11"),
        ("show", "Nothing"),
        ("decoder", "GAN"),
        ("source", "Both"),
        ("frame", "0"),
        ("bogus", "1"),
    ],
)
def test_a_broken_link_is_said_and_mended(app: App, name: str, value: str) -> None:
    put(app)
    at = play(app.open(PAGE, **{f"film_{name}": value}))
    assert "Part of the link could not be used" in " ".join(messages(at))
    assert at.number_input(key="film_fps").value == 8
    assert at.get("video")


def test_every_control_is_in_the_address(app: App) -> None:
    put(app)
    at = play(app.open(PAGE))
    keys = {widget.key for kind in (at.number_input, at.toggle, at.slider) for widget in kind}
    keys |= {control.key for control in at.segmented_control}
    bound = {f"film_{parameter.field}" for parameter in parameters()}
    assert {key for key in keys if key and key.startswith("film_")} <= bound


def test_the_sweep_page_sends_its_sweep_here(app: App) -> None:
    sweep, word = put_sweep(app)
    at = app.open(
        SWEEP.path,
        sweep_prompt=sweep.base.prompt,
        sweep_x="Steps",
        sweep_x_values="2, 4",
        sweep_view="Export",
        sweep_seed="0",
        sweep_width="64",
        sweep_height="64",
        sweep_scheduler="DDIM",
        sweep_guidance_scale=str(sweep.base.guidance_scale),
    )
    at.button(key="sweep:open_film").click().run()
    assert at.title[0].value == "Film"
    assert at.session_state["film_sweep"] == word
    assert play(app.turn_to(at, PAGE)).get("video")
