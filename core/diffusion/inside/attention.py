"""Where each word of the prompt acts: cross-attention maps of a whole run.

Tang et al. 2023 (DAAM): the attention that each place of the image pays to each token, averaged
over heads, layers and steps. Computed by a processor of ours beside the model's own, which still
makes the output: the picture stays the same, and nothing stays installed between two calls.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from core.diffusion.engine import Engine
from core.diffusion.inside.anatomy import AttentionMaps
from core.diffusion.inside.unrolled import embedded, finite, step
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.recipe.guidance.methods import ROW_ORDER
from core.diffusion.recipe.prompt.texts import is_one_text
from core.diffusion.sampling.batch import Batch
from core.diffusion.settings import GenerationSettings, Problem, SettingsError


class AttentionSum:
    """Adds up the attention of the conditional row over layers and calls.

    `total` is (places, h, w) in float32 over `count` layers: at each pixel the places sum to
    `count`.
    """

    def __init__(self, latent_size: tuple[int, int]) -> None:
        self.size = latent_size
        self.count = 0
        self.total: torch.Tensor | None = None

    def add(self, probabilities: torch.Tensor) -> None:
        """Add one layer's attention, (heads, pixels, places), whose pixels are a smaller copy of
        the latents'.

        Raises ValueError where they are not.
        """
        height, width = shrunk(self.size, probabilities.shape[1])
        mean = probabilities.float().mean(0).T  # (places, pixels)
        maps = mean.reshape(1, -1, height, width)
        if (height, width) != self.size:
            maps = torch.nn.functional.interpolate(
                maps, size=self.size, mode="bilinear", align_corners=False
            )
        self.total = maps[0] if self.total is None else self.total + maps[0]
        self.count += 1


def shrunk(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    """The size of a layer with so many pixels: the latents' (h, w), halved (rounding up) as often
    as the UNet did. Raises ValueError where no halving gives them.
    """
    height, width = size
    while height * width > pixels:
        height, width = (height + 1) // 2, (width + 1) // 2
    if height * width != pixels:
        raise ValueError(f"{pixels} pixels are no halving of {size[0]} x {size[1]}")
    return height, width


class WatchedAttention:
    """An attention processor that lets `inner` compute, and adds what it attended to."""

    def __init__(self, inner: Any, seen: AttentionSum, row: int) -> None:
        self.inner = inner
        self.seen = seen
        self.row = row

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *args: Any,
        **options: Any,
    ) -> torch.Tensor:
        """`hidden_states` (rows, pixels, channels), of which `row` is the conditional one."""
        if encoder_hidden_states is not None:
            row = slice(self.row, self.row + 1)
            query = attn.head_to_batch_dim(attn.to_q(hidden_states[row]))
            key = attn.head_to_batch_dim(attn.to_k(encoder_hidden_states[row]))
            # Softmax over the places, (heads, pixels, places): what the layer itself weighs by.
            self.seen.add(attn.get_attention_scores(query, key))
        return self.inner(
            attn, hidden_states, encoder_hidden_states, attention_mask, *args, **options
        )


@contextmanager
def watching(unet: Any, seen: AttentionSum, row: int) -> Generator[None]:
    """Make the UNet's cross-attention, for as long as this lasts, also add that of the conditional
    `row` to `seen`.
    """
    layers = [
        layer
        for name, layer in unet.named_modules()
        if name.endswith("attn2") and hasattr(layer, "processor")
    ]
    before = [layer.processor for layer in layers]
    try:
        for layer, processor in zip(layers, before, strict=True):
            layer.processor = WatchedAttention(processor, seen, row)
        yield
    finally:
        for layer, processor in zip(layers, before, strict=True):
            layer.processor = processor


def attend(
    model: LoadedModel, settings: GenerationSettings
) -> Generator[tuple[int, int], None, AttentionMaps]:
    """Run `settings` (strict) and map each place of the prompt; raises SettingsError."""
    settings = replace(settings, snapshot=0)
    settings.require_valid(vae_scale_factor=model.info.vae_scale_factor)
    if not is_one_text(settings):
        reason = "has no one map: take AND, [from:to:when] and [a|b] out of it"
        raise SettingsError([Problem(field="prompt", reason=reason)])
    batch = Batch(model, max_rows=len(ROW_ORDER))
    cell = batch.admit(settings, strict=True, record="none")
    seen = AttentionSum((cell.latents.shape[2], cell.latents.shape[3]))
    while not cell.is_done:
        # The UNet is the whole app's: between two pieces of this work others use it.
        with watching(model.unet, seen, cell.rows_at(cell.call).index("cond")):
            step(batch, cell)
        yield cell.call, cell.total_calls + 1
    if seen.total is None:
        raise ValueError("this UNet has no cross-attention to watch")
    prompt = embedded(model, settings.prompt, cell.condition.conds[0][0])
    # Beside a longer negative prompt the text stands there more than once: one map for all of it.
    maps = (seen.total / seen.count).reshape(-1, len(prompt.places), *seen.size).sum(0)
    return AttentionMaps(
        prompt=prompt,
        maps=maps.cpu().numpy(),
        layers=seen.count // cell.total_calls,
        calls=cell.total_calls,
        image=Engine(model).decode(finite(cell.latents).to(model.dtype)),
    )
