"""Lettering that never cuts a word, and a font that has more than ASCII."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from PIL import Image, ImageFont

from core.output.sheet import lettering, system_fonts
from core.output.sheet.lettering import (
    BOLD,
    FONT_FILES,
    FONTS,
    Face,
    forget_fonts,
    missing_letters,
    missing_note,
)
from core.output.texts.one_line import clean
from tests.contracts.sources import ROOT
from tests.core.output.sheet.font_doubles import write_font

OURS = "äöüßéñŁőşΑΩαβγδωήЖукяёЇґѣ→←×≤≥σ…—²½€"
LONG = "a portrait of a Donaudampfschifffahrtsgesellschaftskapitän, oil on canvas"


def drawn(text: str, face: Face) -> np.ndarray:
    canvas = Image.new("RGB", (400, 60), "white")
    face.draw(canvas, 20, 10, text, (0, 0, 0))
    return np.asarray(canvas)


@pytest.fixture
def no_system_fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A computer whose only font folder is the one given, empty at first."""
    folder = tmp_path / "fonts"
    monkeypatch.setattr(system_fonts, "folders", lambda: (folder,))
    monkeypatch.setattr(system_fonts, "_listed_by_fontconfig", list)
    forget_fonts()
    yield folder
    forget_fonts()


@pytest.mark.parametrize("weight", FONT_FILES)
def test_the_apps_own_font_has_latin_greek_and_cyrillic(weight: int) -> None:
    """Its cmap has every letter, and what is drawn is not the box for a missing one."""
    file = FONT_FILES[weight]
    listed = TTFont(file).getBestCmap()
    font = ImageFont.truetype(file, 20)
    for letter in OURS:
        assert listed.get(ord(letter), ".notdef") != ".notdef", letter
        assert bytes(font.getmask(letter)) != bytes(font.getmask("\ufffe")), letter
    assert missing_letters([OURS]) == ""


def test_the_font_and_its_licence_are_in_the_repository() -> None:
    for file in FONT_FILES.values():
        assert ROOT in file.parents
        assert file.stat().st_size < 500_000
        licence = TTFont(file)["name"].getDebugName(13)
        assert "Open Font License, Version 1.1" in licence
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FONTS / "OFL.txt").read_text()


def test_no_letter_comes_from_streamlits_files() -> None:
    assert "streamlit" not in Path(lettering.__file__).read_text()


def test_a_letter_that_no_font_has_is_a_box_and_is_named(no_system_fonts: Path) -> None:
    assert drawn("\U000e0fff", Face(20)).min() == 255  # control characters are not drawn
    assert drawn("日", Face(20)).min() < 128
    assert np.array_equal(drawn("日", Face(20)), drawn("本", Face(20)))
    assert missing_letters(["a 日本", "日"]) == "日本"
    note = missing_note(["日" + "本"])
    assert "日 (cjk unified ideograph-65e5), 本" in note
    assert missing_note(["Ωmega, Жук"]) == ""
    many = missing_note(["".join(chr(0x4E00 + n) for n in range(20))])
    assert "and 8 more" in many


def test_a_font_of_this_computer_draws_what_ours_lacks(no_system_fonts: Path) -> None:
    write_font(no_system_fonts / "deep" / "Some-Regular.ttf", "日本")
    write_font(no_system_fonts / "Other.ttf", "語😀")
    (no_system_fonts / "broken.ttf").write_bytes(b"\x00\x01\x00\x00 no font at all")
    (no_system_fonts / "cut.ttc").write_bytes(b"ttcf")
    assert missing_letters(["日本語😀 apple 中"]) == "中"
    assert not np.array_equal(drawn("日", Face(20)), drawn("本", Face(20)))
    assert not np.array_equal(drawn("日", Face(20)), drawn("中", Face(20)))
    assert not np.array_equal(drawn("😀", Face(20)), drawn("中", Face(20)))
    face = Face(24)  # each of these letters is 0.9 em wide
    assert face.width("日本") == pytest.approx(2 * 0.9 * 24, abs=1)
    assert face.width("a日b") == pytest.approx(face.width("ab") + 0.9 * 24, abs=1)


def test_preferred_fonts_come_first(no_system_fonts: Path) -> None:
    for name in ("Aaa.ttf", "NotoSansCJK-Regular.ttf", "Zzz-Regular.ttf"):
        write_font(no_system_fonts / name, "日")
    found = [path.name for path in system_fonts.fonts_with("日")]
    assert found == ["NotoSansCJK-Regular.ttf", "Zzz-Regular.ttf", "Aaa.ttf"]
    assert list(system_fonts.fonts_with("月")) == []


@pytest.mark.parametrize("file", FONT_FILES.values(), ids=lambda file: file.name)
def test_the_letters_of_a_font_are_those_that_fonttools_finds(
    file: Path, no_system_fonts: Path
) -> None:
    no_system_fonts.mkdir()
    copy = no_system_fonts / file.name
    copy.write_bytes(file.read_bytes())
    listed = TTFont(file).getBestCmap()
    assert all(copy in system_fonts.fonts_with(chr(code)) for code in listed)
    gaps = [code for code in range(0x20, 0x3000) if code not in listed]
    wrong = [code for code in gaps if copy in system_fonts.fonts_with(chr(code))]
    assert wrong == []


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
