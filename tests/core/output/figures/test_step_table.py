"""The table of every recorded number, and a figure as a page: read back as a reader would."""

from __future__ import annotations

import io
import re
from dataclasses import fields

import pandas
import pytest

from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import StepRecord
from core.output.figures.step_figures import STEP_FIGURES, step_figure
from core.output.figures.step_runs import colouring
from core.output.figures.step_table import (
    step_table,
    write_figure_page,
    write_rows_csv,
    write_step_csv,
    write_step_parquet,
)
from tests.core.output.figures.step_doubles import step_run

RUNS = [step_run("a", steps=3, guidance_scale=1.0), step_run("b", steps=5, prompt="=1+1")]


def read_csv(data: bytes) -> pandas.DataFrame:
    return pandas.read_csv(io.BytesIO(data), encoding="utf-8-sig")


def test_a_row_a_step_with_every_number_and_every_setting() -> None:
    table = step_table(RUNS)
    assert len(table) == 8
    for field in fields(StepRecord):
        name = f"{field.name}_0" if field.name.startswith("channel") else field.name
        assert name in table, name
    for field in fields(GenerationSettings):
        assert f"settings_{field.name}" in table
    second = table[table["digest"] == "b"]
    assert list(second["x0_rms"]) == [record.x0_rms for record in RUNS[1].records]
    assert list(second["channel_std_3"]) == [record.channel_std[3] for record in RUNS[1].records]


@pytest.mark.parametrize("write", [write_step_csv, write_step_parquet])
def test_both_files_read_back_to_the_last_digit(write: object) -> None:
    if write is write_step_csv:
        back = read_csv(write_step_csv(RUNS))
    else:
        back = pandas.read_parquet(io.BytesIO(write_step_parquet(RUNS)))
    for field in fields(StepRecord):
        if field.name.startswith("channel"):
            continue
        written = [getattr(record, field.name) for run in RUNS for record in run.records]
        found = [None if pandas.isna(value) else value for value in back[field.name]]
        assert found == written, field.name
    assert back["guidance_gap"].isna().sum() == 3, "without guidance a gap is missing, not zero"


def test_all_runs_without_guidance_still_make_a_parquet_file() -> None:
    back = pandas.read_parquet(io.BytesIO(write_step_parquet(RUNS[:1])))
    assert str(back["guidance_gap"].dtype) == "float64"


def test_a_prompt_is_no_formula_in_a_spreadsheet() -> None:
    assert set(read_csv(write_step_csv(RUNS))["settings_prompt"]) == {"a red apple", "'=1+1"}
    assert b"'=evil" in write_rows_csv([{"timetable": "=evil", "sigma": 1.0}])


def test_a_figures_page_works_offline() -> None:
    row = STEP_FIGURES["latent_rms"]
    figure = step_figure(RUNS, row.name, "step", colouring(RUNS))
    page = write_figure_page(figure, row).decode()
    assert f"<h1>{row.title}</h1>" in page
    assert "Ho et al. 2020" in page
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", page), "nothing is fetched"
    assert figure.layout.height != 520, "the figure on the page stays as it is"
