"""Rows of words that a model has learned stay: a caption of it is read as before."""

from __future__ import annotations

from pathlib import Path

from transformers import CLIPTokenizer

from training.data.captions import FULL_FORMS, PARTIAL_FORMS, phrase
from training.data.vocabulary import BACKGROUNDS, FIRST, STYLES
from training.stages.beginnings import known_tokens

TOKENIZER = Path(__file__).parents[2] / "models" / "bundled" / "tokenizer"


def test_every_word_of_a_plain_caption_keeps_its_row() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(TOKENIZER)
    known = known_tokens(tokenizer, list(FIRST))
    for form in (*FULL_FORMS, *PARTIAL_FORMS):
        for noun in ("owl", "apple", "small fox"):
            for style in STYLES:
                for background in BACKGROUNDS:
                    caption = phrase(form, noun, style, background)
                    ids = set(tokenizer(caption).input_ids[1:-1])
                    assert ids <= known, tokenizer.convert_ids_to_tokens(sorted(ids - known))
