"""Figures whose every point is the cell's number, at the place of its values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.output.figures.figures import axis_figure
from core.output.numbers.cell_numbers import CellNumbers
from core.output.numbers.quantities import QUANTITIES
from core.sweeps.axis import Axis, parse_axis
from core.sweeps.sweep import Sweep
from tests.core.output.sweep_doubles import BASE, grid_sweep


def measured(sweep: Sweep) -> list[CellNumbers]:
    return [
        CellNumbers(
            x=cell.x,
            y=cell.y,
            z=cell.z,
            digest="",
            settings=cell.settings,
            values={
                "seconds": 10.0 * cell.x + cell.y + 100 * cell.z,
                "rmse": None if cell.x == 1 else 1.0,
            },
        )
        for cell in sweep.cells()
    ]


def test_two_axes_are_a_heat_map_of_their_page() -> None:
    sweep = grid_sweep(3, 2, 2)
    (heat,) = axis_figure(sweep, measured(sweep), "seconds", z=1).data
    assert heat.type == "heatmap"
    assert (list(heat.x), list(heat.y)) == (["1", "2", "3"], ["1", "2"])
    assert [list(row) for row in heat.z] == [[100, 110, 120], [101, 111, 121]]
    assert heat.text[1][2] == "121.00"


def test_rows_of_a_heat_map_stand_as_in_the_grid() -> None:
    sweep = grid_sweep(3, 2)
    layout: Any = axis_figure(sweep, measured(sweep), "seconds").layout
    assert layout.yaxis.autorange == "reversed"
    assert (layout.xaxis.title.text, layout.yaxis.title.text) == ("Guidance scale", "Seed")


def test_lines_have_a_line_a_row() -> None:
    sweep = grid_sweep(3, 2)
    lines = axis_figure(sweep, measured(sweep), "seconds", kind="lines").data
    assert [(line.name, list(line.y)) for line in lines] == [("1", [0, 10, 20]), ("2", [1, 11, 21])]


@pytest.mark.parametrize("side", ["x", "y"])
def test_one_axis_is_one_line_with_true_distances(side: str) -> None:
    sweep = replace(Sweep(base=BASE), **{side: parse_axis("guidance_scale", "8, 1, 2.5")})
    (line,) = axis_figure(sweep, measured(sweep), "seconds").data
    assert list(line.x) == [1.0, 2.5, 8.0]
    assert list(line.y) == ([10, 20, 0] if side == "x" else [1, 2, 0])


@pytest.mark.parametrize(
    "axis",
    [
        parse_axis("scheduler", "Euler, DDIM"),
        parse_axis("seed", "900, 3"),
        replace(parse_axis("num_inference_steps", "9, 5"), linked=parse_axis("seed", "1, 2")),
    ],
    ids=lambda axis: axis.name,
)
def test_what_has_no_distance_keeps_its_order(axis: Axis) -> None:
    sweep = Sweep(base=BASE, x=axis)
    figure = axis_figure(sweep, measured(sweep), "seconds")
    assert list(figure.data[0].x) == [axis.value_label(0), axis.value_label(1)]
    assert list(figure.data[0].y) == [0, 10]
    assert figure.layout.xaxis.type == "category"


def test_linked_values_that_repeat_keep_their_places() -> None:
    twice = Axis(name="guidance_scale", values=(4.0, 4.0), linked=Axis(name="seed", values=(1, 1)))
    sweep = Sweep(base=BASE, x=twice, y=parse_axis("num_inference_steps", "5, 6"))
    (heat,) = axis_figure(sweep, measured(sweep), "seconds").data
    assert len(set(heat.x)) == 2


def test_prompts_are_words_and_keep_their_places() -> None:
    long = "a red apple on a blue background, " * 3
    prompts = Axis(name="prompt", values=("<a href='x'>b</a>", long + "1", long + "2"))
    sweep = Sweep(base=BASE, x=prompts, y=parse_axis("seed", "1, 2"))
    (heat,) = axis_figure(sweep, measured(sweep), "seconds").data
    assert heat.x[0] == "&lt;a href='x'&gt;b&lt;/a&gt;"
    assert len(set(heat.x)) == 3
    assert max(map(len, heat.x)) < 60


def test_a_cell_without_the_quantity_is_a_gap() -> None:
    sweep = grid_sweep(3, 1)
    (line,) = axis_figure(sweep, measured(sweep), "rmse").data
    assert list(line.y) == [1.0, None, 1.0]
    assert line.connectgaps is False


@pytest.mark.parametrize("name", QUANTITIES)
@pytest.mark.parametrize("sweep", [grid_sweep(1, 1), grid_sweep(2, 2), grid_sweep(1, 1, 2)])
def test_every_quantity_of_every_shape_has_a_figure(name: str, sweep: Sweep) -> None:
    figure = axis_figure(sweep, measured(sweep), name)
    assert len(figure.data) == 1
    assert figure.to_json()
