"""The tokenizer grows and never renames a token."""

from pathlib import Path

import pytest
import torch
from transformers import CLIPTokenizer

from training.data import captions, tokens
from training.data.vocabulary import every_name

BUNDLED = Path(__file__).parents[2] / "models" / "bundled" / "tokenizer"


@pytest.fixture(scope="module")
def grown() -> CLIPTokenizer:
    return tokens.build_tokenizer(captions.words(), tokens.merges_of(BUNDLED))


def test_each_word_of_a_name_is_one_token(grown: CLIPTokenizer) -> None:
    for name in every_name():
        if name.replace(" ", "").isalpha():
            assert len(grown.tokenize(name)) == len(name.split()), name


def test_any_text_encodes(grown: CLIPTokenizer) -> None:
    for text in ("日本語 🤖 ünïcode", "", "word " * 500):
        ids = grown(text, padding="max_length", truncation=True).input_ids
        assert len(ids) == tokens.LENGTH
        assert ids[0] == grown.bos_token_id
        assert grown.unk_token_id == grown.eos_token_id
        body = [i for i in ids[1 : ids.index(grown.eos_token_id)] if i >= len(grown) - 2]
        assert not body, "no unknown token inside a text"


def test_what_ships_keeps_its_ids_when_words_come(grown: CLIPTokenizer) -> None:
    shipped = CLIPTokenizer.from_pretrained(BUNDLED)
    text = "a red apple on a blue background, flat style"
    assert shipped(text).input_ids[1:-1] == grown(text).input_ids[1:-1]
    before = {t: i for t, i in shipped.get_vocab().items() if not t.startswith("<|")}
    after = grown.get_vocab()
    assert all(after[token] == index for token, index in before.items())
    assert max(after.values()) == grown.eos_token_id == len(grown) - 1


def test_equal_merges_come_out_the_same_each_time() -> None:
    words = ["cat", "car", "can", "cap"]
    first = tokens.build_tokenizer(words, [])
    assert first.get_vocab() == tokens.build_tokenizer(reversed(words), []).get_vocab()


def test_grown_rows_keep_the_old_ones_and_the_ends() -> None:
    rows = torch.arange(10.0).reshape(5, 2)
    grown = tokens.grown_rows(rows, 8, torch.Generator().manual_seed(0))
    assert grown.shape == (8, 2)
    assert torch.equal(grown[:3], rows[:3])
    assert torch.equal(grown[-2:], rows[-2:])
