"""Tables of settings: read from CSV and from rows, written, and every bad one said in full."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from core.diffusion.recipe.setting import Setting
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import Sweep
from core.sweeps.tables.table import (
    MAX_ROWS,
    SettingsTable,
    TableError,
    read_rows,
    table_in,
    table_of,
    write_cell,
)
from core.sweeps.tables.table_csv import NOT_TEXT, read_csv, write_csv
from core.sweeps.values import format_values

BASE = GenerationSettings(prompt="a red apple", negative_prompt="blurry", seed=9)
TEXTS = ("prompt", "negative_prompt", "prompt_2")
"""Settings that take any text and are judged by nothing else."""

NUMBERS = ("num_inference_steps", "seed", "guidance_scale", "apg_momentum", "noise_multiplier")
CHOICES = ("pag_layers", "posterior")
SWITCHES = ("exact_steps", "guidance_below_1")


def a_value(row: Setting) -> st.SearchStrategy[Any]:
    """Any value that a setting takes."""
    if row.kind is bool:
        return st.booleans()
    if row.bounds is not None:
        low, high = row.bounds
        if row.kind is int:
            return st.integers(int(low), int(high))
        return st.floats(low, high)
    if row.choices:
        return st.sampled_from(row.choices)
    signs = st.text("\",;\n\r\t\\=+-@' ab0é", max_size=8)
    return signs | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def a_row() -> st.SearchStrategy[dict[str, Any]]:
    names = (*TEXTS, *NUMBERS, *CHOICES, *SWITCHES)
    return st.fixed_dictionaries({}, optional={n: a_value(SETTINGS[n]) for n in names})


@st.composite
def a_table(draw: st.DrawFn) -> SettingsTable:
    names = (*TEXTS, *NUMBERS, *CHOICES, *SWITCHES)
    columns = draw(st.lists(st.sampled_from(names), min_size=1, max_size=5, unique=True))
    row = st.fixed_dictionaries({name: a_value(SETTINGS[name]) for name in columns})
    rows = [{name: one[name] for name in columns} for one in draw(st.lists(row, min_size=1))]
    return SettingsTable(columns=tuple(columns), rows=tuple(rows))


def read(text: str | bytes, base: GenerationSettings = BASE) -> SettingsTable:
    return read_csv(io.BytesIO(text.encode() if isinstance(text, str) else text), base=base)


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(TableError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


@effort(max_examples=200, deadline=None)
@given(a_table())
@example(SettingsTable(columns=("prompt",), rows=({"prompt": "'=1"}, {"prompt": '""'})))
@example(SettingsTable(columns=("prompt",), rows=({"prompt": ""}, {"prompt": " "})))
def test_a_table_that_is_written_is_read_back(table: SettingsTable) -> None:
    data = write_csv(table)
    back = read(data)
    assert (back.columns, back.rows) == (table.columns, table.rows)
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows[0] == list(table.columns)
    for cells, row in zip(rows[1:], table.rows, strict=True):
        for cell, (name, value) in zip(cells, row.items(), strict=True):
            if isinstance(value, bool):
                assert cell == str(value).lower()
            elif isinstance(value, int | float):
                assert float(cell) == value
            elif name in TEXTS and value.strip('"'):
                assert cell in (value, f"'{value}"), "texts as they are"
                assert not cell.startswith(("=", "+", "-", "@", "\t")), "no formula"
    sweep = Sweep(base=BASE, x=back.axis())
    distinct = list({tuple(row.items()): row for row in table.rows}.values())
    assert [cell.settings for cell in sweep.cells()] == [replace(BASE, **row) for row in distinct]
    assert table_in(back.axis()).rows == tuple(distinct)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_names_labels_separators_and_the_texts_of_spreadsheets(mark: str) -> None:
    lines = ["Steps,guidance-scale,PROMPT,exact_steps", '10.0,"7.5"," a, b\n""c""; d",TRUE', ",,,"]
    text = "\r\n".join(lines)
    if mark != ",":
        text = text.replace('10.0,"7.5",', '10.0,"7,5",').replace('",', f'"{mark}')
        text = text.replace(
            "Steps,guidance-scale,PROMPT,", mark.join(["Steps", "guidance-scale", "PROMPT", ""])
        ).replace("10.0,", f"10.0{mark}")
        text = text.replace(",,,", mark * 3)
    for data in (text.encode(), text.encode("utf-8-sig"), text.encode("utf-16")):
        table = read(data)
        assert table.columns == (
            "num_inference_steps",
            "guidance_scale",
            "prompt",
            "exact_steps",
        )
        assert table.rows == (
            {
                "num_inference_steps": 10,
                "guidance_scale": 7.5,
                "prompt": ' a, b\n"c"; d',
                "exact_steps": True,
            },
        )


def test_an_empty_cell_keeps_the_base_and_is_said_once() -> None:
    table = read('steps, negative prompt\n3,\n,""""""\n4,noise\n\n4,noise\n')
    assert table.rows == (
        {"num_inference_steps": 3},
        {"negative_prompt": ""},
        {"num_inference_steps": 4, "negative_prompt": "noise"},
        {"num_inference_steps": 4, "negative_prompt": "noise"},
    )
    assert table.notes == (
        "2 empty cells keep the value of the base settings",
        "row 6 is the same as row 4: it is one picture",
    )
    cells = Sweep(base=BASE, x=table.axis()).cells()
    assert [cell.settings.negative_prompt for cell in cells] == ["blurry", "", "noise"]


def test_everything_wrong_is_said_at_once_and_in_its_place() -> None:
    text = (
        "stepps,Steps,num_inference_steps,,width,scheduler\n"
        "1,x,2,3,100,Eulr\n"
        "1,2\n"
        "1,5000,,,128,euler,7\n"
        ",,,,\n"
        "1,1.5,,,64,Euler a\n"
    )
    assert problems(text) == [
        "row 1, stepps: is not a setting; did you mean Steps?",
        "row 1, num_inference_steps: is the same column as Steps",
        "row 1, column 4: has no name, and others after it have one",
        "row 2, Steps: 'x' is not a whole number",
        "row 2, Scheduler: 'Eulr' is unknown; did you mean 'Euler'?",
        "row 2, Width: 100 is not a multiple of 8 from 8 to 4096; the nearest is 96",
        "row 3: has 2 cells, and the header names 6 columns",
        "row 4: has 7 cells, and the header names 6 columns",
        "row 4, Steps: 5000 is outside 1 to 1000",
        "row 6, Steps: '1.5' is not a whole number",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the table: is empty"),
        ("\n \n", "the table: is empty"),
        (",,\n1,2,3", "the table: is empty"),
        ("steps,seed\n", "the table: has a header and no rows"),
        ("steps,seed\n,\n", "the table: has a header and no rows"),
        ("steps,x\n1,2", "row 1, x: is not a setting"),
        ("steps\n-1", "row 2, Steps: -1 is outside 1 to 1000"),
        ("seed\n-1", "row 2, Seed: is a random seed"),
        ("guidance_scale\nnan", "row 2, Guidance scale: 'nan' is not a number"),
        ("exact_steps\nyes", "row 2, Exact steps: 'yes' is neither true nor false"),
        ('prompt,seed\na,1\n"b,2\nc,3\n', "row 3: has a quote that is never closed"),
        ('prompt\n"a"b\n', "row 2: has text after a closing quote"),
        ("prompt\n" + "a" * 140_000, "row 2: has a cell of more than 131,072 characters"),
        ("prompt\n" + "a" * 2_000_000, "row 2: has a line of 1,000,000 characters or more"),
        ("prompt\n" + "a" * 20_001, "row 2, Prompt: has 20,001 characters"),
        (b"\x89PNG\r\n\x1a\n\0\0", f"the table: {NOT_TEXT}"),
        (b"PK\x03\x04\0\0\0", f"the table: {NOT_TEXT}"),
        ("prompt\ncafé".encode("latin-1"), f"the table: {NOT_TEXT}"),
        (b"\xff\xfes\0t", f"the table: {NOT_TEXT}"),
        ("solver_order,scheduler\n3,PNDM", "row 2"),
    ],
)
def test_a_table_that_cannot_be_used(text: str | bytes, reason: str) -> None:
    assert problems(text)[0].startswith(reason)


def test_of_a_huge_table_no_more_is_read_than_says_so() -> None:
    class Counting(io.BytesIO):
        taken = 0

        def read1(self, size: int | None = -1, /) -> bytes:
            data = super().read1(-1 if size is None else size)
            self.taken += len(data)
            return data

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    rows = [f"{seed},a picture of an apple" for seed in range(100_000)]
    file = Counting("\n".join(["seed,prompt", *rows]).encode())
    with pytest.raises(TableError) as caught:
        read_csv(file)
    assert [str(one) for one in caught.value.problems] == [
        "the table: has more than 1,000 rows: 1,000 are the most"
    ]
    assert 0 < file.taken < 100_000, "of three million bytes"
    fitting = read("\n".join(["seed,prompt", *rows[:MAX_ROWS]]) + "\n\n,\n")
    assert len(fitting.axis().values) == MAX_ROWS


def test_rows_of_an_editor_are_read_by_their_types_and_numbers() -> None:
    rows = [
        {"Steps": 3.0, "prompt": None, "exact_steps": True, "scheduler": "DDIM"},
        {"Steps": float("nan"), "prompt": None, "exact_steps": None, "scheduler": ""},
        {"Steps": 4, "prompt": write_cell(""), "exact_steps": False, "scheduler": None},
    ]
    table = read_rows(rows)
    assert table.columns == ("num_inference_steps", "prompt", "exact_steps", "scheduler")
    assert table.rows == (
        {"num_inference_steps": 3, "exact_steps": True, "scheduler": "DDIM"},
        {"num_inference_steps": 4, "prompt": "", "exact_steps": False},
    )
    with pytest.raises(TableError) as caught:
        read_rows([{"steps": 1.5, "promt": "a"}, {"steps": 0}], numbers=[4, 7])
    assert [str(problem) for problem in caught.value.problems] == [
        "promt: is not a setting; did you mean Prompt?",
        "row 4, Steps: '1.5' is not a whole number",
        "row 7, Steps: 0 is outside 1 to 1000",
    ]


def test_a_grid_is_a_table_of_its_cells() -> None:
    grid = Sweep(
        base=replace(BASE, scheduler="DDIM"),
        x=parse_axis("size", "64x64, 128x64"),
        y=parse_axis("prompt_search_replace", "red, blue"),
        z=replace(parse_axis("guidance_scale", "1, 2"), linked=parse_axis("eta", "0, 1")),
        new_seed="row",
    )
    table = table_of(grid, grid.cells())
    assert set(table.columns) == {"width", "height", "prompt", "guidance_scale", "eta", "seed"}
    again = Sweep(base=grid.base, x=read(write_csv(table), grid.base).axis())
    assert [cell.settings for cell in again.cells()] == [cell.settings for cell in grid.cells()]
    assert format_values(again.x.values if again.x else ()).count("seed=10") == 4
