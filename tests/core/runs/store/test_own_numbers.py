"""Numbers that a person gave pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.runs.store.measured.own import OwnNumbers
from core.runs.store.store import Store, StoreError
from tests.core.runs.doubles import generation, info, settings


def test_they_are_kept_by_name_and_taken_back(tmp_path: Path) -> None:
    own = OwnNumbers(Store(tmp_path).database)
    own.keep("  My   rating ", {"a": 3.0, "b": 4.5})
    own.keep("Hands", {"a": 5.0})
    own.keep("My rating", {"a": None, "c": 1.0})
    again = OwnNumbers(Store(tmp_path).database)
    assert again.of(["a", "b", "c"]) == {"Hands": {"a": 5.0}, "My rating": {"b": 4.5, "c": 1.0}}
    assert list(again.of("abc")) == ["Hands", "My rating"]
    assert again.of(["b"]) == {"My rating": {"b": 4.5}}


@pytest.mark.parametrize(("name", "value"), [("", 1.0), ("n" * 41, 1.0), ("a", float("nan"))])
def test_what_is_no_name_or_number_is_refused(tmp_path: Path, name: str, value: float) -> None:
    own = OwnNumbers(Store(tmp_path).database)
    with pytest.raises(StoreError):
        own.keep(name, {"a": value})
    assert own.of(["a"]) == {}


def test_they_outlive_the_picture(tmp_path: Path) -> None:
    store = Store(tmp_path)
    image = store.put(generation(settings(1)), info())
    OwnNumbers(store.database).keep("Rating", {image.digest: 2.0})
    store.delete([image.digest])
    assert OwnNumbers(store.database).of([image.digest]) == {"Rating": {image.digest: 2.0}}
