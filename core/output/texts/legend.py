"""What made a picture, and the words around a grid: its values and what all its cells share."""

from __future__ import annotations

import functools

from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings
from core.sweeps.axes import AXES
from core.sweeps.axis import Axis
from core.sweeps.sweep import Sweep


def value_labels(axis: Axis | None) -> list[str]:
    """A label a value; one empty label where the side has no axis."""
    return [axis.value_label(i) for i in range(len(axis.values))] if axis else [""]


def settings_lines(settings: GenerationSettings) -> list[tuple[str, str]]:
    """Label and value of every setting that has an effect on the picture, in the table's order."""
    return [
        (row.label, text if row.matters(settings) else f"{text} (off)")
        for name, row in SETTINGS.items()
        if (row.is_told or row.matters(settings)) and (text := row.told(getattr(settings, name)))
    ]


def legend(sweep: Sweep) -> list[tuple[str, str]]:
    """Label and value of every setting that all cells share and that has an effect in any of them.

    Of a prompt in which a term is replaced, the rest is shown with … in the term's place.
    """
    base, varied, effective = sweep.base, sweep.varied(), _effective(sweep)
    found: list[tuple[str, str]] = []
    for name, row in SETTINGS.items():
        text = row.told(getattr(base, name))
        if name in varied:
            text = _shared_text(sweep, name)
        elif name == "seed":
            text = _seed_text(sweep)
        if text and name in effective:
            found.append((row.label, text))
        elif text and row.is_told:
            found.append((row.label, f"{text} (off)"))
    return found


@functools.lru_cache(maxsize=16)
def _effective(sweep: Sweep) -> frozenset[str]:
    """Sweep.effective(), which goes through all cells: one drawing of a grid asks for it twice."""
    return frozenset(sweep.effective())


def _shared_text(sweep: Sweep, name: str) -> str:
    """What all cells share of a setting that axes change; "" for nothing."""
    text = str(getattr(sweep.base, name))
    for axis in sweep.axes().values():
        for part in axis.parts():
            row = AXES[part.name]
            if name in row.changes(part.values):
                text = row.common(name, text, part.values)
    return text


def _seed_text(sweep: Sweep) -> str:
    if not sweep.new_seed:
        return str(sweep.base.seed)
    return f"{sweep.base.seed} and up, a new one each {sweep.new_seed}"
