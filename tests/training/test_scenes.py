"""Objects, scenes and the held-out split, without artwork or network."""

from collections import Counter

import pytest

from training.data import scenes as data
from training.data.vocabulary import FIRST, NAMES, WITHOUT_ARTICLE, every_name, newcomers, plural


def test_a_name_belongs_to_one_object_and_the_first_is_the_usual_one() -> None:
    names = every_name()
    assert len(names) == len(set(names))
    assert all(noun == all_of[0] for noun, all_of in NAMES.items())
    assert len(FIRST) == 64
    assert set(FIRST) <= set(data.NOUNS)


def test_the_held_out_combinations_are_fixed_and_never_trained_on() -> None:
    kept = data.held_out()
    assert len(kept) == data.HELD_OUT
    trained = {s.combination for s in data.singles(4000, 1, from_held_out=False)}
    assert trained.isdisjoint(kept)
    assert {s.combination for s in data.singles(300, 2, from_held_out=True)} == kept


def test_version_1_never_saw_most_of_the_held_out_combinations_of_its_objects() -> None:
    first = [c for c in data.combinations() if c[0] in FIRST]
    kept_by_1 = set(sorted(first, key=lambda c: data._hash("/".join(c)))[:100])
    kept = {c for c in data.held_out() if c[0] in FIRST}
    assert len(kept & kept_by_1) >= 0.9 * len(kept)


def test_held_out_pairs_do_not_depend_on_their_order_and_are_never_trained_on() -> None:
    assert data.is_held_out_pair("cat", "dog") == data.is_held_out_pair("dog", "cat")
    trained = data.doubles(500, 1, from_held_out=False)
    assert not any(data.is_held_out_pair(*s.nouns) for s in trained)
    assert all(data.is_held_out_pair(*s.nouns) for s in data.doubles(20, 1, from_held_out=True))


def test_every_object_style_and_background_is_still_trained_on() -> None:
    trained = {s.combination for s in data.singles(9000, 1, from_held_out=False)}
    assert {noun for noun, _, _ in trained} == set(data.NOUNS)
    assert {style for _, style, _ in trained} == set(data.STYLE_NAMES)
    assert {background for _, _, background in trained} == set(data.BACKGROUND_NAMES)


def test_scenes_follow_their_seed_and_new_objects_are_shown_more_often() -> None:
    scenes = data.training_scenes(6000, 3, 0.2)
    assert scenes == data.training_scenes(6000, 3, 0.2)
    assert sum(len(s.items) == 2 for s in scenes) == 1200
    counts = Counter(noun for s in scenes for noun in s.nouns)
    old = sum(counts[noun] for noun in FIRST) / len(FIRST)
    new = sum(counts[n] for n in data.NOUNS if n not in FIRST) / (len(data.NOUNS) - len(FIRST))
    assert new / old == pytest.approx(data.NEW_WEIGHT, rel=0.15)


def test_two_objects_stand_in_the_order_of_their_layout() -> None:
    for scene in data.doubles(200, 4, from_held_out=False):
        one, other = scene.items
        apart = (other.x - one.x, other.y - one.y)
        assert max(apart) == apart[data.LAYOUTS.index(scene.layout)]
        assert max(apart) > 0.4
        assert one.noun != other.noun


def test_an_object_stays_inside_the_frame_or_nearly() -> None:
    for scene in data.training_scenes(500, 4, 0.2):
        for item in scene.items:
            assert item.size / 2 - 0.05 <= item.x <= 1.05 - item.size / 2
            assert item.size / 2 - 0.05 <= item.y <= 1.05 - item.size / 2
        assert all(0 <= channel <= 255 for channel in scene.color)


def test_plurals_follow_the_spelling() -> None:
    assert [plural(n) for n in ("cat", "puppy", "fox", "grapes", "woman", "key", "peach")] == (
        ["cats", "puppies", "foxes", "grapes", "women", "keys", "peaches"]
    )
    assert "grapes" in WITHOUT_ARTICLE


def test_newcomers_ask_for_objects_that_the_file_names() -> None:
    asked = newcomers()
    assert len(asked) == len({prompt for prompt, _ in asked}) == 100
    known = set(every_name())
    assert all(noun in known for _, nouns in asked for noun in nouns)
