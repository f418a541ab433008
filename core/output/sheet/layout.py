"""Where everything of a labelled grid stands: headings, legend, labels, cells. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.output.sheet.lettering import BOLD, Face
from core.output.sheet.sheet_text import SheetError
from core.output.texts.legend import legend, value_labels
from core.output.texts.one_line import clean
from core.sweeps.sweep import Sweep

Ink = Literal["ink", "muted", "failed"]
Background = Literal["white", "black"]

Captions = Mapping[tuple[int, int, int], str]
"""What stands below cells, by their places (x, y, z)."""

MOST_CAPTION_LINES = 8

NARROWEST_CM, WIDEST_CM = 2, 500
"""A PDF's widths; viewers take pages of up to 508 cm."""


@dataclass(frozen=True, kw_only=True)
class SheetOptions:
    """How a sheet looks; sizes in pixels.

    `cell_size` is the longer side of the largest cell (None: as stored), `font_size` that of the
    labels (None: in proportion to the cells), `margin` the gap between cells (None: likewise).
    `width_cm` is a PDF's width in centimetres (None: by its pixels).
    Raises SheetError for sizes that no sheet can have.
    """

    title: str = ""
    cell_size: int | None = None
    font_size: int | None = None
    margin: int | None = None
    show_legend: bool = True
    background: Background = "white"
    width_cm: float | None = None

    def __post_init__(self) -> None:
        bounds = {"cell_size": (8, 4096), "font_size": (6, 400), "margin": (0, 1000)}
        for name, (least, most) in bounds.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                words = name.replace("_", " ").capitalize()
                raise SheetError(f"{words}: {value} is outside {least} to {most} pixels.")
        if self.width_cm is not None and not NARROWEST_CM <= self.width_cm <= WIDEST_CM:
            raise SheetError(
                f"Width: {self.width_cm:g} is outside {NARROWEST_CM} to {WIDEST_CM} cm."
            )


@dataclass(frozen=True)
class TextLine:
    """One line of text; (x, y) is the upper left corner of its box, inside its block."""

    x: float
    y: float
    text: str
    face: Face
    ink: Ink = "ink"


@dataclass(frozen=True)
class Block:
    """Lines of text that belong together and the height that they take."""

    lines: tuple[TextLine, ...]
    height: int


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The grid of one page: `cell` is the box of a cell, `lefts` and `tops` its corners.

    Corners count from the grid's own upper left corner. Boxes are equal, so that columns align;
    a column is wider than its box where its label's words are. Rows have room for the longest of
    their `captions`, the lines below the cells of each page.
    """

    width: int
    height: int
    cell: tuple[int, int]
    lefts: tuple[int, ...]
    tops: tuple[int, ...]
    labels: tuple[TextLine, ...]
    face: Face
    gap: int
    captions: Mapping[int, tuple[TextLine, ...]]

    @property
    def border(self) -> int:
        """The empty rim around everything."""
        return max(2 * self.gap, self.face.size)

    @property
    def text_width(self) -> int:
        """What headings and the legend are wrapped to: never narrower than some words."""
        return max(self.width, 24 * self.face.size)


def make_grid(
    sweep: Sweep, cell: tuple[int, int], options: SheetOptions, captions: Captions | None = None
) -> Grid:
    """The grid of a page whose largest cell is `cell` (width, height) in the sheet's pixels."""
    width, height = cell
    font = options.font_size or min(max(round(max(cell) * 0.07), 13), 40)
    gap = options.margin if options.margin is not None else max(font // 3, 4)
    face, name_face = Face(font, BOLD), Face(font)
    pad = round(font * 0.5)

    columns = value_labels(sweep.x)
    pitch = _column_width(columns, width, face)
    column_lines = [face.wrap(text, pitch) if text else [] for text in columns]
    x_name = name_face.wrap(sweep.x.label(), 24 * font) if sweep.x else []
    header = (len(x_name) + max(map(len, column_lines))) * face.line_height
    header += pad if header else 0

    rows = value_labels(sweep.y)
    side = _row_label_width(sweep, rows, width, face)
    row_lines = [face.wrap(text, side) if text else [] for text in rows]
    y_name = name_face.wrap(sweep.y.label(), side) if sweep.y else []
    header = max(header, len(y_name) * face.line_height + (pad if y_name else 0))
    indent = side + pad if side else 0

    labels: list[TextLine] = []
    below = {place: _caption(name_face, text, pitch) for place, text in (captions or {}).items()}
    lefts: list[int] = []
    for index, lines in enumerate(column_lines):
        left = indent + index * (pitch + gap)
        lefts.append(left + (pitch - width) // 2)
        top = header - pad - len(lines) * face.line_height
        labels += [
            TextLine(left + (pitch - face.width(line)) / 2, top + n * face.line_height, line, face)
            for n, line in enumerate(lines)
        ]
    top = header - pad - (max(map(len, column_lines)) + len(x_name)) * face.line_height
    labels += _left_lines(x_name, indent, top, name_face, "muted")
    top = header - pad - len(y_name) * face.line_height
    labels += _right_lines(y_name, side, top, name_face, "muted")

    tops: list[int] = []
    at = header
    for y, lines in enumerate(row_lines):
        most = max((len(caption) for place, caption in below.items() if place[1] == y), default=0)
        band = most * face.line_height + (pad if most else 0)
        tall = max(height, len(lines) * face.line_height - band)
        tops.append(at + (tall - height) // 2)
        label = len(lines) * face.line_height
        labels += _right_lines(lines, side, at + max(tall - label, 0) / 2, face, "ink")
        at += tall + band + gap
    across = indent + len(columns) * pitch + (len(columns) - 1) * gap
    return Grid(
        width=max(across, round(indent + max(map(name_face.width, x_name), default=0))),
        height=at - gap,
        cell=cell,
        lefts=tuple(lefts),
        tops=tuple(tops),
        labels=tuple(labels),
        face=face,
        gap=gap,
        captions=_caption_lines(
            below,
            [left + width / 2 for left in lefts],
            [top + height + pad / 2 for top in tops],
            name_face,
        ),
    )


def heading(sweep: Sweep, grid: Grid, options: SheetOptions) -> Block:
    """The title and the legend: the settings that all cells share."""
    size, width = grid.face.size, grid.text_width
    lines: list[TextLine] = []
    y = 0
    if options.title.strip():
        face = Face(round(size * 1.6), BOLD)
        for text in face.wrap(options.title, width):
            lines.append(TextLine(0, y, text, face))
            y += face.line_height
        y += size // 3
    if options.show_legend:
        face = Face(size)
        for pairs in _legend_rows(_cleaned(legend(sweep)), width, face):
            lines += [TextLine(x, y, text, face, ink) for x, text, ink in pairs]
            y += face.line_height
    return Block(tuple(lines), y + size if y else 0)


def page_heading(sweep: Sweep, grid: Grid, z: int) -> Block:
    """What the page of a sweep with pages is: "Scheduler: DDIM"."""
    if sweep.z is None:
        return Block((), 0)
    face = Face(round(grid.face.size * 1.2), BOLD)
    text = f"{sweep.z.label()}: {sweep.z.value_label(z)}"
    lines = face.wrap(text, grid.text_width)
    height = len(lines) * face.line_height + grid.face.size // 2
    return Block(tuple(_left_lines(lines, 0, 0, face, "ink")), height)


def notes(texts: Sequence[str], grid: Grid) -> Block:
    """Reasons that find no room in their cells, below the grid."""
    face = Face(grid.face.size)
    lines = [line for text in texts for line in face.wrap(text, grid.text_width)]
    height = len(lines) * face.line_height + grid.face.size // 2 if lines else 0
    return Block(tuple(_left_lines(lines, 0, grid.face.size // 2, face, "failed")), height)


def _caption(face: Face, text: str, width: float) -> list[str]:
    """The lines of a caption, of which only so many are shown."""
    lines = face.wrap(text, width)
    is_long = len(lines) > MOST_CAPTION_LINES
    return [*lines[: MOST_CAPTION_LINES - 1], "…"] if is_long else lines


def _caption_lines(
    below: Mapping[tuple[int, int, int], Sequence[str]],
    middles: Sequence[float],
    tops: Sequence[float],
    face: Face,
) -> dict[int, tuple[TextLine, ...]]:
    """The captions of each page, in the middle below their cells."""
    found: dict[int, list[TextLine]] = {}
    for (x, y, z), lines in below.items():
        found.setdefault(z, []).extend(
            TextLine(middles[x] - face.width(line) / 2, tops[y] + n * face.line_height, line, face)
            for n, line in enumerate(lines)
        )
    return {z: tuple(lines) for z, lines in found.items()}


def _column_width(labels: Sequence[str], width: int, face: Face) -> int:
    """Wide enough for a label's longest word and for six lines, up to 14 letters' widths."""
    widest = max(width, 14 * face.size)
    wanted = max(face.longest_word(text) for text in labels)
    pitch = min(max(width, round(wanted + 0.5)), widest)
    while pitch < widest and max(len(face.wrap(text, pitch)) for text in labels) > 6:
        pitch = min(round(pitch * 1.25), widest)
    return pitch


def _row_label_width(sweep: Sweep, labels: Sequence[str], width: int, face: Face) -> int:
    if sweep.y is None:
        return 0
    natural = max(face.width(clean(text)) for text in labels)
    words = max(Face(face.size).longest_word(sweep.y.label()), *map(face.longest_word, labels))
    most = max(width, 14 * face.size)
    return round(min(max(natural, words), most) + 0.5)


def _left_lines(lines: Sequence[str], x: float, y: float, face: Face, ink: Ink) -> list[TextLine]:
    return [TextLine(x, y + n * face.line_height, line, face, ink) for n, line in enumerate(lines)]


def _right_lines(
    lines: Sequence[str], right: float, y: float, face: Face, ink: Ink
) -> list[TextLine]:
    return [
        TextLine(right - face.width(line), y + n * face.line_height, line, face, ink)
        for n, line in enumerate(lines)
    ]


def _cleaned(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return it as text that can be drawn."""
    return [(name, clean(value)) for name, value in pairs]


def _legend_rows(
    pairs: Sequence[tuple[str, str]], width: float, face: Face
) -> list[list[tuple[float, str, Ink]]]:
    """Names and values in flowing lines: (x, text, ink). A pair breaks only if it must."""
    space, between = face.width(" "), face.size * 1.4
    rows: list[list[tuple[float, str, Ink]]] = [[]]
    x = 0.0
    for name, value in pairs:
        if x and x + face.width(f"{name} {value}") > width:
            rows.append([])
            x = 0.0
        rows[-1].append((x, name, "muted"))
        x += face.width(name) + space
        first, *_ = face.wrap(value, max(width - x, face.size))
        if face.width(first) > width - x or (not rows[-1] and not first):
            first = ""
        rest = face.wrap(value[len(first) :], width) if value[len(first) :].strip() else []
        if first:
            rows[-1].append((x, first, "ink"))
            x += face.width(first)
        for line in rest:
            rows.append([(0.0, line, "ink")])
            x = face.width(line)
        x += between
        if name in ("Prompt", "Negative prompt"):
            x = width  # a prompt keeps its line to itself
    return rows
