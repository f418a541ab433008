"""ComfyUI's "workflow" text, the graph as its editor draws it -> the graph as it runs.

A node there is `{"id", "type", "mode", "inputs": [{"name", "link", "widget"}], "widgets_values"}`,
and a link `[id, from node, from slot, to node, to slot, type]`, or an object of the same. A node's
widgets stand in a list of values without names: WIDGETS has those of ComfyUI's own nodes (nodes.py
and comfy_extras), and newer files name them among the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.output.texts.comfyui.graph import Graph

_MOST_NODES = 5_000
_MUTED, _BYPASSED = 2, 4
_CONTROL = ""
"""What the editor does with a seed afterwards ("randomize"): no input of the node."""

_SIZE = ("width", "height", "batch_size")
WIDGETS: Mapping[str, Sequence[str]] = {
    "KSampler": ("seed", _CONTROL, "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", _CONTROL, "steps", "cfg", "sampler_name", "scheduler"),
        *("start_at_step", "end_at_step", "return_with_leftover_noise"),
    ),
    "SamplerCustom": ("add_noise", "noise_seed", _CONTROL, "cfg"),
    "RandomNoise": ("noise_seed", _CONTROL),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "KarrasScheduler": ("steps", "sigma_max", "sigma_min", "rho"),
    "ExponentialScheduler": ("steps", "sigma_max", "sigma_min"),
    "PolyexponentialScheduler": ("steps", "sigma_max", "sigma_min", "rho"),
    "SDTurboScheduler": ("steps", "denoise"),
    "AlignYourStepsScheduler": ("model_type", "steps", "denoise"),
    "CFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": (
        *("width", "height", "crop_w", "crop_h", "target_width", "target_height"),
        *("text_g", "text_l"),
    ),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "CheckpointLoader": ("config_name", "ckpt_name"),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "VAELoader": ("vae_name",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "EmptyLatentImage": _SIZE,
    "EmptySD3LatentImage": _SIZE,
    "LatentUpscale": ("upscale_method", "width", "height", "crop"),
    "LatentUpscaleBy": ("upscale_method", "scale_by"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "ControlNetApplyAdvanced": ("strength", "start_percent", "end_percent"),
    "PrimitiveNode": ("value", _CONTROL),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "PrimitiveInt": ("value", _CONTROL),
    "PrimitiveFloat": ("value",),
    "StringConcatenate": ("string_a", "string_b", "delimiter"),
}


def read_workflow(found: Mapping[str, Any]) -> Graph | None:
    """The graph of an editor's file, or None where it is none."""
    drawn = found.get("nodes")
    if not isinstance(drawn, list) or len(drawn) > _MOST_NODES:
        return None
    nodes = {str(node.get("id")): node for node in drawn if _is_node(node)}
    ends = _links(found.get("links"))
    entries: dict[str, Any] = {}
    for name, node in nodes.items():
        if node.get("mode") in (_MUTED, _BYPASSED):
            continue
        inputs = _values(node)
        for given in _dicts(node.get("inputs")):
            source = _source(given.get("link"), nodes, ends)
            if source is not None and isinstance(given.get("name"), str):
                inputs[given["name"]] = source
        entries[name] = {"class_type": node["type"], "inputs": inputs}
    return Graph.read(entries)


def _is_node(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("type"), str)


def _dicts(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _links(found: Any) -> dict[Any, tuple[str, int]]:
    """A link's number -> the node that it comes from, and the number of its output."""
    ends: dict[Any, tuple[str, int]] = {}
    for link in found if isinstance(found, list) else ():
        if isinstance(link, list) and len(link) >= 3:
            number, node, slot = link[:3]
        elif isinstance(link, dict):
            number, node, slot = (link.get(n) for n in ("id", "origin_id", "origin_slot"))
        else:
            continue
        if isinstance(number, int | str) and isinstance(slot, int):
            ends[number] = (str(node), slot)
    return ends


def _source(
    link: Any, nodes: Mapping[str, Any], ends: Mapping[Any, tuple[str, int]]
) -> list[Any] | None:
    """Where a link comes from, past nodes that are bypassed; None where it comes from nowhere."""
    seen: set[str] = set()
    while isinstance(link, int | str) and link in ends:
        name, slot = ends[link]
        node = nodes.get(name)
        if node is None or node.get("mode") == _MUTED or name in seen:
            return None
        if node.get("mode") != _BYPASSED:
            return [name, slot]
        seen.add(name)
        outputs = _dicts(node.get("outputs"))
        kind = outputs[slot].get("type") if slot < len(outputs) else None
        same = [one for one in _dicts(node.get("inputs")) if one.get("type") == kind]
        link = same[0].get("link") if same else None
    return None


def _values(node: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in a node's widgets, by their names."""
    values = node.get("widgets_values")
    if isinstance(values, dict):
        return {str(name): value for name, value in values.items()}
    if not isinstance(values, list):
        return {}
    names = list(WIDGETS.get(node["type"]) or _named_widgets(node, len(values)))
    return {name: value for name, value in zip(names, values, strict=False) if name != _CONTROL}


def _named_widgets(node: Mapping[str, Any], count: int) -> list[str]:
    """The names that a newer file gives; behind a seed stands what is done with it afterwards."""
    names: list[str] = []
    for given in _dicts(node.get("inputs")):
        widget = given.get("widget")
        if isinstance(widget, dict) and isinstance(widget.get("name"), str):
            names.append(widget["name"])
    for index in [i for i, name in enumerate(names) if name in ("seed", "noise_seed")][:1]:
        if len(names) < count:
            names.insert(index + 1, _CONTROL)
    return names
