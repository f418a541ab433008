from dataclasses import replace
from pathlib import Path

import pytest

from core.diffusion.settings import GenerationSettings
from core.runs.store.store import Store, StoreError
from core.sweeps.axis import parse_axis
from core.sweeps.sweep import Sweep

SWEEP = Sweep(
    base=GenerationSettings(prompt="a red apple"),
    x=parse_axis("guidance_scale", "1-3"),
    y=parse_axis("prompt_search_replace", '"red", "a, b"'),
    new_seed="row",
)


def test_sweeps_are_kept_by_name_and_survive_a_restart(tmp_path: Path) -> None:
    Store(tmp_path).save_sweep("  Guidance   by word ", SWEEP)
    saved = Store(tmp_path).sweeps()
    assert [(one.name, one.sweep) for one in saved] == [("Guidance by word", SWEEP)]


def test_saving_again_replaces_and_comes_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save_sweep("a", SWEEP)
    store.save_sweep("b", SWEEP)
    other = replace(SWEEP, y=None)
    store.save_sweep("a", other)
    assert [(one.name, one.sweep) for one in store.sweeps()] == [("a", other), ("b", SWEEP)]


def test_deleting_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save_sweep("a", SWEEP)
    assert store.delete_sweep("a")
    assert not store.delete_sweep("a")
    assert store.sweeps() == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 81])
def test_a_name_is_asked_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="1 to 80 characters"):
        Store(tmp_path).save_sweep(name, SWEEP)


def test_one_unreadable_sweep_does_not_hide_the_others(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save_sweep("good", SWEEP)
    store.save_sweep("bad", SWEEP)
    with store.database.write() as connection:
        connection.execute("UPDATE sweeps SET sweep = '{\"q\": 1}' WHERE name = 'bad'")
    assert [one.name for one in store.sweeps()] == ["good"]
    assert store.delete_sweep("bad")
