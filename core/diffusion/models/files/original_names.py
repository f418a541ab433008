"""The original code's names of a UNet's modules, beside diffusers'. Imports no torch.

Single files, and the LoRAs that were trained on them, use those of Stability's generative-models
(sgm): input_blocks, middle_block, output_blocks. Source: diffusers'
scripts/convert_diffusers_to_original_stable_diffusion.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_INSIDE_RESNETS = (
    (".norm1.", ".in_layers.0."),
    (".conv1.", ".in_layers.2."),
    (".norm2.", ".out_layers.0."),
    (".conv2.", ".out_layers.3."),
    (".time_emb_proj.", ".emb_layers.1."),
    (".conv_shortcut.", ".skip_connection."),
)
_OUTSIDE = (
    ("time_embedding.linear_1.", "time_embed.0."),
    ("time_embedding.linear_2.", "time_embed.2."),
    ("add_embedding.linear_1.", "label_emb.0.0."),
    ("add_embedding.linear_2.", "label_emb.0.2."),
    ("conv_in.", "input_blocks.0.0."),
    ("conv_norm_out.", "out.0."),
    ("conv_out.", "out.2."),
    ("mid_block.resnets.0.", "middle_block.0."),
    ("mid_block.attentions.0.", "middle_block.1."),
    ("mid_block.resnets.1.", "middle_block.2."),
)


def original_name(module: str, config: Any) -> str:
    """Give the original name of one of diffusers' UNet modules, "" where there is none."""
    name = f"{module}."
    for ours, theirs in (*_OUTSIDE, *_block_names(config)):
        if name.startswith(ours):
            name = theirs + name.removeprefix(ours)
            break
    else:
        return ""
    if ".resnets." in module:
        for ours, theirs in _INSIDE_RESNETS:
            name = name.replace(ours, theirs)
    return name.removesuffix(".")


def _block_names(config: Any) -> Sequence[tuple[str, str]]:
    """Each block's beginning, diffusers' and the original's; none for UNets of uneven blocks."""
    layers = config.layers_per_block
    if not isinstance(layers, int):
        return ()
    found: list[tuple[str, str]] = []
    for level, kind in enumerate(config.up_block_types):
        down, up = level * (layers + 1) + 1, level * (layers + 1)
        for index in range(layers):
            at = f"input_blocks.{down + index}"
            found.append((f"down_blocks.{level}.resnets.{index}.", f"{at}.0."))
            found.append((f"down_blocks.{level}.attentions.{index}.", f"{at}.1."))
        at = f"input_blocks.{down + layers}"
        found.append((f"down_blocks.{level}.downsamplers.0.conv.", f"{at}.0.op."))
        for index in range(layers + 1):
            at = f"output_blocks.{up + index}"
            found.append((f"up_blocks.{level}.resnets.{index}.", f"{at}.0."))
            found.append((f"up_blocks.{level}.attentions.{index}.", f"{at}.1."))
        after = 2 if "CrossAttn" in kind else 1
        found.append((f"up_blocks.{level}.upsamplers.0.", f"output_blocks.{up + layers}.{after}."))
    return found
