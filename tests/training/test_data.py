"""The captions and the held-out split, without artwork or network."""

import random
from collections import Counter
from pathlib import Path

import pytest
from transformers import CLIPTokenizer

pytest.importorskip("resvg_py", reason="requirements-training.txt is not installed")

from training import data
from training.tokens import LENGTH, build_tokenizer

BUNDLED = Path(__file__).parents[2] / "models" / "bundled"


def test_the_held_out_combinations_are_fixed_and_never_trained_on() -> None:
    kept = data.held_out()
    assert len(kept) == data.HELD_OUT
    assert kept == data.held_out()
    trained = {s.combination for s in data.scenes(4000, 1, from_held_out=False)}
    assert trained.isdisjoint(kept)
    assert {s.combination for s in data.scenes(300, 2, from_held_out=True)} == kept


def test_every_object_style_and_background_is_still_trained_on() -> None:
    trained = {s.combination for s in data.scenes(4000, 1, from_held_out=False)}
    assert {noun for noun, _, _ in trained} == set(data.NOUNS)
    assert {style for _, style, _ in trained} == set(data.STYLE_NAMES)
    assert {background for _, _, background in trained} == set(data.BACKGROUND_NAMES)
    assert len(data.NOUNS) >= 60


def test_scenes_follow_their_seed_and_show_each_combination_equally() -> None:
    assert data.scenes(50, 3, from_held_out=False) == data.scenes(50, 3, from_held_out=False)
    counts = Counter(s.combination for s in data.scenes(4000, 1, from_held_out=False))
    assert max(counts.values()) - min(counts.values()) <= 1


def test_a_scene_keeps_its_object_inside_the_frame_or_nearly() -> None:
    for scene in data.scenes(500, 4, from_held_out=False):
        assert 0.5 <= scene.size <= 0.85
        assert abs(scene.x - 0.5) <= 0.05
        assert abs(scene.y - 0.5) <= 0.05
        assert all(0 <= channel <= 255 for channel in scene.color)


def test_captions_are_full_partial_and_empty_in_the_shares_of_the_recipe() -> None:
    choices = data.captions("red apple", "flat", "blue", "large")
    assert sum(weight for weight, _ in choices) == pytest.approx(1)
    full = [w for w, t in choices if "red apple" in t and "flat" in t and "blue" in t]
    assert sum(full) == pytest.approx(0.65)
    assert sum(w for w, t in choices if t == "") == pytest.approx(0.10)
    assert sum(w for w, t in choices if "large" in t) == pytest.approx(0.325)


def test_captions_read_as_english() -> None:
    texts = {text for _, text in data.captions("octopus", "detailed", "orange")}
    assert "an octopus on an orange background, detailed style" in texts
    assert "grapes" in {text for _, text in data.captions("grapes", "flat", "red")}
    assert not any("a grapes" in text for _, text in data.captions("grapes", "flat", "red"))


def test_random_captions_are_all_known_beforehand() -> None:
    known, rng = set(data.all_captions()), random.Random(5)
    for scene in data.scenes(300, 5, from_held_out=False):
        assert data.random_caption(rng, scene) in known


def test_the_tokenizer_has_a_token_for_each_word_and_takes_any_text() -> None:
    tokenizer = build_tokenizer(data.all_captions(), merges=600)
    words = tokenizer.tokenize("a red apple on a blue background, flat style")
    assert [w.removesuffix("</w>") for w in words] == (
        ["a", "red", "apple", "on", "a", "blue", "background", ",", "flat", "style"]
    )
    for text in ("日本語 🤖 ünïcode", "", "word " * 500):
        ids = tokenizer(text, padding="max_length", truncation=True).input_ids
        assert len(ids) == LENGTH
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.eos_token_id in ids
        assert tokenizer.unk_token_id == tokenizer.eos_token_id
        body = [i for i in ids[1 : ids.index(tokenizer.eos_token_id)] if i >= len(tokenizer) - 2]
        assert not body, "no unknown token inside a text"


def test_the_tokenizer_comes_out_the_same_each_time_and_is_the_shipped_one() -> None:
    """The weights' rows belong to its ids: another order of equal merges would mix words up."""
    first = build_tokenizer(data.all_captions(), merges=600)
    second = build_tokenizer(reversed(data.all_captions()), merges=600)
    assert first.get_vocab() == second.get_vocab()
    shipped = CLIPTokenizer.from_pretrained(BUNDLED / "tokenizer")
    assert shipped.get_vocab() == first.get_vocab()
    assert shipped("a red cat").input_ids == first("a red cat").input_ids
