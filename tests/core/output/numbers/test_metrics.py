"""The comparisons of pictures, held against cases whose answer is known."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.diffusion.models.load import BUNDLED_FOLDER
from core.output.numbers.metrics import (
    PUBLISHED_CLIPS,
    clip_image_embedding,
    clip_of,
    clip_score,
    rmse,
    ssim,
)


def flat(value: int, side: int = 16) -> Image.Image:
    return Image.new("RGB", (side, side), (value, value, value))


def noisy(amount: float, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(40, 200, 32)[:, None, None] * np.ones((1, 32, 3))
    pixels = ramp + rng.normal(0, amount, ramp.shape) if amount else ramp
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def test_rmse_is_in_pixel_values() -> None:
    assert rmse(flat(10), flat(10)) == 0
    assert rmse(flat(0), flat(255)) == 255
    half = flat(0)
    half.paste((20, 20, 20), (0, 0, 8, 16))
    assert rmse(half, flat(0)) == pytest.approx(20 / np.sqrt(2))


def test_ssim_falls_as_noise_grows() -> None:
    clean = noisy(0)
    scores = [ssim(clean, noisy(amount)) for amount in (0, 2, 10, 40)]
    assert scores[0] == 1
    assert scores == sorted(scores, reverse=True)
    assert scores[3] < 0.5 < scores[1]


def test_ssim_is_symmetric() -> None:
    assert ssim(noisy(0), noisy(9)) == pytest.approx(ssim(noisy(9), noisy(0)))


@pytest.mark.parametrize("measure", [rmse, ssim])
def test_pictures_of_different_sizes_are_refused(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(ValueError, match="differ in size"):
        measure(flat(0, 16), flat(0, 24))


def test_ssim_refuses_what_is_smaller_than_its_window() -> None:
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(flat(0, 8), flat(0, 8))


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_no_clip_anywhere_means_no_score(tmp_path: Path, empty_cache: Path) -> None:
    assert clip_score(flat(0), "a cat", tmp_path) is None


def test_a_published_clip_of_the_cache_judges_models_that_bring_none(
    tmp_path: Path, empty_cache: Path
) -> None:
    repo = empty_cache / f"models--{PUBLISHED_CLIPS[1].replace('/', '--')}"
    commit = "1" * 40
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    folder = repo / "snapshots" / commit
    shutil.copytree(BUNDLED_FOLDER / "clip", folder)
    assert clip_score(flat(0), "a cat", tmp_path) is None, "it has no tokenizer yet"
    shutil.copytree(BUNDLED_FOLDER / "tokenizer", folder, dirs_exist_ok=True)
    own = clip_score(noisy(30), "a cat", BUNDLED_FOLDER)
    assert own is not None
    assert clip_score(noisy(30), "a cat", tmp_path) == pytest.approx(own)
    assert clip_of(BUNDLED_FOLDER) == (BUNDLED_FOLDER / "clip", BUNDLED_FOLDER / "tokenizer")


def test_a_blank_prompt_has_no_score() -> None:
    assert clip_score(flat(0), "  ", BUNDLED_FOLDER) is None


def test_the_bundled_clip_tells_backgrounds_apart() -> None:
    colors = {"red": (221, 51, 51), "blue": (51, 102, 221), "green": (51, 170, 85)}
    prompts = {name: f"a cat on a {name} background" for name in colors}
    for name, color in colors.items():
        image = Image.new("RGB", (128, 128), color)
        scores = {other: clip_score(image, text, BUNDLED_FOLDER) for other, text in prompts.items()}
        assert all(score is not None and -100 <= score <= 100 for score in scores.values())
        assert max(scores, key=lambda other: scores[other] or -100) == name, scores


def test_the_clip_score_is_a_function_of_picture_and_prompt() -> None:
    first = clip_score(noisy(30), "a cat", BUNDLED_FOLDER)
    assert first == clip_score(noisy(30), "a cat", BUNDLED_FOLDER)
    assert first != clip_score(noisy(30), "a red apple", BUNDLED_FOLDER)


def test_clip_finds_a_picture_nearer_to_its_like() -> None:
    def cosine(a: Image.Image, b: Image.Image) -> float:
        one, other = (clip_image_embedding(image, BUNDLED_FOLDER) for image in (a, b))
        assert one is not None
        assert other is not None
        return float(one @ other)

    clean = noisy(0)
    assert cosine(clean, clean) == pytest.approx(1)
    nearer = [cosine(clean, noisy(amount)) for amount in (2, 20, 90)]
    assert nearer == sorted(nearer, reverse=True)
    assert nearer[2] < 0.95


def test_no_clip_anywhere_means_no_embedding(tmp_path: Path, empty_cache: Path) -> None:
    assert clip_image_embedding(flat(0), tmp_path) is None
