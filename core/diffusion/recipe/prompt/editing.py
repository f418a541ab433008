r"""Prompts that change between steps, as AUTOMATIC1111's web UI 1.10 reads them: `[from:to:when]`,
`[to:when]`, `[from::when]` and `[a|b]`, inside each other too. Imports no torch.

Source: `modules/prompt_parser.py` (get_learned_conditioning_prompt_schedules). `when` with a point
is a share of the steps, without one a step: up to it the first text holds. The web UI's sampler
counts its calls from 0 and so makes each change one call later than that function says.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.diffusion.recipe.limits import MAX_TEXT

DEEPEST = 32
"""Marks further inside others than this are text."""

_RUN = re.compile(r"(?:[^\\\[\]():|]|\\.)+")
_WHEN = re.compile(r"\s*(?P<when>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\]")
_IS_MARKED = re.compile(r"[:|]")
_LOOKS_MARKED = re.compile(r"\[[^\[\]:|]*[:|][^\[\]]*\]")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One text up to a step and another after it: `[before:after:when]`."""

    before: tuple[Node, ...]
    after: tuple[Node, ...]
    when: str

    def last_step(self, steps: int) -> int:
        """The last step, counted from 1, that has the text before; 0 or less where none has."""
        when = float(self.when)
        return int(min(steps, when * steps if "." in self.when else when, key=float))


@dataclass(frozen=True, kw_only=True)
class Turns:
    """Texts that take turns, a step each: `[a|b]`."""

    texts: tuple[tuple[Node, ...], ...]


Node = str | Change | Turns


class _NotRead(ValueError):  # noqa: N818 - caught where it is raised
    """A place where the web UI's grammar ends; it then takes the whole prompt as it is."""


@functools.lru_cache(maxsize=4096)
def parse_editing(prompt: str) -> tuple[Node, ...]:
    """Read a prompt's marks; other brackets are text. The whole prompt is text where a `|` stands
    outside a bracket or a backslash at the end.
    """
    if not _may_change(prompt):
        return (prompt,)
    try:
        return tuple(_whole(prompt))
    except _NotRead:
        return (prompt,)


def changes(prompt: str) -> bool:
    """Return whether a prompt has marks that change it between steps."""
    return any(not isinstance(node, str) for node in parse_editing(prompt))


def text_at(nodes: Sequence[Node], step: int, steps: int) -> str:
    """The text of a step, counted from 1, of so many."""
    found: list[str] = []
    for node in nodes:
        if isinstance(node, Turns):
            found.append(text_at(node.texts[(step - 1) % len(node.texts)], step, steps))
        elif isinstance(node, Change):
            side = node.before if step <= node.last_step(steps) else node.after
            found.append(text_at(side, step, steps))
        else:
            found.append(node)
    return "".join(found)


@functools.lru_cache(maxsize=4096)
def texts_by_step(prompt: str, steps: int) -> tuple[str, ...]:
    """The text of each of so many steps, at least one."""
    if not changes(prompt):
        return (prompt,) * max(steps, 1)
    nodes = parse_editing(prompt)
    return tuple(text_at(nodes, step, steps) for step in range(1, max(steps, 1) + 1))


def changes_of(prompt: str) -> list[Change]:
    """Every `[from:to:when]` of a prompt, those inside others too."""

    def among(nodes: Sequence[Node]) -> list[Change]:
        found: list[Change] = []
        for node in nodes:
            if isinstance(node, Change):
                found += [node, *among(node.before), *among(node.after)]
            elif isinstance(node, Turns):
                found += [one for text in node.texts for one in among(text)]
        return found

    return among(parse_editing(prompt))


def unread_bracket(prompt: str) -> str:
    """Where a mark begins that is none: `[a:b:` without its end, or a `|` that keeps all others
    from being read; "" where there is no such.
    """
    if not _may_change(prompt):
        return ""
    try:
        nodes = _whole(prompt)
    except _NotRead:
        return prompt if _LOOKS_MARKED.search(prompt) else ""
    for node in nodes:
        last = node[node.rfind("[") :] if isinstance(node, str) and "[" in node else ""
        if "]" not in last and last.count(":") > 1:
            return last
    return ""


def _may_change(prompt: str) -> bool:
    return len(prompt) <= MAX_TEXT and "[" in prompt and _IS_MARKED.search(prompt) is not None


def _whole(prompt: str) -> list[Node]:
    nodes: list[Node] = []
    at = 0
    while at < len(prompt):
        if run := _RUN.match(prompt, at):
            nodes.append(run[0])
            at = run.end()
        elif prompt[at] in "[(" and (found := _bracket(prompt, at, 1)):
            nodes += found[0]
            at = found[1]
        elif prompt[at] in "|\\":
            raise _NotRead
        else:
            nodes.append(prompt[at])
            at += 1
    return _joined(nodes)


def _content(prompt: str, at: int, depth: int) -> tuple[list[Node], int] | None:
    """What stands in a bracket from `at` on, up to what can end it; None where it is broken."""
    nodes: list[Node] = []
    while at < len(prompt) and prompt[at] not in ":|)]":
        if run := _RUN.match(prompt, at):
            nodes.append(run[0])
            at = run.end()
        elif prompt[at] in "[(" and (found := _bracket(prompt, at, depth + 1)):
            nodes += found[0]
            at = found[1]
        else:
            return None
    return (nodes, at) if at < len(prompt) else None


def _bracket(prompt: str, at: int, depth: int) -> tuple[list[Node], int] | None:
    """The bracket that begins at `at` and where it has ended; None where it is none."""
    if depth > DEEPEST or (first := _content(prompt, at + 1, depth)) is None:
        return None
    read = _round if prompt[at] == "(" else _square
    return read(prompt, *first, depth)


def _round(prompt: str, nodes: list[Node], at: int, depth: int) -> tuple[list[Node], int] | None:
    if prompt[at] == ":":
        weight = _content(prompt, at + 1, depth)
        if weight is None:
            return None
        nodes, at = [*nodes, ":", *weight[0]], weight[1]
    return (["(", *nodes, ")"], at + 1) if prompt[at] == ")" else None


def _square(prompt: str, nodes: list[Node], at: int, depth: int) -> tuple[list[Node], int] | None:
    if prompt[at] == "]":
        return ["[", *nodes, "]"], at + 1
    if prompt[at] == ":":
        before: list[Node] = []
        if (when := _WHEN.match(prompt, at + 1)) is None:
            second = _content(prompt, at + 1, depth)
            if second is None or prompt[second[1]] != ":":
                return None
            before, (nodes, at) = nodes, second
            when = _WHEN.match(prompt, at + 1)
        if when is None:
            return None
        sides = {"before": _joined(before), "after": _joined(nodes)}
        change = Change(**{name: tuple(one) for name, one in sides.items()}, when=when["when"])
        return [change], when.end()
    texts = [tuple(_joined(nodes))]
    while prompt[at] == "|":
        following = _content(prompt, at + 1, depth)
        if following is None:
            return None
        texts.append(tuple(_joined(following[0])))
        at = following[1]
    return ([Turns(texts=tuple(texts))], at + 1) if prompt[at] == "]" else None


def _joined(nodes: Sequence[Node]) -> list[Node]:
    """The same with neighbouring texts as one."""
    found: list[Node] = []
    for node in nodes:
        if isinstance(node, str) and found and isinstance(found[-1], str):
            node = f"{found.pop()}{node}"
        found.append(node)
    return found
