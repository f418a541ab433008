"""What was found in a grid, in sentences: with their uncertainty, and never more than it holds."""

from __future__ import annotations

import math
from dataclasses import replace

from core.output.effects.grid import Measure
from core.output.effects.result import LEVEL, Difference, Effects, ShareTable

MOST_SHARES = 3
_PERCENT = f"{100 * LEVEL:.0f} %"


def overall(effects: Effects, measure: str | None = None) -> list[Difference]:
    """The difference between the first and the last level of each factor, of each measure."""
    found: list[Difference] = []
    for one in effects.differences:
        order = effects.factor(one.factor).order()
        if (one.start, one.end) == (order[0], order[-1]) and measure in (None, one.measure):
            found.append(one)
    return found


def sentences(effects: Effects, measure: str | None = None) -> list[str]:
    """A sentence for each factor and measure, of one measure where it is given."""
    return [difference_sentence(effects, one) for one in overall(effects, measure)]


def difference_sentence(effects: Effects, one: Difference) -> str:
    """ "Guidance scale 3 → 7 raises the CLIP score by 1.2 (95 % CI 0.4 to 2.0; 7 of 8 seeds)."
    Where the interval holds 0, or the p that is corrected for all comparisons is too large, no
    difference is claimed.
    """
    factor, measure = effects.factor(one.factor), effects.measure(one.measure)
    what = f"{factor.label} {factor.levels[one.start]} → {factor.levels[one.end]}"
    name = _name(measure)
    if one.mean is None:
        return f"{what}: {one.note or 'nothing to compare.'}"
    size = _size(measure, abs(one.mean))
    verb = "raises" if one.mean > 0 else "lowers"
    seeds = f"{one.agree} of {len(one.blocks)} {effects.block_label}s"
    if one.interval is None:
        if len(one.blocks) > 1:
            count = f"all {len(one.blocks)} {effects.block_label}s"
            if not one.mean:
                return f"{what}: {name} was the same in {count}."
            return f"{what} {verb} {name} by {size}, by exactly as much in {count}."
        if not one.mean:
            return f"{what}: {name} was the same, once, with one {effects.block_label}."
        past = "rose" if one.mean > 0 else "fell"
        return f"{what}: {name} {past} by {size}, once, with one {effects.block_label}."
    ends = f"{_PERCENT} CI {measure.show(one.interval.low)} to {measure.show(one.interval.high)}"
    if one.is_shown:
        return f"{what} {verb} {name} by {size} ({ends}; {seeds})."
    return (
        f"{what}: no difference in {name} could be shown ({measure.show(one.mean)}, {ends}; "
        f"{seeds})."
    )


def power_sentence(effects: Effects, one: Difference) -> str:
    """How many blocks would show a difference of this size, where it was not shown; else ""."""
    if one.needed is None or one.is_shown or one.needed <= len(one.blocks):
        return ""
    return (
        f"A difference of this size would take about {one.needed} {effects.block_label}s to show "
        "(80 % power)."
    )


def share_sentence(effects: Effects, table: ShareTable) -> str:
    """Say the largest shares: "Of all differences in the CLIP score 41 % go with Guidance scale,
    38 % with Seed." "" where there are none.
    """
    if not table.shares:
        return ""
    if table.is_picture:
        what = f"between these pictures ({table.label})"
    else:
        what = f"in {_name(effects.measure(table.measure))}"
    largest = sorted(table.shares, key=lambda one: -one.share)[:MOST_SHARES]
    parts = [f"{100 * one.share:.0f} % go with {one.label}" for one in largest if one.share > 0]
    parts[1:] = [part.replace(" go", "") for part in parts[1:]]
    return f"Of all differences {what} {', '.join(parts)}."


def methods(effects: Effects) -> str:
    """A paragraph for the methods of a paper: how the numbers were come by."""
    count = len(effects.blocks)
    label = effects.block_label
    factors = " and ".join(
        f"{factor.label} ({len(factor.levels)} levels)" for factor in effects.factors
    )
    measures = ", ".join(measure.label for measure in effects.measures)
    if effects.is_once:
        return (
            f"One picture was made for each combination of {factors}, all with one {label}; "
            f"measured were {measures}. With one {label} no interval and no test can be given."
        )
    resampled = (
        f" Beside it stands a bias-corrected and accelerated bootstrap over {label}s "
        f"({effects.resamples:,} resamples)."
        if effects.resamples
        else ""
    )
    return (
        f"Pictures were made for every combination of {factors}, with the same {count} {label}s "
        f"each; measured were {measures}. Differences between levels are paired by {label} and "
        f"averaged over the other factors, with the {_PERCENT} confidence interval of the paired "
        f"t test (n = {count} {label}s).{resampled} p-values are corrected for the comparisons of "
        "each measure (Holm 1979)."
    )


def _size(measure: Measure, value: float) -> str:
    """A size as it is shown; one too small for the measure's digits with its first one."""
    shown = measure.show(value)
    if value and not any(digit in shown for digit in "123456789"):
        return replace(measure, digits=1 - math.floor(math.log10(value)) - 1).show(value)
    return shown


def _name(measure: Measure) -> str:
    """The measure within a sentence: "the CLIP score", but a person's own as they wrote it."""
    if measure.name.startswith("own:"):
        return f"“{measure.label}”"
    first = measure.label.split()[0]
    is_acronym = first.isupper() or first in ("UNet", "JPEG")
    return f"the {measure.label if is_acronym else measure.label[0].lower() + measure.label[1:]}"
