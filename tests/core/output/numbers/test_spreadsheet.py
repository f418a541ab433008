"""Texts that a spreadsheet would run are quoted, and numbers stay numbers."""

from __future__ import annotations

import pytest

from core.output.numbers.spreadsheet import defused


@pytest.mark.parametrize("text", ["-0.5", "+1", "-1e-3", "-.5", "-3."])
def test_a_number_written_as_text_is_a_number(text: str) -> None:
    assert defused(text) == text


@pytest.mark.parametrize("text", ["-1+1", "=1", "@x", "+cmd", "-", "-0.5=", "-2 apples"])
def test_what_could_be_a_formula_is_quoted(text: str) -> None:
    assert defused(text) == "'" + text
