"""docs/settings.md is the table of settings, and says all that a row says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.__main__ import main
from core.diffusion.recipe.settings_table import SETTINGS
from core.sweeps.axes import AXES

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "settings.md"


def test_the_page_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m core settings > docs/settings.md` writes it anew."""
    assert main(["settings"]) == 0
    assert capsys.readouterr().out == PAGE.read_text()


def test_every_setting_and_axis_is_in_it() -> None:
    text = PAGE.read_text()
    for row in SETTINGS.values():
        section = text.split(f"\n### {row.label}\n", 1)[1].split("\n##")[0]
        assert f"- name: `{row.name}`" in section
        assert row.help in section
        for axis in (axis for axis in AXES.values() if axis.field == row.name):
            assert f"- axis {axis.label}: `{axis.examples}`" in section


def test_a_reader_that_stops_early_is_no_fault() -> None:
    command = f"{sys.executable} -m core settings | head -n 1"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("# Settings\n", "")
