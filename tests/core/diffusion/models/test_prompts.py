import pytest
import torch

from core.diffusion.models.files.tokenizers import Tokenizer
from core.diffusion.models.load import LoadedModel, describe
from core.diffusion.sampling.text_encoder import PromptEncoder
from core.diffusion.settings import GenerationSettings


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(describe("bundled").folder)


def test_tokens_spell_the_prompt(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.tokens("a red apple, flat style")
    assert "".join(token.text for token in tokens).replace(" ", "") == "aredapple,flatstyle"
    assert len(tokens) == tokenizer.count("a red apple, flat style")


@pytest.mark.parametrize(
    "prompt", ["", "  ", "😀🍎", "naïve café ½", "日本語", "a\nb\tc", "<|endoftext|>"]
)
def test_any_text_has_tokens_and_an_embedding(
    tokenizer: Tokenizer, model: LoadedModel, prompt: str
) -> None:
    assert tokenizer.count(prompt) >= 0
    assert tokenizer.cut_off(prompt) == ""
    embedding = PromptEncoder(model)(prompt)
    assert embedding.shape == (1, 77, model.unet.config.cross_attention_dim)
    assert torch.isfinite(embedding).all()


def test_what_is_cut_off_is_told_as_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.limit == 75
    fitting = " ".join(["apple"] * 75)
    assert tokenizer.count(fitting) == 75
    assert tokenizer.cut_off(fitting) == ""
    assert tokenizer.cut_off(fitting + " blue background") == "blue background"
    long = GenerationSettings(prompt=fitting + " blue background")
    problems = long.validate(tokenizer=tokenizer)
    assert [(p.field, p.severity) for p in problems] == [("prompt", "warning")]
    assert "'blue background'" in problems[0].reason


def test_embeddings_equal_the_pipelines(model: LoadedModel) -> None:
    for prompt in ("", "a red apple", "apple " * 100):
        expected = model.pipeline().encode_prompt(prompt, "cpu", 1, False)[0]
        assert torch.equal(PromptEncoder(model)(prompt), expected)


def test_a_prompt_is_encoded_once_while_it_is_kept(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    forward = model.text_encoder.forward
    monkeypatch.setattr(
        model.text_encoder,
        "forward",
        lambda *a, **k: calls.append(1) or forward(*a, **k),
    )
    encode = PromptEncoder(model, keep=2)
    for prompt in ("a", "b", "a", "b", "c", "b", "a"):
        encode(prompt)
    assert len(calls) == 4  # a, b, c, and a again after it was let go
