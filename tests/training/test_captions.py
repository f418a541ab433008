"""What captions say, claim and leave unsaid."""

import random
from collections import Counter

import pytest

from training.data import captions, questions
from training.data import scenes as data
from training.data.vocabulary import NAMES, newcomers, plural

SCENES = data.training_scenes(3000, 5, 0.2)


def drawn(seed: int = 1) -> list[captions.Caption]:
    rng = random.Random(seed)
    return [captions.random_caption(rng, scene) for scene in SCENES]


def test_a_caption_is_true_of_its_scene_and_says_what_it_claims() -> None:
    for scene, caption in zip(SCENES, drawn(), strict=True):
        assert caption.is_true_of(scene)
        for claim in caption.claims:
            kind, _, value = claim.partition(" ")
            if kind == "object":
                names = {form for name in NAMES[value] for form in (name, plural(name))}
                assert any(name in caption.text for name in names), caption
            elif kind in ("style", "background"):
                assert value in caption.text


def test_a_tenth_says_nothing_and_the_prompts_of_newcomers_are_never_drawn() -> None:
    texts = Counter(caption.text for caption in drawn())
    silent = sum(not caption.claims for caption in drawn())
    assert silent / len(SCENES) == pytest.approx(captions.EMPTY, abs=0.02)
    assert texts[""] / silent == pytest.approx(1 - captions.ONLY_FILLER, abs=0.15)
    assert texts.keys().isdisjoint(prompt for prompt, _ in newcomers())


def test_articles_read_as_english() -> None:
    assert captions.with_article("octopus") == "an octopus"
    assert captions.with_article("grapes") == "grapes"
    assert captions.with_article("red apples") == "red apples"
    assert captions.with_article("dress") == "a dress"


def test_filler_leaves_the_caption_in_place() -> None:
    rng = random.Random(2)
    texts = {captions.filled(rng, "a cat on a blue background", "cat") for _ in range(100)}
    assert len(texts) > 60
    assert all("cat on a blue background" in captions.unmarked(text) for text in texts)
    rest = {" ".join(w for w in t.split() if w[0] != captions.FILL) for t in texts}
    assert rest == {"a cat on a blue background"}


def test_questions_ask_for_what_was_held_out() -> None:
    kept = data.held_out()
    for question in questions.singles(50, data.NOUNS):
        assert (question.asked[0], question.style, question.background) in kept
        assert all(part in question.prompt for part in (*question.asked, question.style))
    for question in questions.doubles(20, data.NOUNS):
        assert data.is_held_out_pair(*question.asked)
        assert questions.named(question.prompt) == set(question.asked)


def test_the_longest_name_counts() -> None:
    assert questions.named("a hot dog") == {"hot dog"}
    assert questions.named("two kittens and a T-Shirt") == {"cat", "t-shirt"}


def test_answers_are_right_by_the_judges_first_guesses() -> None:
    def guess(*nouns: str) -> dict:
        indices = [data.NOUNS.index(noun) for noun in nouns]
        return {"object": indices, "first": indices, "style": [0], "background": [0]}

    one = questions.Question(prompt="a cat wearing a hat", asked=("cat",), any_of=True)
    assert questions.right(one, guess("hat", "cat")) == {"object": True}
    plain = questions.Question(prompt="a cat", asked=("cat",), any_of=True)
    assert questions.right(plain, guess("hat", "cat")) == {"object": False}
    two = questions.Question(
        prompt="", asked=("cat", "dog"), background=data.BACKGROUND_NAMES[0], layout="beside"
    )
    assert questions.right(two, guess("cat", "dog")) == (
        {"object": True, "order": True, "background": True}
    )
    assert not questions.right(two, guess("dog", "cat"))["order"]
