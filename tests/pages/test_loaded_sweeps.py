"""What is loaded into the Sweep page is what it shows and runs, after any ten further clicks."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core.output.sheet.sheet import SheetCell, SheetOptions, write_sheet
from core.sweeps.axis import Axis, parse_axis
from core.sweeps.sweep import Sweep
from tests.pages.conftest import App
from ui.catalog import GALLERY, HOME, SWEEP
from ui.sweep.prompt import PRESETS

PAGE = SWEEP.path
LINKED = {
    "sweep_prompt": "an apple",
    "sweep_x": "Guidance scale",
    "sweep_x_values": "1, 2, 3",
    "sweep_x_link": "Prompt search and replace",
    "sweep_x_link_values": "apple, owl, robot",
    "sweep_y": "Seed",
    "sweep_y_values": "1, 2",
    "sweep_y_link": "Steps",
    "sweep_y_link_values": "2, 3",
}
"""What stands in the controls before: axes that move together on both sides."""


def other(app: App) -> Sweep:
    """A sweep of other axes, none of them linked."""
    base = app.put(7, prompt="a robot", num_inference_steps=3).settings
    return Sweep(base=base, x=parse_axis("seed", "5, 6"), z=parse_axis("guidance_scale", "2, 4"))


def linked(app: App) -> Sweep:
    base = app.put(8, prompt="a robot").settings
    axis = Axis(name="num_inference_steps", values=(4, 8), linked=Axis(name="seed", values=(1, 2)))
    return Sweep(base=base, y=axis)


def from_preset(app: App, at: AppTest, sweep: Sweep) -> Sweep:
    at.button(key=f"sweep:preset:{PRESETS[0].title}").click().run()
    found = app.queue.sweep(app.newest_job().id)
    assert found is not None
    return found


def from_file(app: App, at: AppTest, sweep: Sweep) -> Sweep:
    cells = [SheetCell(x=c.x, y=c.y, z=c.z, image=None) for c in sweep.cells()]
    picture = write_sheet(sweep, cells, SheetOptions(), "png")
    at.file_uploader(key="sweep:drop").upload("grid.png", picture).run()
    at.button(key="sweep:use_dropped").click().run()
    return sweep


def from_saved(app: App, at: AppTest, sweep: Sweep) -> Sweep:
    app.store.save_sweep("other", sweep)
    at.run().button(key="sweep:open:other").click().run()
    return sweep


def from_recent(app: App, at: AppTest, sweep: Sweep) -> Sweep:
    me = at.session_state["owner_id"]
    app.queue.submit(
        [cell.settings for cell in sweep.cells()], owner=me, token="recent", sweep=sweep
    )
    app.finish()
    at.run()
    button = next(one for one in at.button if str(one.key).startswith("sweep:recent:"))
    button.click().run()
    return sweep


WAYS: dict[str, Callable[[App, AppTest, Sweep], Sweep]] = {
    "preset": from_preset,
    "file": from_file,
    "saved": from_saved,
    "recent": from_recent,
}


def shown(at: AppTest) -> Sweep:
    """The sweep that the controls make, as it is planned and would run."""
    return at.session_state["sweep:planned"][0]


def click_about(app: App, at: AppTest, chance: random.Random, said: list[str]) -> None:
    """Something that changes how the page looks, never what is swept."""
    views = at.segmented_control(key="sweep_view")
    ways: list[tuple[str, Callable[[], object]]] = [
        ("rerun", at.run),
        *((f"view {one}", lambda one=one: views.set_value(one).run()) for one in views.options),
        ("home and back", lambda: app.turn_to(app.turn_to(at, HOME.path), PAGE)),
        ("gallery and back", lambda: app.turn_to(app.turn_to(at, GALLERY.path), PAGE)),
    ]
    for button in at.button:
        if button.key in ("sweep:edit", "sweep:keep", "sweep:save_it"):
            ways.append((str(button.key), lambda button=button: button.click().run()))
    name, do = chance.choice(ways)
    said.append(name)
    do()


@pytest.mark.parametrize("made", [other, linked], ids=["plain", "linked"])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_loaded_is_what_runs(app: App, way: str, made: Callable[[App], Sweep]) -> None:
    chance = random.Random(f"{way} {made.__name__}")
    at = app.open(PAGE, **LINKED)
    assert shown(at).x is not None
    at.button(key="sweep:run").click().run()
    app.finish()
    wanted = WAYS[way](app, at.run(), made(app))
    said: list[str] = []
    assert shown(at) == wanted
    for _ in range(10):
        click_about(app, at, chance, said)
        assert shown(at) == wanted, said
    for side, axis in (("x", wanted.x), ("y", wanted.y), ("z", wanted.z)):
        is_linked = axis is not None and axis.linked is not None
        assert (f"sweep_{side}_link_values" in at.query_params) == is_linked
        assert (f"sweep_{side}_values" in at.query_params) == (axis is not None)
    known = {job.id for job in app.queue.jobs(limit=50)}
    at.button(key="sweep:run").click().run()
    app.finish()
    added = [job.id for job in app.queue.jobs(limit=50) if job.id not in known]
    assert [app.queue.sweep(job_id) for job_id in added] in ([], [wanted])
    digests = at.session_state["sweep:planned"][2].digests
    assert app.store.holds(digests) == set(digests), "and all of it is stored"
