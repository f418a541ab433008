"""The UNet over a batch's rows: side by side on a CPU's cores, in halves when out of memory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch

from core.diffusion.models.loaded import LoadedModel
from core.diffusion.models.lora.adapters import active_loras
from core.diffusion.models.placement import bring
from core.diffusion.recipe.guidance.methods import PAG_LAYERS
from core.diffusion.sampling.compute.compiled import TILE, CompiledUNet, compiled_unet, padded
from core.diffusion.sampling.compute.memory import (
    Memory,
    device_memory,
    give_back,
    is_out_of_memory,
    rows_that_fit,
)
from core.diffusion.sampling.compute.onednn import fast_matmul
from core.diffusion.sampling.compute.perturbed import perturbable, perturbing
from core.diffusion.sampling.compute.threads import one_thread_each

AS_DIFFUSERS = 2
"""Rows of one cell, with and without the prompt: always computed as diffusers computes them. So is
a third of perturbed attention, and what is said to be one cell's.
"""

_CODES = ("", *PAG_LAYERS)

FEWEST_ROWS = 2
MOST_ROWS = 16
"""Rows of a thread: with fewer a call costs more than it saves, with more they leave the cache."""


CALLS_TO_RECOVER = 256
"""After so many calls without running out, twice as many rows are tried again."""


class RowTooLargeError(RuntimeError):
    """Not even one UNet row of this size fits into the device's memory."""


class UNetRows:
    """Runs all rows of a step, and learns how many fit into memory at once.

    Where the device's free memory can be measured, the first call at each size says what a row
    takes. Out of memory, the rows are halved; a single one is tried once more.

    Where the UNet is compiled, calls of more than half a tile run in tiles of one shape, the last
    of them filled up; fewer rows run as diffusers runs them, so strict cells always do.

    On a CPU each core takes rows of its own. PyTorch would share each small operation among the
    cores and wait for the slowest each time. Which rows go together changes the order of
    floating-point sums, as any batch does, and so does `fast_matmul`; one or two rows are always
    run as diffusers runs them.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        max_rows: int,
        cores: int | None = None,
        memory: Memory | None = None,
        compiled: CompiledUNet | None = None,
    ) -> None:
        self._model = model
        self._compiled = compiled or compiled_unet(model)
        self.max_rows = self._most = max_rows
        self._memory = memory or device_memory(model.device)
        self._measured: dict[tuple[int, ...], int] = {}
        """(C, h, w) -> the rows of that size that fit."""
        self._calls_since_out = 0
        self._plain = AS_DIFFUSERS
        is_cpu = model.device.type == "cpu"
        self._cores = (cores or torch.get_num_threads()) if is_cpu else 1
        self._threads = one_thread_each(self._cores) if self._cores > 1 else None
        self._matmul = fast_matmul()

    def max_rows_of(self, shape: tuple[int, ...]) -> int:
        """Return how many rows of latents (C, h, w) go together, as far as is known."""
        return self._measured.get(shape, self.max_rows)

    def __call__(
        self,
        sample: torch.Tensor,
        timesteps: torch.Tensor,
        embeddings: torch.Tensor,
        *added: torch.Tensor,
        perturbed: Sequence[str] = (),
        is_one_cell: bool = False,
    ) -> torch.Tensor:
        """What the UNet predicts, (rows, C, h, w), for sample (rows, C, h, w), timesteps (rows,),
        embeddings (rows, tokens, width) and what else its family is told, each (rows, ...).
        `perturbed` has for each row the layers whose attention is perturbed, "" for none; empty is
        none at all. The rows that are one cell's run in one call of the UNet, where they fit.

        Raises RowTooLargeError; fewer rows go together each time the memory is not enough.
        """
        self._plain = len(sample) if is_one_cell else AS_DIFFUSERS
        if not any(perturbed):
            return self._together(sample, timesteps, embeddings, *added)
        with perturbable(self._model.unet):
            codes = torch.tensor([_CODES.index(layers) for layers in perturbed])
            return self._together(sample, timesteps, embeddings, *added, codes)

    def _together(self, *whole: torch.Tensor) -> torch.Tensor:
        """All rows, or halves of them where they do not fit; the last tensor may say how each of
        them is perturbed.
        """
        sample = whole[0]
        rows = len(sample)
        size = tuple(sample.shape[1:])
        if rows > self.max_rows_of(size) and rows > 2:
            return self._halves(*whole)
        for _ in range(2 if rows == 1 else 1):
            try:
                found = self._measured_run(*whole)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                # The rest is handled below: in this block the traceback would hold the tensors.
            else:
                self._recover()
                return found
            give_back(self._model.device)
            self._calls_since_out = 0
        if rows == 1:
            width, height = sample.shape[3], sample.shape[2]
            raise RowTooLargeError(
                f"latents of {width} x {height} do not fit into the device's memory"
            )
        fewer = max(rows // 2, 1)
        if size in self._measured:
            self._measured[size] = fewer
        else:
            self.max_rows = fewer
        return self._halves(*whole)

    def _measured_run(self, *whole: torch.Tensor) -> torch.Tensor:
        """Once a size, what its rows take, which says how many have room."""
        size = tuple(whole[0].shape[1:])
        if self._memory is None or size in self._measured:
            return self._run(*whole)
        bring(self._model.unet)
        self._memory.begin()
        found = self._run(*whole)
        fit = rows_that_fit(self._memory, used=self._memory.peak(), rows=len(whole[0]))
        self._measured[size] = min(fit, self._most)
        return found

    def _run(self, *whole: torch.Tensor) -> torch.Tensor:
        rows = len(whole[0])
        plain = self._plain + self._has_codes(whole)
        if rows > plain and self._is_compiled(whole):
            parts = zip(*(tensor.split(TILE) for tensor in whole), strict=True)
            return torch.cat([self._tile(*part) for part in parts])
        if self._model.device.type != "cpu" or rows <= plain:
            return self._call(*whole)
        tile = min(max(-(-rows // self._cores), FEWEST_ROWS), MOST_ROWS)
        if rows <= tile:
            return self._fast_call(whole)
        parts = zip(*(tensor.split(tile) for tensor in whole), strict=True)
        run = self._threads.map if self._threads else map
        return torch.cat(list(run(self._fast_call, parts)))

    def _is_compiled(self, whole: tuple[torch.Tensor, ...]) -> bool:
        """A LoRA's layers are not in what was compiled, nor is perturbed attention."""
        if self._compiled is None or len(whole[0]) <= TILE // 2:
            return False
        if self.max_rows_of(tuple(whole[0].shape[1:])) < TILE:
            return False
        if active_loras(self._model) or self._has_codes(whole):
            return False
        return self._compiled.is_warm(whole, self._call, self._compiled_call)

    def _tile(self, *part: torch.Tensor) -> torch.Tensor:
        """Take at most TILE rows. Few are cheaper as they are than filled up."""
        rows = len(part[0])
        return self._call(*part) if rows <= TILE // 2 else self._compiled_call(*padded(part))[:rows]

    def _has_codes(self, tensors: Sequence[torch.Tensor]) -> bool:
        return len(tensors) > 3 + len(self._model.info.family.added)

    def _recover(self) -> None:
        """Another program may have had the memory, and given it back since."""
        self._calls_since_out += 1
        fewest = min([self.max_rows, *self._measured.values()])
        if self._calls_since_out >= CALLS_TO_RECOVER and fewest < self._most:
            self._calls_since_out = 0
            self._measured = {}  # where it can be measured it is, else twice as many are tried
            if self._memory is None:
                self.max_rows = min(2 * self.max_rows, self._most)

    def _halves(self, *tensors: torch.Tensor) -> torch.Tensor:
        half = (len(tensors[0]) + 1) // 2
        parts = zip(*(tensor.split(half) for tensor in tensors), strict=True)
        return torch.cat([self._together(*part) for part in parts])

    def _fast_call(self, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        with self._matmul():  # it counts for one thread alone
            return self._call(*tensors)

    def _call(self, *tensors: torch.Tensor) -> torch.Tensor:
        return self._predict(self._model.unet, *tensors)

    def _compiled_call(self, *tensors: torch.Tensor) -> torch.Tensor:
        assert self._compiled is not None
        return self._predict(self._compiled.unet, *tensors)

    def _predict(self, unet: Any, *tensors: torch.Tensor) -> torch.Tensor:
        told = [_CODES[code] for code in tensors[-1].tolist()] if self._has_codes(tensors) else ()
        added = tensors[3:-1] if told else tensors[3:]
        known = dict(zip(self._model.info.family.added, added, strict=True))
        guidance = known.pop("timestep_cond", None)
        with torch.no_grad(), perturbing(told) if told else nullcontext():  # as this does
            return unet(
                *tensors[:3],
                timestep_cond=guidance,
                added_cond_kwargs=known or None,
                return_dict=False,
            )[0]
