"""State has an owner: a click acts in one run, and no page finds what another page left."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.runs.store.store import StoredImage
from tests.pages.conftest import App, messages
from tests.pages.test_image_to_image import app as _app_with_the_model
from tests.pages.test_image_to_image import settled
from ui.catalog import CATALOG, GENERATE, HOME, IMAGE_TO_IMAGE, SWEEP, VARIATIONS
from ui.grid.grid import SIZES

app = _app_with_the_model
OWL, CAT = "an owl", "a cat"
SWEEP_OF_TWO = {"sweep_prompt": "a red apple", "sweep_x": "Seed", "sweep_x_values": "1, 2"}


def image_to_image(app: App, **query: str) -> AppTest:
    """The page after a run of "an owl"."""
    asked = {"img2img_prompt": OWL, "img2img_num_inference_steps": "4"} | query
    at = settled(app.open(IMAGE_TO_IMAGE.path, **asked))
    at.button(key="img2img:run").click().run()
    app.finish()
    return settled(at)


def made_children(app: App, image: StoredImage, **query: str) -> AppTest:
    """The Variations page after its two children were made."""
    query = {"variations_children": "2", "variations_images": image.digest} | query
    at = app.open(VARIATIONS.path, **query)
    at.button(key="variations:make:children").click().run()
    app.finish()
    return settled(at)


def told(at: AppTest) -> dict[str, Any]:
    """What the browser is told of the grid."""
    (component,) = at.get("bidi_component")
    return json.loads(component.proto.json)


def jobs(app: App) -> int:
    return len(app.queue.jobs(limit=50))


def cell_dialogs(at: AppTest) -> list[str]:
    """The dialogs of a cell that stand open, by a button that each of them has."""
    return [str(button.key) for button in at.button if str(button.key).endswith(":refer")]


class Clicks:
    """The grid as the browser has it: a click on the cell at `place`, once."""

    def __init__(self) -> None:
        self.place: tuple[int, int, int] | None = None

    def __call__(self, *, key: str, on_opened_change: Callable[[], None], **_: Any) -> None:
        if self.place is not None:
            st.session_state[key] = SimpleNamespace(opened=list(self.place))
            self.place = None
            on_opened_change()


@pytest.fixture
def clicks(monkeypatch: pytest.MonkeyPatch) -> Clicks:
    clicks = Clicks()
    monkeypatch.setattr("ui.grid.grid.mount_grid", clicks)
    return clicks


def test_a_click_with_nothing_to_do_is_over_with_its_run(app: App) -> None:
    at = image_to_image(app)
    assert jobs(app) == 1
    settled(at.text_area(key="img2img_prompt").set_value(CAT).run())
    at.text_area(key="img2img_prompt").set_value(OWL)
    settled(at.button(key="img2img:run").click().run())
    assert jobs(app) == 1, "the owl is stored"
    settled(at.slider(key="img2img_strength").set_value(0.5).run())
    assert jobs(app) == 1, "a slider is no click"
    app.turn_to(at, SWEEP.path, **SWEEP_OF_TWO)
    assert at.button(key="sweep:run").label == "Run 2 cells"
    assert jobs(app) == 1, "nor is another page"


def test_a_click_of_variations_never_runs_the_sweep_page(app: App) -> None:
    at = made_children(app, app.put(3))
    at.number_input(key="variations_children").set_value(3).run()
    at.number_input(key="variations_children").set_value(2)
    at.button(key="variations:make:children").click().run()
    assert jobs(app) == 1, "both children are stored"
    app.turn_to(at, SWEEP.path, **SWEEP_OF_TWO)
    assert jobs(app) == 1
    app.turn_to(at, VARIATIONS.path)
    at.number_input(key="variations_children").set_value(3).run()
    assert jobs(app) == 1


def test_a_click_for_a_walk_that_is_stored_is_over_with_its_run(app: App) -> None:
    image = app.put(3)
    walk = {"variations_view": "Walk", "variations_frames": "3"}
    at = app.open(VARIATIONS.path, variations_images=image.digest, **walk)
    at.button(key="variations:make:walk").click().run()
    app.finish()
    settled(at)
    settled(at.slider(key="variations_frames").set_value(5).run())
    at.slider(key="variations_frames").set_value(3)
    settled(at.button(key="variations:make:walk").click().run())
    assert jobs(app) == 1, "its three frames are stored"
    settled(at.slider(key="variations_frames").set_value(5).run())
    assert jobs(app) == 1, "a slider is no click"


@pytest.mark.parametrize("path", [page.path for page in CATALOG])
def test_a_click_that_its_page_never_saw_is_dropped(app: App, path: str) -> None:
    """As of a run that another page cut short."""
    at = app.open(GENERATE.path if path != GENERATE.path else SWEEP.path)
    for page in CATALOG:
        at.session_state[f"{page.prefix}:click"] = page.prefix
    if path == HOME.path:
        at.switch_page(path).run()
    else:
        own = next(page.prefix for page in CATALOG if page.path == path)
        del at.session_state[f"{own}:click"]
        app.turn_to(at, path)
    assert not [page for page in CATALOG if f"{page.prefix}:click" in at.session_state]
    assert jobs(app) == 0


def finished_sweep(app: App, at: AppTest) -> AppTest:
    """The Sweep page in the same session, with a grid of two cells that has run."""
    app.turn_to(at, SWEEP.path, **SWEEP_OF_TWO)
    at.button(key="sweep:run").click().run()
    app.finish()
    return at.run()


def test_a_cell_opened_on_image_to_image_opens_on_no_other_page(app: App, clicks: Clicks) -> None:
    at = image_to_image(app, img2img_view="Grids", img2img_columns="0.5, 1")
    clicks.place = (0, 0, 0)
    at.run()
    assert len(cell_dialogs(at)) == 1
    finished_sweep(app, at)
    assert not messages(at)
    assert cell_dialogs(at) == [], "nobody clicked a cell of this grid"
    app.turn_to(at, IMAGE_TO_IMAGE.path)
    assert cell_dialogs(at) == [], "leaving a page closes what was open on it"


def test_a_frame_clicked_while_a_walk_develops_opens_nothing_later(
    app: App, clicks: Clicks
) -> None:
    image = app.put(3)
    walk = {"variations_view": "Walk", "variations_frames": "3"}
    at = app.open(VARIATIONS.path, variations_images=image.digest, **walk)
    app.lab.hold()
    at.button(key="variations:make:walk").click().run()
    clicks.place = (0, 0, 0)
    at.run()
    app.lab.gate.set()
    app.finish()
    finished_sweep(app, at)
    assert cell_dialogs(at) == [], "nobody clicked a cell of this grid"
    app.turn_to(at, VARIATIONS.path, variations_images=image.digest)
    at.segmented_control(key="variations_view").set_value("Children").run()
    at.button(key="variations:make:children").click().run()
    app.finish()
    settled(at)
    assert not [one for one in at.button if one.key == "variations:parent"], "no child was clicked"


def test_a_cell_opened_in_one_view_opens_in_no_other(app: App, clicks: Clicks) -> None:
    """While one picture develops it stands in a grid, where it can be clicked."""
    words = {"img2img_num_inference_steps": "4", "img2img_prompt": "an owl"}
    at = settled(app.open(IMAGE_TO_IMAGE.path, **words))
    app.lab.hold()
    at.button(key="img2img:run").click().run()
    clicks.place = (0, 0, 0)
    at.run()
    app.lab.gate.set()
    app.finish()
    settled(at)
    settled(at.segmented_control(key="img2img_view").set_value("Grids").run())
    assert cell_dialogs(at) == []


def test_each_page_has_a_grid_of_its_own(app: App) -> None:
    """A walk over the pages: what one grid was told, and what is typed, is no other's."""
    image = app.put(3)
    at = app.open(SWEEP.path, **SWEEP_OF_TWO, sweep_size="Large", sweep_captions="true")
    at.button(key="sweep:run").click().run()
    app.finish()
    at.run()
    assert told(at)["size"] == SIZES["Large"]
    assert told(at)["captions"]
    app.turn_to(at, VARIATIONS.path, variations_images=image.digest, variations_children="2")
    at.button(key="variations:make:children").click().run()
    app.finish()
    settled(at)
    assert told(at)["size"] == SIZES["Fit"], "only the Sweep's controls say how its grid looks"
    assert not told(at)["captions"]
    app.turn_to(at, SWEEP.path)
    assert told(at)["size"] == SIZES["Large"], "the Sweep page is as it was left"
    assert [cell["state"] for cell in told(at)["cells"]] == ["done"] * 2
    at.segmented_control(key="sweep_view").set_value("Numbers").run()
    marked = at.session_state["sweep:reference"]
    app.turn_to(at, IMAGE_TO_IMAGE.path, img2img_prompt=OWL, img2img_view="Grids")
    settled(at)
    settled(at.button(key="img2img:run").click().run())
    app.finish()
    settled(at)
    assert not messages(at)
    assert [cell["marks"] for cell in told(at)["cells"] if cell["marks"] == ["Reference"]] == []
    app.turn_to(at, SWEEP.path)
    assert at.session_state["sweep:reference"] == marked
    assert jobs(app) == 3, "a click a page, and nothing else"


def test_a_drawn_seed_is_the_one_that_ran(app: App) -> None:
    """A seed drawn again in every run would show another picture than the one that was made."""
    at = image_to_image(app, img2img_seed="-1")
    (settings,) = app.asked()
    assert at.number_input(key="img2img_seed").value == settings.seed
    assert at.button(key="img2img:run").disabled, "its picture is stored, and shown"
