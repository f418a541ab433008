"""A LoRA file's layers: for each module of a model what is added to it, and how strongly.

The strength at weight 1 is alpha / rank. alpha stands beside a layer's tensors (kohya's files, in
which it may differ from layer to layer), or in the header under "lora_adapter_metadata" (diffusers'
`save_lora_weights`); where it stands in neither it is the rank, which is strength 1. Other entries
of a header say nothing of the strength: diffusers does not read them, and no other tool does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch

from core.diffusion.models.lora.names import HEADER, ModuleNames, Role, other_kind, split_name


class LoraFileError(ValueError):
    """A file whose layers cannot be used; the message says which tensor, and why."""


class LoraMisfitError(LoraFileError):
    """A file that is made for models of other modules or sizes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LoraLayer:
    """`alpha / rank` times up @ down is added to the module's weight.

    `down` is (rank, in, ...), `up` (out, rank, ...). `magnitude`, (out,) or (1, out, 1, 1), is
    DoRA's: the norm that each row of the sum is given (Liu et al. 2024, eq. 5).
    """

    down: torch.Tensor
    up: torch.Tensor
    alpha: float
    magnitude: torch.Tensor | None = None

    @property
    def rank(self) -> int:
        return self.down.shape[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class PartLayers:
    """One part's layers by module. `use_rslora` divides by the root of the rank (rsLoRA)."""

    layers: dict[str, LoraLayer] = field(default_factory=dict[str, LoraLayer])
    use_rslora: bool = False

    def state_dict(self, prefix: str = "") -> dict[str, torch.Tensor]:
        """Spell the tensors as peft does."""
        found: dict[str, torch.Tensor] = {}
        for module, layer in self.layers.items():
            found[f"{prefix}{module}.lora_A.weight"] = layer.down
            found[f"{prefix}{module}.lora_B.weight"] = layer.up
            if layer.magnitude is not None:
                found[f"{prefix}{module}.lora_magnitude_vector"] = layer.magnitude
        return found

    def config(self) -> dict[str, Any]:
        """Give the arguments of peft's LoraConfig: each layer's own rank and alpha, by its name."""
        first = next(iter(self.layers.values()))
        exact = {f"^{re.escape(module)}": layer for module, layer in self.layers.items()}
        return {
            "r": first.rank,
            "lora_alpha": first.alpha,
            "rank_pattern": {k: one.rank for k, one in exact.items() if one.rank != first.rank},
            "alpha_pattern": {k: one.alpha for k, one in exact.items() if one.alpha != first.alpha},
            "target_modules": list(self.layers),
            "use_rslora": self.use_rslora,
            "use_dora": first.magnitude is not None,
        }


def lora_layers(
    tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str], parts: dict[str, Any]
) -> dict[str, PartLayers]:
    """Sort a file's tensors by the parts and modules of a model. Raises LoraFileError.

    `metadata` is the file's header; `parts` are the UNet and the text encoders by their names.
    """
    if kind := other_kind(tensors):
        raise LoraFileError(f"is {kind}, which this version does not run")
    names = ModuleNames(parts)
    pieces: dict[tuple[str, str], dict[Role, torch.Tensor]] = {}
    said: dict[tuple[str, str], str] = {}
    for tensor, value in tensors.items():
        split = split_name(tensor)
        if split is None:
            raise LoraFileError(f"has a tensor that no LoRA known here has ({tensor})")
        place = names.find(split[0])
        if place is None:
            raise LoraMisfitError(f"is for modules that this model does not have ({split[0]})")
        if not torch.isfinite(value.float()).all():
            raise LoraFileError(f"holds numbers that are none (NaN or infinity) in {tensor}")
        pieces.setdefault(place, {})[split[1]] = value
        said.setdefault(place, split[0])
    header = _header(metadata)
    found: dict[str, PartLayers] = {}
    for (part, module), roles in pieces.items():
        missing = [role for role in ("down", "up") if role not in roles]
        if missing:
            raise LoraFileError(f"lacks the {missing[0]} half of {said[part, module]}")
        into = found.setdefault(
            part, PartLayers(use_rslora=bool(header.get(f"{part}.use_rslora", False)))
        )
        base = parts[part].get_submodule(module)
        alpha = _alpha(header, part, module)
        into.layers[module] = _layer(said[part, module], base, roles, alpha)
    for layers in found.values():
        if len({layer.magnitude is None for layer in layers.layers.values()}) == 2:
            raise LoraFileError("has magnitudes (DoRA) for some of its layers alone")
    return found


def _layer(
    name: str, base: Any, roles: Mapping[Role, torch.Tensor], alpha: float | None
) -> LoraLayer:
    weight = getattr(base, "weight", None)
    if weight is None or weight.ndim not in (2, 4):
        raise LoraMisfitError(f"adds to {name}, which is no matrix in this model")
    down, up = roles["down"], roles["up"]
    if "mid" in roles:  # LyCORIS' Tucker form: the middle holds the kernel
        down = torch.einsum("rjhw,ji->rihw", roles["mid"], down.flatten(1))
    down, up = (_as_many_axes(one, weight.ndim) for one in (down, up))
    wanted = (weight.shape[1], weight.shape[0])
    if (down.shape[1], up.shape[0]) != wanted or down.shape[0] != up.shape[1]:
        sizes = f"{down.shape[1]} to {up.shape[0]}, this model's {wanted[0]} to {wanted[1]}"
        if name.replace("_", ".").endswith(("attn2.to.k", "attn2.to.v")):
            sizes = f"its prompts are {down.shape[1]} wide, this model's {wanted[0]}"
        raise LoraMisfitError(f"has other sizes in {name} ({sizes})")
    if down.shape[2:] != weight.shape[2:]:
        raise LoraMisfitError(f"has another kernel in {name}")
    if "alpha" in roles:
        alpha = float(roles["alpha"])
    magnitude = roles.get("magnitude")
    if magnitude is not None:
        is_by_input = magnitude.ndim == 2 and magnitude.shape[0] == 1 != magnitude.shape[1]
        if is_by_input or magnitude.numel() != weight.shape[0]:
            raise LoraFileError(
                f"has magnitudes (DoRA) by input in {name}; those by output alone are run"
            )
        # As peft keeps it: one number a row of the matrix, on the axis of a convolution's channels.
        magnitude = magnitude.reshape((1, -1, 1, 1) if weight.ndim == 4 else (-1,))
    rank = float(down.shape[0])
    return LoraLayer(
        down=down.contiguous(),
        up=up.contiguous(),
        alpha=rank if alpha is None else alpha,
        magnitude=magnitude,
    )


def _as_many_axes(tensor: torch.Tensor, axes: int) -> torch.Tensor:
    """A 1 x 1 convolution and a linear layer are the same matrix."""
    if axes == 2 and tensor.ndim == 4 and tensor.shape[2:] == (1, 1):
        return tensor.flatten(1)
    return tensor[..., None, None] if axes == 4 and tensor.ndim == 2 else tensor


def _header(metadata: Mapping[str, str]) -> dict[str, Any]:
    """diffusers' entry: "unet.lora_alpha" and the like. Raises LoraFileError."""
    text = metadata.get(HEADER)
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise LoraFileError(f"has a header ({HEADER}) that cannot be read")
    return cast(dict[str, Any], found)


def _alpha(header: Mapping[str, Any], part: str, module: str) -> float | None:
    """What the header says of a layer: peft matches its patterns with the end of the name."""
    whole = header.get(f"{part}.lora_alpha", header.get("lora_alpha"))
    patterns: Any = header.get(f"{part}.alpha_pattern") or {}
    if isinstance(patterns, dict):
        for pattern, alpha in cast(dict[str, Any], patterns).items():
            if re.match(rf"(.*\.)?({pattern})$", module):
                whole = alpha
                break
    try:
        return None if whole is None else float(whole)
    except (TypeError, ValueError):
        raise LoraFileError(f"has a header ({HEADER}) whose alpha is no number") from None
