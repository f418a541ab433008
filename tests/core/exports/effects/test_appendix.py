"""Effects as an appendix: in the offline page, on pages of the PDF, and on the command line."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdfium2
import pypdfium2.raw
import pytest

from core.__main__ import main
from core.exports.effects.appendix import COLUMNS, appendix_of
from core.exports.effects.found import find_effects, stored_grid
from core.exports.formats import FORMATS, Part
from core.exports.sweep import SweepExport
from core.output.effects.words import difference_sentence, methods, overall
from core.output.sheet.sheet import SheetOptions, read_sweep
from core.runs.store.store import Store
from core.sweeps.sweep import Sweep
from tests.core.exports.effects.doubles import Stored, guidance_by_seed, put_sweep
from tests.core.exports.effects.test_found import made, noisy


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def export_of(stored: Stored, *, with_effects: bool = True) -> SweepExport:
    return SweepExport(
        store=stored.store,
        sweep=stored.sweep,
        plan=stored.plan,
        reasons=stored.reasons,
        options=SheetOptions(),
        with_effects=with_effects,
    )


def pdf_words(data: bytes) -> list[str]:
    """The text of each page, its lines joined."""
    return [
        " ".join(page.get_textpage().get_text_bounded().split())
        for page in pypdfium2.PdfDocument(data)
    ]


def test_it_says_and_tabulates_what_was_found() -> None:
    effects = find_effects(made(noisy(1.0)))
    appendix = appendix_of(effects)
    (section,) = appendix.sections
    assert section.sentences[0] == difference_sentence(effects, overall(effects)[0])
    assert len(section.figures) == 2, "a curve and the intervals"
    assert appendix.methods == methods(effects)
    assert len(appendix.rows) == 3
    assert {len(row) for row in appendix.rows} == {len(COLUMNS)}
    one = effects.differences[0]
    assert one.interval is not None
    assert appendix.rows[0] == (
        "CLIP score",
        "Guidance scale 3 → 7",
        f"{one.mean:.1f}",
        f"{one.interval.low:.1f} to {one.interval.high:.1f}",
        f"{one.agree} of 8",
        f"{one.p_holm:.3f}",
    )
    assert appendix.note == ""


def test_one_seed_says_what_happened_once_and_has_no_intervals() -> None:
    appendix = appendix_of(find_effects(made(np.array([[20.0, 21.0]]))))
    assert "what happened once" in appendix.note
    assert [len(section.figures) for section in appendix.sections] == [1]
    assert appendix.rows[0][3:] == ("", "1 of 1", "")


def test_the_pdf_has_it_after_the_grid_as_letters_and_vectors(store: Store) -> None:
    export = export_of(put_sweep(store, guidance_by_seed("3, 7", "1, 2, 3")))
    data = FORMATS["pdf"].write(export, Part())
    plain = FORMATS["pdf"].write(replace(export, with_effects=False), Part())
    before, after = pdf_words(plain), pdf_words(data)
    assert after[: len(before)] == before
    said = " ".join(after[len(before) :])
    measured = stored_grid(store, export.sweep, export.plan, {}, against="baseline")
    effects = find_effects(measured)
    for one in overall(effects):
        assert difference_sentence(effects, one).split(" (")[0] in said
    assert methods(effects) in said
    assert "Difference in CLIP score" in said
    page = pypdfium2.PdfDocument(data)[len(before)]
    kinds = {one.type for one in page.get_objects()}
    assert pypdfium2.raw.FPDF_PAGEOBJ_PATH in kinds
    assert pypdfium2.raw.FPDF_PAGEOBJ_IMAGE not in kinds
    assert read_sweep(data) == export.sweep


def test_the_page_has_it_below_the_grid_and_runs_nothing_more(store: Store) -> None:
    export = export_of(put_sweep(store, guidance_by_seed("3, 7", "1, 2, 3")))
    text = export.page().decode()
    plain = replace(export, with_effects=False).page().decode()
    assert 'id="effects"' in text
    assert 'id="effects"' not in plain
    assert text.index("<svg") > text.index('id="grid"')
    assert "Pictures were made with the same 3 seeds" in text
    assert re.findall(r"script-src [^;]*", text) == re.findall(r"script-src [^;]*", plain)
    assert text.count("<script") == plain.count("<script")
    assert " style=" not in text.split('id="effects"')[1].split("</section>")[0]


@pytest.mark.parametrize(
    "sweep",
    [
        guidance_by_seed("3", "1, 2").swapped(),
        replace(guidance_by_seed("3, 7", "1, 2"), x=None),
        guidance_by_seed("3, 7", ""),
    ],
)
def test_every_sweep_can_be_asked_for_it(store: Store, sweep: Sweep) -> None:
    export = export_of(put_sweep(store, sweep))
    has_any = [axis.name for axis in sweep.axes().values()] != ["seed"]
    assert ('id="effects"' in export.page().decode()) == has_any
    assert FORMATS["pdf"].write(export, Part())


def test_a_sweep_without_a_picture_has_none(store: Store) -> None:
    stored = put_sweep(store, guidance_by_seed("3, 7", "1"), without=(0, 1))
    assert 'id="effects"' not in export_of(stored).page().decode()


def test_the_command_line_adds_it(tmp_path: Path) -> None:
    from core.commands.specs import find_sweep, plan_of
    from core.diffusion.models.load import describe
    from tests.core.runs.doubles import generation

    spec, data = tmp_path / "spec.toml", tmp_path / "data"
    spec.write_text(
        '[base]\nprompt = "a"\nseed = 1\n[x]\naxis = "guidance_scale"\nvalues = "3, 7"\n'
    )
    store = Store(data)
    for cell in plan_of(find_sweep(str(spec), store), store).cells:
        store.put(generation(cell.settings), describe("bundled"), clip_score=20.0)
    page, other = tmp_path / "a.html", tmp_path / "b.html"
    asked = ["export", str(spec), "--data", str(data), "--out"]
    assert main([*asked, str(page), "--effects"]) == 0
    assert main([*asked, str(other)]) == 0
    assert "what happened once" in page.read_text()
    assert "what happened once" not in other.read_text()
