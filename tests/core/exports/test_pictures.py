"""Stored pictures as one archive: their own bytes, and a table that pandas reads."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pandas
import pytest

from core.exports.pictures import write_pictures_zip
from core.runs.store.opinions.ratings import Rating
from core.runs.store.store import Store
from tests.core.runs.doubles import generation, info, settings


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_the_archive_holds_the_stored_bytes_and_every_setting(store: Store) -> None:
    wanted = [settings(1, prompt="=1+1"), settings(2, guidance_scale=2.5)]
    images = [store.put(generation(one, record="none"), info()) for one in wanted]
    rated = {images[1].digest: Rating(stars=3, is_favourite=True)}
    archive = zipfile.ZipFile(io.BytesIO(write_pictures_zip(images, rated)))
    for image in images:
        assert archive.read(f"lightbox-{image.digest[:12]}.png") == image.path.read_bytes()
    table = pandas.read_csv(io.BytesIO(archive.read("settings.csv")))
    assert list(table["digest"]) == [image.digest for image in images]
    assert list(table["guidance_scale"]) == [one.guidance_scale for one in wanted]
    assert list(table["stars"]) == [0, 3]
    assert list(table["favourite"]) == [False, True]
    assert set(wanted[0].to_dict()) <= set(table.columns)
    assert table["prompt"][0] == "'=1+1", "no spreadsheet computes a prompt"
    assert set(archive.namelist()) == {*table["file"], "settings.csv"}


def test_a_file_that_is_gone_is_a_row_without_a_file(store: Store) -> None:
    kept, gone = (store.put(generation(settings(n), record="none"), info()) for n in (1, 2))
    gone.path.unlink()
    archive = zipfile.ZipFile(io.BytesIO(write_pictures_zip([kept, gone])))
    table = pandas.read_csv(io.BytesIO(archive.read("settings.csv")), keep_default_na=False)
    assert list(table["file"]) == [f"lightbox-{kept.digest[:12]}.png", ""]
    assert archive.namelist() == [f"lightbox-{kept.digest[:12]}.png", "settings.csv"]
