"""How two pictures differ, and how well a picture fits its prompt."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from core.diffusion.models.hub_cache import hub_cache
from core.diffusion.recipe.prompt.weights import plain_text

PIXEL_RANGE = 255.0

PUBLISHED_CLIPS = ("openai/clip-vit-large-patch14", "openai/clip-vit-base-patch32")
"""Hub ids of the CLIPs that judge the pictures of models that bring none, the first that is in the
Hugging Face cache. The bundled model's own knows nothing but its own emoji.
"""


def rmse(a: Image.Image, b: Image.Image) -> float:
    """Root of the mean squared difference of the RGB values, in units of 0 to 255.

    Raises ValueError for pictures of different sizes.
    """
    first, second = _pair(a, b)
    return float(np.sqrt(np.mean((first - second) ** 2)))


def difference(a: Image.Image, b: Image.Image) -> np.ndarray:
    """How far each pixel differs, (H, W) float64: the RMS over its colours, in units of 0 to 255.

    Raises ValueError for pictures of different sizes.
    """
    first, second = _pair(a, b)
    return np.sqrt(np.square(first - second).mean(-1))


def ssim(a: Image.Image, b: Image.Image) -> float:
    """Structural similarity of the RGB values, 1 for equal pictures, at most 1.

    Wang et al. 2004 with their Gaussian window (sigma 1.5), as scikit-image computes it; the
    picture must be at least 11 pixels wide and high. Raises ValueError otherwise and for
    pictures of different sizes.
    """
    # 0.3 s to import, and only a comparison needs it.
    from skimage.metrics import structural_similarity

    first, second = _pair(a, b)
    if min(first.shape[:2]) < 11:
        raise ValueError("SSIM needs pictures of at least 11 x 11 pixels.")
    compare = cast(Any, structural_similarity)
    return float(
        compare(
            first,
            second,
            channel_axis=2,
            data_range=PIXEL_RANGE,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def clip_score(image: Image.Image, prompt: str, model_folder: Path) -> float | None:
    """100 times the cosine between picture and prompt, by the CLIP that `clip_of` finds.

    Hessel et al. 2021, without their factor 2.5 and without clipping at 0. None when there is no
    CLIP or the prompt is blank. Each CLIP has its own scale: compare scores of one model only. A
    prompt is cut at 77 tokens, as for the picture.
    """
    parts = clip_of(model_folder)
    if not prompt.strip() or parts is None:
        return None
    import torch

    model, processor, tokenizer = _clip(*parts)
    tokens = tokenizer(
        plain_text(prompt),
        padding="max_length",
        max_length=77,
        truncation=True,
        return_tensors="pt",
    )
    pixels = processor(images=image.convert("RGB"), return_tensors="pt")
    with torch.no_grad():
        output = model(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            pixel_values=pixels.pixel_values,
        )
    # CLIPModel gives unit vectors.
    return 100 * float((output.image_embeds * output.text_embeds).sum())


def clip_image_embedding(image: Image.Image, model_folder: Path) -> np.ndarray | None:
    """What the CLIP that `clip_of` finds sees: a unit vector, so that the dot product of two
    pictures' is their cosine. None when there is no CLIP.
    """
    parts = clip_of(model_folder)
    if parts is None:
        return None
    import torch

    model, processor, _ = _clip(*parts)
    pixels = processor(images=image.convert("RGB"), return_tensors="pt")
    with torch.no_grad():
        embedding = model.get_image_features(pixel_values=pixels.pixel_values).pooler_output[0]
    return (embedding / embedding.norm()).numpy()


def clip_of(model_folder: Path) -> tuple[Path, Path] | None:
    """The folders of a CLIP and of its tokenizer: those beside the model, else the first of
    PUBLISHED_CLIPS that is whole in the Hugging Face cache. Downloads nothing.
    """
    own = Path(model_folder)
    if (own / "clip" / "config.json").is_file():
        return own / "clip", own / "tokenizer"
    from huggingface_hub import try_to_load_from_cache

    for name in PUBLISHED_CLIPS:
        files = ("model.safetensors", "preprocessor_config.json", "tokenizer_config.json")
        found = [try_to_load_from_cache(name, file, cache_dir=hub_cache()) for file in files]
        if all(isinstance(file, str) for file in found):
            folder = Path(str(found[0])).parent
            return folder, folder
    return None


def clip_name(model_folder: Path) -> str | None:
    """Which CLIP `clip_of` finds: its folder, and the size and date of its weights, by which
    another one in the same place is told from it. None when there is no CLIP.
    """
    parts = clip_of(model_folder)
    if parts is None:
        return None
    try:
        weights = (parts[0] / "model.safetensors").stat()
    except OSError:
        return None
    return f"{parts[0]} {weights.st_size} {weights.st_mtime_ns}"


@functools.lru_cache(maxsize=2)
def _clip(folder: Path, tokenizer_folder: Path) -> tuple[Any, Any, Any]:
    """CLIP in float32 on the CPU (a few milliseconds a picture), its processor and tokenizer."""
    import torch
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    options: dict[str, Any] = {"local_files_only": True}
    model: Any = CLIPModel.from_pretrained(
        folder, use_safetensors=True, dtype=torch.float32, **options
    )
    processor: Any = CLIPImageProcessorPil.from_pretrained(folder, **options)
    tokenizer: Any = CLIPTokenizer.from_pretrained(tokenizer_folder, **options)
    return model.eval().requires_grad_(False), processor, tokenizer


def _pair(a: Image.Image, b: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures as float64 (H, W, 3) in 0 to 255."""
    if a.size != b.size:
        raise ValueError(f"The pictures differ in size: {a.size} and {b.size}.")
    first, second = (np.asarray(image.convert("RGB"), dtype=np.float64) for image in (a, b))
    return first, second
