"""A table of settings on the Sweep page: opened from CSV, downloaded, and kept by a link."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.sweeps.sweep import Sweep
from core.sweeps.tables.table_csv import read_csv
from tests.pages.conftest import App, messages, unescaped
from ui.catalog import SWEEP
from ui.sweep import table_editor

PAGE = SWEEP.path
THREE = 'Steps;Guidance scale;Prompt\n4;5,5;"a red apple, on blue"\n6;1;an owl\n8;3;\n'
GRID = {
    "sweep_prompt": "a robot",
    "sweep_x": "Seed",
    "sweep_x_values": "1, 2",
    "sweep_y": "Guidance scale",
    "sweep_y_values": "3, 5",
}


def drop(at: AppTest, text: str | bytes) -> AppTest:
    data = text.encode() if isinstance(text, str) else text
    return at.file_uploader(key="sweep:table_file").upload("table.csv", data).run()


def use(at: AppTest) -> AppTest:
    return at.button(key="sweep:table_use").click().run()


def shown(at: AppTest) -> Sweep:
    return at.session_state["sweep:planned"][0]


def captions(at: AppTest) -> str:
    return "\n".join(unescaped(one.value) for one in at.caption)


def test_a_table_runs_row_by_row_and_stays_in_the_address(app: App) -> None:
    at = drop(app.open(PAGE, **GRID), THREE)
    assert not messages(at)
    said = captions(at)
    assert "3 rows: Steps, Guidance scale, Prompt" in said
    assert "1 empty cell keeps the value of the base settings" in said
    use(at)
    assert at.button(key="sweep:run").label == "Run 3 cells"
    at.button(key="sweep:run").click().run()
    asked = [(one.num_inference_steps, one.guidance_scale, one.prompt) for one in app.asked()]
    assert asked == [(4, 5.5, "a red apple, on blue"), (6, 1.0, "an owl"), (8, 3.0, "a robot")]
    assert {one.seed for one in app.asked()} == {app.asked()[0].seed}
    app.finish()
    at.run()
    assert not messages(at)
    query = {k: v if isinstance(v, str) else v[0] for k, v in dict(at.query_params).items()}
    again = app.open(PAGE, **query)
    assert not messages(again)
    assert shown(again) == shown(at)


def test_a_table_longer_than_a_prompt_may_be_survives_a_reload(app: App) -> None:
    text = "prompt,seed\n" + "\n".join(f"{'apple ' * 10}{seed},{seed}" for seed in range(500))
    at = use(drop(app.open(PAGE, **GRID), text))
    assert not messages(at)
    assert at.button(key="sweep:run").label == "Run 500 cells"
    query = {k: v if isinstance(v, str) else v[0] for k, v in dict(at.query_params).items()}
    assert len(query["sweep_x_values"]) > 30_000
    again = app.open(PAGE, **query)
    assert not messages(again)
    assert shown(again) == shown(at)


def test_values_that_the_address_cannot_keep_are_said_and_stay_where_they_were_typed(
    app: App,
) -> None:
    at = app.open(PAGE, **GRID | {"sweep_x": "Prompt", "sweep_x_values": "owl, cat"})
    long = ", ".join(f"an owl, number {n}" for n in range(6000))
    at.text_input(key="sweep_x_values").set_value(long).run()
    assert "characters in the address, which keeps 100,000: shorten it" in captions(at)
    assert not [one for one in messages(at) if "link" in one]
    assert at.text_input(key="sweep_x_values").value == long
    again = app.open(PAGE, **GRID | {"sweep_x": "Prompt", "sweep_x_values": long})
    said = [one for one in messages(again) if "Part of the link could not be used" in one]
    assert "which keeps 100,000: shorten it" in "".join(said), messages(again)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "Seeed,steps\n1,x\n2,5000\n3\n",
            [
                "Row 1, Seeed: is not a setting; did you mean Seed?\n",
                "Row 2, Steps: 'x' is not a whole number.",
                "Row 3, Steps: 5000 is outside 1 to 1000.",
                "Row 4: has 1 cell, and the header names 2 columns.",
            ],
        ),
        ("", ["The table: is empty"]),
        ("seed\n" + "\n".join(map(str, range(5000))), ["The table: has more than 1,000 rows"]),
        (b"\x89PNG\r\n\x1a\n", ["The table: is not text in UTF-8"]),
        (
            "prompt,seed\n" + "\n".join(f"{'apple ' * 20},{seed}" for seed in range(900)),
            ["The table: is too long for this page", "about 654 of its 900 rows"],
        ),
        ("steps\n" + "\n".join("0" * 30), ["And 18 more."]),
    ],
)
def test_a_bad_table_is_one_message_and_changes_nothing(
    app: App, text: str | bytes, lines: list[str]
) -> None:
    at = app.open(PAGE, **GRID)
    before = shown(at)
    (message,) = messages(drop(at, text))
    assert message.startswith("This table cannot be used: ")
    assert all(line in message for line in lines), message
    assert not [button for button in at.button if button.key == "sweep:table_use"]
    assert shown(at) == before


def test_the_grid_is_downloaded_as_a_table_that_makes_the_same_cells(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers: list[Callable[[], bytes]] = []

    def keep(write: Callable[..., bytes], *of: object) -> Callable[[], bytes]:
        """What a click on "Download as CSV" runs, of the page that is drawn last."""
        makers.append(lambda: write(*of))
        return makers[-1]

    monkeypatch.setattr("ui.sweep.table.partial", keep)
    at = app.open(PAGE, **GRID)
    data = makers[-1]()
    found = read_csv(io.BytesIO(data))
    assert [dict(row) for row in found.rows] == [
        {"seed": seed, "guidance_scale": scale} for scale in (3.0, 5.0) for seed in (1, 2)
    ]
    before = [cell.settings for cell in shown(at).cells()]
    use(drop(at, data))
    assert [cell.settings for cell in shown(at).cells()] == before
    assert shown(at).shape() == (4, 1, 1)


def test_the_editor_begins_with_the_cells_and_keeps_what_was_typed(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[pd.DataFrame] = []

    def edit(frame: pd.DataFrame, **options: Any) -> pd.DataFrame:
        """As a person who types into the first row and adds one."""
        frames.append(frame)
        edited = frame.copy()
        edited.loc[1, "seed"] = typed[0]
        edited.loc[len(frame) + 1, "seed"] = 11
        return edited

    typed = [1.5]
    monkeypatch.setattr(table_editor.st, "data_editor", edit)
    at = app.open(PAGE, **GRID)
    at.button(key="sweep:table_edit").click().run()
    (message,) = messages(at)
    assert message == "This table cannot be used yet: Row 1, Seed: '1.5' is not a whole number."
    assert list(frames[-1].columns) == ["seed", "guidance_scale"]
    assert frames[-1].to_dict("list") == {"seed": [1, 2, 1, 2], "guidance_scale": [3, 3, 5, 5]}
    at.button(key="sweep:table_done").click().run()
    assert len(messages(at)) == 1, "a table with a problem is not used"
    at.multiselect(key="sweep:table_columns").select("scheduler").run()
    assert list(frames[-1].columns) == ["seed", "guidance_scale", "scheduler"]
    assert frames[-1]["seed"].tolist() == [1.5, 2, 1, 2, 11]
    at.button(key="sweep:table_keep").click().run()
    assert not messages(at)
    at.button(key="sweep:table_edit").click().run()
    assert frames[-1]["seed"].tolist()[:1] == [1.5], "closed without being used, it is kept"
    typed[0] = 8
    at.run()
    assert not messages(at)
    base = shown(at).base
    at.button(key="sweep:table_done").click().run()
    assert not [one for one in at.button if one.key == "sweep:table_done"]
    cells = [cell.settings for cell in shown(at).cells()]
    assert cells[0] == replace(base, seed=8, guidance_scale=3.0)
    assert cells[-1] == replace(base, seed=11)


def test_a_text_that_is_empty_is_one_in_the_editor_too(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_editor.st, "data_editor", lambda frame, **options: frame)
    at = app.open(
        PAGE,
        sweep_prompt="a robot",
        sweep_negative_prompt="blurry",
        sweep_x="Negative prompt",
        sweep_x_values='"", "flat"',
    )
    before = [cell.settings for cell in shown(at).cells()]
    at.button(key="sweep:table_edit").click().run()
    at.button(key="sweep:table_done").click().run()
    assert [axis.name for axis in shown(at).axes().values()] == ["settings"]
    assert [cell.settings for cell in shown(at).cells()] == before


def test_a_sweep_of_more_cells_than_a_table_has_rows(app: App) -> None:
    at = app.open(
        PAGE,
        sweep_prompt="a",
        sweep_x="Seed",
        sweep_x_values="1-40",
        sweep_y="Guidance scale",
        sweep_y_values="1-30",
    )
    button = at.button(key="sweep:table_edit")
    assert button.disabled
    assert "up to 1,000 rows; this sweep has 1,200 cells" in button.help


def test_an_axis_of_settings_can_be_typed(app: App) -> None:
    at = app.open(PAGE, sweep_prompt="a robot", sweep_x="Settings", sweep_x_values="steps=x, cfg=3")
    (message,) = messages(at)
    assert "Settings steps=x: Steps: 'x' is not a whole number." in message
    assert "Settings cfg=3: 'cfg' is not a setting." in message
    at.text_input(key="sweep_x_values").set_value("steps=3; seed=5, steps=4").run()
    assert not messages(at)
    assert "2: Steps 3, Seed 5 · Steps 4" in captions(at)
    made = [(one.settings.num_inference_steps, one.settings.seed) for one in shown(at).cells()]
    assert made == [(3, 5), (4, shown(at).base.seed)]
