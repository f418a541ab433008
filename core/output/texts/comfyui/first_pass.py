"""ComfyUI's graph -> the settings of its first pass. FLAT_TOOLS' texts are read elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from core.output.texts.a1111.parameters import Parsed
from core.output.texts.comfyui.graph import Graph, Node
from core.output.texts.comfyui.prompts import read_prompt
from core.output.texts.comfyui.workflow import read_workflow
from core.output.texts.facts import Facts, number, understand
from core.output.texts.files.found import Texts

_PARTED = ("SamplerCustom", "SamplerCustomAdvanced")
"""Samplers whose settings stand in nodes of their own."""
_LATENTS = ("latent_image", "latent", "samples", "image", "pixels", "latent_opt")
_MODEL_NAMES = ("ckpt_name", "unet_name", "model_name", "base_ckpt_name", "model_path")
_NO_STEP_ASIDE = re.compile(
    r"Loader|Reroute|Lora|Checkpoint|UNET|Primitive|CLIPSetLastLayer|Switch|Cache|Compile", re.I
)
_SIZE = re.compile(r"(\d{2,5})\s{0,4}[x×]\s{0,4}(\d{2,5})")
_SPACINGS: Mapping[str, str] = {
    "KarrasScheduler": "karras",
    "ExponentialScheduler": "exponential",
    "PolyexponentialScheduler": "polyexponential",
}
_SAID: tuple[tuple[str, str], ...] = (
    ("controlnet", "ControlNet"),
    ("ipadapter", "IP-Adapter"),
    ("detailer", "a detailer"),
    ("upscale", "an enlargement"),
    ("modelsampling", "another noise schedule of the model"),
)
"""What a node's class tells of what has no effect here."""


def parse_comfyui(texts: Texts) -> list[Parsed]:
    """What each graph among the texts says of its first pass. The one that ran comes before the
    one that was drawn, which is read where there is no other.
    """
    objects = [given for _, given in texts.objects]
    return _understood(map(Graph.read, objects)) or _understood(map(read_workflow, objects))


def _understood(graphs: Iterable[Graph | None]) -> list[Parsed]:
    found = [understand_graph(graph) for graph in graphs if graph is not None]
    return [parsed for parsed in found if parsed is not None]


def understand_graph(graph: Graph) -> Parsed | None:
    """The settings of a graph, or None where it has no sampler."""
    samplers = [node for node in graph.nodes.values() if _is_sampler(node)]
    if not samplers:
        return None
    later = _after_a_sampler(graph, samplers)
    first = [node for node in samplers if node.name not in later] or samplers
    notes: list[str] = []
    if len(first) > 1:
        notes.append(f"Its graph makes {len(first)} pictures: the first one's settings are taken.")
    if len(samplers) > len(first):
        notes.append(f"It was made in {len(samplers)} passes: the first one is taken.")
    # A pass whose latents come from nowhere known, at full strength, is no second one.
    sampler = min(first, key=lambda node: _denoise(graph, node) < 1)
    parts = _parts(graph, sampler)
    positive = read_prompt(graph, parts.get("positive"), "positive")
    negative = read_prompt(graph, parts.get("negative"), "negative")
    model, loras, aside = _model(graph, parts.get("model"))
    width, height = _size(graph, sampler)
    notes.extend((*positive.notes, *negative.notes))
    notes.extend(_strength_notes(graph, sampler, parts))
    notes.extend(_graph_notes(graph, aside))
    return understand(
        Facts(
            tool="ComfyUI",
            prompt=positive.text,
            negative_prompt=negative.text,
            numbers={
                "seed": parts.get("seed"),
                "num_inference_steps": parts.get("steps"),
                "guidance_scale": parts.get("cfg"),
                "width": width,
                "height": height,
            },
            sampler=parts.get("sampler", ""),
            schedule=parts.get("schedule", ""),
            model=model,
            loras=tuple(loras),
            vae=_vae(graph),
            notation="ComfyUI",
            notes=tuple(notes),
        )
    )


def _denoise(graph: Graph, sampler: Node) -> float:
    strength = number(_parts(graph, sampler).get("denoise"), float)
    return 1.0 if strength is None else strength


def _is_sampler(node: Node) -> bool:
    return node.kind in _PARTED or {"steps", "cfg", "sampler_name"} <= node.inputs.keys()


def _after_a_sampler(graph: Graph, samplers: list[Node]) -> set[str]:
    """Nodes that work on what a sampler made. Another sampler counts where that comes in as its
    latents or picture: a prompt may be made from a finished picture too.
    """
    users: dict[str, list[tuple[str, Node]]] = {}
    for node in graph.nodes.values():
        for name, target, _ in graph.links(node):
            users.setdefault(target.name, []).append((name, node))
    later: set[str] = set()
    todo = [node.name for node in samplers]
    while todo:
        for name, user in users.get(todo.pop(), ()):
            if user.name in later or (_is_sampler(user) and name not in _LATENTS):
                continue
            later.add(user.name)
            todo.append(user.name)
    return later


def _parts(graph: Graph, sampler: Node) -> dict[str, Any]:
    """A sampler's settings, wherever they stand: in itself or in nodes that it is linked to."""
    inputs = sampler.inputs
    parts: dict[str, Any] = {
        "seed": graph.number(sampler, "seed", "noise_seed"),
        "steps": graph.number(sampler, "steps"),
        "cfg": graph.number(sampler, "cfg"),
        "sampler": graph.name(sampler, "sampler_name"),
        "schedule": graph.name(sampler, "scheduler"),
        "denoise": graph.number(sampler, "denoise"),
        "positive": inputs.get("positive"),
        "negative": inputs.get("negative"),
        "model": inputs.get("model"),
    }
    if sampler.kind not in _PARTED:
        return parts
    if noise := graph.through(inputs.get("noise")):
        parts["seed"] = graph.number(noise[0], "noise_seed", "seed")
    if guider := graph.through(inputs.get("guider")):
        given = guider[0].inputs
        parts["model"] = given.get("model")
        parts["positive"] = given.get("positive", given.get("conditioning"))
        parts["negative"] = given.get("negative")
        parts["cfg"] = graph.number(guider[0], "cfg")
        if guider[0].kind == "BasicGuider":
            parts["cfg"], parts["negative"] = 1.0, ""  # it has no guidance
    if chosen := graph.through(inputs.get("sampler")):
        parts["sampler"] = graph.name(chosen[0], "sampler_name") or chosen[0].kind.removeprefix(
            "Sampler"
        )
    parts.update(_sigmas(graph, inputs.get("sigmas")))
    return parts


def _sigmas(graph: Graph, value: Any) -> dict[str, Any]:
    """Steps, spacing and denoising strength of a node of sigmas, behind those that split them."""
    seen: set[str] = set()
    while (target := graph.through(value)) and target[0].name not in seen:
        node = target[0]
        seen.add(node.name)
        if "steps" not in node.inputs and "sigmas" in node.inputs:
            value = node.inputs["sigmas"]
            continue
        return {
            "steps": graph.number(node, "steps"),
            "schedule": _SPACINGS.get(node.kind) or graph.name(node, "scheduler") or node.kind,
            "denoise": graph.number(node, "denoise"),
        }
    return {}


def _model(graph: Graph, value: Any) -> tuple[str, list[tuple[str, float]], list[str]]:
    """The checkpoint's file, LoRAs with their weights, and what else changes the model."""
    loras: list[tuple[str, float]] = []
    aside: list[str] = []
    seen: set[str] = set()
    while (target := graph.through(value)) and target[0].name not in seen:
        node = target[0]
        seen.add(node.name)
        loras.extend(_loras(graph, node))
        if name := graph.name(node, *_MODEL_NAMES):
            return name, loras, aside
        if not _NO_STEP_ASIDE.search(node.kind):
            aside.append(node.kind)
        value = node.inputs.get("model")
    return "", loras, aside


def _loras(graph: Graph, node: Node) -> list[tuple[str, float]]:
    """The LoRAs that a node adds to the model: one, or rgthree's list of them."""
    found: list[tuple[str, float]] = []
    if name := graph.name(node, "lora_name"):
        weight = number(graph.number(node, "strength_model", "strength", "lora_wt"), float)
        found.append((name, 1.0 if weight is None else weight))
    for value in node.inputs.values():
        if isinstance(value, dict) and value.get("on") and isinstance(value.get("lora"), str):
            weight = number(value.get("strength"), float)
            found.append((value["lora"], 1.0 if weight is None else weight))
    return [(name, weight) for name, weight in found if name != "None" and weight]


def _vae(graph: Graph) -> str:
    """The file of the one loader of a VAE; "" where the checkpoint's own is used."""
    names = {graph.name(node, "vae_name") for node in graph.nodes.values() if "VAE" in node.kind}
    names.discard("")
    return names.pop() if len(names) == 1 else ""


def _size(graph: Graph, sampler: Node) -> tuple[Any, Any]:
    """The size at which the first pass runs: that of the node its latents come from."""
    seen: set[str] = set()
    node = sampler
    while node.name not in seen:
        seen.add(node.name)
        value = next((node.inputs[name] for name in _LATENTS if name in node.inputs), None)
        target = graph.through(value)
        if target is None:
            return None, None
        node = target[0]
        width = graph.number(node, "width", "empty_latent_width")
        height = graph.number(node, "height", "empty_latent_height")
        if width is not None and height is not None:
            return width, height
        named = graph.name(node, "dimensions", "resolution")
        if size := _SIZE.search(named[:100]):
            return size[1], size[2]
    return None, None


def _strength_notes(graph: Graph, sampler: Node, parts: Mapping[str, Any]) -> list[str]:
    strength = number(parts.get("denoise"), float)
    start = number(graph.number(sampler, "start_at_step"), int)
    if strength is not None and strength < 1:
        return [
            f"Its first pass had a denoising strength of {strength:g}, from another picture: "
            "that is not in the file."
        ]
    if start:
        return [f"Its first pass began at step {start}, from another picture or noise."]
    return []


def _graph_notes(graph: Graph, aside: list[str]) -> list[str]:
    kinds = [node.kind.lower() for node in graph.nodes.values()]
    unused = [words for mark, words in _SAID if any(mark in kind for kind in kinds)]
    unused += [f"the node {kind[:60]}" for kind in aside if "ModelSampling" not in kind]
    notes = (
        [f"Its graph has parts that are not used here: {', '.join(unused[:8])}."] if unused else []
    )
    for node in graph.nodes.values():
        layer = node.inputs.get("stop_at_clip_layer")
        if isinstance(layer, int) and layer < -1:
            notes.append(
                f"Its clip skip ({-layer}) is left out: Clip skip {-layer - 1} is that here."
            )
            break
    return notes
