"""A small model's vocabulary: what of a prompt it has never learned."""

from __future__ import annotations

from typing import Any

import pytest

from core.diffusion.models.vocabulary import Vocabulary

CARD: dict[str, Any] = {
    "vocabulary": {
        "objects": {"red apple": ["apple"], "cherry": [], "fox": ["red fox"]},
        "styles": ["flat"],
        "backgrounds": ["blue"],
        "filler": ["wearing", "close-up"],
    }
}


def vocabulary() -> Vocabulary:
    found = Vocabulary.from_card(CARD)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("a red apple on a blue background, flat style", ()),
        ("Two Foxes, cherries and apples", ("Two",)),
        ("a fox wearing a Hat, a hat", ("Hat",)),
        ("close-up of an apple's stem", ("apple's", "stem")),
        ("ein Apfel, 4k, ąę 猫", ("ein", "Apfel", "4k", "ąę", "猫")),
        ("", ()),
    ],
)
def test_words_that_it_never_learned(prompt: str, unknown: tuple[str, ...]) -> None:
    assert vocabulary().unknown(prompt) == unknown


@pytest.mark.parametrize(
    "listed", [None, [], {"objects": []}, {"objects": {"a": "b"}}, {"objects": {"a": [1]}}, {}]
)
def test_a_card_that_cannot_be_read_has_none(listed: object) -> None:
    assert Vocabulary.from_card({"vocabulary": listed}) is None
