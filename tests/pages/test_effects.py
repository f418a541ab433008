"""Effects on the pages: what mattered in a grid, more seeds for it, and numbers of one's own."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.diffusion.settings import GenerationSettings
from core.runs.store.measured.own import OwnNumbers
from core.runs.store.opinions.ratings import Ratings
from tests.pages.conftest import App, messages, unescaped
from ui.catalog import SWEEP, VARIATIONS

PAGE = SWEEP.path
GUIDANCE = {
    "sweep_prompt": "a red apple",
    "sweep_seed": "1",
    "sweep_x": "Guidance scale",
    "sweep_x_values": "3, 7",
}
SEEDS = {"sweep_y": "Seed", "sweep_y_values": "1, 2, 3"}


def effects(app: App, **query: str) -> AppTest:
    """The view of a sweep that has run, once its pictures are measured."""
    at = app.open(PAGE, **{**GUIDANCE, **query})
    at.button(key="sweep:run").click().run()
    app.finish()
    at.run()
    return seen(at.segmented_control(key="sweep_view").set_value("Effects").run())


def seen(at: AppTest) -> AppTest:
    for _ in range(400):
        if any(box.label == "Measure" for box in at.selectbox) or messages(at):
            return at
        time.sleep(0.05)
        at.run()
    raise AssertionError("the pictures were never measured")


def words(at: AppTest) -> str:
    parts = [*at.markdown, *at.caption, *at.info, *at.success]
    return "\n".join(unescaped(one.value) for one in parts)


def figures(at: AppTest) -> int:
    return len(at.get("plotly_chart"))


def measure(at: AppTest, name: str) -> AppTest:
    return at.selectbox(key="sweep:effects:measure").set_value(name).run()


def test_paired_seeds_are_compared_in_words_and_figures(app: App) -> None:
    at = measure(effects(app, **SEEDS), "settled_step")
    assert "Guidance scale 3 → 7" in words(at)
    assert "leaves the settling step as it is in all 3 seeds." in words(at)
    assert figures(at) == 4, "a curve, intervals, and the shares of the pictures in two spaces"
    assert "what happened once" not in words(at)
    assert "LPIPS is left out" in words(at)
    assert not messages(at)


def test_a_measure_of_two_pictures_says_what_it_compares_with(app: App) -> None:
    at = measure(effects(app, **SEEDS), "rmse")
    assert "To the first values with the same seed, 0 to 255." in words(at)
    at.selectbox(key="sweep:effects:against").set_value("column").run()
    assert "To the first of its column" in words(seen(at))


def test_one_seed_says_what_happened_once_and_offers_seven_more(app: App) -> None:
    at = effects(app)
    assert "One seed shows what happened once" in words(at)
    assert figures(at) == 1, "no intervals"
    assert "14 cells to compute" in words(at)
    button = at.button(key="sweep:more_seeds")
    assert button.label == "Add 7 seeds"
    stored = app.store.count()
    button.click().run()
    asked = app.asked()
    assert sorted({one.seed for one in asked}) == [2, 3, 4, 5, 6, 7, 8], "only what is missing"
    assert len(asked) == 14
    app.finish()
    assert app.store.count() == stored + 14
    assert at.selectbox(key="sweep_y").value == "seed"
    at = seen(at.run())
    assert "What is stored is not computed again" in words(at)
    assert "what happened once" not in words(at)


def test_seeds_alone_have_no_effect_to_show(app: App) -> None:
    at = app.open(PAGE, **{**GUIDANCE, "sweep_x": "Seed", "sweep_x_values": "1, 2"})
    at.segmented_control(key="sweep_view").set_value("Effects").run()
    assert "Only the seed varies" in "\n".join(one.value for one in at.subheader)


def test_before_it_has_run_it_says_what_to_do(app: App) -> None:
    at = app.open(PAGE, **GUIDANCE)
    at.segmented_control(key="sweep_view").set_value("Effects").run()
    assert "Run the sweep" in words(at)
    assert not messages(at)


def test_a_missing_cell_is_named(app: App) -> None:
    at = effects(app, **SEEDS)
    app.store.delete([app.queue.cells(app.newest_job().id)[0].digest or ""])
    (message,) = messages(seen(at.run()))
    assert "1 cell is missing (Guidance scale 3, Seed 1)" in message


def test_a_single_cell_is_no_error(app: App) -> None:
    at = effects(app, sweep_x_values="3")
    assert not messages(at)
    assert figures(at) == 1


def uploaded(at: AppTest, text: str) -> AppTest:
    return at.file_uploader(key="sweep:own_file").upload("own.csv", text.encode()).run()


def test_numbers_of_ones_own_are_imported_kept_and_compared(app: App) -> None:
    at = effects(app, **SEEDS)
    rows = [f"{x},{y},0,{10 * x + y * (1 + x) / 2}" for x in (0, 1) for y in (0, 1, 2)]
    at = uploaded(at, "\n".join(["x,y,z,Fingers", *rows, "7,7,7,1"]))
    assert "Fingers: numbers of 6 pictures." in words(at)
    (message,) = messages(at)
    assert "Row 8 matches no cell of this grid." in message
    at = measure(at, "own:Fingers")
    assert "raises the fingers by 10.50 (95 % CI" in words(at)
    again = app.open(PAGE, **{**GUIDANCE, **SEEDS, "sweep_view": "Effects"})
    assert "own:Fingers" in seen(again).selectbox(key="sweep:effects:measure").options or any(
        "Fingers" in option for option in again.selectbox(key="sweep:effects:measure").options
    )
    table: Any = again.get("arrow_data_frame") or again.dataframe
    assert table, "they can be changed by hand"


@pytest.mark.parametrize(
    ("text", "why"),
    [("x,y,z,Fingers\n9,9,9,1\n", "Row 2 matches no cell"), ("a,b\n1,2\n", "which cell a row is")],
)
def test_a_file_that_fits_nothing_says_so_and_loses_nothing(app: App, text: str, why: str) -> None:
    at = effects(app, **SEEDS)
    own = OwnNumbers(app.store.database)
    digests = [cell.digest or "" for cell in app.queue.cells(app.newest_job().id)]
    own.keep("Rating", {digests[0]: 3.0})
    (message,) = messages(uploaded(at, text))
    assert message.startswith("This file has no number for this grid")
    assert why in message
    assert own.of(digests) == {"Rating": {digests[0]: 3.0}}


def test_variations_have_the_view_and_lead_to_the_sweep(app: App) -> None:
    image = app.put(seed=3)
    query = {"variations_images": image.digest, "variations_children": "2"}
    at = app.open(VARIATIONS.path, **query)
    at.button(key="variations:make:children").click().run()
    app.finish()
    at.segmented_control(key="variations_view").set_value("Effects").run()
    assert "Only the seed varies" in "\n".join(one.value for one in at.subheader)
    assert any(button.label == "Open as a sweep" for button in at.button)


@pytest.fixture
def varied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that differ by guidance, and not by as much with each seed."""

    def colour(one: GenerationSettings) -> tuple[int, int, int]:
        guidance = int(one.guidance_scale)
        return 20 * guidance + 3 * guidance * one.seed**2, 7 * one.seed, 90

    monkeypatch.setattr("tests.core.runs.doubles.colour", colour)


def refine(at: AppTest, budget: int) -> AppTest:
    """Refine opened by the button beside the grid."""
    at.segmented_control(key="sweep_view").set_value("Grid").run()
    at = seen(at.button(key="sweep:to_refine").click().run())
    assert at.segmented_control(key="sweep_view").value == "Effects"
    return at.number_input(key="sweep:refine_budget").set_value(budget).run()


@pytest.mark.usefixtures("varied")
def test_refine_shows_its_plan_and_adds_seeds_in_a_click(app: App) -> None:
    at = measure(refine(effects(app, **SEEDS), 5), "colourfulness")
    at.selectbox(key="sweep:refine_what").set_value("seeds").run()
    assert "Adds 4, 5: 4 cells more." in words(at)
    assert "The widest interval is that of Guidance scale 3 → 7: colourfulness" in words(at)
    assert "4 cells to compute · " in words(at)
    stored = app.store.count()
    at.button(key="sweep:refine").click().run()
    assert sorted({one.seed for one in app.asked()}) == [4, 5]
    assert len(app.asked()) == 4, "nothing is computed again"
    app.finish()
    assert app.store.count() == stored + 4
    assert at.text_input(key="sweep_y_values").value == "1, 2, 3, 4, 5"


@pytest.mark.usefixtures("varied")
def test_refine_adds_a_value_between_two_neighbours(app: App) -> None:
    at = refine(effects(app, **SEEDS), 3)
    at.selectbox(key="sweep:refine_what").set_value("guidance_scale").run()
    assert "Adds 5: 3 cells more." in words(at)
    assert "5: the pictures of 3 and 7 are on average" in words(at)
    at.button(key="sweep:refine").click().run()
    assert {(one.guidance_scale, one.seed) for one in app.asked()} == {(5, 1), (5, 2), (5, 3)}
    app.finish()
    assert at.text_input(key="sweep_x_values").value == "3, 5, 7"
    assert not messages(seen(at.run()))


def test_a_budget_that_is_too_small_says_what_it_takes(app: App) -> None:
    at = refine(effects(app, **SEEDS), 1)
    assert "Guidance scale: one value more is 3 cells: allow at least as many." in words(at)
    assert "Seeds: one more for the whole grid is 2 cells" in words(at)
    assert not any(button.key == "sweep:refine" for button in at.button)


def test_refine_of_names_and_of_one_seed(app: App) -> None:
    query = {"sweep_x": "Scheduler", "sweep_x_values": "DDIM, Euler"}
    at = refine(effects(app, **query), 4)
    assert "Scheduler: its values are names" in words(at)
    assert "Adds 2, 3: 4 cells more." in words(at)
    assert "with more there is an interval" in words(at)


def test_the_export_asks_for_effects_where_something_varies(app: App) -> None:
    at = effects(app, **SEEDS)
    at.segmented_control(key="sweep_view").set_value("Export").run()
    at.checkbox(key="sweep:with_effects").check().run()
    assert not messages(at)
    at = app.open(PAGE, **{**GUIDANCE, "sweep_x": "Seed", "sweep_x_values": "1, 2"})
    at.segmented_control(key="sweep_view").set_value("Export").run()
    assert not any(box.key == "sweep:with_effects" for box in at.checkbox)


def test_a_rating_that_is_looked_for_leaves_the_others_pale(app: App) -> None:
    at = app.open(PAGE, **GUIDANCE)
    at.button(key="sweep:run").click().run()
    app.finish()
    first = app.queue.cells(app.newest_job().id)[0].digest or ""
    Ratings(app.store.database).rate([first], 4)

    def pale(at: AppTest) -> list[bool]:
        (grid,) = at.get("bidi_component")
        return [cell["pale"] for cell in json.loads(grid.proto.json)["cells"]]

    assert pale(at.run()) == [False, False]
    assert pale(at.selectbox(key="sweep_rated").set_value("★★★ or more").run()) == [False, True]
    assert pale(app.open(PAGE, **GUIDANCE, sweep_rated="Favourites")) == [True, True]
    assert pale(app.open(PAGE, **GUIDANCE, sweep_rated="Not rated")) == [True, False]


def test_a_ladder_of_variations_gets_seven_children_more(app: App) -> None:
    image = app.put(seed=3)
    query = {"variations_images": image.digest, "variations_children": "2"}
    at = app.open(VARIATIONS.path, variations_layout="Ladder", **query)
    at.button(key="variations:make:children").click().run()
    app.finish()
    before = {one.variation_seed for one in app.asked()}
    assert len(before) == 2
    at = seen(at.segmented_control(key="variations_view").set_value("Effects").run())
    at.button(key="variations:more_seeds").click().run()
    asked = {one.variation_seed for one in app.asked()}
    assert len(asked) == 7
    assert not asked & before
    assert at.number_input(key="variations_children").value == 9
    app.finish()
    assert not messages(seen(at.run()))
    assert not any(one.key == "variations:refine_budget" for one in at.number_input)
