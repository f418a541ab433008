"""Families: who varies whom is kept, and outlives the index and the parents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.diffusion.recipe.variations import ready_to_vary
from core.diffusion.settings import GenerationSettings
from core.runs.store.genealogy import line_of, relatives_of
from core.runs.store.store import Store, StoredImage
from tests.core.runs.doubles import generation, info, settings

ROOT = settings(seed=3)


def vary(parent: GenerationSettings, seed: int, strength: float = 0.2) -> GenerationSettings:
    return replace(ready_to_vary(parent), variation_seed=seed, variation_strength=strength)


def put(store: Store, one: GenerationSettings) -> StoredImage:
    return store.put(generation(one, record="none"), info())


def test_a_family_is_found_from_any_of_its_members(tmp_path: Path) -> None:
    store = Store(tmp_path)
    root = put(store, ROOT)
    first, second = put(store, vary(ROOT, 1)), put(store, vary(ROOT, 2))
    grandchild = put(store, vary(second.settings, 1))
    put(store, settings(seed=4))
    assert [child.digest for child in store.children([root.digest], 9)] == [
        first.digest,
        second.digest,
    ]
    assert len(store.children([root.digest, second.digest], 2)) == 2
    everyone = {root.digest, first.digest, second.digest, grandchild.digest}
    for image in (root, first, grandchild):
        family = relatives_of(store, image)
        assert {member.digest for member in family} == everyone
        seen: set[str] = {""}
        for member in family:
            assert member.parent in seen, "parents come before children"
            seen.add(member.digest)
    assert [m.digest for m in line_of(store, grandchild)] == [
        root.digest,
        second.digest,
        grandchild.digest,
    ]
    assert len(relatives_of(store, root, limit=2)) == 2


def test_a_deleted_parent_keeps_its_place_and_can_be_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    root, child = put(store, ROOT), put(store, vary(ROOT, 1))
    grandchild, sister = put(store, vary(child.settings, 5)), put(store, vary(child.settings, 6))
    store.delete([root.digest, child.digest])
    line = line_of(store, grandchild)
    assert [member.image is None for member in line] == [True, True, False]
    assert line[1].settings.digest(info().fingerprint) == child.digest
    assert sister.digest in {member.digest for member in relatives_of(store, grandchild)}
    again = put(store, line[1].settings)
    assert again.digest == child.digest
    assert again.parent == root.digest


def test_a_family_outlives_the_index(tmp_path: Path) -> None:
    store = Store(tmp_path)
    root, child = put(store, ROOT), put(store, vary(ROOT, 1))
    grandchild = put(store, vary(child.settings, 5))
    store.close()
    for path in tmp_path.glob("lightbox.sqlite3*"):
        path.unlink()
    again = Store(tmp_path)
    assert [m.digest for m in relatives_of(again, root)] == [
        root.digest,
        child.digest,
        grandchild.digest,
    ]
