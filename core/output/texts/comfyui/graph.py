"""ComfyUI's graph as its "prompt" text holds it: nodes, and what stands at the end of their links.

A node is `{"class_type": ..., "inputs": {name: value or [node, slot]}}`. Links that lead through
reroutes, and values that come from a node of their own, are followed. A subgraph's nodes have
names like "12:3". No walk visits a node twice, so a graph with a circle ends too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_VALUE_NAMES = ("value", "Value", "int", "float", "number", "Number", "seed")
_TEXT_NAMES = ("value", "text", "string", "prompt", "Text", "String", "prompt_text")
_JOINS = re.compile(r"concat|join|combine|append", re.I)
_SEPARATORS = ("delimiter", "separator", "delim", "join_with")
_MADE_LATER = re.compile(
    r"random|wildcard|dynamic|generat|llm|llama|gpt|tagger|caption|interrogat|florence|translat"
    r"|switch|regex|replace|format|template|math|increment|expression",
    re.I,
)
"""Kinds of nodes whose result stands nowhere in the graph."""
_LONGEST_KIND = 200
_MOST_LETTERS = 200_000
_MOST_VISITS = 2_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """A node: its name in the graph, its class, and its inputs, values and links."""

    name: str
    kind: str
    inputs: Mapping[str, Any] = field(repr=False)


def _is_reroute(node: Node) -> bool:
    """Return whether a node only hands on what comes in at its one input."""
    only = next(iter(node.inputs)) if len(node.inputs) == 1 else None
    return only is not None and ("reroute" in node.kind.lower() or only in ("", "*", "any"))


class Graph:
    """The nodes of a graph by their names."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        self._visits = 0

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Graph | None:
        """The graph in an object, or None where none of its entries is a node."""
        nodes: dict[str, Node] = {}
        for name, entry in found.items():
            if not isinstance(entry, dict):
                continue
            kind, inputs = entry.get("class_type"), entry.get("inputs")
            if isinstance(kind, str) and isinstance(inputs, dict):
                named = {str(key): value for key, value in inputs.items()}
                nodes[name] = Node(name=name, kind=kind[:_LONGEST_KIND], inputs=named)
        return cls(nodes) if nodes else None

    def link(self, value: Any) -> tuple[Node, int] | None:
        """The node and the number of the output that a value leads to; None for a plain value."""
        if not isinstance(value, list) or len(value) != 2:
            return None
        name, slot = value
        if isinstance(slot, bool) or not isinstance(slot, int):
            return None
        if not isinstance(name, str | int) or str(name) not in self.nodes:
            return None
        return self.nodes[str(name)], slot

    def links(self, node: Node) -> Iterator[tuple[str, Node, int]]:
        """A node's inputs that are links: name, the node there, its output."""
        for name, value in node.inputs.items():
            if target := self.link(value):
                yield name, *target

    def through(self, value: Any) -> tuple[Node, int] | None:
        """The node at the end of a link, behind reroutes."""
        target, seen = self.link(value), set[str]()
        while target and _is_reroute(target[0]) and target[0].name not in seen:
            seen.add(target[0].name)
            following = self.link(next(iter(target[0].inputs.values())))
            if following is None:
                break
            target = following
        return target

    def number(self, node: Node, *names: str) -> Any:
        """A node's number under the first of the names that is there, or None.

        One that comes from another node is taken where that node holds it plainly.
        """
        raw = next((node.inputs[name] for name in names if name in node.inputs), None)
        seen: set[str] = set()
        while True:
            if isinstance(raw, int | float | str) and not isinstance(raw, bool):
                return raw
            target = self.through(raw)
            if target is None or target[0].name in seen or _MADE_LATER.search(target[0].kind):
                return None
            seen.add(target[0].name)
            inner = target[0].inputs
            raw = next((inner[name] for name in (*names, *_VALUE_NAMES) if name in inner), None)

    def name(self, node: Node, *names: str) -> str:
        """The same for a name, as a sampler's or a file's; "" where there is none."""
        found = self.number(node, *names)
        return found if isinstance(found, str) and len(found) < 500 else ""

    def text(self, value: Any, depth: int = 0) -> str | None:
        """A text, or the one that a node of texts holds; None where it is made while running."""
        if isinstance(value, str):
            return value
        target = self.through(value)
        self._visits += 1
        if target is None or depth > 60 or self._visits > _MOST_VISITS:
            return None
        node = target[0]
        if isinstance(node.inputs.get("populated_text"), str):
            return node.inputs["populated_text"]  # Impact Pack's wildcards, as they came out
        if _MADE_LATER.search(node.kind):
            return None
        if _JOINS.search(node.kind):
            return self._joined(node, depth)
        names = [name for name in _TEXT_NAMES if name in node.inputs]
        if names:
            return self.text(node.inputs[names[0]], depth + 1)
        texts = [name for name, inner in node.inputs.items() if isinstance(inner, str)]
        return node.inputs[texts[0]] if len(texts) == 1 and len(node.inputs) == 1 else None

    def _joined(self, node: Node, depth: int) -> str | None:
        between = next((node.inputs[name] for name in _SEPARATORS if name in node.inputs), "")
        if not isinstance(between, str):
            return None
        parts: list[str] = []
        for name in sorted(node.inputs):
            value = node.inputs[name]
            if name in _SEPARATORS or not isinstance(value, str | list):
                continue
            if name.startswith(("clean", "mode", "linebreak")):
                continue
            text = self.text(value, depth + 1)
            if text is None or sum(map(len, parts)) + len(text) > _MOST_LETTERS:
                return None
            parts.append(text)
        return between.replace("\\n", "\n").join(part for part in parts if part)
