"""The Sweep page: axes, the plan, a run, its end, and every way of going on from there."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from core.diffusion.settings import MAX_SEED, GenerationSettings
from core.output.sheet.sheet import SheetCell, SheetError, SheetOptions, write_sheet
from core.output.texts.infotext import write_png
from core.sweeps.axis import Axis, parse_axis
from core.sweeps.sweep import Sweep
from core.sweeps.work import work_of
from tests.core.runs.doubles import generation, wait_for
from tests.pages.conftest import GALLERY, App, measured, messages, unescaped
from ui.catalog import SWEEP
from ui.grid.compare import NO_EFFECT, differing
from ui.grid.export import watched
from ui.sweep.prompt import PRESETS
from ui.sweep.words import fitting_words

PAGE = SWEEP.path
PROMPT = "a red apple"
TWO_BY_TWO = {
    "sweep_prompt": PROMPT,
    "sweep_x": "Seed",
    "sweep_x_values": "1, 2",
    "sweep_y": "Guidance scale",
    "sweep_y_values": "3, 5",
}


def run_button(at: AppTest) -> Any:
    return at.button(key="sweep:run")


def run(at: AppTest) -> AppTest:
    return run_button(at).click().run()


def grid(at: AppTest) -> list[dict[str, Any]]:
    """What the browser is told of the cells of the page in view."""
    (component,) = at.get("bidi_component")
    return json.loads(component.proto.json)["cells"]


def states(at: AppTest) -> list[str]:
    return [cell["state"] for cell in grid(at)]


def view(at: AppTest, title: str) -> AppTest:
    return at.segmented_control(key="sweep_view").set_value(title).run()


def captions(at: AppTest) -> str:
    return "\n".join(unescaped(one.value) for one in at.caption)


def finished(app: App, **query: str) -> AppTest:
    """The page with a sweep that has run."""
    at = run(app.open(PAGE, **{**TWO_BY_TWO, **query}))
    app.finish()
    return at.run()


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.title)
def test_each_preset_is_one_click_from_a_result(app: App, preset: Any) -> None:
    at = app.open(PAGE)
    at.button(key=f"sweep:preset:{preset.title}").click().run()
    app.finish()
    at.run()
    assert not messages(at)
    assert set(states(at)) == {"done"}
    assert len(grid(at)) >= 4
    assert at.text_area(key="sweep_prompt").value == app.model.example_prompts[0]


def test_a_link_holds_the_whole_sweep(app: App) -> None:
    at = run(app.open(PAGE, **TWO_BY_TWO, sweep_num_inference_steps="7"))
    assert [(one.seed, one.guidance_scale) for one in app.asked()] == [
        (1, 3.0),
        (2, 3.0),
        (1, 5.0),
        (2, 5.0),
    ]
    assert {(one.prompt, one.num_inference_steps) for one in app.asked()} == {(PROMPT, 7)}
    assert not messages(at)


def test_a_broken_look_in_a_link_is_said(app: App) -> None:
    broken = {"view": "Film", "size": "Huge", "captions": "perhaps", "wide": "1"}
    at = app.open(PAGE, **TWO_BY_TWO, **{f"sweep_{name}": text for name, text in broken.items()})
    (message,) = messages(at)
    for name, text in broken.items():
        assert f"sweep_{name} = '{text}' is not one of the choices" in message
    good = {"view": "Numbers", "size": "Large", "captions": "true", "wide": "false"}
    at = app.open(PAGE, **TWO_BY_TWO, **{f"sweep_{name}": text for name, text in good.items()})
    assert not messages(at)
    assert at.segmented_control(key="sweep_view").value == "Numbers"


def test_the_plan_says_what_it_costs(app: App) -> None:
    at = app.open(PAGE, **TWO_BY_TWO, sweep_num_inference_steps="10")
    said = captions(at)
    assert "**2 × 2** = 4 cells" in said
    assert "80 UNet rows" in said, "4 cells, 10 calls, two rows each"
    assert run_button(at).label == "Run 4 cells"


def test_cells_that_come_out_the_same_are_merged_and_marked(app: App) -> None:
    at = app.open(PAGE, sweep_x="Guidance scale", sweep_x_values="0, 0.5, 3")
    assert "3 cells · 2 distinct" in captions(at)
    assert [cell["marks"] for cell in grid(at)] == [[], ["= 0"], []]
    run(at)
    assert len(app.asked()) == 2


def test_extending_computes_only_what_is_new_and_swapping_nothing(app: App) -> None:
    at = finished(app)
    assert states(at) == ["done"] * 4
    assert run_button(at).label == "Run"
    at.text_input(key="sweep_x_values").set_value("1-3").run()
    assert states(at).count("missing") == 2
    assert run_button(at).label == "Run 2 cells"
    run(at)
    assert len(app.asked()) == 2
    app.finish()
    at.run()
    at.button(key="sweep:swap_axes").click().run()
    assert states(at) == ["done"] * 6
    assert run_button(at).label == "Run"
    assert at.text_input(key="sweep_x_values").value == "3, 5"


def test_one_click_is_one_job(app: App) -> None:
    app.lab.hold()
    at = run(app.open(PAGE, **TWO_BY_TWO))
    at.run()
    assert len(app.queue.jobs()) == 1
    assert [one.value for one in run(at).toast] == ["Already running."]
    assert len(app.queue.jobs()) == 1
    at.text_input(key="sweep_x_values").set_value("1-3").run()
    run(at)
    assert len(app.asked()) == 6
    assert set(states(at)) <= {"pending", "running"}, "the new job says it of every cell"
    app.lab.gate.set()
    app.finish()
    assert len(app.lab.admitted) == 6, "each was made once"


def test_run_with_nothing_to_compute_says_so_and_takes_what_was_just_typed(app: App) -> None:
    at = finished(app)
    assert [one.value for one in run(at).toast] == ["Every cell is already stored."]
    assert len(app.queue.jobs()) == 1
    # Ctrl+Enter: the text and the press of Run arrive together.
    at.text_area(key="sweep_prompt").set_value("an owl")
    run(at)
    assert {one.prompt for one in app.asked()} == {"an owl"}
    assert len(app.asked()) == 4


@pytest.mark.parametrize("click", ["sweep:run", "sweep:preset:Guidance × Steps"])
def test_a_seed_to_draw_is_drawn_once_and_shown(app: App, click: str) -> None:
    at = app.open(PAGE, sweep_x="Steps", sweep_x_values="2, 3", sweep_seed="-1")
    at.button(key=click).click().run()
    (seed,) = {one.seed for one in app.asked()}
    assert 0 <= seed <= MAX_SEED
    assert at.number_input(key="sweep_seed").value == seed
    app.finish()
    assert set(states(at.run())) == {"done"}
    assert at.query_params["sweep_seed"] in (str(seed), [str(seed)]), "so that a reload shows it"


def test_new_seeds_and_axes_that_move_together(app: App) -> None:
    at = app.open(
        PAGE,
        sweep_x="Steps",
        sweep_x_values="4, 8",
        sweep_x_link="Guidance scale",
        sweep_x_link_values="2, 6",
        sweep_new_seed="New per column",
        sweep_seed="10",
    )
    run(at)
    found = [(one.num_inference_steps, one.guidance_scale, one.seed) for one in app.asked()]
    assert found == [(4, 2.0, 10), (8, 6.0, 11)]


BAD = [
    ({"sweep_x": "Seed", "sweep_x_values": "1-1000000000"}, "would be 1000000000 values"),
    (
        {"sweep_x": "Seed", "sweep_x_values": "1", "sweep_y": "Seed", "sweep_y_values": "2"},
        "is used 2 times",
    ),
    ({"sweep_x": "Steps", "sweep_x_values": "0, 5"}, "0 is outside 1 to 1000"),
    (
        {"sweep_x": "Prompt: search and replace", "sweep_x_values": "owl, cat"},
        "the term to search for, is not in the prompt",
    ),
    ({"sweep_x": "Steps", "sweep_x_values": "4, soup, 1-"}, "soup"),
    ({"sweep_x": "Width x height", "sweep_x_values": "13x13"}, "13 is not a multiple of 8"),
    ({"sweep_x": "Scheduler", "sweep_x_values": "DDIM, Eulr"}, "did you mean"),
    ({"sweep_x": "Model", "sweep_x_values": "/nowhere"}, "nowhere"),
    (
        {
            "sweep_x": "Steps",
            "sweep_x_values": "1, 2",
            "sweep_x_link": "Seed",
            "sweep_x_link_values": "1",
        },
        "cannot move together",
    ),
]


@pytest.mark.parametrize(("query", "why"), BAD, ids=[why for _, why in BAD])
def test_bad_input_is_said_and_nothing_runs(app: App, query: dict[str, str], why: str) -> None:
    at = app.open(PAGE, sweep_prompt=PROMPT, **query)
    (message,) = messages(at)
    assert message.startswith("Cannot run yet")
    assert why in message
    assert run_button(at).disabled
    assert not app.queue.jobs()
    assert not app.lab.admitted


def test_all_problems_at_once(app: App) -> None:
    at = app.open(
        PAGE,
        sweep_x="Steps",
        sweep_x_values="soup",
        sweep_y="Guidance scale",
        sweep_y_values="3, 500",
    )
    (message,) = messages(at)
    assert "soup" in message
    assert "500 is outside 0 to 100" in message
    at.text_input(key="sweep_x_values").set_value("1-3").run()
    at.text_input(key="sweep_y_values").set_value("101-200").run()
    (message,) = messages(at)
    assert message.count("is outside 0 to 100") == 20
    assert message.endswith("And 80 more.")


def test_stop_keeps_what_is_finished_and_resume_computes_the_rest(app: App) -> None:
    app.lab.max_rows = 2
    app.lab.step_seconds = 0.02
    at = run(app.open(PAGE, **TWO_BY_TWO))
    wait_for(lambda: app.newest_job().done_cells >= 1)
    at.button(key="sweep:stop").click().run()
    app.finish()
    at.run()
    kept = states(at).count("done")
    assert 1 <= kept < 4
    (info,) = at.info
    assert "Resume computes only the others" in info.value
    assert run_button(at).label.startswith(f"Resume {4 - kept} cell")
    app.lab.step_seconds = 0
    run(at)
    assert len(app.asked()) == 4 - kept
    app.finish()
    assert states(at.run()) == ["done"] * 4


def test_a_failed_cell_is_drawn_with_its_reason_and_tried_again_alone(app: App) -> None:
    app.lab.fails = lambda one: "Not a finite number" if one.seed == 2 else ""
    at = finished(app)
    assert states(at) == ["done", "failed", "done", "failed"]
    assert grid(at)[1]["words"] == "Failed", "what several share is said once, above the grid"
    assert "2 of 4 cells failed" in messages(at)[0]
    assert messages(at)[0].count("Not a finite number") == 1
    app.lab.fails = lambda one: ""
    before = len(app.lab.admitted)
    at.button(key="sweep:retry").click().run()
    app.finish()
    assert states(at.run()) == ["done"] * 4
    assert len(app.lab.admitted) - before == 2


def test_a_reason_of_one_cell_stands_in_it(app: App) -> None:
    app.lab.fails = lambda one: "Not a finite number" if one.seed == 2 else ""
    at = finished(app, sweep_y="", sweep_y_values="")
    assert "Not a finite number" in next(c["words"] for c in grid(at) if c["state"] == "failed")


def test_a_running_grid_shows_progress_and_previews(app: App) -> None:
    app.lab.hold()
    at = run(app.open(PAGE, **TWO_BY_TWO))
    assert set(states(at)) <= {"pending", "running"}
    assert at.button(key="sweep:stop").label == "Stop"
    app.lab.gate.set()


def test_a_sweep_that_runs_behind_other_controls_is_said_and_found(app: App) -> None:
    app.lab.hold()
    at = run(app.open(PAGE, **TWO_BY_TWO))
    at.text_area(key="sweep_prompt").set_value("an owl").run()
    assert "Also running: Seed × Guidance scale: a red apple, 0 of 4" in captions(at)
    at.button(key=f"sweep:show:{app.newest_job().id}").click().run()
    assert at.text_area(key="sweep_prompt").value == PROMPT
    assert "Also running" not in captions(at)
    app.lab.gate.set()


def test_what_another_browser_is_computing_is_watched_not_run_again(app: App) -> None:
    """The same address in another browser: its grid develops here too, and is not stopped here."""
    app.lab.hold()
    sweep = Sweep(
        base=app.put(99, prompt=PROMPT).settings,
        x=parse_axis("seed", "1, 2"),
        y=parse_axis("guidance_scale", "3, 5"),
    )
    wanted = [cell.settings for cell in sweep.cells()]
    job_id = app.queue.submit(wanted, owner="another browser", token="1", sweep=sweep)
    wait_for(lambda: app.queue.cells(job_id)[0].state == "running")
    at = app.open(PAGE, **TWO_BY_TWO, sweep_seed="99")
    assert set(states(at)) == {"running"}
    assert run_button(at).label == "Run", "there is nothing that nobody computes"
    assert not [one for one in at.button if one.key == "sweep:stop"]
    run(at)
    assert [job.id for job in app.queue.jobs()] == [job_id]
    app.lab.gate.set()
    app.finish()
    assert set(states(at.run())) == {"done"}


def test_a_running_sweep_is_found_without_its_link(app: App) -> None:
    app.lab.hold()
    at = run(app.open(PAGE, **TWO_BY_TWO))
    other = app.open(GALLERY)
    other.session_state["owner_id"] = at.session_state["owner_id"]
    app.turn_to(other, PAGE)
    other.button(key=f"sweep:show:{app.newest_job().id}").click().run()
    assert other.text_input(key="sweep_y_values").value == "3, 5"
    assert set(states(other)) <= {"pending", "running"}
    app.lab.gate.set()


def test_a_sweep_that_is_recorded_is_found_too(app: App) -> None:
    at = view(finished(app), "Export")
    app.lab.hold()
    at.button(key="sweep:record").click().run()
    at.text_area(key="sweep_prompt").set_value("an owl").run()
    at.button(key=f"sweep:show:{app.newest_job().id}").click().run()
    assert at.text_area(key="sweep_prompt").value == PROMPT
    app.lab.gate.set()


def test_the_grid_in_view_is_shown_by_the_job_that_computes_it(app: App) -> None:
    """Two sweeps share a cell; the one that was run last is not the one in view."""
    app.lab.hold()
    at = run(app.open(PAGE, **TWO_BY_TWO))
    first = app.newest_job().id
    at.text_input(key="sweep_x_values").set_value("2, 9, 10").run()
    run(at)
    second = app.newest_job().id
    assert {first, second} == {job.id for job in app.queue.jobs(active_only=True)}
    assert len(app.asked()) == 6
    assert set(states(at)) <= {"pending", "running"}
    at.button(key=f"sweep:show:{first}").click().run()
    assert set(states(at)) <= {"pending", "running"}
    assert at.button(key=f"sweep:show:{second}")
    app.queue.cancel(second)
    at.run()
    assert set(states(at)) <= {"pending", "running"}, "a job that is over makes nothing"
    app.lab.gate.set()


def test_a_stopped_extension_is_resumed_not_the_finished_sweep(app: App) -> None:
    at = finished(app)
    at.text_input(key="sweep_x_values").set_value("1-3").run()
    app.lab.hold()
    run(at)
    app.queue.cancel(app.newest_job().id)
    app.lab.gate.set()
    app.finish()
    assert run_button(at.run()).label == "Resume 2 cells"


def test_marks_of_another_tool_are_said_for_every_prompt_of_the_plan(app: App) -> None:
    at = app.open(
        PAGE,
        sweep_prompt="a [x:y:z that no cell has",
        sweep_x="Prompt",
        sweep_x_values='"a [red:blue:0.5 cat", "cat"',
        sweep_negative_prompt="fog AND mist",
    )
    (message,) = messages(at)
    assert "[red:blue:0.5 cat" in message
    assert "AND" in message
    assert "[x:y" not in message
    assert not run_button(at).disabled


def test_text_that_is_cut_off_is_said_for_every_prompt_of_the_plan(app: App) -> None:
    long = f"{'owl ' * 80}and a zebra"
    at = app.open(
        PAGE,
        sweep_prompt=f"{'owl ' * 80}that no cell has",
        sweep_x="Prompt",
        sweep_x_values=f'"{long}", "cat"',
        sweep_negative_prompt=f"{'fog ' * 80}and mist",
    )
    (message,) = messages(at)
    assert message.startswith("Some text is cut off: Prompt owl owl")
    assert "and a zebra." in message
    assert "Negative prompt fog" in message
    assert "and mist." in message
    assert not run_button(at).disabled


def test_the_sweep_survives_a_page_change_and_a_reload(app: App) -> None:
    at = finished(app)
    app.turn_to(at, GALLERY)
    app.turn_to(at, PAGE)
    assert states(at) == ["done"] * 4
    assert at.text_input(key="sweep_y_values").value == "3, 5"
    assert states(app.open(PAGE, **TWO_BY_TWO)) == ["done"] * 4, "another session, the same link"


def test_an_opened_cell_says_all_and_goes_to_generate(app: App) -> None:
    at = finished(app)
    at.session_state["sweep:opened"] = (1, 1, 0)
    at.run()
    assert any("Seed 2" in unescaped(one.value) for one in at.markdown)
    assert any("CFG scale: 5" in code.value for code in at.code)
    metrics = {metric.label: metric.value for metric in at.metric}
    assert float(metrics["RMSE"]) > 0
    assert metrics["Final latent RMS"] == "1.000"
    assert "Reference: Seed 1 · Guidance scale 3" in captions(at)
    assert "numbers of every step kept" in captions(at)
    at.button(key="sweep:generate").click().run()
    assert at.number_input(key="generate_seed").value == 2
    assert at.number_input(key="generate_guidance_scale").value == 5.0


def test_an_opened_cell_is_rated_and_its_stars_stand_in_the_grid(app: App) -> None:
    at = finished(app)
    at.session_state["sweep:opened"] = (1, 0, 0)
    at.run()
    at.button(key="sweep:rating:stars:3").click().run()
    at.button(key="sweep:rating:favourite").click().run()
    at.session_state["sweep:opened"] = None
    at.run()
    assert [cell["marks"] for cell in grid(at)] == [[], ["★★★♥"], [], []]


def test_an_opened_cell_leads_to_the_ones_beside_it(app: App) -> None:
    """In reading order; the rows of one page follow each other."""
    at = finished(app)
    cells = [(x, y, 0) for y in range(2) for x in range(2)]
    at.session_state["sweep:opened"] = cells[0]
    at.run()
    assert at.button(key="sweep:previous").disabled
    for place in cells[1:]:
        at.button(key="sweep:next").click().run()
        assert at.session_state["sweep:opened"] == place
    assert at.button(key="sweep:next").disabled
    at.button(key="sweep:previous").click().run()
    assert at.session_state["sweep:opened"] == cells[-2]
    assert not messages(at)


def test_a_picture_sent_here_becomes_the_base(app: App) -> None:
    image = app.put(seed=77, num_inference_steps=9, guidance_scale=4.5)
    at = app.open(GALLERY, gallery_open=image.digest)
    at.menu_button(key=f"send:{image.digest}").set_value(PAGE).run()
    assert not messages(at)
    assert at.text_area(key="sweep_prompt").value == image.settings.prompt
    assert at.number_input(key="sweep_seed").value == 77
    assert at.number_input(key="sweep_num_inference_steps").value == 9


def test_compare_shows_only_the_settings_that_differ(app: App) -> None:
    at = view(finished(app), "Compare")
    (table,) = at.table
    assert table.value.to_numpy().tolist() == [
        ["Seed", "1", "2"],
        ["Guidance scale", "3\\.0", "5\\.0"],
    ]


def test_a_setting_without_an_effect_is_no_difference() -> None:
    """What encodes a source, in text to image; beside image-to-image it says so."""
    a = GenerationSettings(prompt=PROMPT, posterior="sample", negative_prompt="blur")
    b = replace(a, posterior="mean", seed=2)
    assert differing(a, b) == {"Seed": ("0", "2")}
    with_source = replace(b, init_image="0" * 32, seed=0)
    assert differing(a, with_source)["Latents of the source"] == (NO_EFFECT, "mean")


def test_flipbook_has_a_slider_per_axis_and_every_cell(app: App) -> None:
    at = view(finished(app), "Flipbook")
    (component,) = at.get("bidi_component")
    data = json.loads(component.proto.json)
    assert [axis["values"] for axis in data["axes"]] == [["1", "2"], ["3", "5"]]
    assert len(data["cells"]) == 4
    assert all(cell["src"] for cell in data["cells"])


def test_numbers_measure_against_the_reference(app: App) -> None:
    at = measured(view(finished(app), "Numbers"))
    (table,) = at.dataframe
    assert table.value["RMSE"][0] == 0
    assert table.value["RMSE"][1] > 0
    assert list(table.value["UNet rows"]) == [2.0 * app.asked()[0].num_inference_steps] * 4
    assert "LPIPS is left out" in " ".join(caption.value for caption in at.caption)
    assert not messages(at)


def test_numbers_measure_against_the_most_steps_of_the_same_row(app: App) -> None:
    axes = {"sweep_x": "Steps", "sweep_x_values": "2, 3, 8", "sweep_y": "Seed"}
    at = run(app.open(PAGE, **axes, sweep_y_values="1, 2"))
    app.finish()
    at = view(at.run(), "Numbers")
    against = at.segmented_control(key="sweep:against:x")
    assert against.options[1] == "The most steps of the same row"
    measured(at)
    against = at.segmented_control(key="sweep:against:x")
    against.set_value(against.options[1]).run()
    deadline = time.monotonic() + 60
    while not any("Distance" in one.value for one in at.dataframe):
        assert time.monotonic() < deadline, messages(at)
        time.sleep(0.1)
        at.run()
    table = at.dataframe[0].value
    assert not messages(at)
    assert list(table["Distance"] == 0) == [False, False, True] * 2, "8 steps of each row"
    assert "N is the most steps" in captions(at)
    at.button(key="sweep:swap_axes").click().run()
    assert at.segmented_control(key="sweep:against:y").options[1].endswith("column")


def test_the_preset_of_convergence_has_values_of_its_own(app: App) -> None:
    at = app.open(PAGE)
    at.button(key="sweep:preset:Convergence").click().run()
    app.finish()
    assert len(app.asked()) == 24
    assert {one.num_inference_steps for one in app.asked()} == {5, 10, 20, 40, 80, 200}
    assert "the most steps of its row" in captions(at.run())


def test_numbers_are_measured_again_after_a_swap(app: App) -> None:
    at = measured(view(finished(app), "Numbers"))
    at.button(key="sweep:swap_axes").click().run()
    measured(at)
    (table,) = at.dataframe
    cells = list(zip(table.value["Guidance scale"], table.value["Seed"], strict=True))
    assert cells == [("3", "1"), ("5", "1"), ("3", "2"), ("5", "2")]
    assert table.value["RMSE"][1] == 0, "a picture's colour is its seed's"
    assert table.value["RMSE"][2] > 0


def test_a_long_axis_is_kept_whole(app: App) -> None:
    values = ", ".join(str(2**20 + index) for index in range(300))
    assert len(values) > 2000
    at = app.open(PAGE, sweep_x="Seed", sweep_x_values=values).run()
    assert at.text_input(key="sweep_x_values").value == values
    assert len(grid(at)) == 300
    assert grid(at)[-1]["title"].startswith(f"Seed {2**20 + 299}")


def test_a_deleted_cell_says_so(app: App) -> None:
    at = finished(app)
    app.store.delete([app.queue.cells(app.newest_job().id)[0].digest or ""])
    assert grid(at.run())[0]["words"] == "Deleted: compute again"
    assert states(at) == ["missing", "done", "done", "done"]


def test_snapshots_of_one_run_are_its_work_once() -> None:
    run = GenerationSettings(num_inference_steps=10)
    shots = [replace(run, snapshot=count) for count in (2, 6)]
    assert work_of(shots, {}) == work_of([shots[1]], {})
    assert work_of([*shots, run], {}) == work_of([run], {})
    assert work_of([run, replace(run, seed=1)], {}) == 2 * work_of([run], {})


def test_every_way_home_is_offered(app: App) -> None:
    at = view(finished(app), "Export")
    labels = [button.proto.label for button in at.get("download_button")]
    assert labels[0] == "Download as CSV", "the table of settings"
    assert labels[1:] == ["PNG", "JPEG", "WebP", "PDF", "Web page", "CSV", "Cells (ZIP)"]
    at.button(key="sweep:record").click().run()
    assert app.finish().done_cells == 4
    at.session_state["sweep:opened"] = (0, 0, 0)
    assert "latents of every step kept" in captions(at.run())
    at.session_state["sweep:opened"] = None
    view(at, "Export")
    labels = [button.proto.label for button in at.get("download_button")]
    assert labels[5:7] == ["MP4", "GIF"]


def test_a_picture_that_cannot_hold_the_sweep_says_so(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.output.sheet.sheet_text._MAX_EXIF", 100)
    at = view(finished(app), "Export")
    helps = {one.proto.label: one.proto.help for one in at.get("download_button")}
    assert "too long for a JPEG to hold" in helps["JPEG"]
    assert "too long for a WebP to hold" in helps["WebP"]
    assert "The file contains the sweep" in helps["PNG"]
    assert "The file contains the sweep" in helps["PDF"]


def test_the_largest_grid_that_can_be_dropped_is_what_the_server_takes(app: App) -> None:
    allowed = config.get_option("server.maxUploadSize")
    config.set_option("server.maxUploadSize", 123)
    try:
        uploader = app.open(PAGE).file_uploader(key="sweep:drop")
    finally:
        config.set_option("server.maxUploadSize", allowed)
    assert "up to 123 MB" in uploader.help
    assert uploader.proto.max_upload_size_mb == 123


def test_a_file_that_could_not_be_made_says_why(app: App) -> None:
    problem: list[str] = []

    def fails() -> bytes:
        raise SheetError("Too *wide* for one picture.")

    with pytest.raises(SheetError):
        watched(fails, problem)()
    at = view(finished(app), "Export")
    assert not messages(at)
    at.session_state["sweep:not_made"] = problem
    assert messages(at.run()) == ["This file could not be made: Too *wide* for one picture."]
    assert watched(lambda: b"made", problem)() == b"made"
    assert not messages(at.run()), "until the next click"


def test_sweeps_are_saved_opened_and_deleted_by_name(app: App) -> None:
    at = app.open(PAGE, **TWO_BY_TWO)
    at.text_input(key="sweep:name").set_value("Mine *bold*")
    at.button(key="sweep:save_it").click().run()
    (saved,) = app.store.sweeps()
    assert saved.name == "Mine *bold*"
    at.text_input(key="sweep_x_values").set_value("7").run()
    at.button(key="sweep:open:Mine *bold*").click().run()
    assert at.text_input(key="sweep_x_values").value == "1, 2"
    at.button(key="sweep:delete:Mine *bold*").click().run()
    assert len(app.store.sweeps()) == 1, "asked first"
    at.button(key="sweep:really").click().run()
    assert not app.store.sweeps()


def save_as(at: AppTest, name: str) -> AppTest:
    at.text_input(key="sweep:name").set_value(name)
    return at.button(key="sweep:save_it").click().run()


def test_a_name_that_is_taken_is_replaced_only_when_asked(app: App) -> None:
    at = save_as(app.open(PAGE, **TWO_BY_TWO), "Mine")
    at.text_input(key="sweep_x_values").set_value("7").run()
    at = save_as(at, " Mine ")
    assert app.store.sweeps()[0].sweep.x != parse_axis("guidance_scale", "7")
    at.button(key="sweep:keep").click().run()
    (kept,) = app.store.sweeps()
    at = save_as(at, "Mine")
    at.button(key="sweep:replace").click().run()
    (replaced,) = app.store.sweeps()
    assert replaced.name == kept.name == "Mine"
    assert len(kept.sweep.cells()) == 4
    assert len(replaced.sweep.cells()) == 2


def test_a_saved_sweep_is_renamed_but_not_over_another(app: App) -> None:
    at = save_as(app.open(PAGE, **TWO_BY_TWO), "Mine")
    at = save_as(at, "Other")
    at.button(key="sweep:rename:Mine").click().run()
    at.text_input(key="sweep:new_name:Mine").set_value("Other")
    at.button(key="sweep:rename_it").click().run()
    assert any("Not renamed" in message for message in messages(at))
    assert {one.name for one in app.store.sweeps()} == {"Mine", "Other"}
    at.text_input(key="sweep:new_name:Mine").set_value("Third")
    at.button(key="sweep:rename_it").click().run()
    assert {one.name for one in app.store.sweeps()} == {"Third", "Other"}


def test_the_last_sweeps_of_this_browser_are_a_click_away(app: App) -> None:
    at = finished(app)
    at.text_input(key="sweep_x_values").set_value("7, 8, 9").run()
    run(at)
    app.finish()
    recent = [b for b in at.run().button if str(b.key).startswith("sweep:recent:")]
    assert ["(3)" in unescaped(button.label) for button in recent] == [True, False]
    recent[1].click().run()
    assert at.text_input(key="sweep_x_values").value == "1, 2"


def test_a_sweep_without_a_name_is_not_saved(app: App) -> None:
    at = app.open(PAGE, **TWO_BY_TWO)
    at.button(key="sweep:save_it").click().run()
    assert "Not saved" in messages(at)[0]


def test_a_dropped_grid_brings_its_sweep_back(app: App) -> None:
    base = GenerationSettings(prompt="an owl", seed=9, width=64, height=64)
    linked = Axis(name="seed", values=(1, 2))
    sweep = Sweep(
        base=base,
        x=Axis(name="num_inference_steps", values=(4, 8), linked=linked),
        z=parse_axis("guidance_scale", "2, 4"),
    )
    cells = [SheetCell(x=c.x, y=c.y, z=c.z, image=None) for c in sweep.cells()]
    picture = write_sheet(sweep, cells, SheetOptions(), "png")
    at = app.open(PAGE)
    at.file_uploader(key="sweep:drop").upload("grid.png", picture).run()
    at.button(key="sweep:use_dropped").click().run()
    run(at)
    assert app.asked() == [cell.settings for cell in sweep.cells()]


@pytest.mark.parametrize("way", ["dropped", "saved", "shown"])
def test_a_sweep_of_a_model_that_is_not_here_says_so(app: App, way: str) -> None:
    base = GenerationSettings(model="elsewhere/far", prompt="an owl")
    sweep = Sweep(base=base, x=parse_axis("seed", "1, 2"))
    at = app.open(PAGE)
    if way == "dropped":
        cells = [SheetCell(x=c.x, y=c.y, z=c.z, image=None) for c in sweep.cells()]
        picture = write_sheet(sweep, cells, SheetOptions(), "png")
        at.file_uploader(key="sweep:drop").upload("grid.png", picture).run()
        button = "sweep:use_dropped"
    elif way == "saved":
        app.store.save_sweep("far", sweep)
        button = "sweep:open:far"
    else:
        app.lab.hold()
        wanted = [replace(cell.settings, model="bundled") for cell in sweep.cells()]
        me = at.session_state["owner_id"]
        job = app.queue.submit(wanted, owner=me, token="1", label="Sweep: Seed", sweep=sweep)
        button = f"sweep:show:{job}"
    at.run().button(key=button).click().run()
    (message,) = messages(at)
    assert message.startswith("Its model is not here: This was made with elsewhere/far")
    assert "bundled is used instead" in message
    assert at.text_area(key="sweep_prompt").value == "an owl"
    run(at)
    assert not messages(at), "whoever runs it has chosen the model"
    app.lab.gate.set()


def test_a_picture_without_a_sweep_says_so(app: App) -> None:
    made = generation(GenerationSettings())
    picture = write_png(made.image, made.settings, app.model, made.computed)
    at = app.open(PAGE)
    at.file_uploader(key="sweep:drop").upload("cell.png", picture).run()
    assert messages(at)[0].startswith("No sweep could be read from this file")


def test_what_a_person_typed_is_never_read_as_markup(app: App) -> None:
    evil = "[link](https://example.com) :red[r] **bold** <b>b</b> $x$"
    at = app.open(PAGE, sweep_prompt=evil, sweep_x="Prompt", sweep_x_values=f'"{evil}", "b"')
    shown = [one.value for one in (*at.caption, *at.markdown)]
    assert not [text for text in shown if evil in text]


def test_words_that_fit_the_prompt() -> None:
    assert fitting_words("a glossy robot")[:2] == ["robot", "apple"]
    assert fitting_words("something red")[0] == "red"
    assert fitting_words("zzzz y")[0] == "zzzz"
