"""Numbers that are right, and files that hold them and the stored pictures, safely."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from core.exports.report import (
    QUANTITIES,
    ReportCell,
    cell_name,
    inlined_size,
    means,
    numbers,
    write_csv,
    write_html,
    write_html_zip,
    write_zip,
)
from core.output.numbers import metrics
from core.sweeps.axis import Axis
from core.sweeps.sweep import Sweep
from tests.core.output.sweep_doubles import BASE, grid_sweep

HOSTILE = '</script><script>document.title="broken"</script><img src=x onerror=alert(1)>"\'&'


def stored(sweep: Sweep, folder: Path, size: int = 16) -> list[ReportCell]:
    """Cells whose pictures are one grey each: 40 + 10 x + y."""
    cells: list[ReportCell] = []
    for cell in sweep.cells():
        digest = cell.settings.digest("model")
        path = folder / f"{digest}.png"
        grey = 40 + 10 * cell.x + cell.y
        Image.new("RGB", (size, size), (grey, grey, grey)).save(path)
        cells.append(
            ReportCell(
                x=cell.x,
                y=cell.y,
                z=cell.z,
                settings=cell.settings,
                digest=digest,
                image=path,
                known={
                    "seconds": 1.0 + cell.x,
                    "clip_score": 20.0 + cell.y,
                    "final_latent_rms": 0.5,
                },
            )
        )
    return cells


def test_numbers_compare_with_the_reference(tmp_path: Path) -> None:
    sweep = grid_sweep(3, 2)
    found = numbers(stored(sweep, tmp_path), reference=(1, 0, 0))
    by_place = {(cell.x, cell.y): cell for cell in found}
    assert by_place[1, 0].value("rmse") == 0
    assert by_place[1, 0].value("ssim") == 1
    assert by_place[0, 0].value("rmse") == pytest.approx(10)
    assert by_place[2, 1].value("rmse") == pytest.approx(11)
    assert all((cell.value("ssim") or 1) < 1 for cell in found if cell.value("rmse"))
    assert (by_place[2, 1].value("seconds"), by_place[2, 1].value("clip_score")) == (3.0, 21.0)


def test_what_cannot_be_measured_is_none_not_zero(tmp_path: Path) -> None:
    cells = stored(grid_sweep(5, 1), tmp_path)
    Image.new("RGB", (24, 16)).save(cells[1].image or "")
    (cells[2].image or Path()).unlink()
    (cells[3].image or Path()).write_bytes(b"\x89PNG\r\n\x1a\n cut")
    cells[4] = replace(cells[4], image=None, known={}, reason="failed")
    found = numbers(cells, reference=(0, 0, 0))
    assert [cell.value("rmse") for cell in found] == [0, None, None, None, None]
    assert [cell.value("ssim") for cell in found] == [1, None, None, None, None]
    assert found[4].value("seconds") is None
    for reference in (None, (4, 0, 0), (9, 9, 9)):
        assert all(cell.value("rmse") is None for cell in numbers(cells, reference))


def test_too_small_for_ssim_still_has_an_rmse(tmp_path: Path) -> None:
    found = numbers(stored(grid_sweep(2, 1), tmp_path, size=8), reference=(0, 0, 0))
    assert [cell.value("rmse") for cell in found] == [0, 10]
    assert [cell.value("ssim") for cell in found] == [None, None]


def test_equal_cells_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counting(a: Image.Image, b: Image.Image) -> float:
        calls.append(1)
        return metrics.rmse(a, b)

    counted = replace(QUANTITIES["rmse"], of_pair=counting)
    monkeypatch.setitem(cast(Any, QUANTITIES), "rmse", counted)
    cells = [replace(cell, digest="same") for cell in stored(grid_sweep(4, 1), tmp_path)]
    done: list[int] = []
    found = numbers(cells, (0, 0, 0), done.append)
    assert (len(calls), len(found), done) == (1, 4, [1, 2, 3, 4])


def test_means_leave_out_what_was_not_measured(tmp_path: Path) -> None:
    sweep = grid_sweep(3, 2, 2)
    cells = stored(sweep, tmp_path)
    cells[1] = replace(cells[1], known={**cells[1].known, "seconds": None})
    found = numbers(cells)
    assert means(sweep, found, "seconds").rows == (2.0, 2.0)
    assert means(sweep, found, "seconds").columns == (1.0, 2.0, 3.0)
    assert means(sweep, found, "seconds").page == pytest.approx((1 + 3 + 1 + 2 + 3) / 5)
    assert means(sweep, found, "clip_score", z=1).rows == (20.0, 21.0)
    assert means(sweep, found, "rmse").columns == (None, None, None)


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))


def test_csv_holds_every_cell_number_and_setting(tmp_path: Path) -> None:
    sweep = grid_sweep(3, 2)
    cells = stored(sweep, tmp_path)
    rows = rows_of(write_csv(sweep, cells, numbers(cells, (0, 0, 0))))
    assert len(rows) == 6
    last = rows[-1]
    assert (last["x"], last["y"], last["z"]) == ("2", "1", "0")
    assert (last["Guidance scale"], last["Seed"]) == ("3", "2")
    assert float(last["rmse"]) == 21
    assert (last["seconds"], last["digest"]) == ("3.0", cells[-1].digest)
    for name, value in cells[-1].settings.to_dict().items():
        assert last[name] == str(value), name


def test_the_words_of_cells_that_were_drawn_are_in_the_csv_and_on_the_page(tmp_path: Path) -> None:
    sweep = grid_sweep(2, 1)
    cells = stored(sweep, tmp_path)
    assert "drawn" not in rows_of(write_csv(sweep, cells))[0]
    cells = [replace(cells[0], drawn="owl, <b>"), cells[1]]
    assert [row["drawn"] for row in rows_of(write_csv(sweep, cells))] == ["owl, <b>", ""]
    page = Page(write_html(sweep, cells).decode())
    assert page.texts["p"].count("owl, <b>") == 1
    data = json.loads(page.texts["script"][0])
    assert data["cells"]["0-0-0"]["settings"][0] == ["Drawn", "owl, <b>"]
    assert "Drawn" not in dict(data["cells"]["1-0-0"]["settings"])


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_runs_no_text_of_the_csv(start: str, tmp_path: Path) -> None:
    attack = start + 'HYPERLINK("http://example.org","größer")'
    sweep = Sweep(base=BASE, x=Axis(name="prompt", values=(attack, "fine")))
    cells = stored(sweep, tmp_path)
    cells[1] = replace(cells[1], image=None, reason=attack, known={"final_latent_rms": -0.5})
    data = write_csv(sweep, cells)
    rows = rows_of(data)
    assert rows[0]["prompt"] == rows[1]["reason"] == "'" + attack
    assert rows[1]["final_latent_rms"] == "-0.5"  # a number is no formula
    for row in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")):
        numbers = ("-0.5", "-1.0")  # the last is eta, as the scheduler has it
        assert not any(value.startswith(start) and value not in numbers for value in row)


def test_the_zip_holds_the_stored_files_byte_for_byte(tmp_path: Path) -> None:
    sweep = grid_sweep(3, 1)
    cells = stored(sweep, tmp_path)
    (cells[1].image or Path()).unlink()
    cells[2] = replace(cells[2], image=None, reason="Cancelled")
    data = write_zip(sweep, cells)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        name = f"cells/0-0-0-{cells[0].digest[:12]}.png"
        assert set(archive.namelist()) == {name, "cells.csv", "sweep.json"}
        assert archive.read(name) == (cells[0].image or Path()).read_bytes()
        rows = rows_of(archive.read("cells.csv"))
        assert [row["file"] for row in rows] == [cell_name(cells[0]), "", ""]
        assert "missing" in rows[1]["reason"]
        assert rows[2]["reason"] == "Cancelled"
        assert Sweep.from_dict(json.loads(archive.read("sweep.json"))) == sweep
    assert data == write_zip(sweep, cells)  # no date in it


class Page(HTMLParser):
    """Every tag with its attributes, and the text of the page's data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open, []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_holds_every_picture_and_number(tmp_path: Path) -> None:
    sweep = grid_sweep(3, 2, 2)
    cells = stored(sweep, tmp_path)
    cells[4] = replace(cells[4], image=None, reason="Not finite at step 3")
    found = numbers(cells, (0, 0, 0))
    page = Page(write_html(sweep, cells, found, title="Guidance", reference=(0, 0, 0)).decode())
    sources = {
        image["id"]: base64.b64decode((image["src"] or "").partition("base64,")[2])
        for image in page.all("img")
        if image.get("src")
    }
    assert len(sources) == 11
    for cell in cells:
        if cell.image is not None:
            assert sources[f"p-{cell.x}-{cell.y}-{cell.z}"] == cell.image.read_bytes()
    data = json.loads(page.texts["script"][0])
    assert data["cells"]["1-1-0"]["reason"] == "Not finite at step 3"
    assert data["cells"]["2-1-1"]["numbers"]["rmse"] == pytest.approx(21)
    assert data["means"]["seconds"][1]["columns"] == [1.0, 2.0, 3.0]
    assert set(data["means"]) == set(QUANTITIES)
    assert ["Seed", "2"] in data["cells"]["0-1-0"]["settings"]
    assert {side: axis["values"] for side, axis in data["axes"].items()} == {
        "x": ["1", "2", "3"],
        "y": ["1", "2"],
        "z": ["5", "6"],
    }
    assert "Guidance scale 1, Seed 1, Steps 5" in "".join(page.texts["dd"])  # the reference


def test_the_page_needs_nothing_and_lets_nothing_else_run(tmp_path: Path) -> None:
    sweep = Sweep(
        base=replace(BASE, negative_prompt=HOSTILE), x=Axis(name="prompt", values=(HOSTILE,))
    )
    cells = [replace(cell, reason=HOSTILE, image=None) for cell in stored(sweep, tmp_path)]
    text = write_html(sweep, cells, title=HOSTILE).decode()
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("script") == 2  # the data and ours
    assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    for _, attributes in page.tags:
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert page.texts["h1"][0] == HOSTILE
    (policy,) = (meta["content"] or "" for meta in page.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        content = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)[-1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy, tag
    assert "http:" not in text
    assert "https:" not in text


def test_large_pictures_lie_beside_the_page(tmp_path: Path) -> None:
    sweep = grid_sweep(3, 1)
    cells = stored(sweep, tmp_path)
    cells[2] = replace(cells[2], digest=cells[1].digest, image=cells[1].image)
    assert inlined_size(cells) == sum((c.image or Path()).stat().st_size for c in cells)
    with zipfile.ZipFile(io.BytesIO(write_html_zip(sweep, cells))) as archive:
        page = Page(archive.read("index.html").decode())
        sources = [image["src"] or "" for image in page.all("img") if image.get("src")]
        assert len(sources) == 3
        assert len(set(sources)) == 2  # equal cells share a file
        for source, cell in zip(sources, cells, strict=True):
            assert archive.read(source) == (cell.image or Path()).read_bytes()


def test_a_sweep_without_axes_or_cells_is_a_page_too() -> None:
    page = Page(write_html(Sweep(base=BASE), []).decode())
    data = json.loads(page.texts["script"][0])
    assert data["cells"]["0-0-0"]["reason"] == "Not computed"
    assert np.all([mean[0]["page"] is None for mean in data["means"].values()])
