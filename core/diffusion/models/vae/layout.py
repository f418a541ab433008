"""What a VAE is, by its configuration or by the names and shapes of its tensors.

Three kinds of names are read: those of the original code, as in the single files that are passed
around, those of diffusers, and those of the tiny autoencoders (TAESD). Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

VaeClass = Literal["AutoencoderKL", "AutoencoderTiny"]
CLASSES: tuple[VaeClass, ...] = ("AutoencoderKL", "AutoencoderTiny")
PREFIX = "first_stage_model."
"""What stands before each name where the file was cut out of a whole checkpoint."""

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """`factor` is pixels a latent in each direction. `blocks` are the encoder's channels, level by
    level, `depth` its ResNet blocks a level and `has_attention` whether its middle has any: by
    these a single file is told from another layout. `scaling` and `shift` are what a configuration
    says of its latents, None where the family's are meant.
    """

    class_name: VaeClass
    channels: int
    factor: int
    blocks: tuple[int, ...] = ()
    depth: int = 0
    has_attention: bool = True
    scaling: float | None = None
    shift: float | None = None


def layout_of_config(config: Mapping[str, Any]) -> Layout | None:
    """The layout that a folder's config.json describes; None where it is no VAE of ours.

    Raises KeyError, TypeError or ValueError for values that no configuration has.
    """
    name = config.get("_class_name")
    if name == "AutoencoderTiny":
        levels = config.get("decoder_block_out_channels") or config.get("block_out_channels")
        count = len(levels or (64, 64, 64, 64))
        return Layout(
            class_name="AutoencoderTiny",
            channels=int(config.get("latent_channels", 4)),
            factor=2 ** (count - 1),
            scaling=float(config.get("scaling_factor", 1.0)),
            shift=float(config.get("shift_factor") or 0.0),
        )
    if name != "AutoencoderKL":
        return None
    blocks = tuple(int(one) for one in config["block_out_channels"])
    return Layout(
        class_name="AutoencoderKL",
        channels=int(config["latent_channels"]),
        factor=2 ** (len(blocks) - 1),
        blocks=blocks,
        depth=int(config.get("layers_per_block", 1)),
        has_attention=bool(config.get("mid_block_add_attention", True)),
        scaling=float(config.get("scaling_factor", 0.18215)),
        shift=float(config.get("shift_factor") or 0.0),
    )


_LEVEL = re.compile(
    r"encoder\.(?:down\.(\d+)\.block|down_blocks\.(\d+)\.resnets)\.(\d+)\.conv1\.weight"
)
_ATTENTION = re.compile(r"encoder\.mid(?:\.attn_1|_block\.attentions)\.")
_TINY_STAGE = re.compile(r"decoder\.layers\.(\d+)\.weight")


def layout_of_tensors(tensors: Shapes) -> Layout | None:
    """The layout of a single file, by its tensors' names and shapes; None where it is no VAE."""
    shapes = {name.removeprefix(PREFIX): shape for name, shape in tensors.items()}
    first = shapes.get("decoder.conv_in.weight", ())
    if len(first) == 4:
        return _layout_of_kl(shapes, first[1])
    # A tiny decoder is one list: a convolution at each end, and one at the end of each level.
    stages = [name for name in shapes if _TINY_STAGE.fullmatch(name)]
    first = shapes.get("decoder.layers.0.weight", ())
    if len(first) == 4 and "encoder.layers.0.weight" in shapes and len(stages) > 1:
        return Layout(
            class_name="AutoencoderTiny", channels=first[1], factor=2 ** (len(stages) - 2)
        )
    return None


def _layout_of_kl(shapes: Shapes, channels: int) -> Layout | None:
    levels: dict[int, dict[int, int]] = {}
    for name, shape in shapes.items():
        if match := _LEVEL.fullmatch(name):
            levels.setdefault(int(match[1] or match[2]), {})[int(match[3])] = shape[0]
    if not levels or sorted(levels) != list(range(len(levels))):
        return None
    return Layout(
        class_name="AutoencoderKL",
        channels=channels,
        factor=2 ** (len(levels) - 1),
        blocks=tuple(levels[level][0] for level in range(len(levels)) if 0 in levels[level]),
        depth=max(len(blocks) for blocks in levels.values()),
        has_attention=any(_ATTENTION.match(name) for name in shapes),
    )
