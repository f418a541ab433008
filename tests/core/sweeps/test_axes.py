"""The table of axes, row by row."""

from __future__ import annotations

import re

import pytest

from core.diffusion.settings import MAX_SEED
from core.sweeps.axes import AXES, AxisRow
from core.sweeps.values import parse_values


@pytest.mark.parametrize("row", AXES.values(), ids=AXES)
def test_what_an_axis_says_of_itself_holds_for_its_examples(row: AxisRow) -> None:
    words = row.about()
    examples = parse_values(row.examples, row.kind)
    assert examples
    if row.kind is not str:
        said = re.search(r"From (-?\d+) to (\d+)", words)
        assert said is not None, "a number without bounds"
        assert all(int(said[1]) <= value <= int(said[2]) for value in examples)
    if row.choices:
        assert all(str(value) in words for value in examples)
    assert re.search(r"Cost: \w[^.]*\.$", words)


def test_every_axis_says_what_it_takes_and_costs() -> None:
    assert "From 0 to 100, by 0.5 for instance." in AXES["guidance_scale"].about()
    assert f"From 0 to {MAX_SEED}." in AXES["seed"].about()
    assert "One of DDIM, PNDM" in AXES["scheduler"].about()
    assert "From -10 to 10, by 0.1 for instance." in AXES["lora_weight"].about()
