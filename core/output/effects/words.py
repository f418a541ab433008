"""What a grid supports, in sentences: for a page, a report and the methods of a paper."""

from __future__ import annotations

from importlib.metadata import version

from core.output.effects.bootstrap import FEWEST_TO_RESAMPLE
from core.output.effects.grid import Measure
from core.output.effects.power import MOST_BLOCKS, POWER
from core.output.effects.result import ALPHA, Difference, Effects, Interval, Share, ShareTable

ENOUGH_BLOCKS = 8
_MOST_DIGITS = 8
_MOST_LEVELS = 6
_MOST_TERMS = 3


def overall(effects: Effects, measure: str | None = None) -> list[Difference]:
    """The difference between the first and the last level of each factor, of each measure."""
    found: list[Difference] = []
    for one in effects.differences:
        order = effects.factor(one.factor).order()
        if (one.start, one.end) == (order[0], order[-1]) and measure in (None, one.measure):
            found.append(one)
    return found


def sentences(effects: Effects) -> list[str]:
    """What the axes did from end to end, and what the differences go with."""
    found = [difference_sentence(effects, one) for one in overall(effects)]
    if effects.has_parts:
        found += [share_sentence(effects, table) for table in effects.shares]
    return [one for one in found if one]


def difference_sentence(effects: Effects, one: Difference) -> str:
    """ "Guidance scale 3 → 7 raises the CLIP score by 1.2 (95 % CI 0.4 to 2.0; 7 of 8 seeds)." """
    factor, measure = effects.factor(one.factor), effects.measure(one.measure)
    step = f"{factor.label} {factor.levels[one.start]} → {factor.levels[one.end]}"
    name = _inside(measure.label)
    count, seeds = len(one.blocks), effects.block_label
    if one.mean is None:
        return f"{step}: no {seeds} has the {name} of both."
    size = _size(measure, abs(one.mean), one.interval)
    change = f"{'raises' if one.mean > 0 else 'lowers'} the {name} by {size.show(abs(one.mean))}"
    if count < 2:
        happened = change if one.mean else f"leaves the {name} as it is"
        return f"{step} {happened} with one {seeds}: this is what happened once."
    if one.interval is None:
        if abs(one.mean) == 0:
            return f"{step} leaves the {name} as it is in all {count} {seeds}s."
        return f"{step} {change} in each of {count} {seeds}s, always exactly as much."
    if one.interval.holds(0):
        found = f"{_signed(size, one.mean)}, 95 % CI {_range(size, one.interval)}"
        agree = f"{one.agree} of {count} {seeds}s agree"
        return f"{step}: no difference in the {name} could be shown ({found}; {agree})."
    interval = one.interval
    if one.mean < 0:
        interval = Interval(low=-interval.high, high=-interval.low)
    found = f"(95 % CI {_range(size, interval)}; {one.agree} of {count} {seeds}s)"
    if one.is_shown:
        return f"{step} {change} {found}."
    p = _p(one.p_holm)
    return f"{step} {change} {found}, not shown among {one.comparisons} comparisons: {p}."


def interval_words(effects: Effects, one: Difference) -> str:
    """ "CLIP score +1.2, 95 % CI 0.4 to 2.0": of a difference that has an interval."""
    measure = effects.measure(one.measure)
    mean = one.mean or 0.0
    size = _size(measure, abs(mean), one.interval)
    words = f"{_inside(measure.label)} {_signed(size, mean)}"
    return f"{words}, 95 % CI {_range(size, one.interval)}" if one.interval else words


def share_sentence(effects: Effects, table: ShareTable) -> str:
    """Say it as "Of all differences between these pictures 41 % go with guidance scale".

    The three largest of the factors, their interactions together and the block are named. "" for
    a table without shares that has nothing to say.
    """
    if not table.shares:
        return f"{table.label}: {table.note}" if table.note else ""
    parts = [
        (
            share.share,
            f"the {effects.block_label}" if share.kind == "block" else _inside(share.label),
        )
        for share in table.shares
        if share.kind in ("factor", "block")
    ]
    together = [share.share for share in table.shares if share.kind == "interaction"]
    if together:
        parts.append((sum(together), "interactions"))
    parts.sort(key=lambda part: -part[0])
    named = [f"{_percent(share)} with {name}" for share, name in parts[:_MOST_TERMS]]
    named[0] = named[0].replace(" with ", " go with ", 1)
    if table.is_picture:
        return f"Of all differences between these pictures ({table.label}) {_listed(named)}."
    return f"Of all differences in the {_inside(table.label)} {_listed(named)}."


def term_sentence(table: ShareTable, share: Share) -> str:
    """ "Guidance scale: 41 % (95 % CI 30 % to 52 %; p = 0.001; chance alone gives 5 %)." """
    details: list[str] = []
    if share.interval is not None:
        details.append(f"95 % CI {_percent(share.interval.low)} to {_percent(share.interval.high)}")
    if share.p is not None and share.interval is not None:
        details.append(_p(share.p))
    if share.by_chance is not None:
        details.append(f"chance alone gives {_percent(share.by_chance)}")
    text = f"{share.label}: {_percent(share.share)}"
    if details:
        text += f" ({'; '.join(details)})"
    if share.p is None or share.p <= ALPHA:
        return f"{text}."
    if share.smallest_p is not None and share.smallest_p > ALPHA:
        return f"{text}: {table.blocks} blocks are too few to show anything."
    return f"{text}: no more than chance."


def once_sentence(effects: Effects) -> str:
    """What to say of a grid with one block, and what to do."""
    more = ENOUGH_BLOCKS - len(effects.blocks)
    seeds = effects.block_label
    return f"One {seeds} shows what happened once: no interval can be drawn. Add {more} {seeds}s."


def power_sentence(effects: Effects, one: Difference) -> str:
    """How many blocks would show a difference of this size; "" where there is none."""
    if one.interval is None:
        return ""
    seeds, count = f"{effects.block_label}s", len(one.blocks)
    if one.needed is None:
        return f"Not even {MOST_BLOCKS:,} {seeds} would show a difference of this size."
    if one.needed <= count:
        return f"For a difference of this size {one.needed} {seeds} are enough; there are {count}."
    return (
        f"To show a difference of this size takes {one.needed:,} {seeds} "
        f"({POWER:.0%} power); there are {count}."
    ).replace("%", " %")


def methods(effects: Effects) -> str:
    """A paragraph for a paper: what was made, what was compared, and how."""
    seeds, count = f"{effects.block_label}s", len(effects.blocks)
    axes = _listed([f"{_inside(one.label)} ({_levels(one.levels)})" for one in effects.factors])
    measures = _listed([_inside(one.label) for one in effects.measures])
    made = f"one {effects.block_label}" if count == 1 else f"the same {count} {seeds}"
    said = [f"Pictures were made with {made}{f' for each value of {axes}' if axes else ''}."]
    if measures:
        said.append(f"Measured: {measures}.")
    if effects.is_once:
        said.append("Without repeated seeds no interval and no test is given.")
    elif effects.differences:
        said += [
            f"Differences are paired by {effects.block_label} and averaged over the other axes.",
            "Intervals are 95 % confidence intervals of paired t tests (two-sided).",
            "Their p-values are corrected by Holm's method over all comparisons of a measure.",
        ]
        if any(one.bootstrap for one in effects.differences):
            said.append(
                f"Bootstrap intervals resample {seeds} (BCa, level expanded for few {seeds}, "
                f"{effects.resamples:,} resamples)."
            )
    if any(table.shares for table in effects.shares):
        said.append("Shares of variance are sums of squares of the balanced layout.")
        if any(table.shares and table.is_picture for table in effects.shares):
            said.append(
                "Those of pictures partition squared distances (Anderson 2001; McArdle and "
                "Anderson 2001)."
            )
        drawn = max(table.permutations for table in effects.shares)
        if drawn:
            said.append(
                f"Their p-values are from up to {drawn:,} permutations within {seeds}, their "
                f"intervals from a bootstrap over {seeds}."
            )
        elif not effects.is_once:
            said.append(f"With fewer than {FEWEST_TO_RESAMPLE} {seeds} they have no interval.")
    said += [*effects.missing, *effects.left_out]
    said.append(f"Computed with SciPy {version('scipy')}.")
    return " ".join(said)


def _size(measure: Measure, mean: float, interval: Interval | None) -> Measure:
    """The measure with the digits that tell the difference from 0 and the interval's ends apart."""
    for digits in range(measure.digits, _MOST_DIGITS):
        shown = Measure(name="", label="", digits=digits, unit=measure.unit)
        is_flat = interval is not None and shown.show(interval.low) == shown.show(interval.high)
        if not is_flat and (mean == 0 or shown.show(mean) != shown.show(0)):
            return shown
    return Measure(name="", label="", digits=_MOST_DIGITS, unit=measure.unit)


def _signed(size: Measure, value: float) -> str:
    shown = size.show(value)
    return shown if shown.startswith("-") or value == 0 else f"+{shown}"


def _range(size: Measure, interval: Interval) -> str:
    plain = Measure(name="", label="", digits=size.digits)
    return f"{plain.show(interval.low)} to {size.show(interval.high)}"


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _percent(share: float) -> str:
    percent = 100 * share
    if 0 < percent < 0.5:
        return "under 1 %"
    return f"{percent:.0f} %".replace("-0 %", "0 %")


def _inside(label: str) -> str:
    """A label within a sentence: "CLIP score" keeps its capitals, "Guidance scale" does not."""
    return label[:1].lower() + label[1:] if label[1:2].islower() or label[1:2] == " " else label


def _levels(levels: tuple[str, ...]) -> str:
    if len(levels) <= _MOST_LEVELS:
        return ", ".join(levels)
    return f"{len(levels)} values from {levels[0]} to {levels[-1]}"


def _listed(parts: list[str]) -> str:
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)
