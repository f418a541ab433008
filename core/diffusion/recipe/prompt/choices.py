r"""Choices and wildcards in a prompt: `{red|blue}` and `__animal__`.

The syntax is that of sd-dynamic-prompts, the web UI's extension. Left out: several options at once
(`{2$$a|b}`) and weights (`{0.5::a|b}`), which are refused in words; variables and patterns of
names (`__*__`), which are text. Braces without a bar are text, and so is a bar outside of braces
or in square brackets inside them: `{red|[blue|green]}` is red, or blue and green in turns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

DEEPEST = 10
"""Choices in choices, and wildcards in wildcards."""

_NAME = r"[^\W_](?:[\w/ .-]{0,98}?[^\W_])??"
SPECIAL = re.compile(rf"(?<!\\)(?P<slashes>\\*)(?:(?P<sign>[{{}}|])|__(?P<name>{_NAME})__)")
"""A sign or a name after backslashes: each pair of them is one, a single one makes it text."""
_SEVERAL = re.compile(r"\s*(?:\d+(?:-\d+)?|\d*-\d+|\d+-)\s*\$\$")
_WEIGHT = re.compile(r"\s*(?:\d+(?:\.\d*)?|\.\d+)::")
_EXCERPT = 40


@dataclass(frozen=True)
class Choice:
    """One of several options, each its pieces; `depth` counts the choices in one another."""

    options: tuple[Pieces, ...]
    depth: int


@dataclass(frozen=True)
class Wildcard:
    """A line of the wildcard of a name."""

    name: str


Piece = str | Choice | Wildcard
Pieces = tuple[Piece, ...]


@dataclass
class _Open:
    """A brace that is open: where it stands, its options so far, and where the last one begins."""

    start: int
    last: int = 0
    options: list[list[Piece]] = field(default_factory=lambda: [[]])

    def add(self, *pieces: Piece) -> None:
        self.options[-1] += pieces


def plain_words(text: str) -> str:
    r"""The text of one without marks, in which `\{` is `{`. One with marks stays as it is."""
    pieces, problems = parse_marks(text)
    is_plain = not problems and all(isinstance(piece, str) for piece in pieces)
    return "".join(map(str, pieces)) if is_plain else text


def without_marks(text: str) -> str:
    r"""A text that is read as exactly this one: what would be a mark in it gets a backslash."""
    pieces, problems = parse_marks(text)
    if not problems and all(isinstance(piece, str) for piece in pieces):
        read = "".join(map(str, pieces))
        if read == text:
            return text
    return SPECIAL.sub(
        lambda found: (
            found[0]
            if found["sign"] == "|"
            else f"{found['slashes'] * 2}\\{found[0].removeprefix(found['slashes'])}"
        ),
        text,
    )


def parse_marks(text: str) -> tuple[Pieces, tuple[str, ...]]:
    """The pieces of a text, and what is wrong with its choices."""
    groups = [_Open(start=0)]
    problems: list[str] = []
    position = 0
    for found in SPECIAL.finditer(text):
        groups[-1].add(text[position : found.start()])
        position = found.end()
        sign, slashes = found["sign"], len(found["slashes"])
        if sign == "|" and (len(groups) == 1 or _is_in_bracket(text, groups[-1], found.start())):
            groups[-1].add(found[0])
            continue
        groups[-1].add("\\" * (slashes // 2))
        if slashes % 2:
            groups[-1].add(sign or f"__{found['name']}__")
        elif sign is None:
            groups[-1].add(Wildcard(found["name"]))
        elif sign == "{":
            groups.append(_Open(start=found.end() - 1, last=found.end()))
        elif sign == "|":
            groups[-1].options.append([])
            groups[-1].last = found.end()
        elif len(groups) == 1:
            groups[-1].add(sign)
        else:
            inner = groups.pop()
            groups[-1].add(*_closed(inner, text[inner.start : position], problems))
    groups[-1].add(text[position:])
    while len(groups) > 1:
        inner = groups.pop()
        if len(inner.options) > 1:
            problems.append(
                f"the choice {_excerpt(text[inner.start :])} has no end: close it with }}, or "
                "write \\{ for the character"
            )
        groups[-1].add("{", *inner.options[0])
    return tuple(piece for piece in groups[0].options[0] if piece != ""), tuple(problems)


def _is_in_bracket(text: str, group: _Open, place: int) -> bool:
    """Return whether a square bracket of the last option is open at a place."""
    opened, closed = (
        text.count(sign, group.last, place) - text.count(f"\\{sign}", group.last, place)
        for sign in "[]"
    )
    return opened > closed


def _closed(group: _Open, written: str, problems: list[str]) -> list[Piece]:
    """A group whose brace is closed: a choice, or text where it has no bar."""
    if len(group.options) == 1:
        return ["{", *group.options[0], "}"]
    options = tuple(tuple(piece for piece in option if piece != "") for option in group.options)
    firsts = [option[0] for option in options if option and isinstance(option[0], str)]
    if options[0] and isinstance(options[0][0], str) and _SEVERAL.match(options[0][0]):
        problems.append(
            f"{_excerpt(written)} takes several options at once, which is not read here: write "
            "one choice for each"
        )
    if any(_WEIGHT.match(first) for first in firsts):
        problems.append(
            f"{_excerpt(written)} has weights, which are not read here: leave them out, and every "
            "option is as likely as the others"
        )
    inner = [piece.depth for option in options for piece in option if isinstance(piece, Choice)]
    depth = 1 + max(inner, default=0)
    if depth > DEEPEST:
        problems.append(f"choices stand more than {DEEPEST} deep in one another")
        return [""]
    return [Choice(options, depth)]


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"
