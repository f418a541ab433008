"""Effects as an appendix to the grid: sentences, figures, a table and the methods."""

from __future__ import annotations

from dataclasses import dataclass

from core.output.effects.grid import Measure
from core.output.effects.result import Difference, Effects
from core.output.effects.words import (
    difference_sentence,
    methods,
    once_sentence,
    overall,
    power_sentence,
    share_sentence,
    term_sentence,
)
from core.output.figures.vector.charts import curve_chart, difference_chart, share_chart
from core.output.figures.vector.shapes import Figure

COLUMNS = ("Measure", "From → to", "Difference", "95 % CI", "Agree", "p (Holm)")


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one measure shows, or the pictures themselves."""

    title: str
    sentences: tuple[str, ...]
    figures: tuple[Figure, ...]


@dataclass(frozen=True, kw_only=True)
class Appendix:
    """All that stands in it. `rows` are as COLUMNS say; `note` is what one seed means, else ""."""

    sections: tuple[Section, ...]
    rows: tuple[tuple[str, ...], ...]
    methods: str
    note: str


def appendix_of(effects: Effects) -> Appendix:
    """The appendix of every measure that `effects` has."""
    sections = [_of_measure(effects, measure) for measure in effects.measures]
    if effects.has_parts and any(table.is_picture for table in effects.shares):
        sections.append(_of_pictures(effects))
    return Appendix(
        sections=tuple(sections),
        rows=tuple(_row(effects, one) for one in effects.differences),
        methods=methods(effects),
        note=once_sentence(effects) if effects.is_once else "",
    )


def _of_measure(effects: Effects, measure: Measure) -> Section:
    said: list[str] = []
    for one in overall(effects, measure.name):
        said.append(difference_sentence(effects, one))
        if not one.is_shown:
            said.append(power_sentence(effects, one))
    if effects.has_parts:
        said += [share_sentence(effects, t) for t in effects.shares if t.measure == measure.name]
    figures = [curve_chart(effects, c) for c in effects.curves if c.measure == measure.name]
    if not effects.is_once:
        found = [one for one in effects.differences if one.measure == measure.name]
        figures.append(difference_chart(effects, found))
    return Section(
        title=measure.label,
        sentences=tuple(one for one in said if one),
        figures=tuple(one for one in figures if one is not None),
    )


def _of_pictures(effects: Effects) -> Section:
    tables = [table for table in effects.shares if table.is_picture]
    said: list[str] = []
    for table in tables:
        said.append(share_sentence(effects, table))
        said += [term_sentence(table, share) for share in table.shares]
    charts = [share_chart(table) for table in tables]
    return Section(
        title="The pictures themselves",
        sentences=tuple(one for one in said if one),
        figures=tuple(one for one in charts if one is not None),
    )


def _row(effects: Effects, one: Difference) -> tuple[str, ...]:
    factor, measure = effects.factor(one.factor), effects.measure(one.measure)
    ends = ""
    if one.interval is not None:
        ends = f"{measure.show(one.interval.low)} to {measure.show(one.interval.high)}"
    return (
        measure.label,
        f"{factor.label} {factor.levels[one.start]} → {factor.levels[one.end]}",
        "" if one.mean is None else measure.show(one.mean),
        ends,
        f"{one.agree} of {len(one.blocks)}",
        "" if one.p_holm is None else f"{one.p_holm:.3f}",
    )
