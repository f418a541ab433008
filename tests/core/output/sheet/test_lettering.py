"""Lettering that never cuts a word, and a font that has more than ASCII."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from core.output.sheet.lettering import BOLD, Face, clean

LONG = "a portrait of a Donaudampfschifffahrtsgesellschaftskapitän, oil on canvas"


def drawn(text: str, face: Face) -> np.ndarray:
    canvas = Image.new("RGB", (400, 60), "white")
    face.draw(canvas, 20, 10, text, (0, 0, 0))
    return np.asarray(canvas)


@pytest.mark.parametrize("letter", "äöüßéñ→×≤σЖ…—")
def test_the_font_has_what_a_pinned_dependency_promises(letter: str) -> None:
    face = Face(20)
    assert not np.array_equal(drawn(letter, face), drawn("\ufffe", face)), letter


def test_a_letter_that_no_font_has_is_drawn_as_a_box_not_left_out() -> None:
    assert drawn("\U000e0fff", Face(20)).min() == 255  # control characters are not drawn
    assert drawn("𒀀", Face(20)).min() < 128


@pytest.mark.parametrize("width", [30, 80, 200, 1000])
def test_wrapped_lines_fit_and_lose_no_letter(width: int) -> None:
    face = Face(16, BOLD)
    lines = face.wrap(LONG, width)
    assert all(face.width(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == LONG.replace(" ", "")


def test_words_are_broken_only_where_they_are_wider_than_the_line() -> None:
    face = Face(16)
    assert face.wrap("one two three", face.width("one two")) == ["one two", "three"]
    assert face.wrap("W" * 3, 1) == ["W", "W", "W"]


def test_the_measured_width_is_the_drawn_one() -> None:
    face = Face(24)
    columns = np.flatnonzero(drawn("HHHHHHHH", face).min(axis=(0, 2)) < 128)
    assert columns[-1] - columns[0] == pytest.approx(face.width("HHHHHHHH"), abs=6)


def test_text_that_cannot_be_drawn_is_made_drawable() -> None:
    assert clean(" two\nlines\tand \x00\ud800 ") == "two lines and ?"
