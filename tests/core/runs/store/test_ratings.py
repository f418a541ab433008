"""Stars and favourites: set, found and sorted by; kept after the picture, lost with the index."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from core.diffusion.models.load import describe
from core.diffusion.settings import GenerationSettings
from core.runs.store.index import Filter
from core.runs.store.opinions.ratings import FAVOURITES, RATED, UNRATED, Rating, Ratings
from core.runs.store.store import Store, StoredImage, StoreError
from tests.core.runs.doubles import generation


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def put(store: Store, seed: int) -> str:
    made = generation(GenerationSettings(prompt="a red apple", seed=seed), record="none")
    return store.put(made, describe("bundled")).digest


def digests(images: list[StoredImage]) -> list[str]:
    return [image.digest for image in images]


def test_stars_and_the_mark_are_set_apart(store: Store) -> None:
    one, two = put(store, 1), put(store, 2)
    ratings = Ratings(store.database)
    ratings.rate([one, two], 4)
    ratings.mark([one], is_favourite=True)
    ratings.rate([two], 0)
    assert ratings.of(one) == Rating(stars=4, is_favourite=True)
    assert ratings.of(two) == Rating()
    assert str(ratings.of(one)) == "★★★★♥"


@pytest.mark.parametrize("stars", [-1, 6])
def test_other_numbers_of_stars_are_refused(store: Store, stars: int) -> None:
    with pytest.raises(StoreError, match="0 to 5"):
        Ratings(store.database).rate([put(store, 1)], stars)


def test_pictures_are_found_and_sorted_by_them(store: Store) -> None:
    made = [put(store, seed) for seed in range(4)]
    ratings = Ratings(store.database)
    ratings.rate([made[0]], 5)
    ratings.rate([made[2]], 3)
    ratings.rate([made[1]], 3)
    ratings.mark([made[1], made[3]], is_favourite=True)
    assert set(digests(store.search(Filter(rated="3")))) == set(made[:3])
    assert digests(store.search(Filter(rated="4"))) == [made[0]]
    assert digests(store.search(Filter(rated=FAVOURITES))) == [made[3], made[1]]
    assert digests(store.search(Filter(rated=UNRATED))) == [made[3]]
    for rated in RATED:
        said = {one for one in made if ratings.of(one).is_among(rated)}
        assert said == set(digests(store.search(Filter(rated=rated)))), rated
    with pytest.raises(KeyError):
        Rating().is_among("6")
    assert store.count(Filter(rated="3")) == store.count_entries(Filter(rated="3")) == 3
    best = [made[0], made[1], made[2], made[3]]
    assert digests(store.search(order="best")) == best
    assert digests(store.search(order="oldest")) == made
    entries = store.entries(order="best")
    assert [entry.image.digest for entry in entries] == best
    middle = store.get(made[1])
    assert middle is not None
    before, after = store.neighbours(middle, order="best")
    assert before is not None
    assert after is not None
    assert (before.digest, after.digest) == (made[0], made[2])


def test_a_picture_that_is_computed_again_has_its_stars_back(store: Store) -> None:
    one = put(store, 1)
    Ratings(store.database).rate([one], 2)
    store.delete([one])
    assert store.search(Filter(rated="1")) == []
    assert put(store, 1) == one
    assert digests(store.search(Filter(rated="1"))) == [one]


def test_they_outlive_the_program_and_not_the_index(store: Store, tmp_path: Path) -> None:
    one = put(store, 1)
    Ratings(store.database).rate([one], 2)
    store.close()
    assert Ratings(Store(tmp_path).database).of(one).stars == 2
    Store(tmp_path).close()
    for file in tmp_path.glob("lightbox.sqlite3*"):
        file.unlink()
    again = Store(tmp_path)
    assert digests(again.search()) == [one]
    assert Ratings(again.database).of(one) == Rating()


def test_the_table_itself_takes_nothing_else(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError), store.database.write() as connection:
        connection.execute("INSERT INTO ratings (digest, stars) VALUES ('a', 9)")
