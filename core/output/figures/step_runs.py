"""Runs in one figure: what each is called and coloured by."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import StepRecord
from core.output.figures.figures import LINE_COLOURS
from core.sweeps.axes import AXES

SCALE = [
    [0.0, "#3d78b8"],
    [0.3, "#8a5ba6"],
    [0.55, "#c4517a"],
    [0.8, "#d9672f"],
    [1.0, "#cf8f1b"],
]
"""From low to high, every hue of it readable on the light page and on the dark one."""

DASHES = ("solid", "dash", "dashdot", "longdash")
_LONGEST = 48  # letters of a label
_NO_DISTANCE = ("seed", "variation_seed")
_PLACES = 9
_LONGEST_SWITCH = 24
_MOST_SWITCHES = 4
_SWITCH = {"color": "#8a847b", "width": 1, "dash": "dash"}
_EXPLAINED: tuple[Callable[[StepRecord], float | None], ...] = (
    lambda record: record.latent_rms,
    lambda record: record.x0_rms,
    lambda record: record.guidance_gap,
    lambda record: record.saturation,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """The recorded run of one stored image."""

    digest: str
    settings: GenerationSettings
    records: tuple[StepRecord, ...]


def mark_switches(figure: go.Figure, switches: Mapping[float, str]) -> None:
    """A thin line at each place where the prompt is another from there on, with the words of a
    few.
    """
    for number, (place, text) in enumerate(switches.items()):
        shown = f"{text[:_LONGEST_SWITCH]}…" if len(text) > _LONGEST_SWITCH else text
        named: dict[str, Any] = {"annotation_text": f"→ {escaped(shown)}"}
        # One beneath the other: neighbours are often closer than their words are long.
        named |= {"annotation_position": "top right", "annotation_yshift": -14 * number}
        few = len(switches) <= _MOST_SWITCHES
        figure.add_vline(x=place, line=_SWITCH, opacity=0.6, **(named if few else {}))


@dataclass(frozen=True, kw_only=True)
class Colouring:
    """A colour and a dash a run, by the value of `field` that `names` says. `low` and `high` are
    the ends of the scale where it is a number; None where it is not.
    """

    field: str
    title: str
    names: tuple[str, ...]
    colours: tuple[str, ...]
    dashes: tuple[str, ...]
    low: float | None = None
    high: float | None = None


class HasSettings(Protocol):
    """A run, or the stored picture that it is of."""

    @property
    def settings(self) -> GenerationSettings: ...


def differing(runs: Sequence[HasSettings]) -> list[str]:
    """The settings in which runs differ and that have an effect in any, in the order of AXES."""
    order = [row.field for row in AXES.values()]
    names = [
        field.name
        for field in fields(GenerationSettings)
        if any(run.settings.matters(field.name) for run in runs)
    ]
    found = [name for name in names if len({getattr(run.settings, name) for run in runs}) > 1]
    return sorted(found, key=lambda name: order.index(name) if name in order else len(order))


def explaining(runs: Sequence[Run]) -> str | None:
    """The setting that explains most of how the curves differ; None where none differs.

    The share of the variance between the groups of its values (adjusted R squared, so that a
    setting of many values has no advantage), at even places of each run, a mean over quantities.
    A setting with a value of its own in every run would explain all: it is taken where nothing
    else differs.
    """
    varied = differing(runs)
    curves = [curve for of in _EXPLAINED if (curve := _curves(runs, of)) is not None]
    shares = {name: share for name in varied if (share := _share(runs, name, curves)) is not None}
    return max(shares, key=shares.__getitem__) if shares else next(iter(varied), None)


def _curves(runs: Sequence[Run], of: Callable[[StepRecord], float | None]) -> np.ndarray | None:
    """A quantity at _PLACES even places of each run, (runs, places); None where one lacks it."""
    rows: list[np.ndarray] = []
    for run in runs:
        values = [of(record) for record in run.records]
        known = [value for value in values if value is not None and math.isfinite(value)]
        if not known or len(known) < len(values) - 1:  # the first change is none
            return None
        rows.append(np.interp(np.linspace(0, 1, _PLACES), np.linspace(0, 1, len(known)), known))
    return np.stack(rows)


def _share(runs: Sequence[Run], name: str, curves: Sequence[np.ndarray]) -> float | None:
    values = [getattr(run.settings, name) for run in runs]
    groups = [[i for i, one in enumerate(values) if one == value] for value in set(values)]
    if not curves or len(groups) == len(runs):
        return None
    shares: list[float] = []
    for curve in curves:
        total = float(((curve - curve.mean(0)) ** 2).sum())
        within = sum(float(((curve[g] - curve[g].mean(0)) ** 2).sum()) for g in groups)
        shares.append(within / total if total else 1.0)
    left = sum(shares) / len(shares)
    return 1 - left * (len(runs) - 1) / (len(runs) - len(groups))


def field_label(name: str) -> str:
    """What a person calls a setting: "Guidance scale"."""
    row = next((row for row in AXES.values() if row.field == name and row.name == name), None)
    return row.label if row else name.replace("_", " ").capitalize()


def labels(runs: Sequence[Run]) -> list[str]:
    """What tells each run from the others; of a single one its prompt and seed. No two alike."""
    varied = differing(runs)
    seen: dict[str, int] = {}
    found: list[str] = []
    for run in runs:
        label = " · ".join(_value(run.settings, name, varied) for name in varied)
        if not varied:
            label = f"{run.settings.prompt or '(no prompt)'} · seed {run.settings.seed}"
        label = _shortened(label)
        seen[label] = seen.get(label, 0) + 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found


def short_labels(runs: Sequence[HasSettings]) -> tuple[str, list[str]]:
    """The names of the settings in which runs differ, "Seed · Steps", and each run's values of
    them in that order, "3 · 20"; nothing where none differs.
    """
    varied = differing(runs)
    values = [
        _shortened(" · ".join(_shown(getattr(run.settings, name)) for name in varied))
        for run in runs
    ]
    return " · ".join(field_label(name) for name in varied), values


def escaped(label: str) -> str:
    """A label for Plotly, which reads tags in its texts."""
    return html.escape(label, quote=False)


def colouring(runs: Sequence[Run], by: str | None = None) -> Colouring:
    """Colours by the setting `by`, else by the first that differs. Numbers lie on a scale at
    their true distance; names and seeds take colours in turn, a new dash after each round.
    """
    varied = differing(runs)
    name = by if by in varied else next(iter(varied), "")
    values = [getattr(run.settings, name) for run in runs] if name else list(range(len(runs)))
    title = field_label(name) if name else ""
    names = tuple(_shortened(_shown(value)) if name else "" for value in values)
    if name and name not in _NO_DISTANCE and all(_is_number(value) for value in values):
        low, high = float(min(values)), float(max(values))
        shares = [(float(value) - low) / (high - low) for value in values]
        colours = [str(colour) for colour in sample_colorscale(SCALE, shares)]
        dashes = (DASHES[0],) * len(runs)
        return Colouring(
            field=name,
            title=title,
            names=names,
            colours=tuple(colours),
            dashes=dashes,
            low=low,
            high=high,
        )
    places = {value: index for index, value in enumerate(dict.fromkeys(values))}
    turns = [divmod(places[value], len(LINE_COLOURS)) for value in values]
    return Colouring(
        field=name,
        title=title,
        names=names,
        colours=tuple(LINE_COLOURS[place] for _, place in turns),
        dashes=tuple(DASHES[turn % len(DASHES)] for turn, _ in turns),
    )


def _value(settings: GenerationSettings, name: str, varied: Sequence[str]) -> str:
    """A value with its name, unless it says by itself what it is."""
    value = getattr(settings, name)
    shown = _shown(value)
    says_itself = name in ("prompt", "scheduler") or (len(varied) == 1 and not _is_number(value))
    return shown if says_itself else f"{field_label(name)} {shown}"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value) or "(empty)"


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST else label[: _LONGEST - 1].rstrip() + "…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
