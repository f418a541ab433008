"""The Latents page: choosing runs, every control, recording what is missing, and bad input."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.diffusion.engine import Engine
from core.diffusion.events import Computed, Generation
from core.diffusion.models.load import load_model
from core.diffusion.recipe.images import input_digest
from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import Trajectory
from core.output.figures.step_figure_rows import GROUPS, STEP_FIGURES
from core.output.figures.step_figures import NO_GUIDANCE
from core.runs.store.store import StoredImage
from core.sweeps.axis import Axis
from core.sweeps.sweep import Sweep
from tests.core.output.figures.step_doubles import step_trajectory
from tests.core.runs.doubles import generation
from tests.pages.conftest import GALLERY, App, messages, unescaped
from ui.catalog import FILM, LATENTS, SWEEP
from ui.links import MOST_RUNS

PAGE = LATENTS.path
DRAWN = [row.name for row in STEP_FIGURES.values() if not row.stands_in_for]


def put(
    app: App, steps: int = 6, *, tensors: bool = False, trajectory: Any = "made", **changes: Any
) -> StoredImage:
    """A stored picture with a recorded run of so many calls; None records nothing."""
    values = {"prompt": "a red apple", "seed": 1, "num_inference_steps": steps} | changes
    settings = GenerationSettings(**values)
    made = generation(settings, record="none")
    if trajectory == "made":
        trajectory = step_trajectory(steps, guided=settings.uses_guidance, tensors=tensors)
    computed = Computed(device="cpu", dtype="float32", rows=2, strict=False, versions={})
    whole = Generation(
        settings=settings,
        image=made.image,
        seconds=0.5,
        trajectory=trajectory,
        computed=computed,
    )
    return app.store.put(whole, app.model)


def show(app: App, *images: StoredImage, shown: str = "All", **query: str) -> AppTest:
    digests = ",".join(image.digest for image in images)
    named = {"latents_images": digests} if digests else {}
    return app.open(PAGE, **named, latents_show=shown, **query)


def figures(at: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]


def figure(at: AppTest, name: str) -> dict[str, Any]:
    """By what its y-axis says."""
    title = STEP_FIGURES[name].axis
    (found,) = [
        one for one in figures(at) if one["layout"]["yaxis"].get("title", {}).get("text") == title
    ]
    return found


def curves(at: AppTest, name: str) -> list[dict[str, Any]]:
    return [trace for trace in figure(at, name)["data"] if "meta" in trace]


def captions(at: AppTest) -> str:
    return unescaped(" ".join(str(caption.value) for caption in at.caption))


def cursor(at: AppTest) -> dict[str, Any]:
    (component,) = at.get("bidi_component")
    return json.loads(component.proto.json)


def named(at: AppTest) -> str:
    """The pictures in the address, which AppTest gives in one form or another."""
    value = at.query_params["latents_images"]
    return value if isinstance(value, str) else value[0]


def pictures(at: AppTest) -> list[str]:
    """The captions of the pictures of the step."""
    return [
        element.caption
        for image in at.get("image")
        for element in image.proto.imgs
        if element.caption
    ]


def test_an_empty_store_leads_to_generate(app: App) -> None:
    at = show(app)
    assert not messages(at)
    assert "No pictures yet" in [box.value for box in at.subheader]
    assert [link.label for link in at.main.get("page_link")] == ["Generate one"]


def test_the_newest_picture_is_shown_without_a_choice(app: App) -> None:
    put(app, 4, seed=1)
    newest = put(app, 6, seed=2)
    at = show(app)
    assert not messages(at)
    assert len(figures(at)) == len(DRAWN)
    (curve,) = curves(at, "x0_rms")
    assert len(curve["y"]) == 6
    assert at.slider(key="latents_step").max == 6
    assert "latents_images" not in at.query_params, "what nobody chose is not in the address"
    assert at.session_state["latents:run"] == newest.digest


def test_four_figures_come_first(app: App) -> None:
    at = show(app, put(app), shown="Overview")
    assert not messages(at)
    assert [one["layout"]["yaxis"]["title"]["text"] for one in figures(at)] == [
        STEP_FIGURES[name].axis for name in ("latent_rms", "guidance_gap", "settling", "saturation")
    ]
    at = app.open(PAGE)
    assert at.segmented_control(key="latents_show").value == "Overview"
    assert len(figures(at)) == 4


def legend(at: AppTest) -> str:
    (found,) = [box.body for box in at.get("html")]
    return found


def test_one_legend_names_the_runs_of_all_figures(app: App) -> None:
    """Numbers have a scale, names a stroke each; whatever a prompt holds stays text."""
    scales = [put(app, guidance_scale=scale) for scale in (2.0, 5.0)]
    at = show(app, *scales)
    assert "**Guidance scale**" in [box.value for box in at.markdown]
    assert re.findall(r"<span>([\d.]+)</span>", legend(at)) == ["2", "5"]
    own = [trace for one in figures(at) for trace in one["data"] if trace.get("showlegend", True)]
    assert {trace["name"] for trace in own} == {
        *(f"Channel {channel}" for channel in range(1, 5)),
        *(trace["name"] for trace in figure(at, "latent_rms")["data"] if "meta" not in trace),
    }, "the channels, and the analytic curve, which no setting names"
    prompts = [put(app, prompt=prompt) for prompt in ("<b>fish</b>", "an owl")]
    at = show(app, *prompts)
    assert re.findall(r"<span>([^<]+)</span>", legend(at)) == ["&lt;b&gt;fish&lt;/b&gt;", "an owl"]
    at = show(app, prompts[0])
    assert not at.get("html"), "one run needs no legend"
    many = [put(app, seed=seed) for seed in range(20)]
    at = show(app, *many)
    assert legend(at).count("<svg") == 16
    assert "and 4 more" in legend(at)


def test_the_thumbnails_say_which_run_they_are(app: App) -> None:
    images = [put(app, guidance_scale=scale, seed=seed) for seed in (1, 2) for scale in (2.0, 5.5)]
    said = captions(show(app, *images))
    assert "Seed · Guidance scale" in said
    for value in ("1 · 2", "1 · 5.5", "2 · 2", "2 · 5.5"):
        assert value in said


def test_several_runs_of_different_lengths_lie_over_each_other(app: App) -> None:
    images = [put(app, steps, seed=9) for steps in (4, 6, 9)]
    at = show(app, *images)
    assert not messages(at)
    drawn = curves(at, "x0_rms")
    assert [len(curve["y"]) for curve in drawn] == [4, 6, 9]
    assert len({curve["line"]["color"] for curve in drawn}) == 3
    assert re.findall(r"<span>(\d+)</span>", legend(at)) == ["4", "9"]


def test_the_switches_choose_axis_group_and_norm(app: App) -> None:
    at = show(app, put(app))
    records = step_trajectory(6).records
    for word, field in (("Timestep", "timestep"), ("Sigma", "sigma"), ("log-SNR", "log_snr")):
        at.segmented_control(key="latents_along").set_value(word).run()
        (curve,) = curves(at, "x0_rms")
        assert curve["x"] == [getattr(record, field) for record in records]
        step = at.slider(key="latents_step").value
        assert cursor(at)["x"] == getattr(records[step - 1], field)
    for group in GROUPS:
        at.segmented_control(key="latents_show").set_value(group).run()
        assert len(figures(at)) == sum(STEP_FIGURES[name].group == group for name in DRAWN)
    at.segmented_control(key="latents_show").set_value("Latents").run()
    (before,) = curves(at, "latent_rms")
    at.selectbox(key="latents:channel").set_value("Channel 3").run()
    (one,) = curves(at, "latent_rms")
    assert one["y"] != before["y"]
    at.toggle(key="latents_raw").set_value(True).run()
    (raw,) = curves(at, "raw_norm")
    assert raw["y"] == [record.raw_latent_norm for record in records]
    assert not messages(at)


def test_the_dashed_curve_names_its_variance(app: App) -> None:
    at = show(app, put(app))
    last = step_trajectory(6).records[-1].x0_rms
    assert f"Here v = {last**2:.3g}, from the last predicted x₀" in captions(at)


def test_one_channel_has_its_dashed_curve_where_the_tensors_are_stored(app: App) -> None:
    bare, whole = put(app, seed=1), put(app, tensors=True, seed=2)
    at = show(app, bare)
    at.selectbox(key="latents:channel").set_value("Channel 3").run()
    assert "needs the tensors of the run in view" in captions(at)
    at = show(app, whole)
    at.selectbox(key="latents:channel").set_value("Channel 3").run()
    predicted = step_trajectory(6, tensors=True).pred_original_sample
    assert predicted is not None
    square = float(np.square(predicted[-1][2]).mean())
    assert f"Here v = {square:.3g}, from the last predicted x₀" in captions(at)
    dashed = [t for t in figure(at, "latent_rms")["data"] if t["line"]["dash"] == "dash"]
    assert [trace["name"] for trace in dashed] == [f"√(ᾱv + 1 − ᾱ), v = {square:.3g}"]


def test_the_slider_moves_the_cursor_and_the_pictures(app: App) -> None:
    at = show(app, put(app, tensors=True))
    before = [image.proto.imgs[0].url for image in at.get("image")]
    at.slider(key="latents_step").set_value(5).run()
    assert (cursor(at)["x"], cursor(at)["step"]) == (5, 5)
    assert "Step 5 of 6" in captions(at)
    assert pictures(at)[:2] == ["x, with its noise", "Predicted x0"]
    assert pictures(at)[2].startswith("Its change, up to ")
    assert pictures(at)[3:] == ["1", "2", "3", "4"]
    assert [image.proto.imgs[0].url for image in at.get("image")] != before
    at.segmented_control(key="latents:channels_of").set_value("Predicted x0").run()
    assert "the same at every step" in captions(at)
    at.slider(key="latents_step").set_value(1).run()
    assert "nothing has changed yet" in captions(at)
    assert not messages(at)


def test_the_run_in_view_is_chosen_by_name_or_by_a_click(app: App) -> None:
    images = [put(app, 6, guidance_scale=scale, tensors=True) for scale in (2.0, 5.0)]
    at = show(app, *images)
    assert at.session_state["latents:run"] == images[0].digest
    at.selectbox(key="latents:run").set_value(images[1].digest).run()
    assert cursor(at)["run"] == 1
    assert {trace["meta"]["run"] for trace in curves(at, "channels")} == {1}
    assert not messages(at)


def test_two_differences_offer_two_colourings(app: App) -> None:
    images = [
        put(app, 6, guidance_scale=scale, seed=seed) for scale in (2.0, 5.0) for seed in (1, 2)
    ]
    at = show(app, *images)
    first = {curve["line"]["color"] for curve in curves(at, "x0_rms")}
    box = at.selectbox(key="latents:colour")
    assert box.options == ["Seed", "Guidance scale"]
    box.set_value("guidance_scale").run()
    second = {curve["line"]["color"] for curve in curves(at, "x0_rms")}
    assert len(first) == len(second) == 2
    assert first != second


def test_without_guidance_the_figures_say_so(app: App) -> None:
    at = show(app, put(app, guidance_scale=1.0))
    assert not messages(at)
    (note,) = figures(at)[DRAWN.index("guidance_gap")]["layout"]["annotations"]
    assert note["text"].replace("<br>", " ") == NO_GUIDANCE
    assert captions(at).count(NO_GUIDANCE) == sum(
        row.needs_guidance for row in STEP_FIGURES.values()
    )
    other = put(app, guidance_scale=3.0)
    both = show(app, app.store.search()[1], other)
    assert "Guidance is off in 1 of the 2 runs" in captions(both)


def test_numbers_are_recorded_afterwards(app: App) -> None:
    """Same digest, same bytes: only the trajectory is new."""
    image = put(app, trajectory=None)
    pixels = app.store.image_bytes(image.digest)
    at = show(app, image)
    assert "No numbers of this picture are stored" in captions(at)
    assert not figures(at)
    (button,) = [one for one in at.button if one.label == "Record the numbers"]
    button.click().run()
    assert app.asked() == [image.settings]
    app.finish()
    at.run()
    assert len(figures(at)) == len(DRAWN)
    assert app.store.image_bytes(image.digest) == pixels
    assert [one.digest for one in app.store.search()] == [image.digest]
    assert not messages(at)


def test_tensors_are_recorded_afterwards_once_a_click(app: App) -> None:
    image = put(app, 1)
    at = show(app, image)
    assert "The latents of this picture are not stored" in captions(at)
    app.lab.hold()
    (button,) = [one for one in at.button if one.label == "Record the tensors"]
    button.click().run()
    at.run()
    assert len(app.queue.jobs()) == 1, "a rerun submits nothing twice"
    assert [one.label for one in at.button if one.label == "Stop"] == ["Stop"]
    app.lab.gate.set()
    app.finish()
    at.run()
    assert pictures(at)[:2] == ["x, with its noise", "Predicted x0"]
    assert not messages(at)


def test_a_stopped_recording_can_be_asked_for_again(app: App) -> None:
    at = show(app, put(app, trajectory=None))
    app.lab.hold()
    next(one for one in at.button if one.label == "Record the numbers").click().run()
    next(one for one in at.button if one.label == "Stop").click().run()
    app.lab.gate.set()
    assert app.finish().state == "cancelled"
    at.run()
    assert [one.label for one in at.button if "Record" in one.label] == ["Record the numbers"]


def test_a_picture_that_cannot_come_out_again_is_said(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = put(app, trajectory=None)
    monkeypatch.setattr("ui.runs.recording.can_repeat", lambda image: False)
    at = show(app, image)
    (said,) = at.info
    assert "computing again would give another picture" in said.value
    assert not [one for one in at.button if "Record" in one.label]


@pytest.mark.parametrize("kept", [0, 40, 0.5])
def test_a_trajectory_cut_short_is_a_message_and_can_be_recorded_anew(
    app: App, kept: float
) -> None:
    image, whole = put(app, tensors=True), put(app, seed=2)
    path = app.store.files.trajectory(image.digest)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if kept < 1 else int(kept)])
    at = show(app, image, whole)
    (message,) = messages(at)
    assert message.startswith("A trajectory cannot be read: 1 of 2 trajectories")
    assert "No picture is lost" in message
    assert len(curves(at, "x0_rms")) == 1, "the other run is drawn"
    next(one for one in at.button if one.label == "Record the numbers").click().run()
    app.finish()
    at.run()
    assert len(curves(at, "x0_rms")) == 2
    assert not messages(at)


def test_the_only_trajectory_is_damaged_and_nothing_false_is_said(app: App) -> None:
    """Numbers were recorded once: neither now nor after a reload is that denied."""
    image = put(app)
    app.store.files.trajectory(image.digest).write_bytes(b"cut short")
    at = show(app, image)
    (message,) = messages(at)
    assert message.startswith("A trajectory cannot be read: The stored trajectory is damaged.")
    for _ in range(2):
        assert "No numbers of this picture are stored" in captions(at)
        assert "Nothing was recorded" not in captions(at)
        at.run()


def test_a_trajectory_is_read_once_for_its_numbers(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rerun with many runs laid over each other does not read their tensors again."""
    images = [put(app, tensors=True, seed=seed) for seed in (1, 2, 3)]
    read: list[str] = []
    trajectory = app.store.trajectory
    monkeypatch.setattr(
        app.store, "trajectory", lambda digest: read.append(digest) or trajectory(digest)
    )
    at = show(app, *images)
    first = [read.count(image.digest) for image in images]
    assert first == [2, 1, 1], "the tensors of the run in view besides"
    at.segmented_control(key="latents_along").set_value("Sigma").run()
    assert [read.count(image.digest) for image in images] == [3, 1, 1]


def test_a_step_beyond_the_end_is_said_and_the_default_used(app: App) -> None:
    at = show(app, put(app), latents_step="99")
    (message,) = messages(at)
    assert "latents_step = '99' is outside 1 to 6" in message
    assert 1 <= at.slider(key="latents_step").value <= 6
    assert not at.exception


def test_the_step_stays_inside_when_a_shorter_run_comes_into_view(app: App) -> None:
    images = [put(app, 9, seed=4), put(app, 4, seed=4)]
    at = show(app, *images, latents_step="8")
    assert at.slider(key="latents_step").value == 8
    at.selectbox(key="latents:run").set_value(images[1].digest).run()
    assert at.slider(key="latents_step").value == 4
    assert not messages(at)


def test_a_broken_link_is_said(app: App) -> None:
    at = show(app, put(app), latents_along="Weeks", latents_nonsense="1")
    (message,) = messages(at)
    assert "latents_along = 'Weeks' is not one of the choices" in message
    assert "latents_nonsense" in message


def test_a_deleted_picture_is_said_and_the_others_stay(app: App) -> None:
    gone, kept = put(app, seed=1), put(app, seed=2)
    app.store.delete([gone.digest])
    at = show(app, gone, kept)
    assert any("may have been deleted" in box.value for box in at.info)
    assert len(curves(at, "x0_rms")) == 1
    assert named(at) == kept.digest
    at = show(app, gone)
    assert len(curves(at, "x0_rms")) == 1, "the newest is shown in its place"


def test_a_link_with_a_thousand_names_is_cut(app: App) -> None:
    image = put(app)
    at = app.open(PAGE, latents_images=",".join([image.digest, *(f"{n:064x}" for n in range(999))]))
    assert any(f"The first {MOST_RUNS} of 1000" in box.value for box in at.info)
    assert not at.exception


def test_a_run_without_steps_is_said(app: App) -> None:
    empty = put(app, trajectory=Trajectory(records=()), seed=5)
    at = show(app, empty, put(app))
    assert any("No step was run" in box.value for box in at.info)
    assert len(curves(at, "x0_rms")) == 1


def test_nothing_is_offered_of_a_picture_that_took_no_step(app: App) -> None:
    """As the real engine makes it of image-to-image at strength 0."""
    source = np.zeros((64, 64, 3), np.uint8)
    name = input_digest(source)
    settings = GenerationSettings(width=64, height=64, init_image=name, strength=0.0)
    engine = Engine(load_model("bundled", device="cpu"), inputs={name: source}.__getitem__)
    made = app.store.put(engine.generate([settings], record="latents")[0], app.model)
    at = show(app, made)
    assert any("No step was run" in box.value for box in at.info)
    assert not [button for button in at.button if "Record" in button.label]
    app.turn_to(at, FILM.path, film_images=made.digest)
    assert [box.value for box in at.info] == ["No step was run: there is nothing to film."]
    assert not [button for button in at.button if "Record" in button.label]
    assert not at.exception


def test_pictures_are_laid_over_and_taken_away(app: App) -> None:
    first, second = put(app, seed=1), put(app, seed=2)
    at = show(app, first)
    at.button(key=f"latents:pick:{second.digest}").click().run()
    assert named(at) == f"{first.digest},{second.digest}"
    assert len(curves(at, "x0_rms")) == 2
    at.button(key=f"latents:pick:{first.digest}").click().run()
    assert named(at) == second.digest
    assert len(curves(at, "x0_rms")) == 1
    at.text_input(key="latents:search").set_value("nothing like this").run()
    assert "No picture matches." in captions(at)


def test_all_cells_of_a_sweep_are_taken(app: App) -> None:
    scales = (1.0, 3.0, 5.0)
    made = [put(app, guidance_scale=scale) for scale in scales[1:]]
    base = GenerationSettings(prompt="a red apple", seed=1, num_inference_steps=6)
    app.store.save_sweep("guidance", Sweep(base=base, x=Axis(name="guidance_scale", values=scales)))
    at = show(app)
    at.segmented_control(key="latents:choose_from").set_value("All cells of a sweep").run()
    at.button(key="latents:saved:guidance").click().run()
    assert named(at) == ",".join(image.digest for image in made)
    assert any("2 of the 3 cells of this sweep are shown" in box.value for box in at.info)
    assert len(curves(at, "x0_rms")) == 2
    app.store.delete([image.digest for image in made])
    put(app, seed=77)
    at = show(app)
    at.segmented_control(key="latents:choose_from").set_value("All cells of a sweep").run()
    at.button(key="latents:saved:guidance").click().run()
    assert any("None of its cells is stored" in box.value for box in at.info)


def test_all_cells_come_from_an_opened_cell_of_the_sweep(app: App) -> None:
    axes = {"sweep_x": "Guidance scale", "sweep_x_values": "2, 4"}
    at = app.open(SWEEP.path, sweep_prompt="a red apple", sweep_seed="1", **axes)
    at.button(key="sweep:run").click().run()
    app.finish()
    at.run()
    at.session_state["sweep:opened"] = (0, 0, 0)
    at.run()
    at.button(key="sweep:latents").click().run()
    assert not messages(at)
    made = [cell.digest for cell in app.queue.cells(app.newest_job().id)]
    assert named(at) == ",".join(digest for digest in made if digest)
    assert len(curves(at, "latent_rms")) == 2


def test_a_picture_is_sent_here_from_the_gallery(app: App) -> None:
    image = put(app, seed=8)
    put(app, seed=9)
    at = app.open(GALLERY, gallery_open=image.digest)
    at.menu_button(key=f"send:{image.digest}").set_value(PAGE).run()
    assert not messages(at)
    assert named(at) == image.digest
    assert at.session_state["latents:run"] == image.digest


def test_every_number_and_every_figure_can_be_taken_home(app: App) -> None:
    at = show(app, put(app))
    labels = [button.proto.label for button in at.get("download_button")]
    assert labels.count("HTML") == len(DRAWN)
    assert {"CSV", "Parquet"} <= set(labels)
    helps = [button.proto.help for button in at.get("download_button")]
    assert any("6 rows: every recorded step" in text for text in helps)
    for kind in ("PNG", "SVG"):
        at.segmented_control(key="latents:camera").set_value(kind).run()
        saves = {
            json.loads(chart.proto.config)["toImageButtonOptions"]["format"]
            for chart in at.get("plotly_chart")
        }
        assert saves == {kind.lower()}
