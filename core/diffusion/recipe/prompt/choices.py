r"""Choices and wildcards in a prompt: `{red|blue}` and `__animal__`.

The syntax is that of sd-dynamic-prompts, the web UI's extension (docs/SYNTAX.md there), also for
several options at once, `{2$$red|blue}`, `{1-2$$ and $$red|blue}`, `{2$$__animal__}`, and for
weights, `{3::red|blue}`. As it documents, and not as its code has it, several options are joined by
", " where no separator stands. Left out: variables and patterns of names (`__*__`), which are
text, and weights of a wildcard's lines. Braces without a bar are text, but for `{2$$__animal__}`,
and so is a bar outside of braces or in square brackets inside them: `{red|[blue|green]}` is red, or
blue and green in turns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

DEEPEST = 10
"""Choices in choices, and wildcards in wildcards."""

_NAME = r"[^\W_](?:[\w/ .-]{0,98}?[^\W_])??"
SPECIAL = re.compile(rf"(?<!\\)(?P<slashes>\\*)(?:(?P<sign>[{{}}|])|__(?P<name>{_NAME})__)")
"""A sign or a name after backslashes: each pair of them is one, a single one makes it text."""
_SEVERAL = re.compile(
    r"\s*(?:(?P<exact>\d+)|(?P<least>\d*)-(?P<most>\d+)|(?P<from>\d+)-)\s*\$\$"
    r"(?:(?P<separator>[^${}]*)\$\$)?"
)
_WEIGHT = re.compile(r"(\s*)(\d+(?:\.\d*)?|\.\d+)::")
_MOST_DIGITS = 9
_SEPARATOR = ", "
_EXCERPT = 40


@dataclass(frozen=True)
class Several:
    """How many options are taken, each once, and what stands between them; no `most` is all."""

    least: int
    most: int | None
    separator: str

    def counts(self, options: int) -> range:
        """The numbers that can be taken of so many options: never more than there are."""
        bounds = sorted((self.least, options if self.most is None else self.most))
        return range(min(bounds[0], options), min(bounds[1], options) + 1)


@dataclass(frozen=True)
class Choice:
    """One of the options, each its pieces, or `several` of them; `depth` counts the choices in one
    another. How likely each is to be drawn is its share of the `weights`, of which () are alike.
    A choice of several with a single option, a wildcard, takes several of its lines.
    """

    options: tuple[Pieces, ...]
    depth: int
    weights: tuple[float, ...] = ()
    several: Several | None = None


@dataclass(frozen=True)
class Wildcard:
    """A line of the wildcard of a name."""

    name: str


Piece = str | Choice | Wildcard
Pieces = tuple[Piece, ...]


@dataclass
class _Open:
    """A brace that is open: where it stands, how many options it takes, those so far, and where the
    last one begins.
    """

    start: int
    last: int = 0
    several: re.Match[str] | None = None
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
        if found.start() < position:  # in a separator
            continue
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
            several = _SEVERAL.match(text, position)
            position = several.end() if several else position
            groups.append(_Open(start=found.end() - 1, last=position, several=several))
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
        if len(inner.options) > 1 or inner.several:
            problems.append(
                f"the choice {_excerpt(text[inner.start :])} has no end: close it with }}, or "
                "write \\{ for the character"
            )
        groups[-1].add(*_opening(inner), *inner.options[0])
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
    options, weights = zip(*map(_weighed, group.options), strict=True)
    if len(options) == 1 and not (group.several and _is_wildcard(options[0])):
        return [*_opening(group), *group.options[0], "}"]
    counts = group.several.group("exact", "least", "most", "from") if group.several else ()
    if any(len((one or "").partition(".")[0]) > _MOST_DIGITS for one in (*weights, *counts)):
        problems.append(
            f"{_excerpt(written)} has a number of more than {_MOST_DIGITS} digits: write a smaller "
            "one"
        )
        return [""]
    shares = tuple(map(float, weights))
    if not any(shares):
        problems.append(f"the weights of {_excerpt(written)} are all 0: give an option more")
    inner = [piece.depth for option in options for piece in option if isinstance(piece, Choice)]
    depth = 1 + max(inner, default=0)
    if depth > DEEPEST:
        problems.append(f"choices stand more than {DEEPEST} deep in one another")
        return [""]
    several = _several(group.several) if group.several else None
    return [Choice(options, depth, shares if len(set(shares)) > 1 else (), several)]


def _weighed(option: list[Piece]) -> tuple[Pieces, str]:
    """An option without its weight, and the weight."""
    first, *others = [piece for piece in option if piece != ""] or [""]
    found = _WEIGHT.match(first) if isinstance(first, str) else None
    if found and isinstance(first, str):
        first = found[1] + first[found.end() :]
    return tuple(piece for piece in (first, *others) if piece != ""), found[2] if found else "1"


def _is_wildcard(option: Pieces) -> bool:
    return len(option) == 1 and isinstance(option[0], Wildcard)


def _several(found: re.Match[str]) -> Several:
    """A number, or a range that lacks one of its ends: from one, or up to all."""
    separator = _SEPARATOR if found["separator"] is None else found["separator"]
    if found["exact"]:
        return Several(int(found["exact"]), int(found["exact"]), separator)
    if found["from"]:
        return Several(int(found["from"]), None, separator)
    return Several(int(found["least"] or 1), int(found["most"]), separator)


def _opening(group: _Open) -> list[Piece]:
    """The brace of a group that is text, and what was read after it."""
    return ["{", *(parse_marks(group.several[0])[0] if group.several else ())]


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"
