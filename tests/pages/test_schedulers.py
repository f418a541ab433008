"""The Schedulers page: what its controls lay out, and what a broken link or list says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.diffusion.models.load import describe
from core.diffusion.recipe.sampler import SPACINGS
from core.diffusion.sampling.timetable import timetable
from tests.pages.conftest import App, messages, unescaped
from ui.catalog import SCHEDULER_LAB
from ui.schedulers.form import FIRST, MOST

PAGE = SCHEDULER_LAB.path
CONFIG = describe("bundled").scheduler_config


def places(at: AppTest) -> list[dict[str, Any]]:
    """The rows of marks: the first figure."""
    return json.loads(at.get("plotly_chart")[0].proto.spec)["data"]


def rows(at: AppTest) -> list[str]:
    return [trace["y"][0] for trace in places(at)]


def captions(at: AppTest) -> str:
    return unescaped(" ".join(str(caption.value) for caption in at.caption))


def choose(at: AppTest, *names: str) -> AppTest:
    return at.multiselect(key="schedulers_names").set_value(list(names)).run()


def test_it_opens_with_schedulers_laid_out_and_no_picture(app: App) -> None:
    at = app.open(PAGE)
    assert not messages(at)
    assert rows(at) == [f"{name} · 10 steps" for name in FIRST]
    assert app.store.count() == 0
    assert app.queue.jobs() == []


def test_marks_lie_at_the_calls_over_every_measure(app: App) -> None:
    at = choose(app.open(PAGE), "Heun", "PNDM")
    calls = timetable("Heun", 10, CONFIG).calls
    for word, field in (("Timestep", "timestep"), ("Sigma", "sigma"), ("log-SNR", "log_snr")):
        at.segmented_control(key="schedulers_over").set_value(word).run()
        heun, pndm = places(at)
        assert heun["x"] == [getattr(call, field) for call in calls]
        assert heun["marker"]["symbol"] == ["circle", "diamond-open"] * 9 + ["circle"]
        assert pndm["marker"]["symbol"][:3] == ["circle", "square-open", "circle"]
    assert "Open diamond: second call of a step" in captions(at)
    summary = at.dataframe[0].value
    assert list(summary["UNet calls"]) == [19, 11]
    assert list(summary["Extra calls"]) == [9, 1]
    assert len(at.dataframe[1].value) == 30
    choose(at, "DDIM")
    assert "Open diamond" not in captions(at)


def test_steps_are_a_list_in_the_value_syntax(app: App) -> None:
    at = choose(app.open(PAGE), "DDIM")
    at.text_input(key="schedulers_steps").set_value("5-15 (+5), 40").run()
    assert rows(at) == [f"DDIM · {count} steps" for count in (5, 10, 15, 40)]
    at.text_input(key="schedulers_steps").set_value("five").run()
    (message,) = messages(at)
    assert message.startswith("These steps cannot be read")
    assert not at.get("plotly_chart")
    at.text_input(key="schedulers_steps").set_value("0, 4, 5000").run()
    (message,) = messages(at)
    assert "0, 5000 is outside 1 to 1000" in message
    assert rows(at) == ["DDIM · 4 steps"]


def test_spacings_and_karras_stand_side_by_side(app: App) -> None:
    at = choose(app.open(PAGE), "Euler", "DDIM")
    at.pills(key="schedulers_spacing").set_value(["leading", "trailing"]).run()
    at.pills(key="schedulers_levels").set_value(["Own", "Karras"]).run()
    assert rows(at) == [
        "Euler · 10 steps · leading",
        "Euler · 10 steps · leading · Karras",
        "Euler · 10 steps · trailing",
        "Euler · 10 steps · trailing · Karras",
        "DDIM · 10 steps · leading",
        "DDIM · 10 steps · trailing",
    ]
    assert "no sigma schedule to choose for: DDIM" in captions(at)
    assert not messages(at)


def test_timetables_of_the_same_calls_are_shown_once(app: App) -> None:
    at = choose(app.open(PAGE), "DPM++ 2M", "DPM++ 2M Karras")
    at.pills(key="schedulers_spacing").set_value(["leading", "trailing", "linspace"]).run()
    at.pills(key="schedulers_levels").set_value(["Own", "Karras"]).run()
    assert rows(at) == [
        "DPM++ 2M · 10 steps · leading",
        "DPM++ 2M · 10 steps · leading · Karras",
        "DPM++ 2M · 10 steps · trailing",
        "DPM++ 2M · 10 steps · linspace",
        "DPM++ 2M Karras · 10 steps",
    ]
    assert (
        "The same calls, shown once as DPM++ 2M · 10 steps · leading · Karras: DPM++ 2M · 10 "
        "steps · trailing · Karras, DPM++ 2M · 10 steps · linspace · Karras." in captions(at)
    )
    assert "The timestep spacing makes no difference for: DPM++ 2M Karras." in captions(at)
    assert "whatever the spacing of the timesteps" not in at.pills(key="schedulers_levels").help


def test_timetables_of_the_same_calls_do_not_count_against_the_limit(app: App) -> None:
    """Each of these has 8 combinations of which several are one: 24 is not reached."""
    at = choose(app.open(PAGE), *FIRST)
    at.pills(key="schedulers_spacing").set_value(["As the model", *SPACINGS]).run()
    at.pills(key="schedulers_levels").set_value(["Own", "Karras"]).run()
    assert not at.info
    assert {row.split(" · ")[0] for row in rows(at)} == set(FIRST)


def test_too_many_combinations_are_cut_and_too_many_steps_left_out(app: App) -> None:
    at = choose(app.open(PAGE), "DDIM")
    at.text_input(key="schedulers_steps").set_value("1-40").run()
    assert len(rows(at)) == MOST
    assert any(f"The first {MOST} of 40" in box.value for box in at.info)
    choose(at, "LCM", "DDIM")
    at.text_input(key="schedulers_steps").set_value("400").run()
    (message,) = messages(at)
    assert message.startswith("Left out: LCM cannot run 400 steps")
    assert rows(at) == ["DDIM · 400 steps"]


def test_nothing_chosen_is_an_empty_place(app: App) -> None:
    at = choose(app.open(PAGE))
    assert "Nothing to show" in [box.value for box in at.subheader]
    assert not at.exception


@pytest.mark.parametrize(
    ("name", "value"),
    [("names", "Quantum"), ("spacing", "wide"), ("levels", "Kerras"), ("over", "Weeks")],
)
def test_a_broken_link_is_said(app: App, name: str, value: str) -> None:
    at = app.open(PAGE, **{f"schedulers_{name}": value})
    assert any("Part of the link could not be used" in text for text in messages(at))
    assert any(value in text for text in messages(at))
    assert rows(at) == [f"{name} · 10 steps" for name in FIRST]


def test_every_call_can_be_taken_home(app: App) -> None:
    at = app.open(PAGE)
    assert [button.proto.label for button in at.get("download_button")] == ["CSV"]
