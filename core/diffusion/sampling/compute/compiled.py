"""The UNet compiled, where LIGHTBOX_COMPILE asks for it: only when warm, and only when right."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from weakref import WeakKeyDictionary

import torch

from core.diffusion.models.loaded import LoadedModel
from core.diffusion.models.placement import offload_mode
from core.diffusion.sampling.compute.threads import Threads

TILE = 8
"""Rows of every compiled call: one shape a size, so that each size is compiled once."""

TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far a compiled prediction may lie from the plain one, as a share of its largest entry."""

log = logging.getLogger(__name__)

Run = Callable[..., torch.Tensor]
"""Tensors as `UNetRows` takes them -> the prediction: a UNet call with its family's arguments."""


class CompiledUNet:
    """Compiles beside the work: until a size is warm, and for good where its numbers are wrong,
    the caller goes on with the plain UNet.

    What is compiled is a twin of the UNet's modules over the same weights, so that nothing that is
    later hung into the UNet's own (attention maps, LoRAs) is seen by the compiler.
    """

    def __init__(self, unet: Any, *, compile: Callable[[Any], Any] | None = None) -> None:
        shared = {id(weights): weights for weights in (*unet.parameters(), *unet.buffers())}
        twin = copy.deepcopy(unet, shared)
        self.unet = compile(twin) if compile else torch.compile(twin, dynamic=False)
        self._sizes: dict[tuple[torch.Size, ...], Future[bool]] = {}
        self._thread = Threads(1, "lightbox-compile")

    def is_warm(self, whole: tuple[torch.Tensor, ...], plain: Run, compiled: Run) -> bool:
        """Return whether calls of this size may be compiled; the first time it is asked begins
        that.
        """
        size = tuple(tensor.shape[1:] for tensor in whole)
        if size not in self._sizes:
            inputs = padded(tuple(tensor[:TILE].clone() for tensor in whole))
            self._sizes[size] = self._thread.submit(self._check, inputs, plain, compiled)
        found = self._sizes[size]
        return found.done() and found.result()

    def wait(self) -> bool:
        """Wait until what has begun is warm or refused; return whether all of it is warm."""
        verdicts = [found.result() for found in self._sizes.values()]
        return all(verdicts)

    @staticmethod
    @torch.no_grad()
    def _check(inputs: tuple[torch.Tensor, ...], plain: Run, compiled: Run) -> bool:
        height, width = inputs[0].shape[2:]
        try:
            expected, found = plain(*inputs).float(), compiled(*inputs).float()
        except Exception:
            log.exception("Compiling the UNet failed for latents of %s x %s", width, height)
            return False
        error = float((found - expected).abs().max() / expected.abs().max())
        limit = TOLERANCE.get(inputs[0].dtype, 0.0)
        if not error <= limit:  # NaN is no number below any limit
            log.warning(
                "The compiled UNet is not used for latents of %s x %s: it is %.1e off, and %.0e is "
                "the most",
                *(width, height, error, limit),
            )
            return False
        log.info("The UNet is compiled for latents of %s x %s (%.1e off)", width, height, error)
        return True


def padded(tensors: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Pad at most TILE rows of each to TILE by repeating the last one."""
    missing = TILE - len(tensors[0])
    return tuple(torch.cat([t, t[-1:].expand(missing, *t.shape[1:])]) for t in tensors)


_COMPILED: WeakKeyDictionary[Any, CompiledUNet] = WeakKeyDictionary()


def compiled_unet(model: LoadedModel) -> CompiledUNet | None:
    """The compiled UNet of this model, one for all engines, where LIGHTBOX_COMPILE=1 asks for it
    and the UNet stays on its device.
    """
    if os.environ.get("LIGHTBOX_COMPILE", "").strip() not in ("1", "true", "yes"):
        return None
    if offload_mode(model.device) != "none":
        return None
    if model.unet not in _COMPILED:
        _COMPILED[model.unet] = CompiledUNet(model.unet)
    return _COMPILED[model.unet]
