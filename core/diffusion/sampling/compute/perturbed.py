"""Rows whose self-attention is perturbed: in some of the UNet's layers a place attends to itself.

Ahn et al. 2024 (PAG); which layers, by the names that diffusers' PAG pipelines take.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from core.diffusion.recipe.guidance.methods import PAG_LAYERS

_thread = threading.local()  # rows go through the UNet in several threads


class RowPerturbed:
    """An attention processor that leaves to `inner` all rows but those that are perturbed in its
    `layers`.
    """

    def __init__(self, inner: Any, layers: str) -> None:
        self.inner = inner
        self.layers = layers

    def __call__(
        self, attn: Any, hidden_states: torch.Tensor, *given: Any, **options: Any
    ) -> torch.Tensor:
        """`hidden_states` (rows, places, channels)."""
        told: Sequence[str] = getattr(_thread, "told", ())
        chosen = [row for row, layers in enumerate(told) if layers == self.layers]
        if not chosen:
            return self.inner(attn, hidden_states, *given, **options)
        found = torch.empty_like(hidden_states)
        found[chosen] = _attended_to_itself(attn, hidden_states[chosen])
        if others := [row for row, layers in enumerate(told) if layers != self.layers]:
            found[others] = self.inner(attn, hidden_states[others], *given, **options)
        return found


def _attended_to_itself(attn: Any, hidden_states: torch.Tensor) -> torch.Tensor:
    """Attention whose map is the identity: the values themselves. As diffusers'
    PAGIdentitySelfAttnProcessor2_0.
    """
    found = attn.to_out[1](attn.to_out[0](attn.to_v(hidden_states)))
    if attn.residual_connection:
        found = found + hidden_states
    return found / attn.rescale_output_factor


def perturbed_layers(unet: Any, layers: str) -> list[Any]:
    """The self-attention layers of the UNet's "mid", "down" or "up" blocks; there may be none."""
    return [
        layer
        for name, layer in unet.named_modules()
        if name.startswith(layers) and name.endswith("attn1") and hasattr(layer, "processor")
    ]


@contextmanager
def perturbable(unet: Any) -> Generator[None]:
    """Make the UNet heed `perturbing` for as long as this lasts."""
    found = [(name, layer) for name in PAG_LAYERS for layer in perturbed_layers(unet, name)]
    before = [layer.processor for _, layer in found]
    try:
        for (name, layer), processor in zip(found, before, strict=True):
            layer.processor = RowPerturbed(processor, name)
        yield
    finally:
        for (_, layer), processor in zip(found, before, strict=True):
            layer.processor = processor


@contextmanager
def perturbing(told: Sequence[str]) -> Generator[None]:
    """Perturb each row of this thread's UNet calls in the layers told for it; "" is none."""
    _thread.told = told
    try:
        yield
    finally:
        _thread.told = ()
