"""What choices and wildcards stand for: every text of an axis' value, or one drawn for a seed.

Imports no torch, and reads no disk: whoever makes `Marks` says where a wildcard's lines are found.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, permutations, product
from math import factorial

from core.diffusion.recipe.limits import MAX_TEXT
from core.diffusion.recipe.prompt.choices import (
    DEEPEST,
    SPECIAL,
    Choice,
    Piece,
    Pieces,
    Several,
    Wildcard,
    parse_marks,
    without_marks,
)

FindLines = Callable[[str], Sequence[str]]
"""The lines of the wildcard of a name, at least one. Raises MarkError where there are none."""

MANY = 10**12
"""Values beyond which a text's are no longer counted one by one."""

MAX_DRAWS = 1000
"""Marks that are drawn for one text, those inside of wildcards' lines too."""


class MarkError(ValueError):
    """Marks that cannot be read; the message says which, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A text without marks, and what each of its marks became, in order."""

    text: str
    words: tuple[str, ...] = ()


class Marks:
    """Reads marks, and looks up each wildcard once: one is for one submission or one page."""

    def __init__(self, find: FindLines) -> None:
        self._find = find
        self._lines: dict[str, tuple[str, ...]] = {}
        self._missing: dict[str, str] = {}
        self._checked: dict[str, tuple[int, list[str]]] = {}
        self._values: dict[str, list[str]] = {}
        self._parsed: dict[str, tuple[Pieces, tuple[str, ...]]] = {}

    @property
    def lines(self) -> Mapping[str, tuple[str, ...]]:
        """The lines of each wildcard that was looked up, but of those that were not found."""
        return self._lines

    def problems(self, text: str) -> list[str]:
        """Everything that keeps a text's marks from being read, each once."""
        if not SPECIAL.search(text):
            return []
        pieces, found = self._read(text)
        return list(dict.fromkeys([*found, *self._check(pieces, ())[1]]))

    def count(self, text: str) -> int:
        """How many values the text stands for, or of more than MANY a number that is no greater.
        Raises MarkError.
        """
        return self._count(self._sound(text), {})

    def values(self, text: str) -> list[str]:
        """Every text that this one stands for, combinations in order, the last mark first; each
        reads as itself. Several options of a choice are every selection of its places in every
        order, the fewest first; weights change nothing. Ask `count` before. Raises MarkError.
        """
        return [without_marks(value) for value in self._all(self._sound(text))]

    def draw(self, text: str, *, seed: int, name: str) -> Drawn:
        """The text with one option of each choice and one line of each wildcard.

        The same on every machine: `random.Random` seeded by the text "name:seed", whose `random()`
        Python promises to keep, gives one number in [0, 1) a mark, in the order of reading; the
        mark takes the option at that share of its list, by weights where there are any. A choice of
        several takes a number for how many where that is a range, and one for each, out of those
        that are left; no option of weight 0. `name` keeps two texts of one seed apart. Raises
        MarkError.
        """
        if not SPECIAL.search(text):
            return Drawn(text=text)
        drawing = _Drawing(self, random.Random(f"{name}:{seed}"))
        words: list[str] = []
        written: list[str] = []
        for piece in self._sound(text):
            one = drawing.write((piece,))
            written.append(one)
            if not isinstance(piece, str):
                words.append(one)
        return Drawn(text="".join(written), words=tuple(words))

    def pieces_of(self, line: str) -> Pieces:
        """A wildcard's line, which was checked before."""
        return self._read(line)[0]

    def options_of(self, choice: Choice) -> Sequence[Pieces]:
        """The options that a choice takes from: the lines of its wildcard, where several of them
        are taken, each once. Raises MarkError.
        """
        first = choice.options[0]
        if len(choice.options) == 1 and isinstance(first[0], Wildcard):
            return [self.pieces_of(line) for line in dict.fromkeys(self.lines_of(first[0].name))]
        return choice.options

    def lines_of(self, name: str) -> tuple[str, ...]:
        """The lines of a wildcard. Raises MarkError."""
        if name in self._missing:
            raise MarkError(self._missing[name])
        if name not in self._lines:
            try:
                self._lines[name] = tuple(self._find(name))
            except MarkError as error:
                self._missing[name] = str(error)
                raise
        return self._lines[name]

    def _read(self, text: str) -> tuple[Pieces, tuple[str, ...]]:
        if text not in self._parsed:
            self._parsed[text] = parse_marks(text)
        return self._parsed[text]

    def _sound(self, text: str) -> Pieces:
        if problems := self.problems(text):
            raise MarkError("; ".join(problems))
        return self._read(text)[0]

    def _check(self, pieces: Pieces, trail: tuple[str, ...]) -> tuple[int, list[str]]:
        """How deep wildcards stand in one another, and what is wrong with them."""
        deepest, problems = 0, []
        for name in dict.fromkeys(_names(pieces)):
            depth, found = self._check_wildcard(name, trail)
            deepest = max(deepest, 1 + depth)
            problems += found
        return deepest, problems

    def _check_wildcard(self, name: str, trail: tuple[str, ...]) -> tuple[int, list[str]]:
        if name in trail:
            way = " > ".join(f"__{one}__" for one in (*trail[trail.index(name) :], name))
            return 0, [f"a wildcard names itself: {way}"]
        if len(trail) + self._checked.get(name, (0, []))[0] >= DEEPEST:
            return 0, [f"wildcards stand more than {DEEPEST} deep in one another"]
        if name not in self._checked:
            self._checked[name] = self._check_lines(name, trail)
        return self._checked[name]

    def _check_lines(self, name: str, trail: tuple[str, ...]) -> tuple[int, list[str]]:
        try:
            lines = self.lines_of(name)
        except MarkError as error:
            return 0, [str(error)]
        deepest, problems = 0, []
        for line in lines:
            if SPECIAL.search(line):
                pieces, found = self._read(line)
                depth, more = self._check(pieces, (*trail, name))
                problems += [f"in a line of __{name}__, {reason}" for reason in found] + more
                deepest = max(deepest, depth)
        return deepest, problems

    def _count(self, pieces: Pieces, known: dict[str, int]) -> int:
        count = 1
        for piece in pieces:
            if isinstance(piece, Choice):
                counts = [self._count(option, known) for option in self.options_of(piece)]
                count *= _selections(counts, piece.several) if piece.several else sum(counts)
            elif isinstance(piece, Wildcard):
                if piece.name not in known:
                    lines = self.lines_of(piece.name)
                    known[piece.name] = sum(self._count(self.pieces_of(x), known) for x in lines)
                count *= known[piece.name]
        return count

    def _all(self, pieces: Pieces) -> list[str]:
        found = [""]
        for piece in pieces:
            if isinstance(piece, str):
                options = [piece]
            elif isinstance(piece, Choice):
                options = list(self._all_of_choice(piece))
            else:
                options = self._all_of(piece.name)
            found = [_short(before + option) for before in found for option in options]
        return found

    def _all_of_choice(self, choice: Choice) -> Iterator[str]:
        options = [self._all(option) for option in self.options_of(choice)]
        if choice.several is None:
            for texts in options:
                yield from texts
            return
        for count in choice.several.counts(len(options)):
            for taken in permutations(options, count):
                for texts in product(*taken):
                    yield _short(choice.several.separator.join(texts))

    def _all_of(self, name: str) -> list[str]:
        if name not in self._values:
            lines = self.lines_of(name)
            self._values[name] = [t for line in lines for t in self._all(self.pieces_of(line))]
        return self._values[name]


class _Drawing:
    """One text being drawn."""

    def __init__(self, marks: Marks, numbers: random.Random) -> None:
        self._marks = marks
        self._numbers = numbers
        self._draws = 0

    def write(self, pieces: Pieces) -> str:
        written = ""
        for piece in pieces:
            if isinstance(piece, Choice):
                written += self._written_choice(piece)
            elif isinstance(piece, Wildcard):
                lines = self._marks.lines_of(piece.name)
                written += self.write(self._marks.pieces_of(lines[self._pick(len(lines))]))
            else:
                written += piece
            _short(written)
        return written

    def _written_choice(self, choice: Choice) -> str:
        left = list(self._marks.options_of(choice))
        weights = list(choice.weights)
        if choice.several is None:
            return self.write(left[self._pick(len(left), weights)])
        if weights:
            left = [option for option, weight in zip(left, weights, strict=True) if weight]
            weights = [weight for weight in weights if weight]
        counts = choice.several.counts(len(left))
        taken: list[Pieces] = []
        for _ in range(counts[self._pick(len(counts))] if len(counts) > 1 else counts[0]):
            place = self._pick(len(left), weights)
            taken.append(left.pop(place))
            if weights:
                del weights[place]
        return choice.several.separator.join(self.write(option) for option in taken)

    def _pick(self, count: int, weights: Sequence[float] = ()) -> int:
        """A place in a list of so many, by their weights where they differ."""
        self._draws += 1
        if self._draws > MAX_DRAWS:
            raise MarkError(f"has more than {MAX_DRAWS:,} choices to draw")
        share = self._numbers.random()
        if not weights:
            return int(share * count)
        ends = list(accumulate(weights))
        # A product that is rounded up to the whole belongs to the last option with any weight.
        return min(bisect(ends, share * ends[-1]), ends.index(ends[-1]))


def _selections(counts: Sequence[int], several: Several) -> int:
    """In how many ways options with so many values each are taken in order, up to MANY exactly."""
    taken = several.counts(len(counts))
    fewest = 1
    for place in range(taken[-1]):
        fewest *= len(counts) - place
        if fewest > MANY:  # each option has at least one value
            return fewest
    # sums[k]: the products of the counts of every k options, added up.
    sums = [1] + [0] * taken[-1]
    for count in counts:
        for size in range(taken[-1], 0, -1):
            sums[size] += sums[size - 1] * count
    return sum(factorial(size) * sums[size] for size in taken)


def _short(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise MarkError(f"becomes longer than {MAX_TEXT:,} characters")
    return text


def _names(pieces: Iterable[Piece]) -> Iterable[str]:
    for piece in pieces:
        if isinstance(piece, Wildcard):
            yield piece.name
        elif isinstance(piece, Choice):
            for option in piece.options:
                yield from _names(option)
