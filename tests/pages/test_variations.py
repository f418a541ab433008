"""The Variations page: sources, methods, families, the tree, walks, and what can be wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import pytest
from streamlit.testing.v1 import AppTest

from core.diffusion.models.load import BUNDLED_FOLDER, describe
from core.diffusion.recipe.noise_methods import METHODS
from core.diffusion.recipe.variations import parent_of
from core.diffusion.settings import MAX_SEED
from core.runs.store.store import StoredImage
from tests.core.runs.doubles import generation, wait_for
from tests.pages.conftest import GALLERY, App, messages, unescaped
from ui.catalog import GENERATE, VARIATIONS
from ui.variations.form import LAYOUTS, MOST_CHILDREN, VIEWS, WALKS
from ui.variations.source import OTHER_MODEL

PAGE = VARIATIONS.path


def grid(at: AppTest) -> list[dict[str, Any]]:
    """What the browser is told of the cells, or of the frames of the film."""
    (component,) = at.get("bidi_component")
    return json.loads(component.proto.json)["cells"]


def frame_count(path: Path) -> int:
    """Pictures of a film's file."""
    return sum(1 for _ in imageio.imiter(path))


def captions(at: AppTest) -> str:
    return "\n".join(unescaped(one.value) for one in at.caption)


def open_with(app: App, image: StoredImage, **query: str) -> AppTest:
    at = app.open(PAGE, variations_images=image.digest, **query)
    assert not at.exception
    return at


def make(app: App, at: AppTest, name: str = "children") -> AppTest:
    """Clicks the button and waits for the pictures and, on the page, for its tasks."""
    at.button(key=f"variations:make:{name}").click().run()
    app.finish()
    return settled(at.run())


def settled(at: AppTest) -> AppTest:
    """Tasks are done between two polls; AppTest has no clock of its own."""
    for _ in range(100):
        if not at.progress:
            break
        at.run()
    assert not at.progress
    assert not at.exception
    return at


def test_without_a_picture_it_says_what_to_do(app: App) -> None:
    at = app.open(PAGE)
    assert [box.value for box in at.subheader] == ["No pictures yet"]
    assert not messages(at)


def test_the_newest_picture_is_taken_and_stays_when_it_has_children(app: App) -> None:
    image = app.put(3)
    at = make(app, app.open(PAGE))
    assert [one.seed for one in app.asked()] == [3] * 8
    assert at.session_state["variations_images"] == [image.digest], "not its newest child"
    assert {cell["state"] for cell in grid(at)} == {"done"}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_reaches_the_children(app: App, method: str) -> None:
    image = app.put(3)
    at = open_with(app, image, variations_children="2")
    at.selectbox(key="variations_method").set_value(method).run()
    assert METHODS[method].formula in at.latex[0].value
    assert METHODS[method].expect in captions(at)
    make(app, at)
    assert {one.variation_method for one in app.asked()} == {method}
    assert [one.variation_seed for one in app.asked()] == [1001, 1002]
    assert {one.variation_strength for one in app.asked()} == {0.2}
    assert all(parent_of(one) == image.settings for one in app.asked())
    assert not messages(at)


def test_the_region_and_the_channel_reach_the_children(app: App) -> None:
    at = open_with(app, app.put(3), variations_children="1")
    at.selectbox(key="variations_method").set_value("region").run()
    across, down = (s for s in at.slider if s.label.startswith("From "))
    across.set_value((0, 64)).run()
    down = next(s for s in at.slider if s.label == "From top to bottom")
    down.set_value((8, 128)).run()
    make(app, at)
    assert app.asked()[0].variation_region == "0,8,64,128"
    at.selectbox(key="variations_method").set_value("channel").run()
    at.segmented_control(key="variations_channel").set_value(3).run()
    make(app, at)
    assert app.asked()[0].variation_channel == 3


def test_strength_number_and_seeds_reach_the_children(app: App) -> None:
    at = open_with(app, app.put(3))
    at.slider(key="variations_amount").set_value(0.35).run()
    at.number_input(key="variations_first").set_value(50).run()
    at.number_input(key="variations_children").set_value(3).run()
    make(app, at)
    found = [(one.variation_seed, one.variation_strength) for one in app.asked()]
    assert found == [(50, 0.35), (51, 0.35), (52, 0.35)]
    at.button(key="variations:draw_first").click().run()
    assert at.number_input(key="variations_first").value != 50
    assert at.button(key="variations:make:children").label == "Make 3 children"


def test_seeds_end_at_the_largest(app: App) -> None:
    at = open_with(app, app.put(3), variations_first=str(MAX_SEED), variations_children="2")
    make(app, at)
    assert [one.variation_seed for one in app.asked()] == [MAX_SEED - 1, MAX_SEED]


def test_at_strength_0_the_child_is_the_source_and_nothing_is_made(app: App) -> None:
    at = open_with(app, app.put(3), variations_amount="0.0")
    assert at.button(key="variations:make:children").disabled
    assert {cell["state"] for cell in grid(at)} == {"done"}
    assert "1 distinct · 1 already stored" in captions(at)


@pytest.mark.parametrize(
    ("method", "words"),
    [("blend", "As much as slerp at 0.156."), ("rotate", "A turn of 72°.")],
)
def test_a_strength_is_explained(app: App, method: str, words: str) -> None:
    at = open_with(app, app.put(3), variations_method=METHODS[method].label)
    assert words in captions(at)


def test_a_ladder_is_strengths_by_seeds(app: App) -> None:
    at = open_with(app, app.put(3), variations_children="2")
    at.segmented_control(key="variations_layout").set_value(LAYOUTS[1]).run()
    at.text_input(key="variations_amounts").set_value("0, 0.5, 1").run()
    assert at.button(key="variations:make:children").label == "Make 4 children"
    make(app, at)
    found = [(one.variation_seed, one.variation_strength) for one in app.asked()]
    assert found == [(1001, 0.5), (1001, 1.0), (1002, 0.5), (1002, 1.0)]
    cells = grid(at)
    assert [cell["at"] for cell in cells] == [[x, y, 0] for y in (0, 1) for x in (0, 1, 2)]
    assert cells[3]["marks"] == ["= 0, 1001"], "strength 0 is the source for every seed"


@pytest.mark.parametrize(
    ("text", "why"),
    [("0.1, 2", "outside 0 to 1"), ("much", "not a number"), ("", "")],
)
def test_a_broken_ladder_says_so(app: App, text: str, why: str) -> None:
    at = open_with(app, app.put(3), variations_layout=LAYOUTS[1])
    at.text_input(key="variations_amounts").set_value(text).run()
    (message,) = messages(at)
    assert message.startswith("Cannot run yet")
    assert why in message
    assert at.button(key="variations:make:children").disabled


def test_the_family_opens_as_a_sweep(app: App) -> None:
    at = make(app, open_with(app, app.put(3), variations_children="2"))
    at.button(key="variations:as_sweep").click().run()
    assert not at.exception
    assert [cell["state"] for cell in grid(at)] == ["done"] * 2, "the same stored pictures"
    assert at.button(key="sweep:run").label == "Run", "nothing is to be computed"
    assert at.text_input(key="sweep_x_values").value == "1001, 1002"


def opened(at: AppTest, place: tuple[int, int, int]) -> AppTest:
    at.session_state["variations:opened"] = place
    return at.run()


def test_a_child_becomes_the_parent_and_the_way_leads_back(app: App) -> None:
    image = app.put(3)
    at = make(app, open_with(app, image, variations_children="2"))
    child = app.store.children([image.digest], 9)[1]
    at = opened(at, (1, 0, 0))
    at.button(key="variations:parent").click().run()
    assert at.session_state["variations_images"] == [child.digest]
    assert at.button(key=f"variations:to:{child.digest}").disabled
    make(app, at)
    assert all(parent_of(one) == child.settings for one in app.asked())
    assert {one.variation_chain for one in app.asked()} == {"slerp:1002:0.2"}
    at.button(key=f"variations:to:{image.digest}").click().run()
    assert at.session_state["variations_images"] == [image.digest]
    assert len(grid(at)) == 2
    assert not messages(at)


def test_the_tree_shows_the_family_and_what_was_deleted(app: App) -> None:
    image = app.put(3)
    at = open_with(app, image, variations_view="Tree")
    assert any("No variations yet" in box.value for box in at.info)
    at = make(app, at)
    child, other, *_ = app.store.children([image.digest], 9)
    (chart,) = at.get("plotly_chart")
    figure = json.loads(chart.proto.spec)
    nodes = figure["data"][-1]
    assert len(nodes["customdata"]) == 9
    assert len(figure["layout"]["images"]) == 9
    assert "9 pictures" in captions(at)
    at = open_with(app, child, variations_view="Tree")
    app.store.delete([image.digest])
    at.run()
    figure = json.loads(at.get("plotly_chart")[0].proto.spec)
    assert any(text.endswith("(deleted)") for text in figure["data"][-1]["text"])
    assert other.digest in figure["data"][-1]["customdata"]


def test_a_deleted_parent_is_made_again(app: App) -> None:
    image = app.put(3)
    at = make(app, open_with(app, image, variations_children="1"))
    (child,) = app.store.children([image.digest], 9)
    app.store.delete([image.digest])
    at = open_with(app, child)
    button = at.button(key=f"variations:again:{image.digest}")
    assert button.label == "Seed 3: deleted, make it again"
    button.click().run()
    app.finish()
    at.run()
    assert at.session_state["variations_images"] == [image.digest]
    assert app.store.get(image.digest) is not None


def test_a_seed_is_a_source_too(app: App) -> None:
    app.put(3)
    at = app.open(PAGE)
    at.text_area(key="variations_prompt").set_value("an owl").run()
    at.number_input(key="variations_seed").set_value(77).run()
    at.button(key="variations:begin").click().run()
    app.finish()
    at.run()
    at.run()
    (digest,) = at.session_state["variations_images"]
    image = app.store.get(digest)
    assert image is not None
    assert (image.settings.prompt, image.settings.seed) == ("an owl", 77)
    make(app, at)
    assert {(one.prompt, one.seed) for one in app.asked()} == {("an owl", 77)}


def test_a_seed_that_cannot_run_says_why(app: App) -> None:
    at = app.open(PAGE)
    at.number_input(key="variations_width").set_value(5000).run()
    assert at.button(key="variations:begin").disabled
    assert "not a multiple of 8" in captions(at)


def test_a_model_that_cannot_be_used_is_said_and_asked_for_nothing(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "models"
    folder = Path(shutil.copytree(BUNDLED_FOLDER, root / "copy"))
    monkeypatch.setenv("LIGHTBOX_MODELS", str(root))
    image = app.put(3)
    settings = replace(image.settings, model="copy", seed=5)
    parent = app.store.put(generation(settings), describe("copy"))
    child = replace(settings, variation_seed=7, variation_strength=0.5)
    child = app.store.put(generation(child), describe("copy"))
    app.store.delete([parent.digest])
    (folder / "vae" / "config.json").unlink()
    at = open_with(app, image, variations_model="copy")
    assert "vae/config.json" in captions(at)
    assert at.button(key="variations:begin").disabled
    at = open_with(app, child)
    assert [m.split(":")[0] for m in messages(at)] == [OTHER_MODEL]
    at.button(key=f"variations:again:{parent.digest}").click().run()
    assert [m for m in messages(at) if m.startswith("The model cannot be used")]
    assert not at.exception
    assert not app.queue.jobs()


def test_pictures_are_sent_here_and_from_here(app: App) -> None:
    image, _ = app.put(7, prompt="an owl"), app.put(8)
    at = app.open(GALLERY, gallery_open=image.digest)
    at.menu_button(key=f"send:{image.digest}").set_value(PAGE).run()
    assert not messages(at)
    assert at.session_state["variations_images"] == [image.digest]
    at = make(app, open_with(app, image))
    assert {one.prompt for one in app.asked()} == {"an owl"}
    opened(at, (0, 0, 0))
    child = app.store.children([image.digest], 1)[0]
    at.menu_button(key=f"send:{child.digest}").set_value(GENERATE.path).run()
    assert any(child.digest in code.value for code in at.code), "the very same picture is shown"
    assert not messages(at)
    assert "variations:opened" not in at.session_state


@pytest.mark.parametrize("view", VIEWS)
def test_a_picture_of_another_model_is_not_varied(app: App, view: str) -> None:
    image = app.put(3)
    with app.store.database.write() as connection:
        connection.execute("UPDATE images SET digest = ?, model_fingerprint = 'x'", ("a" * 64,))
    image.path.parent.parent.joinpath("aa").mkdir()
    image.path.rename(app.store.files.picture("a" * 64))
    at = app.open(PAGE, variations_view=view)
    assert [message.split(":")[0] for message in messages(at)] == [OTHER_MODEL]
    assert not at.latex


def test_a_deleted_source_is_said(app: App) -> None:
    other = app.put(4)
    at = app.open(PAGE, variations_images="0" * 64)
    assert any("cannot be found" in box.value for box in at.info)
    assert at.session_state["variations_images"] == [other.digest]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("amount", "1.5", "is outside 0 to 1"),
        ("amount", "nan", "is outside 0 to 1"),
        ("first", "-1", "is outside 0 to"),
        ("first", str(MAX_SEED + 1), "is outside 0 to"),
        ("children", "1000", "is outside 1 to 32"),
        ("frames", "1", "is outside 2 to 120"),
        ("method", "None such", "is not one of the choices"),
        ("view", "None such", "is not one of the choices"),
        ("strenght", "1", "is not a parameter"),
    ],
)
def test_a_broken_parameter_is_said_and_the_default_used(
    app: App, name: str, text: str, why: str
) -> None:
    at = open_with(app, app.put(3), **{f"variations_{name}": text})
    (message,) = messages(at)
    assert f"variations_{name}" in message
    assert why in message
    assert grid(at)


def test_the_noise_of_every_method_is_measured(app: App) -> None:
    at = settled(open_with(app, app.put(3), variations_view="Noise", variations_amount="0.5"))
    table = at.table[0].value
    names = [unescaped(name).strip("*") for name in table["Noise"]]
    assert names[0] == "The source"
    assert names[1] == "Slerp"
    assert len(names) == 1 + len(METHODS)
    row = dict(zip(names, table["Deviation"], strict=True))
    assert float(row["Add (what goes wrong)"]) > 1.08 > float(row["Slerp"])
    cosines = [float(value) for value in table["Cosine to the source"]]
    assert cosines[0] == 1
    assert cosines[names.index("Rotate")] == pytest.approx(-1, abs=1e-3)


def test_the_distances_of_a_family_and_of_a_ladder(app: App) -> None:
    at = open_with(app, app.put(3), variations_view="Distances", variations_children="2")
    assert any("Make the children first" in box.value for box in at.info)
    at = make(app, at)
    charts = at.get("plotly_chart")
    assert len(charts) == 3
    figure = json.loads(charts[0].proto.spec)
    assert figure["data"][0]["x"] == [1001, 1002]
    at.segmented_control(key="variations_layout").set_value(LAYOUTS[1]).run()
    at.text_input(key="variations_amounts").set_value("0, 0.5").run()
    at = make(app, at)
    figure = json.loads(at.get("plotly_chart")[0].proto.spec)
    assert [line["x"] for line in figure["data"]] == [[0, 0.5]] * 2
    assert [line["y"][0] for line in figure["data"]] == [1, 1], "strength 0 is the parent"


def walk_to(app: App, kind: str, **query: str) -> AppTest:
    image = app.put(3)
    query = {"variations_frames": "4", "variations_view": "Walk", **query}
    return open_with(app, image, variations_walk=kind, **query)


def test_a_walk_to_a_seed_plays(app: App) -> None:
    at = walk_to(app, WALKS[0], variations_to_seed="9")
    make(app, at, "walk")
    assert [one.variation_strength for one in app.asked()] == [0.33333, 0.66667, 1.0]
    assert {(one.seed, one.variation_seed) for one in app.asked()} == {(3, 9)}
    (component,) = at.get("bidi_component")
    data = json.loads(component.proto.json)
    assert [axis["values"] for axis in data["axes"]] == [["0", "0.33333", "0.66667", "1"]]
    assert all(cell["src"] for cell in data["cells"])
    assert not data["closes"]
    assert len(at.get("plotly_chart")) == 2
    (frames,) = at.get("download_button")
    assert frames.proto.label == "Frames (ZIP)"
    assert "times the mean" in captions(at)


@pytest.mark.parametrize(("kind", "suffix"), [("MP4", "mp4"), ("GIF", "gif")])
def test_a_walk_is_exported_as_a_film_by_the_worker(app: App, kind: str, suffix: str) -> None:
    """The file is written by a task, not while the browser waits for its download."""
    at = walk_to(app, WALKS[0])
    make(app, at, "walk")
    films = app.store.folder / "films"
    assert not list(films.glob("*"))
    at.segmented_control(key="variations:file").set_value(kind).run()
    wait_for(lambda: len(at.run().get("download_button")) == 2)
    assert not messages(at)
    (file,) = films.iterdir()
    assert file.suffix == f".{suffix}"
    film, _ = at.get("download_button")
    assert film.proto.label.startswith(f"Download {kind}, ")
    assert frame_count(file) == 6, "four there, two on the way back"
    at.toggle(key="variations:back").set_value(False).run()
    wait_for(lambda: len(at.run().get("download_button")) == 2)
    (other,) = set(films.iterdir()) - {file}
    assert frame_count(other) == 4


def test_a_circle_closes(app: App) -> None:
    at = walk_to(app, WALKS[2])
    make(app, at, "walk")
    assert [one.variation_strength for one in app.asked()] == [0.25, 0.5, 0.75]
    assert {one.variation_method for one in app.asked()} == {"rotate"}
    assert json.loads(at.get("bidi_component")[0].proto.json)["closes"]
    figure = json.loads(at.get("plotly_chart")[0].proto.spec)
    assert len(figure["data"][0]["x"]) == 4, "the step back to the first is one too"


def test_a_walk_to_a_prompt_alone_and_with_a_seed(app: App) -> None:
    at = walk_to(app, WALKS[1])
    at.text_area(key="variations_to_prompt").set_value("an owl").run()
    make(app, at, "walk")
    assert [(one.prompt_2, one.prompt_blend) for one in app.asked()] == [
        ("an owl", 0.33333),
        ("an owl", 0.66667),
        ("an owl", 1.0),
    ]
    assert {one.variation_strength for one in app.asked()} == {0.0}
    at.toggle(key="variations_too").set_value(True).run()
    make(app, at, "walk")
    assert [(one.prompt_blend, one.variation_strength) for one in app.asked()] == [
        (0.33333, 0.33333),
        (0.66667, 0.66667),
        (1.0, 1.0),
    ]


def test_frames_are_spaced_evenly(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def spaced(places: list[float], steps: list[float]) -> list[float]:
        assert places == [0.0, 0.33333, 0.66667, 1.0]
        assert len(steps) == 3
        return [0.0, 0.1, 0.2, 1.0]  # the fake engine's pictures all have one colour

    monkeypatch.setattr("ui.variations.walk.spaced_evenly", spaced)
    at = walk_to(app, WALKS[0])
    make(app, at, "walk")
    assert not [box for box in at.subheader if "pass" in box.value]
    settled(at.toggle(key="variations_even").set_value(True).run())
    assert [box.value for box in at.subheader] == ["Second pass: 2 frames"]
    assert "at the places that space them evenly" in captions(at)
    assert at.button(key="variations:make:walk").label == "Make 2 frames"
    make(app, at, "walk")
    assert [one.variation_strength for one in app.asked()] == [0.1, 0.2]
    assert "Before it was" in captions(at)
    figure = json.loads(at.get("plotly_chart")[0].proto.spec)
    assert [line["name"] for line in figure["data"]] == ["Before", "Spaced evenly"]


def test_what_was_walked_once_is_not_made_again(app: App) -> None:
    at = walk_to(app, WALKS[0])
    make(app, at, "walk")
    at.slider(key="variations_frames").set_value(7).run()
    assert at.button(key="variations:make:walk").label == "Make 3 frames", "every second is there"


@pytest.mark.parametrize(("typed", "used"), [(0, 1), (100, MOST_CHILDREN)])
def test_a_number_out_of_bounds_is_said_with_the_one_that_is_used(
    app: App, typed: int, used: int
) -> None:
    image = app.put(3)
    at = app.open(VARIATIONS.path, variations_images=image.digest)
    at.number_input(key="variations_children").set_value(typed).run()
    said = [unescaped(one.value) for one in at.caption]
    assert any(f"{typed} is outside 1 to {MOST_CHILDREN}: {used} is used" in one for one in said)
    children = "child" if used == 1 else "children"
    assert at.button(key="variations:make:children").label == f"Make {used} {children}"
