"""The table of axes, row by row."""

from __future__ import annotations

from core.diffusion.settings import MAX_SEED
from core.sweeps.axes import AXES


def test_every_axis_says_what_it_takes_and_costs() -> None:
    for row in AXES.values():
        assert row.about().endswith(f"Cost: {row.cost}."), row.name
    assert "From 0 to 100, by 0.5 for instance." in AXES["guidance_scale"].about()
    assert f"From 0 to {MAX_SEED}." in AXES["seed"].about()
    assert "One of DDIM, PNDM" in AXES["scheduler"].about()
