"""From a sampler's `positive` or `negative` back to the texts that ComfyUI encoded for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from core.output.texts.comfyui.graph import Graph, Node

Side = Literal["positive", "negative"]

_ENCODED = ("text", "text_g", "text_l", "t5xxl", "clip_g", "clip_l", "prompt")
"""Inputs of the nodes that encode a text, for one encoder or several."""
_JOINING = ("ConditioningCombine", "ConditioningConcat", "ConditioningAverage")
_CONDITIONING = re.compile(r"cond(itioning)?(_?[a-z\d]+)?", re.I)
_LORA_WORD = re.compile(r"<lora:[^<>]{1,200}>", re.I)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A prompt, None where it was not found, and what must be said of it."""

    text: str | None
    notes: tuple[str, ...] = ()


def read_prompt(graph: Graph, value: Any, side: Side) -> Reading:
    """The text behind a conditioning link.

    A text that goes through two outputs (ControlNet's) is followed through its own; one that is
    zeroed out is ""; several that are combined are joined by commas, which is said. Where one of
    them is not found, none is: half a prompt is another prompt.
    """
    if isinstance(value, str):
        return Reading(text=value)  # loaders that hold their prompts themselves
    texts: list[str] = []
    notes: list[str] = []
    seen: set[tuple[str, int]] = set()
    todo: list[Any] = [value]
    while todo:
        raw = todo.pop()
        if isinstance(raw, str):
            texts.append(raw)
            continue
        target = graph.link(raw)
        if target is None:
            return Reading(text=None, notes=tuple(notes))
        if (target[0].name, target[1]) in seen:
            continue
        seen.add((target[0].name, target[1]))
        step = _step(graph, *target, side)
        if step is None:
            where = f"The {side} prompt comes out of the node {target[0].kind[:60]!r}, "
            return Reading(text=None, notes=(*notes, where + "which does not hold it."))
        found, onward, said = step
        texts.extend(found)
        notes.extend([said] if said else [])
        todo.extend(reversed(onward))
    if not texts:
        return Reading(text=None, notes=tuple(notes))  # a circle
    kinds = list(dict.fromkeys(text.strip() for text in texts))
    if len(kinds) > 1:
        kinds = [text for text in kinds if text]
        notes.append(f"Its {side} prompt is made of {len(kinds)} texts: joined by commas here.")
    return Reading(text=", ".join(kinds), notes=tuple(dict.fromkeys(notes)))


Step = tuple[list[str], list[Any], str]


def _step(graph: Graph, node: Node, slot: int, side: Side) -> Step | None:
    """What one node gives: texts, links to follow, a note. None where it cannot be known."""
    inputs = node.inputs
    if node.kind == "ConditioningZeroOut":
        # Nothing: what a negative prompt left empty is meant to be.
        return ([""], [], "") if side == "negative" else None
    if "positive" in inputs and "negative" in inputs:
        return _one_of_two(node, slot)
    if isinstance(inputs.get("populated_text"), str):
        return [inputs["populated_text"]], [], ""
    if any(name in inputs for name in _ENCODED):
        return _encoded(graph, node)
    links = [(name, inputs[name]) for name, _, _ in graph.links(node)]
    if node.kind in _JOINING:
        return [], [link for _, link in links], "Conditionings are combined in its graph."
    conditionings = [link for name, link in links if _CONDITIONING.fullmatch(name)]
    if len(conditionings) == 1:
        return [], conditionings, ""
    if not conditionings and len(links) == 1:
        return [], [links[0][1]], ""
    if node.kind.startswith("Any Switch"):
        return [], [min(links)[1]] if links else [], ""
    return None


def _one_of_two(node: Node, slot: int) -> Step | None:
    """Nodes that take both sides in and give both out: first the positive, then the negative.

    Loaders that hold prompts give the model first.
    """
    first = 1 if "ckpt_name" in node.inputs else 0
    if slot not in (first, first + 1):
        return None
    return [], [node.inputs["positive" if slot == first else "negative"]], ""


def _encoded(graph: Graph, node: Node) -> Step | None:
    texts: list[str] = []
    for name in _ENCODED:
        if name in node.inputs:
            text = graph.text(node.inputs[name])
            if text is None:
                return None
            texts.append(text)
    said = ""
    if len({text.strip() for text in texts if text.strip()}) > 1:
        said = "Its text encoders had a text each."
    if any(_LORA_WORD.search(text) for text in texts):
        said = "A LoRA in its prompt may not have been used: ComfyUI itself reads none there."
    return texts, [], said
