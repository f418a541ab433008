"""Large files are read once, and again when they change; nothing that is odd there is believed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from core.diffusion.models.files import hashes
from core.diffusion.models.files.hashes import file_sha256


@pytest.fixture(autouse=True)
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read; a book of its own, and kilobytes are large."""
    found: list[str] = []
    read = hashes._read

    def counted(file: Path) -> str:
        found.append(file.name)
        return read(file)

    monkeypatch.setattr(hashes, "_read", counted)
    monkeypatch.setattr(hashes, "LARGE", 1000)
    monkeypatch.setattr(hashes, "_book", lambda: tmp_path / "cache" / "hashes.json")
    hashes._sha256.cache_clear()
    return found


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights" * 1000)
    return file


def restart() -> None:
    """Another process begins with the book alone."""
    hashes._sha256.cache_clear()


def test_a_large_file_is_read_once_for_all_processes(model: Path, reads: list[str]) -> None:
    wanted = hashlib.sha256(b"weights" * 1000).hexdigest()
    for _ in range(3):
        assert file_sha256(model) == wanted
        restart()
    assert reads == ["model.safetensors"]


def test_a_small_one_is_not_remembered(tmp_path: Path, reads: list[str]) -> None:
    small = tmp_path / "config.json"
    small.write_text("{}")
    for _ in range(2):
        assert file_sha256(small) == hashlib.sha256(b"{}").hexdigest()
        restart()
    assert len(reads) == 2
    assert not hashes._book().exists()


@pytest.mark.parametrize("change", ["content", "time"])
def test_what_has_changed_is_read_again(model: Path, reads: list[str], change: str) -> None:
    file_sha256(model)
    if change == "content":
        model.write_bytes(b"other weights" * 1000)
    else:
        os.utime(model, ns=(1, 1))
    restart()
    assert file_sha256(model) == hashlib.sha256(model.read_bytes()).hexdigest()
    assert len(reads) == 2


def test_a_copied_file_under_the_same_name_is_not_believed_while_it_grows(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = hashes._read

    def growing(file: Path) -> str:
        found = read(file)
        with file.open("ab") as stream:
            stream.write(b"more")
        return found

    monkeypatch.setattr(hashes, "_read", growing)
    file_sha256(model)
    assert not hashes._book().exists()


@pytest.mark.parametrize(
    "book",
    ["", "[]", '{"%s": 5}', '{"%s": [1, 2, "zz"]}', '{"%s": [%d, %d, "../../etc"]}', "\x00\xff"],
)
def test_a_broken_book_is_no_obstacle(model: Path, reads: list[str], book: str) -> None:
    state = model.stat()
    if "%d" in book:
        book %= (model, state.st_size, state.st_mtime_ns)
    elif "%s" in book:
        book %= model
    hashes._book().parent.mkdir()
    hashes._book().write_text(book, encoding="latin-1")
    assert file_sha256(model) == hashlib.sha256(b"weights" * 1000).hexdigest()
    assert len(reads) == 1
    assert list(json.loads(hashes._book().read_text())) == [str(model)]


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setattr(hashes, "_book", lambda: tmp_path / "a file" / "hashes.json")
    assert file_sha256(model) == hashlib.sha256(b"weights" * 1000).hexdigest()


def test_files_that_are_gone_are_forgotten(model: Path, tmp_path: Path) -> None:
    file_sha256(model)
    other = tmp_path / "other.safetensors"
    model.rename(other)
    restart()
    file_sha256(other)
    assert list(json.loads(hashes._book().read_text())) == [str(other)]


def test_a_file_of_the_hubs_cache_is_called_by_its_hash(tmp_path: Path, reads: list[str]) -> None:
    blob = tmp_path / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    blob.write_bytes(b"weights")
    link = tmp_path / "model.safetensors"
    link.symlink_to(blob)
    assert file_sha256(link) == "ab" * 32
    assert reads == []
